// SPDX-License-Identifier: GPL-3.0-only
// The ops, written down from rlx/abi/ops.def.
#include "toy.hpp"

#include <cmath>
#include <limits>

namespace toy {
namespace {

float unary(int64_t kind, float x) {
    switch (kind) {
    case RLX_UNARY_NEG: return -x;
    case RLX_UNARY_ABS: return std::fabs(x);
    case RLX_UNARY_EXP: return std::exp(x);
    case RLX_UNARY_LOG: return std::log(x);
    case RLX_UNARY_SQRT: return std::sqrt(x);
    case RLX_UNARY_RSQRT: return 1 / std::sqrt(x);
    case RLX_UNARY_RECIPROCAL: return 1 / x;
    case RLX_UNARY_SIN: return std::sin(x);
    case RLX_UNARY_COS: return std::cos(x);
    case RLX_UNARY_TANH: return std::tanh(x);
    case RLX_UNARY_SIGMOID: return 1 / (1 + std::exp(-x));
    case RLX_UNARY_SILU: return x / (1 + std::exp(-x));
    case RLX_UNARY_GELU: return x * 0.5F * (1 + std::erf(x * 0.70710678F));
    case RLX_UNARY_GELU_TANH:
        return 0.5F * x * (1 + std::tanh(0.79788456F * (x + 0.044715F * x * x * x)));
    default: return x < 0 ? 0 : x; // RELU; NaN stays
    }
}

float binary(int64_t kind, float a, float b) {
    switch (kind) {
    case RLX_BINARY_ADD: return a + b;
    case RLX_BINARY_SUB: return a - b;
    case RLX_BINARY_MUL: return a * b;
    case RLX_BINARY_DIV: return a / b;
    case RLX_BINARY_MAX: return a > b ? a : b;
    case RLX_BINARY_MIN: return a < b ? a : b;
    default: return std::pow(a, b);
    }
}

// Elementwise ops of one input.
void map_elements(const node_view& n, const program& p) {
    const array x = p[n.input(0)], y = p[n.out()[0]];
    const int64_t kind = n.i64(RLX_ATTR_kind);
    const auto scale = static_cast<float>(n.real(RLX_ATTR_scale));
    const auto shift = static_cast<float>(n.real(RLX_ATTR_shift));
    const auto lo = static_cast<float>(n.real(RLX_ATTR_lo));
    const auto hi = static_cast<float>(n.real(RLX_ATTR_hi));
    each(y.dims, [&](auto at) {
        const float v = x.f(at);
        float& out = y.f(at);
        if (n.info.op == RLX_OP_Unary)
            out = unary(kind, v);
        else if (n.info.op == RLX_OP_Affine)
            out = scale * v + shift;
        else
            out = std::fmin(std::fmax(v, lo), hi);
    });
}

void copy_elements(const node_view& n, const program& p) {
    const array x = p[n.input(0)], y = p[n.out()[0]];
    const bool to_int = y.dtype == RLX_I32, from_int = x.dtype == RLX_I32;
    each(y.dims, [&](auto at) {
        if (from_int == to_int)
            y.i(at) = x.i(at); // the bits of an f32 as well
        else if (from_int)
            y.f(at) = static_cast<float>(x.i(at));
        else { // saturating, NaN is 0
            const double v = std::isnan(x.f(at)) ? 0.0 : static_cast<double>(x.f(at));
            y.i(at) =
                static_cast<std::int32_t>(std::fmin(std::fmax(v, -2147483648.0), 2147483647.0));
        }
    });
}

void fill(const node_view& n, const program& p) {
    const array y = p[n.out()[0]];
    const double x = n.real(RLX_ATTR_value);
    each(y.dims, [&](auto at) {
        if (y.dtype == RLX_I32)
            y.i(at) = static_cast<std::int32_t>(x);
        else
            y.f(at) = static_cast<float>(x);
    });
}

void concat(const node_view& n, const program& p) {
    const array y = p[n.out()[0]];
    const auto axis = static_cast<std::size_t>(n.i64(RLX_ATTR_axis));
    int64_t before = 0;
    for (const rlx_value v : n.in()) {
        const array x = p[v];
        each(x.dims, [&](auto at) {
            std::vector<int64_t> to(at.begin(), at.end());
            to[axis] += before;
            y.i(to) = x.i(at);
        });
        before += x.dims[axis];
    }
}

// table [N, ...], ids [shape] -> [shape, ...]
status gather_rows(const node_view& n, const program& p) {
    const array table = p[n.input(0)], ids = p[n.input(1)], y = p[n.out()[0]];
    status ok;
    each(y.dims, [&](auto at) {
        const std::int32_t id = ids.i(at.first(ids.dims.size()));
        if (id < 0 || id >= table.dims[0]) {
            if (ok.ok())
                ok = fail(RLX_INVALID_ARGUMENT, "toy: row {} of a table of {}", id, table.dims[0]);
            return;
        }
        std::vector<int64_t> from{id};
        from.insert(
            from.end(), at.begin() + static_cast<std::ptrdiff_t>(ids.dims.size()), at.end()
        );
        y.f(at) = table.f(from);
    });
    return ok;
}

void reduce(const node_view& n, const program& p) {
    const array x = p[n.input(0)], y = p[n.out()[0]];
    const auto axis = static_cast<std::size_t>(n.i64(RLX_ATTR_axis));
    const int64_t kind = n.i64(RLX_ATTR_kind), size = x.dims[axis];
    const bool keep = n.i64(RLX_ATTR_keep) != 0;
    each(y.dims, [&](auto at) {
        std::vector<int64_t> from(at.begin(), at.end());
        if (keep)
            from[axis] = 0;
        else
            from.insert(from.begin() + static_cast<std::ptrdiff_t>(axis), 0);
        const double limit = std::numeric_limits<double>::infinity();
        double sum = kind == RLX_REDUCE_PROD  ? 1
                     : kind == RLX_REDUCE_MAX ? -limit
                     : kind == RLX_REDUCE_MIN ? limit
                                              : 0;
        for (int64_t i = 0; i < size; ++i) {
            from[axis] = i;
            const double v = static_cast<double>(x.f(from));
            if (kind == RLX_REDUCE_PROD)
                sum *= v;
            else if (kind == RLX_REDUCE_MAX)
                sum = v > sum ? v : sum;
            else if (kind == RLX_REDUCE_MIN)
                sum = v < sum ? v : sum;
            else
                sum += kind == RLX_REDUCE_L2 ? v * v : v;
        }
        if (kind == RLX_REDUCE_MEAN && size > 0) sum /= static_cast<double>(size);
        if (kind == RLX_REDUCE_L2) sum = std::sqrt(sum);
        y.f(at) = static_cast<float>(sum);
    });
}

// x [..., in], W [out, in], bias? [out] -> [..., out]
void matmul(const node_view& n, const program& p) {
    const array x = p[n.input(0)], w = p[n.input(1)], y = p[n.out()[0]];
    const int64_t in = w.dims[1], out = w.dims[0];
    std::vector<float> row(static_cast<std::size_t>(in));
    const auto rows = x.dims.first(x.dims.size() - 1);
    each(rows, [&](auto at) {
        std::vector<int64_t> index(at.begin(), at.end());
        index.push_back(0);
        for (int64_t i = 0; i < in; ++i) {
            index.back() = i;
            row[static_cast<std::size_t>(i)] = x.f(index);
        }
        for (int64_t o = 0; o < out; ++o) {
            const float* weights = reinterpret_cast<const float*>(w.data) + o * w.strides[0];
            float sum = 0;
            for (int64_t i = 0; i < in; ++i)
                sum += row[static_cast<std::size_t>(i)] * weights[i * w.strides[1]];
            index.back() = o;
            y.f(index) = n.input(2) ? sum + p[n.input(2)].f({&o, 1}) : sum;
        }
    });
}

} // namespace

status run_node(const node_view& n, const program& p) {
    switch (n.info.op) {
    case RLX_OP_Reshape:
    case RLX_OP_Permute:
    case RLX_OP_Slice:
    case RLX_OP_Broadcast: return {}; // views: their values say where to look
    case RLX_OP_Unary:
    case RLX_OP_Affine:
    case RLX_OP_Clamp: return map_elements(n, p), status();
    case RLX_OP_Binary: {
        const array a = p[n.input(0)], b = p[n.input(1)], y = p[n.out()[0]];
        each(y.dims, [&](auto at) { y.f(at) = binary(n.i64(RLX_ATTR_kind), a.f(at), b.f(at)); });
        return {};
    }
    case RLX_OP_Copy:
    case RLX_OP_Cast: return copy_elements(n, p), status();
    case RLX_OP_Fill: return fill(n, p), status();
    case RLX_OP_Concat: return concat(n, p), status();
    case RLX_OP_GatherRows: return gather_rows(n, p);
    case RLX_OP_Reduce: return reduce(n, p), status();
    case RLX_OP_MatMul: return matmul(n, p), status();
    case RLX_OP_RopeTable: return rope_table(n, p);
    case RLX_OP_KvAppend: return kv_append(n, p);
    case RLX_OP_AttentionState: return attention(n, p);
    default: return fail(RLX_INTERNAL, "toy: op {} was claimed but has no code", n.info.op);
    }
}

} // namespace toy
