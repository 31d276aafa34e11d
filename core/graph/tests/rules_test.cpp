// SPDX-License-Identifier: GPL-3.0-only
// Every shape rule: what it gives, and what it says when an input is wrong.
#include "net.hpp"

namespace rlx::test {

namespace {

// A graph with the shapes of a small language model.
struct lm : net {
    dim t = sym("T", 0, 64), b = sym("B", 1, 8), p = sym("P", 1, 16);
    rlx_value x = f32("x", {t, 32});
    rlx_value heads = f32("heads", {t, 4, 8});
    rlx_value ids = i32("ids", {t});

    void expect(rlx_value v, std::string_view type, std::string_view dims) {
        EXPECT_EQ(error, "");
        ASSERT_NE(v, 0u);
        EXPECT_EQ(
            ir::describe(m(), v),
            "%" + std::to_string(v) + " " + std::string(type) + " " + std::string(dims)
        );
    }

    void fails(rlx_value v, std::string_view text) {
        EXPECT_EQ(v, 0u);
        EXPECT_TRUE(contains(error, text)) << error;
        EXPECT_EQ(code, static_cast<std::uint32_t>(RLX_INVALID_ARGUMENT));
    }
};

} // namespace

TEST(rules, messages_name_op_module_input_expectation_and_shape) {
    lm n;
    n.at_module("model.layers.3.mlp.up_proj");
    const rlx_value w = n.weight("model.layers.3.mlp.up_proj.weight", RLX_F32, {48, 31});
    n.op(RLX_OP_MatMul, {n.x, w});
    EXPECT_EQ(
        n.error,
        "MatMul in model.layers.3.mlp.up_proj: input 1 is %4 'model.layers.3.mlp.up_proj.weight' "
        "f32 "
        "[48, 31], expected W [out, 32]"
    );
}

TEST(rules, arity_unknown_values_and_states_are_checked) {
    lm n;
    const rlx_value kv = n.state("kv", 2, 8, 8);
    n.fails(n.op(RLX_OP_MatMul, {n.x}), "MatMul: 1 inputs, expected 2 to 3");
    n.fails(n.op(RLX_OP_Softmax, {999}, {{RLX_ATTR_axis, 0}}), "input 0 is the unknown value %999");
    n.fails(n.op(RLX_OP_Softmax, {0}, {{RLX_ATTR_axis, 0}}), "input 0 is the unknown value %0");
    n.fails(n.unary(RLX_UNARY_EXP, kv), "is %4 'kv' kv state 2 x (8 + 8), expected a tensor");
    n.fails(
        n.op(RLX_OP_AttentionState, {n.heads, n.x, n.ids, n.ids, n.ids}, {{RLX_ATTR_scale, 1.0}}),
        "expected a state"
    );
    n.fails(n.op(999, {n.x}), "unknown op 999");
}

TEST(rules, attributes_are_typed_required_known_and_unique) {
    lm n;
    n.fails(n.op(RLX_OP_Softmax, {n.x}), "Softmax: attribute axis is missing");
    n.fails(
        n.op(RLX_OP_Softmax, {n.x}, {{RLX_ATTR_axis, 1.0}}), "attribute axis has kind 2, expected 1"
    );
    n.fails(
        n.op(RLX_OP_Softmax, {n.x}, {{RLX_ATTR_axis, 1}, {RLX_ATTR_eps, 1.0}}),
        "unknown attribute eps"
    );
    n.fails(n.op(RLX_OP_Softmax, {n.x}, {{RLX_ATTR_axis, 1}, {4000, 1}}), "unknown attribute 4000");
    n.fails(
        n.op(RLX_OP_Softmax, {n.x}, {{RLX_ATTR_axis, 1}, {RLX_ATTR_axis, 1}}),
        "attribute axis given twice"
    );
    n.fails(n.reshape(n.x, std::vector<dim>(9, 1)), "attribute dims has 9 entries");
    n.fails(n.op(RLX_OP_Softmax, {n.x}, {{RLX_ATTR_axis, 2}}), "axis 2 of %1 'x' f32 [T, 32]");
    n.fails(n.op(RLX_OP_Softmax, {n.x}, {{RLX_ATTR_axis, -3}}), "axis -1 of");
    n.expect(n.op(RLX_OP_Softmax, {n.x}, {{RLX_ATTR_axis, -1}}), "f32", "[T, 32]");
    EXPECT_EQ(n.m().nodes.back().attrs.i64(RLX_ATTR_axis), 1);
}

TEST(rules, views) {
    lm n;
    n.expect(n.reshape(n.x, {n.t, 4, 8}), "f32", "[T, 4, 8]");
    n.fails(n.reshape(n.x, {n.t, 4, 9}), "expected 36*T elements for [T, 4, 9]");
    n.fails(n.reshape(n.x, {-999, 4}), "attribute dims has the unknown dim handle -999");
    n.expect(n.permute(n.heads, {1, 2, 0}), "f32", "[4, 8, T]");
    n.fails(n.permute(n.heads, {1, 2}), "expected 2 axes, as many as perm");
    n.fails(n.permute(n.heads, {1, 1, 0}), "perm is not a permutation of 3 axes");
    n.fails(n.permute(n.heads, {1, 3, 0}), "perm is not a permutation");
    n.expect(n.slice(n.x, 1, 8, 16), "f32", "[T, 8]");
    n.expect(n.slice(n.x, 1, 8, 8), "f32", "[T, 0]");
    n.fails(n.slice(n.x, 1, 8, 33), "33 <= 32 needed: slice 8 : 33 of axis 1 of [T, 32]");
    n.fails(n.slice(n.x, 1, 9, 8), "9 <= 8 needed");
    n.expect(n.broadcast(n.f32("one", {1, 32}), {n.t, 32}), "f32", "[T, 32]");
    n.fails(n.broadcast(n.x, {32}), "expected a shape that broadcasts to [32]");
    n.fails(
        n.reshape(n.weight("w", RLX_Q8_0, {32, 32}), {1024}),
        "expected an element type that is not packed"
    );
}

TEST(rules, concat_copy_cast_fill_arange) {
    lm n;
    const rlx_value y = n.f32("y", {n.t, 8});
    n.expect(n.op(RLX_OP_Concat, {n.x, y, n.x}, {{RLX_ATTR_axis, 1}}), "f32", "[T, 72]");
    n.expect(n.op(RLX_OP_Concat, {n.x, n.x}, {{RLX_ATTR_axis, 0}}), "f32", "[2*T, 32]");
    n.fails(
        n.op(RLX_OP_Concat, {n.x, y}, {{RLX_ATTR_axis, 0}}), "expected f32 [T, 32] but on axis 0"
    );
    n.fails(
        n.op(RLX_OP_Concat, {n.x, n.ids}, {{RLX_ATTR_axis, 0}}),
        "expected f32 [T, 32] but on axis 0"
    );
    n.expect(n.op(RLX_OP_Copy, {n.permute(n.x, {1, 0})}), "f32", "[32, T]");
    n.expect(n.op(RLX_OP_Cast, {n.x}, {{RLX_ATTR_dtype, RLX_BF16}}), "bf16", "[T, 32]");
    n.fails(n.op(RLX_OP_Cast, {n.x}, {{RLX_ATTR_dtype, RLX_Q8_0}}), "cast to q8_0");
    n.fails(n.op(RLX_OP_Cast, {n.x}, {{RLX_ATTR_dtype, 77}}), "cast to dtype 77");
    n.expect(
        n.op(
            RLX_OP_Fill,
            {},
            {{RLX_ATTR_dims, std::vector<dim>{n.t, 2}},
             {RLX_ATTR_dtype, RLX_I32},
             {RLX_ATTR_value, 7.0}}
        ),
        "i32",
        "[T, 2]"
    );
    n.fails(
        n.op(
            RLX_OP_Fill,
            {},
            {{RLX_ATTR_dims, std::vector<dim>{}}, {RLX_ATTR_dtype, RLX_F16}, {RLX_ATTR_value, 7.0}}
        ),
        "dtype f16, expected f32, i32 or bool"
    );
    n.expect(n.op(RLX_OP_Arange, {}, {{RLX_ATTR_n, n.t}}), "i32", "[T]");
    n.fails(n.op(RLX_OP_Arange, {}, {{RLX_ATTR_n, -999}}), "n has the unknown dim handle -999");
}

TEST(rules, index_ops) {
    lm n;
    const rlx_value table = n.weight("embed", RLX_Q4_K, {100, 256});
    n.expect(n.op(RLX_OP_GatherRows, {table, n.ids}), "f32", "[T, 256]");
    n.expect(n.op(RLX_OP_GatherRows, {n.x, n.i32("rows", {n.b, 2})}), "f32", "[B, 2, 32]");
    n.fails(n.op(RLX_OP_GatherRows, {table, n.x}), "expected i32");
    n.fails(n.op(RLX_OP_GatherRows, {n.f32("s", {}), n.ids}), "expected a table [N, ...]");
    const rlx_value idx = n.i32("idx", {n.t, 3});
    n.expect(n.op(RLX_OP_TakeAlong, {n.x, idx}, {{RLX_ATTR_axis, 1}}), "f32", "[T, 3]");
    n.fails(
        n.op(RLX_OP_TakeAlong, {n.x, idx}, {{RLX_ATTR_axis, 0}}),
        "expected i32 [T, 32] but on axis 0"
    );
    n.fails(
        n.op(RLX_OP_TakeAlong, {n.x, n.ids}, {{RLX_ATTR_axis, 0}}),
        "expected i32 [T, 32] but on axis 0"
    );
    const auto top = n.ops(RLX_OP_TopK, {n.x}, {{RLX_ATTR_k, 5}});
    n.expect(top[0], "f32", "[T, 5]");
    n.expect(top[1], "i32", "[T, 5]");
    n.fails(n.op(RLX_OP_TopK, {n.x}, {{RLX_ATTR_k, 33}}), "33 <= 32 needed: k of the last axis");
    n.fails(n.op(RLX_OP_TopK, {n.x}, {{RLX_ATTR_k, -1}}), "k is -1");
    n.fails(n.op(RLX_OP_TopK, {n.ids}, {{RLX_ATTR_k, 1}}), "expected f32");
}

TEST(rules, elementwise_ops) {
    lm n;
    n.expect(n.unary(RLX_UNARY_GELU, n.x), "f32", "[T, 32]");
    n.fails(n.unary(24, n.x), "attribute kind is 24, expected 1 to 23");
    n.fails(n.unary(RLX_UNARY_EXP, n.ids), "expected f32");
    n.expect(n.add(n.x, n.f32("row", {32})), "f32", "[T, 32]");
    n.expect(n.add(n.f32("col", {n.t, 1}), n.f32("row2", {1, 32})), "f32", "[T, 32]");
    n.expect(n.add(n.ids, n.ids), "i32", "[T]");
    n.fails(n.add(n.x, n.ids), "input 1 is %3 'ids' i32 [T], expected f32");
    n.fails(n.add(n.x, n.f32("bad", {31})), "expected a shape that broadcasts with [T, 32]");
    n.fails(n.op(RLX_OP_Binary, {n.ids, n.ids}, {{RLX_ATTR_kind, RLX_BINARY_POW}}), "expected f32");
    const rlx_value less = n.op(RLX_OP_Compare, {n.x, n.x}, {{RLX_ATTR_kind, RLX_COMPARE_LT}});
    n.expect(less, "bool", "[T, 32]");
    n.fails(n.op(RLX_OP_Compare, {n.x, n.x}, {{RLX_ATTR_kind, 7}}), "attribute kind is 7");
    n.expect(n.op(RLX_OP_Select, {less, n.x, n.f32("zero", {})}), "f32", "[T, 32]");
    n.fails(n.op(RLX_OP_Select, {n.x, n.x, n.x}), "expected bool");
    n.fails(n.op(RLX_OP_Select, {less, n.x, n.ids}), "expected f32");
    n.expect(n.op(RLX_OP_Clamp, {n.x}, {{RLX_ATTR_lo, 0.0}, {RLX_ATTR_hi, 1.0}}), "f32", "[T, 32]");
    n.expect(
        n.op(RLX_OP_Affine, {n.x}, {{RLX_ATTR_scale, 2.0}, {RLX_ATTR_shift, 1.0}}), "f32", "[T, 32]"
    );
    n.fails(
        n.op(RLX_OP_Affine, {n.ids}, {{RLX_ATTR_scale, 2.0}, {RLX_ATTR_shift, 1.0}}), "expected f32"
    );
    n.expect(n.op(RLX_OP_Glu, {n.x, n.x}, {{RLX_ATTR_kind, RLX_GLU_SWIGLU}}), "f32", "[T, 32]");
    n.fails(
        n.op(RLX_OP_Glu, {n.x, n.heads}, {{RLX_ATTR_kind, RLX_GLU_SWIGLU}}),
        "expected f32 [T, 32] like the gate"
    );
    n.fails(n.op(RLX_OP_Glu, {n.x, n.x}, {{RLX_ATTR_kind, 6}}), "attribute kind is 6");
}

TEST(rules, reductions_and_norms) {
    lm n;
    const auto reduce = [&](rlx_value x, int axis, int keep) {
        return n.op(
            RLX_OP_Reduce,
            {x},
            {{RLX_ATTR_kind, RLX_REDUCE_SUM}, {RLX_ATTR_axis, axis}, {RLX_ATTR_keep, keep}}
        );
    };
    n.expect(reduce(n.heads, 1, 0), "f32", "[T, 8]");
    n.expect(reduce(n.heads, -1, 1), "f32", "[T, 4, 1]");
    n.fails(reduce(n.heads, 3, 1), "axis 3");
    n.fails(reduce(n.heads, 1, 2), "attribute keep is 2");
    n.fails(reduce(n.ids, 0, 0), "expected f32");
    n.expect(n.op(RLX_OP_Softmax, {n.heads}, {{RLX_ATTR_axis, 1}}), "f32", "[T, 4, 8]");
    const rlx_value w = n.weight("norm", RLX_BF16, {8});
    n.expect(n.op(RLX_OP_RmsNorm, {n.heads, w}, {{RLX_ATTR_eps, 1e-6}}), "f32", "[T, 4, 8]");
    n.expect(n.op(RLX_OP_RmsNorm, {n.heads}, {{RLX_ATTR_eps, 1e-6}}), "f32", "[T, 4, 8]");
    n.fails(n.op(RLX_OP_RmsNorm, {n.x, w}, {{RLX_ATTR_eps, 1e-6}}), "expected a weight [32]");
    n.fails(
        n.op(RLX_OP_RmsNorm, {n.heads, n.ids}, {{RLX_ATTR_eps, 1e-6}}),
        "expected f32, f16, bf16 or f64"
    );
    n.fails(n.op(RLX_OP_RmsNorm, {n.heads}, {{RLX_ATTR_eps, -1.0}}), "eps is -1");
}

TEST(rules, linear_and_experts) {
    lm n;
    const rlx_value w = n.weight("w", RLX_Q8_0, {48, 32}), bias = n.weight("b", RLX_F16, {48});
    n.expect(n.op(RLX_OP_MatMul, {n.x, w, bias}), "f32", "[T, 48]");
    n.expect(n.op(RLX_OP_MatMul, {n.x, w, 0}), "f32", "[T, 48]");
    EXPECT_EQ(n.m().nodes.back().in.size(), 2u);
    n.fails(n.op(RLX_OP_MatMul, {n.x, w, n.weight("b2", RLX_F32, {47})}), "expected a bias [48]");
    n.fails(n.op(RLX_OP_MatMul, {n.x, n.ids}), "expected floats or packed floats");
    n.fails(n.op(RLX_OP_MatMul, {n.ids, w}), "expected f32");
    n.fails(
        n.op(RLX_OP_MatMul, {n.x, n.weight("odd", RLX_Q4_K, {48, 32})}),
        "expected rows of whole blocks (256 elements)"
    );
    const rlx_value e = n.weight("experts", RLX_Q4_0, {4, 16, 32}), pick = n.i32("pick", {n.t, 2});
    const rlx_value y = n.op(RLX_OP_GroupedMatMul, {n.x, e, pick});
    n.expect(y, "f32", "[T, 2, 16]");
    n.expect(
        n.op(RLX_OP_GroupedMatMul, {y, n.weight("down", RLX_F32, {4, 32, 16}), pick}),
        "f32",
        "[T, 2, 32]"
    );
    n.fails(n.op(RLX_OP_GroupedMatMul, {y, e, pick}), "expected W [E, out, 16]");
    n.fails(n.op(RLX_OP_GroupedMatMul, {n.x, e, n.ids}), "expected i32 [T, K]");
    n.fails(n.op(RLX_OP_GroupedMatMul, {n.x, w, pick}), "expected W [E, out, 32]");
    const auto route = n.ops(
        RLX_OP_MoeRoute, {n.f32("router", {n.t, 4})}, {{RLX_ATTR_k, 2}, {RLX_ATTR_normalise, 1}}
    );
    n.expect(route[0], "f32", "[T, 2]");
    n.expect(route[1], "i32", "[T, 2]");
    n.fails(
        n.op(RLX_OP_MoeRoute, {n.x}, {{RLX_ATTR_k, 33}, {RLX_ATTR_normalise, 1}}),
        "k of the experts"
    );
    n.fails(n.op(RLX_OP_MoeRoute, {n.x}, {{RLX_ATTR_k, 0}, {RLX_ATTR_normalise, 1}}), "k is 0");
    n.fails(
        n.op(RLX_OP_MoeRoute, {n.heads}, {{RLX_ATTR_k, 1}, {RLX_ATTR_normalise, 1}}),
        "expected router logits [T, E]"
    );
    n.expect(n.op(RLX_OP_MoeCombine, {y, route[0]}), "f32", "[T, 16]");
    n.fails(n.op(RLX_OP_MoeCombine, {y, n.x}), "expected weights [T, 2]");
}

TEST(rules, rope_tables_and_their_scalings) {
    lm n;
    const auto table = [&](std::vector<rlx_value> in, std::initializer_list<attr> more = {}) {
        std::vector<rlx_attr> attrs;
        std::vector<attr> all = {{RLX_ATTR_dim, 8}, {RLX_ATTR_base, 1e4}};
        all.insert(all.end(), more.begin(), more.end());
        for (const attr& a : all)
            attrs.push_back(a.a);
        rlx_value out = 0;
        n.check(n.raw_add(RLX_OP_RopeTable, in, attrs, &out));
        return out;
    };
    const rlx_value tab = table({n.ids});
    n.expect(tab, "f32", "[T, 8]");
    n.expect(table({n.ids, n.weight("freqs", RLX_F32, {4})}), "f32", "[T, 8]");
    n.fails(table({n.ids, n.weight("freqs5", RLX_F32, {5})}), "expected frequency factors [4]");
    n.fails(table({n.x}), "expected i32");
    n.fails(
        table({n.ids}, {{RLX_ATTR_scaling, RLX_ROPE_LINEAR}}),
        "scaling 1 needs attribute factor > 0"
    );
    n.fails(
        table({n.ids}, {{RLX_ATTR_scaling, RLX_ROPE_YARN}, {RLX_ATTR_factor, 4.0}}),
        "needs attribute original_max > 0"
    );
    n.fails(
        table(
            {n.ids},
            {{RLX_ATTR_scaling, RLX_ROPE_LLAMA3},
             {RLX_ATTR_factor, 4.0},
             {RLX_ATTR_original_max, 64}}
        ),
        "needs attribute low_freq_factor > 0"
    );
    const std::initializer_list<attr> dynamic = {
        {RLX_ATTR_scaling, RLX_ROPE_DYNAMIC}, {RLX_ATTR_factor, 4.0}, {RLX_ATTR_original_max, 64}};
    n.fails(table({n.ids}, dynamic), "dynamic scaling needs input 2, lengths");
    n.expect(table({n.ids, 0, n.ids}, dynamic), "f32", "[T, 8]");
    n.fails(table({n.ids, 0, n.i32("l", {3, 1})}, dynamic), "expected lengths i32 [T]");
    n.fails(
        n.op(
            RLX_OP_RopeTable,
            {n.ids, 0, n.ids},
            {{RLX_ATTR_dim, 2},
             {RLX_ATTR_base, 1e4},
             {RLX_ATTR_scaling, RLX_ROPE_DYNAMIC},
             {RLX_ATTR_factor, 4.0},
             {RLX_ATTR_original_max, 64}}
        ),
        "dynamic scaling needs dim > 2"
    );
    n.fails(
        n.op(RLX_OP_RopeTable, {n.ids}, {{RLX_ATTR_dim, 7}, {RLX_ATTR_base, 1e4}}),
        "dim is 7, expected even"
    );
    n.fails(
        n.op(RLX_OP_RopeTable, {n.ids}, {{RLX_ATTR_dim, 8}, {RLX_ATTR_base, 0.0}}), "base is 0"
    );
    n.expect(n.op(RLX_OP_Rope, {n.heads, tab}), "f32", "[T, 4, 8]");
    n.fails(n.op(RLX_OP_Rope, {n.x, tab}), "expected [T, H, hd]");
    n.fails(n.op(RLX_OP_Rope, {n.heads, n.x}), "expected a table [T, dim], dim even and <= 8");
    n.fails(n.op(RLX_OP_Rope, {n.heads, tab}, {{RLX_ATTR_pairing, 2}}), "attribute pairing is 2");
}

TEST(rules, attention_over_a_state) {
    lm n;
    const rlx_value kv = n.state("kv", 2, 8, 6);
    const rlx_value k = n.f32("k", {n.t, 2, 8}), v = n.f32("v", {n.t, 2, 6});
    const rlx_value cu = n.i32("cu", {n.calc(RLX_DIM_ADD, n.b, 1)}), len = n.i32("len", {n.b});
    const rlx_value pages = n.i32("pages", {n.b, n.p});
    const rlx_value next = n.op(RLX_OP_KvAppend, {kv, k, v, n.ids});
    EXPECT_EQ(n.error, "");
    EXPECT_EQ(n.at(next).root, kv);
    EXPECT_EQ(n.at(next).kind, RLX_VALUE_STATE);
    EXPECT_EQ(n.at(next).slot.v_dim, 6);
    n.fails(n.op(RLX_OP_KvAppend, {kv, v, v, n.ids}), "expected f32 [T, 2, 8]");
    n.fails(n.op(RLX_OP_KvAppend, {kv, k, k, n.ids}), "expected f32 [T, 2, 6]");
    n.fails(n.op(RLX_OP_KvAppend, {kv, k, v, k}), "expected i32");
    n.fails(n.op(RLX_OP_KvAppend, {k, k, v, n.ids}), "expected a state");
    const auto attend = [&](rlx_value q, rlx_value c, rlx_value l, rlx_value table) {
        return n.op(RLX_OP_AttentionState, {q, next, c, l, table}, {{RLX_ATTR_scale, 0.5}});
    };
    n.expect(attend(n.heads, cu, len, pages), "f32", "[T, 4, 6]");
    n.fails(
        attend(n.f32("q3", {n.t, 3, 8}), cu, len, pages), "expected q [T, a multiple of 2 heads, 8]"
    );
    n.fails(
        attend(n.f32("q4", {n.t, 4, 9}), cu, len, pages), "expected q [T, a multiple of 2 heads, 8]"
    );
    n.fails(attend(n.heads, len, len, pages), "expected cu_seqlens i32 [B + 1]");
    n.fails(attend(n.heads, cu, cu, pages), "expected cu_seqlens i32 [B + 1 + 1]");
    n.fails(attend(n.heads, cu, len, len), "expected block_table i32 [B, P]");
    n.fails(
        n.op(
            RLX_OP_AttentionState,
            {n.heads, next, cu, len, pages},
            {{RLX_ATTR_scale, 1.0}, {RLX_ATTR_window, -1}}
        ),
        "attribute window is negative"
    );
}

TEST(rules, undecided_conditions_are_checked_at_each_run) {
    lm n;
    n.at_module("model.layers.0");
    const rlx_value a = n.f32("a", {n.t}), c = n.f32("c", {n.p});
    const rlx_value y = n.add(a, c);
    n.output("y", y);
    ASSERT_EQ(n.error, "");
    ASSERT_TRUE(is_ok(n.g->finish({})));
    using named = std::pair<std::string_view, std::int64_t>;
    const named good[] = {{"T", 5}, {"B", 1}, {"P", 5}}, bad[] = {{"T", 5}, {"B", 1}, {"P", 6}};
    EXPECT_TRUE(is_ok(n.g->extents(good)));
    const auto r = n.g->extents(bad);
    ASSERT_FALSE(r.ok());
    EXPECT_EQ(
        r.error().message,
        "T == P needed: Binary in model.layers.0: input 1 is %5 'c' f32 [P], expected a shape that "
        "broadcasts with [T]; not so at T = 5, B = 1, P = 6"
    );
    EXPECT_EQ(
        n.g->extents(std::span(good).first(2)).error().message, "no extent given for symbol P"
    );
    const named extra[] = {{"T", 5}, {"B", 1}, {"P", 5}, {"Q", 5}};
    EXPECT_EQ(n.g->extents(extra).error().message, "the graph has no symbol Q");
}

TEST(rules, a_slice_that_may_leave_its_tensor_is_checked_at_each_run) {
    lm n;
    n.output("y", n.unary(RLX_UNARY_EXP, n.slice(n.x, 0, 0, n.p)));
    ASSERT_EQ(n.error, "");
    ASSERT_TRUE(is_ok(n.g->finish({})));
    using named = std::pair<std::string_view, std::int64_t>;
    const named good[] = {{"T", 9}, {"B", 1}, {"P", 9}}, bad[] = {{"T", 8}, {"B", 1}, {"P", 9}};
    EXPECT_TRUE(is_ok(n.g->extents(good)));
    EXPECT_TRUE(contains(n.g->extents(bad).error().message, "P <= T needed: slice 0 : P of axis 0")
    );
}

TEST(rules, sources) {
    lm n;
    EXPECT_EQ(n.f32("x", {n.t, 32}), n.x) << "declared again";
    n.fails(
        n.f32("x", {n.t, 33}), "input 'x' is declared as f32 [T, 32], asked for as f32 [T, 33]"
    );
    n.fails(n.i32("x", {n.t, 32}), "asked for as i32 [T, 32]");
    rlx_value v = 0;
    n.check(n.api->input(n.g->handle(), str("x"), RLX_F32, 2, nullptr, &v));
    EXPECT_EQ(v, n.x) << "without dims";
    n.check(n.api->input(n.g->handle(), str("x"), RLX_F32, 3, nullptr, &v));
    EXPECT_TRUE(contains(n.error, "asked for as f32 rank 3")) << n.error;
    n.fails(n.f32("", {1}), "input without a name");
    n.fails(n.f32("z", {-99}), "input 'z': unknown dim handle -99");
    n.fails(n.f32("z", std::vector<dim>(9, 1)), "rank 9");
    n.fails(n.in("z", RLX_Q8_0, {32}), "expected a plain type");
    n.fails(n.f32("z", {std::int64_t{1} << 40, std::int64_t{1} << 40, 2}), "overflows 64 bits");
    n.fails(n.state("s", 0, 8, 8), "expected sizes from 1 to");
    const rlx_value s = n.state("s", 1, 8, 8);
    EXPECT_EQ(n.state("s", 1, 8, 8), s);
    n.fails(n.state("s", 1, 8, 9), "asked for again as 1 x (8 + 9)");
    n.fails(n.constant<float>(RLX_F32, {3}, {1, 2}), "constant f32 [3] has 8 bytes, expected 12");
    n.fails(n.constant<float>(RLX_F32, {n.t}, {1, 2}), "dims must be numbers");
    EXPECT_NE(n.constant<float>(RLX_F32, {0}, {}), 0u);
}

} // namespace rlx::test
