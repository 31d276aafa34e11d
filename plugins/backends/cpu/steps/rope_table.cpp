// SPDX-License-Identifier: GPL-3.0-only
// RopeTable: cos and sin of position * frequency, with the frequency scalings of transformers'
// modeling_rope_utils and YaRN (arXiv:2309.00071). Frequencies and angles are rounded to f32 where
// the reference rounds them.
#include "steps/steps.hpp"

#include <algorithm>
#include <cmath>

namespace rlx::cpu {

namespace {

constexpr double pi = 3.14159265358979323846;

struct rope_args {
    std::int64_t dim = 0;
    double base = 10000;
    std::int64_t scaling = RLX_ROPE_NONE;
    double factor = 1;
    std::int64_t original_max = 0;
    double low_freq_factor = 1, high_freq_factor = 4;
    double beta_fast = 32, beta_slow = 1;
    bool truncate = true;
};

float frequency_base(double base, std::int64_t i, std::int64_t dim) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(dim);
    return static_cast<float>(std::pow(base, static_cast<double>(exponent)));
}

// Long wavelengths are stretched, short ones kept, those between blended.
float llama3(const rope_args& a, float inv) {
    const auto old = static_cast<float>(a.original_max);
    const auto low = static_cast<float>(a.low_freq_factor),
               high = static_cast<float>(a.high_freq_factor);
    const auto factor = static_cast<float>(a.factor);
    const float wave = static_cast<float>(2 * pi) / inv;
    if (wave > old / low) return inv / factor;
    if (wave < old / high) return inv;
    const float smooth = (old / wave - low) / (high - low);
    return (1.0f - smooth) * inv / factor + smooth * inv;
}

struct ramp {
    double low, high;
};

// The dimensions between which YaRN goes from extrapolation to interpolation.
ramp yarn_ramp(const rope_args& a) {
    const auto dim = static_cast<double>(a.dim);
    const auto at = [&](double turns) {
        return dim * std::log(static_cast<double>(a.original_max) / (turns * 2 * pi)) /
               (2 * std::log(a.base));
    };
    double low = at(a.beta_fast), high = at(a.beta_slow);
    if (a.truncate) {
        low = std::floor(low);
        high = std::ceil(high);
    }
    low = std::max(low, 0.0);
    high = std::min(high, dim - 1);
    if (low == high) high += 0.001;
    return {low, high};
}

float yarn(const ramp& r, double factor, float power, std::int64_t i) {
    const auto x = static_cast<float>((static_cast<double>(i) - r.low) / (r.high - r.low));
    const float keep = 1.0f - std::clamp(x, 0.0f, 1.0f);
    const float extrapolated = 1.0f / power;
    const float interpolated = 1.0f / (static_cast<float>(factor) * power);
    return interpolated * (1.0f - keep) + extrapolated * keep;
}

class rope_table_step final : public step {
public:
    rope_args a;
    float attention_factor = 1;

    status resize(program&) override {
        row_units = in[0]->count;
        local_bytes = align64(static_cast<std::uint64_t>(a.dim / 2) * 4);
        return {};
    }

    void run(worker& w) override {
        const std::int64_t half = a.dim / 2;
        auto* inv = reinterpret_cast<float*>(w.local());
        const worker::share mine = w.split(row_units);
        if (mine.begin == mine.end) return;
        const tensor* lengths = a.scaling == RLX_ROPE_DYNAMIC && in.size() > 2 ? in[2] : nullptr;
        std::int64_t known = -1;
        for (std::int64_t t = mine.begin; t < mine.end; ++t) {
            const std::int64_t length = lengths ? lengths->i32()[t * lengths->stride[0]] : 0;
            if (length != known) frequencies(inv, length);
            known = length;
            const auto position = static_cast<float>(in[0]->i32()[t * in[0]->stride[0]]);
            float* cos = out[0]->f32() + t * a.dim;
            for (std::int64_t i = 0; i < half; ++i) {
                const auto angle = static_cast<double>(position * inv[i]);
                cos[i] = static_cast<float>(std::cos(angle)) * attention_factor;
                cos[half + i] = static_cast<float>(std::sin(angle)) * attention_factor;
            }
        }
    }

private:
    void frequencies(float* inv, std::int64_t length) const {
        double base = a.base;
        if (a.scaling == RLX_ROPE_DYNAMIC) {
            const auto max = static_cast<double>(a.original_max);
            const double seen = std::max(static_cast<double>(length), max);
            const auto dim = static_cast<double>(a.dim);
            base *= std::pow(a.factor * seen / max - (a.factor - 1), dim / (dim - 2));
        }
        const ramp r = a.scaling == RLX_ROPE_YARN ? yarn_ramp(a) : ramp{0, 1};
        const tensor* divisors = in.size() > 1 ? in[1] : nullptr;
        for (std::int64_t i = 0; i < a.dim / 2; ++i) {
            const float power = frequency_base(base, i, a.dim);
            inv[i] = 1.0f / power;
            if (a.scaling == RLX_ROPE_LINEAR) inv[i] /= static_cast<float>(a.factor);
            if (a.scaling == RLX_ROPE_LLAMA3) inv[i] = llama3(a, inv[i]);
            if (a.scaling == RLX_ROPE_YARN) inv[i] = yarn(r, a.factor, power, i);
            if (divisors) inv[i] /= divisors->f32()[i * divisors->stride[0]];
        }
    }
};

} // namespace

step_ptr make_rope_table(const node& n) {
    auto s = std::make_unique<rope_table_step>();
    rope_args& a = s->a;
    a.dim = n.i64(RLX_ATTR_dim);
    a.base = n.f64(RLX_ATTR_base, a.base);
    a.scaling = n.i64(RLX_ATTR_scaling);
    a.factor = n.f64(RLX_ATTR_factor, a.factor);
    a.original_max = n.i64(RLX_ATTR_original_max);
    a.low_freq_factor = n.f64(RLX_ATTR_low_freq_factor, a.low_freq_factor);
    a.high_freq_factor = n.f64(RLX_ATTR_high_freq_factor, a.high_freq_factor);
    a.beta_fast = n.f64(RLX_ATTR_beta_fast, a.beta_fast);
    a.beta_slow = n.f64(RLX_ATTR_beta_slow, a.beta_slow);
    a.truncate = n.i64(RLX_ATTR_truncate, 1) != 0;
    double attention = 1;
    if (a.scaling == RLX_ROPE_YARN && a.factor > 1) attention = 0.1 * std::log(a.factor) + 1;
    s->attention_factor = n.f32(RLX_ATTR_attention_factor, attention);
    return with_tensors(std::move(s), n);
}

} // namespace rlx::cpu
