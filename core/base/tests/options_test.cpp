// SPDX-License-Identifier: GPL-3.0-only
#include "rlx/base/options.hpp"

#include "rlx/base/wall.hpp"

#include <gtest/gtest.h>

namespace {

using rlx::str;

const rlx_options_v1* table() {
    return static_cast<const rlx_options_v1*>(rlx::host()->iface(nullptr, str("rlx.options/1"), 0));
}

TEST(Options, ValuesCrossTheWallBothWays) {
    rlx::options o;
    o.set_int("n", 42).set_float("x", 0.5).set_string("s", "text");
    std::int64_t n = 0;
    double x = 0;
    rlx_str s{};
    std::uint32_t found = 9;
    EXPECT_EQ(table()->get_i64(o.handle(), str("n"), &n, &found), nullptr);
    EXPECT_EQ(n, 42);
    EXPECT_EQ(found, 1u);
    EXPECT_EQ(table()->get_f64(o.handle(), str("x"), &x, &found), nullptr);
    EXPECT_EQ(x, 0.5);
    EXPECT_EQ(table()->get_str(o.handle(), str("s"), &s, &found), nullptr);
    EXPECT_EQ(rlx::view(s), "text");
    EXPECT_EQ(table()->set_i64(o.handle(), str("back"), 7), nullptr);
    EXPECT_EQ(table()->set_str(o.handle(), str("n"), str("now text")), nullptr);
    EXPECT_EQ(o.get_int("back"), 7);
    EXPECT_EQ(o.get_string("n"), "now text");
}

TEST(Options, AnAbsentKeyLeavesTheOutputAlone) {
    rlx::options o;
    std::int64_t n = 5;
    std::uint32_t found = 9;
    EXPECT_EQ(table()->get_i64(o.handle(), str("nope"), &n, &found), nullptr);
    EXPECT_EQ(n, 5);
    EXPECT_EQ(found, 0u);
}

TEST(Options, AnotherKindIsAnErrorThatNamesTheKey) {
    rlx::options o;
    o.set_string("threads", "many");
    std::int64_t n = 5;
    std::uint32_t found = 0;
    rlx_error* e = table()->get_i64(o.handle(), str("threads"), &n, &found);
    ASSERT_NE(e, nullptr);
    rlx::error got = rlx::from_wall(e);
    EXPECT_EQ(got.code, std::uint32_t{RLX_INVALID_ARGUMENT});
    EXPECT_EQ(got.message, "option 'threads' is text, expected an integer");
    EXPECT_EQ(o.get_int("threads"), std::nullopt);
}

TEST(Options, NullArgumentsAreErrors) {
    std::int64_t n = 0;
    std::uint32_t found = 0;
    for (rlx_error* e :
         {table()->get_i64(nullptr, str("k"), &n, &found),
          table()->set_i64(nullptr, str("k"), 1)}) {
        ASSERT_NE(e, nullptr);
        rlx::host()->error_free(e);
    }
}

TEST(Options, CopiesAreIndependent) {
    rlx::options a;
    a.set_int("n", 1);
    rlx::options b = a;
    b.set_int("n", 2);
    EXPECT_EQ(a.get_int("n"), 1);
    EXPECT_EQ(b.get_int("n"), 2);
    b.erase("n");
    EXPECT_FALSE(b.has("n"));
    EXPECT_EQ(a.get_float("n"), 1.0);
    EXPECT_EQ(a.keys().size(), 1u);
}

} // namespace
