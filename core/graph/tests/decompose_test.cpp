// SPDX-License-Identifier: GPL-3.0-only
// Every composite against its decomposition, in numbers and in structure.
#include "interpreter.hpp"

#include <random>

namespace rlx::test {

namespace {

using names = std::vector<std::string>;
constexpr double inf = std::numeric_limits<double>::infinity();

std::vector<double> random_data(std::size_t n, unsigned seed) {
    std::mt19937 rng(seed);
    std::normal_distribution<double> d(0, 2);
    std::vector<double> v(n);
    for (double& x : v)
        x = d(rng);
    return v;
}

using data_map = std::map<rlx_value, std::vector<double>>;

std::map<std::string, std::vector<double>>
run(net& n, const data_map& data, std::vector<std::int64_t> extents, bool arena) {
    interpreter in(n.m(), std::move(extents), arena);
    for (const auto& [v, d] : data)
        in.set(v, d);
    in.run();
    std::map<std::string, std::vector<double>> out;
    for (rlx_value v : n.m().outputs)
        out[n.at(v).name] = in.get(v);
    return out;
}

// Computes the composite, decomposes everything in `refused`, computes again (in the planned arena)
// and compares; exact bits are not expected, the operations are ordered differently.
void expect_same(
    net& n,
    const data_map& data,
    std::vector<std::int64_t> extents,
    std::vector<std::uint16_t> refused
) {
    const auto want = run(n, data, extents, false);
    ASSERT_TRUE(is_ok(n.g->finish(n.refuse(std::move(refused)))));
    const auto have = run(n, data, extents, true);
    ASSERT_EQ(want.size(), have.size());
    for (const auto& [name, w] : want) {
        const auto& h = have.at(name);
        ASSERT_EQ(w.size(), h.size());
        for (std::size_t i = 0; i < w.size(); i++) {
            ASSERT_FALSE(std::isnan(h[i])) << name << "[" << i << "]\n" << n.g->dump();
            ASSERT_NEAR(w[i], h[i], 1e-12 * (1 + std::fabs(w[i]))) << name << "[" << i << "]";
        }
    }
}

const std::vector<std::uint16_t> all = {
    RLX_OP_Glu, RLX_OP_Softmax, RLX_OP_RmsNorm, RLX_OP_MoeRoute, RLX_OP_MoeCombine, RLX_OP_Rope};

} // namespace

TEST(decompose, glu_of_every_kind_is_an_activation_times_up) {
    for (std::int64_t kind = RLX_GLU_SWIGLU; kind <= RLX_GLU_SIGMOID; kind++) {
        net n;
        const rlx_value a = n.f32("a", {3, 5}), b = n.f32("b", {3, 5});
        n.output("y", n.op(RLX_OP_Glu, {a, b}, {{RLX_ATTR_kind, kind}}));
        expect_same(n, {{a, random_data(15, 1)}, {b, random_data(15, 2)}}, {}, all);
        EXPECT_EQ(n.op_names(), (names{"Unary", "Binary"}));
    }
}

TEST(decompose, softmax_over_every_axis) {
    for (int axis = 0; axis < 3; axis++) {
        net n;
        const rlx_value x = n.f32("x", {3, 4, 5});
        n.output("y", n.op(RLX_OP_Softmax, {x}, {{RLX_ATTR_axis, axis - 3}}));
        expect_same(n, {{x, random_data(60, 3)}}, {}, all);
        EXPECT_EQ(
            n.op_names(), (names{"Reduce", "Clamp", "Binary", "Unary", "Reduce", "Clamp", "Binary"})
        );
    }
}

TEST(decompose, softmax_of_masked_and_huge_rows) {
    net n;
    const rlx_value x = n.f32("x", {5, 3});
    n.output("y", n.op(RLX_OP_Softmax, {x}, {{RLX_ATTR_axis, 1}}));
    const std::vector<double> data = {
        -inf, -inf, -inf, -inf, 2, -inf, 1e30, 1e30, -1e30, -3e38, -3e38, -inf, 0, 0, 0};
    expect_same(n, {{x, data}}, {}, all);
    const auto y = run(n, {{x, data}}, {}, true).at("y");
    EXPECT_EQ(
        (std::vector<double>(y.begin(), y.begin() + 6)), (std::vector<double>{0, 0, 0, 0, 1, 0})
    );
    EXPECT_EQ(y[6], 0.5);
    EXPECT_EQ(y[9], 0.5);
    EXPECT_NEAR(y[12], 1.0 / 3, 1e-15);
}

TEST(decompose, rms_norm_with_and_without_weight) {
    for (int form = 0; form < 4; form++) {
        net n;
        const dim t = n.sym("T", 0, 8);
        const rlx_value x = n.f32("x", {t, 2, 6});
        const rlx_value w = n.weight("w", form == 3 ? RLX_BF16 : RLX_F32, {6});
        const rlx_value y =
            form == 0 ? n.op(RLX_OP_RmsNorm, {x}, {{RLX_ATTR_eps, 1e-5}})
                      : n.op(
                            RLX_OP_RmsNorm,
                            {x, w},
                            {{RLX_ATTR_eps, 1e-5}, {RLX_ATTR_weight_offset, form == 2 ? 1.0 : 0.0}}
                        );
        n.output("y", y);
        expect_same(n, {{x, random_data(36, 4)}, {w, random_data(6, 5)}}, {3}, all);
        EXPECT_EQ(
            n.op_names().size(),
            (std::vector<std::size_t>{5, 6, 7, 7})[static_cast<std::size_t>(form)]
        );
    }
}

TEST(decompose, rms_norm_of_a_zero_row_is_zero) {
    net n;
    const rlx_value x = n.f32("x", {1, 4});
    n.output("y", n.op(RLX_OP_RmsNorm, {x}, {{RLX_ATTR_eps, 1e-6}}));
    expect_same(n, {{x, {0, 0, 0, 0}}}, {}, all);
}

TEST(decompose, routing_normalised_scaled_and_with_ties) {
    for (int form = 0; form < 4; form++) {
        net n;
        const dim t = n.sym("T", 0, 16);
        const rlx_value x = n.f32("x", {t, 6});
        const auto r = n.ops(
            RLX_OP_MoeRoute,
            {x},
            {{RLX_ATTR_k, 3},
             {RLX_ATTR_normalise, form & 1},
             {RLX_ATTR_scale, form & 2 ? 2.5 : 1.0}}
        );
        n.output("w", r[0]);
        n.output("ids", r[1]);
        std::vector<double> data = random_data(5 * 6, 6);
        for (std::size_t i = 0; i < 6; i++) {
            data[i] = 1;                      // all tie: the lowest ids win
            data[6 + i] = -inf;               // nothing to choose from: weights 0
            data[12 + i] = i == 4 ? 0 : -inf; // one expert
            data[18 + i] = i % 2 ? 3 : -1;    // three tie at the top
        }
        expect_same(n, {{x, data}}, {5}, all);
        const auto out = run(n, {{x, data}}, {5}, true);
        const auto& ids = out.at("ids");
        const auto& w = out.at("w");
        EXPECT_EQ(
            (std::vector<double>(ids.begin(), ids.begin() + 12)),
            (std::vector<double>{0, 1, 2, 0, 1, 2, 4, 0, 1, 1, 3, 5})
        );
        EXPECT_EQ(
            (std::vector<double>(w.begin() + 3, w.begin() + 6)), (std::vector<double>{0, 0, 0})
        );
    }
}

TEST(decompose, routing_keeps_a_claimed_softmax) {
    net n;
    const rlx_value x = n.f32("x", {2, 6});
    n.output("w", n.ops(RLX_OP_MoeRoute, {x}, {{RLX_ATTR_k, 2}, {RLX_ATTR_normalise, 1}})[0]);
    ASSERT_TRUE(is_ok(n.g->finish(n.refuse({RLX_OP_MoeRoute}))));
    EXPECT_EQ(n.op_names(), (names{"Softmax", "TopK", "Reduce", "Clamp", "Binary"}));
}

TEST(decompose, combining_experts_is_a_weighted_sum) {
    net n;
    const dim t = n.sym("T", 0, 16);
    const rlx_value y = n.f32("y", {t, 3, 4}), w = n.f32("w", {t, 3});
    n.output("o", n.op(RLX_OP_MoeCombine, {y, w}));
    expect_same(n, {{y, random_data(60, 7)}, {w, random_data(15, 8)}}, {5}, all);
    EXPECT_EQ(n.op_names(), (names{"Reshape", "Binary", "Reduce"}));
}

TEST(decompose, rope_of_both_pairings_whole_and_partial) {
    for (int pairing = 0; pairing < 2; pairing++) {
        for (dim width : {8, 4, 2}) {
            net n;
            const dim t = n.sym("T", 0, 16);
            const rlx_value x = n.f32("x", {t, 3, 8}), table = n.f32("table", {t, width});
            n.output("y", n.op(RLX_OP_Rope, {x, table}, {{RLX_ATTR_pairing, pairing}}));
            const auto size = static_cast<std::size_t>(5 * width);
            expect_same(n, {{x, random_data(120, 9)}, {table, random_data(size, 10)}}, {5}, all);
            for (const ir::node& node : n.m().nodes)
                EXPECT_NE(node.op, RLX_OP_Copy) << n.g->dump();
        }
    }
}

TEST(decompose, rope_reads_strided_heads) {
    net n;
    const dim t = n.sym("T", 0, 16);
    const rlx_value qkv = n.f32("qkv", {t, 24}), table = n.f32("table", {t, 4});
    const rlx_value q = n.reshape(n.slice(qkv, 1, 8, 16), {t, 2, 4});
    n.output("y", n.op(RLX_OP_Rope, {q, table}));
    std::vector<std::uint16_t> refused = all;
    expect_same(n, {{qkv, random_data(120, 11)}, {table, random_data(20, 12)}}, {5}, refused);
}

TEST(decompose, everything_survives_zero_extents) {
    net n;
    const dim t = n.sym("T", 0, 16), e = n.sym("E", 0, 4);
    const rlx_value x = n.f32("x", {t, e, 6}), table = n.f32("table", {t, 4});
    n.output("rope", n.op(RLX_OP_Rope, {x, table}));
    n.output("norm", n.op(RLX_OP_RmsNorm, {x}, {{RLX_ATTR_eps, 1e-6}}));
    n.output("soft", n.op(RLX_OP_Softmax, {x}, {{RLX_ATTR_axis, 1}}));
    n.output("glu", n.op(RLX_OP_Glu, {x, x}, {{RLX_ATTR_kind, RLX_GLU_SWIGLU}}));
    n.output(
        "sum",
        n.op(
            RLX_OP_MoeCombine,
            {x, n.op(RLX_OP_Reduce, {x}, {{RLX_ATTR_kind, RLX_REDUCE_MAX}, {RLX_ATTR_axis, 2}})}
        )
    );
    ASSERT_EQ(n.error, "");
    ASSERT_TRUE(is_ok(n.g->finish(n.refuse(all))));
    for (const auto& extents : {std::vector<std::int64_t>{0, 0}, {0, 4}, {3, 0}, {1, 1}}) {
        interpreter in(n.m(), extents, true);
        const auto size = static_cast<std::size_t>(extents[0] * extents[1] * 6);
        in.set(x, random_data(std::max<std::size_t>(size, 1), 13));
        in.set(table, random_data(static_cast<std::size_t>(extents[0] * 4 + 1), 14));
        in.run();
        EXPECT_EQ(in.get(n.g->find_output("soft")).size(), size);
        for (rlx_value v : n.m().outputs)
            for (double d : in.get(v))
                EXPECT_FALSE(std::isnan(d)) << n.at(v).name;
    }
}

} // namespace rlx::test
