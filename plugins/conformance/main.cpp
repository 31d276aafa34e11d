// SPDX-License-Identifier: GPL-3.0-only
// rlx-plugin-check: drives one plugin through everything a host may do to it.
#include "checks.hpp"
#include "driver.hpp"
#include "elf_file.hpp"
#include "runner.hpp"

#include "manifest_json.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fmt/core.h>
#include <nlohmann/json.hpp>
#include <optional>

namespace conformance {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

enum : int { all_passed = 0, some_failed = 1, usage_error = 2, no_plugin = 3 };

constexpr const char* usage = R"(usage: rlx-plugin-check [options] PLUGIN.so

Drives one plugin through hosts of other ages, wrong arguments, failing calls and failing
allocations, each check in a process of its own.

  --only NAME[,NAME...]  these checks only
  --list                 the checks and what they are about
  --weights PATH         checkpoint for a family whose tensors the built-in ones lack
  --timeout SECONDS      for each check (default 60)
  --json                 one JSON document
  --help                 this text

exit status: 0 every check passed or was skipped, 1 a check failed, 2 wrong usage,
3 the file is no rlx plugin
)";

struct arguments {
    fs::path file, weights;
    std::vector<std::string> only;
    double timeout_s = 60;
    bool as_json = false, list = false, help = false;
};

struct bad_usage {
    std::string why;
};

std::vector<std::string> split(const std::string& text) {
    std::vector<std::string> out;
    std::size_t at = 0;
    for (std::size_t end; at <= text.size(); at = end + 1) {
        end = std::min(text.find(',', at), text.size());
        if (end > at) out.push_back(text.substr(at, end - at));
    }
    return out;
}

double seconds_of(const std::string& text) {
    char* end = nullptr;
    const double s = std::strtod(text.c_str(), &end);
    if (text.empty() || *end || !(s > 0) || s > 1e6)
        throw bad_usage{fmt::format("--timeout is '{}', expected a number of seconds", text)};
    return s;
}

const check& check_named(const std::string& name) {
    const auto list = all_checks();
    const auto at =
        std::find_if(list.begin(), list.end(), [&](const check& c) { return name == c.name; });
    if (at == list.end()) throw bad_usage{fmt::format("no check is called '{}', see --list", name)};
    return *at;
}

arguments parse(std::vector<std::string> words) {
    arguments a;
    for (std::size_t i = 0; i < words.size(); i++) {
        std::string word = words[i];
        std::optional<std::string> given;
        if (const auto eq = word.find('='); word.starts_with("--") && eq != word.npos) {
            given = word.substr(eq + 1);
            word.resize(eq);
        }
        const auto value = [&] {
            if (given) return *given;
            if (i + 1 == words.size()) throw bad_usage{word + " needs a value"};
            return words[++i];
        };
        if (word == "--only") {
            for (auto& name : split(value()))
                a.only.emplace_back(check_named(name).name);
        } else if (word == "--weights") {
            a.weights = fs::absolute(value());
        } else if (word == "--timeout") {
            a.timeout_s = seconds_of(value());
        } else if (word == "--json") {
            a.as_json = true;
        } else if (word == "--list") {
            a.list = true;
        } else if (word == "--help" || word == "-h") {
            a.help = true;
        } else if (word.starts_with("-")) {
            throw bad_usage{"unknown option " + word};
        } else if (!a.file.empty()) {
            throw bad_usage{"one plugin at a time, got " + a.file.native() + " and " + word};
        } else {
            a.file = word;
        }
    }
    if (a.file.empty() && !a.list && !a.help) throw bad_usage{"which plugin?"};
    return a;
}

// A folder for the built-in checkpoints, removed at the end.
class scratch {
public:
    scratch() {
        std::string name = (fs::temp_directory_path() / "rlx-plugin-check-XXXXXX").native();
        if (::mkdtemp(name.data())) path_ = name;
    }

    scratch(const scratch&) = delete;
    scratch& operator=(const scratch&) = delete;

    ~scratch() {
        std::error_code ignored;
        if (!path_.empty()) fs::remove_all(path_, ignored);
    }

    const fs::path& path() const { return path_; }

private:
    fs::path path_;
};

outcome run(const check& c, const target& t, double timeout_s) {
    outcome o = run_alone([&] { return c.run(t); }, timeout_s);
    if (c.silent && o.what == verdict::ok && !o.output.empty())
        o = {
            verdict::failed,
            "it writes to stdout or stderr: " + o.output.substr(0, o.output.find('\n')),
            o.output,
            o.seconds};
    return o;
}

const char* word_of(verdict v) {
    return v == verdict::ok ? "ok" : v == verdict::failed ? "FAILED" : "skipped";
}

struct report {
    int passed = 0, failed = 0, skipped = 0;
    json checks = json::array();

    void add(const check& c, const outcome& o) {
        (o.what == verdict::ok ? passed : o.what == verdict::failed ? failed : skipped)++;
        const char* status = o.what == verdict::failed ? "failed" : word_of(o.what);
        checks.push_back(
            {{"name", c.name},
             {"summary", c.summary},
             {"status", status},
             {"reason", o.why},
             {"output", o.output},
             {"seconds", o.seconds}}
        );
    }

    std::string sum() const {
        return fmt::format("{} passed, {} failed, {} skipped", passed, failed, skipped);
    }
};

int judge(const arguments& a, target& t) {
    const scratch folder;
    if (folder.path().empty()) {
        fmt::print(stderr, "rlx-plugin-check: no temporary directory can be made\n");
        return some_failed;
    }
    t.samples = folder.path();
    write_samples(t.samples, t.manifest);
    if (!a.as_json) fmt::print("{} {} ({})\n", t.manifest.id, t.manifest.version, t.file.native());
    report r;
    for (const check& c : all_checks()) {
        if (!a.only.empty() && std::find(a.only.begin(), a.only.end(), c.name) == a.only.end())
            continue;
        const outcome o = run(c, t, a.timeout_s);
        r.add(c, o);
        if (a.as_json) continue;
        fmt::print(
            "{:<7}  {:<16}  {}\n", word_of(o.what), c.name, o.why.empty() ? c.summary : o.why
        );
        std::fflush(stdout);
    }
    if (a.as_json) {
        const json doc = {
            {"plugin",
             {{"file", t.file.native()}, {"id", t.manifest.id}, {"version", t.manifest.version}}},
            {"checks", r.checks},
            {"passed", r.passed},
            {"failed", r.failed},
            {"skipped", r.skipped}};
        fmt::print("{}\n", doc.dump(2, ' ', false, json::error_handler_t::replace));
    } else {
        fmt::print("{}\n", r.sum());
    }
    return r.failed ? some_failed : all_passed;
}

int check_file(const arguments& a) {
    target t;
    std::error_code code;
    t.file = fs::absolute(a.file, code);
    t.weights = a.weights;
    auto note = read_note(t.file);
    auto manifest = note.ok() ? rlx::loader::manifest_from_text(*note)
                              : rlx::result<rlx::manifest>(note.error());
    if (!manifest.ok()) {
        const std::string why = fmt::format("{}: {}", a.file.native(), manifest.error().message);
        if (a.as_json)
            fmt::print(
                "{}\n", json{{"error", why}}.dump(2, ' ', false, json::error_handler_t::replace)
            );
        fmt::print(stderr, "rlx-plugin-check: {}\n", why);
        return no_plugin;
    }
    t.manifest = std::move(*manifest);
    return judge(a, t);
}

int run_main(std::vector<std::string> words) {
    try {
        const arguments a = parse(std::move(words));
        if (a.help) {
            fmt::print("{}", usage);
            return all_passed;
        }
        if (a.list) {
            for (const check& c : all_checks())
                fmt::print("{:<16}  {}\n", c.name, c.summary);
            return all_passed;
        }
        return check_file(a);
    } catch (const bad_usage& u) {
        fmt::print(stderr, "rlx-plugin-check: {}\n{}", u.why, usage);
        return usage_error;
    }
}

} // namespace
} // namespace conformance

int main(int argc, char** argv) {
    return conformance::run_main({argv + 1, argv + argc});
}
