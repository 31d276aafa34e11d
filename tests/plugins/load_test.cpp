// SPDX-License-Identifier: GPL-3.0-only
// Loading: the right code runs, and every plugin that fails does so alone and with a reason.
#include "sandbox.hpp"

#include "rlx/abi/family.h"
#include "rlx/base/options.hpp"
#include "rlx/base/wall.hpp"

#include <fcntl.h>
#include <thread>
#include <unistd.h>

namespace {

class load : public ::testing::Test {
protected:
    // The error of loading the only plugin in the box.
    rlx::error failure() {
        catalog_ = box.open();
        EXPECT_EQ(catalog_->manifests().size(), 1u);
        auto p = catalog_->load(catalog_->manifests()[0]);
        EXPECT_FALSE(p.ok());
        EXPECT_TRUE(catalog_->loaded().empty());
        return p.ok() ? rlx::error{RLX_OK, "it loaded"} : p.error();
    }

    void expect_failure(const char* sample, std::uint32_t code, std::string_view why) {
        const auto file = box.add(sample);
        const auto e = failure();
        EXPECT_EQ(e.code, code) << e.message;
        EXPECT_NE(e.message.find(why), std::string::npos) << e.message;
        EXPECT_NE(e.message.find(file.native()), std::string::npos) << e.message;
    }

    sandbox box;

private:
    std::unique_ptr<rlx::plugin_catalog> catalog_;
};

std::int64_t toy_vocab(rlx::plugin& p) {
    auto table = p.iface("rlx.family/1");
    EXPECT_TRUE(table.ok());
    const auto* family = static_cast<const rlx_family_v1*>(*table);
    void* model = nullptr;
    rlx::options in;
    in.set_int("vocab", 42);
    // The toy never looks at its weights; any address will do.
    auto* weights = reinterpret_cast<rlx_weights*>(&in);
    auto opened = rlx::check_wall(family->open(p.table().self, weights, in.handle(), &model));
    if (!opened.ok()) {
        ADD_FAILURE() << opened.error().message;
        return -1;
    }
    rlx::options facts;
    EXPECT_TRUE(rlx::check_wall(family->info(p.table().self, model, facts.handle())).ok());
    family->close(p.table().self, model);
    return facts.get_int("vocab_size").value_or(-1);
}

TEST_F(load, good_plugin_answers_through_its_table) {
    box.add("toy");
    const auto catalog = box.open();
    auto p = catalog->load(catalog->manifests()[0]);
    ASSERT_TRUE(p.ok()) << p.error().message;
    EXPECT_EQ(rlx::view((*p)->table().id), "org.rlx.test.toy");
    EXPECT_EQ((*p)->table().hdr.minor, RLX_ABI_MINOR);
    EXPECT_EQ((*p)->describe().version, "1.2.3");
    EXPECT_EQ(toy_vocab(**p), 42);
    EXPECT_EQ(catalog->loaded().size(), 1u);
}

TEST_F(load, again_gives_the_same_plugin_even_from_another_catalog) {
    box.add("toy");
    const auto catalog = box.open();
    auto first = catalog->load(catalog->manifests()[0]);
    auto second = catalog->load(catalog->manifests()[0]);
    const auto other = box.open();
    auto third = other->load(other->manifests()[0]);
    ASSERT_TRUE(first.ok() && second.ok() && third.ok());
    EXPECT_EQ(*first, *second);
    EXPECT_EQ(*first, *third);
    EXPECT_EQ(catalog->loaded().size(), 1u);
}

TEST_F(load, of_many_files_gives_each_its_own_code) {
    // Descriptors and their names must never be mixed up.
    std::vector<rlx::plugin*> plugins;
    for (int i = 0; i < 10; i++) {
        const auto dir = box.folder(std::to_string(i));
        box.add(i % 2 ? "plain" : "toy", "p", dir);
        const auto catalog = box.open(box.only(dir));
        auto p = catalog->load(catalog->manifests()[0]);
        ASSERT_TRUE(p.ok()) << p.error().message;
        plugins.push_back(*p);
    }
    for (int i = 0; i < 10; i++) {
        EXPECT_EQ(
            rlx::view(plugins[i]->table().id), i % 2 ? "org.rlx.test.plain" : "org.rlx.test.toy"
        );
        EXPECT_EQ(plugins[i]->iface("rlx.family/1").ok(), i % 2 == 0);
        for (int k = 0; k < i; k++)
            EXPECT_NE(plugins[i], plugins[k]);
    }
}

TEST_F(load, from_many_threads_runs_the_entry_once) {
    box.add("toy");
    const auto catalog = box.open();
    std::vector<rlx::plugin*> got(8);
    {
        std::vector<std::jthread> threads;
        for (auto& p : got) {
            threads.emplace_back([&] { p = catalog->load(catalog->manifests()[0]).value(); });
        }
    }
    for (auto* p : got)
        EXPECT_EQ(p, got[0]);
    EXPECT_EQ(catalog->loaded().size(), 1u);
}

TEST_F(load, of_c_plugin_works_and_its_interfaces_are_checked) {
    box.add("plain");
    const auto catalog = box.open();
    auto p = catalog->load(catalog->manifests()[0]);
    ASSERT_TRUE(p.ok()) << p.error().message;
    EXPECT_TRUE((*p)->iface("test.base/1").ok());
    const auto missing = (*p)->iface("rlx.family/1");
    ASSERT_FALSE(missing.ok());
    for (const char* part : {"org.rlx.test.plain", "rlx.family/1", "minor 0"})
        EXPECT_NE(missing.error().message.find(part), std::string::npos) << missing.error().message;
    EXPECT_EQ((*p)->iface("test.base/1", 3).error().code, std::uint32_t{RLX_UNSUPPORTED});
    // One that answers with less than was asked for.
    EXPECT_TRUE((*p)->iface("test.old/1").ok());
    EXPECT_EQ((*p)->iface("test.old/1", 3).error().code, std::uint32_t{RLX_VERSION_MISMATCH});
}

TEST_F(load, never_takes_the_place_of_a_closed_standard_stream) {
    box.add("toy");
    const auto child = [&] {
        for (int fd = 0; fd <= STDERR_FILENO; fd++)
            close(fd);
        const auto catalog = box.open();
        bool good = catalog->load(catalog->manifests()[0]).ok();
        for (int fd = 0; fd <= STDERR_FILENO; fd++)
            good &= fcntl(fd, F_GETFD) == -1;
        _exit(good ? 0 : 1);
    };
    EXPECT_EXIT(child(), ::testing::ExitedWithCode(0), "");
}

TEST_F(load, refuses_a_library_without_entry) {
    expect_failure("noentry", RLX_UNSUPPORTED, "exports no rlx_plugin_entry_v1");
}

TEST_F(load, passes_on_the_error_of_the_entry) {
    expect_failure("refuses", RLX_UNSUPPORTED, "the moon is in the wrong phase");
}

TEST_F(load, survives_an_entry_that_throws) {
    expect_failure("throws", RLX_PLUGIN_THREW, "out of the entry");
}

TEST_F(load, refuses_a_table_that_was_not_filled) {
    expect_failure("empty", RLX_VERSION_MISMATCH, "a table of 0 bytes");
}

TEST_F(load, refuses_code_that_is_not_what_the_manifest_says) {
    expect_failure("stamp", RLX_VERSION_MISMATCH, "its code says org.rlx.test.other");
}

TEST_F(load, names_a_missing_library_before_touching_the_plugin) {
    expect_failure("soname", RLX_NOT_FOUND, "needs the library librlx-no-such-thing.so.9");
}

TEST_F(load, names_a_missing_symbol_and_the_file) {
    const auto file = box.add("unresolved");
    std::string bytes = read_all(file);
    bytes.replace(bytes.find("strverscmp"), 10, "strverscmQ");
    write_all(file, bytes);
    const auto e = failure();
    EXPECT_EQ(e.code, std::uint32_t{RLX_UNSUPPORTED});
    EXPECT_NE(e.message.find("strverscmQ"), std::string::npos) << e.message;
    EXPECT_NE(e.message.find(file.native()), std::string::npos) << e.message;
    EXPECT_EQ(e.message.find("/proc/self"), std::string::npos) << e.message;
}

TEST_F(load, may_be_tried_again_after_a_failure) {
    box.add("init_fails");
    const auto catalog = box.open();
    const auto& m = catalog->manifests()[0];
    const auto first = catalog->load(m);
    ASSERT_FALSE(first.ok());
    EXPECT_EQ(first.error().code, std::uint32_t{RLX_PLUGIN_THREW});
    EXPECT_NE(first.error().message.find("first attempt"), std::string::npos);
    const auto second = catalog->load(m);
    ASSERT_FALSE(second.ok());
    EXPECT_EQ(second.error().code, std::uint32_t{RLX_IO});
    EXPECT_TRUE(catalog->load(m).ok());
}

TEST_F(load, of_a_failing_plugin_leaves_the_others_usable) {
    box.add("throws");
    box.add("refuses");
    box.add("plain");
    const auto catalog = box.open();
    int loaded = 0;
    for (const auto& m : catalog->manifests())
        loaded += catalog->load(m).ok();
    EXPECT_EQ(loaded, 1);
}

TEST_F(load, refuses_a_link_put_in_place_after_the_search) {
    const auto file = box.add("plain");
    const auto planted = box.add("toy", "planted", box.folder("elsewhere"));
    const auto catalog = box.open();
    fs::remove(file);
    fs::create_symlink(planted, file);
    const auto p = catalog->load(catalog->manifests()[0]);
    ASSERT_FALSE(p.ok());
    EXPECT_NE(p.error().message.find("symbolic link"), std::string::npos) << p.error().message;
}

TEST_F(load, refuses_another_plugin_put_in_place_after_the_search) {
    const auto file = box.add("plain");
    const auto catalog = box.open();
    fs::remove(file);
    fs::remove(file.native() + ".rlx.json");
    box.add("toy", "plain", box.root());
    const auto p = catalog->load(catalog->manifests()[0]);
    ASSERT_FALSE(p.ok());
    EXPECT_NE(
        p.error().message.find("the file is org.rlx.test.toy 1.2.3 by now"), std::string::npos
    ) << p.error().message;
}

TEST_F(load, refuses_a_file_or_directory_opened_to_all_after_the_search) {
    const auto file = box.add("plain");
    const auto catalog = box.open();
    fs::permissions(file, fs::perms(0666));
    EXPECT_FALSE(catalog->load(catalog->manifests()[0]).ok());
    fs::permissions(file, fs::perms(0644));
    fs::permissions(box.root(), fs::perms(0777));
    EXPECT_FALSE(catalog->load(catalog->manifests()[0]).ok());
    fs::permissions(box.root(), fs::perms(0755));
    EXPECT_TRUE(catalog->load(catalog->manifests()[0]).ok());
}

} // namespace
