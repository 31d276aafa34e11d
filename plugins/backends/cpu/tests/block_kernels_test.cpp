// SPDX-License-Identifier: GPL-3.0-only
// Row kernels of encoders and codecs against double loops: all tail lengths, extremes.
#include "kernels/kernels.hpp"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <random>
#include <string>
#include <vector>

using namespace rlx::cpu;

namespace {

constexpr int longest = 70; // four vectors of the widest tier and every tail
constexpr float guard = 12345.0f;

class block_kernel : public testing::TestWithParam<tier> {
protected:
    void SetUp() override {
        char missing[160];
        if (tier_missing(detect_features(), GetParam(), missing, sizeof missing))
            GTEST_SKIP() << "this processor lacks " << missing;
        k = &kernels_for(GetParam());
    }

    std::vector<float> row(int n, float lo = -2, float hi = 2) {
        std::uniform_real_distribution<float> d(lo, hi);
        std::vector<float> v(static_cast<std::size_t>(n));
        for (float& x : v)
            x = d(rng_);
        return v;
    }

    // Runs fn into a row with a guard behind it and compares with `want` per element.
    template <class Fn, class Want>
    void expect_row(int n, double limit, Fn fn, Want want) {
        std::vector<float> out(static_cast<std::size_t>(n) + 1, guard);
        fn(out.data());
        for (int i = 0; i < n; ++i) {
            const double w = want(i);
            ASSERT_NEAR(out[static_cast<std::size_t>(i)], w, limit * std::max(1.0, std::fabs(w)))
                << "element " << i << " of " << n;
        }
        ASSERT_EQ(out.back(), guard) << "written past " << n;
    }

    const kernels* k = nullptr;

private:
    std::mt19937 rng_{11};
};

double mean_of(const std::vector<float>& x) {
    double s = 0;
    for (float v : x)
        s += v;
    return s / static_cast<double>(x.size());
}

double variance_of(const std::vector<float>& x) {
    double s = 0;
    const double m = mean_of(x);
    for (float v : x)
        s += (v - m) * (v - m);
    return s / static_cast<double>(x.size());
}

} // namespace

TEST_P(block_kernel, layer_norm_with_every_set_of_parameters) {
    for (int n = 1; n <= longest; ++n) {
        for (int form = 0; form < 4; ++form) {
            const auto x = row(n, 2, 5), w = row(n), b = row(n);
            const double m = mean_of(x), r = 1 / std::sqrt(variance_of(x) + 1e-3);
            expect_row(
                n,
                2e-5,
                [&](float* out) {
                    k->layer_norm(
                        out,
                        x.data(),
                        form & 1 ? w.data() : nullptr,
                        form & 2 ? b.data() : nullptr,
                        1e-3f,
                        n
                    );
                },
                [&](int i) {
                    const auto at = static_cast<std::size_t>(i);
                    return (x[at] - m) * r * (form & 1 ? w[at] : 1) + (form & 2 ? b[at] : 0);
                }
            );
        }
    }
}

TEST_P(block_kernel, moments_keep_the_variance_of_rows_far_from_zero) {
    for (int n : {1, 3, 16, 33, 1000, 4099}) {
        const auto x = row(n, 1000, 1001);
        float mean = 0, var = 0;
        k->moments(x.data(), n, &mean, &var);
        EXPECT_NEAR(mean, mean_of(x), 2e-3);
        EXPECT_NEAR(var, variance_of(x), 1e-4) << n;
    }
}

TEST_P(block_kernel, snake_is_accurate_near_and_far) {
    for (const float reach : {1.0f, 30.0f, 5000.0f, 1e6f}) {
        for (int n : {1, 5, 17, 64, longest}) {
            const auto x = row(n, -reach, reach);
            expect_row(
                n,
                2e-6,
                [&](float* out) { k->snake(out, x.data(), n, 1.75f, 0.5f); },
                [&](int i) {
                    // The product is rounded to f32 by any implementation in f32.
                    const float y = 1.75f * x[static_cast<std::size_t>(i)];
                    const double s = std::sin(static_cast<double>(y));
                    return x[static_cast<std::size_t>(i)] + 0.5 * s * s;
                }
            );
        }
    }
}

TEST_P(block_kernel, modulate_with_every_set_of_operands) {
    for (int n = 1; n <= longest; ++n) {
        const auto x = row(n), scale = row(n), shift = row(n), gate = row(n), rest = row(n);
        for (unsigned set = 0; set < 16; ++set) {
            const modulation m{
                set & 1u ? scale.data() : nullptr,
                set & 2u ? shift.data() : nullptr,
                set & 4u ? gate.data() : nullptr,
                set & 8u ? rest.data() : nullptr};
            expect_row(
                n,
                1e-6,
                [&](float* out) { k->modulate(out, x.data(), m, n); },
                [&](int i) {
                    double v = x[static_cast<std::size_t>(i)];
                    if (m.scale) v *= 1 + static_cast<double>(m.scale[i]);
                    if (m.shift) v += m.shift[i];
                    if (m.gate) v *= m.gate[i];
                    return m.residual ? v + m.residual[i] : v;
                }
            );
        }
    }
}

TEST_P(block_kernel, combine_adds_rows_at_every_length) {
    for (int n = 1; n <= longest; ++n) {
        for (int rows_n : {0, 1, 5}) {
            const auto x = row(rows_n * n + 1), factors = row(rows_n + 1), start = row(n);
            std::vector<const float*> rows;
            for (int j = 0; j < rows_n; ++j)
                rows.push_back(x.data() + j * n);
            expect_row(
                n,
                2e-6,
                [&](float* out) {
                    std::copy(start.begin(), start.end(), out);
                    k->combine(out, rows.data(), factors.data(), rows_n, n);
                },
                [&](int i) {
                    double v = start[static_cast<std::size_t>(i)];
                    for (int j = 0; j < rows_n; ++j)
                        v += static_cast<double>(factors[static_cast<std::size_t>(j)]) *
                             x[static_cast<std::size_t>(j * n + i)];
                    return v;
                }
            );
        }
    }
}

TEST_P(block_kernel, transpose_moves_every_element_and_nothing_else) {
    for (int rows_n : {1, 3, 4, 7, 8, 9, 16, 23}) {
        for (int n : {1, 2, 4, 8, 11, 16, 31}) {
            const int step = rows_n + 3;
            const auto x = row(rows_n * n);
            std::vector<const float*> rows;
            for (int j = 0; j < rows_n; ++j)
                rows.push_back(x.data() + j * n);
            std::vector<float> out(static_cast<std::size_t>(step * n), guard);
            k->transpose(out.data(), step, rows.data(), rows_n, n);
            for (int i = 0; i < n; ++i)
                for (int j = 0; j < step; ++j)
                    ASSERT_EQ(
                        out[static_cast<std::size_t>(i * step + j)],
                        j < rows_n ? x[static_cast<std::size_t>(j * n + i)] : guard
                    );
        }
    }
}

INSTANTIATE_TEST_SUITE_P(
    tiers,
    block_kernel,
    testing::Values(tier::baseline, tier::avx2, tier::avx512, tier::avx512_vnni),
    [](const auto& p) { return std::string(tier_name(p.param)); }
);
