// SPDX-License-Identifier: GPL-3.0-only
// Vision transformers: patches, prefix tokens, the pre-norm block with LayerScale. Values are
// [B, T, D]. The defaults are the names of DINOv2 and timm checkpoints; other spellings are given
// in the options. Compiled into the plugin. [one thread per graph]
#pragma once

#include "rlx/sdk/conv.hpp"

namespace rlx::sdk {
inline namespace sdk_v1 {

// image [B, C, H, W] -> [B, (H / patch) (W / patch), D], row by row: a convolution with weight
// [D, C, patch, patch] and stride `patch`. H and W need not be multiples; the rest is left out.
inline tensor patch_embed(
    scope m, tensor image, std::int64_t patch, std::int64_t width, enum bias b = bias::required
) {
    const tensor y = conv(m, image, {.out = width, .kernel = patch, .stride = patch, .bias = b});
    const shape s = m.graph().shape_of(y);
    if (!m.ok()) return {};
    const dim patches = m.graph().combine(RLX_DIM_MUL, s.dims[2], s.dims[3]);
    return permute(m, reshape(m, y, {s.dims[0], s.dims[1], patches}), {0, 2, 1});
}

// Learnt tokens [1, n, D] (or [n, D]) for every sample of x [B, T, D]: [B, n, D].
inline tensor token_for_each(scope m, tensor token, tensor x) {
    const shape s = m.graph().shape_of(x), t = m.graph().shape_of(token);
    if (!m.ok()) return {};
    const std::array<dim, 3> spread{s.dims[0], t.dims[t.rank - 2], s.dims[2]};
    return m.op(RLX_OP_Broadcast, {token}, {attr_list(RLX_ATTR_dims, spread)});
}

struct prefix_options {
    bool registers = false; // register_tokens [1, n, D], between cls and the patches
    std::string_view positions = "position_embeddings"; // [1, 1 + patches, D]; empty: none
};

// Patches [B, N, D] -> [B, 1 + n + N, D]: cls_token and patches get their positions, registers get
// none. The table must have one row per patch of the native grid: other grids are resized by the
// family before they come here.
inline tensor prefix_tokens(scope m, tensor patches, const prefix_options& o = {}) {
    const dim width = detail::width_of(m, patches);
    const tensor cls = f32_weight(m, "cls_token", {1, 1, width});
    tensor x = concat(m, {token_for_each(m, cls, patches), patches}, 1);
    if (!o.positions.empty()) x = add(m, x, f32_weight(m, o.positions, {1, any_size, width}));
    if (!o.registers) return x;
    const tensor extra = f32_weight(m, "register_tokens", {1, any_size, width});
    const dim tokens = m.graph().shape_of(x).dims[1];
    return concat(
        m, {slice(m, x, 1, 0, 1), token_for_each(m, extra, x), slice(m, x, 1, 1, tokens)}, 1
    );
}

// ---- positions of another grid ----

// How a trained position table becomes that of another grid, in f32. The trained grid itself is
// left as it is, to the last bit.
enum class position_resizing {
    bicubic,        // to the size: transformers' DINOv2
    bicubic_offset, // by the factor (size + 0.1) / trained size: DINO, Meta's DINOv2
    antialias,      // to the size, the kernel widened where it shrinks: DINOv2 with registers
};

namespace detail {

// A number of elements as f32 [1].
inline tensor count_of(scope m, dim n) {
    const std::array<dim, 1> dims{n};
    const tensor ones = m.op(
        RLX_OP_Fill,
        {},
        {attr_list(RLX_ATTR_dims, dims),
         attr(RLX_ATTR_dtype, RLX_F32),
         attr_real(RLX_ATTR_value, 1)}
    );
    return m.op(
        RLX_OP_Reduce,
        {ones},
        {attr(RLX_ATTR_kind, RLX_REDUCE_SUM), attr(RLX_ATTR_axis, 0), attr(RLX_ATTR_keep, 1)}
    );
}

// factor x + shift
inline tensor affine(scope m, tensor x, double factor, double shift) {
    return m.op(
        RLX_OP_Affine, {x}, {attr_real(RLX_ATTR_scale, factor), attr_real(RLX_ATTR_shift, shift)}
    );
}

// Resize's steps f32 [2] for bicubic_offset: grid / (n + 0.1), and 1 for the trained grid.
inline tensor offset_steps(scope m, std::int64_t grid, dim rows, dim columns) {
    constexpr double offset = 0.1;
    const tensor n = concat(m, {count_of(m, rows), count_of(m, columns)}, 0);
    const tensor trained = affine(m, n, 0, static_cast<double>(grid));
    const tensor steps = binary(m, RLX_BINARY_DIV, trained, affine(m, n, 1, offset));
    const tensor apart = m.op(
        RLX_OP_Reduce,
        {unary(m, RLX_UNARY_ABS, sub(m, n, trained))},
        {attr(RLX_ATTR_kind, RLX_REDUCE_MAX), attr(RLX_ATTR_axis, 0), attr(RLX_ATTR_keep, 1)}
    );
    const tensor other = m.op(
        RLX_OP_Compare, {apart, affine(m, apart, 0, 0)}, {attr(RLX_ATTR_kind, RLX_COMPARE_GT)}
    );
    return m.op(RLX_OP_Select, {other, steps, affine(m, n, 0, 1)});
}

} // namespace detail

// A table [1, grid * grid, D] of trained positions, row by row -> [1, rows * columns, D]. It is
// done in every run, so that one plan serves all sizes: 16 multiplications per number of the
// result.
inline tensor resize_positions(
    scope m, tensor table, std::int64_t grid, dim rows, dim columns, position_resizing how
) {
    const dim width = detail::width_of(m, table);
    tensor x = permute(m, reshape(m, table, {1, grid, grid, width}), {0, 3, 1, 2});
    tensor steps;
    if (how == position_resizing::bicubic_offset)
        steps = detail::offset_steps(m, grid, rows, columns);
    const std::array<dim, 2> to{rows, columns};
    x = m.op(
        RLX_OP_Resize,
        {x, steps},
        {attr(RLX_ATTR_kind, RLX_RESIZE_CUBIC),
         attr_list(RLX_ATTR_dims, to),
         attr(RLX_ATTR_antialias, how == position_resizing::antialias ? 1 : 0)}
    );
    const dim patches = m.graph().combine(RLX_DIM_MUL, rows, columns);
    return reshape(m, permute(m, x, {0, 2, 3, 1}), {1, patches, width});
}

// ---- the block ----

// Names below an attention module. qkv non-empty: one projection of three equal parts.
struct attention_names {
    std::string_view qkv = "qkv";
    std::string_view q = "q_proj", k = "k_proj", v = "v_proj";
    std::string_view out = "proj";
};

struct self_attention_options {
    std::int64_t heads = 1;
    attention_names names = {};
    enum bias qkv_bias = bias::required;
    enum bias out_bias = bias::required;
    double qk_norm_eps = 0; // > 0: LayerNorms q_norm and k_norm over each head
    tensor rope = {};       // table [T, dim] for queries and keys
    bool rope_interleaved = false;
    dense_attention_options attention = {};
};

namespace detail {

struct projected {
    tensor q, k, v; // [B, T, heads, head_dim]
};

inline projected project_heads(scope m, tensor x, const self_attention_options& o) {
    const dim width = width_of(m, x);
    projected p;
    if (o.names.qkv.empty()) {
        const linear_options l{.out = width, .bias = o.qkv_bias};
        p.q = linear(m[o.names.q], x, l);
        p.k = linear(m[o.names.k], x, l);
        p.v = linear(m[o.names.v], x, l);
    } else {
        const dim wide = width > 0 ? 3 * width : any_size;
        const tensor all = linear(m[o.names.qkv], x, {.out = wide, .bias = o.qkv_bias});
        const auto part = [&](std::int64_t i) {
            return slice(m, all, 2, i * width, (i + 1) * width);
        };
        p = {part(0), part(1), part(2)};
    }
    return {
        split_heads_batched(m, p.q, o.heads),
        split_heads_batched(m, p.k, o.heads),
        split_heads_batched(m, p.v, o.heads)};
}

} // namespace detail

// x [B, T, D] -> [B, T, D]
inline tensor self_attention(scope m, tensor x, const self_attention_options& o) {
    detail::projected p = detail::project_heads(m, x, o);
    if (o.qk_norm_eps > 0) {
        p.q = layer_norm(m["q_norm"], p.q, o.qk_norm_eps);
        p.k = layer_norm(m["k_norm"], p.k, o.qk_norm_eps);
    }
    if (o.rope) {
        p.q = rope_batched(m, p.q, o.rope, o.rope_interleaved);
        p.k = rope_batched(m, p.k, o.rope, o.rope_interleaved);
    }
    const tensor y = merge_heads_batched(m, dense_attention(m, p.q, p.k, p.v, o.attention));
    return linear(m[o.names.out], y, {.out = detail::width_of(m, x), .bias = o.out_bias});
}

enum class mlp_kind {
    plain,      // fc2(act(fc1(x)))
    swiglu_w12, // w3(silu(a) * b), a and b the halves of w12(x)
    swiglu      // fc2(silu(gate(x)) * up(x)): `gate` and `up` of mlp_names
};

struct mlp_names {
    std::string_view fc1 = "fc1", fc2 = "fc2";
    std::string_view gate = "gate_proj", up = "up_proj";
    std::string_view w12 = "w12", w3 = "w3";
};

struct vit_mlp_options {
    mlp_kind kind = mlp_kind::plain;
    std::int64_t act = RLX_UNARY_GELU; // of plain
    std::int64_t width = any_size;     // inner features (of one half in swiglu_w12)
    mlp_names names = {};
    enum bias bias = bias::required;
};

inline tensor vit_mlp(scope m, tensor x, const vit_mlp_options& o) {
    const dim width = detail::width_of(m, x);
    const linear_options inner{.out = o.width, .bias = o.bias};
    const linear_options outer{.out = width, .bias = o.bias};
    if (o.kind == mlp_kind::plain)
        return linear(m[o.names.fc2], unary(m, o.act, linear(m[o.names.fc1], x, inner)), outer);
    tensor gate, up;
    if (o.kind == mlp_kind::swiglu) {
        gate = linear(m[o.names.gate], x, inner);
        up = linear(m[o.names.up], x, inner);
    } else {
        const dim wide = o.width > 0 ? 2 * o.width : any_size;
        const tensor both = linear(m[o.names.w12], x, {.out = wide, .bias = o.bias});
        const dim half = m.graph().shape_of(both).back() / 2;
        gate = slice(m, both, -1, 0, half);
        up = slice(m, both, -1, half, 2 * half);
    }
    const tensor h = m.op(RLX_OP_Glu, {gate, up}, {attr(RLX_ATTR_kind, RLX_GLU_SWIGLU)});
    const bool packed = o.kind == mlp_kind::swiglu_w12;
    return linear(m[packed ? o.names.w3 : o.names.fc2], h, outer);
}

// An empty name of a module means the block itself.
struct vit_names {
    std::string_view norm1 = "norm1", norm2 = "norm2";
    std::string_view attention = "attn", mlp = "mlp";
    // A vector [D] that scales a branch before it is added; empty: none.
    std::string_view scale1 = "ls1.gamma", scale2 = "ls2.gamma";
};

struct vit_options {
    double eps = 1e-6;
    vit_names names = {};
    self_attention_options attention = {};
    vit_mlp_options mlp = {};
};

// x + scale1 * attention(norm1(x)), then + scale2 * mlp(norm2(x)); x [B, T, D].
inline tensor vit_block(scope m, tensor x, const vit_options& o) {
    const dim width = detail::width_of(m, x);
    const auto join = [&](tensor branch, std::string_view scale) {
        if (scale.empty()) return add(m, x, branch);
        const tensor gate = f32_weight(m, scale, {width});
        return m.op(RLX_OP_Modulate, {branch, {}, {}, gate, x});
    };
    const vit_names& names = o.names;
    x = join(
        self_attention(m[names.attention], layer_norm(m[names.norm1], x, o.eps), o.attention),
        names.scale1
    );
    return join(vit_mlp(m[names.mlp], layer_norm(m[names.norm2], x, o.eps), o.mlp), names.scale2);
}

} // namespace sdk_v1
} // namespace rlx::sdk
