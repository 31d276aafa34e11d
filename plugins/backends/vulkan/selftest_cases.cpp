// SPDX-License-Identifier: GPL-3.0-only
// One small case per op, with plain loops for what it has to give.
#include "selftest_cases.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <span>

namespace rlx::vulkan {

namespace {

using floats = std::vector<float>;
using doubles = std::vector<double>;

// Repeatable numbers in [-2, 2).
class numbers {
public:
    std::uint32_t next() {
        state_ = state_ * 1664525u + 1013904223u;
        return state_ >> 8;
    }

    float one() { return static_cast<float>(next()) / 4194304.0f - 2.0f; }

    floats some(std::size_t n) {
        floats v(n);
        std::generate(v.begin(), v.end(), [&] { return one(); });
        return v;
    }

private:
    std::uint32_t state_ = 12345;
};

double half_value(const unsigned char* p) {
    const int bits = p[0] | p[1] << 8, exponent = bits >> 10 & 31, mantissa = bits & 1023;
    const double size =
        exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
    return bits & 0x8000 ? -size : size;
}

double sigmoid(double x) {
    return 1 / (1 + std::exp(-x));
}

// Blocks of a file with random quants and scales near 1 / 64.
std::string random_rows(const matrix_format& f, std::int64_t rows, std::int64_t cols, numbers& r) {
    std::string out;
    for (std::int64_t b = 0; b < rows * cols / f.file_elements; ++b) {
        const std::size_t at = out.size();
        for (std::uint32_t i = 0; i < f.file_bytes; ++i)
            out += static_cast<char>(r.next());
        const auto scale = [&](std::size_t where) { // an f16 around 2^-6
            out[at + where] = static_cast<char>(r.next());
            out[at + where + 1] = 0x24;
        };
        switch (f.dtype) {
        case RLX_F32: {
            const float x = r.one();
            std::memcpy(out.data() + at, &x, 4);
            break;
        }
        case RLX_BF16: out[at + 1] = static_cast<char>(0x3f - (r.next() & 128)); break;
        case RLX_Q6_K: scale(208); break;
        case RLX_Q4_1:
        case RLX_Q4_K:
        case RLX_Q5_K: scale(2); [[fallthrough]];
        default: scale(0);
        }
    }
    return out;
}

doubles stored_values(
    const matrix_format& f, const std::string& bytes, std::int64_t rows, std::int64_t cols
) {
    const std::size_t row = bytes.size() / static_cast<std::size_t>(rows);
    doubles w;
    for (std::int64_t r = 0; r < rows; ++r)
        for (std::int64_t c = 0; c < cols; ++c)
            w.push_back(stored_element(
                f.dtype,
                reinterpret_cast<const unsigned char*>(bytes.data()) +
                    static_cast<std::size_t>(r) * row,
                c
            ));
    return w;
}

status product(const matrix_format& f, std::int64_t tokens, bench& b, floats& got, doubles& want) {
    constexpr std::int64_t rows = 37, cols = 512;
    numbers r;
    const std::string bytes = random_rows(f, rows, cols, r);
    const doubles w = stored_values(f, bytes, rows, cols);
    const floats x = r.some(static_cast<std::size_t>(tokens * cols));
    const rlx_value y = b.out({tokens, rows});
    RLX_CHECK(b.node(
        RLX_OP_MatMul, {b.in({tokens, cols}, x), b.constant(f.dtype, {rows, cols}, bytes), 0}, y
    ));
    for (std::int64_t t = 0; t < tokens; ++t)
        for (std::int64_t o = 0; o < rows; ++o)
            want.push_back(std::inner_product(
                w.begin() + o * cols, w.begin() + (o + 1) * cols, x.begin() + t * cols, 0.0
            ));
    got = RLX_TRY(b.run(y));
    return {};
}

status gather(const matrix_format& f, bench& b, floats& got, doubles& want) {
    constexpr std::int64_t rows = 37, cols = 512;
    numbers r;
    const std::string bytes = random_rows(f, rows, cols, r);
    const doubles w = stored_values(f, bytes, rows, cols);
    const std::vector<std::int32_t> ids{36, 0, 31, 32};
    const rlx_value y = b.out({4, cols});
    RLX_CHECK(
        b.node(RLX_OP_GatherRows, {b.constant(f.dtype, {rows, cols}, bytes), b.ids({4}, ids)}, y)
    );
    for (const std::int32_t id : ids)
        want.insert(want.end(), w.begin() + id * cols, w.begin() + (id + 1) * cols);
    got = RLX_TRY(b.run(y));
    return {};
}

status norm(bool centre, bench& b, floats& got, doubles& want) {
    constexpr std::size_t rows = 3, n = 100;
    numbers r;
    const floats x = r.some(rows * n), w = r.some(n);
    const rlx_value y = b.out({rows, n}), in = b.in({rows, n}, x), weight = b.in({n}, w);
    b.attr(RLX_ATTR_eps, 1e-5);
    RLX_CHECK(b.node(centre ? RLX_OP_LayerNorm : RLX_OP_RmsNorm, {in, weight}, y));
    for (std::size_t i = 0; i < rows; ++i) {
        double mean = 0, squares = 0;
        for (std::size_t k = 0; centre && k < n; ++k)
            mean += static_cast<double>(x[i * n + k]) / n;
        for (std::size_t k = 0; k < n; ++k)
            squares += std::pow(static_cast<double>(x[i * n + k]) - mean, 2) / n;
        for (std::size_t k = 0; k < n; ++k)
            want.push_back(
                (static_cast<double>(x[i * n + k]) - mean) / std::sqrt(squares + 1e-5) *
                static_cast<double>(w[k])
            );
    }
    got = RLX_TRY(b.run(y));
    return {};
}

using function = double (*)(double a, double b);

status pointwise(std::uint16_t op, function f, bench& b, floats& got, doubles& want) {
    constexpr std::size_t n = 300;
    numbers r;
    const floats x = r.some(n);
    const rlx_value y = b.out({n}), a = b.in({n}, x);
    if (op == RLX_OP_Affine) b.attr(RLX_ATTR_scale, 1.5), b.attr(RLX_ATTR_shift, -0.5);
    if (op == RLX_OP_Clamp) b.attr(RLX_ATTR_lo, -1.0), b.attr(RLX_ATTR_hi, 0.5);
    RLX_CHECK(b.node(op, {a}, y));
    for (const float v : x)
        want.push_back(f(static_cast<double>(v), 0));
    got = RLX_TRY(b.run(y));
    return {};
}

struct kind_case {
    std::int64_t kind;
    function f;
    bool positive = false; // the function takes such numbers only
};

// Every kind of an op, what drivers compute themselves (exp, pow, sqrt) and what is built on it,
// over a range that overflows nothing; errors relative to each result.
status
kinds(std::uint16_t op, std::span<const kind_case> cases, bench& b, floats& got, doubles& want) {
    constexpr std::size_t n = 200;
    const bool two = op == RLX_OP_Binary || op == RLX_OP_Glu;
    numbers r;
    floats x = r.some(n), z = r.some(n), size_of_x(n);
    for (std::size_t i = 0; i < n; ++i) {
        x[i] *= 8;
        size_of_x[i] = std::abs(x[i]) + 0.1f;
    }
    const rlx_value any = b.in({n}, x), above = b.in({n}, size_of_x), second = b.in({n}, z);
    std::vector<rlx_value> outs;
    for (const kind_case& c : cases) {
        outs.push_back(b.out({n}));
        const rlx_value a = c.positive ? above : any;
        b.attr(RLX_ATTR_kind, c.kind);
        RLX_CHECK(b.node(
            op, two ? std::vector<rlx_value>{a, second} : std::vector<rlx_value>{a}, outs.back()
        ));
    }
    for (std::size_t k = 0; k < cases.size(); ++k) {
        const floats y = RLX_TRY(b.run(outs[k]));
        for (std::size_t i = 0; i < n; ++i) {
            const double exact = cases[k].f(
                static_cast<double>(cases[k].positive ? size_of_x[i] : x[i]),
                static_cast<double>(z[i])
            );
            const double size = std::max(std::abs(exact), 1e-3);
            got.push_back(static_cast<float>(static_cast<double>(y[i]) / size));
            want.push_back(exact / size);
        }
    }
    return {};
}

double gelu(double x) {
    return x * 0.5 * std::erfc(-x * std::sqrt(0.5));
}

double gelu_tanh(double x) {
    return x * sigmoid(2 * 0.7978845608028654 * (x + 0.044715 * x * x * x));
}

constexpr kind_case unary_kinds[] = {
    {RLX_UNARY_NEG, [](double a, double) { return -a; }},
    {RLX_UNARY_ABS, [](double a, double) { return std::abs(a); }},
    {RLX_UNARY_EXP, [](double a, double) { return std::exp(a); }},
    {RLX_UNARY_LOG, [](double a, double) { return std::log(a); }, true},
    {RLX_UNARY_SQRT, [](double a, double) { return std::sqrt(a); }, true},
    {RLX_UNARY_RSQRT, [](double a, double) { return 1 / std::sqrt(a); }, true},
    {RLX_UNARY_RECIPROCAL, [](double a, double) { return 1 / a; }, true},
    {RLX_UNARY_SIN, [](double a, double) { return std::sin(a); }},
    {RLX_UNARY_COS, [](double a, double) { return std::cos(a); }},
    {RLX_UNARY_TANH, [](double a, double) { return std::tanh(a); }},
    {RLX_UNARY_SIGMOID, [](double a, double) { return sigmoid(a); }},
    {RLX_UNARY_SILU, [](double a, double) { return a * sigmoid(a); }},
    {RLX_UNARY_GELU, [](double a, double) { return gelu(a); }},
    {RLX_UNARY_GELU_TANH, [](double a, double) { return gelu_tanh(a); }},
    {RLX_UNARY_RELU, [](double a, double) { return std::max(a, 0.0); }},
};

constexpr kind_case binary_kinds[] = {
    {RLX_BINARY_ADD, [](double a, double b) { return a + b; }},
    {RLX_BINARY_SUB, [](double a, double b) { return a - b; }},
    {RLX_BINARY_MUL, [](double a, double b) { return a * b; }},
    {RLX_BINARY_DIV, [](double a, double b) { return a / b; }},
    {RLX_BINARY_MAX, [](double a, double b) { return std::max(a, b); }},
    {RLX_BINARY_MIN, [](double a, double b) { return std::min(a, b); }},
    {RLX_BINARY_POW, [](double a, double b) { return std::pow(a, b); }, true},
};

constexpr kind_case glu_kinds[] = {
    {RLX_GLU_SWIGLU, [](double a, double b) { return a * sigmoid(a) * b; }},
    {RLX_GLU_GEGLU_TANH, [](double a, double b) { return gelu_tanh(a) * b; }},
    {RLX_GLU_GEGLU_ERF, [](double a, double b) { return gelu(a) * b; }},
    {RLX_GLU_REGLU, [](double a, double b) { return std::max(a, 0.0) * b; }},
    {RLX_GLU_SIGMOID, [](double a, double b) { return sigmoid(a) * b; }},
};

status rotation(bench& b, floats& got, doubles& want) {
    constexpr std::int64_t tokens = 3, heads = 2, size = 8;
    numbers r;
    const floats x = r.some(tokens * heads * size);
    const std::vector<std::int32_t> at{0, 5, 4097};
    const rlx_value in = b.in({tokens, heads, size}, x), table = b.out({tokens, size});
    const rlx_value y = b.out({tokens, heads, size}), positions = b.ids({tokens}, at);
    b.attr(RLX_ATTR_dim, size);
    b.attr(RLX_ATTR_base, 10000.0);
    RLX_CHECK(b.node(RLX_OP_RopeTable, {positions}, table));
    RLX_CHECK(b.node(RLX_OP_Rope, {in, table}, y));
    for (std::int64_t i = 0; i < tokens * heads * size; ++i) {
        const std::int64_t k = i % size, row = i - k, j = k % (size / 2);
        // The op rounds the frequency and the angle to f32: at angle a that moves a result by up to
        // 2^-24 a, 2.4e-5 for the 410 of position 4097, so the reference has to round them, too.
        const float inverse =
            1.0f / static_cast<float>(std::pow(10000.0, 2.0 * static_cast<double>(j) / size));
        const double angle = static_cast<double>(
            static_cast<float>(at[static_cast<std::size_t>(row / (heads * size))]) * inverse
        );
        const auto first = static_cast<double>(x[static_cast<std::size_t>(row + j)]);
        const auto second = static_cast<double>(x[static_cast<std::size_t>(row + j + size / 2)]);
        want.push_back(
            k < size / 2 ? first * std::cos(angle) - second * std::sin(angle)
                         : second * std::cos(angle) + first * std::sin(angle)
        );
    }
    got = RLX_TRY(b.run(y));
    return {};
}

// Causal attention of one head group over `tokens` keys, whatever op it comes from.
doubles causal_attention(
    const floats& q,
    const floats& k,
    const floats& v,
    std::size_t tokens,
    std::size_t heads,
    std::size_t n
) {
    doubles out;
    for (std::size_t t = 0; t < tokens; ++t)
        for (std::size_t h = 0; h < heads; ++h) {
            doubles score(t + 1), mixed(n);
            for (std::size_t j = 0; j <= t; ++j)
                for (std::size_t d = 0; d < n; ++d)
                    score[j] += 0.3 * static_cast<double>(q[(t * heads + h) * n + d]) *
                                static_cast<double>(k[j * n + d]);
            double sum = 0;
            for (double& s : score)
                sum += s = std::exp(s);
            for (std::size_t j = 0; j <= t; ++j)
                for (std::size_t d = 0; d < n; ++d)
                    mixed[d] += score[j] / sum * static_cast<double>(v[j * n + d]);
            out.insert(out.end(), mixed.begin(), mixed.end());
        }
    return out;
}

status attention(std::uint16_t op, bench& b, floats& got, doubles& want) {
    constexpr std::int64_t tokens = 9, heads = 2, size = 16;
    numbers r;
    const floats q = r.some(tokens * heads * size), k = r.some(tokens * size),
                 v = r.some(tokens * size);
    const bool dense = op == RLX_OP_Attention;
    const auto dims = [&](std::int64_t h) {
        return dense ? std::vector<std::int64_t>{1, tokens, h, size}
                     : std::vector<std::int64_t>{tokens, h, size};
    };
    const rlx_value vq = b.in(dims(heads), q), vk = b.in(dims(1), k), vv = b.in(dims(1), v),
                    y = b.out(dims(heads));
    want = causal_attention(q, k, v, tokens, heads, size);
    if (op == RLX_OP_AttentionState) {
        const rlx_value state =
            RLX_TRY(b.state({sizeof(rlx_state_slot), RLX_STATE_KV, 1, size, size}, 4));
        const rlx_value slots = b.ids({tokens}, {12, 13, 14, 15, 0, 1, 2, 3, 4});
        RLX_CHECK(b.node(RLX_OP_KvAppend, {state, vk, vv, slots}, state));
        b.attr(RLX_ATTR_scale, 0.3);
        const rlx_value cu = b.ids({2}, {0, tokens}), lengths = b.ids({1}, {tokens}),
                        table = b.ids({1, 3}, {3, 0, 1});
        RLX_CHECK(b.node(op, {vq, state, cu, lengths, table}, y));
    } else {
        b.attr(RLX_ATTR_scale, 0.3);
        b.attr(RLX_ATTR_causal, std::int64_t{1});
        std::vector<rlx_value> in{vq, vk, vv};
        if (!dense) in.push_back(b.ids({2}, {0, tokens}));
        RLX_CHECK(b.node(op, in, y));
    }
    got = RLX_TRY(b.run(y));
    return {};
}

status over_axis(std::uint16_t op, bench& b, floats& got, doubles& want) {
    constexpr std::size_t rows = 3, n = 70;
    numbers r;
    const floats x = r.some(rows * n);
    const bool softmax = op == RLX_OP_Softmax;
    const rlx_value y = softmax ? b.out({rows, n}) : b.out({rows}), in = b.in({rows, n}, x);
    b.attr(RLX_ATTR_axis, std::int64_t{1});
    if (!softmax) b.attr(RLX_ATTR_kind, std::int64_t{RLX_REDUCE_SUM});
    RLX_CHECK(b.node(op, {in}, y));
    for (std::size_t i = 0; i < rows; ++i) {
        double sum = 0;
        for (std::size_t k = 0; k < n; ++k)
            sum += softmax ? std::exp(static_cast<double>(x[i * n + k]))
                           : static_cast<double>(x[i * n + k]);
        if (!softmax) want.push_back(sum);
        for (std::size_t k = 0; softmax && k < n; ++k)
            want.push_back(std::exp(static_cast<double>(x[i * n + k])) / sum);
    }
    got = RLX_TRY(b.run(y));
    return {};
}

status copies(std::uint16_t op, bench& b, floats& got, doubles& want) {
    numbers r;
    const floats x = r.some(60), z = r.some(20);
    const bool one = op == RLX_OP_Copy;
    const rlx_value y = one ? b.out({6, 10}) : b.out({8, 10}), a = b.in({6, 10}, x);
    if (!one) b.attr(RLX_ATTR_axis, std::int64_t{0});
    RLX_CHECK(
        b.node(op, one ? std::vector<rlx_value>{a} : std::vector<rlx_value>{a, b.in({2, 10}, z)}, y)
    );
    want.assign(x.begin(), x.end());
    if (!one) want.insert(want.end(), z.begin(), z.end());
    got = RLX_TRY(b.run(y));
    return {};
}

status convolution(bench& b, floats& got, doubles& want) {
    constexpr std::size_t channels = 2, outs = 3, length = 11, taps = 3;
    numbers r;
    const floats x = r.some(channels * length), w = r.some(outs * channels * taps);
    const rlx_value y = b.out({1, outs, length - taps + 1}), in = b.in({1, channels, length}, x);
    RLX_CHECK(b.node(RLX_OP_Conv, {in, b.in({outs, channels, taps}, w)}, y));
    for (std::size_t o = 0; o < outs; ++o)
        for (std::size_t i = 0; i + taps <= length; ++i) {
            double sum = 0;
            for (std::size_t c = 0; c < channels; ++c)
                for (std::size_t t = 0; t < taps; ++t)
                    sum += static_cast<double>(w[(o * channels + c) * taps + t]) *
                           static_cast<double>(x[c * length + i + t]);
            want.push_back(sum);
        }
    got = RLX_TRY(b.run(y));
    return {};
}

status experts(const matrix_format& f, bench& b, floats& got, doubles& want) {
    constexpr std::int64_t count = 3, rows = 37, cols = 256, tokens = 2, choices = 2;
    numbers r;
    const std::string bytes = random_rows(f, count * rows, cols, r);
    const doubles w = stored_values(f, bytes, count * rows, cols);
    const floats x = r.some(tokens * cols);
    const std::vector<std::int32_t> ids{2, 0, 1, 2};
    const rlx_value y = b.out({tokens, choices, rows}), in = b.in({tokens, cols}, x);
    RLX_CHECK(b.node(
        RLX_OP_GroupedMatMul,
        {in, b.constant(f.dtype, {count, rows, cols}, bytes), b.ids({tokens, choices}, ids)},
        y
    ));
    for (std::size_t k = 0; k < ids.size(); ++k)
        for (std::int64_t o = 0; o < rows; ++o) {
            const auto row = w.begin() + (ids[k] * rows + o) * cols;
            want.push_back(std::inner_product(
                row, row + cols, x.begin() + static_cast<std::ptrdiff_t>(k / choices) * cols, 0.0
            ));
        }
    got = RLX_TRY(b.run(y));
    return {};
}

// Values of the k largest; as shares of a softmax for MoeRoute.
status largest(std::uint16_t op, bench& b, floats& got, doubles& want) {
    constexpr std::size_t rows = 3, n = 70, k = 4;
    numbers r;
    const floats x = r.some(rows * n);
    const bool route = op == RLX_OP_MoeRoute;
    const rlx_value y = b.out({rows, k}), ids = b.out({rows, k}, RLX_I32), in = b.in({rows, n}, x);
    b.attr(RLX_ATTR_k, static_cast<std::int64_t>(k));
    if (route) b.attr(RLX_ATTR_normalise, std::int64_t{1});
    RLX_CHECK(b.node(op, {in}, y, ids));
    for (std::size_t i = 0; i < rows; ++i) {
        doubles row(
            x.begin() + static_cast<std::ptrdiff_t>(i * n),
            x.begin() + static_cast<std::ptrdiff_t>((i + 1) * n)
        );
        std::sort(row.begin(), row.end(), std::greater<>());
        double sum = 0;
        for (std::size_t j = 0; j < k; ++j)
            sum += std::exp(row[j]);
        for (std::size_t j = 0; j < k; ++j)
            want.push_back(route ? std::exp(row[j]) / sum : row[j]);
    }
    got = RLX_TRY(b.run(y));
    return {};
}

// a > b as bool, and back to numbers.
status comparison(bench& b, floats& got, doubles& want) {
    constexpr std::size_t n = 300;
    numbers r;
    const floats x = r.some(n), z = r.some(n);
    const rlx_value y = b.out({n}), larger = b.out({n}, RLX_BOOL);
    const rlx_value left = b.in({n}, x), right = b.in({n}, z);
    b.attr(RLX_ATTR_kind, std::int64_t{RLX_COMPARE_GT});
    RLX_CHECK(b.node(RLX_OP_Compare, {left, right}, larger));
    b.attr(RLX_ATTR_dtype, std::int64_t{RLX_F32});
    RLX_CHECK(b.node(RLX_OP_Cast, {larger}, y));
    for (std::size_t i = 0; i < n; ++i)
        want.push_back(x[i] > z[i] ? 1 : 0);
    got = RLX_TRY(b.run(y));
    return {};
}

status made(std::uint16_t op, bench& b, floats& got, doubles& want) {
    constexpr std::size_t n = 300;
    const bool counted = op == RLX_OP_Arange;
    const rlx_value y = b.out({n});
    if (!counted) b.attr(RLX_ATTR_value, 1.5);
    const rlx_value whole = counted ? b.out({n}, RLX_I32) : y;
    RLX_CHECK(b.node(op, {}, whole));
    b.attr(RLX_ATTR_dtype, std::int64_t{RLX_F32});
    if (counted) RLX_CHECK(b.node(RLX_OP_Cast, {whole}, y));
    for (std::size_t i = 0; i < n; ++i)
        want.push_back(counted ? static_cast<double>(i) : 1.5);
    got = RLX_TRY(b.run(y));
    return {};
}

// Twice as long, linear between the elements' centres.
status resized(bench& b, floats& got, doubles& want) {
    constexpr std::int64_t n = 11;
    numbers r;
    const floats x = r.some(n);
    const rlx_value y = b.out({1, 1, 2 * n}), in = b.in({1, 1, n}, x);
    b.attr(RLX_ATTR_kind, std::int64_t{RLX_RESIZE_LINEAR});
    RLX_CHECK(b.node(RLX_OP_Resize, {in}, y));
    for (std::int64_t i = 0; i < 2 * n; ++i) {
        const double s = std::max(0.0, (static_cast<double>(i) + 0.5) / 2 - 0.5);
        const auto j = static_cast<std::size_t>(s);
        const double t = s - static_cast<double>(j);
        want.push_back(
            (1 - t) * static_cast<double>(x[j]) +
            t * static_cast<double>(x[std::min<std::size_t>(j + 1, n - 1)])
        );
    }
    got = RLX_TRY(b.run(y));
    return {};
}

auto point(std::uint16_t op, function f) {
    return [=](bench& b, floats& got, doubles& want) { return pointwise(op, f, b, got, want); };
}

auto every(std::uint16_t op, std::span<const kind_case> cases) {
    return [=](bench& b, floats& got, doubles& want) { return kinds(op, cases, b, got, want); };
}

auto with(status (*fn)(std::uint16_t, bench&, floats&, doubles&), std::uint16_t op) {
    return [=](bench& b, floats& got, doubles& want) { return fn(op, b, got, want); };
}

} // namespace

self_case find_case(std::uint16_t op, const matrix_format* f) {
    switch (op) {
    case RLX_OP_MatMul:
        if (!f) return {};
        return {"MatMul " + std::string(f->name), [=](bench& b, floats& got, doubles& want) {
                    return product(*f, 6, b, got, want);
                }};
    case RLX_OP_GatherRows:
        if (!f) return {};
        return {"GatherRows " + std::string(f->name), [=](bench& b, floats& got, doubles& want) {
                    return gather(*f, b, got, want);
                }};
    case RLX_OP_GroupedMatMul:
        if (!f) return {};
        return {"GroupedMatMul " + std::string(f->name), [=](bench& b, floats& got, doubles& want) {
                    return experts(*f, b, got, want);
                }};
    case RLX_OP_RmsNorm:
        return {"RmsNorm", [](auto& b, auto& g, auto& w) { return norm(false, b, g, w); }};
    case RLX_OP_LayerNorm:
        return {"LayerNorm", [](auto& b, auto& g, auto& w) { return norm(true, b, g, w); }};
    case RLX_OP_Unary: return {"Unary", every(op, unary_kinds)};
    case RLX_OP_Binary: return {"Binary", every(op, binary_kinds)};
    case RLX_OP_Glu: return {"Glu", every(op, glu_kinds)};
    case RLX_OP_Affine:
        return {"Affine", point(op, [](double a, double) { return 1.5 * a - 0.5; })};
    case RLX_OP_Clamp:
        return {"Clamp", point(op, [](double a, double) { return std::clamp(a, -1.0, 0.5); })};
    case RLX_OP_Rope:
    case RLX_OP_RopeTable: return {"Rope", rotation};
    case RLX_OP_KvAppend:
    case RLX_OP_AttentionState: return {"AttentionState", with(attention, RLX_OP_AttentionState)};
    case RLX_OP_RaggedAttention: return {"RaggedAttention", with(attention, op)};
    case RLX_OP_Attention: return {"Attention", with(attention, op)};
    case RLX_OP_Softmax: return {"Softmax", with(over_axis, op)};
    case RLX_OP_Reduce: return {"Reduce", with(over_axis, op)};
    case RLX_OP_Copy: return {"Copy", with(copies, op)};
    case RLX_OP_Concat: return {"Concat", with(copies, op)};
    case RLX_OP_Conv: return {"Conv", convolution};
    case RLX_OP_TopK: return {"TopK", with(largest, op)};
    case RLX_OP_MoeRoute: return {"MoeRoute", with(largest, op)};
    case RLX_OP_Compare:
    case RLX_OP_Cast: return {"Compare", comparison};
    case RLX_OP_Fill: return {"Fill", with(made, op)};
    case RLX_OP_Arange: return {"Arange", with(made, op)};
    case RLX_OP_Resize: return {"Resize", resized};
    default: return {};
    }
}

std::vector<self_case> all_cases() {
    std::vector<self_case> out;
    const auto add = [&](std::uint16_t op, const matrix_format* format) {
        self_case c = find_case(op, format);
        const bool known = std::any_of(out.begin(), out.end(), [&](const self_case& o) {
            return o.name == c.name;
        });
        if (c.run && !known) out.push_back(std::move(c));
    };
    for (std::uint16_t op = 1; op < RLX_OP_Custom; ++op) {
        add(op, nullptr);
        for (const matrix_format& f : matrix_formats())
            add(op, &f);
    }
    return out;
}

double stored_element(std::uint16_t dtype, const unsigned char* row, std::int64_t i) {
    const auto block = [&](std::int64_t elements, std::int64_t bytes) {
        row += i / elements * bytes;
        i %= elements;
    };
    switch (dtype) {
    case RLX_F32: {
        float x;
        std::memcpy(&x, row + 4 * i, 4);
        return static_cast<double>(x);
    }
    case RLX_F16: return half_value(row + 2 * i);
    case RLX_BF16: {
        const unsigned char wide[4] = {0, 0, row[2 * i], row[2 * i + 1]};
        return stored_element(RLX_F32, wide, 0);
    }
    case RLX_Q4_0:
        block(32, 18);
        return half_value(row) * ((row[2 + i % 16] >> (i / 16 * 4) & 15) - 8);
    case RLX_Q4_1:
        block(32, 20);
        return half_value(row) * (row[4 + i % 16] >> (i / 16 * 4) & 15) + half_value(row + 2);
    case RLX_Q8_0: block(32, 34); return half_value(row) * static_cast<signed char>(row[2 + i]);
    case RLX_Q4_K:
    case RLX_Q5_K: {
        const bool five = dtype == RLX_Q5_K;
        block(256, five ? 176 : 144);
        const unsigned char* s = row + 4;
        const std::int64_t j = i / 32, l = i % 32;
        const int scale = j < 4 ? s[j] & 63 : (s[j + 4] & 15) | (s[j - 4] >> 6) << 4;
        const int least = j < 4 ? s[j + 4] & 63 : s[j + 4] >> 4 | (s[j] >> 6) << 4;
        int q = row[(five ? 48 : 16) + j / 2 * 32 + l] >> (j % 2 * 4) & 15;
        if (five) q |= (row[16 + l] >> j & 1) << 4;
        return half_value(row) * scale * q - half_value(row + 2) * least;
    }
    case RLX_Q6_K: {
        block(256, 210);
        const std::int64_t n = i / 128, r = i % 128, l = r % 32, part = r / 32;
        const int low = row[64 * n + l + (part & 1) * 32] >> (part / 2 * 4) & 15;
        const int high = row[128 + 32 * n + l] >> (2 * part) & 3;
        const int scale = static_cast<signed char>(row[192 + 8 * n + r / 16]);
        return half_value(row + 208) * scale * ((low | high << 4) - 32);
    }
    default: return 0;
    }
}

} // namespace rlx::vulkan
