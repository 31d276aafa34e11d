// SPDX-License-Identifier: GPL-3.0-only
#include "rlx/base/utf8.hpp"

#include "rlx/base/checked.hpp"

#include <gtest/gtest.h>

namespace {

TEST(Utf8, WellFormedTextIsValid) {
    for (std::string_view s :
         {"",
          "ascii",
          "\xc3\xa9",
          "\xe2\x82\xac",
          "\xf0\x9f\x98\x80",
          "\xed\x9f\xbf",
          "\xf4\x8f\xbf\xbf"}) {
        EXPECT_TRUE(rlx::utf8_valid(s)) << s;
    }
}

TEST(Utf8, IllFormedTextIsFoundWhereItIs) {
    // Stray continuation, overlong, surrogate, too large, cut, invalid lead.
    for (std::string_view bad :
         {"\x80",
          "\xc0\xaf",
          "\xe0\x80\x80",
          "\xed\xa0\x80",
          "\xf4\x90\x80\x80",
          "\xe2\x82",
          "\xf0\x9f\x98",
          "\xff",
          "\xc3("}) {
        EXPECT_EQ(rlx::utf8_find_invalid(bad), 0u);
        EXPECT_EQ(rlx::utf8_find_invalid("ok\xc3\xa9" + std::string(bad)), 4u);
    }
}

TEST(Utf8, ExcerptsArePrintable) {
    EXPECT_EQ(rlx::printable("a\n\x80\xc3\xa9"), "a\\x0a\\x80\xc3\xa9");
    EXPECT_EQ(rlx::printable("aaaaaaaaaa", 4), "aaaa...");
}

TEST(Checked, OverflowIsSeen) {
    EXPECT_EQ(rlx::checked_add(UINT64_MAX - 1, 1), UINT64_MAX);
    EXPECT_FALSE(rlx::checked_add(UINT64_MAX, 1));
    EXPECT_FALSE(rlx::checked_mul(UINT64_MAX / 2, 3));
    EXPECT_EQ(rlx::checked_align(33, 32), 64u);
    EXPECT_EQ(rlx::checked_align(64, 32), 64u);
    EXPECT_FALSE(rlx::checked_align(UINT64_MAX - 3, 32));
}

} // namespace
