// SPDX-License-Identifier: GPL-3.0-only
#include "rlx/base/mmap.hpp"

#include <cstdlib>
#include <fstream>
#include <gtest/gtest.h>
#include <sys/stat.h>

namespace {

namespace fs = std::filesystem;

class Mmap : public testing::Test {
protected:
    void SetUp() override {
        char name[] = "/tmp/rlx-mmap-XXXXXX";
        dir_ = ::mkdtemp(name);
    }

    void TearDown() override { fs::remove_all(dir_); }

    fs::path write(const char* name, const std::string& text) {
        std::ofstream(dir_ / name, std::ios::binary) << text;
        return dir_ / name;
    }

    fs::path dir_;
};

TEST_F(Mmap, TheBytesAreTheFile) {
    fs::path p = write("a", "hello");
    auto m = rlx::mapped_file::open(p);
    ASSERT_TRUE(m.ok()) << m.error().message;
    ASSERT_EQ(m->size(), 5u);
    EXPECT_EQ(static_cast<char>(m->bytes()[4]), 'o');
    rlx::mapped_file moved = std::move(*m);
    EXPECT_EQ(moved.size(), 5u);
    EXPECT_EQ(m->size(), 0u);
    moved = rlx::mapped_file();
    EXPECT_EQ(moved.data(), nullptr);
}

TEST_F(Mmap, AnEmptyFileIsEmpty) {
    auto m = rlx::mapped_file::open(write("empty", ""));
    ASSERT_TRUE(m.ok());
    EXPECT_TRUE(m->bytes().empty());
}

TEST_F(Mmap, WhatIsNoFileIsRefusedWithItsPath) {
    auto missing = rlx::mapped_file::open(dir_ / "missing");
    EXPECT_EQ(missing.error().code, std::uint32_t{RLX_NOT_FOUND});
    EXPECT_NE(missing.error().message.find("missing"), std::string::npos);
    auto directory = rlx::mapped_file::open(dir_);
    EXPECT_NE(directory.error().message.find("is a directory"), std::string::npos);
    fs::path fifo = dir_ / "fifo";
    ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
    EXPECT_NE(
        rlx::mapped_file::open(fifo).error().message.find("not a regular file"), std::string::npos
    );
}

TEST_F(Mmap, HintsNeverChangeTheBytes) {
    std::string text(3 * 4096 + 17, 'x');
    text[4096] = 'a';
    text.back() = 'z';
    auto m = rlx::mapped_file::open(write("big", text));
    ASSERT_TRUE(m.ok());
    m->will_need(1, 1);
    m->sequential(0, UINT64_MAX);
    m->drop(0, UINT64_MAX);
    m->drop(UINT64_MAX, 5);
    m->drop(5, 0);
    m->will_need(text.size(), 1);
    EXPECT_EQ(static_cast<char>(m->bytes()[4096]), 'a');
    EXPECT_EQ(static_cast<char>(m->bytes()[text.size() - 1]), 'z');
}

TEST_F(Mmap, TextFilesHaveALimit) {
    fs::path p = write("t", "0123456789");
    EXPECT_EQ(rlx::read_text_file(p, 10).value(), "0123456789");
    auto r = rlx::read_text_file(p, 9);
    ASSERT_FALSE(r.ok());
    EXPECT_EQ(r.error().code, std::uint32_t{RLX_CORRUPT_DATA});
}

TEST_F(Mmap, FilesOfUnknownSizeAreReadToTheirEnd) {
    auto r = rlx::read_virtual_file("/proc/self/status");
    ASSERT_TRUE(r.ok());
    EXPECT_NE(r->find("Name:"), std::string::npos);
}

} // namespace
