// SPDX-License-Identifier: GPL-3.0-only
// Somebody puts libraries where LD_LIBRARY_PATH leads: attack 7 of attack_test.cpp.
#include "attack.hpp"

namespace {

TEST_F(attack, DISABLED_under_a_library_path) {
    EXPECT_FALSE(variable("LD_LIBRARY_PATH").empty());
    const fs::path good = variable("RLX_TEST_GOOD"), evil = variable("RLX_TEST_EVIL");
    for (const auto& m : box.open({.use_index = false})->manifests())
        EXPECT_FALSE(m.library.native().starts_with(evil.native())) << m.library;
    // Its own library is beside the plugin; the namesake in the path is not asked.
    auto catalog = box.open(box.only(good));
    auto p = catalog->load(*catalog->find("test", "origin").value().owner);
    ASSERT_TRUE(p.ok()) << p.error().message;
    EXPECT_EQ(static_cast<const rlx_hdr*>(*(*p)->iface("test.private/1"))->minor, 7);
    EXPECT_FALSE(is_mapped(evil / "libsample-private.so.1"));
}

// What only the user can change is the user's business: the library comes from there.
TEST_F(attack, DISABLED_under_a_private_library_path) {
    auto catalog = box.open(box.only(variable("RLX_TEST_GOOD")));
    auto p = catalog->load(*catalog->find("test", "library").value().owner);
    ASSERT_TRUE(p.ok()) << p.error().message;
    EXPECT_EQ(static_cast<const rlx_hdr*>(*(*p)->iface("test.private/1"))->minor, 7);
}

TEST_F(attack, DISABLED_under_an_open_library_path) {
    auto catalog = box.open(box.only(variable("RLX_TEST_GOOD")));
    ASSERT_FALSE(catalog->manifests().empty());
    for (const auto& m : catalog->manifests()) {
        const auto p = catalog->load(m);
        ASSERT_FALSE(p.ok()) << m.id;
        const std::string& said = p.error().message;
        EXPECT_NE(said.find(variable("RLX_TEST_WHY")), said.npos) << said;
    }
    EXPECT_FALSE(is_mapped(variable("RLX_TEST_EVIL")));
    EXPECT_TRUE(catalog->loaded().empty());
}

TEST_F(attack, library_path_brings_in_neither_plugins_nor_their_libraries) {
    const auto good = box.folder("good"), evil = box.folder("evil");
    box.add("origin", "origin", good);
    add_private(good, 7);
    box.add("toy", "toy", evil);
    add_private(evil, 666);
    const std::vector<std::string> variables = {
        "LD_LIBRARY_PATH=" + evil.native() + ":/nonexistent/lib",
        "RLX_TEST_GOOD=" + good.native(),
        "RLX_TEST_EVIL=" + evil.native()};
    EXPECT_EQ(
        run_test(this_program(), "DISABLED_under_a_library_path", box.root(), variables), "passed"
    );
}

TEST_F(attack, private_library_path_stays_in_use) {
    const auto good = box.folder("good"), libraries = box.folder("libraries");
    box.add("library", "library", good);
    add_private(libraries, 7);
    const std::vector<std::string> variables = {
        "LD_LIBRARY_PATH=" + libraries.native(), "RLX_TEST_GOOD=" + good.native()};
    EXPECT_EQ(
        run_test(this_program(), "DISABLED_under_a_private_library_path", box.root(), variables),
        "passed"
    );
}

// A plugin that gets code from an open folder, in every way the system's loader knows.
class open_library_path : public attack {
protected:
    // `list` is LD_LIBRARY_PATH, `evil` the library that must not be mapped.
    void repelled_under(const std::string& list, std::string_view why, const fs::path& evil) {
        const std::vector<std::string> variables = {
            "LD_LIBRARY_PATH=" + list,
            "RLX_TEST_GOOD=" + good.native(),
            "RLX_TEST_EVIL=" + (evil / "libsample-private.so.1").native(),
            "RLX_TEST_WHY=" + std::string(why)};
        EXPECT_EQ(
            run_test(this_program(), "DISABLED_under_an_open_library_path", box.root(), variables),
            "passed"
        ) << list;
    }

    static std::string holds(const fs::path& folder) {
        return "LD_LIBRARY_PATH holds '" + folder.native() + "', so code of others could be loaded";
    }

    fs::path good = box.folder("good");
};

TEST_F(open_library_path, is_refused_for_what_the_plugin_needs) {
    const auto evil = box.folder("evil");
    box.add("library", "library", good);
    add_private(evil, 666);
    ASSERT_EQ(::chmod(evil.c_str(), 0777), 0);
    repelled_under(evil, holds(evil), evil);
    repelled_under("/nonexistent;" + evil.native(), "is writable by every user", evil);
}

TEST_F(open_library_path, is_refused_for_what_a_needed_library_needs) {
    const auto middle = box.folder("middle"), evil = box.folder("evil");
    box.add("chain", "chain", good);
    fs::copy_file(
        fs::path(RLX_SAMPLE_PLUGINS) / "middle/libsample-middle.so.1",
        middle / "libsample-middle.so.1"
    );
    add_private(evil, 666);
    ASSERT_EQ(::chmod(evil.c_str(), 0777), 0);
    repelled_under(middle.native() + ":" + evil.native(), holds(evil), evil);
}

TEST_F(open_library_path, is_refused_for_a_plugin_that_needs_nothing) {
    const auto evil = box.folder("evil");
    box.add("plain", "plain", good);
    ASSERT_EQ(::chmod(evil.c_str(), 0777), 0);
    repelled_under(evil, "take it out of LD_LIBRARY_PATH", evil);
}

TEST_F(open_library_path, is_refused_for_its_subfolders_of_processors) {
    const auto libraries = box.folder("libraries");
    box.add("library", "library", good);
    for (const char* name : {"glibc-hwcaps/x86-64-v2", "tls", "glibc-hwcaps"}) {
        const auto evil = box.folder(std::string("libraries/") + name);
        add_private(evil, 666);
        ASSERT_EQ(::chmod(evil.c_str(), 0777), 0);
        repelled_under(libraries, evil.native() + " is writable by every user", evil);
        fs::remove_all(evil);
    }
    fs::create_symlink("..", box.folder("libraries/glibc-hwcaps") / "round");
    repelled_under(libraries, "Too many levels of symbolic links", libraries);
}

TEST_F(open_library_path, is_refused_for_a_library_others_may_write_to) {
    const auto evil = box.folder("evil");
    box.add("library", "library", good);
    add_private(evil, 666);
    const auto library = evil / "libsample-private.so.1";
    ASSERT_EQ(::chmod(library.c_str(), 0666), 0);
    repelled_under(evil, library.native() + " is writable by every user", evil);
    const auto libraries = box.folder("libraries");
    fs::create_symlink(library, libraries / library.filename());
    repelled_under(libraries, library.native() + " is writable by every user", evil);
}

TEST_F(open_library_path, is_refused_for_a_link_others_may_replace) {
    const auto evil = box.folder("evil"), open = box.folder("open");
    box.add("library", "library", good);
    add_private(evil, 666);
    fs::create_directory_symlink(evil, open / "link");
    fs::create_directory_symlink(open / "link", box.root() / "first");
    ASSERT_EQ(::chmod(open.c_str(), 0777), 0);
    repelled_under(open / "link", open.native() + " is writable by every user", evil);
    repelled_under(box.root() / "first", open.native() + " is writable by every user", evil);
    if (::geteuid() != 0) return;
    ASSERT_EQ(::chmod(open.c_str(), 01777), 0);
    ASSERT_EQ(::lchown((open / "link").c_str(), 12345, 12345), 0);
    repelled_under(open / "link", "link is owned by user 12345", evil);
}

TEST_F(open_library_path, is_refused_when_it_depends_on_the_working_directory) {
    const auto evil = box.folder("evil");
    box.add("library", "library", good);
    add_private(evil, 666);
    add_private(box.root(), 666);
    repelled_under("evil", "relative to the working directory", evil);
    repelled_under("/nonexistent:", "an empty entry is the working directory", box.root());
    repelled_under(":/nonexistent", "an empty entry is the working directory", box.root());
    repelled_under(box.root() / "$LIB/../evil", "up to each library", evil);
}

} // namespace
