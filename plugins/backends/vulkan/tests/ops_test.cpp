// SPDX-License-Identifier: GPL-3.0-only
// Every op against the CPU backend in exact mode: tile edges, strided views, broadcasting, zero
// sizes, symbolic extents.
#include "twin.hpp"

using namespace rlx;
using namespace rlx::vulkan_test;

namespace {

TEST_F(vulkan, unary_functions_agree_with_the_cpu) {
    for (int kind = RLX_UNARY_NEG; kind <= RLX_UNARY_RELU; ++kind) {
        if (kind == RLX_UNARY_SIN || kind == RLX_UNARY_COS || kind == RLX_UNARY_LOG) continue;
        SCOPED_TRACE(kind);
        twin t;
        const bool positive = kind >= RLX_UNARY_LOG && kind <= RLX_UNARY_RECIPROCAL;
        const rlx_value x = t.in({7, 131}, positive ? 0.1f : -9, 9);
        t.limit = kind == RLX_UNARY_EXP ? 1e-5 : 5e-6;
        t.out(t.n.add(RLX_OP_Unary, {x}, {{RLX_ATTR_kind, kind}}), 7 * 131);
        t.same();
    }
}

TEST_F(vulkan, affine_and_clamp_read_strided_views) {
    twin t;
    const rlx_value x = t.in({5, 6, 7});
    const rlx_value turned =
        t.n.add(RLX_OP_Permute, {x}, {{RLX_ATTR_perm, std::vector<dim>{2, 0, 1}}});
    t.out(t.n.add(RLX_OP_Affine, {turned}, {{RLX_ATTR_scale, 1.5}, {RLX_ATTR_shift, -0.25}}), 210);
    t.out(t.n.add(RLX_OP_Clamp, {turned}, {{RLX_ATTR_lo, -1.0}, {RLX_ATTR_hi, 0.5}}), 210);
    t.same();
}

TEST_F(vulkan, binary_functions_broadcast_both_sides) {
    for (int kind = RLX_BINARY_ADD; kind <= RLX_BINARY_MIN; ++kind) {
        SCOPED_TRACE(kind);
        twin t;
        const rlx_value a = t.in({3, 1, 33}), b = t.in({5, 1}, 0.5f, 2);
        t.out(t.n.add(RLX_OP_Binary, {a, b}, {{RLX_ATTR_kind, kind}}), 3 * 5 * 33);
        const rlx_value i = t.ids({4}, {7, -7, 2147483647, 0}), j = t.ids({4}, {2, 0, 3, -1});
        t.out(t.n.add(RLX_OP_Binary, {i, j}, {{RLX_ATTR_kind, kind}}), 4, true);
        t.same();
    }
}

TEST_F(vulkan, gated_units_agree_with_the_cpu) {
    for (int kind = RLX_GLU_SWIGLU; kind <= RLX_GLU_SIGMOID; ++kind) {
        SCOPED_TRACE(kind);
        twin t;
        const rlx_value both = t.in({9, 64}, -6, 6);
        const auto half = [&](dim from, dim to) {
            return t.n.add(
                RLX_OP_Slice,
                {both},
                {{RLX_ATTR_axis, 1}, {RLX_ATTR_start, from}, {RLX_ATTR_stop, to}}
            );
        };
        t.out(t.n.add(RLX_OP_Glu, {half(0, 32), half(32, 64)}, {{RLX_ATTR_kind, kind}}), 9 * 32);
        t.same();
    }
}

TEST_F(vulkan, copies_and_concatenations_keep_the_order_of_elements) {
    twin t;
    const rlx_value x = t.in({4, 3, 5}), y = t.in({4, 2, 5});
    const rlx_value turned =
        t.n.add(RLX_OP_Permute, {x}, {{RLX_ATTR_perm, std::vector<dim>{1, 2, 0}}});
    t.limit = 0;
    t.out(t.n.add(RLX_OP_Copy, {turned}), 60);
    t.out(t.n.add(RLX_OP_Concat, {x, y, x}, {{RLX_ATTR_axis, 1}}), 4 * 8 * 5);
    t.same();
}

TEST_F(vulkan, norms_agree_with_the_cpu_at_any_row_length) {
    for (const dim n : {1, 5, 64, 65, 576, 1031}) {
        SCOPED_TRACE(n);
        twin t;
        const auto size = static_cast<std::size_t>(n);
        t.weights.f32("w", {n}, numbers(size, 7, 0.5f, 1.5f));
        t.weights.bf16("b", {n}, numbers(size, 8));
        const rlx_value x = t.in({3, 4, n}), w = t.n.weight("w", {n}), b = t.n.weight("b", {n});
        const rlx_value turned =
            t.n.add(RLX_OP_Permute, {x}, {{RLX_ATTR_perm, std::vector<dim>{1, 0, 2}}});
        t.out(
            t.n.add(
                RLX_OP_RmsNorm, {turned, w}, {{RLX_ATTR_eps, 1e-5}, {RLX_ATTR_weight_offset, 1.0}}
            ),
            12 * size
        );
        t.out(t.n.add(RLX_OP_RmsNorm, {x}, {{RLX_ATTR_eps, 1e-5}}), 12 * size);
        t.out(t.n.add(RLX_OP_LayerNorm, {turned, w, b}, {{RLX_ATTR_eps, 1e-5}}), 12 * size);
        t.same();
    }
}

// rows x cols of W, tokens
void product(const char* type, dim rows, dim cols, dim tokens) {
    SCOPED_TRACE(
        std::string(type) + " " + std::to_string(rows) + "x" + std::to_string(cols) + " of " +
        std::to_string(tokens)
    );
    twin t;
    const auto n = static_cast<std::size_t>(rows * cols);
    const std::string name = type;
    if (name == "f32") t.weights.f32("w", {rows, cols}, numbers(n, 3));
    if (name == "bf16") t.weights.bf16("w", {rows, cols}, numbers(n, 3));
    if (name == "q8_0") t.weights.q8_0("w", {rows, cols}, numbers(n, 3));
    t.weights.f32("b", {rows}, numbers(static_cast<std::size_t>(rows), 4));
    const dim T = t.n.sym("T", 40);
    const rlx_value w = t.n.weight("w", {rows, cols}), b = t.n.weight("b", {rows});
    const rlx_value x = t.fed({T, cols}, numbers(static_cast<std::size_t>(tokens * cols), 5));
    t.extents = {{"T", tokens}};
    t.out(t.n.add(RLX_OP_MatMul, {x, w, b}), static_cast<std::size_t>(tokens * rows));
    t.same();
}

TEST_F(vulkan, products_agree_with_the_cpu_at_tile_edges) {
    for (const dim rows : {1, 129})
        for (const dim tokens : {0, 1, 5})
            product("bf16", rows, 33, tokens);
    product("f32", 31, 1, 1);
    product("f32", 33, 64, 9);
    for (const dim tokens : {1, 3, 17})
        product("q8_0", 70, 96, tokens); // an odd number of blocks
    product("q8_0", 32, 320, 4);
}

TEST_F(vulkan, a_product_of_two_computed_values_is_no_stored_weight) {
    twin t;
    const rlx_value x = t.in({5, 40}), w = t.in({7, 40});
    t.out(
        t.n.add(RLX_OP_MatMul, {x, t.n.add(RLX_OP_Unary, {w}, {{RLX_ATTR_kind, RLX_UNARY_NEG}})}),
        35
    );
    t.same();
}

TEST_F(vulkan, one_program_runs_at_any_extent) {
    twin t;
    t.weights.f32("w", {48, 64}, numbers(48 * 64, 3));
    const dim T = t.n.sym("T", 33);
    const rlx_value w = t.n.weight("w", {48, 64}), x = t.fed({T, 64}, {});
    const rlx_value h = t.n.add(RLX_OP_RmsNorm, {x}, {{RLX_ATTR_eps, 1e-5}});
    const rlx_value y = t.n.add(RLX_OP_MatMul, {h, w});
    const rlx_value z = t.n.add(RLX_OP_Unary, {y}, {{RLX_ATTR_kind, RLX_UNARY_SILU}});
    t.out(z, 0);
    for (const dim tokens : {1, 33, 0, 8, 1, 2}) {
        SCOPED_TRACE(tokens);
        t.extents = {{"T", tokens}};
        t.data(
            x, numbers(static_cast<std::size_t>(tokens * 64), static_cast<std::uint32_t>(tokens))
        );
        t.resize(z, static_cast<std::size_t>(tokens * 48));
        t.same();
    }
}

} // namespace
