// SPDX-License-Identifier: GPL-3.0-only
// Whose files count: programs with privileges their user lacks, access control lists, and what root
// does in the home of somebody else.
#include "attack.hpp"

#include "rlx/base/environment.hpp"

#include <chrono>
#include <sys/xattr.h>
#include <thread>

namespace {

constexpr uid_t somebody = 12345;
constexpr gid_t their_group = 54321;

class attack_privilege : public attack {
protected:
    // Gives all of it to somebody, who may reach it.
    static void give_away(const fs::path& dir) {
        for (const auto& file : fs::recursive_directory_iterator(dir))
            ASSERT_EQ(::chown(file.path().c_str(), somebody, somebody), 0);
        ASSERT_EQ(::chown(dir.c_str(), somebody, somebody), 0);
    }

    fs::path copy_of_this_program(const std::string& folder) {
        const auto program = box.folder(folder) / "program";
        fs::copy_file(this_program(), program);
        EXPECT_EQ(::chmod(box.root().c_str(), 0755), 0);
        return program;
    }
};

// ---- set-group-id, capabilities: the user id stays the caller's, what they own is no proof

TEST_F(attack_privilege, DISABLED_has_set_group_id) {
    ASSERT_NE(::getgid(), ::getegid());
    ASSERT_TRUE(rlx::env_is_secure());
}

TEST_F(attack_privilege, DISABLED_finds_own_plugins) {
    const fs::path mine = fs::current_path() / "mine";
    EXPECT_EQ(box.open(box.only(mine))->manifests().size(), 1u);
}

TEST_F(attack_privilege, DISABLED_with_more_rights_than_its_user) {
    const fs::path mine = fs::current_path() / "mine";
    repelled(
        box.only(mine),
        mine,
        "is owned by user 12345, expected root: this program has privileges its user lacks",
        mine / "toy.so"
    );
}

TEST_F(attack_privilege, set_group_id_program_loads_nothing_of_its_callers) {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can play another user";
    const auto program = copy_of_this_program("bin");
    box.add("toy", "toy", box.folder("mine"));
    give_away(box.root() / "mine");
    const auto as_somebody = [&](const std::string& name) {
        return run_test(program, name, box.root(), {"RLX_CACHE_DIR=/nonexistent"}, somebody);
    };
    ASSERT_EQ(::chmod(program.c_str(), 0755), 0);
    EXPECT_EQ(as_somebody("DISABLED_finds_own_plugins"), "passed");
    ASSERT_EQ(::chown(program.c_str(), 0, their_group), 0);
    ASSERT_EQ(::chmod(program.c_str(), 02755), 0);
    if (as_somebody("DISABLED_has_set_group_id") != "passed")
        GTEST_SKIP() << "set-group-id has no effect in " << box.root();
    EXPECT_EQ(as_somebody("DISABLED_with_more_rights_than_its_user"), "passed");
}

// ---- swapped all the time

TEST_F(attack_privilege, file_swapped_in_a_race_is_never_loaded) {
    const auto dir = box.folder("plugins"), elsewhere = box.folder("elsewhere");
    const fs::path name = dir / "toy.so";
    const auto good = box.add("toy", "good", elsewhere), evil = box.add("toy", "evil", elsewhere);
    ASSERT_EQ(::chmod(evil.c_str(), 0666), 0);
    fs::create_hard_link(good, name);
    std::jthread swapper([&](const std::stop_token& stop) {
        const fs::path next = elsewhere / "next";
        for (unsigned i = 0; !stop.stop_requested(); i++) {
            const bool linked = i % 3 == 2;
            if (linked ? ::symlink(evil.c_str(), next.c_str()) == 0
                       : ::link((i % 3 ? good : evil).c_str(), next.c_str()) == 0)
                ::rename(next.c_str(), name.c_str());
            ::unlink(next.c_str()); // left where both are one file
        }
    });
    int late = 0, loads = 0; // refused at the load, after the search had found it good
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while ((late < 20 || loads < 20) && std::chrono::steady_clock::now() < end) {
        const auto catalog = box.open(box.only(dir));
        for (const auto& m : catalog->manifests())
            (catalog->load(m).ok() ? loads : late)++;
    }
    swapper.request_stop();
    swapper.join();
    EXPECT_GT(late + loads, 0);
    EXPECT_TRUE(is_mapped(good));
    EXPECT_FALSE(is_mapped(evil));
}

// ---- access control lists

// user:33:rw (or rwx) beside the usual entries, as setfacl writes it.
bool let_user_33_write(const fs::path& file, std::uint16_t rights) {
    struct entry {
        std::uint16_t tag, rights;
        std::uint32_t id;
    };

    struct list {
        std::uint32_t version;
        entry entries[5];
    };

    const auto same = std::uint16_t(rights | 4);
    const list acl = {
        2,
        {{1, std::uint16_t(6 | rights), ~0u}, // owner
         {2, same, 33},                       // user 33
         {4, 4, ~0u},                         // owning group
         {0x10, same, ~0u},                   // mask
         {0x20, std::uint16_t(rights & 5), ~0u}}};
    return ::setxattr(file.c_str(), "system.posix_acl_access", &acl, sizeof acl, 0) == 0;
}

TEST_F(attack_privilege, access_control_list_that_lets_others_write_is_refused) {
    const auto planted = box.add("toy", "toy", box.folder("plugins"));
    const auto dir = planted.parent_path();
    // The group the mode shows it for is a harmless one.
    ASSERT_EQ(::chown(planted.c_str(), ::geteuid(), ::geteuid()), 0);
    if (!let_user_33_write(planted, 6))
        GTEST_SKIP() << "no access control lists in " << box.root() << ": " << std::strerror(errno);
    repelled(box.only(dir), planted, "through an access control list; run setfacl -b", planted);
    ASSERT_EQ(::removexattr(planted.c_str(), "system.posix_acl_access"), 0);
    ASSERT_EQ(::chmod(planted.c_str(), 0664), 0);
    EXPECT_EQ(box.open(box.only(dir))->manifests().size(), 1u); // it was the list
    ASSERT_TRUE(let_user_33_write(dir, 7));
    repelled(box.only(dir), dir, "through an access control list", planted);
    ASSERT_EQ(::removexattr(dir.c_str(), "system.posix_acl_access"), 0);
    ASSERT_TRUE(let_user_33_write(box.root(), 7)); // above it
    repelled(box.only(dir), dir, "through an access control list", planted);
}

TEST_F(attack_privilege, access_control_list_given_after_the_search_is_refused) {
    const auto planted = box.add("toy");
    const auto catalog = box.open();
    ASSERT_EQ(::chown(planted.c_str(), ::geteuid(), ::geteuid()), 0);
    if (!let_user_33_write(planted, 6)) GTEST_SKIP() << "no access control lists";
    repelled_at_load(*catalog, "through an access control list", planted);
}

} // namespace
