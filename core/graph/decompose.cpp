// SPDX-License-Identifier: GPL-3.0-only
// Composites in terms of primitives. A decomposition is the meaning of its op: the same values on
// every input, all -inf rows and empty axes included. Results must not be views.
#include "build.hpp"
#include "passes.hpp"

#include <cfloat>
#include <cmath>
#include <fmt/format.h>

namespace rlx::ir {

namespace {

// Emits nodes with a sticky error, so that a decomposition reads like its formula.
class emitter {
public:
    emitter(module& m, std::vector<node>& sink, const node& n)
        : m_(m), sink_(sink), origin_(n.origin) {}

    dim_table& dims() { return m_.dims; }

    const value& at(rlx_value v) const { return m_.at(v); }

    result<void> status() const { return error_.message.empty() ? result<void>() : error_; }

    static rlx_attr i64(std::uint16_t key, std::int64_t v) {
        return {key, RLX_ATTR_I64, 1, v, 0, nullptr, 0};
    }

    static rlx_attr f64(std::uint16_t key, double v) {
        return {key, RLX_ATTR_F64, 1, 0, v, nullptr, 0};
    }

    static rlx_attr list(std::uint16_t key, const std::vector<dim>& v) {
        return {key, RLX_ATTR_LIST, 1, 0, 0, v.data(), v.size()};
    }

    std::vector<rlx_value>
    node_of(std::uint32_t op, std::vector<rlx_value> in, std::vector<rlx_attr> attrs) {
        const op_desc& desc = *op_info(op);
        if (!error_.message.empty()) return std::vector<rlx_value>(desc.n_outputs, 1);
        auto r = emit_node(m_, sink_, op, in, attrs, origin_);
        if (r) return std::move(*r);
        error_ = r.error();
        return std::vector<rlx_value>(desc.n_outputs, 1);
    }

    rlx_value one(std::uint32_t op, std::vector<rlx_value> in, std::vector<rlx_attr> attrs = {}) {
        return node_of(op, std::move(in), std::move(attrs))[0];
    }

    rlx_value unary(std::int64_t kind, rlx_value x) {
        return one(RLX_OP_Unary, {x}, {i64(RLX_ATTR_kind, kind)});
    }

    rlx_value binary(std::int64_t kind, rlx_value a, rlx_value b) {
        return one(RLX_OP_Binary, {a, b}, {i64(RLX_ATTR_kind, kind)});
    }

    rlx_value affine(rlx_value x, double scale, double shift) {
        return one(RLX_OP_Affine, {x}, {f64(RLX_ATTR_scale, scale), f64(RLX_ATTR_shift, shift)});
    }

    rlx_value at_least(rlx_value x, double lo) {
        return one(RLX_OP_Clamp, {x}, {f64(RLX_ATTR_lo, lo), f64(RLX_ATTR_hi, HUGE_VAL)});
    }

    rlx_value reduce(std::int64_t kind, rlx_value x, std::int64_t axis, bool keep) {
        return one(
            RLX_OP_Reduce,
            {x},
            {i64(RLX_ATTR_kind, kind), i64(RLX_ATTR_axis, axis), i64(RLX_ATTR_keep, keep)}
        );
    }

    rlx_value slice(rlx_value x, std::int64_t axis, dim start, dim stop) {
        return one(
            RLX_OP_Slice,
            {x},
            {i64(RLX_ATTR_axis, axis), i64(RLX_ATTR_start, start), i64(RLX_ATTR_stop, stop)}
        );
    }

    rlx_value reshape(rlx_value x, const std::vector<dim>& shape) {
        return one(RLX_OP_Reshape, {x}, {list(RLX_ATTR_dims, shape)});
    }

    rlx_value concat(std::vector<rlx_value> parts, std::int64_t axis) {
        return one(RLX_OP_Concat, std::move(parts), {i64(RLX_ATTR_axis, axis)});
    }

private:
    module& m_;
    std::vector<node>& sink_;
    std::string_view origin_;
    error error_{RLX_INTERNAL, ""};
};

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
    rlx_value w = n.in[1];
    if (e.at(w).dtype != RLX_F32) w = e.one(RLX_OP_Cast, {w}, {e.i64(RLX_ATTR_dtype, RLX_F32)});
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
    default:
        return error{
            RLX_INTERNAL, fmt::format("{}: no decomposition", where(*op_info(n.op), n.origin))};
    }
    if (auto s = e.status(); !s) return std::move(s.error()).within("decomposition");
    return out;
}

} // namespace rlx::ir
