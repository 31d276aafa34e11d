// SPDX-License-Identifier: GPL-3.0-only
// Very many plugins, and bad ones among them: nobody is disturbed. How fast:
// benchmarks/plugin_scale.sh.
#include "index_edit.hpp"
#include "tiny_elf.hpp"

#include "process.hpp"

#include <algorithm>
#include <chrono>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <thread>

namespace {

using rlx::test::outcome;
using rlx::test::run;

class scale : public ::testing::Test {
protected:
    scale() : dir(box.folder("plugins")) {}

    void fill(int n) const {
        for (int i = 0; i < n; i++)
            write_all(
                dir / ("family" + std::to_string(100000 + i) + ".so"), tiny_elf(tiny_manifest(i))
            );
    }

    // A sample of plugins/conformance that misbehaves as soon as it is loaded.
    fs::path
    add_bad(const std::string& sample, const std::string& name, const std::string& id) const {
        const fs::path to = dir / (name + ".so");
        std::string bytes = read_all(fs::path(RLX_BAD_PLUGINS) / (sample + ".so"));
        const std::string_view old = "org.rlx.test.sample";
        EXPECT_EQ(old.size(), id.size());
        for (auto at = bytes.find(old); at != bytes.npos; at = bytes.find(old, at))
            bytes.replace(at, id.size(), id);
        write_all(to, bytes);
        return to;
    }

    rlx::search_options indexed() const {
        auto o = box.only(dir);
        o.use_index = true;
        o.index_file = box.root() / "cache/plugins.index";
        return o;
    }

    // rlx-run with these plugins beside the built-in ones and an index of its own.
    outcome cli(std::vector<std::string> words, rlx::test::run_options o = {}) const {
        words.insert(words.begin(), rlx::test::program("rlx-run"));
        o.environment.push_back("RLX_PLUGIN_PATH=" + dir.native());
        o.environment.push_back("RLX_CACHE_DIR=" + (box.root() / "cache").native());
        return run(words, o);
    }

    sandbox box;
    fs::path dir;
};

TEST_F(scale, finds_one_of_five_hundred_plugins_cold_and_warm) {
    fill(500);
    for (int i = 0; i < 2; i++) {
        const auto catalog = box.open(indexed());
        EXPECT_EQ(catalog->manifests().size(), 500u);
        auto found = catalog->find_family("gguf", "arch100317moe");
        ASSERT_TRUE(found.ok()) << found.error().message;
        EXPECT_EQ(found->owner->id, "org.example.family100317");
        EXPECT_EQ(found->owner->library, dir / "family100317.so");
        EXPECT_EQ(found->owner->provides[0].required_meta.size(), 3u);
        EXPECT_EQ(found->owner->provides[1].flag_groups.size(), 3u);
        EXPECT_TRUE(catalog->loaded().empty());
    }
}

// One entry with a value of its own in every field, whatever that means for its kind.
std::string full_manifest() {
#if defined(__x86_64__)
    const std::string arch = "x86_64", isa = "x86-64";
#elif defined(__aarch64__)
    const std::string arch = "aarch64", isa = "armv8-a";
#else
    const std::string arch = "riscv64", isa = "rv64gc";
#endif
    return R"({ "rlx_manifest": 1, "id": "org.example.full", "version": "4.5.6",
        "abi": {"major": 1, "min_minor": 1}, "platform": {"os": "linux", "arch": ")" +
           arch + R"(", "isa": [")" + isa + R"("]},
        "requires": {"sonames": ["libc.so.6"], "interfaces": ["rlx.graph/1"]},
        "provides": [ {"kind": "weight_format", "name": "full", "summary": "a summary", "task": "lm",
            "interface": "an.interface/1", "priority": 77, "gguf_arches": ["g1", "g2"],
            "hf_model_types": ["h"], "formats": ["f"], "required_meta": ["r1", "r2"],
            "flag_groups": ["lm", "device"], "devices": ["cpu"], "extensions": [".full"],
            "magic": ["46554c4c"], "arches": ["a"], "implements": "another", "more": [1, 2]} ] })";
}

void expect_equal(const rlx::provided& a, const rlx::provided& b) {
    EXPECT_EQ(a.kind, b.kind);
    EXPECT_EQ(a.name, b.name);
    EXPECT_EQ(a.summary, b.summary);
    EXPECT_EQ(a.task, b.task);
    EXPECT_EQ(a.interface, b.interface);
    EXPECT_EQ(a.priority, b.priority);
    EXPECT_EQ(a.gguf_arches, b.gguf_arches);
    EXPECT_EQ(a.hf_model_types, b.hf_model_types);
    EXPECT_EQ(a.formats, b.formats);
    EXPECT_EQ(a.required_meta, b.required_meta);
    EXPECT_EQ(a.flag_groups, b.flag_groups);
    EXPECT_EQ(a.devices, b.devices);
    EXPECT_EQ(a.extensions, b.extensions);
    EXPECT_EQ(a.magic, b.magic);
    EXPECT_EQ(a.arches, b.arches);
    EXPECT_EQ(a.implements, b.implements);
    EXPECT_EQ(a.json, b.json);
}

// Every field differs from that of an empty manifest, else comparing it would show nothing.
void expect_full(const rlx::manifest& m) {
    const auto& [id, version, library, provides, major, minor, os, arch, isa, sonames, interfaces] =
        m;
    for (const std::size_t size :
         {id.size(),
          version.size(),
          library.native().size(),
          provides.size(),
          os.size(),
          arch.size(),
          isa.size(),
          sonames.size(),
          interfaces.size()})
        EXPECT_NE(size, 0u);
    EXPECT_NE(major, 0);
    EXPECT_NE(minor, 0);
    ASSERT_EQ(provides.size(), 1u);
    const auto& [kind, name, summary, task, interface, priority, gguf, hf, formats, meta, groups, devices, extensions, magics, arches, implements, json] =
        provides[0];
    for (const auto* text : {&kind, &name, &summary, &task, &interface, &implements, &json})
        EXPECT_NE(*text, "");
    for (const auto* list :
         {&gguf, &hf, &formats, &meta, &groups, &devices, &extensions, &magics, &arches})
        EXPECT_FALSE(list->empty());
    EXPECT_EQ(priority, 77);
}

// What comes from the index equals what comes from the file, and it does come from the index.
TEST_F(scale, index_holds_every_field_of_a_manifest) {
    fill(2);
    write_all(dir / "full.so", tiny_elf(full_manifest()));
    const fs::path toy = box.add("toy", "toy", dir);
    const auto cold = box.open(indexed());
    swap_unnoticed(dir / "full.so", "garbage", box.root() / "cache/plugins.index");
    const auto warm = box.open(indexed());
    ASSERT_EQ(cold->manifests().size(), 4u);
    ASSERT_EQ(warm->manifests().size(), 4u);
    for (std::size_t i = 0; i < 4; i++) {
        const rlx::manifest &a = cold->manifests()[i], &b = warm->manifests()[i];
        EXPECT_EQ(a.id, b.id);
        EXPECT_EQ(a.version, b.version);
        EXPECT_EQ(a.library, b.library);
        EXPECT_EQ(a.abi_major, b.abi_major);
        EXPECT_EQ(a.abi_min_minor, b.abi_min_minor);
        EXPECT_EQ(a.os, b.os);
        EXPECT_EQ(a.arch, b.arch);
        EXPECT_EQ(a.isa, b.isa);
        EXPECT_EQ(a.sonames, b.sonames);
        EXPECT_EQ(a.interfaces, b.interfaces);
        ASSERT_EQ(a.provides.size(), b.provides.size());
        for (std::size_t k = 0; k < a.provides.size(); k++)
            expect_equal(a.provides[k], b.provides[k]);
        if (a.id == "org.example.full") expect_full(a);
    }
    EXPECT_TRUE(std::ranges::any_of(warm->manifests(), [](const auto& m) {
        return m.id == "org.example.full";
    }));
}

TEST_F(scale, plugins_that_crash_or_hang_when_loaded_disturb_nobody_who_does_not_load_them) {
    fill(20);
    add_bad("load_crash", "a-crash", "org.rlx.test.crashe");
    add_bad("load_hang", "b-hang", "org.rlx.test.hanger");
    add_bad("crash", "c-crash", "org.rlx.test.build1");
    const std::string model = rlx::test::stories_model();
    for (int i = 0; i < 2; i++) { // cold and warm
        const outcome list = cli({"plugins"});
        EXPECT_EQ(list.exit_code, 0) << list.err;
        EXPECT_NE(list.out.find("org.rlx.test.hanger"), std::string::npos);
        EXPECT_NE(list.out.find("org.example.family100019"), std::string::npos);
        const outcome plan = cli({"auto", "--weights", model, "--plan"});
        EXPECT_EQ(plan.exit_code, 0) << plan.err;
        const outcome check = cli({"check", model});
        EXPECT_EQ(check.exit_code, 0) << check.err;
        const outcome text = cli(
            {"auto", "--weights", model, "--prompt-ids", "1,2,3", "--max-tokens", "4", "--quiet"}
        );
        EXPECT_EQ(text.exit_code, 0) << text.err;
    }
}

TEST_F(scale, plugin_that_hangs_when_loaded_is_named_and_ended_by_ctrl_c) {
    const fs::path hanging = add_bad("load_hang", "hang", "org.rlx.test.hanger");
    const std::string model = rlx::test::stories_model();
    // The device asked for is the hanging plugin's: exactly this one is loaded.
    const std::string words = "exec '" + rlx::test::program("rlx-run") + "' run --weights '" +
                              model +
                              "' --device sample --prompt-ids 1,2 & pid=$!; "
                              "until grep -q hang.so /proc/$pid/maps; do sleep 0.1; done; "
                              "kill -INT $pid; wait $pid";
    const auto begin = std::chrono::steady_clock::now();
    const outcome o =
        run({"/bin/bash", "-m", "-c", words},
            {.environment =
                 {"RLX_PLUGIN_PATH=" + dir.native(),
                  "RLX_CACHE_DIR=" + (box.root() / "cache").native()},
             .timeout_seconds = 60});
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    EXPECT_EQ(o.exit_code, 130) << o.out << o.err;
    EXPECT_NE(
        o.err.find(
            "interrupted while the plugin org.rlx.test.hanger (" + hanging.native() +
            ") was being loaded"
        ),
        o.err.npos
    ) << o.err;
    EXPECT_LT(took.count(), 30);
}

TEST_F(scale, plugin_that_crashes_when_loaded_is_named) {
    const fs::path crashing = add_bad("load_crash", "crash", "org.rlx.test.crashe");
    const outcome o = cli(
        {"run",
         "--weights",
         rlx::test::stories_model(),
         "--device",
         "sample",
         "--prompt-ids",
         "1,2"}
    );
    EXPECT_NE(o.exit_code, 0);
    EXPECT_EQ(o.out, "");
#if !defined(__SANITIZE_ADDRESS__) &&                                                              \
    !defined(__SANITIZE_THREAD__) // they have handlers of their own
    EXPECT_NE(
        o.err.find("the plugin org.rlx.test.crashe (" + crashing.native() + ") crashed (SIG"),
        o.err.npos
    ) << o.err;
#endif
}

TEST_F(scale, plugin_that_exits_when_loaded_is_named_and_is_no_success) {
    const fs::path leaving = add_bad("load_leave", "leave", "org.rlx.test.leaver");
    const outcome o = cli(
        {"run",
         "--weights",
         rlx::test::stories_model(),
         "--device",
         "sample",
         "--prompt-ids",
         "1,2"}
    );
    EXPECT_EQ(o.exit_code, 1); // the plugin says 3
    EXPECT_NE(
        o.err.find("the plugin org.rlx.test.leaver (" + leaving.native() + ") ended the program"),
        o.err.npos
    ) << o.err;
}

TEST_F(scale, files_that_are_no_plugins_are_named_and_passed_over) {
    fill(3);
    const std::string good = tiny_elf(tiny_manifest(50));
    write_all(dir / "a-empty.so", "");
    write_all(dir / "a\033[31m\nb.so", good);
    write_all(dir / "b-garbage.so", std::string(5000, '\x5a'));
    write_all(dir / "c-truncated.so", good.substr(0, good.size() / 2));
    write_all(dir / "d-header.so", good.substr(0, 64));
    std::string cut = read_all(fs::path(RLX_BAD_PLUGINS) / "nothing.so");
    write_all(dir / "e-cut.so", cut.substr(0, cut.size() / 3));
    fs::create_directory(dir / "f-folder.so");
    ASSERT_EQ(::mkfifo((dir / "g-fifo.so").c_str(), 0644), 0);
    fs::create_symlink("/dev/zero", dir / "h-zero.so");
    const bool node = ::mknod((dir / "i-node.so").c_str(), S_IFCHR | 0644, makedev(1, 5)) == 0;
    fs::create_symlink("nowhere", dir / "j-dangling.so");
    const auto catalog = box.open(indexed());
    EXPECT_EQ(catalog->manifests().size(), 3u);
    EXPECT_TRUE(refused(*catalog, dir / "a-empty.so", "too short for an ELF file"));
    EXPECT_TRUE(refused(*catalog, dir / "a\033[31m\nb.so", "its name has control characters"));
    EXPECT_TRUE(refused(*catalog, dir / "b-garbage.so", "is not an ELF file"));
    EXPECT_TRUE(refused(*catalog, dir / "c-truncated.so", "truncated"));
    EXPECT_TRUE(refused(*catalog, dir / "d-header.so", "truncated"));
    EXPECT_TRUE(refused(*catalog, dir / "e-cut.so", "truncated"));
    EXPECT_TRUE(refused(*catalog, dir / "f-folder.so", "not a regular file"));
    EXPECT_TRUE(refused(*catalog, dir / "g-fifo.so", "not a regular file"));
    EXPECT_TRUE(refused(*catalog, dir / "h-zero.so", "symbolic link"));
    EXPECT_TRUE(refused(*catalog, dir / "j-dangling.so", "symbolic link"));
    if (node) {
        EXPECT_TRUE(refused(*catalog, dir / "i-node.so", "not a regular file"));
    }
    const outcome o = cli({"plugins", "--why"});
    EXPECT_EQ(o.exit_code, 0) << o.err;
    EXPECT_NE(o.out.find("g-fifo.so: is not a regular file"), std::string::npos) << o.out;
    EXPECT_NE(o.out.find("a\\x1b[31m\\x0ab.so: its name has"), std::string::npos) << o.out;
    EXPECT_EQ(o.out.find('\033'), std::string::npos);
}

TEST_F(scale, runs_at_the_same_time_leave_a_whole_index) {
    fill(60);
    std::vector<std::jthread> threads;
    std::atomic<int> wrong = 0;
    for (int t = 0; t < 6; t++) {
        threads.emplace_back([&] {
            for (int i = 0; i < 5; i++)
                wrong += cli({"plugins"}).out.find("org.example.family100059") == std::string::npos;
        });
    }
    threads.clear();
    EXPECT_EQ(wrong, 0);
    std::vector<std::string> left;
    for (const auto& e : fs::directory_iterator(box.root() / "cache"))
        left.push_back(e.path().filename());
    EXPECT_EQ(left.size(), 1u) << "temporary files are left beside the index";
}

TEST_F(scale, cache_that_cannot_be_written_changes_nothing) {
    fill(5);
    write_all(box.root() / "cache", "a file where the folder would be");
    const std::vector<std::string> commands[] = {
        {"plugins"},
        {"plugins", "--why"},
        {"auto", "--weights", rlx::test::stories_model(), "--plan"}};
    for (const auto& words : commands) {
        const outcome o = cli(words);
        EXPECT_EQ(o.exit_code, 0);
        if (words[0] == "plugins") {
            EXPECT_NE(o.out.find("org.example.family100004"), std::string::npos);
        }
        // Searched once, so told once.
        const auto at = o.err.find("is not written");
        ASSERT_NE(at, o.err.npos) << words[0] << o.err;
        EXPECT_EQ(o.err.find("is not written", at + 1), o.err.npos) << o.err;
    }
}

} // namespace
