// SPDX-License-Identifier: GPL-3.0-only
// The index saves work and nothing else: never wrong, never in the way.
#include "index_edit.hpp"
#include "rlx/loader/probe.hpp"

#include <csignal>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

namespace {

class plugin_index : public ::testing::Test {
protected:
    plugin_index()
        : plugins(box.folder("plugins")), file(box.folder("cache") / "deep/plugins.index") {}

    rlx::search_options indexed() const {
        auto o = box.only(plugins);
        o.use_index = true;
        o.index_file = file;
        return o;
    }

    sandbox box;
    fs::path plugins;
    fs::path file;
};

TEST_F(plugin_index, is_written_and_spares_the_files_next_time) {
    const auto library = box.add("toy", "toy", plugins);
    EXPECT_EQ(box.open(indexed())->manifests().size(), 1u);
    ASSERT_TRUE(fs::exists(file));
    swap_unnoticed(library, "garbage", file);
    const auto warm = box.open(indexed());
    ASSERT_EQ(warm->manifests().size(), 1u); // from the index: the file is not opened
    EXPECT_EQ(warm->manifests()[0].provides.size(), 2u);
    EXPECT_EQ(warm->manifests()[0].version, "1.2.3");
    // But what is loaded is read again.
    EXPECT_FALSE(warm->load(warm->manifests()[0]).ok());
}

TEST_F(plugin_index, notices_new_changed_and_removed_files) {
    const auto library = box.add("toy", "toy", plugins);
    box.open(indexed());
    const auto rival = box.add("plain", "plain", plugins);
    EXPECT_EQ(box.open(indexed())->manifests().size(), 2u);
    edit(library, "1.2.3", "9.9.9");
    const auto changed = box.open(indexed());
    ASSERT_EQ(changed->manifests().size(), 2u);
    EXPECT_EQ(changed->manifests()[1].version, "9.9.9");
    fs::remove(rival);
    EXPECT_EQ(box.open(indexed())->manifests().size(), 1u);
    EXPECT_EQ(read_all(file).find("plain.so"), std::string::npos);
}

TEST_F(plugin_index, notices_a_file_replaced_in_place_with_the_same_size_and_time) {
    const auto library = box.add("toy", "toy", plugins);
    box.open(indexed());
    swap_unnoticed(library, "garbage");
    EXPECT_TRUE(refused(*box.open(indexed()), library, "is not an ELF file"));
}

TEST_F(plugin_index, notices_files_from_the_future_and_the_past) {
    const auto library = box.add("toy", "toy", plugins);
    for (const std::time_t when : {std::time_t{0}, std::time_t{1} << 32}) { // as clocks are set
        const timespec times[2] = {{when, 0}, {when, 0}};
        ASSERT_EQ(::utimensat(AT_FDCWD, library.c_str(), times, 0), 0);
        box.open(indexed());
        swap_unnoticed(library, "garbage", file);
        EXPECT_EQ(box.open(indexed())->manifests().size(), 1u); // warm
        fs::remove(library);
        fs::remove(library.native() + ".rlx.json");
        box.add("toy", "toy", plugins);
    }
}

TEST_F(plugin_index, notices_a_changed_sidecar) {
    const auto library = box.add("toy", "toy", plugins);
    box.open(indexed());
    write_all(library.native() + ".rlx.json", "{}");
    EXPECT_TRUE(refused(*box.open(indexed()), library, "differ"));
}

TEST_F(plugin_index, never_stores_a_failure) {
    const auto library = plugins / "toy.so";
    write_all(library, std::string(100, 'x'));
    box.open(indexed());
    EXPECT_EQ(read_all(file).find("toy.so"), std::string::npos);
    fs::remove(library);
    box.add("toy", "toy", plugins);
    EXPECT_EQ(box.open(indexed())->manifests().size(), 1u);
}

TEST_F(plugin_index, keeps_permission_checks_when_warm) {
    const auto library = box.add("toy", "toy", plugins);
    box.open(indexed());
    ASSERT_EQ(::chmod(library.c_str(), 0666), 0);
    EXPECT_TRUE(refused(*box.open(indexed()), library, "writable by every user"));
}

TEST_F(plugin_index, that_is_damaged_is_built_anew) {
    box.add("toy", "toy", plugins);
    box.open(indexed());
    const std::string good = read_all(file);
    for (const std::string& damage :
         {std::string(),
          std::string("{"),
          good.substr(0, good.size() / 2),
          std::string(1 << 20, '['),
          std::string("RLXINDEX"),
          good + "x",
          std::string("\0\xff\xfe", 3)}) {
        write_all(file, damage);
        EXPECT_EQ(box.open(indexed())->manifests().size(), 1u);
        EXPECT_EQ(read_all(file), good) << damage.substr(0, 40);
    }
    // One changed byte anywhere is found by the checksum.
    for (std::size_t i = 0; i < good.size(); i += 7) {
        std::string text = good;
        text[i] = static_cast<char>(text[i] ^ 0x80);
        write_all(file, text);
        ASSERT_EQ(box.open(indexed())->manifests().size(), 1u) << i;
        ASSERT_EQ(read_all(file), good) << i;
        // With a checksum that fits, sizes may lie; nothing is read that is not there.
        write_all(file, sealed(text));
        ASSERT_LE(box.open(indexed())->candidates().size(), 1u) << i;
    }
}

TEST_F(plugin_index, of_another_user_or_open_to_all_is_not_believed) {
    const auto library = box.add("toy", "toy", plugins);
    box.open(indexed());
    const std::string forged = [&] {
        std::string text = read_all(file);
        text.replace(text.find("1.2.3"), 5, "6.6.6");
        return sealed(text);
    }();
    write_all(file, forged);
    EXPECT_EQ(box.open(indexed())->manifests()[0].version, "6.6.6"); // our own file is believed
    ASSERT_EQ(::chmod(file.c_str(), 0666), 0);
    EXPECT_EQ(box.open(indexed())->manifests()[0].version, "1.2.3");
    if (::geteuid() != 0) return;
    write_all(file, forged);
    ASSERT_EQ(::chown(file.c_str(), 12345, 12345), 0);
    EXPECT_EQ(box.open(indexed())->manifests()[0].version, "1.2.3");
}

TEST_F(plugin_index, that_cannot_be_written_is_done_without) {
    box.add("toy", "toy", plugins);
    auto o = indexed();
    o.index_file = "/proc/no-such-place/plugins.index";
    EXPECT_EQ(box.open(o)->manifests().size(), 1u);
    write_all(box.root() / "a-file", "");
    o.index_file = box.root() / "a-file/plugins.index";
    EXPECT_EQ(box.open(o)->manifests().size(), 1u);
}

TEST_F(plugin_index, in_a_folder_of_somebody_else_is_neither_read_nor_written) {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can give folders away";
    const auto library = box.add("toy", "toy", plugins);
    box.open(indexed());
    std::string text = read_all(file);
    text.replace(text.find("1.2.3"), 5, "6.6.6"); // an older one of ours, brought back
    write_all(file, sealed(text));
    ASSERT_EQ(::chown(file.parent_path().c_str(), 12345, 12345), 0);
    EXPECT_EQ(box.open(indexed())->manifests()[0].version, "1.2.3");
    EXPECT_EQ(read_all(file), sealed(text));
    // Nothing is made in a home of somebody else, nor where a link in it leads.
    const auto home = box.folder("home"), victim = box.folder("victim");
    fs::create_symlink(victim, home / "link");
    ASSERT_EQ(::chown(home.c_str(), 12345, 12345), 0);
    for (const char* place : {"home/.cache/rlx/plugins.index", "home/link/rlx/plugins.index"}) {
        auto o = indexed();
        o.index_file = box.root() / place;
        EXPECT_EQ(box.open(o)->manifests().size(), 1u);
        EXPECT_FALSE(fs::exists(o.index_file)) << place;
    }
    EXPECT_FALSE(fs::exists(home / ".cache"));
    EXPECT_TRUE(fs::is_empty(victim)); // the link is somebody else's
    // Nor is it given to backends.
    ::setenv("RLX_CACHE_DIR", (home / "link/rlx").c_str(), 1);
    EXPECT_EQ(rlx::private_cache_dir(), "");
    ::setenv("RLX_CACHE_DIR", (box.root() / "own/rlx").c_str(), 1);
    EXPECT_EQ(rlx::private_cache_dir(), box.root() / "own/rlx");
    EXPECT_TRUE(fs::is_directory(box.root() / "own/rlx"));
    ::unsetenv("RLX_CACHE_DIR");
}

TEST_F(plugin_index, is_written_to_a_full_disk_without_harm) {
    box.add("toy", "toy", plugins);
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
    const rlimit tiny{64, before.rlim_max}; // a write beyond it fails as on a full disk
    const auto old = ::signal(SIGXFSZ, SIG_IGN);
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &tiny), 0);
    const auto catalog = box.open(indexed());
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
    ::signal(SIGXFSZ, old);
    EXPECT_EQ(catalog->manifests().size(), 1u);
    EXPECT_TRUE(fs::is_empty(file.parent_path())); // neither a part of it nor the temporary file
    box.open(indexed());
    EXPECT_TRUE(fs::exists(file));
}

TEST_F(plugin_index, keeps_what_it_knows_of_other_directories) {
    box.add("toy", "toy", plugins);
    const auto other = box.folder("other");
    box.add("plain", "plain", other);
    box.open(indexed());
    auto o = indexed();
    o.plugin_dirs = {other};
    box.open(o);
    const std::string text = read_all(file);
    EXPECT_NE(text.find("toy.so"), text.npos);
    EXPECT_NE(text.find("plain.so"), text.npos);
}

TEST_F(plugin_index, is_not_used_by_privileged_processes) {
    box.add("toy", "toy", plugins);
    auto o = indexed();
    o.assume_secure = true;
    EXPECT_EQ(box.open(o)->manifests().size(), 1u);
    EXPECT_FALSE(fs::exists(file));
}

} // namespace
