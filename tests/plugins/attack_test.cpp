// SPDX-License-Identifier: GPL-3.0-only
// Somebody puts code where plugins come from. Every attack ends with nothing loaded and a message
// that says why. 7, LD_LIBRARY_PATH: library_path_test.cpp.
#include "attack.hpp"

#include "rlx/base/environment.hpp"

#include <elf.h>
#include <utility>

namespace {

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
    EXPECT_EQ(
        run_test(this_program(), "DISABLED_from_the_working_directory", box.root(), {}), "passed"
    );
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

// ---- 8: search paths in the file

TEST_F(attack, search_path_in_the_file_is_refused) {
    const auto planted = box.add("rpath");
    const auto catalog = box.open();
    repelled_at_load(
        *catalog, "it looks for libraries in '/opt/somewhere' (RPATH or RUNPATH)", planted
    );
}

// Rewrites the tag of a dynamic entry.
void retag(const fs::path& library, Elf64_Sxword from, Elf64_Sxword to) {
    std::string bytes = read_all(library);
    Elf64_Ehdr header;
    std::memcpy(&header, bytes.data(), sizeof header);
    for (int i = 0; i < header.e_phnum; i++) {
        Elf64_Phdr segment;
        std::memcpy(&segment, &bytes[header.e_phoff + i * sizeof segment], sizeof segment);
        if (segment.p_type != PT_DYNAMIC) continue;
        for (auto at = segment.p_offset; at < segment.p_offset + segment.p_filesz;
             at += sizeof(Elf64_Dyn)) {
            if (std::memcmp(&bytes[at], &from, sizeof from) != 0) continue;
            std::memcpy(&bytes[at], &to, sizeof to);
            return write_all(library, bytes);
        }
    }
    FAIL() << library << " has no such entry";
}

TEST_F(attack, library_beyond_those_needed_is_refused) {
    const auto planted = box.add("auxiliary");
    repelled_at_load(*box.open(), "it asks for DT_AUXILIARY libsample-private.so.1", planted);
    const std::pair<Elf64_Sxword, std::string> tags[] = {
        {DT_FILTER, "DT_FILTER"}, {DT_AUDIT, "DT_AUDIT"}, {DT_DEPAUDIT, "DT_DEPAUDIT"}};
    Elf64_Sxword before = DT_AUXILIARY;
    for (const auto& [tag, name] : tags) {
        retag(planted, std::exchange(before, tag), tag);
        repelled_at_load(*box.open(), "it asks for " + name + " libsample-private.so.1", planted);
    }
}

TEST_F(attack, library_beside_the_plugin_brings_in_no_others) {
    box.add("origin");
    add_private(box.root(), 7);
    const auto library = box.root() / "libsample-private.so.1";
    retag(library, DT_SONAME, DT_AUXILIARY);
    repelled_at_load(*box.open(), "its library libsample-private.so.1: it asks for", library);
}

TEST_F(attack, DISABLED_with_an_auxiliary_library) {
    const auto evil = fs::path(variable("LD_LIBRARY_PATH")) / "libsample-private.so.1";
    repelled_at_load(
        *box.open(box.only(variable("RLX_TEST_GOOD"))), "it asks for DT_AUXILIARY", evil
    );
}

TEST_F(attack, auxiliary_library_is_not_loaded) {
    const auto good = box.folder("good"), evil = box.folder("evil");
    box.add("auxiliary", "auxiliary", good);
    add_private(evil, 666);
    const std::vector<std::string> variables = {
        "LD_LIBRARY_PATH=" + evil.native(), "RLX_TEST_GOOD=" + good.native()};
    EXPECT_EQ(
        run_test(this_program(), "DISABLED_with_an_auxiliary_library", box.root(), variables),
        "passed"
    );
}

// ---- the tests' own

TEST_F(attack, DISABLED_that_fails) {
    FAIL() << "on purpose";
}

TEST_F(attack, test_that_is_missing_has_not_passed) {
    EXPECT_EQ(run_test(this_program(), "DISABLED_no_such_test", box.root(), {}), "did not run");
    EXPECT_EQ(run_test(this_program(), "DISABLED_that_fails", box.root(), {}), "failed");
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
    const auto outcome = run_test(
        program,
        "DISABLED_in_a_privileged_process",
        box.root(),
        {"RLX_PLUGIN_PATH=" + box.root().native(),
         "XDG_DATA_HOME=" + (box.root() / "data").native()}
    );
    // Where set-user-id has no effect (nosuid) the child cannot tell anything.
    const auto suid = run_test(program, "DISABLED_has_set_user_id", box.root(), {});
    if (suid == "failed") GTEST_SKIP() << "set-user-id has no effect in " << box.root();
    EXPECT_EQ(suid, "passed");
    EXPECT_EQ(outcome, "passed");
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
