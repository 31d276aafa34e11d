// SPDX-License-Identifier: GPL-3.0-only
// RopeTable and Rope.
#include "ref.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace optest::ref {
namespace {

constexpr double pi = std::numbers::pi;

double llama3(const call& c, double inv) {
    const double wl = 2 * pi / inv, factor = c.f64(RLX_ATTR_factor);
    const auto length = static_cast<double>(c.i64(RLX_ATTR_original_max));
    const double low = c.f64(RLX_ATTR_low_freq_factor), high = c.f64(RLX_ATTR_high_freq_factor);
    if (wl < length / high) return inv;
    if (wl > length / low) return inv / factor;
    const double s = (length / wl - low) / (high - low);
    return ((1 - s) / factor + s) * inv;
}

double yarn(const call& c, double inv, double j) {
    const auto dim = static_cast<double>(c.i64(RLX_ATTR_dim));
    const auto length = static_cast<double>(c.i64(RLX_ATTR_original_max));
    const auto turns = [&](double r) {
        return dim * std::log(length / (2 * pi * r)) / (2 * std::log(c.f64(RLX_ATTR_base)));
    };
    double lo = turns(c.f64(RLX_ATTR_beta_fast, 32)), hi = turns(c.f64(RLX_ATTR_beta_slow, 1));
    if (c.i64(RLX_ATTR_truncate, 1)) lo = std::floor(lo), hi = std::ceil(hi);
    lo = std::max(lo, 0.0);
    hi = std::min(hi, dim - 1);
    if (hi == lo) hi += 0.001;
    const double ramp = std::clamp((j - lo) / (hi - lo), 0.0, 1.0);
    return inv / c.f64(RLX_ATTR_factor) * ramp + inv * (1 - ramp);
}

double frequency(const call& c, std::size_t token, double j) {
    const auto dim = static_cast<double>(c.i64(RLX_ATTR_dim));
    const double factor = c.f64(RLX_ATTR_factor);
    double base = c.f64(RLX_ATTR_base);
    const std::int64_t scaling = c.i64(RLX_ATTR_scaling);
    if (scaling == RLX_ROPE_DYNAMIC) {
        const auto length = static_cast<double>(c.i64(RLX_ATTR_original_max));
        const double n = std::max(c.at(2).data[token], length);
        base *= std::pow(factor * n / length - (factor - 1), dim / (dim - 2));
    }
    double inv = std::pow(base, -2 * j / dim);
    if (scaling == RLX_ROPE_LINEAR) inv /= factor;
    if (scaling == RLX_ROPE_LLAMA3) inv = llama3(c, inv);
    if (scaling == RLX_ROPE_YARN) inv = yarn(c, inv, j);
    if (c.has(1)) inv /= c.at(1).data[static_cast<std::size_t>(j)];
    return inv;
}

results rope_table(const call& c) {
    const tensor& positions = c.at(0);
    const std::int64_t dim = c.i64(RLX_ATTR_dim), half = dim / 2;
    double attention = 1;
    if (c.given(RLX_ATTR_attention_factor))
        attention = c.f64(RLX_ATTR_attention_factor);
    else if (c.i64(RLX_ATTR_scaling) == RLX_ROPE_YARN && c.f64(RLX_ATTR_factor) > 1)
        attention = 0.1 * std::log(c.f64(RLX_ATTR_factor)) + 1;
    tensor y(RLX_F32, {positions.dim(0), dim});
    for (std::int64_t t = 0; t < positions.dim(0); ++t)
        for (std::int64_t j = 0; j < half; ++j) {
            const auto inv =
                static_cast<float>(frequency(c, static_cast<std::size_t>(t), static_cast<double>(j))
                );
            const auto angle = static_cast<float>(positions({t}) * static_cast<double>(inv));
            y({t, j}) = std::cos(static_cast<double>(angle)) * attention;
            y({t, half + j}) = std::sin(static_cast<double>(angle)) * attention;
        }
    return {y};
}

results rope(const call& c) {
    tensor y = c.at(0);
    const tensor &x = c.at(0), &table = c.at(1);
    const std::int64_t half = table.dim(1) / 2;
    const bool interleaved = c.i64(RLX_ATTR_pairing) == 1;
    for (std::int64_t t = 0; t < x.dim(0); ++t)
        for (std::int64_t h = 0; h < x.dim(1); ++h)
            for (std::int64_t j = 0; j < half; ++j) {
                const std::int64_t ia = interleaved ? 2 * j : j;
                const std::int64_t ib = interleaved ? 2 * j + 1 : j + half;
                const double a = x({t, h, ia}), b = x({t, h, ib});
                const double cs = table({t, j}), sn = table({t, half + j});
                y({t, h, ia}) = a * cs - b * sn;
                y({t, h, ib}) = b * cs + a * sn;
            }
    return {y};
}

} // namespace

std::vector<entry> rope_ops() {
    return {{RLX_OP_RopeTable, rope_table}, {RLX_OP_Rope, rope}};
}

} // namespace optest::ref
