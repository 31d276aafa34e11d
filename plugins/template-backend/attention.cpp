// SPDX-License-Identifier: GPL-3.0-only
// Rotation angles, the cache and attention over it. A page of a slot holds page_tokens rows of
// [heads][k_dim] keys, then as many of [heads][v_dim] values, all f32.
#include "toy.hpp"

#include <cmath>
#include <limits>

namespace toy {
namespace {

constexpr double pi = 3.14159265358979323846;

// Frequency j of the table before rounding, with the scaling of the reference.
double frequency(const node_view& n, int64_t j, int64_t dim) {
    const double base = n.real(RLX_ATTR_base);
    const double plain = std::pow(base, -2.0 * static_cast<double>(j) / static_cast<double>(dim));
    const double factor = n.real(RLX_ATTR_factor);
    switch (n.i64(RLX_ATTR_scaling)) {
    case RLX_ROPE_LINEAR: return plain / factor;
    case RLX_ROPE_LLAMA3: {
        const double low = n.real(RLX_ATTR_low_freq_factor);
        const double high = n.real(RLX_ATTR_high_freq_factor);
        const double turns = static_cast<double>(n.i64(RLX_ATTR_original_max)) / (2 * pi / plain);
        if (turns > high) return plain;
        if (turns < low) return plain / factor;
        const double s = (turns - low) / (high - low);
        return ((1 - s) / factor + s) * plain;
    }
    default: return plain;
    }
}

// Keys (or values) of one cached row.
float* cached(const program& p, rlx_value state, int64_t at, bool values) {
    const value& slot = p.slot(state);
    const rlx_state_slot& s = slot.info.slot;
    const int64_t k_page = p.page_tokens * s.n_heads * s.k_dim;
    const int64_t page = k_page + p.page_tokens * s.n_heads * s.v_dim;
    float* first = reinterpret_cast<float*>(slot.memory) + at / p.page_tokens * page;
    const int64_t row = at % p.page_tokens;
    return values ? first + k_page + row * s.n_heads * s.v_dim : first + row * s.n_heads * s.k_dim;
}

} // namespace

status rope_table(const node_view& n, const program& p) {
    const array positions = p[n.input(0)], y = p[n.out()[0]];
    const int64_t dim = n.i64(RLX_ATTR_dim), half = dim / 2;
    const double attention_factor = n.real(RLX_ATTR_attention_factor, 1);
    for (int64_t j = 0; j < half; ++j) {
        double inv = frequency(n, j, dim);
        if (n.input(1)) inv /= static_cast<double>(p[n.input(1)].f({&j, 1}));
        const auto rounded = static_cast<float>(inv);
        for (int64_t t = 0; t < y.dims[0]; ++t) {
            const float angle = static_cast<float>(positions.i({&t, 1})) * rounded;
            const int64_t cos_at[] = {t, j}, sin_at[] = {t, half + j};
            y.f(cos_at) =
                static_cast<float>(std::cos(static_cast<double>(angle)) * attention_factor);
            y.f(sin_at) =
                static_cast<float>(std::sin(static_cast<double>(angle)) * attention_factor);
        }
    }
    return {};
}

// state, k [T, H, dk], v [T, H, dv], slots [T]
status kv_append(const node_view& n, const program& p) {
    const array k = p[n.input(1)], v = p[n.input(2)], slots = p[n.input(3)];
    for (int64_t t = 0; t < k.dims[0]; ++t) {
        const int64_t at = slots.i({&t, 1});
        if (at < 0) return fail(RLX_INVALID_ARGUMENT, "toy: cache row {}", at);
        for (const bool values : {false, true}) {
            const array& x = values ? v : k;
            float* to = cached(p, n.input(0), at, values);
            each(x.dims.subspan(1), [&](auto head) {
                const int64_t from[] = {t, head[0], head[1]};
                to[head[0] * x.dims[2] + head[1]] = x.f(from);
            });
        }
    }
    return {};
}

// q [T, Hq, dk], state, cu_seqlens [B+1], kv_lengths [B], block_table [B, P] -> [T, Hq, dv]
status attention(const node_view& n, const program& p) {
    const array q = p[n.input(0)], cu = p[n.input(2)], lengths = p[n.input(3)];
    const array table = p[n.input(4)], y = p[n.out()[0]];
    const rlx_state_slot& s = p.slot(n.input(1)).info.slot;
    const double scale = n.real(RLX_ATTR_scale), softcap = n.real(RLX_ATTR_softcap);
    const int64_t window = n.i64(RLX_ATTR_window), group = q.dims[1] / s.n_heads;
    for (int64_t b = 0; b < lengths.dims[0]; ++b) {
        const int64_t next = b + 1, first = cu.i({&b, 1}), end = cu.i({&next, 1});
        for (int64_t t = first; t < end; ++t) {
            const int64_t position = lengths.i({&b, 1}) - (end - t);
            const int64_t start = window > 0 ? std::max<int64_t>(0, position - window + 1) : 0;
            for (int64_t h = 0; h < q.dims[1]; ++h) {
                const auto row_of = [&](int64_t j, bool values) {
                    const int64_t at[] = {b, j / p.page_tokens};
                    const int64_t row = table.i(at) * p.page_tokens + j % p.page_tokens;
                    const int64_t width = values ? s.v_dim : s.k_dim;
                    return cached(p, n.input(1), row, values) + h / group * width;
                };
                std::vector<double> score;
                double top = -std::numeric_limits<double>::infinity(), sum = 0;
                for (int64_t j = start; j <= position; ++j) {
                    const float* key = row_of(j, false);
                    double dot = 0;
                    for (int64_t d = 0; d < s.k_dim; ++d) {
                        const int64_t at[] = {t, h, d};
                        dot += static_cast<double>(q.f(at)) * static_cast<double>(key[d]);
                    }
                    dot *= scale;
                    if (softcap > 0) dot = softcap * std::tanh(dot / softcap);
                    score.push_back(dot);
                    top = std::max(top, dot);
                }
                for (double& x : score)
                    sum += x = std::exp(x - top);
                std::vector<double> mixed(static_cast<std::size_t>(s.v_dim), 0.0);
                for (int64_t j = start; j <= position; ++j) {
                    const float* row = row_of(j, true);
                    for (std::size_t d = 0; d < mixed.size(); ++d)
                        mixed[d] += score[static_cast<std::size_t>(j - start)] / sum *
                                    static_cast<double>(row[d]);
                }
                for (int64_t d = 0; d < s.v_dim; ++d) {
                    const int64_t at[] = {t, h, d};
                    y.f(at) = static_cast<float>(mixed[static_cast<std::size_t>(d)]);
                }
            }
        }
    }
    return {};
}

} // namespace toy
