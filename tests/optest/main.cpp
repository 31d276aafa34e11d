// SPDX-License-Identifier: GPL-3.0-only
// rlx-optest: judges a backend op by op against an oracle that is written from the text of the op
// set.
#include "modes/modes.hpp"

#include "optest.hpp"
#include "output.hpp"
#include "version.hpp"

#include "rlx/base/environment.hpp"
#include "rlx/base/threads.hpp"
#include "rlx/graph/text.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <fstream>
#include <initializer_list>
#include <new>

namespace optest {
namespace {

enum : int { all_good = 0, some_failed = 1, usage_error = 2, no_backend = 4, no_memory = 5 };

struct mode {
    std::string_view name;
    void (*run)(const context&);
};

constexpr mode modes[] = {
    {"test", mode_test},
    {"support", mode_support},
    {"perf", mode_perf},
    {"fuse", mode_fuse},
    {"split", mode_split},
    {"state", mode_state},
    {"det", mode_det},
    {"mutate", mode_mutate},
    {"fuzz", mode_fuzz},
};

const mode& mode_named(std::string_view name) {
    for (const mode& m : modes)
        if (m.name == name) return m;
    throw usage{fmt::format(
        "no mode is called '{}', expected test, support, perf, fuse, split, state, det, mutate or "
        "fuzz",
        name
    )};
}

std::string help() {
    return help_text("rlx-optest", rlx::cli::optest_spec());
}

std::vector<std::string> split(const std::string& text) {
    std::vector<std::string> out;
    for (std::size_t at = 0, end; at <= text.size(); at = end + 1) {
        end = std::min(text.find(',', at), text.size());
        if (end > at) out.push_back(text.substr(at, end - at));
    }
    return out;
}

// Lines of the modes that make their own graphs name the mode: Fuzz(..), Split(..), State(..).
void read_case(options& o, const std::string& line, bool mode_is_free) {
    for (const std::string_view own : {"Fuzz(", "Split(", "State("}) {
        if (!line.starts_with(own)) continue;
        std::string mode(own.substr(0, own.size() - 1));
        mode[0] = static_cast<char>(mode[0] - 'A' + 'a');
        if (!o.replay.empty()) throw usage{"one --case of this mode at a time: " + line};
        if (mode_is_free) o.mode = mode;
        if (o.mode != mode)
            throw usage{fmt::format("'{}' is a case of mode {}, not of {}", line, mode, o.mode)};
        o.replay = line;
        return;
    }
    if (o.mode == "fuzz" || o.mode == "split" || o.mode == "state")
        throw usage{fmt::format("'{}' is no case of mode {}", line, o.mode)};
    o.cases.push_back(parse_case(line));
    check_case(o.cases.back());
}

// The flag's value, the first of `allowed` when it is not given.
std::string one_of(
    const rlx::cli::arguments& a, const char* flag, std::initializer_list<std::string_view> allowed
) {
    const std::string value = a.text(flag, std::string(*allowed.begin()));
    if (std::find(allowed.begin(), allowed.end(), value) != allowed.end()) return value;
    throw usage{fmt::format("--{} {}: expected {}", flag, value, fmt::join(allowed, ", "))};
}

options read(const rlx::cli::arguments& a) {
    options o;
    if (!a.positional().empty()) o.mode = a.positional()[0];
    (void)mode_named(o.mode);
    o.device.backend = a.text("backend", "cpu");
    o.device.tier = a.text("tier");
    o.device.cpu_tier = rlx::env_string("RLX_CPU").value_or("");
    o.device.plugin_dir = a.text("plugin-dir");
    o.how.compute = one_of(a, "compute", {"f32", "auto", "f16", "bf16"});
    o.how.kv = one_of(a, "kv", {"f32", "f16"});
    for (const std::string& names : a.all("op"))
        for (const std::string& name : split(names))
            o.ops.emplace_back(cases_of(name).name);
    for (const std::string& line : a.all("case"))
        read_case(o, line, a.positional().empty());
    o.docs = a.text("docs");
    o.model = a.text("model");
    o.other = a.text("other", "cpu");
    o.seed = static_cast<std::uint64_t>(a.integer("seed", 1));
    o.count = a.integer("count", 0);
    if (a.has("count") && o.count < 1)
        throw usage{fmt::format("--count {}: expected a number of graphs, 1 or more", o.count)};
    o.full = a.has("full");
    o.as_json = a.has("json");
    o.verbose = a.has("verbose");
    o.write = a.has("write");
    return o;
}

int list(const options& o) {
    for (const op_cases& of : all_cases())
        if (o.ops.empty() || std::find(o.ops.begin(), o.ops.end(), of.name) != o.ops.end())
            for (const test_case& t : list_cases(of, o.full))
                fmt::print("{}\n", t.line());
    return all_good;
}

// The graph of the one case that is asked for, as it is built: before composites are taken apart.
int dump(const options& o, const std::string& file) {
    const bool json = file.ends_with(".json");
    if (!json && !file.ends_with(".rlxg"))
        throw usage{fmt::format("--dump {}: expected a name that ends in .rlxg or .json", file)};
    const bool fuzz = o.replay.starts_with("Fuzz(");
    if (o.cases.size() + (fuzz ? 1 : 0) != 1)
        throw usage{"--dump writes the graph of one --case, of an op, a pattern or Fuzz(..)"};
    const auto m = fuzz ? fuzz_model(o.replay) : build_case(o.cases[0]);
    std::ofstream out(file);
    if (json)
        out << rlx::graph_json(m->graph()) << "\n";
    else
        out << "# " << (fuzz ? o.replay : o.cases[0].line()) << "\n" << rlx::graph_text(m->graph());
    if (out.flush()) return all_good;
    fmt::print(stderr, "rlx-optest: {} cannot be written: {}\n", file, std::strerror(errno));
    return some_failed;
}

int run_main(const std::vector<std::string>& words) {
    try {
        const auto parsed = rlx::cli::arguments::parse(rlx::cli::optest_spec(), words);
        if (!parsed.ok()) throw usage{parsed.error().message};
        if (parsed->has("help")) {
            fmt::print("{}", help());
            return all_good;
        }
        if (parsed->has("version")) {
            fmt::print("{}", rlx::cli::version_text());
            return all_good;
        }
        offer_weights();
        const options o = read(*parsed);
        if (parsed->has("list")) return list(o);
        if (parsed->has("dump")) return dump(o, parsed->text("dump"));
        if (parsed->has("threads")) {
            const auto set =
                rlx::set_threads(static_cast<std::uint32_t>(parsed->integer("threads", 0)));
            if (!set.ok()) throw usage{set.error().message};
        }
        device d(o.device);
        report r(o);
        mode_named(o.mode).run({o, d, r});
        return r.end();
    } catch (const usage& u) {
        fmt::print(stderr, "rlx-optest: {}\nrlx-optest --help lists what it takes\n", u.why);
        return usage_error;
    } catch (const no_device& n) {
        fmt::print(stderr, "rlx-optest: {}\n", n.why);
        return n.code == RLX_INVALID_ARGUMENT ? usage_error : no_backend;
    } catch (const std::bad_alloc&) {
        fmt::print(stderr, "rlx-optest: out of memory\n");
        return no_memory;
    } catch (const std::exception& e) {
        fmt::print(stderr, "rlx-optest: {}\n", e.what());
        return some_failed;
    }
}

} // namespace
} // namespace optest

int main(int argc, char** argv) {
    return rlx::cli::status_when_written("rlx-optest", optest::run_main({argv + 1, argv + argc}));
}
