// SPDX-License-Identifier: GPL-3.0-only
// Nodes whose operands are known while the graph is finished become constants. Only ops that IEEE
// 754 rounds in one way everywhere, so that no backend could have given another result; never
// weights.
#include "passes.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>

namespace rlx::ir {

namespace {

// A constant lives in the program for good; a larger one is cheaper to compute.
constexpr dim max_elements = 1 << 16;

bool is_constant(const module& m, rlx_value v) {
    return v != 0 && m.at(v).kind == RLX_VALUE_CONSTANT && m.at(v).root == v;
}

template <class T>
T element(const value& v, std::size_t i) {
    T out;
    std::memcpy(&out, v.data.data() + i * sizeof(T), sizeof(T));
    return out;
}

template <class T>
void put(std::vector<std::byte>& data, std::size_t i, T x) {
    std::memcpy(data.data() + i * sizeof(T), &x, sizeof(T));
}

std::optional<float> unary(std::int64_t kind, float x) {
    switch (kind) {
    case RLX_UNARY_NEG: return -x;
    case RLX_UNARY_ABS: return std::fabs(x);
    case RLX_UNARY_SQRT: return std::sqrt(x);
    case RLX_UNARY_RELU: return std::isnan(x) ? x : std::max(x, 0.0F);
    default: return std::nullopt; // approximations differ between backends
    }
}

std::optional<float> binary(std::int64_t kind, float a, float b) {
    switch (kind) {
    case RLX_BINARY_ADD: return a + b;
    case RLX_BINARY_SUB: return a - b;
    case RLX_BINARY_MUL: return a * b;
    case RLX_BINARY_DIV: return a / b;
    default: return std::nullopt;
    }
}

std::size_t count_of(const value& v) {
    std::size_t n = 1;
    for (const dim d : v.dims)
        n *= static_cast<std::size_t>(d);
    return n;
}

// Element of an operand that meets element i of the result under numpy broadcasting.
std::size_t met_by(const value& x, const value& out, std::size_t i) {
    std::size_t at = 0, step = 1;
    for (std::size_t a = out.dims.size(); a-- > 0;) {
        const auto extent = static_cast<std::size_t>(out.dims[a]);
        const std::size_t place = i % extent;
        i /= extent;
        const std::size_t missing = out.dims.size() - x.dims.size();
        if (a < missing) continue;
        const auto own = static_cast<std::size_t>(x.dims[a - missing]);
        if (own != 1) at += place * step;
        step *= own;
    }
    return at;
}

bool fold_fill(const node& n, const value& out, std::vector<std::byte>& data) {
    const double x = n.attrs.f64(RLX_ATTR_value);
    for (std::size_t i = 0; i < count_of(out); i++) {
        if (out.dtype == RLX_F32)
            put(data, i, static_cast<float>(x));
        else if (out.dtype == RLX_I32 && x >= -2147483648.0 && x <= 2147483647.0)
            put(data, i, static_cast<std::int32_t>(x));
        else
            return false;
    }
    return true;
}

bool fold_elementwise(
    const module& m, const node& n, const value& out, std::vector<std::byte>& data
) {
    const value& x = m.at(n.in[0]);
    if (x.dtype != RLX_F32 || out.dtype != RLX_F32) return false;
    const bool two = n.op == RLX_OP_Binary;
    if (two && m.at(n.in[1]).dtype != RLX_F32) return false;
    const std::int64_t kind = n.attrs.i64(RLX_ATTR_kind);
    const auto scale = static_cast<float>(n.attrs.f64(RLX_ATTR_scale));
    const auto shift = static_cast<float>(n.attrs.f64(RLX_ATTR_shift));
    for (std::size_t i = 0; i < count_of(out); i++) {
        const auto a = element<float>(x, met_by(x, out, i));
        std::optional<float> y;
        if (two)
            y = binary(kind, a, element<float>(m.at(n.in[1]), met_by(m.at(n.in[1]), out, i)));
        else if (n.op == RLX_OP_Unary)
            y = unary(kind, a);
        else if (scale == 1 || shift == 0) // else one or two roundings: a backend may fuse them
            y = scale * a + shift;
        if (!y) return false;
        put(data, i, *y);
    }
    return true;
}

bool computed(const module& m, const node& n, const value& out, std::vector<std::byte>& data) {
    data.resize(count_of(out) * 4);
    switch (n.op) {
    case RLX_OP_Fill: return fold_fill(n, out, data);
    case RLX_OP_Arange:
        for (std::size_t i = 0; i < count_of(out); i++)
            put(data, i, static_cast<std::int32_t>(i));
        return true;
    case RLX_OP_Unary:
    case RLX_OP_Affine:
    case RLX_OP_Binary: return fold_elementwise(m, n, out, data);
    default: return false;
    }
}

bool can_fold(const module& m, const node& n) {
    if (n.out.size() != 1) return false;
    const value& out = m.at(n.out[0]);
    if (out.is_output || out.root != n.out[0]) return false;
    dim elements = 1;
    for (const dim d : out.dims) {
        if (d < 0 || d > max_elements) return false;
        elements *= d;
        if (elements > max_elements) return false;
    }
    return std::ranges::all_of(n.in, [&](rlx_value v) { return is_constant(m, v); });
}

} // namespace

std::size_t fold(module& m) {
    std::vector<node> kept;
    std::size_t folded = 0;
    for (node& n : m.nodes) {
        std::vector<std::byte> data;
        if (!can_fold(m, n) || !computed(m, n, m.at(n.out[0]), data)) {
            kept.push_back(std::move(n));
            continue;
        }
        value& out = m.at(n.out[0]);
        out.kind = RLX_VALUE_CONSTANT;
        out.data = std::move(data);
        folded++;
    }
    m.nodes = std::move(kept);
    m.renumber();
    return folded;
}

} // namespace rlx::ir
