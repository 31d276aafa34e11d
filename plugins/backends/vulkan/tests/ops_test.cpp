// SPDX-License-Identifier: GPL-3.0-only
// Every op against the CPU backend in exact mode: tile edges, strided views, broadcasting, zero
// sizes, symbolic extents.
#include "twin.hpp"

using namespace rlx;
using namespace rlx::vulkan_test;

namespace {

TEST_F(vulkan, unary_functions_agree_with_the_cpu) {
    for (int kind = RLX_UNARY_NEG; kind <= RLX_UNARY_RELU; ++kind) {
        SCOPED_TRACE(kind);
        twin t;
        const bool positive = kind >= RLX_UNARY_LOG && kind <= RLX_UNARY_RECIPROCAL;
        const rlx_value x = t.in({7, 131}, positive ? 0.1f : -9, 9);
        t.limit = kind == RLX_UNARY_EXP ? 1e-5 : 5e-6;
        t.out(t.n.add(RLX_OP_Unary, {x}, {{RLX_ATTR_kind, kind}}), 7 * 131);
        t.same();
    }
}

TEST_F(vulkan, sine_cosine_and_logarithm_are_exact_over_the_whole_range) {
    twin t;
    t.limit = 2e-7;
    std::vector<float> angles{0.0f, 1e-30f, 1.0f, 3.1415927f, 1e5f, 16777216.0f, 33554430.0f};
    for (float x = 4e7f; std::isfinite(x); x *= -13.7f)
        angles.push_back(x);
    const auto n = static_cast<dim>(angles.size());
    const rlx_value x = t.fed({n}, angles);
    std::vector<float> all{1e-42f, 1.2e-38f, 0.5f, 0.99999994f, 1.0f, 1.0000001f, 2.0f, 3e38f};
    const rlx_value positive = t.fed({8}, all);
    t.out(t.n.add(RLX_OP_Unary, {x}, {{RLX_ATTR_kind, RLX_UNARY_SIN}}), angles.size());
    t.out(t.n.add(RLX_OP_Unary, {x}, {{RLX_ATTR_kind, RLX_UNARY_COS}}), angles.size());
    t.out(t.n.add(RLX_OP_Unary, {positive}, {{RLX_ATTR_kind, RLX_UNARY_LOG}}), 8);
    t.same();
}

TEST_F(vulkan, comparisons_casts_and_made_values_agree_with_the_cpu) {
    constexpr float inf = std::numeric_limits<float>::infinity();
    for (int kind = RLX_COMPARE_EQ; kind <= RLX_COMPARE_GE; ++kind) {
        SCOPED_TRACE(kind);
        twin t;
        t.limit = 0;
        const rlx_value a = t.fed({1, 5}, {1, -0.0f, NAN, inf, -2});
        const rlx_value b = t.fed({3, 1}, {0, 1, -inf}), i = t.ids({3}, {1, -1, 7});
        const rlx_value j = t.ids({3}, {1, 0, 2147483647});
        for (const auto& [x, y, n] : {std::tuple{a, b, 15}, std::tuple{i, j, 3}}) {
            const rlx_value c = t.n.add(RLX_OP_Compare, {x, y}, {{RLX_ATTR_kind, kind}});
            const auto count = static_cast<std::size_t>(n);
            t.out(t.n.add(RLX_OP_Cast, {c}, {{RLX_ATTR_dtype, RLX_F32}}), count);
            t.out(t.n.add(RLX_OP_Cast, {c}, {{RLX_ATTR_dtype, RLX_I32}}), count, true);
        }
        t.same();
    }
    twin t;
    t.limit = 0;
    const rlx_value x = t.fed({6}, {-2.9f, 2.9f, 3e9f, -inf, NAN, -0.0f});
    t.out(t.n.add(RLX_OP_Cast, {x}, {{RLX_ATTR_dtype, RLX_I32}}), 6, true);
    const rlx_value any = t.n.add(RLX_OP_Cast, {x}, {{RLX_ATTR_dtype, RLX_BOOL}});
    t.out(t.n.add(RLX_OP_Cast, {any}, {{RLX_ATTR_dtype, RLX_I32}}), 6, true);
    const rlx_value n = t.n.add(RLX_OP_Arange, {}, {{RLX_ATTR_n, 300}});
    t.out(t.n.add(RLX_OP_Cast, {n}, {{RLX_ATTR_dtype, RLX_F32}}), 300);
    t.out(
        t.n.add(
            RLX_OP_Fill,
            {},
            {{RLX_ATTR_dims, std::vector<dim>{3, 7}},
             {RLX_ATTR_dtype, RLX_F32},
             {RLX_ATTR_value, -1.25}}
        ),
        21
    );
    t.same();
}

TEST_F(vulkan, the_largest_come_in_order_and_ties_by_index) {
    constexpr float inf = std::numeric_limits<float>::infinity();
    twin t;
    std::vector<float> rows = numbers(2 * 200, 5);
    rows.insert(rows.end(), 200, -inf);
    for (std::size_t i = 0; i < 200; i += 3)
        rows[i] = 1.5f;
    rows[7] = -0.0f;
    const rlx_value x = t.fed({3, 200}, rows);
    for (const dim k : {1, 70, 200}) {
        const auto both = t.n.add_all(RLX_OP_TopK, {x}, {{RLX_ATTR_k, k}}, 2);
        t.limit = 0;
        if (k < 200)
            t.out(
                t.n.add(RLX_OP_Clamp, {both[0]}, {{RLX_ATTR_lo, -9.0}, {RLX_ATTR_hi, 9.0}}),
                3 * static_cast<std::size_t>(k)
            );
        t.out(both[1], 3 * static_cast<std::size_t>(k), true);
    }
    t.same();
}

TEST_F(vulkan, experts_are_chosen_and_multiplied) {
    for (const char* type : {"f32", "bf16", "q8_0"}) {
        for (const dim normalise : {0, 1}) {
            SCOPED_TRACE(type);
            twin t;
            constexpr dim experts = 5, outs = 70, cols = 96, tokens = 7, k = 2;
            const auto data = numbers(experts * outs * cols, 3);
            const std::string name = type;
            if (name == "f32") t.weights.f32("w", {experts, outs, cols}, data);
            if (name == "bf16") t.weights.bf16("w", {experts, outs, cols}, data);
            if (name == "q8_0") t.weights.q8_0("w", {experts, outs, cols}, data);
            t.weights.f32("back", {experts, 33, outs}, numbers(experts * 33 * outs, 4));
            const auto route = t.n.add_all(
                RLX_OP_MoeRoute,
                {t.in({tokens, experts})},
                {{RLX_ATTR_k, k}, {RLX_ATTR_normalise, normalise}, {RLX_ATTR_scale, 1.5}},
                2
            );
            const rlx_value w = t.n.weight("w", {experts, outs, cols});
            const rlx_value h = t.n.add(RLX_OP_GroupedMatMul, {t.in({tokens, cols}), w, route[1]});
            const rlx_value back = t.n.weight("back", {experts, 33, outs});
            const rlx_value y = t.n.add(RLX_OP_GroupedMatMul, {h, back, route[1]});
            t.out(t.n.add(RLX_OP_MoeCombine, {y, route[0]}), tokens * 33);
            t.same();
        }
    }
}

TEST_F(vulkan, a_choice_of_an_expert_that_is_not_there_is_an_error) {
    twin t;
    t.weights.f32("w", {3, 8, 32}, numbers(3 * 8 * 32, 3));
    const rlx_value ids = t.ids({2, 1}, {0, 3});
    t.out(t.n.add(RLX_OP_GroupedMatMul, {t.in({2, 32}), t.n.weight("w", {3, 8, 32}), ids}), 2 * 8);
    t.run();
    EXPECT_NE(t.mine_error.find("index 3 is not below 3"), std::string::npos) << t.mine_error;
}

TEST_F(vulkan, images_are_resized_with_every_kernel) {
    struct how {
        int kind, coord, antialias;
    };

    for (const how h :
         {how{RLX_RESIZE_NEAREST, 0, 0},
          how{RLX_RESIZE_NEAREST, 2, 0},
          how{RLX_RESIZE_LINEAR, 0, 0},
          how{RLX_RESIZE_LINEAR, 1, 0},
          how{RLX_RESIZE_LINEAR, 0, 1},
          how{RLX_RESIZE_CUBIC, 0, 0},
          how{RLX_RESIZE_CUBIC, 1, 0},
          how{RLX_RESIZE_CUBIC, 0, 1}}) {
        SCOPED_TRACE(std::to_string(h.kind) + " " + std::to_string(h.coord));
        twin t;
        const auto resize = [&](rlx_value x, std::vector<dim> to, std::size_t n, rlx_value steps) {
            std::vector<attr> a{
                {RLX_ATTR_kind, h.kind},
                {RLX_ATTR_coord, h.coord},
                {RLX_ATTR_antialias, h.antialias},
                {RLX_ATTR_dims, to}};
            t.out(t.n.add(RLX_OP_Resize, steps ? std::vector{x, steps} : std::vector{x}, a), n);
        };
        resize(t.in({2, 3, 7, 5}), {13, 3}, 2 * 3 * 13 * 3, 0);
        resize(t.in({1, 2, 9}), {4}, 8, 0);
        resize(t.in({1, 1, 3, 4, 5}), {6, 2, 11}, 6 * 2 * 11, 0);
        if (h.coord != 1) resize(t.in({1, 2, 6, 6}), {9, 4}, 72, t.fed({2}, {0.65f, 1.52f}));
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
