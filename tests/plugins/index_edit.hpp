// SPDX-License-Identifier: GPL-3.0-only
// Indexes changed by hand: what a test does to prove that one is used.
#pragma once

#include "files.hpp"
#include "index.hpp"
#include "sandbox.hpp"

#include <cstring>

// The text of an index with the checksum it needs.
inline std::string sealed(std::string text) {
    using namespace rlx::loader;
    const auto sum = index_checksum(std::string_view(text).substr(index_front_bytes));
    std::memcpy(text.data() + index_front_bytes - sizeof sum, &sum, sizeof sum);
    return text;
}

// Puts new content into a file without changing anything the index looks at: what cannot be set
// back is set forward in the index.
inline void
swap_unnoticed(const fs::path& target, std::string_view content, const fs::path& index_file) {
    const auto changed = [&] {
        struct stat st {};

        EXPECT_EQ(::stat(target.c_str(), &st), 0);
        const std::int64_t ns = rlx::loader::stamp_of(st).ctime_ns;
        return std::string(reinterpret_cast<const char*>(&ns), sizeof ns);
    };
    const std::string before = changed();
    swap_unnoticed(target, content);
    std::string text = read_all(index_file);
    auto at = text.find(before, text.find(target.native()));
    ASSERT_NE(at, text.npos);
    if (text.compare(at + before.size(), before.size(), before) == 0) at += before.size(); // behind
    write_all(index_file, sealed(text.replace(at, before.size(), changed())));
}
