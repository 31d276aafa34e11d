// SPDX-License-Identifier: GPL-3.0-only
// Decompositions of norms, gates and attention of encoders, decoders and codecs.
#include "emitter.hpp"

namespace rlx::ir {

namespace {

rlx_value optional(const node& n, std::size_t i) {
    return i < n.in.size() ? n.in[i] : 0;
}

// (x - mean) / sqrt(var + eps) over the last axis.
rlx_value normed(emitter& e, rlx_value x, double eps) {
    const auto axis = static_cast<std::int64_t>(e.at(x).dims.size()) - 1;
    const rlx_value d = e.binary(RLX_BINARY_SUB, x, e.reduce(RLX_REDUCE_MEAN, x, axis, true));
    const rlx_value var = e.reduce(RLX_REDUCE_MEAN, e.binary(RLX_BINARY_MUL, d, d), axis, true);
    return e.binary(RLX_BINARY_MUL, d, e.unary(RLX_UNARY_RSQRT, e.affine(var, 1.0, eps)));
}

} // namespace

std::vector<rlx_value> decompose_layer_norm(emitter& e, const node& n) {
    rlx_value y = normed(e, n.in[0], n.attrs.f64(RLX_ATTR_eps));
    if (const rlx_value w = optional(n, 1)) y = e.binary(RLX_BINARY_MUL, y, e.as_f32(w));
    if (const rlx_value b = optional(n, 2)) y = e.binary(RLX_BINARY_ADD, y, e.as_f32(b));
    return {y};
}

// A group is one row of a LayerNorm without parameters.
std::vector<rlx_value> decompose_group_norm(emitter& e, const node& n) {
    const std::vector<dim> shape = e.at(n.in[0]).dims;
    const std::int64_t groups = n.attrs.i64(RLX_ATTR_groups);
    const std::vector<dim> behind(shape.begin() + 2, shape.end());
    const dim row = e.dim_of([&](dim_table& d) -> result<dim> {
        return d.mul(RLX_TRY(d.product(behind)), shape[1] / groups);
    });
    const rlx_value rows = e.reshape(n.in[0], {shape[0], groups, row});
    const rlx_value flat =
        e.one(RLX_OP_LayerNorm, {rows}, {e.f64(RLX_ATTR_eps, n.attrs.f64(RLX_ATTR_eps))});
    const rlx_value w = optional(n, 1), b = optional(n, 2);
    rlx_value y = e.reshape(flat, shape);
    if (!w && !b) return {e.one(RLX_OP_Copy, {y})};
    if (w) y = e.binary(RLX_BINARY_MUL, y, e.per_channel(w, shape.size()));
    if (b) y = e.binary(RLX_BINARY_ADD, y, e.per_channel(b, shape.size()));
    return {y};
}

std::vector<rlx_value> decompose_snake(emitter& e, const node& n) {
    const rlx_value x = n.in[0];
    const std::size_t rank = e.at(x).dims.size();
    const bool log = n.attrs.i64(RLX_ATTR_log) == 1;
    const auto factor = [&](rlx_value v) {
        v = e.per_channel(v, rank);
        return log ? e.unary(RLX_UNARY_EXP, v) : v;
    };
    const rlx_value a = factor(n.in[1]);
    const rlx_value b = optional(n, 2) ? factor(n.in[2]) : a;
    const rlx_value s = e.unary(RLX_UNARY_SIN, e.binary(RLX_BINARY_MUL, x, a));
    const rlx_value d = e.affine(b, 1.0, n.attrs.f64(RLX_ATTR_eps, 1e-9));
    const rlx_value t = e.binary(RLX_BINARY_DIV, e.binary(RLX_BINARY_MUL, s, s), d);
    return {e.binary(RLX_BINARY_ADD, x, t)};
}

std::vector<rlx_value> decompose_modulate(emitter& e, const node& n) {
    rlx_value y = n.in[0];
    if (const rlx_value scale = optional(n, 1))
        y = e.binary(RLX_BINARY_MUL, y, e.affine(scale, 1.0, 1.0));
    if (const rlx_value shift = optional(n, 2)) y = e.binary(RLX_BINARY_ADD, y, shift);
    if (const rlx_value gate = optional(n, 3)) y = e.binary(RLX_BINARY_MUL, y, gate);
    if (const rlx_value residual = optional(n, 4)) y = e.binary(RLX_BINARY_ADD, residual, y);
    if (y == n.in[0]) y = e.one(RLX_OP_Copy, {y});
    return {y};
}

namespace {

// -inf where query i (at position i + Tk - Tq) does not see key j; scores [..., Tq, Tk].
rlx_value hide_unseen(emitter& e, rlx_value scores, dim tq, dim tk, std::int64_t window) {
    const auto arange = [&](dim count) {
        return e.one(RLX_OP_Arange, {}, {e.i64(RLX_ATTR_n, count)});
    };
    const auto masked = [&](std::int64_t kind, rlx_value a, rlx_value b, rlx_value x) {
        const rlx_value seen = e.one(RLX_OP_Compare, {a, b}, {e.i64(RLX_ATTR_kind, kind)});
        return e.one(RLX_OP_Select, {seen, x, e.scalar(RLX_F32, -HUGE_VAL)});
    };
    const rlx_value keys = arange(tk);
    const dim first = e.dim_of([&](dim_table& d) { return d.sub(tk, tq); });
    const rlx_value positions = e.reshape(e.slice(keys, 0, first, tk), {tq, 1});
    scores = masked(RLX_COMPARE_LE, keys, positions, scores);
    if (window == 0) return scores;
    const rlx_value back = e.binary(RLX_BINARY_SUB, positions, keys);
    const rlx_value limit = e.scalar(RLX_I32, static_cast<double>(window));
    return masked(RLX_COMPARE_LT, back, limit, scores);
}

} // namespace

// Heads become [Hkv, Hq / Hkv], so that a kv head broadcasts over its queries' heads.
std::vector<rlx_value> decompose_attention(emitter& e, const node& n) {
    const std::vector<dim> q = e.at(n.in[0]).dims, v = e.at(n.in[2]).dims;
    const dim batch = q[0], tq = q[1], tk = v[1], kv = v[2], group = q[2] / kv;
    const rlx_value queries =
        e.permute(e.reshape(n.in[0], {batch, tq, kv, group, q[3]}), {0, 2, 3, 1, 4});
    const rlx_value keys = e.permute(e.reshape(n.in[1], {batch, tk, kv, 1, q[3]}), {0, 2, 3, 1, 4});
    const rlx_value values =
        e.permute(e.reshape(n.in[2], {batch, tk, kv, 1, v[3]}), {0, 2, 3, 4, 1});
    rlx_value scores = e.one(RLX_OP_BatchMatMul, {queries, keys});
    scores = e.affine(scores, n.attrs.f64(RLX_ATTR_scale), 0.0);
    if (const double cap = n.attrs.f64(RLX_ATTR_softcap); cap > 0)
        scores = e.affine(e.unary(RLX_UNARY_TANH, e.affine(scores, 1.0 / cap, 0.0)), cap, 0.0);
    if (rlx_value mask = optional(n, 3)) {
        std::vector<dim> shape = e.at(mask).dims;
        shape.insert(shape.begin(), 4 - shape.size(), 1);
        const bool per_head = shape[1] != 1;
        shape.insert(shape.begin() + 2, per_head ? group : 1);
        if (per_head) shape[1] = kv;
        scores = e.binary(RLX_BINARY_ADD, scores, e.reshape(mask, shape));
    }
    if (n.attrs.i64(RLX_ATTR_causal))
        scores = hide_unseen(e, scores, tq, tk, n.attrs.i64(RLX_ATTR_window));
    const rlx_value p = e.one(RLX_OP_Softmax, {scores}, {e.i64(RLX_ATTR_axis, 4)});
    const rlx_value y = e.one(RLX_OP_BatchMatMul, {p, values});
    const rlx_value heads = e.reshape(y, {batch, q[2], tq, v[3]});
    return {e.one(RLX_OP_Copy, {e.permute(heads, {0, 2, 1, 3})})};
}

} // namespace rlx::ir
