// SPDX-License-Identifier: GPL-3.0-only
// Layers as plain functions over a scope: m is where the layer's weights live, x what goes through.
// Names and shapes are those of the PyTorch checkpoint, outermost first.
#pragma once

#include "rlx/sdk/state.hpp"

#include <cmath>

namespace rlx::sdk {
inline namespace sdk_v1 {

// ---- elementwise and shape ----

inline tensor unary(scope m, std::int64_t kind, tensor x) {
    return m.op(RLX_OP_Unary, {x}, {attr(RLX_ATTR_kind, kind)});
}

inline tensor binary(scope m, std::int64_t kind, tensor a, tensor b) {
    return m.op(RLX_OP_Binary, {a, b}, {attr(RLX_ATTR_kind, kind)});
}

inline tensor add(scope m, tensor a, tensor b) {
    return binary(m, RLX_BINARY_ADD, a, b);
}

inline tensor sub(scope m, tensor a, tensor b) {
    return binary(m, RLX_BINARY_SUB, a, b);
}

inline tensor mul(scope m, tensor a, tensor b) {
    return binary(m, RLX_BINARY_MUL, a, b);
}

inline tensor scale(scope m, tensor x, double factor) {
    return m.op(
        RLX_OP_Affine, {x}, {attr_real(RLX_ATTR_scale, factor), attr_real(RLX_ATTR_shift, 0)}
    );
}

inline tensor silu(scope m, tensor x) {
    return unary(m, RLX_UNARY_SILU, x);
}

inline tensor softmax(scope m, tensor x, std::int64_t axis) {
    return m.op(RLX_OP_Softmax, {x}, {attr(RLX_ATTR_axis, axis)});
}

inline tensor reshape(scope m, tensor x, std::initializer_list<dim> dims) {
    return m.op(RLX_OP_Reshape, {x}, {attr_list(RLX_ATTR_dims, {dims.begin(), dims.size()})});
}

inline tensor permute(scope m, tensor x, std::initializer_list<std::int64_t> perm) {
    return m.op(RLX_OP_Permute, {x}, {attr_list(RLX_ATTR_perm, {perm.begin(), perm.size()})});
}

inline tensor slice(scope m, tensor x, std::int64_t axis, dim start, dim stop) {
    return m.op(
        RLX_OP_Slice,
        {x},
        {attr(RLX_ATTR_axis, axis), attr(RLX_ATTR_start, start), attr(RLX_ATTR_stop, stop)}
    );
}

inline tensor concat(scope m, std::initializer_list<tensor> parts, std::int64_t axis) {
    return m.op(RLX_OP_Concat, parts, {attr(RLX_ATTR_axis, axis)});
}

inline tensor copy(scope m, tensor x) {
    return m.op(RLX_OP_Copy, {x});
}

// table [N, ...], ids i32 [shape] -> f32 [shape, ...]
inline tensor take_rows(scope m, tensor table, tensor ids) {
    return m.op(RLX_OP_GatherRows, {table, ids});
}

// [T, n_heads * head_dim] -> [T, n_heads, head_dim]
inline tensor split_heads(scope m, tensor x, std::int64_t n_heads) {
    const shape s = m.graph().shape_of(x);
    if (!m.ok()) return {};
    if (s.rank != 2 || s.dims[1] < 0 || n_heads <= 0 || s.dims[1] % n_heads != 0) {
        m.fail(RLX_CORRUPT_DATA, "{} features do not split into {} heads", s.back(), n_heads);
        return {};
    }
    return reshape(m, x, {s.dims[0], n_heads, s.dims[1] / n_heads});
}

// [T, n_heads, head_dim] -> [T, n_heads * head_dim]
inline tensor merge_heads(scope m, tensor x) {
    const shape s = m.graph().shape_of(x);
    if (!m.ok()) return {};
    if (s.rank != 3) {
        m.fail(RLX_INTERNAL, "merge_heads wants [T, heads, head_dim], got rank {}", s.rank);
        return {};
    }
    return reshape(m, x, {s.dims[0], s.dims[1] * s.dims[2]});
}

// ---- parameters ----

// Whether a layer has a bias: never looked for, must be there, or taken when the checkpoint has it.
enum class bias { none, required, if_present };

struct linear_options {
    std::int64_t out = any_size; // expected output features
    enum bias bias = bias::none;
};

namespace detail {

inline tensor bias_of(scope m, enum bias mode, std::int64_t out) {
    if (mode == bias::none) return {};
    const std::uint32_t flags = mode == bias::if_present ? std::uint32_t{RLX_WEIGHT_OPTIONAL} : 0;
    return m.weight("bias", {out}, flags);
}

inline tensor as_f32(scope m, tensor w) {
    if (!w || m.graph().dtype_of(w) == RLX_F32) return w;
    return m.op(RLX_OP_Cast, {w}, {attr(RLX_ATTR_dtype, RLX_F32)});
}

// Expected innermost weight size for an operand of x's width; symbolic widths are left to the
// graph.
inline dim width_of(scope m, tensor x) {
    const dim width = m.graph().shape_of(x).back();
    return width >= 0 ? width : any_size;
}

} // namespace detail

// The tensor m.leaf as f32, whatever float type the file has: for operands of elementwise ops.
inline tensor f32_weight(
    scope m, std::string_view leaf, std::initializer_list<dim> expect, std::uint32_t flags = 0
) {
    return detail::as_f32(m, m.weight(leaf, expect, flags));
}

// x [..., in] -> [..., out], weight [out, in], bias [out]
inline tensor linear(scope m, tensor x, linear_options o = {}) {
    const tensor w = m.weight("weight", {o.out, detail::width_of(m, x)});
    return m.op(RLX_OP_MatMul, {x, w, detail::bias_of(m, o.bias, o.out)});
}

// ids i32 [T] -> [T, width], weight [n_rows, width]
inline tensor embedding(scope m, tensor ids, std::int64_t n_rows, std::int64_t width) {
    return take_rows(m, m.weight("weight", {n_rows, width}), ids);
}

// Over the innermost axis, per row: x / rms(x) * weight.
inline tensor rms_norm(scope m, tensor x, double eps) {
    const tensor w = m.weight("weight", {detail::width_of(m, x)});
    return m.op(RLX_OP_RmsNorm, {x, w}, {attr_real(RLX_ATTR_eps, eps)});
}

// Whether a norm has a weight and a bias of its own.
enum class affine { none, weight, weight_and_bias };

// Over the innermost axis, per row: (x - mean) / sqrt(var + eps) * weight + bias.
inline tensor
layer_norm(scope m, tensor x, double eps, enum affine params = affine::weight_and_bias) {
    const dim width = detail::width_of(m, x);
    tensor w, b;
    if (params != affine::none) w = m.weight("weight", {width});
    if (params == affine::weight_and_bias) b = m.weight("bias", {width});
    return m.op(RLX_OP_LayerNorm, {x, w, b}, {attr_real(RLX_ATTR_eps, eps)});
}

// ---- feed-forward ----

struct mlp_options {
    std::int64_t width = any_size;      // inner features
    std::int64_t kind = RLX_GLU_SWIGLU; // RLX_GLU_*
    enum bias bias = bias::none;
};

// down_proj(act(gate_proj(x)) * up_proj(x))
inline tensor gated_mlp(scope m, tensor x, mlp_options o = {}) {
    const linear_options inner{.out = o.width, .bias = o.bias};
    const tensor gate = linear(m["gate_proj"], x, inner);
    const tensor up = linear(m["up_proj"], x, inner);
    const tensor h = m.op(RLX_OP_Glu, {gate, up}, {attr(RLX_ATTR_kind, o.kind)});
    return linear(m["down_proj"], h, {.out = detail::width_of(m, x), .bias = o.bias});
}

struct moe_options {
    std::int64_t n_experts = 0;
    std::int64_t n_used = 0;
    std::int64_t width = any_size;
    std::int64_t kind = RLX_GLU_SWIGLU;
    bool normalise = false; // weights of the chosen experts sum to 1
};

// Softmax router over `gate`, n_used experts per token, each a gated_mlp stacked in `experts`.
// x [T, hidden] -> [T, hidden]
inline tensor softmax_moe(scope m, tensor x, const moe_options& o) {
    const tensor logits = linear(m["gate"], x, {.out = o.n_experts});
    const auto [share, ids] = m.ops<2>(
        RLX_OP_MoeRoute,
        {logits},
        {attr(RLX_ATTR_k, o.n_used), attr(RLX_ATTR_normalise, o.normalise ? 1 : 0)}
    );
    const dim hidden = detail::width_of(m, x);
    const scope e = m["experts"];
    const auto grouped = [&, ids = ids](std::string_view name, tensor in, dim out) {
        const scope s = e[name];
        const tensor w = s.weight("weight", {o.n_experts, out, detail::width_of(m, in)});
        return s.op(RLX_OP_GroupedMatMul, {in, w, ids});
    };
    const tensor gate = grouped("gate_proj", x, o.width);
    const tensor up = grouped("up_proj", x, o.width);
    const tensor h = e.op(RLX_OP_Glu, {gate, up}, {attr(RLX_ATTR_kind, o.kind)});
    return m.op(RLX_OP_MoeCombine, {grouped("down_proj", h, hidden), share});
}

// ---- attention ----

// [B, T, n_heads * head_dim] -> [B, T, n_heads, head_dim]
inline tensor split_heads_batched(scope m, tensor x, std::int64_t n_heads) {
    const shape s = m.graph().shape_of(x);
    if (!m.ok()) return {};
    if (s.rank != 3 || s.dims[2] < 0 || n_heads <= 0 || s.dims[2] % n_heads != 0) {
        m.fail(RLX_CORRUPT_DATA, "{} features do not split into {} heads", s.back(), n_heads);
        return {};
    }
    return reshape(m, x, {s.dims[0], s.dims[1], n_heads, s.dims[2] / n_heads});
}

// [B, T, n_heads, head_dim] -> [B, T, n_heads * head_dim]
inline tensor merge_heads_batched(scope m, tensor x) {
    const shape s = m.graph().shape_of(x);
    if (!m.ok()) return {};
    if (s.rank != 4 || s.dims[2] < 0 || s.dims[3] < 0) {
        m.fail(RLX_INTERNAL, "expected [B, T, heads, head_dim], got rank {}", s.rank);
        return {};
    }
    return reshape(m, x, {s.dims[0], s.dims[1], s.dims[2] * s.dims[3]});
}

struct dense_attention_options {
    double scale = 0; // 0: head_dim^-0.5
    bool causal = false;
    std::int64_t window = 0; // with causal: keys a query sees, its own included; 0 = all
    double softcap = 0;      // 0 = none
    tensor mask = {};        // f32 that broadcasts to [B, Hq, Tq, Tk], added to the scores
};

// Attention without a cache: q [B, Tq, Hq, d], k [B, Tk, Hkv, d], v [B, Tk, Hkv, dv], Hq a multiple
// of Hkv -> [B, Tq, Hq, dv].
inline tensor
dense_attention(scope m, tensor q, tensor k, tensor v, const dense_attention_options& o = {}) {
    const dim width = m.graph().shape_of(q).back();
    if (!m.ok()) return {};
    if (o.scale <= 0 && width <= 0) {
        m.fail(RLX_INTERNAL, "attention needs a scale or a head size that is known");
        return {};
    }
    const double head_scale = o.scale > 0 ? o.scale : 1.0 / std::sqrt(static_cast<double>(width));
    return m.op(
        RLX_OP_Attention,
        {q, k, v, o.mask},
        {attr_real(RLX_ATTR_scale, head_scale),
         attr(RLX_ATTR_causal, o.causal ? 1 : 0),
         attr(RLX_ATTR_window, o.window),
         attr_real(RLX_ATTR_softcap, o.softcap)}
    );
}

// x [B, T, H, hd] with the same positions in every sample, table [T, dim] from a RopeTable (or
// [T, dim] made by the host: cosines, then sines). interleaved: pairs (2j, 2j + 1), else
// (j, j + dim / 2).
inline tensor rope_batched(scope m, tensor x, tensor table, bool interleaved) {
    const shape s = m.graph().shape_of(x), t = m.graph().shape_of(table);
    if (!m.ok()) return {};
    if (s.rank != 4 || t.rank != 2) {
        m.fail(RLX_INTERNAL, "rope wants [B, T, heads, head_dim] and a table [T, dim]");
        return {};
    }
    const std::array<dim, 3> spread{s.dims[0], t.dims[0], t.dims[1]};
    const tensor tables = m.op(RLX_OP_Broadcast, {table}, {attr_list(RLX_ATTR_dims, spread)});
    const dim rows = m.graph().combine(RLX_DIM_MUL, s.dims[0], s.dims[1]);
    const tensor y = m.op(
        RLX_OP_Rope,
        {reshape(m, x, {rows, s.dims[2], s.dims[3]}), reshape(m, tables, {rows, t.dims[1]})},
        {attr(RLX_ATTR_pairing, interleaved ? 1 : 0)}
    );
    return reshape(m, y, {s.dims[0], s.dims[1], s.dims[2], s.dims[3]});
}

// What the host feeds a causal language model (rlx/abi/family.h).
struct lm_inputs {
    tensor tokens;      // i32 [T]
    tensor positions;   // i32 [T]
    tensor lengths;     // i32 [T] length of the token's sequence after this step
    tensor slots;       // i32 [T] cache row per token
    tensor cu_seqlens;  // i32 [B+1]
    tensor kv_lengths;  // i32 [B]
    tensor block_table; // i32 [B, P]
    tensor rows;        // i32 [R] tokens whose logits are wanted
};

// The inputs the host has declared; a graph without one of them is an error.
inline lm_inputs find_lm_inputs(graph_builder& g) {
    const auto find = [&](std::string_view name, std::uint32_t rank) {
        return g.declared_input(name, RLX_I32, rank);
    };
    return {
        .tokens = find("tokens", 1),
        .positions = find("positions", 1),
        .lengths = find("lengths", 1),
        .slots = find("slots", 1),
        .cu_seqlens = find("cu_seqlens", 1),
        .kv_lengths = find("kv_lengths", 1),
        .block_table = find("block_table", 2),
        .rows = find("rows", 1),
    };
}

// x [T, H, hd], table from rope_table(), dim <= hd: rotates pairs (j, j + dim/2) of each head, the
// rest passes through.
inline tensor rope(scope m, tensor x, tensor table) {
    return m.op(RLX_OP_Rope, {x, table}, {attr(RLX_ATTR_pairing, 0)});
}

struct attention_options {
    double scale = 0;        // 0: head_dim^-0.5
    std::int64_t window = 0; // keys a token sees, itself included; 0 = all
    double softcap = 0;      // 0 = none
};

// Appends k and v [T, Hkv, hd] to the layer's cache and attends over it: q [T, Hq, hd] -> [T, Hq,
// hd]. The cache is a state of the graph named after the module.
inline tensor cached_attention(
    scope m, tensor q, tensor k, tensor v, const lm_inputs& in, attention_options o = {}
) {
    const shape ks = m.graph().shape_of(k);
    const shape vs = m.graph().shape_of(v);
    if (!m.ok()) return {};
    if (ks.rank != 3 || vs.rank != 3 || ks.dims[1] != vs.dims[1]) {
        m.fail(RLX_INTERNAL, "keys and values must be [T, heads, head_dim] with equal heads");
        return {};
    }
    kv_state cache(m, "kv", ks.dims[1], ks.dims[2], vs.dims[2]);
    cache.append(m, k, v, in.slots);
    const double head_scale =
        o.scale > 0 ? o.scale : 1.0 / std::sqrt(static_cast<double>(cache.k_dim()));
    return m.op(
        RLX_OP_AttentionState,
        {q, cache.newest(), in.cu_seqlens, in.kv_lengths, in.block_table},
        {attr_real(RLX_ATTR_scale, head_scale),
         attr(RLX_ATTR_window, o.window),
         attr_real(RLX_ATTR_softcap, o.softcap)}
    );
}

} // namespace sdk_v1
} // namespace rlx::sdk
