// SPDX-License-Identifier: GPL-3.0-only
#include "net.hpp"

#include <numeric>
#include <random>

namespace rlx::test {

TEST(views, permute_slice_and_reshape_compose_into_strides) {
    net n;
    const dim t = n.sym("T", 1, 64);
    const rlx_value x = n.f32("x", {t, 4, 6});
    const rlx_value p = n.permute(x, {1, 0, 2});
    EXPECT_EQ(n.shape(p), "[4, T, 6]");
    EXPECT_EQ(n.strides(p), "[6, 24, 1]");
    const rlx_value s = n.slice(p, 0, 1, 3);
    EXPECT_EQ(n.shape(s), "[2, T, 6]");
    EXPECT_EQ(n.m().dims.text(n.at(s).offset), "6");
    const rlx_value r = n.reshape(s, {2, t, 3, 2});
    EXPECT_EQ(n.strides(r), "[6, 24, 2, 1]");
    EXPECT_EQ(n.at(r).root, x);
    EXPECT_EQ(n.m().nodes.size(), 3u) << "no copy was needed";
}

TEST(views, a_slice_at_a_symbolic_start_has_a_symbolic_offset) {
    net n;
    const dim t = n.sym("T", 1, 64), r = n.sym("R", 0, 8);
    const rlx_value x = n.f32("x", {n.calc(RLX_DIM_ADD, t, r), 5});
    const rlx_value tail = n.slice(x, 0, t, n.calc(RLX_DIM_ADD, t, r));
    ASSERT_EQ(n.error, "");
    EXPECT_EQ(n.shape(tail), "[R, 5]");
    EXPECT_EQ(n.m().dims.text(n.at(tail).offset), "5*T");
    EXPECT_TRUE(n.m().dims.guards().empty());
}

TEST(views, splitting_heads_of_a_fused_projection_needs_no_copy) {
    net n;
    const dim t = n.sym("T", 0, 64);
    const rlx_value qkv = n.f32("qkv", {t, 96});
    const rlx_value k = n.reshape(n.slice(qkv, 1, 32, 64), {t, 4, 8});
    EXPECT_EQ(n.strides(k), "[96, 8, 1]");
    EXPECT_EQ(n.m().nodes.size(), 2u);
}

TEST(views, reshape_of_a_transpose_inserts_a_copy) {
    net n;
    const dim t = n.sym("T", 1, 64);
    const rlx_value x = n.f32("x", {t, 4, 6});
    n.at_module("layer");
    const rlx_value r = n.reshape(n.permute(x, {1, 0, 2}), {4, n.calc(RLX_DIM_MUL, t, 6)});
    ASSERT_EQ(n.error, "");
    EXPECT_EQ(n.op_names(), (std::vector<std::string>{"Permute", "Copy", "Reshape"}));
    EXPECT_EQ(n.at(r).root, n.m().nodes[1].out[0]);
    EXPECT_EQ(n.m().nodes[1].origin, "layer");
}

TEST(views, broadcast_repeats_with_stride_zero) {
    net n;
    const rlx_value x = n.f32("x", {3, 1});
    const rlx_value b = n.broadcast(x, {2, 3, 4});
    EXPECT_EQ(n.strides(b), "[0, 1, 0]");
    n.broadcast(x, {2, 4, 4});
    EXPECT_TRUE(contains(n.error, "expected a shape that broadcasts to [2, 4, 4]")) << n.error;
}

TEST(views, size_one_axes_never_need_a_copy) {
    net n;
    const dim t = n.sym("T", 0, 64);
    const rlx_value x = n.slice(n.f32("x", {t, 8}), 1, 2, 5);
    const rlx_value r = n.reshape(x, {1, t, 1, 3, 1});
    ASSERT_EQ(n.error, "");
    EXPECT_EQ(n.m().nodes.size(), 2u);
    EXPECT_EQ(n.at(r).strides[1], 8);
    EXPECT_EQ(n.at(r).strides[3], 1);
}

TEST(views, zero_sized_tensors_reshape_freely) {
    net n;
    const rlx_value x = n.permute(n.f32("x", {0, 4, 6}), {2, 0, 1});
    const rlx_value r = n.reshape(x, {3, 0, 7});
    EXPECT_EQ(n.error, "");
    EXPECT_EQ(n.shape(r), "[3, 0, 7]");
}

namespace {

// A tensor as the list of the root elements it shows, row-major: what a view means, without
// strides.
struct shown {
    std::vector<std::int64_t> dims, elements;
};

std::int64_t count(const std::vector<std::int64_t>& d) {
    return std::accumulate(d.begin(), d.end(), std::int64_t{1}, std::multiplies<>());
}

template <class Fn>
void each_index(const std::vector<std::int64_t>& dims, Fn fn) {
    std::vector<std::int64_t> at(dims.size(), 0);
    for (std::int64_t i = 0, n = count(dims); i < n; i++) {
        std::int64_t rest = i;
        for (std::size_t k = dims.size(); k-- > 0;) {
            at[k] = rest % dims[k];
            rest /= dims[k];
        }
        fn(at);
    }
}

std::int64_t element(const shown& x, const std::vector<std::int64_t>& at) {
    std::int64_t i = 0;
    for (std::size_t k = 0; k < at.size(); k++)
        i = i * x.dims[k] + at[k];
    return x.elements[static_cast<std::size_t>(i)];
}

shown read(net& n, rlx_value v) {
    const ir::value& x = n.at(v);
    shown s{x.dims, {}};
    each_index(x.dims, [&](const std::vector<std::int64_t>& at) {
        std::int64_t e = x.offset;
        for (std::size_t k = 0; k < at.size(); k++)
            e += at[k] * x.strides[k];
        s.elements.push_back(e);
    });
    return s;
}

} // namespace

// Chains of random views: the strides show the same elements as the definition of each op.
TEST(views, random_chains_show_the_right_elements) {
    std::mt19937 rng(11);
    const auto pick = [&](std::size_t n) { return static_cast<std::size_t>(rng() % n); };
    for (int round = 0; round < 300; round++) {
        net n;
        rlx_value v = n.f32("x", {2, 3, 4, 2});
        shown want = read(n, v);
        for (int step = 0; step < 6; step++) {
            shown next;
            const std::size_t rank = want.dims.size();
            switch (pick(3)) {
            case 0: {
                std::vector<dim> perm(rank);
                std::iota(perm.begin(), perm.end(), 0);
                std::shuffle(perm.begin(), perm.end(), rng);
                for (dim p : perm)
                    next.dims.push_back(want.dims[static_cast<std::size_t>(p)]);
                each_index(next.dims, [&](const std::vector<std::int64_t>& at) {
                    std::vector<std::int64_t> from(rank);
                    for (std::size_t k = 0; k < rank; k++)
                        from[static_cast<std::size_t>(perm[k])] = at[k];
                    next.elements.push_back(element(want, from));
                });
                v = n.permute(v, perm);
                break;
            }
            case 1: {
                if (rank == 0) continue;
                const std::size_t axis = pick(rank);
                const auto size = static_cast<std::size_t>(want.dims[axis]);
                const auto start = static_cast<dim>(pick(size + 1));
                const auto stop =
                    start + static_cast<dim>(pick(size - static_cast<std::size_t>(start) + 1));
                next.dims = want.dims;
                next.dims[axis] = stop - start;
                each_index(next.dims, [&](std::vector<std::int64_t> at) {
                    at[axis] += start;
                    next.elements.push_back(element(want, at));
                });
                v = n.slice(v, static_cast<std::int64_t>(axis), start, stop);
                break;
            }
            default: {
                // Random factors of the element count.
                std::int64_t rest = count(want.dims);
                while (rest > 1 && next.dims.size() < 4) {
                    std::int64_t f =
                        1 + static_cast<std::int64_t>(pick(static_cast<std::size_t>(rest)));
                    while (rest % f != 0)
                        f--;
                    next.dims.push_back(f);
                    rest /= f;
                }
                next.dims.push_back(rest);
                next.elements = want.elements;
                v = n.reshape(v, next.dims);
                if (v && n.at(v).root != 1) step = 99; // a copy was inserted: a new root
            }
            }
            ASSERT_EQ(n.error, "");
            const shown have = read(n, v);
            ASSERT_EQ(have.dims, next.dims);
            if (step < 99) {
                ASSERT_EQ(have.elements, next.elements) << n.g->dump();
            }
            want = std::move(next);
        }
        EXPECT_TRUE(is_ok(n.g->verify())) << n.g->dump();
    }
}

// The converse: where a copy was inserted, no strides exist that show the elements (checked by
// brute force).
TEST(views, copies_are_inserted_only_where_no_strides_exist) {
    std::mt19937 rng(5);
    int copies = 0;
    for (int round = 0; round < 300; round++) {
        net n;
        std::vector<dim> perm = {0, 1, 2};
        std::shuffle(perm.begin(), perm.end(), rng);
        rlx_value v = n.permute(n.f32("x", {2, 4, 6}), perm);
        const auto axis = static_cast<std::int64_t>(rng() % 3);
        v = n.slice(v, axis, 0, 2);
        const shown before = read(n, v);
        const std::vector<dim> to[] = {
            {count(before.dims)}, {2, count(before.dims) / 2}, {count(before.dims) / 4, 2, 2}};
        const std::vector<dim>& shape = to[rng() % 3];
        const rlx_value r = n.reshape(v, shape);
        ASSERT_EQ(n.error, "");
        if (n.at(r).root == 1) continue;
        copies++;
        // Strides are fixed by the elements one step along each axis; they must fail somewhere.
        const shown after{shape, before.elements};
        std::vector<std::int64_t> zero(shape.size(), 0), step(shape.size(), 0);
        for (std::size_t k = 0; k < shape.size(); k++) {
            if (shape[k] < 2) continue;
            std::vector<std::int64_t> one = zero;
            one[k] = 1;
            step[k] = element(after, one) - element(after, zero);
        }
        bool fits = true;
        each_index(shape, [&](const std::vector<std::int64_t>& at) {
            std::int64_t e = element(after, zero);
            for (std::size_t k = 0; k < at.size(); k++)
                e += at[k] * step[k];
            fits = fits && e == element(after, at);
        });
        EXPECT_FALSE(fits) << "strides exist for " << n.g->dump();
    }
    EXPECT_GT(copies, 20);
}

} // namespace rlx::test
