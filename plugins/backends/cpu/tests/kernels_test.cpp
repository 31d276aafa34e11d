// SPDX-License-Identifier: GPL-3.0-only
// Row kernels of every tier against plain double loops written here: all tail lengths, misaligned
// rows, extremes.
#include "kernels/kernels.hpp"
#include "rlx/abi/ops.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <gtest/gtest.h>
#include <random>
#include <string>
#include <vector>

using namespace rlx::cpu;

namespace {

constexpr int longest = 70; // covers four vectors of the widest tier and every tail

// A row that starts `shift` floats after a vector boundary, with a guard value behind its end.
struct row {
    std::vector<float> memory;
    std::size_t shift;

    row(std::size_t n, std::size_t offset) : memory(n + offset + 17, 12345.0f), shift(offset) {}

    float* p() { return memory.data() + shift; }

    bool intact(std::size_t n) const {
        return std::all_of(
            memory.begin() + static_cast<std::ptrdiff_t>(shift + n),
            memory.end(),
            [](float v) { return v == 12345.0f; }
        );
    }
};

double erf_gelu(double x) {
    return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
}

double tanh_gelu(double x) {
    return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}

double sigmoid(double x) {
    return 1 / (1 + std::exp(-x));
}

double unary_oracle(std::uint32_t kind, double x) {
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
    case RLX_UNARY_SIGMOID: return sigmoid(x);
    case RLX_UNARY_SILU: return x * sigmoid(x);
    case RLX_UNARY_GELU: return erf_gelu(x);
    case RLX_UNARY_GELU_TANH: return tanh_gelu(x);
    default: return std::max(x, 0.0);
    }
}

double binary_oracle(std::uint32_t kind, double a, double b) {
    switch (kind) {
    case RLX_BINARY_ADD: return a + b;
    case RLX_BINARY_SUB: return a - b;
    case RLX_BINARY_MUL: return a * b;
    case RLX_BINARY_DIV: return a / b;
    case RLX_BINARY_MAX: return std::max(a, b);
    case RLX_BINARY_MIN: return std::min(a, b);
    default: return std::pow(a, b);
    }
}

double glu_oracle(std::uint32_t kind, double g, double u) {
    switch (kind) {
    case RLX_GLU_SWIGLU: return g * sigmoid(g) * u;
    case RLX_GLU_GEGLU_TANH: return tanh_gelu(g) * u;
    case RLX_GLU_GEGLU_ERF: return erf_gelu(g) * u;
    case RLX_GLU_REGLU: return std::max(g, 0.0) * u;
    default: return sigmoid(g) * u;
    }
}

// Largest error relative to the row's largest value; empty rows have none.
double row_error(const float* got, const std::vector<double>& want) {
    double worst = 0, scale = 1e-30;
    for (std::size_t i = 0; i < want.size(); ++i) {
        worst = std::max(worst, std::fabs(got[i] - want[i]));
        scale = std::max(scale, std::fabs(want[i]));
        if (std::isnan(got[i])) return INFINITY;
    }
    return worst / scale;
}

float half(float x) {
    // Through the compiler's own conversion, which the kernels do not use.
    return static_cast<float>(static_cast<_Float16>(x));
}

class kernel : public testing::TestWithParam<tier> {
protected:
    void SetUp() override {
        char missing[160];
        if (tier_missing(detect_features(), GetParam(), missing, sizeof missing)) {
            GTEST_SKIP() << "this processor lacks " << missing;
        }
        k = &kernels_for(GetParam());
    }

    std::vector<float> random(std::size_t n, float lo = -4, float hi = 4) {
        std::uniform_real_distribution<float> d(lo, hi);
        std::vector<float> v(n);
        for (float& x : v)
            x = d(rng_);
        return v;
    }

    // Calls body(n, x, y, out) for every length and two alignments and compares out with oracle(i,
    // x, y).
    void rows(
        double limit,
        float lo,
        float hi,
        const std::function<void(int n, float* x, float* y, float* out)>& body,
        const std::function<double(int i, int n, const float* x, const float* y)>& oracle
    ) {
        for (int n = 0; n <= longest; ++n) {
            for (std::size_t shift : {0u, 1u, 3u}) {
                const auto count = static_cast<std::size_t>(n);
                row x(count, shift), y(count, shift + 1), out(count, shift + 2);
                const auto a = random(count, lo, hi), b = random(count, lo, hi);
                std::copy(a.begin(), a.end(), x.p());
                std::copy(b.begin(), b.end(), y.p());
                body(n, x.p(), y.p(), out.p());
                std::vector<double> want;
                for (int i = 0; i < n; ++i)
                    want.push_back(oracle(i, n, a.data(), b.data()));
                ASSERT_LE(row_error(out.p(), want), limit) << "length " << n << ", shift " << shift;
                ASSERT_TRUE(out.intact(count)) << "wrote behind a row of " << n;
            }
        }
    }

    const kernels* k = nullptr;

private:
    std::mt19937 rng_{7};
};

} // namespace

TEST_P(kernel, unary_ops_agree_with_double_at_every_length) {
    for (std::uint32_t kind = RLX_UNARY_NEG; kind <= RLX_UNARY_RELU; ++kind) {
        SCOPED_TRACE("unary kind " + std::to_string(kind));
        const bool positive = kind == RLX_UNARY_LOG || kind == RLX_UNARY_SQRT ||
                              kind == RLX_UNARY_RSQRT || kind == RLX_UNARY_RECIPROCAL;
        rows(
            kind == RLX_UNARY_GELU || kind == RLX_UNARY_GELU_TANH ? 5e-6 : 1e-6,
            positive ? 0.1f : -6.0f,
            6.0f,
            [&](int n, float* x, float*, float* out) { k->unary(kind, out, x, n); },
            [&](int i, int, const float* x, const float*) { return unary_oracle(kind, x[i]); }
        );
    }
}

TEST_P(kernel, exponential_family_is_accurate_to_a_millionth_of_each_value) {
    for (std::uint32_t kind : {RLX_UNARY_EXP, RLX_UNARY_TANH, RLX_UNARY_SIGMOID, RLX_UNARY_SILU}) {
        double worst = 0;
        for (double x = -80; x <= 80; x += 0.00317) {
            const auto in = static_cast<float>(x);
            const double want = unary_oracle(kind, in);
            if (std::fabs(want) < 1e-36 || std::fabs(want) > 3e38) continue;
            float got = 0;
            k->unary(kind, &got, &in, 1);
            worst = std::max(worst, std::fabs(got - want) / std::fabs(want));
        }
        EXPECT_LE(worst, 1e-6) << "unary kind " << kind;
    }
    for (std::uint32_t kind : {RLX_UNARY_GELU, RLX_UNARY_GELU_TANH}) {
        double worst = 0;
        for (double x = -8; x <= 8; x += 0.00317) {
            const auto in = static_cast<float>(x);
            float got = 0;
            k->unary(kind, &got, &in, 1);
            worst = std::max(
                worst, std::fabs(got - unary_oracle(kind, in)) / std::max(1.0, std::fabs(x))
            );
        }
        EXPECT_LE(worst, 3e-7) << "unary kind " << kind;
    }
}

TEST_P(kernel, extremes_give_what_ieee_says) {
    const float x[] = {-INFINITY, -200, 0, 200, INFINITY, NAN, -104, 88.5f};
    float y[8];
    k->unary(RLX_UNARY_EXP, y, x, 8);
    EXPECT_EQ(y[0], 0);
    EXPECT_EQ(y[1], 0);
    EXPECT_EQ(y[2], 1);
    EXPECT_EQ(y[3], INFINITY);
    EXPECT_EQ(y[4], INFINITY);
    EXPECT_TRUE(std::isnan(y[5]));
    EXPECT_EQ(y[6], std::exp(-104.0f));
    EXPECT_NEAR(y[7] / std::exp(88.5f), 1, 1e-6);
    k->unary(RLX_UNARY_TANH, y, x, 8);
    EXPECT_EQ(y[0], -1);
    EXPECT_EQ(y[4], 1);
    EXPECT_TRUE(std::isnan(y[5]));
    k->unary(RLX_UNARY_SIGMOID, y, x, 8);
    EXPECT_EQ(y[0], 0);
    EXPECT_EQ(y[4], 1);
}

TEST_P(kernel, maximum_and_minimum_keep_nan_from_either_side) {
    const float a[] = {NAN, 1, NAN, 2}, b[] = {1, NAN, NAN, 3};
    for (std::uint32_t kind : {RLX_BINARY_MAX, RLX_BINARY_MIN}) {
        float y[4];
        k->binary(kind, y, a, 1, b, 1, 4);
        EXPECT_TRUE(std::isnan(y[0]) && std::isnan(y[1]) && std::isnan(y[2]));
        EXPECT_EQ(y[3], kind == RLX_BINARY_MAX ? 3 : 2);
    }
}

TEST_P(kernel, binary_ops_broadcast_either_side) {
    for (std::uint32_t kind = RLX_BINARY_ADD; kind <= RLX_BINARY_POW; ++kind) {
        for (int steps = 0; steps < 4; ++steps) {
            SCOPED_TRACE("binary kind " + std::to_string(kind) + " steps " + std::to_string(steps));
            const int a = steps & 1, b = steps >> 1;
            rows(
                1e-6,
                0.2f,
                3.0f,
                [&](int n, float* x, float* y, float* out) { k->binary(kind, out, x, a, y, b, n); },
                [&](int i, int, const float* x, const float* y) {
                    return binary_oracle(kind, x[i * a], y[i * b]);
                }
            );
        }
    }
}

TEST_P(kernel, glu_affine_clamp_and_axpy) {
    for (std::uint32_t kind = RLX_GLU_SWIGLU; kind <= RLX_GLU_SIGMOID; ++kind) {
        SCOPED_TRACE("glu kind " + std::to_string(kind));
        rows(
            5e-6,
            -6,
            6,
            [&](int n, float* x, float* y, float* out) { k->glu(kind, out, x, y, n); },
            [&](int i, int, const float* x, const float* y) { return glu_oracle(kind, x[i], y[i]); }
        );
    }
    rows(
        1e-6,
        -4,
        4,
        [&](int n, float* x, float*, float* out) { k->affine(out, x, n, 1.5f, -0.25f); },
        [](int i, int, const float* x, const float*) { return 1.5 * x[i] - 0.25; }
    );
    rows(
        0,
        -4,
        4,
        [&](int n, float* x, float*, float* out) { k->clamp(out, x, n, -1, 2); },
        [](int i, int, const float* x, const float*) { return std::clamp<double>(x[i], -1, 2); }
    );
    rows(
        1e-6,
        -4,
        4,
        [&](int n, float* x, float* y, float* out) {
            std::copy(y, y + n, out);
            k->axpy(out, x, 0.75f, n);
        },
        [](int i, int, const float* x, const float* y) { return y[i] + 0.75 * x[i]; }
    );
}

TEST_P(kernel, rms_norm_with_and_without_weight_and_offset) {
    for (float offset : {0.0f, 1.0f}) {
        rows(
            1e-6,
            -4,
            4,
            [&](int n, float* x, float* y, float* out) {
                k->rms_norm(out, x, y, offset, 1e-5f, n);
            },
            [&](int i, int n, const float* x, const float* y) {
                double s = 0;
                for (int j = 0; j < n; ++j)
                    s += static_cast<double>(x[j]) * x[j];
                return x[i] / std::sqrt(s / n + 1e-5) * (y[i] + offset);
            }
        );
    }
    rows(
        1e-6,
        -4,
        4,
        [&](int n, float* x, float*, float* out) { k->rms_norm(out, x, nullptr, 0, 1e-5f, n); },
        [&](int i, int n, const float* x, const float*) {
            double s = 0;
            for (int j = 0; j < n; ++j)
                s += static_cast<double>(x[j]) * x[j];
            return x[i] / std::sqrt(s / n + 1e-5);
        }
    );
}

TEST_P(kernel, softmax_sums_to_one_and_a_row_of_minus_infinity_is_zero) {
    rows(
        1e-6,
        -9,
        9,
        [&](int n, float* x, float*, float* out) { k->softmax(out, x, n); },
        [](int i, int n, const float* x, const float*) {
            double s = 0;
            const double top = *std::max_element(x, x + n);
            for (int j = 0; j < n; ++j)
                s += std::exp(x[j] - top);
            return std::exp(x[i] - top) / s;
        }
    );
    for (int n : {1, 5, 16, 33}) {
        std::vector<float> x(static_cast<std::size_t>(n), -INFINITY), y(x.size(), 7);
        k->softmax(y.data(), x.data(), n);
        EXPECT_EQ(*std::max_element(y.begin(), y.end()), 0) << n;
        x.back() = -3;
        k->softmax(y.data(), x.data(), n);
        EXPECT_EQ(y.back(), 1) << n;
        EXPECT_EQ(std::count(y.begin(), y.end(), 0.0f), n - 1) << n;
    }
}

TEST_P(kernel, reductions_and_dot_products_at_every_length) {
    for (int n = 1; n <= longest; ++n) {
        const auto x = random(static_cast<std::size_t>(n), -1.5f, 1.5f),
                   y = random(static_cast<std::size_t>(n));
        double sum = 0, prod = 1, squares = 0, dot = 0, size = 0;
        for (int i = 0; i < n; ++i) {
            const auto at = static_cast<std::size_t>(i);
            sum += x[at];
            prod *= x[at];
            squares += static_cast<double>(x[at]) * x[at];
            dot += static_cast<double>(x[at]) * y[at];
            size += std::fabs(x[at] * y[at]);
        }
        ASSERT_NEAR(k->reduce(RLX_REDUCE_SUM, x.data(), n), sum, 1e-5);
        ASSERT_NEAR(k->reduce(RLX_REDUCE_MEAN, x.data(), n), sum, 1e-5) << "the caller divides";
        ASSERT_NEAR(k->reduce(RLX_REDUCE_L2, x.data(), n), squares, 1e-5 * squares);
        ASSERT_NEAR(k->reduce(RLX_REDUCE_PROD, x.data(), n), prod, 1e-5 * std::fabs(prod) + 1e-30);
        ASSERT_EQ(k->reduce(RLX_REDUCE_MAX, x.data(), n), *std::max_element(x.begin(), x.end()));
        ASSERT_EQ(k->reduce(RLX_REDUCE_MIN, x.data(), n), *std::min_element(x.begin(), x.end()));
        ASSERT_NEAR(k->dot(x.data(), y.data(), n), dot, 1e-6 * size);
    }
    EXPECT_EQ(k->dot(nullptr, nullptr, 0), 0);
}

TEST_P(kernel, rope_rotates_both_pairings) {
    for (int half = 0; half <= 35; ++half) {
        const auto n = static_cast<std::size_t>(half);
        const auto x = random(2 * n), c = random(n, -1, 1), s = random(n, -1, 1);
        std::vector<float> y(2 * n), z(2 * n);
        k->rope(y.data(), x.data(), c.data(), s.data(), half, 0);
        k->rope(z.data(), x.data(), c.data(), s.data(), half, 1);
        for (std::size_t i = 0; i < n; ++i) {
            ASSERT_NEAR(y[i], x[i] * c[i] - x[n + i] * s[i], 2e-6);
            ASSERT_NEAR(y[n + i], x[n + i] * c[i] + x[i] * s[i], 2e-6);
            ASSERT_NEAR(z[2 * i], x[2 * i] * c[i] - x[2 * i + 1] * s[i], 2e-6);
            ASSERT_NEAR(z[2 * i + 1], x[2 * i + 1] * c[i] + x[2 * i] * s[i], 2e-6);
        }
    }
}

TEST_P(kernel, half_conversions_are_exact_for_every_bit_pattern) {
    std::vector<std::uint16_t> bits(65536), back(65536);
    for (std::size_t i = 0; i < bits.size(); ++i)
        bits[i] = static_cast<std::uint16_t>(i);
    std::vector<float> wide(bits.size());
    k->f16_to_f32(wide.data(), bits.data(), 65536);
    k->f32_to_f16(back.data(), wide.data(), 65536);
    for (std::size_t i = 0; i < bits.size(); ++i) {
        _Float16 h;
        std::memcpy(&h, &bits[i], 2);
        const auto want = static_cast<float>(h);
        if (std::isnan(want)) {
            ASSERT_TRUE(std::isnan(wide[i])) << i;
            continue;
        }
        ASSERT_EQ(wide[i], want) << i;
        ASSERT_EQ(back[i], bits[i]);
    }
    k->bf16_to_f32(wide.data(), bits.data(), 65536);
    for (std::size_t i = 0; i < bits.size(); ++i) {
        const std::uint32_t want = static_cast<std::uint32_t>(i) << 16;
        ASSERT_EQ(std::memcmp(&wide[i], &want, 4), 0);
    }
}

TEST_P(kernel, narrowing_to_half_rounds_to_nearest_even) {
    auto x = random(5000, -70000, 70000);
    for (float small :
         {1e-8f,
          2.9e-8f,
          3.1e-8f,
          6e-8f,
          1e-5f,
          6.1e-5f,
          65519.9f,
          65520.0f,
          2049.0f,
          2051.0f,
          -0.0f})
        x.push_back(small);
    const auto tiny = random(3000, -1e-4f, 1e-4f);
    x.insert(x.end(), tiny.begin(), tiny.end());
    std::vector<std::uint16_t> y(x.size());
    k->f32_to_f16(y.data(), x.data(), static_cast<std::int64_t>(x.size()));
    for (std::size_t i = 0; i < x.size(); ++i) {
        const auto want = static_cast<_Float16>(x[i]);
        ASSERT_EQ(std::memcmp(&y[i], &want, 2), 0) << x[i];
    }
    for (int n = 0; n < 20; ++n) {
        std::vector<std::uint16_t> out(static_cast<std::size_t>(n) + 4, 0xabcd);
        k->f32_to_f16(out.data(), x.data(), n);
        for (std::size_t i = static_cast<std::size_t>(n); i < out.size(); ++i)
            ASSERT_EQ(out[i], 0xabcd);
    }
}

// ---- attention
// -------------------------------------------------------------------------------------

namespace {

// Keys and values of one head in pages, and what attention over [lo, hi) must give.
struct cache {
    std::int64_t page_tokens, n_keys, k_dim, v_dim;
    bool f16;
    std::vector<float> k, v; // [n_keys][dim]
    std::vector<std::vector<char>> k_pages, v_pages;
    std::vector<const char*> k_pointers, v_pointers;

    void build(const kernels& kernels_table) {
        const std::int64_t size = f16 ? 2 : 4;
        const std::int64_t blocks = (page_tokens + key_block - 1) / key_block;
        for (std::int64_t first = 0; first < n_keys; first += page_tokens) {
            // Garbage where no key was stored: nothing may depend on it.
            std::vector<char> kp(
                static_cast<std::size_t>(blocks * key_block * k_dim * size), '\x7f'
            );
            std::vector<char> vp(static_cast<std::size_t>(page_tokens * v_dim * size), '\x7f');
            for (std::int64_t r = 0; r < std::min(page_tokens, n_keys - first); ++r) {
                for (std::int64_t d = 0; d < k_dim; ++d) {
                    const std::int64_t at = (r / key_block * k_dim + d) * key_block + r % key_block;
                    put(kernels_table, kp, at, k[static_cast<std::size_t>((first + r) * k_dim + d)]
                    );
                }
                for (std::int64_t d = 0; d < v_dim; ++d) {
                    put(kernels_table,
                        vp,
                        r * v_dim + d,
                        v[static_cast<std::size_t>((first + r) * v_dim + d)]);
                }
            }
            k_pages.push_back(std::move(kp));
            v_pages.push_back(std::move(vp));
        }
        for (auto& p : k_pages)
            k_pointers.push_back(p.data());
        for (auto& p : v_pages)
            v_pointers.push_back(p.data());
    }

    void put(const kernels& t, std::vector<char>& page, std::int64_t at, float x) const {
        if (f16) {
            std::uint16_t h;
            t.f32_to_f16(&h, &x, 1);
            std::memcpy(page.data() + at * 2, &h, 2);
        } else {
            std::memcpy(page.data() + at * 4, &x, 4);
        }
    }

    double key(std::int64_t j, std::int64_t d) const {
        const float x = k[static_cast<std::size_t>(j * k_dim + d)];
        return f16 ? half(x) : x;
    }

    double value(std::int64_t j, std::int64_t d) const {
        const float x = v[static_cast<std::size_t>(j * v_dim + d)];
        return f16 ? half(x) : x;
    }
};

std::vector<double>
attention_oracle(const cache& c, const float* q, std::int64_t lo, std::int64_t hi, double softcap) {
    std::vector<double> p, out(static_cast<std::size_t>(c.v_dim), 0.0);
    double top = -INFINITY, sum = 0;
    for (std::int64_t j = lo; j < hi; ++j) {
        double s = 0;
        for (std::int64_t d = 0; d < c.k_dim; ++d)
            s += q[d] * c.key(j, d);
        if (softcap > 0) s = softcap * std::tanh(s / softcap);
        p.push_back(s);
        top = std::max(top, s);
    }
    for (double& s : p)
        sum += s = std::exp(s - top);
    for (std::size_t j = 0; j < p.size(); ++j) {
        for (std::size_t d = 0; d < out.size(); ++d) {
            out[d] += p[j] / sum *
                      c.value(lo + static_cast<std::int64_t>(j), static_cast<std::int64_t>(d));
        }
    }
    return out;
}

struct attend_case {
    std::int64_t page_tokens, n_keys, k_dim, v_dim, n_rows;
    bool f16;
    float softcap;
};

} // namespace

TEST_P(kernel, attention_agrees_with_the_naive_sum_for_all_shapes) {
    const attend_case cases[] = {
        {64, 1, 64, 64, 1, false, 0},
        {64, 200, 64, 64, 3, true, 0},
        {16, 77, 128, 128, 9, true, 0},
        {1, 7, 5, 3, 2, false, 0},
        {20, 61, 33, 17, 7, true, 0},
        {32, 96, 80, 40, 13, false, 30},
        {256, 256, 64, 64, 32, true, 0},
        {48, 130, 96, 70, 6, false, 2},
        {64, 64, 64, 256, 4, true, 0},
        {24, 100, 16, 100, 8, false, 0},
        {64, 129, 192, 128, 5, true, 50},
        {33, 66, 64, 65, 12, false, 0},
    };
    for (const attend_case& t : cases) {
        SCOPED_TRACE(
            testing::Message() << "pages of " << t.page_tokens << ", " << t.n_keys << " keys, dims "
                               << t.k_dim << " and " << t.v_dim << ", " << t.n_rows << " rows, f16 "
                               << t.f16
        );
        cache c{t.page_tokens, t.n_keys, t.k_dim, t.v_dim, t.f16, {}, {}, {}, {}, {}, {}};
        c.k = random(static_cast<std::size_t>(t.n_keys * t.k_dim), -1, 1);
        c.v = random(static_cast<std::size_t>(t.n_keys * t.v_dim), -2, 2);
        c.build(*k);
        const auto rows_n = static_cast<std::size_t>(t.n_rows);
        const std::int64_t pad = (t.n_rows + 7) / 8 * 8;
        const auto q = random(rows_n * static_cast<std::size_t>(t.k_dim), -1, 1);
        std::vector<float> qt(static_cast<std::size_t>(pad * t.k_dim), 0.0f);
        for (std::int64_t r = 0; r < t.n_rows; ++r) {
            for (std::int64_t d = 0; d < t.k_dim; ++d) {
                qt[static_cast<std::size_t>(d * pad + r)] =
                    q[static_cast<std::size_t>(r * t.k_dim + d)];
            }
        }
        std::vector<std::int32_t> lo(rows_n), hi(rows_n);
        for (std::size_t r = 0; r < rows_n; ++r) {
            hi[r] = static_cast<std::int32_t>(t.n_keys - static_cast<std::int64_t>(r) % t.n_keys);
            lo[r] = r % 3 == 1 ? std::max(0, hi[r] - 20) : 0;
            if (r % 5 == 4) lo[r] = hi[r] = 0; // sees nothing
        }
        std::vector<float> m(rows_n), l(rows_n),
            acc(rows_n * static_cast<std::size_t>(t.v_dim), NAN);
        const std::int64_t stride = t.n_keys + 2 * key_block;
        std::vector<float> scores(rows_n * static_cast<std::size_t>(stride), NAN);
        attend_chunk a{
            qt.data(),
            t.n_rows,
            pad,
            t.k_dim,
            t.v_dim,
            c.k_pointers.data(),
            c.v_pointers.data(),
            t.page_tokens,
            t.n_keys,
            lo.data(),
            hi.data(),
            t.softcap,
            t.f16,
            scores.data(),
            stride,
            m.data(),
            l.data(),
            acc.data(),
            nullptr,
            false};
        k->attend(a);
        for (std::size_t r = 0; r < rows_n; ++r) {
            float* row_acc = acc.data() + r * static_cast<std::size_t>(t.v_dim);
            if (lo[r] >= hi[r]) {
                ASSERT_EQ(m[r], -INFINITY);
                ASSERT_EQ(l[r], 0);
                ASSERT_EQ(std::count(row_acc, row_acc + t.v_dim, 0.0f), t.v_dim);
                continue;
            }
            for (std::int64_t d = 0; d < t.v_dim; ++d)
                row_acc[d] /= l[r];
            const auto want = attention_oracle(
                c, q.data() + r * static_cast<std::size_t>(t.k_dim), lo[r], hi[r], t.softcap
            );
            ASSERT_LE(row_error(row_acc, want), 3e-6) << "row " << r;
        }
    }
}

TEST_P(kernel, a_row_of_attention_does_not_depend_on_its_tile) {
    cache c{64, 150, 64, 72, true, {}, {}, {}, {}, {}, {}};
    c.k = random(150 * 64);
    c.v = random(150 * 72);
    c.build(*k);
    const auto q = random(64 * 16);
    const std::int64_t stride = 150 + 2 * key_block;
    const auto attend = [&](std::vector<std::int32_t> which, std::int32_t end) {
        std::vector<float> qt(64 * 16, 0.0f), m(16), l(16), acc(16 * 72),
            scores(static_cast<std::size_t>(16 * stride));
        std::vector<std::int32_t> lo, hi;
        for (std::size_t r = 0; r < which.size(); ++r) {
            for (std::size_t d = 0; d < 64; ++d)
                qt[d * 16 + r] = q[d * 16 + static_cast<std::size_t>(which[r])];
            lo.push_back(which[r] == 3 ? 40 : 0);
            hi.push_back(which[r] == 0 ? end : 150);
        }
        attend_chunk a{
            qt.data(),
            static_cast<std::int64_t>(which.size()),
            16,
            64,
            72,
            c.k_pointers.data(),
            c.v_pointers.data(),
            64,
            150,
            lo.data(),
            hi.data(),
            0,
            true,
            scores.data(),
            stride,
            m.data(),
            l.data(),
            acc.data(),
            nullptr,
            false};
        k->attend(a);
        std::vector<float> first(acc.begin(), acc.begin() + 72);
        first.push_back(m[0]);
        first.push_back(l[0]);
        return first;
    };
    for (std::int32_t end : {1, 17, 64, 65, 131, 150}) {
        const auto alone = attend({0}, end);
        EXPECT_EQ(alone, attend({0, 1}, end)) << end;
        EXPECT_EQ(alone, attend({0, 3, 5, 7, 2, 9, 11}, end)) << end;
        EXPECT_EQ(alone, attend({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, end))
            << end;
    }
}

TEST_P(kernel, merging_chunks_gives_the_whole_softmax) {
    float m = -INFINITY, l = 0, acc[3] = {0, 0, 0};
    const float part1[3] = {1, 2, 3}, part2[3] = {4, 5, 6}, garbage[3] = {NAN, NAN, NAN};
    k->merge(&m, &l, acc, -INFINITY, 0, garbage, 3);
    EXPECT_EQ(m, -INFINITY);
    k->merge(&m, &l, acc, 2, 1.5f, part1, 3);
    EXPECT_EQ(acc[2], 3) << "the first chunk is taken over as it is";
    k->merge(&m, &l, acc, -INFINITY, 0, garbage, 3);
    k->merge(&m, &l, acc, 3, 2.5f, part2, 3);
    EXPECT_EQ(m, 3);
    EXPECT_NEAR(l, 1.5 * std::exp(-1.0) + 2.5, 1e-6);
    EXPECT_NEAR(acc[1], 2 * std::exp(-1.0) + 5, 1e-6);
}

// The suite must be able to fail: a kernel that is wrong in one lane of the tail only is noticed.
TEST_P(kernel, a_wrong_tail_lane_is_noticed) {
    struct broken {
        static void silu(std::uint32_t kind, float* out, const float* x, std::int64_t n) {
            kernels_for(tier::baseline).unary(kind, out, x, n);
            if (n % 16 == 15) out[n - 1] += 1e-3f;
        }
    };

    kernels wrong = *k;
    wrong.unary = broken::silu;
    bool noticed = false;
    for (int n = 0; n <= longest && !noticed; ++n) {
        const auto x = random(static_cast<std::size_t>(n));
        std::vector<float> y(x.size());
        wrong.unary(RLX_UNARY_SILU, y.data(), x.data(), n);
        std::vector<double> want;
        for (float v : x)
            want.push_back(unary_oracle(RLX_UNARY_SILU, v));
        noticed = row_error(y.data(), want) > 1e-6;
    }
    EXPECT_TRUE(noticed);
}

INSTANTIATE_TEST_SUITE_P(
    tiers,
    kernel,
    testing::Values(tier::baseline, tier::avx2, tier::avx512, tier::avx512_vnni),
    [](const auto& p) { return std::string(tier_name(p.param)); }
);
