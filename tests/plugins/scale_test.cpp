// SPDX-License-Identifier: GPL-3.0-only
// Very many plugins, and bad ones among them: nobody is disturbed. How fast:
// benchmarks/plugin_scale.sh.
#include "sandbox.hpp"
#include "tiny_elf.hpp"

#include "process.hpp"

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

// What comes from the index equals what comes from the file.
TEST_F(scale, index_holds_every_field_of_a_manifest) {
    fill(3);
    const fs::path toy = box.add("toy", "toy", dir);
    const auto cold = box.open(indexed());
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
        for (std::size_t k = 0; k < a.provides.size(); k++) {
            EXPECT_EQ(a.provides[k].json, b.provides[k].json);
            EXPECT_EQ(a.provides[k].priority, b.provides[k].priority);
            EXPECT_EQ(a.provides[k].gguf_arches, b.provides[k].gguf_arches);
            EXPECT_EQ(a.provides[k].devices, b.provides[k].devices);
        }
    }
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

TEST_F(scale, plugin_that_hangs_when_loaded_ends_with_the_second_ctrl_c) {
    add_bad("load_hang", "hang", "org.rlx.test.hanger");
    const std::string model = rlx::test::stories_model();
    // The device asked for is the hanging plugin's: exactly this one is loaded.
    std::string words =
        "exec '" + rlx::test::program("rlx-run") + "' run --weights '" + model +
        "' --device sample --prompt-ids 1,2 & pid=$!; sleep 1; kill -INT $pid; sleep 0.2; kill -INT $pid; wait $pid";
    const auto begin = std::chrono::steady_clock::now();
    const outcome o =
        run({"/bin/bash", "-m", "-c", words},
            {.environment =
                 {"RLX_PLUGIN_PATH=" + dir.native(),
                  "RLX_CACHE_DIR=" + (box.root() / "cache").native()},
             .timeout_seconds = 60});
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    EXPECT_EQ(o.exit_code, 130) << o.out << o.err;
    EXPECT_LT(took.count(), 30);
}

TEST_F(scale, files_that_are_no_plugins_are_named_and_passed_over) {
    fill(3);
    const std::string good = tiny_elf(tiny_manifest(50));
    write_all(dir / "a-empty.so", "");
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
    for (int i = 0; i < 2; i++) {
        const outcome o = cli({"plugins"});
        EXPECT_EQ(o.exit_code, 0);
        EXPECT_NE(o.out.find("org.example.family100004"), std::string::npos);
    }
}

} // namespace
