// SPDX-License-Identifier: GPL-3.0-only
#include "../dims.hpp"

#include "net.hpp"

#include <functional>
#include <random>

namespace rlx::test {

namespace {

using ir::answer;
using ir::dim_table;

struct table3 {
    dim_table d;
    dim t = *d.add_symbol("T", 1, 512, 1);
    dim p = *d.add_symbol("P", 0, 64, 1);
    dim h = *d.add_symbol("H", 8, 64, 8);

    dim op(std::uint32_t o, dim a, dim b) {
        auto r = d.apply(o, a, b);
        EXPECT_TRUE(is_ok(r));
        return r ? *r : 0;
    }

    std::int64_t eval(dim x, std::vector<std::int64_t> at) {
        std::int64_t v = -1;
        EXPECT_TRUE(is_ok(d.evaluate(at, {&x, 1}, {&v, 1})));
        return v;
    }
};

} // namespace

TEST(dims, equal_polynomials_have_equal_handles) {
    table3 s;
    const auto add = [&](dim a, dim b) { return s.op(RLX_DIM_ADD, a, b); };
    const auto mul = [&](dim a, dim b) { return s.op(RLX_DIM_MUL, a, b); };
    EXPECT_EQ(add(s.t, s.p), add(s.p, s.t));
    EXPECT_EQ(mul(s.t, add(s.p, 3)), add(mul(s.p, s.t), mul(3, s.t)));
    EXPECT_EQ(
        mul(add(s.t, s.p), add(s.t, s.p)),
        add(add(mul(s.t, s.t), mul(2, mul(s.t, s.p))), mul(s.p, s.p))
    );
    EXPECT_EQ(s.op(RLX_DIM_SUB, add(s.t, 5), s.t), 5);
    EXPECT_EQ(mul(s.t, 0), 0);
    EXPECT_NE(add(s.t, 1), s.t);
}

TEST(dims, a_name_given_twice_is_the_same_symbol) {
    table3 s;
    EXPECT_EQ(*s.d.add_symbol("T", 3, 7, 1), s.t);
    EXPECT_EQ(s.d.symbols().size(), 3u);
    EXPECT_EQ(s.d.range(s.t).hi, 512);
}

TEST(dims, a_symbol_with_one_value_is_a_number) {
    dim_table d;
    EXPECT_EQ(*d.add_symbol("B", 4, 4, 1), 4);
    EXPECT_EQ(*d.add_symbol("C", 5, 9, 8), 8);
    EXPECT_EQ(d.symbols().size(), 2u);
}

TEST(dims, absurd_symbols_are_refused) {
    dim_table d;
    EXPECT_FALSE(d.add_symbol("", 0, 1, 1).ok());
    EXPECT_FALSE(d.add_symbol("a", -1, 1, 1).ok());
    EXPECT_FALSE(d.add_symbol("a", 3, 2, 1).ok());
    EXPECT_FALSE(d.add_symbol("a", 0, INT64_MAX, 1).ok());
    EXPECT_FALSE(d.add_symbol("a", 0, 9, 0).ok());
    const auto r = d.add_symbol("a", 9, 15, 8);
    ASSERT_FALSE(r.ok());
    EXPECT_EQ(r.error().message, "symbol a: no multiple of 8 in [9, 15]");
}

TEST(dims, division_by_a_factor_of_the_multiple_stays_exact) {
    table3 s;
    const dim q = s.op(RLX_DIM_DIV, s.h, 4);
    EXPECT_EQ(s.op(RLX_DIM_MUL, q, 4), s.h);
    EXPECT_TRUE(s.d.guards().empty());
    EXPECT_EQ(s.eval(q, {1, 0, 24}), 6);
    EXPECT_EQ(s.d.text(q), "H/4");
    EXPECT_EQ(s.op(RLX_DIM_CEIL_DIV, s.h, 8), s.op(RLX_DIM_DIV, s.h, 8));
}

TEST(dims, division_that_may_leave_a_rest_becomes_a_guard) {
    table3 s;
    const dim q = s.op(RLX_DIM_DIV, s.t, 4);
    ASSERT_EQ(s.d.guards().size(), 1u);
    EXPECT_EQ(s.op(RLX_DIM_MUL, q, 4), s.t) << "undoing the division gives the dim back";
    EXPECT_EQ(s.eval(q, {12, 0, 8}), 3);
    EXPECT_TRUE(is_ok(s.d.check(std::vector<std::int64_t>{12, 0, 8})));
    const auto bad = s.d.check(std::vector<std::int64_t>{13, 0, 8});
    ASSERT_FALSE(bad.ok());
    EXPECT_EQ(bad.error().message, "T must be divisible by 4; not so at T = 13, P = 0, H = 8");
    std::int64_t v = 0;
    EXPECT_FALSE(s.d.evaluate(std::vector<std::int64_t>{13, 0, 8}, {&q, 1}, {&v, 1}).ok());
}

TEST(dims, a_product_divides_by_its_factors) {
    table3 s;
    const dim area = s.op(RLX_DIM_MUL, s.t, s.p);
    EXPECT_EQ(s.op(RLX_DIM_DIV, area, s.p), s.t);
    EXPECT_EQ(
        s.op(RLX_DIM_DIV, s.op(RLX_DIM_MUL, area, 6), s.op(RLX_DIM_MUL, s.t, 3)),
        s.op(RLX_DIM_MUL, s.p, 2)
    );
    const dim opaque = s.op(RLX_DIM_DIV, area, s.h);
    EXPECT_EQ(s.op(RLX_DIM_MUL, opaque, s.h), area);
}

TEST(dims, ceil_division_takes_out_what_divides) {
    table3 s;
    const dim n = s.op(RLX_DIM_ADD, s.op(RLX_DIM_MUL, s.t, 16), 3);
    EXPECT_EQ(s.op(RLX_DIM_CEIL_DIV, n, 16), s.op(RLX_DIM_ADD, s.t, 1));
    EXPECT_EQ(
        s.op(RLX_DIM_CEIL_DIV, s.op(RLX_DIM_ADD, s.t, 13), 16),
        s.op(RLX_DIM_ADD, s.op(RLX_DIM_CEIL_DIV, s.op(RLX_DIM_SUB, s.t, 3), 16), 1)
    );
    const dim pages = s.op(RLX_DIM_CEIL_DIV, s.t, 16);
    EXPECT_EQ(s.d.range(pages).lo, 1);
    EXPECT_EQ(s.d.range(pages).hi, 32);
    EXPECT_EQ(s.eval(pages, {1, 0, 8}), 1);
    EXPECT_EQ(s.eval(pages, {16, 0, 8}), 1);
    EXPECT_EQ(s.eval(pages, {17, 0, 8}), 2);
}

TEST(dims, numbers_are_computed_at_once) {
    dim_table d;
    EXPECT_EQ(*d.apply(RLX_DIM_CEIL_DIV, 7, 2), 4);
    EXPECT_EQ(*d.apply(RLX_DIM_DIV, 8, 2), 4);
    EXPECT_EQ(*d.apply(RLX_DIM_MIN, 7, 2), 2);
    EXPECT_EQ(*d.apply(RLX_DIM_MAX, 7, 2), 7);
    EXPECT_EQ(d.apply(RLX_DIM_DIV, 7, 2).error().message, "dim 7 is not divisible by 2");
    EXPECT_EQ(d.apply(RLX_DIM_DIV, 7, 0).error().message, "dim 7 divided by 0");
    EXPECT_EQ(d.apply(RLX_DIM_SUB, 3, 5).error().message, "dim -2 is negative (at most -2)");
    EXPECT_FALSE(d.apply(99, 3, 5).ok());
    EXPECT_FALSE(d.apply(RLX_DIM_ADD, 3, -5).ok()) << "a handle that names nothing";
}

TEST(dims, min_and_max_use_the_bounds) {
    table3 s;
    EXPECT_EQ(s.op(RLX_DIM_MIN, s.t, 512), s.t);
    EXPECT_EQ(s.op(RLX_DIM_MAX, s.t, 1), s.t);
    EXPECT_EQ(s.op(RLX_DIM_MAX, s.t, 600), 600);
    EXPECT_EQ(s.op(RLX_DIM_MIN, s.t, s.op(RLX_DIM_ADD, s.t, s.p)), s.t);
    const dim m = s.op(RLX_DIM_MIN, s.t, s.p);
    EXPECT_EQ(m, s.op(RLX_DIM_MIN, s.p, s.t));
    EXPECT_EQ(s.d.range(m).hi, 64);
    EXPECT_EQ(s.eval(m, {5, 9, 8}), 5);
    EXPECT_EQ(s.d.text(m), "min(P, T)");
}

TEST(dims, overflow_is_an_error) {
    dim_table d;
    const dim a = *d.add_symbol("A", 0, std::int64_t{1} << 40, 1);
    const auto r = d.apply(RLX_DIM_MUL, a, a);
    ASSERT_FALSE(r.ok());
    EXPECT_EQ(r.error().message, "dim (A) * (A) overflows 64 bits");
    EXPECT_FALSE(d.apply(RLX_DIM_MUL, INT64_MAX, 2).ok());
    EXPECT_FALSE(d.apply(RLX_DIM_ADD, INT64_MAX, INT64_MAX).ok());
}

TEST(dims, comparisons_are_proved_refuted_or_left_open) {
    table3 s;
    EXPECT_EQ(s.d.equal(s.t, s.t), answer::yes);
    EXPECT_EQ(s.d.equal(s.t, 600), answer::no);
    EXPECT_EQ(s.d.equal(s.t, s.p), answer::maybe);
    EXPECT_EQ(s.d.equal(s.h, 12), answer::no) << "a multiple of 8 is never 12";
    EXPECT_EQ(s.d.equal(s.op(RLX_DIM_ADD, s.t, 1), s.t), answer::no);
    EXPECT_EQ(s.d.equal(s.op(RLX_DIM_MUL, s.p, 32), s.op(RLX_DIM_MUL, s.p, 36)), answer::no)
        << "only at P = 0";
    EXPECT_EQ(s.d.equal(s.op(RLX_DIM_MUL, s.p, s.t), s.op(RLX_DIM_MUL, s.p, 36)), answer::maybe);
    EXPECT_EQ(s.d.less_equal(s.p, s.op(RLX_DIM_ADD, s.p, s.t)), answer::yes);
    EXPECT_EQ(s.d.less_equal(65, s.p), answer::no);
    EXPECT_EQ(s.d.less_equal(s.t, s.p), answer::maybe);
}

TEST(dims, a_difference_may_be_negative_until_it_is_evaluated) {
    table3 s;
    const dim left = s.op(RLX_DIM_SUB, s.t, s.p);
    EXPECT_EQ(s.eval(left, {10, 4, 8}), 6);
    std::int64_t v = 0;
    const auto r = s.d.evaluate(std::vector<std::int64_t>{4, 10, 8}, {&left, 1}, {&v, 1});
    ASSERT_FALSE(r.ok());
    EXPECT_EQ(r.error().message, "dim T - P is -6 at T = 4, P = 10, H = 8");
    EXPECT_FALSE(s.d.apply(RLX_DIM_SUB, s.p, 100).ok()) << "never positive";
}

TEST(dims, extents_outside_the_bounds_are_refused) {
    table3 s;
    const auto message = [&](std::vector<std::int64_t> at) {
        return s.d.check(at).error().message;
    };
    EXPECT_EQ(message({0, 0, 8}), "extent T = 0 is outside the planned [1, 512]");
    EXPECT_EQ(message({1, 65, 8}), "extent P = 65 is outside the planned [0, 64]");
    EXPECT_EQ(message({1, 0, 12}), "extent H = 12 is not a multiple of 8");
    EXPECT_EQ(message({1, 0}), "2 extents given, the graph has 3 symbols");
}

// Random expressions against plain integers: values equal, bounds hold, equal handles mean equal
// values.
TEST(dims, random_expressions_evaluate_like_integers) {
    std::mt19937 rng(7);
    for (int round = 0; round < 60; round++) {
        dim_table d;
        using fn = std::function<std::int64_t(const std::vector<std::int64_t>&)>;
        std::vector<std::pair<dim, fn>> pool;
        const std::int64_t multiple[] = {1, 4, 1};
        for (std::size_t i = 0; i < 3; i++) {
            const std::string name(1, static_cast<char>('A' + i));
            const std::int64_t m = multiple[i];
            pool.emplace_back(*d.add_symbol(name, m, 12 * m, m), [i](const auto& e) {
                return e[i];
            });
        }
        for (int step = 0; step < 25; step++) {
            const auto a = pool[rng() % pool.size()], b = pool[rng() % pool.size()];
            const auto op = static_cast<std::uint32_t>(RLX_DIM_ADD + rng() % 7);
            const std::int64_t k = 1 + static_cast<std::int64_t>(rng() % 6);
            const bool by_number = rng() % 2 == 0;
            const auto r = d.apply(op, a.first, by_number ? k : b.first);
            if (!r) continue;
            const fn x = a.second, y = by_number ? fn([k](const auto&) { return k; }) : b.second;
            pool.emplace_back(*r, [op, x, y](const auto& e) -> std::int64_t {
                const std::int64_t u = x(e), v = y(e);
                switch (op) {
                case RLX_DIM_ADD: return u + v;
                case RLX_DIM_SUB: return u - v;
                case RLX_DIM_MUL: return u * v;
                case RLX_DIM_DIV: return v > 0 && u % v == 0 ? u / v : INT64_MIN / 1000000;
                case RLX_DIM_CEIL_DIV: return v > 0 ? u / v + (u % v > 0) : INT64_MIN / 1000000;
                case RLX_DIM_MIN: return std::min(u, v);
                default: return std::max(u, v);
                }
            });
        }
        for (int trial = 0; trial < 20; trial++) {
            std::vector<std::int64_t> e;
            for (std::int64_t m : multiple)
                e.push_back(m * (1 + static_cast<std::int64_t>(rng() % 12)));
            if (!d.check(e)) continue; // an exact division does not come out
            for (const auto& [handle, f] : pool) {
                std::int64_t v = 0;
                const auto r = d.evaluate(e, {&handle, 1}, {&v, 1});
                if (!r) continue;
                EXPECT_EQ(v, f(e)) << d.text(handle);
                EXPECT_GE(v, d.range(handle).lo) << d.text(handle);
                EXPECT_LE(v, d.range(handle).hi) << d.text(handle);
            }
        }
    }
}

} // namespace rlx::test
