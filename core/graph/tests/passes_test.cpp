// SPDX-License-Identifier: GPL-3.0-only
// finish_options: folding, dead nodes kept, composites decomposed unasked or never.
#include "interpreter.hpp"

#include <cstring>

namespace rlx::test {

using names = std::vector<std::string>;

namespace {

rlx_value binary(net& n, std::int64_t kind, rlx_value a, rlx_value b) {
    return n.op(RLX_OP_Binary, {a, b}, {{RLX_ATTR_kind, kind}});
}

std::vector<float> floats(const ir::value& v) {
    std::vector<float> out(v.data.size() / 4);
    std::memcpy(out.data(), v.data.data(), v.data.size());
    return out;
}

} // namespace

TEST(passes, operands_known_beforehand_are_computed) {
    net n;
    const rlx_value x = n.f32("x", {2, 3});
    const rlx_value row = n.constant<float>(RLX_F32, {1, 3}, {1, 4, 9});
    const rlx_value two = n.op(
        RLX_OP_Fill,
        {},
        {{RLX_ATTR_dims, std::vector<std::int64_t>{2, 1}},
         {RLX_ATTR_dtype, RLX_F32},
         {RLX_ATTR_value, 2.0}}
    );
    const rlx_value sum = binary(n, RLX_BINARY_ADD, n.unary(RLX_UNARY_SQRT, row), two);
    n.output("y", binary(n, RLX_BINARY_MUL, x, sum));
    ASSERT_EQ(n.error, "");
    ASSERT_TRUE(is_ok(n.g->finish({})));
    EXPECT_EQ(n.op_names(), names{"Binary"});
    EXPECT_EQ(n.at(sum).kind, RLX_VALUE_CONSTANT);
    EXPECT_EQ(floats(n.at(sum)), (std::vector<float>{3, 4, 5, 3, 4, 5}));
}

TEST(passes, folding_can_be_turned_off_and_leaves_outputs_alone) {
    for (const bool fold : {true, false}) {
        net n;
        const rlx_value one = n.constant<float>(RLX_F32, {2}, {1, 2});
        n.output("a", n.unary(RLX_UNARY_NEG, one));
        n.output("b", n.unary(RLX_UNARY_EXP, n.unary(RLX_UNARY_NEG, one)));
        ASSERT_TRUE(is_ok(n.g->finish({}, {.fold = fold})));
        EXPECT_EQ(n.op_names().size(), fold ? 2U : 3U);
    }
}

TEST(passes, what_backends_round_differently_is_not_folded) {
    net n;
    const rlx_value one = n.constant<float>(RLX_F32, {2}, {1, 2});
    const rlx_value e = n.unary(RLX_UNARY_EXP, one);
    const rlx_value fused =
        n.op(RLX_OP_Affine, {one}, {{RLX_ATTR_scale, 3.0}, {RLX_ATTR_shift, 0.1}});
    n.output("y", binary(n, RLX_BINARY_ADD, e, fused));
    ASSERT_TRUE(is_ok(n.g->finish({})));
    EXPECT_EQ(n.op_names().size(), 3U);
}

TEST(passes, dead_nodes_stay_when_asked_and_still_get_memory) {
    net n;
    const dim t = n.sym("T", 1, 8);
    const rlx_value x = n.f32("x", {t, 4});
    const rlx_value dead = n.unary(RLX_UNARY_EXP, x);
    n.output("y", n.unary(RLX_UNARY_ABS, x));
    ASSERT_TRUE(is_ok(n.g->finish({}, {.dce = false})));
    EXPECT_EQ(n.op_names().size(), 2U);
    EXPECT_EQ(n.at(dead).scratch_bytes, 8U * 4 * 4);
}

TEST(passes, composites_are_decomposed_unasked) {
    net n;
    const rlx_value x = n.f32("x", {2, 4});
    n.output("y", n.op(RLX_OP_Softmax, {x}, {{RLX_ATTR_axis, 1}}));
    ASSERT_TRUE(is_ok(n.g->finish({}, {.composites = false})));
    const names ops = n.op_names();
    EXPECT_EQ(std::count(ops.begin(), ops.end(), "Softmax"), 0);
    EXPECT_GT(ops.size(), 3U);
}

TEST(passes, assert_whole_names_the_composite_and_the_reason) {
    net n;
    const rlx_value x = n.f32("x", {2, 4});
    n.at_module("model.layers.1.mlp");
    n.output("y", n.op(RLX_OP_Softmax, {x}, {{RLX_ATTR_axis, 1}}));
    const auto r = n.g->finish(n.refuse({RLX_OP_Softmax}), {.assert_whole = true});
    ASSERT_FALSE(r.ok());
    EXPECT_EQ(r.error().code, static_cast<std::uint32_t>(RLX_UNSUPPORTED));
    EXPECT_NE(r.error().message.find("Softmax in model.layers.1.mlp"), std::string::npos)
        << r.error().message;
    EXPECT_NE(r.error().message.find("assert_clean"), std::string::npos);
    net whole;
    const rlx_value z = whole.f32("x", {2, 4});
    whole.output("y", whole.op(RLX_OP_Softmax, {z}, {{RLX_ATTR_axis, 1}}));
    EXPECT_TRUE(is_ok(whole.g->finish({}, {.assert_whole = true})));
}

} // namespace rlx::test
