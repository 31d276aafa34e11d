// SPDX-License-Identifier: GPL-3.0-only
// What the plugin wall costs at start-up and per call, against the same plugin linked statically.
// Start-up is given as processor time (median) and as elapsed time (minimum): both stand other load
// on the machine.
//   wall_bench            all figures
//   wall_bench static|plugin|empty DIR   one start, for timing from outside
#include "rlx/base/options.hpp"
#include "rlx/base/wall.hpp"
#include "rlx/loader/loader.hpp"

#include "rlx/abi/family.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <spawn.h>
#include <string>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

extern "C" rlx_error* rlx_plugin_entry_v1_bench_toy(const rlx_host*, rlx_plugin*);
extern char** environ;

namespace {

namespace fs = std::filesystem;
using clock_type = std::chrono::steady_clock;

template <class Fn>
double micros(Fn&& fn) {
    const auto begin = clock_type::now();
    fn();
    return std::chrono::duration<double, std::micro>(clock_type::now() - begin).count();
}

template <class Fn>
double best(int n, Fn&& fn) {
    std::vector<double> all;
    for (int i = 0; i < n; i++)
        all.push_back(fn());
    return std::ranges::min(all);
}

rlx::search_options in(const fs::path& dir, const fs::path& index) {
    rlx::search_options o;
    o.plugin_dirs = {dir};
    o.use_environment = o.use_defaults = false;
    o.use_index = !index.empty();
    o.index_file = index;
    return o;
}

const rlx_plugin& static_table() {
    static rlx_plugin table = [] {
        rlx_plugin t{};
        t.hdr.size = sizeof t;
        if (rlx_plugin_entry_v1_bench_toy(rlx::host(), &t)) std::abort();
        return t;
    }();
    return table;
}

rlx::plugin& loaded(const fs::path& dir, const fs::path& index) {
    static auto catalog = std::move(rlx::plugin_catalog::open(in(dir, index)).value());
    return *catalog->load(*catalog->find("family", "toy").value().owner).value();
}

const rlx_family_v1* family_of(const rlx_plugin& p) {
    return static_cast<const rlx_family_v1*>(p.iface(p.self, rlx::str("rlx.family/1"), 0));
}

struct cost {
    double cpu, elapsed; // microseconds
};

// One run of this program in another mode, from spawn to exit.
cost process(const char* self, const char* mode, const std::string& dir, const std::string& index) {
    cost c{};
    c.elapsed = micros([&] {
        std::vector<std::string> words{self, mode, dir, index};
        std::vector<char*> argv;
        for (auto& w : words)
            argv.push_back(w.data());
        argv.push_back(nullptr);
        pid_t child = 0;
        if (posix_spawn(&child, self, nullptr, nullptr, argv.data(), environ) != 0) std::abort();
        int status = 0;
        rusage used{};
        ::wait4(child, &status, 0, &used);
        if (status != 0) std::abort();
        for (const timeval& t : {used.ru_utime, used.ru_stime})
            c.cpu += static_cast<double>(t.tv_sec) * 1e6 + static_cast<double>(t.tv_usec);
    });
    return c;
}

cost typical(const char* self, const char* mode, const std::string& dir, const std::string& index) {
    std::vector<double> cpu;
    double elapsed = 1e9;
    for (int i = 0; i < 300; i++) {
        const cost c = process(self, mode, dir, index);
        cpu.push_back(c.cpu);
        elapsed = std::min(elapsed, c.elapsed);
    }
    std::ranges::nth_element(cpu, cpu.begin() + 150);
    return {cpu[150], elapsed};
}

// n copies of the plugin, each with an id of its own.
void fill(const fs::path& dir, int n) {
    const auto read = [](const fs::path& p) {
        std::ifstream stream(p, std::ios::binary);
        return std::string(std::istreambuf_iterator<char>(stream), {});
    };
    const std::string library = read(BENCH_PLUGIN);
    const std::string manifest = read(BENCH_PLUGIN ".rlx.json");
    for (int i = 0; i < n; i++) {
        const std::string id =
            "org.rlx.t" + std::to_string(1'000'000 + i); // as long as the original
        const std::string file = (dir / (std::to_string(1000 + i) + ".so")).native();
        for (auto [text, path] :
             {std::pair{library, file}, std::pair{manifest, file + ".rlx.json"}}) {
            text.replace(text.find("org.rlx.test.toy"), 16, id);
            std::ofstream(path, std::ios::binary) << text;
        }
    }
}

void report_start(const char* self, const fs::path& dir, const fs::path& index) {
    const auto line = [](const char* what, const cost& c, const cost& base) {
        std::printf(
            "  %-26s %6.0f us (%+5.0f)   %6.0f us (%+5.0f)\n",
            what,
            c.cpu,
            c.cpu - base.cpu,
            c.elapsed,
            c.elapsed - base.elapsed
        );
    };
    process(self, "plugin", dir, index); // writes the index
    const cost linked = typical(self, "static", dir, index);
    std::printf("process start to exit, 300 each     processor time        elapsed\n");
    line("no plugin at all", typical(self, "empty", dir, index), linked);
    line("linked statically", linked, linked);
    line("through the wall, indexed", typical(self, "plugin", dir, index), linked);
    line("through the wall, no index", typical(self, "plugin", dir, ""), linked);
}

void report_catalog(const char* what, const fs::path& dir, const fs::path& index) {
    fs::remove(index);
    const double cold = micros([&] { (void)rlx::plugin_catalog::open(in(dir, index)); });
    const double warm =
        best(20, [&] { return micros([&] { (void)rlx::plugin_catalog::open(in(dir, index)); }); });
    const double none =
        best(20, [&] { return micros([&] { (void)rlx::plugin_catalog::open(in(dir, "")); }); });
    std::printf(
        "  %-12s warm index %8.0f us, no index %8.0f us, first time %8.0f us\n",
        what,
        warm,
        none,
        cold
    );
}

void report_calls(const fs::path& dir) {
    const rlx_plugin& linked = static_table();
    const rlx_plugin& dynamic = loaded(dir, "").table();
    constexpr int n = 2'000'000;
    const auto cost = [&](const rlx_plugin& p) {
        const auto* family = family_of(p);
        return best(9, [&] {
            return micros([&] {
                       for (int i = 0; i < n; i++)
                           family->close(p.self, nullptr);
                   }) *
                   1000.0 / n;
        });
    };
    std::printf("one call through a table, best of 9 x %d\n", n);
    std::printf("  linked statically  %.2f ns\n", cost(linked));
    std::printf("  through the wall   %.2f ns\n", cost(dynamic));
}

} // namespace

int main(int argc, char** argv) {
    if (argc == 4) {
        if (std::strcmp(argv[1], "empty") == 0) return 0;
        const bool linked = std::strcmp(argv[1], "static") == 0;
        return family_of(linked ? static_table() : loaded(argv[2], argv[3]).table()) ? 0 : 1;
    }
    std::string name = (fs::temp_directory_path() / "rlx-bench-XXXXXX").native();
    if (!::mkdtemp(name.data())) return 1;
    const fs::path root = name;
    for (const auto& [folder, count] :
         {std::pair{"one", 0}, std::pair{"fifty", 50}, std::pair{"many", 500}}) {
        fs::create_directories(root / folder);
        fill(root / folder, count);
    }
    fs::copy(BENCH_PLUGIN, root / "one");
    fs::copy(BENCH_PLUGIN ".rlx.json", root / "one");
    report_start(argv[0], root / "one", root / "one.json");
    std::printf("opening a catalog, best of 20\n");
    report_catalog("1 plugin", root / "one", root / "one.json");
    report_catalog("50 plugins", root / "fifty", root / "fifty.json");
    report_catalog("500 plugins", root / "many", root / "many.json");
    report_calls(root / "one");
    fs::remove_all(root);
    return 0;
}
