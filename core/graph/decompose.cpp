// SPDX-License-Identifier: GPL-3.0-only
// Composites in terms of primitives. A decomposition is the meaning of its op: the same values on
// every input, all -inf rows and empty axes included. Results must not be views.
#include "emitter.hpp"

#include <cfloat>
#include <cmath>
#include <fmt/format.h>

namespace rlx::ir {

namespace {

std::vector<rlx_value> glu(emitter& e, const node& n) {
    static constexpr std::int64_t act[] = {
        0, RLX_UNARY_SILU, RLX_UNARY_GELU_TANH, RLX_UNARY_GELU, RLX_UNARY_RELU, RLX_UNARY_SIGMOID};
    const rlx_value gate = e.unary(act[n.attrs.i64(RLX_ATTR_kind)], n.in[0]);
    return {e.binary(RLX_BINARY_MUL, gate, n.in[1])};
}

// exp(x - max) / sum. A row of -inf has max -inf: clamping it to the smallest float keeps the
// difference -inf (not NaN), and clamping the sum to 1, which the largest entry of any other row
// reaches by itself, turns 0 / 0 into 0.
std::vector<rlx_value> softmax(emitter& e, const node& n) {
    const std::int64_t axis = n.attrs.i64(RLX_ATTR_axis);
    const rlx_value top = e.at_least(e.reduce(RLX_REDUCE_MAX, n.in[0], axis, true), -FLT_MAX);
    const rlx_value exps = e.unary(RLX_UNARY_EXP, e.binary(RLX_BINARY_SUB, n.in[0], top));
    const rlx_value sum = e.at_least(e.reduce(RLX_REDUCE_SUM, exps, axis, true), 1.0);
    return {e.binary(RLX_BINARY_DIV, exps, sum)};
}

std::vector<rlx_value> rms_norm(emitter& e, const node& n) {
    const rlx_value x = n.in[0];
    const auto axis = static_cast<std::int64_t>(e.at(x).dims.size()) - 1;
    const rlx_value mean = e.reduce(RLX_REDUCE_MEAN, e.binary(RLX_BINARY_MUL, x, x), axis, true);
    const rlx_value scale =
        e.unary(RLX_UNARY_RSQRT, e.affine(mean, 1.0, n.attrs.f64(RLX_ATTR_eps)));
    const rlx_value y = e.binary(RLX_BINARY_MUL, x, scale);
    if (n.in.size() < 2 || n.in[1] == 0) return {y};
    rlx_value w = e.as_f32(n.in[1]);
    const double offset = n.attrs.f64(RLX_ATTR_weight_offset);
    if (offset != 0) w = e.affine(w, 1.0, offset);
    return {e.binary(RLX_BINARY_MUL, y, w)};
}

// The sum of the k largest is at least k / E; FLT_MIN only matters for a row without any
// probability.
std::vector<rlx_value> moe_route(emitter& e, const node& n) {
    const rlx_value p = e.one(RLX_OP_Softmax, {n.in[0]}, {e.i64(RLX_ATTR_axis, 1)});
    const std::vector<rlx_value> top =
        e.node_of(RLX_OP_TopK, {p}, {e.i64(RLX_ATTR_k, n.attrs.i64(RLX_ATTR_k))});
    rlx_value w = top[0];
    if (n.attrs.i64(RLX_ATTR_normalise)) {
        const rlx_value sum = e.at_least(e.reduce(RLX_REDUCE_SUM, w, 1, true), FLT_MIN);
        w = e.binary(RLX_BINARY_DIV, w, sum);
    }
    const double scale = n.attrs.f64(RLX_ATTR_scale, 1.0);
    if (scale != 1.0) w = e.affine(w, scale, 0.0);
    return {w, top[1]};
}

std::vector<rlx_value> moe_combine(emitter& e, const node& n) {
    std::vector<dim> shape = e.at(n.in[1]).dims;
    shape.push_back(1);
    const rlx_value scaled = e.binary(RLX_BINARY_MUL, n.in[0], e.reshape(n.in[1], shape));
    return {e.reduce(RLX_REDUCE_SUM, scaled, 1, false)};
}

std::vector<rlx_value> rope(emitter& e, const node& n) {
    const rlx_value x = n.in[0], table = n.in[1];
    const std::vector<dim> shape = e.at(x).dims; // [T, H, hd]
    const dim width = e.at(table).dims[1], half = width / 2;
    const bool interleaved = n.attrs.i64(RLX_ATTR_pairing) == 1;
    const std::vector<dim> per_token =
        interleaved ? std::vector<dim>{shape[0], 1, half, 1} : std::vector<dim>{shape[0], 1, half};
    const rlx_value cos = e.reshape(e.slice(table, 1, 0, half), per_token);
    const rlx_value sin = e.reshape(e.slice(table, 1, half, width), per_token);
    rlx_value a, b;
    if (interleaved) {
        const rlx_value pairs = e.reshape(e.slice(x, 2, 0, width), {shape[0], shape[1], half, 2});
        a = e.slice(pairs, 3, 0, 1);
        b = e.slice(pairs, 3, 1, 2);
    } else {
        a = e.slice(x, 2, 0, half);
        b = e.slice(x, 2, half, width);
    }
    const auto mul = [&](rlx_value u, rlx_value v) { return e.binary(RLX_BINARY_MUL, u, v); };
    const rlx_value ra = e.binary(RLX_BINARY_SUB, mul(a, cos), mul(b, sin));
    const rlx_value rb = e.binary(RLX_BINARY_ADD, mul(b, cos), mul(a, sin));
    std::vector<rlx_value> parts = {ra, rb};
    if (interleaved) parts = {e.reshape(e.concat(parts, 3), {shape[0], shape[1], width})};
    if (width != shape[2]) parts.push_back(e.slice(x, 2, width, shape[2]));
    return {e.concat(parts, 2)};
}

} // namespace

result<std::vector<rlx_value>> decompose(module& m, std::vector<node>& sink, const node& n) {
    emitter e(m, sink, n);
    std::vector<rlx_value> out;
    switch (n.op) {
    case RLX_OP_Glu: out = glu(e, n); break;
    case RLX_OP_Softmax: out = softmax(e, n); break;
    case RLX_OP_RmsNorm: out = rms_norm(e, n); break;
    case RLX_OP_MoeRoute: out = moe_route(e, n); break;
    case RLX_OP_MoeCombine: out = moe_combine(e, n); break;
    case RLX_OP_Rope: out = rope(e, n); break;
    case RLX_OP_LayerNorm: out = decompose_layer_norm(e, n); break;
    case RLX_OP_GroupNorm: out = decompose_group_norm(e, n); break;
    case RLX_OP_Snake: out = decompose_snake(e, n); break;
    case RLX_OP_Modulate: out = decompose_modulate(e, n); break;
    case RLX_OP_Attention: out = decompose_attention(e, n); break;
    case RLX_OP_LogSumExp: out = decompose_log_sum_exp(e, n); break;
    case RLX_OP_L2Norm: out = decompose_l2_norm(e, n); break;
    case RLX_OP_ChannelNorm: out = decompose_channel_norm(e, n); break;
    case RLX_OP_LoraMatMul: out = decompose_lora_matmul(e, n); break;
    case RLX_OP_VqNearest: out = decompose_vq_nearest(e, n); break;
    case RLX_OP_Pool: out = decompose_pool(e, n); break;
    case RLX_OP_PixelShuffle: out = decompose_pixel_shuffle(e, n); break;
    case RLX_OP_PixelUnshuffle: out = decompose_pixel_unshuffle(e, n); break;
    case RLX_OP_PatchEmbed: out = decompose_patch_embed(e, n); break;
    case RLX_OP_WindowPartition: out = decompose_window_partition(e, n); break;
    case RLX_OP_WindowUnpartition: out = decompose_window_unpartition(e, n); break;
    case RLX_OP_Stft: out = decompose_stft(e, n); break;
    case RLX_OP_Istft: out = decompose_istft(e, n); break;
    default: return error{RLX_INTERNAL, fmt::format("{}: no decomposition", where(n))};
    }
    if (auto s = e.status(); !s) return std::move(s.error()).within("decomposition");
    return out;
}

} // namespace rlx::ir
