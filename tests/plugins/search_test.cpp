// SPDX-License-Identifier: GPL-3.0-only
// Where plugins are looked for, who may own them, and which one answers for an architecture.
#include "sandbox.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>

namespace {

class search : public ::testing::Test {
protected:
    sandbox box;
};

class environment {
public:
    environment(const char* name, const std::string& value) : name_(name) {
        ::setenv(name, value.c_str(), 1);
    }

    ~environment() { ::unsetenv(name_); }

private:
    const char* name_;
};

TEST_F(search, goes_through_directories_in_order_and_files_by_name) {
    const auto first = box.folder("b");
    const auto second = box.folder("a");
    box.add("plain", "z", first);
    box.add("toy", "a", first);
    box.add("throws", "m", second);
    auto o = box.only(first);
    o.plugin_dirs.push_back(second);
    const auto catalog = box.open(o);
    ASSERT_EQ(catalog->candidates().size(), 3u);
    EXPECT_EQ(catalog->candidates()[0].file, first / "a.so");
    EXPECT_EQ(catalog->candidates()[1].file, first / "z.so");
    EXPECT_EQ(catalog->candidates()[2].file, second / "m.so");
    ASSERT_EQ(catalog->searched().size(), 2u);
    EXPECT_EQ(catalog->searched()[0], first);
}

TEST_F(search, default_directories_are_absolute_and_begin_beside_the_program) {
    rlx::search_options o;
    o.use_environment = o.use_index = false;
    const auto catalog = box.open(o);
    ASSERT_FALSE(catalog->searched().empty());
    const auto program = fs::read_symlink("/proc/self/exe");
    const auto beside = program.parent_path().parent_path() / "lib/rlx/plugins";
    EXPECT_EQ(catalog->searched()[0], beside);
    for (const auto& dir : catalog->searched()) {
        EXPECT_TRUE(dir.is_absolute()) << dir;
        EXPECT_NE(dir, fs::current_path());
    }
}

TEST_F(search, never_looks_into_the_working_directory) {
    const auto planted = box.folder("planted");
    box.add("toy", "toy", planted);
    fs::create_directories(planted / "lib/rlx/plugins");
    box.add("plain", "plain", planted / "lib/rlx/plugins");
    const auto before = fs::current_path();
    fs::current_path(planted);
    const auto catalog = box.open({.use_index = false});
    fs::current_path(before);
    for (const auto& seen : catalog->candidates())
        EXPECT_FALSE(seen.file.native().starts_with(planted.native())) << seen.file;
}

// Run by the next test in a process of its own.
TEST_F(search, DISABLED_finds_nothing_below_the_working_directory) {
    rlx::search_options o;
    o.use_index = false;
    const auto catalog = box.open(o);
    for (const auto& dir : catalog->searched())
        EXPECT_FALSE(dir.native().starts_with(fs::current_path().native())) << dir;
    write_all("ran", "");
}

TEST_F(search, is_not_fooled_by_the_name_the_program_was_started_with) {
    // As a shell does that found "program" through PATH, in a folder where somebody planted the
    // same name.
    write_all(box.root() / "program", "");
    fs::create_directories(box.root() / "rlx/plugins");
    box.add("toy", "toy", box.root() / "rlx/plugins");
    std::string words[] = {
        "program",
        "--gtest_filter=*DISABLED_finds_nothing_below_the_working_directory",
        "--gtest_also_run_disabled_tests"};
    char* argv[] = {words[0].data(), words[1].data(), words[2].data(), nullptr};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addchdir_np(&actions, box.root().c_str());
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    pid_t child = 0;
    ASSERT_EQ(::posix_spawn(&child, "/proc/self/exe", &actions, nullptr, argv, ::environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    EXPECT_TRUE(fs::exists(box.root() / "ran")) << "a filter that matches nothing is no success";
}

TEST_F(search, refuses_relative_directories_and_dots) {
    const auto planted = box.folder("planted");
    box.add("toy", "toy", planted);
    const auto before = fs::current_path();
    fs::current_path(box.root());
    for (const fs::path& dir :
         {fs::path("planted"), fs::path("."), fs::path("./planted"), fs::path("")}) {
        const auto catalog = box.open(box.only(dir));
        EXPECT_TRUE(catalog->manifests().empty());
        EXPECT_TRUE(refused(*catalog, dir, "relative"));
    }
    fs::current_path(before);
    const fs::path dotted = planted.native() + "/../planted";
    EXPECT_TRUE(refused(*box.open(box.only(dotted)), dotted, "'..'"));
}

TEST_F(search, says_that_a_named_directory_does_not_exist) {
    const fs::path absent = box.root() / "absent";
    EXPECT_TRUE(refused(*box.open(box.only(absent)), absent, "No such file"));
}

TEST_F(search, reads_the_environment_unless_the_process_is_privileged) {
    box.add("toy");
    auto o = box.only();
    o.plugin_dirs.clear();
    o.use_environment = true;
    const environment set("RLX_PLUGIN_PATH", "/nonexistent-rlx:" + box.root().native());
    EXPECT_EQ(box.open(o)->manifests().size(), 1u);
    o.assume_secure = true;
    EXPECT_EQ(box.open(o)->manifests().size(), 0u);
    o.assume_secure = false;
    o.use_environment = false;
    EXPECT_EQ(box.open(o)->manifests().size(), 0u);
}

TEST_F(search, refuses_relative_directories_from_the_environment) {
    box.add("toy");
    const auto before = fs::current_path();
    fs::current_path(box.root());
    const environment set("RLX_PLUGIN_PATH", ".:relative");
    auto o = box.only();
    o.plugin_dirs.clear();
    o.use_environment = true;
    const auto catalog = box.open(o);
    fs::current_path(before);
    EXPECT_TRUE(catalog->manifests().empty());
    EXPECT_TRUE(refused(*catalog, ".", "relative"));
}

TEST_F(search, refuses_a_directory_that_everyone_may_write_to) {
    const auto dir = box.folder("open");
    box.add("toy", "toy", dir);
    for (const mode_t mode : {0777, 0757, 01777}) {
        ASSERT_EQ(::chmod(dir.c_str(), mode), 0);
        EXPECT_TRUE(refused(*box.open(box.only(dir)), dir, "writable by every user")) << mode;
    }
    ASSERT_EQ(::chmod(dir.c_str(), 0755), 0);
    EXPECT_EQ(box.open(box.only(dir))->manifests().size(), 1u);
}

TEST_F(search, refuses_a_directory_below_one_that_everyone_may_write_to) {
    const auto parent = box.folder("parent");
    const auto dir = box.folder("parent/plugins");
    box.add("toy", "toy", dir);
    ASSERT_EQ(::chmod(parent.c_str(), 0777), 0);
    EXPECT_TRUE(refused(*box.open(box.only(dir)), dir, parent.native()));
    // Sticky: the others cannot replace what is ours.
    ASSERT_EQ(::chmod(parent.c_str(), 01777), 0);
    EXPECT_EQ(box.open(box.only(dir))->manifests().size(), 1u);
}

TEST_F(search, refuses_a_file_or_sidecar_that_others_may_write_to) {
    const auto file = box.add("toy");
    ASSERT_EQ(::chmod(file.c_str(), 0666), 0);
    EXPECT_TRUE(refused(*box.open(), file, "writable by every user"));
    ASSERT_EQ(::chmod(file.c_str(), 0644), 0);
    const fs::path sidecar = file.native() + ".rlx.json";
    ASSERT_EQ(::chmod(sidecar.c_str(), 0646), 0);
    EXPECT_TRUE(refused(*box.open(), file, "sidecar"));
}

TEST_F(search, refuses_links_devices_and_directories) {
    const auto elsewhere = box.folder("elsewhere");
    const auto target = box.add("toy", "toy", elsewhere);
    const auto dir = box.folder("plugins");
    fs::create_symlink(target, dir / "link.so");
    fs::create_directory(dir / "folder.so");
    ASSERT_EQ(::mkfifo((dir / "fifo.so").c_str(), 0644), 0);
    const auto catalog = box.open(box.only(dir)); // must not hang on the FIFO
    EXPECT_TRUE(refused(*catalog, dir / "link.so", "symbolic link"));
    EXPECT_TRUE(refused(*catalog, dir / "folder.so", "not a regular file"));
    EXPECT_TRUE(refused(*catalog, dir / "fifo.so", "not a regular file"));
}

TEST_F(search, follows_a_linked_directory_to_where_it_is) {
    const auto real = box.folder("real");
    box.add("toy", "toy", real);
    fs::create_directory_symlink(real, box.root() / "link");
    const auto catalog = box.open(box.only(box.root() / "link"));
    ASSERT_EQ(catalog->manifests().size(), 1u);
    EXPECT_EQ(catalog->manifests()[0].library, real / "toy.so");
}

TEST_F(search, refuses_files_and_directories_of_other_users) {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can give files away";
    const auto file = box.add("toy");
    ASSERT_EQ(::chown(file.c_str(), 12345, 12345), 0);
    EXPECT_TRUE(refused(*box.open(), file, "owned by user 12345"));
    ASSERT_EQ(::chown(file.c_str(), 0, 0), 0);
    ASSERT_EQ(::chown(box.root().c_str(), 12345, 12345), 0);
    EXPECT_TRUE(refused(*box.open(), box.root(), "owned by user 12345"));
    ASSERT_EQ(::chown(box.root().c_str(), 0, 0), 0);
    EXPECT_EQ(box.open()->manifests().size(), 1u);
}

TEST_F(search, reports_the_second_file_with_an_id_as_shadowed) {
    const auto a = box.folder("a");
    const auto b = box.folder("b");
    box.add("toy", "toy", a);
    box.add("toy", "again", a);
    box.add("toy", "toy", b);
    auto o = box.only(b);
    o.plugin_dirs.push_back(a);
    const auto catalog = box.open(o);
    ASSERT_EQ(catalog->manifests().size(), 1u);
    EXPECT_EQ(catalog->manifests()[0].library, b / "toy.so");
    for (const auto& file : {a / "again.so", a / "toy.so"}) {
        const auto* seen = candidate_of(*catalog, file);
        ASSERT_NE(seen, nullptr);
        EXPECT_EQ(seen->status, "shadowed");
        EXPECT_NE(seen->reason.find((b / "toy.so").native()), std::string::npos);
    }
}

TEST_F(search, finds_a_family_by_format_and_architecture) {
    box.add("toy");
    const auto catalog = box.open();
    auto gguf = catalog->find_family("gguf", "toy2");
    ASSERT_TRUE(gguf.ok()) << gguf.error().message;
    EXPECT_EQ(gguf->owner->id, "org.rlx.test.toy");
    EXPECT_EQ(gguf->entry->name, "toy");
    EXPECT_TRUE(catalog->find_family("safetensors", "toy_hf").ok());
    EXPECT_TRUE(catalog->find("command", "toy").ok());
    EXPECT_EQ(catalog->all("family").size(), 1u);
}

TEST_F(search, without_a_family_says_what_was_searched_refused_and_known) {
    box.add("toy");
    write_all(
        box.root() / "broken.so",
        "not an ELF file, but long enough to look at: it has sixty-four bytes"
    );
    const auto catalog = box.open();
    const auto found = catalog->find_family("gguf", "mammoth");
    ASSERT_FALSE(found.ok());
    EXPECT_EQ(found.error().code, std::uint32_t{RLX_UNSUPPORTED});
    for (const std::string& part :
         {std::string("gguf architecture 'mammoth'"),
          std::string("toy (toy toy2)"),
          box.root().native(),
          std::string("broken.so: is not an ELF file")}) {
        EXPECT_NE(found.error().message.find(part), std::string::npos)
            << part << " is not in: " << found.error().message;
    }
    const auto wrong_format = catalog->find_family("gguf", "toy_hf");
    ASSERT_FALSE(wrong_format.ok());
    EXPECT_NE(
        wrong_format.error().message.find("toy knows it, but not in a gguf file"), std::string::npos
    );
    EXPECT_EQ(catalog->find("backend", "abacus").error().code, std::uint32_t{RLX_NOT_FOUND});
}

TEST_F(search, lets_priority_decide_and_names_both_owners_of_a_tie) {
    box.add("toy", "a", box.root());
    const auto rival = box.add("toy", "b", box.root());
    edit(rival, "org.rlx.test.toy", "org.rlx.test.tox");
    const auto tie = box.open()->find_family("gguf", "toy");
    ASSERT_FALSE(tie.ok());
    for (const char* part : {"org.rlx.test.toy", "org.rlx.test.tox", "a.so", "b.so", "100"}) {
        EXPECT_NE(tie.error().message.find(part), std::string::npos) << tie.error().message;
    }
    EXPECT_FALSE(box.open()->find("command", "toy").ok());
    edit(rival, "\"priority\": 100", "\"priority\": 101");
    const auto catalog = box.open();
    const auto found = catalog->find_family("gguf", "toy");
    ASSERT_TRUE(found.ok());
    EXPECT_EQ(found->owner->id, "org.rlx.test.tox");
}

TEST_F(search, names_both_files_of_a_tie_of_ops) {
    for (const char* name : {"a", "b"}) {
        const auto file = box.add("toy", name, box.root());
        edit(file, "org.rlx.test.toy", std::string("org.rlx.test.to") + name);
        edit(
            file,
            R"("kind": "command", "name": "toy", "summary": "toy command")",
            R"("kind": "op", "name": "org.rlx.toy", "summary": "toy op  ")"
        );
    }
    const auto tie = box.open()->find("op", "org.rlx.toy");
    ASSERT_FALSE(tie.ok());
    EXPECT_EQ(tie.error().code, std::uint32_t{RLX_INVALID_ARGUMENT});
    for (const std::string& part :
         {std::string("op 'org.rlx.toy' is claimed with equal priority 100"),
          "org.rlx.test.toa (" + (box.root() / "a.so").native() + ")",
          "org.rlx.test.tob (" + (box.root() / "b.so").native() + ")"})
        EXPECT_NE(tie.error().message.find(part), std::string::npos) << tie.error().message;
}

} // namespace
