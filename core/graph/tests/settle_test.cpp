// SPDX-License-Identifier: GPL-3.0-only
// finish(): dead nodes, claims, copies, refusals.
#include "interpreter.hpp"

namespace rlx::test {

using names = std::vector<std::string>;

TEST(finish, removes_what_no_output_or_state_needs) {
    net n;
    const dim t = n.sym("T", 1, 8);
    const rlx_value x = n.f32("x", {t, 2, 4}), slots = n.i32("slots", {t});
    n.f32("unused", {t});
    const rlx_value kv = n.state("kv", 2, 4, 4);
    n.op(RLX_OP_KvAppend, {kv, n.unary(RLX_UNARY_EXP, x), x, slots});
    const rlx_value dead = n.unary(RLX_UNARY_SIN, x);
    n.unary(RLX_UNARY_COS, dead);
    n.output("y", n.unary(RLX_UNARY_ABS, x));
    ASSERT_EQ(n.error, "");
    ASSERT_TRUE(is_ok(n.g->finish({})));
    EXPECT_EQ(n.op_names(), (names{"Unary", "KvAppend", "Unary"}));
    EXPECT_EQ(n.at(dead).producer, ir::no_node);
    EXPECT_EQ(n.g->states(), std::vector<rlx_value>{kv});
}

TEST(finish, without_outputs_is_an_error) {
    net n;
    n.f32("x", {1});
    EXPECT_EQ(n.g->finish({}).error().message, "the graph has no output");
}

TEST(finish, a_refused_primitive_is_named_with_module_inputs_and_reason) {
    net n;
    const rlx_value x = n.f32("x", {2, 3});
    n.at_module("model.layers.3.mlp");
    n.output("y", n.unary(RLX_UNARY_EXP, x));
    const auto r = n.g->finish(n.refuse({RLX_OP_Unary}));
    ASSERT_FALSE(r.ok());
    EXPECT_EQ(r.error().code, static_cast<std::uint32_t>(RLX_UNSUPPORTED));
    EXPECT_EQ(
        r.error().message,
        "the backend has no kernel for Unary in model.layers.3.mlp (%1 'x' f32 [2, 3]): not built"
    );
}

TEST(finish, strided_inputs_are_copied_for_a_backend_that_wants_rows) {
    net n;
    const dim t = n.sym("T", 1, 8);
    const rlx_value x = n.f32("x", {t, 12});
    const rlx_value part = n.slice(x, 1, 4, 8);
    const rlx_value a = n.unary(RLX_UNARY_EXP, part),
                    b = n.op(RLX_OP_RmsNorm, {part}, {{RLX_ATTR_eps, 1e-6}});
    n.output("a", a);
    n.output("b", b);
    const auto rows_only = [&](std::span<const std::uint32_t> nodes,
                               std::span<std::uint8_t> verdict,
                               std::span<std::string>) -> result<void> {
        for (std::size_t i = 0; i < nodes.size(); i++) {
            const ir::node& node = n.m().nodes[nodes[i]];
            verdict[i] = node.op == RLX_OP_Copy || n.at(node.in[0]).strides[0] == 4;
        }
        return {};
    };
    ASSERT_TRUE(is_ok(n.g->finish(rows_only)));
    EXPECT_EQ(n.op_names(), (names{"Slice", "Copy", "Unary", "RmsNorm"})) << "one copy serves both";
}

TEST(finish, a_refused_copy_does_not_go_on_for_ever) {
    net n;
    const rlx_value x = n.permute(n.f32("x", {3, 4}), {1, 0});
    n.output("y", n.unary(RLX_UNARY_EXP, x));
    const auto r = n.g->finish(n.refuse({RLX_OP_Unary, RLX_OP_Copy}));
    ASSERT_FALSE(r.ok());
    EXPECT_TRUE(contains(r.error().message, "no kernel for Copy")) << r.error().message;
}

TEST(finish, claims_may_fail_and_are_never_asked_about_views) {
    net n;
    const rlx_value x = n.permute(n.f32("x", {3, 4}), {1, 0});
    n.output("y", n.unary(RLX_UNARY_EXP, x));
    const auto r =
        n.g->finish([&](std::span<const std::uint32_t> nodes, auto, auto) -> result<void> {
            EXPECT_EQ(nodes.size(), 1u);
            return error{RLX_DEVICE_LOST, "gone"};
        });
    ASSERT_FALSE(r.ok());
    EXPECT_EQ(r.error().code, static_cast<std::uint32_t>(RLX_DEVICE_LOST));
}

TEST(finish, values_keep_their_ids_when_nodes_are_replaced) {
    net n;
    const rlx_value x = n.f32("x", {2, 6});
    const rlx_value y = n.op(RLX_OP_Softmax, {x}, {{RLX_ATTR_axis, 1}});
    const rlx_value z = n.slice(y, 1, 0, 3); // a view of a decomposed value
    n.output("y", y);
    n.output("z", z);
    ASSERT_TRUE(is_ok(n.g->finish(n.refuse({RLX_OP_Softmax}))));
    EXPECT_EQ(n.g->find_output("y"), y);
    EXPECT_EQ(n.at(z).root, y);
    EXPECT_EQ(n.m().nodes[n.at(y).producer].op, RLX_OP_Binary);
}

TEST(finish, outputs_never_share_memory_with_anything) {
    net n;
    const rlx_value x = n.f32("x", {2, 6});
    const rlx_value y = n.unary(RLX_UNARY_EXP, x);
    n.output("input", x);
    n.output("once", y);
    n.output("twice", y);
    n.output("view", n.reshape(y, {12}));
    n.output("constant", n.constant<float>(RLX_F32, {1}, {3}));
    ASSERT_EQ(n.error, "");
    ASSERT_TRUE(is_ok(n.g->finish({})));
    for (rlx_value v : n.m().outputs) {
        EXPECT_EQ(n.at(v).root, v);
        EXPECT_TRUE(n.at(v).is_output);
        EXPECT_GT(n.at(v).scratch_bytes, 0u) << "the caller learns how much to bind";
    }
    EXPECT_EQ(n.g->scratch_bytes(), 0u) << "and outputs take no arena";
}

TEST(finish, constants_are_operands_like_any_other) {
    net n;
    const dim t = n.sym("T", 0, 8);
    const rlx_value x = n.f32("x", {t, 3});
    const rlx_value bias = n.constant<float>(RLX_F32, {3}, {10, 20, 30});
    const rlx_value rows = n.constant<std::int32_t>(RLX_I32, {2}, {1, 0});
    n.output("y", n.op(RLX_OP_GatherRows, {n.add(x, bias), rows}));
    ASSERT_EQ(n.error, "");
    ASSERT_TRUE(is_ok(n.g->finish({})));
    interpreter in(n.m(), {2}, true);
    in.set(x, {1, 2, 3, 4, 5, 6});
    in.run();
    EXPECT_EQ(in.get(n.g->find_output("y")), (std::vector<double>{14, 25, 36, 11, 22, 33}));
}

TEST(finish, a_finished_graph_cannot_be_changed) {
    net n;
    const rlx_value x = n.f32("x", {2, 6});
    n.output("y", n.unary(RLX_UNARY_EXP, x));
    ASSERT_TRUE(is_ok(n.g->finish({})));
    n.unary(RLX_UNARY_EXP, x);
    EXPECT_EQ(n.error, "the graph is finished and cannot be changed");
    n.sym("T", 0, 1);
    EXPECT_NE(n.error, "");
    EXPECT_FALSE(n.g->finish({}).ok());
}

} // namespace rlx::test
