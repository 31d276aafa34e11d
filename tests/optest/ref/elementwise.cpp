// SPDX-License-Identifier: GPL-3.0-only
// Unary, Binary, Compare, Select, Clamp, Affine, Glu, Snake, Modulate.
#include "ref.hpp"

#include <cmath>
#include <numbers>

namespace optest::ref {
namespace {

double sigmoid(double x) {
    return 1 / (1 + std::exp(-x));
}

double gelu(double x) {
    return x * 0.5 * std::erfc(-x / std::numbers::sqrt2);
}

double gelu_tanh(double x) {
    // 0.5 (1 + tanh(u)) = sigmoid(2 u), which keeps its digits far out on the left.
    const double u = std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x);
    return x * sigmoid(2 * u);
}

double silu(double x) {
    return x * sigmoid(x);
}

// x times a factor that falls to 0 faster than x grows: the limit at -inf is 0, as text and PyTorch
// differ (NaN) cases leave infinities out.
double unary_of(std::int64_t kind, double x) {
    switch (kind) {
    case RLX_UNARY_NEG: return -x;
    case RLX_UNARY_ABS: return std::abs(x);
    case RLX_UNARY_EXP: return std::exp(x);
    case RLX_UNARY_LOG: return std::log(x);
    case RLX_UNARY_SQRT: return std::sqrt(x);
    case RLX_UNARY_RSQRT: return 1 / std::sqrt(x);
    case RLX_UNARY_RECIPROCAL: return 1 / x;
    case RLX_UNARY_SIN: return std::sin(x);
    case RLX_UNARY_COS: return std::cos(x);
    case RLX_UNARY_TANH: return std::tanh(x);
    case RLX_UNARY_SIGMOID: return sigmoid(x);
    case RLX_UNARY_SILU: return silu(x);
    case RLX_UNARY_GELU: return gelu(x);
    case RLX_UNARY_GELU_TANH: return gelu_tanh(x);
    case RLX_UNARY_RELU: return x > 0 ? x : std::isnan(x) ? x : 0;
    case RLX_UNARY_ERF: return std::erf(x);
    case RLX_UNARY_SOFTPLUS: return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x));
    case RLX_UNARY_FLOOR: return std::floor(x);
    case RLX_UNARY_CEIL: return std::ceil(x);
    case RLX_UNARY_ROUND: return std::nearbyint(x);
    case RLX_UNARY_SIGN: return x > 0 ? 1 : x < 0 ? -1 : x;
    case RLX_UNARY_EXPM1: return std::expm1(x);
    case RLX_UNARY_LOG1P: return std::log1p(x);
    default: throw no_answer("Unary kind " + std::to_string(kind));
    }
}

results unary(const call& c) {
    tensor y = c.at(0);
    for (double& v : y.data)
        v = unary_of(c.i64(RLX_ATTR_kind), v);
    return {y};
}

std::int32_t wrapped(std::int64_t x) {
    return static_cast<std::int32_t>(static_cast<std::uint32_t>(static_cast<std::uint64_t>(x)));
}

double whole_binary(std::int64_t kind, double x, double y) {
    const auto a = static_cast<std::int64_t>(x), b = static_cast<std::int64_t>(y);
    switch (kind) {
    case RLX_BINARY_ADD: return wrapped(a + b);
    case RLX_BINARY_SUB: return wrapped(a - b);
    case RLX_BINARY_MUL: return wrapped(a * b);
    case RLX_BINARY_DIV: return b == 0 ? 0 : wrapped(a / b);
    case RLX_BINARY_MAX: return static_cast<double>(std::max(a, b));
    case RLX_BINARY_MIN: return static_cast<double>(std::min(a, b));
    default: throw no_answer("Binary kind " + std::to_string(kind));
    }
}

double binary_of(std::int64_t kind, double a, double b) {
    switch (kind) {
    case RLX_BINARY_ADD: return a + b;
    case RLX_BINARY_SUB: return a - b;
    case RLX_BINARY_MUL: return a * b;
    case RLX_BINARY_DIV: return a / b;
    case RLX_BINARY_MAX: return std::max(a, b);
    case RLX_BINARY_MIN: return std::min(a, b);
    case RLX_BINARY_POW: return std::pow(a, b);
    case RLX_BINARY_ATAN2: return std::atan2(a, b);
    default: throw no_answer("Binary kind " + std::to_string(kind));
    }
}

results binary(const call& c) {
    const tensor &a = c.at(0), &b = c.at(1);
    tensor y(a.dtype, broadcast(a.shape, b.shape));
    const auto f = a.dtype == RLX_I32 ? whole_binary : binary_of;
    each(y.shape, [&](const dims& at) {
        y(at) = f(c.i64(RLX_ATTR_kind), spread(a, at), spread(b, at));
    });
    return {y};
}

bool compare_of(std::int64_t kind, double a, double b) {
    switch (kind) {
    case RLX_COMPARE_EQ: return a == b;
    case RLX_COMPARE_NE: return a != b;
    case RLX_COMPARE_LT: return a < b;
    case RLX_COMPARE_LE: return a <= b;
    case RLX_COMPARE_GT: return a > b;
    case RLX_COMPARE_GE: return a >= b;
    default: throw no_answer("Compare kind " + std::to_string(kind));
    }
}

results compare(const call& c) {
    const tensor &a = c.at(0), &b = c.at(1);
    tensor y(RLX_BOOL, broadcast(a.shape, b.shape));
    each(y.shape, [&](const dims& at) {
        y(at) = compare_of(c.i64(RLX_ATTR_kind), spread(a, at), spread(b, at));
    });
    return {y};
}

results select(const call& c) {
    const tensor &cond = c.at(0), &a = c.at(1), &b = c.at(2);
    tensor y(a.dtype, broadcast(broadcast(cond.shape, a.shape), b.shape));
    each(y.shape, [&](const dims& at) {
        y(at) = spread(cond, at) != 0 ? spread(a, at) : spread(b, at);
    });
    return {y};
}

results clamp(const call& c) {
    tensor y = c.at(0);
    const double lo = static_cast<float>(c.f64(RLX_ATTR_lo));
    const double hi = static_cast<float>(c.f64(RLX_ATTR_hi));
    for (double& v : y.data)
        v = std::min(std::max(v, lo), hi);
    return {y};
}

results affine(const call& c) {
    tensor y = c.at(0);
    const double scale = static_cast<float>(c.f64(RLX_ATTR_scale));
    const double shift = static_cast<float>(c.f64(RLX_ATTR_shift));
    for (double& v : y.data)
        v = scale * v + shift;
    return {y};
}

double gate_of(std::int64_t kind, double x) {
    switch (kind) {
    case RLX_GLU_SWIGLU: return silu(x);
    case RLX_GLU_GEGLU_TANH: return gelu_tanh(x);
    case RLX_GLU_GEGLU_ERF: return gelu(x);
    case RLX_GLU_REGLU: return x > 0 || std::isnan(x) ? x : 0;
    case RLX_GLU_SIGMOID: return sigmoid(x);
    default: throw no_answer("Glu kind " + std::to_string(kind));
    }
}

results glu(const call& c) {
    tensor y = c.at(0);
    for (std::size_t i = 0; i < y.size(); ++i)
        y.data[i] = gate_of(c.i64(RLX_ATTR_kind), y.data[i]) * c.at(1).data[i];
    return {y};
}

results snake(const call& c) {
    tensor y = c.at(0);
    const bool log = c.i64(RLX_ATTR_log) == 1;
    const double eps = c.f64(RLX_ATTR_eps, 1e-9);
    each(y.shape, [&](const dims& at) {
        double alpha = c.at(1)({at[1]});
        double beta = c.has(2) ? c.at(2)({at[1]}) : alpha;
        if (log) alpha = std::exp(alpha), beta = std::exp(beta);
        double& v = y(at);
        const double s = std::sin(alpha * v);
        v += s * s / (beta + eps);
    });
    return {y};
}

results modulate(const call& c) {
    tensor y = c.at(0);
    each(y.shape, [&](const dims& at) {
        double& v = y(at);
        if (c.has(1)) v *= 1 + spread(c.at(1), at);
        if (c.has(2)) v += spread(c.at(2), at);
        if (c.has(3)) v *= spread(c.at(3), at);
        if (c.has(4)) v += c.at(4)(at);
    });
    return {y};
}

} // namespace

std::vector<entry> elementwise_ops() {
    return {
        {RLX_OP_Unary, unary},
        {RLX_OP_Binary, binary},
        {RLX_OP_Compare, compare},
        {RLX_OP_Select, select},
        {RLX_OP_Clamp, clamp},
        {RLX_OP_Affine, affine},
        {RLX_OP_Glu, glu},
        {RLX_OP_Snake, snake},
        {RLX_OP_Modulate, modulate},
    };
}

} // namespace optest::ref
