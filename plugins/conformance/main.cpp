// SPDX-License-Identifier: GPL-3.0-only
// rlx-plugin-check: drives one plugin through everything a host may do to it.
#include "checks.hpp"
#include "companions.hpp"
#include "driver.hpp"
#include "elf_file.hpp"
#include "runner.hpp"
#include "stage.hpp"

#include "manifest_json.hpp"
#include "output.hpp"
#include "plugin_check.hpp"
#include "rlx/extensions.hpp"
#include "version.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fmt/core.h>
#include <nlohmann/json.hpp>

namespace conformance {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

enum : int { all_passed = 0, some_failed = 1, usage_error = 2, no_plugin = 3 };

struct arguments {
    fs::path file, weights;
    std::vector<fs::path> with;
    std::vector<std::string> only;
    double timeout_s = 60;
    bool as_json = false, list = false, help = false, version = false;
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

const check& check_named(const std::string& name) {
    const auto list = all_checks();
    const auto at =
        std::find_if(list.begin(), list.end(), [&](const check& c) { return name == c.name; });
    if (at == list.end()) throw bad_usage{fmt::format("no check is called '{}', see --list", name)};
    return *at;
}

// Absolute: checks change the working directory. A misspelt path would turn checks off.
fs::path path_of(std::string_view flag, const std::string& text) {
    std::error_code code;
    const fs::path path = fs::absolute(text, code);
    if (code || !fs::exists(path, code))
        throw bad_usage{fmt::format("{} {}: no such file or directory", flag, text)};
    if (!fs::is_regular_file(path, code) && !fs::is_directory(path, code))
        throw bad_usage{fmt::format("{} {}: neither a file nor a folder", flag, text)};
    return path;
}

arguments parse(const std::vector<std::string>& words) {
    const auto parsed = rlx::cli::arguments::parse(rlx::cli::plugin_check_spec(), words);
    if (!parsed.ok()) throw bad_usage{parsed.error().message};
    const rlx::cli::arguments& given = parsed.value();
    arguments a;
    if (!given.positional().empty()) a.file = given.positional()[0];
    if (given.has("weights")) a.weights = path_of("--weights", given.text("weights"));
    for (const std::string& plugin : given.all("with"))
        a.with.push_back(path_of("--with", plugin));
    for (const std::string& list : given.all("only"))
        for (const std::string& name : split(list))
            a.only.emplace_back(check_named(name).name);
    a.timeout_s = given.number("timeout", a.timeout_s);
    if (!(a.timeout_s > 0) || a.timeout_s > 1e6)
        throw bad_usage{fmt::format("--timeout is {}, expected 1 to 1000000 seconds", a.timeout_s)};
    a.as_json = given.has("json");
    a.list = given.has("list");
    a.help = given.has("help");
    a.version = given.has("version");
    if (a.file.empty() && !a.list && !a.help && !a.version) throw bad_usage{"which plugin?"};
    return a;
}

std::string usage() {
    return help_text("rlx-plugin-check", rlx::cli::plugin_check_spec());
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
    catch_interrupts();
    const scratch folder;
    if (folder.path().empty()) {
        fmt::print(stderr, "rlx-plugin-check: no temporary directory can be made\n");
        return some_failed;
    }
    t.samples = folder.path();
    t.timeout_s = a.timeout_s;
    write_samples(t.samples, t.manifest);
    if (!a.as_json) fmt::print("{} {} ({})\n", t.manifest.id, t.manifest.version, t.file.native());
    report r;
    bool unloadable = false;
    const std::string loading_text = std::string("while ") + loading_stage;
    for (const check& c : all_checks()) {
        if (!a.only.empty() && std::find(a.only.begin(), a.only.end(), c.name) == a.only.end())
            continue;
        const outcome o =
            unloadable && c.loads
                ? outcome{verdict::skipped, "the library does not load, see 'entry'", "", 0}
                : run(c, t, a.timeout_s);
        if (const int number = interrupted_by()) {
            fmt::print(stderr, "rlx-plugin-check: interrupted\n");
            return 128 + number;
        }
        // Twenty more time-outs would say nothing new.
        unloadable = unloadable || (c.name == std::string_view("entry") &&
                                    o.what == verdict::failed && o.why.ends_with(loading_text));
        r.add(c, o);
        if (a.as_json) continue;
        fmt::print(
            "{:<7}  {:<16}  {}\n", word_of(o.what), c.name, o.why.empty() ? c.summary : o.why
        );
        std::fflush(stdout);
    }
    if (a.as_json) {
        const json doc = {
            {"schema", 1},
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

int refuse(const arguments& a, const std::string& why) {
    if (a.as_json)
        fmt::print(
            "{}\n",
            json{{"schema", 1}, {"error", why}}.dump(2, ' ', false, json::error_handler_t::replace)
        );
    fmt::print(stderr, "rlx-plugin-check: {}\n", why);
    return no_plugin;
}

int check_file(const arguments& a) {
    target t;
    std::error_code code;
    t.file = fs::absolute(a.file, code);
    t.weights = a.weights;
    auto note = read_note(t.file);
    auto manifest = note.ok() ? rlx::loader::manifest_from_text(*note)
                              : rlx::result<rlx::manifest>(note.error());
    if (!manifest.ok())
        return refuse(a, fmt::format("{}: {}", a.file.native(), manifest.error().message));
    t.manifest = std::move(*manifest);
    const auto companions = open_companions(a.with, t.manifest);
    if (!companions.ok()) return refuse(a, companions.error().message);
    t.find_op = rlx::op_finder(**companions);
    return judge(a, t);
}

int run_main(const std::vector<std::string>& words) {
    try {
        const arguments a = parse(words);
        if (a.help) {
            fmt::print("{}", usage());
            return all_passed;
        }
        if (a.version) {
            fmt::print("{}", rlx::cli::version_text());
            return all_passed;
        }
        if (a.list) {
            for (const check& c : all_checks())
                fmt::print("{:<16}  {}\n", c.name, c.summary);
            return all_passed;
        }
        return check_file(a);
    } catch (const bad_usage& u) {
        fmt::print(stderr, "rlx-plugin-check: {}\n{}", u.why, usage());
        return usage_error;
    }
}

} // namespace
} // namespace conformance

int main(int argc, char** argv) {
    return rlx::cli::status_when_written(
        "rlx-plugin-check", conformance::run_main({argv + 1, argv + argc})
    );
}
