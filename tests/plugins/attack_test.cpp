// SPDX-License-Identifier: GPL-3.0-only
// Somebody puts code where plugins come from. Every attack ends with nothing loaded and a message
// that says why.
#include "sandbox.hpp"

#include "rlx/base/environment.hpp"

#include <cstring>
#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>

namespace {

class attack : public ::testing::Test {
protected:
    // True when the very file is mapped into this process, under whatever name.
    static bool is_mapped(const fs::path& file) {
        struct stat st {};

        if (::stat(file.c_str(), &st) != 0) return false;
        std::ifstream maps("/proc/self/maps");
        for (std::string line; std::getline(maps, line);) {
            unsigned long inode = 0;
            if (std::sscanf(line.c_str(), "%*s %*s %*s %*s %lu", &inode) == 1 && inode == st.st_ino)
                return true;
        }
        return false;
    }

    // Nothing of these directories is loaded, and `where` is refused saying `why`.
    void repelled(
        const rlx::search_options& o,
        const fs::path& where,
        std::string_view why,
        const fs::path& planted
    ) {
        const auto catalog = box.open(o);
        EXPECT_TRUE(refused(*catalog, where, why));
        int loaded = 0;
        for (const auto& m : catalog->manifests())
            loaded += catalog->load(m).ok();
        EXPECT_EQ(loaded, 0);
        EXPECT_FALSE(is_mapped(planted));
    }

    // What was seen as good when the catalog was opened is refused at the load.
    void
    repelled_at_load(rlx::plugin_catalog& catalog, std::string_view why, const fs::path& planted) {
        ASSERT_EQ(catalog.manifests().size(), 1u);
        const auto p = catalog.load(catalog.manifests()[0]);
        ASSERT_FALSE(p.ok());
        EXPECT_NE(p.error().message.find(why), std::string::npos) << p.error().message;
        EXPECT_TRUE(catalog.loaded().empty());
        EXPECT_FALSE(is_mapped(planted));
    }

    // Runs one of the tests below in a process of its own, whose first directory and environment
    // are given.
    static int run_test(
        const fs::path& program,
        const char* name,
        const fs::path& folder,
        std::vector<std::string> variables
    ) {
        std::vector<std::string> words = {
            program.native(),
            std::string("--gtest_filter=*") + name,
            "--gtest_also_run_disabled_tests"};
        for (char** v = ::environ; *v; v++)
            if (std::strncmp(*v, "LD_LIBRARY_PATH=", 16) != 0) variables.emplace_back(*v);
        std::vector<char*> argv, envp;
        for (auto& w : words)
            argv.push_back(w.data());
        for (auto& v : variables)
            envp.push_back(v.data());
        argv.push_back(nullptr);
        envp.push_back(nullptr);
        posix_spawn_file_actions_t actions;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_addchdir_np(&actions, folder.c_str());
        pid_t child = 0;
        const int failed =
            ::posix_spawn(&child, program.c_str(), &actions, nullptr, argv.data(), envp.data());
        posix_spawn_file_actions_destroy(&actions);
        if (failed) return failed;
        int status = 0;
        ::waitpid(child, &status, 0);
        return status;
    }

    static fs::path this_program() { return fs::read_symlink("/proc/self/exe"); }

    void add_private(const fs::path& dir, int number) {
        const auto from = fs::path(RLX_SAMPLE_PLUGINS) / ("private-" + std::to_string(number));
        fs::copy_file(from / "libsample-private.so.1", dir / "libsample-private.so.1");
    }

    static std::string variable(const char* name) {
        const char* value = ::getenv(name);
        return value ? value : "";
    }

    sandbox box;
};

// ---- 1: a plugin in the working directory

TEST_F(attack, DISABLED_from_the_working_directory) {
    const auto catalog = box.open({.use_index = false});
    for (const auto& seen : catalog->candidates())
        EXPECT_FALSE(seen.file.native().starts_with(fs::current_path().native())) << seen.file;
    for (const auto& m : catalog->manifests())
        EXPECT_TRUE(m.id.starts_with("org.rlx.") && m.id.find("test") == m.id.npos) << m.id;
}

TEST_F(attack, plugin_planted_in_the_working_directory_is_not_seen) {
    const auto planted = box.add("toy");
    box.add("plain", "plain", box.folder("lib/rlx/plugins"));
    box.add("throws", "throws", box.folder("rlx/plugins"));
    EXPECT_EQ(run_test(this_program(), "DISABLED_from_the_working_directory", box.root(), {}), 0);
    repelled(box.only("."), ".", "relative directories are not searched", planted);
}

// ---- 2, 3: who may write to the directory

TEST_F(attack, world_writable_directory_is_refused) {
    const auto planted = box.add("toy");
    ASSERT_EQ(::chmod(box.root().c_str(), 0777), 0);
    repelled(box.only(), box.root(), "is writable by every user; run chmod o-w", planted);
    ASSERT_EQ(::chmod(box.root().c_str(), 01777), 0); // sticky: others may still add files
    repelled(box.only(), box.root(), "is writable by every user", planted);
}

TEST_F(attack, group_writable_directory_is_refused) {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can give a directory to another group";
    const auto planted = box.add("toy");
    ASSERT_EQ(::chown(box.root().c_str(), 0, 12345), 0);
    ASSERT_EQ(::chmod(box.root().c_str(), 0775), 0);
    repelled(box.only(), box.root(), "is writable by group 12345; run chmod g-w", planted);
    ASSERT_EQ(::chmod(box.root().c_str(), 0755), 0);
    ASSERT_EQ(::chown(planted.c_str(), 0, 12345), 0);
    ASSERT_EQ(::chmod(planted.c_str(), 0664), 0);
    repelled(box.only(), planted, "is writable by group 12345", planted);
}

// ---- 4: another owner

TEST_F(attack, files_of_another_owner_are_refused) {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can give files away";
    const auto planted = box.add("toy");
    ASSERT_EQ(::chown(planted.c_str(), 12345, 12345), 0);
    repelled(box.only(), planted, "is owned by user 12345, expected root or user 0", planted);
    ASSERT_EQ(::chown(planted.c_str(), 0, 0), 0);
    ASSERT_EQ(::chown(box.root().c_str(), 12345, 12345), 0);
    repelled(box.only(), box.root(), "is owned by user 12345", planted);
    ASSERT_EQ(::chown(box.root().c_str(), 0, 0), 0);
}

// ---- 5, 6: the file changes between the check and the load

TEST_F(attack, link_swapped_in_after_the_check_is_refused) {
    const auto file = box.add("plain");
    const auto planted = box.add("toy", "planted", box.folder("elsewhere"));
    const auto catalog = box.open();
    fs::remove(file);
    fs::create_symlink(planted, file);
    repelled_at_load(*catalog, "is a symbolic link", planted);
}

TEST_F(attack, directory_swapped_for_a_link_after_the_check_is_refused) {
    const auto dir = box.folder("plugins");
    box.add("plain", "plain", dir);
    const auto evil = box.folder("evil");
    const auto planted = box.add("toy", "plain", evil);
    const auto catalog = box.open(box.only(dir));
    fs::rename(dir, box.root() / "gone");
    fs::create_directory_symlink(evil, dir);
    // Where the link leads is judged; there another plugin lies under the name.
    repelled_at_load(*catalog, "the file is org.rlx.test.toy 1.2.3 by now", planted);
    ASSERT_EQ(::chmod(evil.c_str(), 0777), 0);
    repelled_at_load(*catalog, "is writable by every user", planted);
}

TEST_F(attack, file_replaced_after_the_check_is_refused) {
    const auto file = box.add("plain");
    const auto catalog = box.open();
    fs::remove(file);
    fs::remove(file.native() + ".rlx.json");
    const auto planted = box.add("toy", "plain", box.root());
    repelled_at_load(*catalog, "the file is org.rlx.test.toy 1.2.3 by now", planted);
}

// ---- 7: LD_LIBRARY_PATH

TEST_F(attack, DISABLED_under_a_library_path) {
    EXPECT_FALSE(variable("LD_LIBRARY_PATH").empty());
    const fs::path good = variable("RLX_TEST_GOOD"), evil = variable("LD_LIBRARY_PATH");
    for (const auto& m : box.open({.use_index = false})->manifests())
        EXPECT_FALSE(m.library.native().starts_with(evil.native())) << m.library;
    // Its own library is beside the plugin; the namesake in the path is not asked.
    auto catalog = box.open(box.only(good));
    auto p = catalog->load(*catalog->find("test", "origin").value().owner);
    ASSERT_TRUE(p.ok()) << p.error().message;
    EXPECT_EQ(static_cast<const rlx_hdr*>(*(*p)->iface("test.private/1"))->minor, 7);
    EXPECT_FALSE(is_mapped(evil / "libsample-private.so.1"));
}

TEST_F(attack, DISABLED_under_an_open_library_path) {
    const fs::path good = variable("RLX_TEST_GOOD"), evil = variable("LD_LIBRARY_PATH");
    auto catalog = box.open(box.only(good));
    const auto p = catalog->load(*catalog->find("test", "library").value().owner);
    ASSERT_FALSE(p.ok());
    EXPECT_NE(p.error().message.find("LD_LIBRARY_PATH leads to"), std::string::npos)
        << p.error().message;
    EXPECT_NE(p.error().message.find("writable by every user"), std::string::npos)
        << p.error().message;
    EXPECT_FALSE(is_mapped(evil / "libsample-private.so.1"));
    EXPECT_TRUE(catalog->loaded().empty());
}

TEST_F(attack, library_path_brings_in_neither_plugins_nor_their_libraries) {
    const auto good = box.folder("good"), evil = box.folder("evil");
    box.add("origin", "origin", good);
    box.add("library", "library", good);
    add_private(good, 7);
    box.add("toy", "toy", evil);
    add_private(evil, 666);
    const std::vector<std::string> variables = {
        "LD_LIBRARY_PATH=" + evil.native(), "RLX_TEST_GOOD=" + good.native()};
    EXPECT_EQ(run_test(this_program(), "DISABLED_under_a_library_path", box.root(), variables), 0);
    ASSERT_EQ(::chmod(evil.c_str(), 0777), 0);
    EXPECT_EQ(
        run_test(this_program(), "DISABLED_under_an_open_library_path", box.root(), variables), 0
    );
}

// ---- 8: search paths in the file

TEST_F(attack, search_path_in_the_file_is_refused) {
    const auto planted = box.add("rpath");
    const auto catalog = box.open();
    repelled_at_load(
        *catalog, "it looks for libraries in '/opt/somewhere' (RPATH or RUNPATH)", planted
    );
}

TEST_F(attack, origin_leads_to_the_library_beside_the_plugin) {
    box.add("origin");
    add_private(box.root(), 7);
    const auto catalog = box.open();
    auto p = catalog->load(catalog->manifests()[0]);
    ASSERT_TRUE(p.ok()) << p.error().message;
    EXPECT_EQ(static_cast<const rlx_hdr*>(*(*p)->iface("test.private/1"))->minor, 7);
}

TEST_F(attack, library_beside_the_plugin_is_checked_like_the_plugin) {
    box.add("origin");
    add_private(box.root(), 7);
    const auto library = box.root() / "libsample-private.so.1";
    const auto catalog = box.open();
    ASSERT_EQ(::chmod(library.c_str(), 0666), 0);
    repelled_at_load(
        *catalog, "its library libsample-private.so.1: is writable by every user", library
    );
    const auto elsewhere = box.folder("elsewhere");
    fs::rename(library, elsewhere / library.filename());
    fs::create_symlink(elsewhere / library.filename(), library);
    repelled_at_load(*catalog, "its library libsample-private.so.1: is a symbolic link", library);
}

TEST_F(attack, namesake_that_is_loaded_already_is_reported) {
    const auto first = box.folder("first"), second = box.folder("second");
    for (const auto& dir : {first, second}) {
        box.add("origin", "origin", dir);
        add_private(dir, dir == first ? 666 : 7);
    }
    const auto a = box.open(box.only(first));
    static_cast<void>(a->load(a->manifests()[0])); // or another test has loaded a third one
    const auto b = box.open(box.only(second));
    repelled_at_load(*b, "another library of that name is loaded already", second / "origin.so");
}

TEST_F(attack, plugin_whose_library_is_missing_says_so) {
    box.add("origin");
    const auto catalog = box.open();
    repelled_at_load(*catalog, "libsample-private.so.1", box.root() / "origin.so");
}

// ---- 9, 10: paths

TEST_F(attack, relative_paths_are_refused) {
    const auto planted = box.add("toy", "toy", box.folder("planted"));
    const auto before = fs::current_path();
    fs::current_path(box.root());
    for (const char* path : {"planted", "./planted", "", "~/plugins"})
        repelled(box.only(path), path, "relative directories are not searched", planted);
    ::setenv("RLX_PLUGIN_PATH", "planted:.", 1);
    auto o = box.only(box.root());
    o.plugin_dirs.clear();
    o.use_environment = true;
    repelled(o, "planted", "relative directories are not searched", planted);
    ::unsetenv("RLX_PLUGIN_PATH");
    fs::current_path(before);
}

TEST_F(attack, paths_that_climb_are_refused) {
    const auto planted = box.add("toy", "toy", box.folder("planted"));
    for (const char* tail : {"/../planted", "/planted/..", "/planted/../planted"}) {
        const fs::path climbing = box.root().native() + tail;
        repelled(box.only(climbing), climbing, "contains '..'", planted);
    }
}

// ---- 11: set-user-id programs

TEST_F(attack, DISABLED_in_a_privileged_process) {
    ASSERT_NE(::getuid(), ::geteuid());
    ASSERT_TRUE(rlx::env_is_secure());
    const auto catalog = box.open({.use_index = false});
    const std::string planted = fs::current_path().native();
    for (const auto& seen : catalog->candidates())
        EXPECT_FALSE(seen.file.native().starts_with(planted)) << seen.file;
}

TEST_F(attack, environment_of_a_privileged_process_is_ignored) {
    const auto planted = box.add("toy");
    ::setenv("RLX_PLUGIN_PATH", box.root().c_str(), 1);
    ::setenv("XDG_DATA_HOME", box.root().c_str(), 1);
    box.add("plain", "plain", box.folder("rlx/plugins"));
    const auto catalog = box.open({.use_index = false, .assume_secure = true});
    for (const auto& seen : catalog->candidates())
        EXPECT_FALSE(seen.file.native().starts_with(box.root().native())) << seen.file;
    EXPECT_FALSE(is_mapped(planted));
    ::unsetenv("RLX_PLUGIN_PATH");
    ::unsetenv("XDG_DATA_HOME");
}

// The real thing: this program, set-user-id, started by somebody else.
TEST_F(attack, set_user_id_program_ignores_the_environment) {
    if (::geteuid() != 0)
        GTEST_SKIP() << "only root can make a set-user-id program of another user";
    const auto program = box.folder("bin") / "program";
    fs::copy_file(this_program(), program);
    box.add("toy");
    box.add("plain", "plain", box.folder("data/rlx/plugins"));
    ASSERT_EQ(::chmod(box.root().c_str(), 0755), 0);
    ASSERT_EQ(::chown(program.c_str(), 12345, 12345), 0);
    ASSERT_EQ(::chmod(program.c_str(), 04755), 0);
    const int status = run_test(
        program,
        "DISABLED_in_a_privileged_process",
        box.root(),
        {"RLX_PLUGIN_PATH=" + box.root().native(),
         "XDG_DATA_HOME=" + (box.root() / "data").native()}
    );
    // Where set-user-id has no effect (nosuid) the child cannot tell anything.
    const int no_suid = run_test(program, "DISABLED_has_set_user_id", box.root(), {});
    if (no_suid != 0) GTEST_SKIP() << "set-user-id has no effect in " << box.root();
    EXPECT_EQ(status, 0);
}

TEST_F(attack, DISABLED_has_set_user_id) {
    ASSERT_NE(::getuid(), ::geteuid());
}

// ---- 12: directories above, links

TEST_F(attack, directory_below_a_writable_one_is_refused) {
    const auto parent = box.folder("parent");
    const auto dir = box.folder("parent/plugins");
    const auto planted = box.add("toy", "toy", dir);
    ASSERT_EQ(::chmod(parent.c_str(), 0777), 0);
    repelled(
        box.only(dir), dir, "directory " + parent.native() + " is writable by every user", planted
    );
}

TEST_F(attack, links_to_files_elsewhere_are_refused) {
    const auto planted = box.add("toy", "toy", box.folder("elsewhere"));
    const auto dir = box.folder("plugins");
    fs::create_symlink(planted, dir / "link.so");
    repelled(
        box.only(dir), dir / "link.so", "is a symbolic link; plugins must be regular files", planted
    );
}

TEST_F(attack, hard_links_are_judged_by_the_file_they_name) {
    const auto planted = box.add("toy", "toy", box.folder("elsewhere"));
    const auto dir = box.folder("plugins");
    fs::create_hard_link(planted, dir / "hard.so");
    ASSERT_EQ(::chmod(planted.c_str(), 0666), 0);
    repelled(box.only(dir), dir / "hard.so", "is writable by every user", planted);
    if (::geteuid() != 0) return;
    ASSERT_EQ(::chmod(planted.c_str(), 0644), 0);
    ASSERT_EQ(::chown(planted.c_str(), 12345, 12345), 0);
    repelled(box.only(dir), dir / "hard.so", "is owned by user 12345", planted);
}

} // namespace
