// SPDX-License-Identifier: GPL-3.0-only
// What the goldens are too small for: large convolutions against plain loops, empty extents,
// strided operands, any number of threads, weights that cannot be viewed in place.
#include "golden.hpp"

#include <cmath>
#include <tuple>

using namespace rlx;
using namespace rlx::cpu_test;
using rlx::block_test::error_of;

namespace {

using list = std::vector<dim>;

std::size_t count(const list& dims) {
    std::size_t n = 1;
    for (dim d : dims)
        n *= static_cast<std::size_t>(d);
    return n;
}

std::vector<attr> conv_attrs(dim stride, dim lo, dim hi, dim dilation, dim groups) {
    return {
        {RLX_ATTR_stride, list{stride}},
        {RLX_ATTR_pad_lo, list{lo}},
        {RLX_ATTR_pad_hi, list{hi}},
        {RLX_ATTR_dilation, list{dilation}},
        {RLX_ATTR_groups, std::int64_t{groups}}};
}

class block_edges : public block_test::tier_test {
protected:
    // x and w -> y of a one-node graph whose w is a weight.
    std::vector<float>
    run(std::uint32_t op,
        const list& x,
        const list& w,
        const std::vector<attr>& attrs,
        std::size_t size,
        bool in_place = true) {
        memory_weights weights;
        weights.f32("w", w, numbers(count(w), 2)).in_place = in_place;
        net n(&weights);
        const rlx_value in = n.in("x", RLX_F32, x);
        const rlx_value y = n.output("y", n.add(op, {in, n.weight("w", w)}, attrs));
        session s(n, setup{GetParam()});
        EXPECT_EQ(s.error, "");
        s.set(in, numbers(count(x), 1));
        EXPECT_EQ(s.run({}, {{y, size}}), "");
        return s.f32(y);
    }
};

} // namespace

// 1900 columns and 300 outputs: tiles of positions and of outputs, with a rest of each.
TEST_P(block_edges, a_large_convolution_is_the_plain_sum) {
    const dim channels = 190, outs = 300, k = 10, length = 201;
    const auto x = numbers(static_cast<std::size_t>(channels * length), 1);
    const auto w = numbers(static_cast<std::size_t>(outs * channels * k), 2);
    const auto got =
        run(RLX_OP_Conv,
            {1, channels, length},
            {outs, channels, k},
            conv_attrs(1, 9, 0, 1, 1),
            static_cast<std::size_t>(outs * length));
    std::vector<float> some, want;
    for (dim o = 0; o < outs; o += 7) {
        for (dim p = 0; p < length; p += 3) {
            double sum = 0;
            for (dim c = 0; c < channels; ++c)
                for (dim t = std::max<dim>(0, 9 - p); t < k; ++t)
                    sum +=
                        static_cast<double>(x[static_cast<std::size_t>(c * length + p + t - 9)]) *
                        w[static_cast<std::size_t>((o * channels + c) * k + t)];
            want.push_back(static_cast<float>(sum));
            some.push_back(got[static_cast<std::size_t>(o * length + p)]);
        }
    }
    EXPECT_LE(error_of(some, want), 1e-5);
}

TEST_P(block_edges, any_number_of_threads_gives_the_same_bits) {
    const auto all = [&](std::uint32_t threads) {
        (void)set_threads(threads);
        std::vector<std::vector<float>> out;
        out.push_back(
            run(RLX_OP_Conv, {2, 40, 333}, {70, 40, 5}, conv_attrs(1, 2, 2, 1, 1), 2 * 70 * 333)
        );
        out.push_back(run(
            RLX_OP_ConvTranspose, {1, 33, 50}, {33, 40, 8}, {{RLX_ATTR_stride, list{4}}}, 40 * 204
        ));
        out.push_back(run(RLX_OP_Conv, {1, 9, 3000}, {9, 1, 7}, conv_attrs(1, 6, 0, 1, 9), 9 * 3000)
        );
        return out;
    };
    const auto one = all(1);
    EXPECT_EQ(one, all(2));
    EXPECT_EQ(one, all(3));
}

TEST_P(block_edges, weights_that_cannot_be_viewed_are_read_in_rows) {
    const auto same = [&](std::uint32_t op, const list& w, std::size_t size) {
        const std::vector<attr> stride = {{RLX_ATTR_stride, list{2}}};
        EXPECT_EQ(
            run(op, {1, 6, 20}, w, stride, size, true), run(op, {1, 6, 20}, w, stride, size, false)
        );
    };
    same(RLX_OP_Conv, {35, 6, 3}, 35 * 9);
    same(RLX_OP_ConvTranspose, {6, 35, 3}, 35 * 41);
}

TEST_P(block_edges, constants_of_the_graph_serve_as_weights) {
    for (const auto& [op, w, size] :
         {std::tuple{RLX_OP_Conv, list{35, 6, 3}, std::size_t{35 * 18}},
          std::tuple{RLX_OP_ConvTranspose, list{6, 35, 3}, std::size_t{35 * 22}},
          std::tuple{RLX_OP_Conv, list{2, 6, 3}, std::size_t{2 * 18}}}) {
        const auto op_id = static_cast<std::uint32_t>(op);
        const auto want = run(op_id, {1, 6, 20}, w, {}, size);
        net n;
        const rlx_value x = n.in("x", RLX_F32, {1, 6, 20});
        const rlx_value c = n.constant(w, numbers(count(w), 2));
        const rlx_value y = n.output("y", n.add(op_id, {x, c}));
        session s(n, setup{GetParam()});
        ASSERT_EQ(s.error, "");
        s.set(x, numbers(120, 1));
        ASSERT_EQ(s.run({}, {{y, size}}), "");
        EXPECT_EQ(s.f32(y), want);
    }
}

// Outside exact mode a tier may convert the inputs to bf16 where the weight is bf16.
TEST_P(block_edges, half_precision_weights_outside_exact_mode) {
    const auto result = [&](const char* compute) {
        memory_weights weights;
        weights.bf16("w", {70, 37, 3, 3}, numbers(70 * 37 * 9, 2));
        weights.f32("b", {70}, numbers(70, 3));
        net n(&weights);
        const rlx_value x = n.in("x", RLX_F32, {2, 37, 15, 13});
        const rlx_value y = n.output(
            "y",
            n.add(
                RLX_OP_Conv,
                {x, n.weight("w", {70, 37, 3, 3}), n.weight("b", {70})},
                {{RLX_ATTR_pad_lo, list{1, 1}}, {RLX_ATTR_pad_hi, list{1, 1}}}
            )
        );
        setup how{GetParam()};
        how.compute = compute;
        session s(n, how);
        EXPECT_EQ(s.error, "");
        s.set(x, numbers(2 * 37 * 15 * 13, 1));
        EXPECT_EQ(s.run({}, {{y, 2 * 70 * 15 * 13}}), "");
        return s.f32(y);
    };
    const double off = error_of(result("auto"), result("f32"));
    EXPECT_LE(off, 1e-2);
    RecordProperty("error", std::to_string(off));
}

// The same program at 0, at its bound and between.
TEST_P(block_edges, empty_extents_are_fine) {
    memory_weights weights;
    weights.f32("w", {8, 6, 3}, numbers(144, 2));
    weights.f32("up", {8, 6, 4}, numbers(192, 3));
    weights.f32("alpha", {6}, std::vector<float>(6, 1.5f));
    net n(&weights);
    const dim T = n.sym("T", 12), B = n.sym("B", 3);
    const rlx_value x = n.in("x", RLX_F32, {B, 6, T});
    rlx_value v = n.add(
        RLX_OP_Pad,
        {x},
        {{RLX_ATTR_kind, RLX_PAD_REPLICATE}, {RLX_ATTR_pad_lo, list{0}}, {RLX_ATTR_pad_hi, list{0}}}
    );
    v = n.add(RLX_OP_Conv, {v, n.weight("w", {8, 6, 3})}, conv_attrs(1, 2, 0, 1, 1));
    v = n.add(
        RLX_OP_ConvTranspose,
        {v, n.weight("up", {8, 6, 4})},
        {{RLX_ATTR_stride, list{2}}, {RLX_ATTR_pad_hi, list{2}}}
    );
    v = n.add(RLX_OP_Snake, {v, n.weight("alpha", {6})});
    v = n.add(RLX_OP_GroupNorm, {v}, {{RLX_ATTR_groups, 2}, {RLX_ATTR_eps, 1e-5}});
    v = n.add(RLX_OP_Permute, {v}, {{RLX_ATTR_perm, list{0, 2, 1}}});
    v = n.add(RLX_OP_LayerNorm, {v}, {{RLX_ATTR_eps, 1e-5}});
    v = n.add(RLX_OP_Modulate, {v, 0, 0, 0, v});
    dim twice = 0;
    ASSERT_EQ(n.api->dim_op(n.g->handle(), RLX_DIM_MUL, T, 2, &twice), nullptr);
    const rlx_value heads = n.add(RLX_OP_Reshape, {v}, {{RLX_ATTR_dims, list{B, twice, 2, 3}}});
    v = n.add(
        RLX_OP_Attention, {heads, heads, heads}, {{RLX_ATTR_scale, 1.0}, {RLX_ATTR_causal, 1}}
    );
    const rlx_value y = n.output("y", v);
    session s(n, setup{GetParam()});
    ASSERT_EQ(s.error, "");
    for (const auto& [b, t] : {std::pair<dim, dim>{0, 5}, {3, 0}, {3, 12}, {2, 7}, {0, 0}}) {
        s.set(x, numbers(static_cast<std::size_t>(b * 6 * t), 4));
        const auto size = static_cast<std::size_t>(b * 2 * t * 6);
        ASSERT_EQ(s.run({{"T", t}, {"B", b}}, {{y, size}}), "") << b << " " << t;
        for (float f : s.f32(y))
            ASSERT_TRUE(std::isfinite(f)) << b << " " << t;
    }
}

// Transposed, sliced and repeated operands of BatchMatMul and of MatMul's run-time right operand.
TEST_P(block_edges, products_take_any_strides) {
    const auto a = numbers(2 * 5 * 19, 1), b = numbers(2 * 19 * 23, 2);
    net n;
    const rlx_value va = n.in("a", RLX_F32, {2, 19, 5}), vb = n.in("b", RLX_F32, {2, 19, 23});
    const rlx_value left = n.add(RLX_OP_Permute, {va}, {{RLX_ATTR_perm, list{0, 2, 1}}});
    const rlx_value right = n.add(RLX_OP_Permute, {vb}, {{RLX_ATTR_perm, list{0, 2, 1}}});
    const rlx_value cut = n.add(
        RLX_OP_Slice, {right}, {{RLX_ATTR_axis, 1}, {RLX_ATTR_start, 1}, {RLX_ATTR_stop, 18}}
    );
    const rlx_value y = n.output("y", n.add(RLX_OP_BatchMatMul, {left, cut}));
    session s(n, setup{GetParam()});
    ASSERT_EQ(s.error, "");
    s.set(va, a).set(vb, b);
    ASSERT_EQ(s.run({}, {{y, 2 * 5 * 17}}), "");
    std::vector<float> want;
    for (std::size_t m = 0; m < 2; ++m) {
        for (std::size_t i = 0; i < 5; ++i) {
            for (std::size_t j = 1; j < 18; ++j) {
                double sum = 0;
                for (std::size_t k = 0; k < 19; ++k)
                    sum += static_cast<double>(a[(m * 19 + k) * 5 + i]) * b[(m * 19 + k) * 23 + j];
                want.push_back(static_cast<float>(sum));
            }
        }
    }
    EXPECT_LE(error_of(s.f32(y), want), 1e-5);
}

TEST_P(block_edges, a_pad_that_reaches_too_far_is_an_error_of_the_run) {
    net n;
    const dim T = n.sym("T", 12);
    const rlx_value x = n.in("x", RLX_F32, {1, T});
    const rlx_value y = n.output(
        "y",
        n.add(
            RLX_OP_Pad,
            {x},
            {{RLX_ATTR_kind, RLX_PAD_REFLECT},
             {RLX_ATTR_pad_lo, list{3}},
             {RLX_ATTR_pad_hi, list{0}}}
        )
    );
    session s(n, setup{GetParam()});
    ASSERT_EQ(s.error, "");
    s.set(x, std::vector<float>{1, 2, 3});
    EXPECT_NE(s.run({{"T", 3}}, {{y, 6}}).find("4 <= T needed"), std::string::npos);
    s.set(x, std::vector<float>{1, 2, 3, 4});
    ASSERT_EQ(s.run({{"T", 4}}, {{y, 7}}), "");
    EXPECT_EQ(s.f32(y), (std::vector<float>{4, 3, 2, 1, 2, 3, 4}));
}

INSTANTIATE_TEST_SUITE_P(
    tiers,
    block_edges,
    testing::Values("baseline", "avx2", "avx512", "avx512_vnni", "amx"),
    [](const auto& p) { return std::string(p.param); }
);
