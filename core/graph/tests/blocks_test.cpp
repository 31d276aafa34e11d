// SPDX-License-Identifier: GPL-3.0-only
// Ops of encoders, image decoders and codecs: composites against their decompositions, shape rules.
#include "interpreter.hpp"

#include <random>

namespace rlx::test {

namespace {

using data_map = std::map<rlx_value, std::vector<double>>;
constexpr double inf = std::numeric_limits<double>::infinity();

std::vector<double> random_data(std::size_t n, unsigned seed) {
    std::mt19937 rng(seed);
    std::normal_distribution<double> d(0, 1.5);
    std::vector<double> v(n);
    for (double& x : v)
        x = d(rng);
    return v;
}

const std::vector<std::uint16_t> composites = {
    RLX_OP_LayerNorm,
    RLX_OP_GroupNorm,
    RLX_OP_Snake,
    RLX_OP_Modulate,
    RLX_OP_Attention,
    RLX_OP_Softmax};

// The composite computed from its definition, then decomposed in the planned arena.
void expect_same(net& n, const data_map& data, std::vector<std::int64_t> extents) {
    ASSERT_EQ(n.error, "");
    const auto run = [&](bool arena) {
        interpreter in(n.m(), extents, arena);
        for (const auto& [v, d] : data)
            in.set(v, d);
        in.run();
        return in.get(n.m().outputs[0]);
    };
    const auto want = run(false);
    const auto finished = n.g->finish(n.refuse(composites));
    ASSERT_TRUE(is_ok(finished));
    ASSERT_TRUE(is_ok(n.g->verify()));
    for (const std::string& name : n.op_names())
        for (std::uint16_t op : composites)
            ASSERT_NE(name, op_info(op)->name);
    const auto have = run(true);
    ASSERT_EQ(want.size(), have.size());
    for (std::size_t i = 0; i < want.size(); i++)
        ASSERT_NEAR(want[i], have[i], 1e-12 * (1 + std::fabs(want[i]))) << i << "\n" << n.g->dump();
}

} // namespace

TEST(decompose, layer_norm_with_and_without_parameters) {
    for (int form = 0; form < 4; form++) {
        net n;
        const dim t = n.sym("T", 0, 8);
        const rlx_value x = n.f32("x", {2, t, 7});
        const rlx_value w = n.weight("w", form == 3 ? RLX_F16 : RLX_F32, {7});
        const rlx_value b = n.weight("b", RLX_F32, {7});
        std::vector<rlx_value> in = {x};
        if (form > 0) in.push_back(form == 2 ? 0 : w);
        if (form > 1) in.push_back(b);
        n.output("y", n.op(RLX_OP_LayerNorm, in, {{RLX_ATTR_eps, 1e-5}}));
        expect_same(
            n, {{x, random_data(42, 1)}, {w, random_data(7, 2)}, {b, random_data(7, 3)}}, {3}
        );
    }
}

TEST(decompose, group_norm_from_one_group_to_instance_norm) {
    for (const std::int64_t groups : {1, 3, 6}) {
        net n;
        const dim h = n.sym("H", 0, 8);
        const rlx_value x = n.f32("x", {2, 6, h, 5});
        const rlx_value w = n.weight("w", RLX_BF16, {6}), b = n.weight("b", RLX_F32, {6});
        const std::vector<rlx_value> in = groups == 3 ? std::vector{x} : std::vector{x, w, b};
        n.output(
            "y", n.op(RLX_OP_GroupNorm, in, {{RLX_ATTR_groups, groups}, {RLX_ATTR_eps, 1e-6}})
        );
        expect_same(
            n, {{x, random_data(180, 1)}, {w, random_data(6, 2)}, {b, random_data(6, 3)}}, {3}
        );
    }
}

TEST(decompose, snake_with_one_or_two_parameters_plain_or_logarithmic) {
    for (int form = 0; form < 4; form++) {
        net n;
        const dim t = n.sym("T", 0, 8);
        const rlx_value x = n.f32("x", {2, 3, t});
        const rlx_value a = n.weight("alpha", RLX_F32, {3}), b = n.weight("beta", RLX_F32, {3});
        const std::vector<rlx_value> in = form < 2 ? std::vector{x, a} : std::vector{x, a, b};
        n.output("y", n.op(RLX_OP_Snake, in, {{RLX_ATTR_log, form % 2}, {RLX_ATTR_eps, 1e-3}}));
        expect_same(n, {{x, random_data(30, 1)}, {a, {0.5, 1.5, 2}}, {b, {1.25, 0.5, 3}}}, {5});
    }
}

TEST(decompose, modulate_with_every_set_of_operands) {
    for (unsigned set = 0; set < 16; set++) {
        net n;
        const dim t = n.sym("T", 0, 8);
        const rlx_value x = n.f32("x", {2, t, 5}), scale = n.f32("scale", {2, 1, 5});
        const rlx_value shift = n.f32("shift", {5}), gate = n.f32("gate", {2, 1, 5});
        const rlx_value rest = n.f32("rest", {2, t, 5});
        std::vector<rlx_value> in = {x, scale, shift, gate, rest};
        for (std::size_t i = 0; i < 4; i++)
            if (!(set >> i & 1u)) in[i + 1] = 0;
        while (in.back() == 0)
            in.pop_back();
        n.output("y", n.op(RLX_OP_Modulate, in));
        expect_same(
            n,
            {{x, random_data(30, 1)},
             {scale, random_data(10, 2)},
             {shift, random_data(5, 3)},
             {gate, random_data(10, 4)},
             {rest, random_data(30, 5)}},
            {3}
        );
    }
}

TEST(decompose, attention_with_masks_windows_and_shared_kv_heads) {
    for (int form = 0; form < 6; form++) {
        net n;
        const dim tq = n.sym("Q", 1, 8), tk = n.calc(RLX_DIM_ADD, tq, 3);
        const std::int64_t kv = form % 2 ? 2 : 4;
        const rlx_value q = n.f32("q", {2, tq, 4, 3}), k = n.f32("k", {2, tk, kv, 3});
        const rlx_value v = n.f32("v", {2, tk, kv, 5});
        const rlx_value mask = form == 2   ? n.f32("mask", {tq, tk})
                               : form == 3 ? n.f32("mask", {2, 4, 1, tk})
                                           : n.f32("mask", {1, 1, 1, tk});
        std::vector<rlx_value> in = {q, k, v};
        if (form >= 2 && form < 5) in.push_back(mask);
        n.output(
            "y",
            n.op(
                RLX_OP_Attention,
                in,
                {{RLX_ATTR_scale, 0.5},
                 {RLX_ATTR_causal, form >= 4 ? 1 : 0},
                 {RLX_ATTR_window, form == 5 ? 2 : 0},
                 {RLX_ATTR_softcap, form == 1 ? 2.0 : 0.0}}
            )
        );
        std::vector<double> m = random_data(form == 2 ? 28 : form == 3 ? 56 : 7, 4);
        m[0] = -inf;
        if (form == 3) // head 0 of sample 0 sees nothing
            std::fill(m.begin(), m.begin() + 7, -inf);
        expect_same(
            n,
            {{q, random_data(96, 1)},
             {k, random_data(static_cast<std::size_t>(42 * kv), 2)},
             {v, random_data(static_cast<std::size_t>(70 * kv), 3)},
             {mask, m}},
            {4}
        );
    }
}

namespace {

struct conv_attrs {
    std::vector<std::int64_t> stride, lo, hi, dilation;
    std::int64_t groups = 1;
};

rlx_value conv(net& n, rlx_value x, rlx_value w, const conv_attrs& a) {
    return n.op(
        RLX_OP_Conv,
        {x, w},
        {{RLX_ATTR_stride, a.stride},
         {RLX_ATTR_pad_lo, a.lo},
         {RLX_ATTR_pad_hi, a.hi},
         {RLX_ATTR_dilation, a.dilation},
         {RLX_ATTR_groups, a.groups}}
    );
}

} // namespace

TEST(conv_rules, extents_follow_stride_padding_and_dilation) {
    net n;
    const dim t = n.sym("T", 0, 100);
    const rlx_value x = n.f32("x", {2, 6, t}), w = n.weight("w", RLX_F16, {8, 3, 4});
    EXPECT_EQ(n.shape(conv(n, x, w, {{1}, {3}, {0}, {1}, 2})), "[2, 8, T]");
    EXPECT_EQ(n.shape(conv(n, x, w, {{1}, {6}, {0}, {2}, 2})), "[2, 8, T]");
    EXPECT_EQ(n.shape(conv(n, x, w, {{2}, {3}, {0}, {1}, 2})), "[2, 8, ceil(T, 2)]");
    EXPECT_EQ(n.error, "");
    const rlx_value image = n.f32("image", {1, 3, 224, 15});
    const rlx_value patch = n.weight("patch", RLX_F32, {5, 3, 16, 2});
    EXPECT_EQ(n.shape(conv(n, image, patch, {{16, 2}, {0, 0}, {0, 0}, {1, 1}})), "[1, 5, 14, 7]");
    EXPECT_EQ(n.shape(conv(n, image, patch, {{16, 2}, {0, 0}, {0, 1}, {1, 1}})), "[1, 5, 14, 8]");
    const auto up = [&](std::int64_t lo, std::int64_t hi) {
        return n.op(
            RLX_OP_ConvTranspose,
            {x, n.weight("up", RLX_F32, {6, 4, 8})},
            {{RLX_ATTR_stride, std::vector<std::int64_t>{4}},
             {RLX_ATTR_pad_lo, std::vector<std::int64_t>{lo}},
             {RLX_ATTR_pad_hi, std::vector<std::int64_t>{hi}}}
        );
    };
    EXPECT_EQ(n.shape(up(2, 2)), "[2, 4, 4*T]");
    EXPECT_EQ(n.shape(up(0, 4)), "[2, 4, 4*T]");
    EXPECT_EQ(n.error, "");
}

TEST(conv_rules, what_does_not_fit_is_named) {
    net n;
    const rlx_value x = n.f32("x", {2, 6, 9}), w = n.weight("w", RLX_F32, {8, 3, 4});
    const auto fails = [&](rlx_value v, std::string_view text) {
        EXPECT_EQ(v, 0u);
        EXPECT_TRUE(contains(n.error, text)) << n.error;
    };
    fails(conv(n, x, w, {{1}, {0}, {0}, {1}, 1}), "expected W [a multiple of 1, 6, ...]");
    fails(conv(n, x, w, {{1}, {0}, {0}, {1}, 4}), "channels in 4 equal groups");
    fails(conv(n, x, w, {{0}, {0}, {0}, {1}, 2}), "attribute stride holds 0");
    fails(conv(n, x, w, {{1, 1}, {0}, {0}, {1}, 2}), "2 entries for 1 spatial axes");
    fails(conv(n, x, w, {{1}, {-1}, {0}, {1}, 2}), "attribute pad_lo holds -1");
    constexpr std::int64_t far = std::int64_t{1} << 31;
    const rlx_value wide = n.weight("wide", RLX_F32, {8, 3, std::int64_t{1} << 34});
    fails(conv(n, x, wide, {{1}, {0}, {0}, {far}, 2}), "overflow");
    const rlx_value broad = n.weight("broad", RLX_F32, {6, 4, std::int64_t{1} << 34});
    const std::vector<std::int64_t> apart{far};
    fails(n.op(RLX_OP_ConvTranspose, {x, broad}, {{RLX_ATTR_dilation, apart}}), "overflow");
    fails(conv(n, x, n.weight("q", RLX_Q8_0, {8, 3, 32}), {{1}, {0}, {0}, {1}, 2}), "packed");
    fails(
        n.op(
            RLX_OP_Attention,
            {n.f32("q", {1, 5, 4, 8}), n.f32("k", {1, 3, 3, 8}), n.f32("v", {1, 3, 3, 8})},
            {{RLX_ATTR_scale, 1.0}}
        ),
        "query heads in a multiple of 3"
    );
    const rlx_value q = n.f32("q2", {1, 5, 4, 8}), k = n.f32("k2", {1, 3, 4, 8});
    fails(
        n.op(RLX_OP_Attention, {q, k, k}, {{RLX_ATTR_scale, 1.0}, {RLX_ATTR_causal, 1}}),
        "5 <= 3 needed"
    );
    fails(
        n.op(RLX_OP_Attention, {k, k, k}, {{RLX_ATTR_scale, 1.0}, {RLX_ATTR_window, 1}}), "causal"
    );
    fails(n.op(RLX_OP_BatchMatMul, {q, n.f32("b", {3, 1, 6, 7})}), "[..., n, 8]");
    fails(n.op(RLX_OP_BatchMatMul, {q, n.f32("c", {2, 6, 8})}), "broadcast");
}

TEST(conv_rules, pads_may_be_dims_of_the_graph) {
    net n;
    const dim t = n.sym("T", 1, 100);
    const rlx_value x = n.f32("x", {2, 3, t});
    const auto pad = [&](std::int64_t kind, dim lo, dim hi) {
        return n.op(
            RLX_OP_Pad,
            {x},
            {{RLX_ATTR_kind, kind},
             {RLX_ATTR_pad_lo, std::vector<dim>{lo}},
             {RLX_ATTR_pad_hi, std::vector<dim>{hi}}}
        );
    };
    const dim whole = n.calc(RLX_DIM_MUL, n.calc(RLX_DIM_CEIL_DIV, t, 4), 4);
    const rlx_value y = pad(RLX_PAD_REPLICATE, 2, n.calc(RLX_DIM_SUB, whole, t));
    EXPECT_EQ(n.shape(y), "[2, 3, " + n.m().dims.text(n.calc(RLX_DIM_ADD, whole, 2)) + "]");
    EXPECT_TRUE(contains(n.g->dump(), "pad_hi=[")) << n.g->dump();
    EXPECT_NE(pad(RLX_PAD_REFLECT, 3, 0), 0u); // left to the run: T >= 4
    EXPECT_TRUE(contains(n.g->dump(), "4 <= T needed")) << n.g->dump();
    EXPECT_EQ(pad(RLX_PAD_CIRCULAR, 101, 0), 0u);
    EXPECT_TRUE(contains(n.error, "101 <= T needed")) << n.error;
    EXPECT_EQ(pad(5, 0, 0), 0u);
}

} // namespace rlx::test
