// SPDX-License-Identifier: GPL-3.0-only
// Rotation angles, the cache and attention over it. A page of a slot holds page_tokens rows of
// [heads][k_dim] keys, then as many of [heads][v_dim] values, all f32.
#include "toy.hpp"

#include <algorithm>
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

// Keys (or values) of one cached row; null when the row is outside the bound memory.
float* cached(const program& p, rlx_value state, int64_t at, bool values) {
    const value& slot = p.slot(state);
    const rlx_state_slot& s = slot.info.slot;
    const std::uint64_t page_bytes = program::page_bytes(s, p.page_tokens);
    const int64_t page = at / p.page_tokens, row = at % p.page_tokens;
    if (at < 0 || !slot.memory || static_cast<std::uint64_t>(page) >= slot.bytes / page_bytes)
        return nullptr;
    float* keys =
        reinterpret_cast<float*>(slot.memory + static_cast<std::uint64_t>(page) * page_bytes);
    if (!values) return keys + row * s.n_heads * s.k_dim;
    return keys + p.page_tokens * s.n_heads * s.k_dim + row * s.n_heads * s.v_dim;
}

sdk::error bad_row(int64_t at) {
    return fail(RLX_INVALID_ARGUMENT, "toy: cache row {} is outside the bound state", at);
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
        for (const bool values : {false, true}) {
            const array& x = values ? v : k;
            float* to = cached(p, n.input(0), at, values);
            if (!to) return bad_row(at);
            each(x.dims.subspan(1), [&](auto head) {
                const int64_t from[] = {t, head[0], head[1]};
                to[head[0] * x.dims[2] + head[1]] = x.f(from);
            });
        }
    }
    return {};
}

namespace {

// One head of one token over keys [first, last] of its sequence, whose cache rows are `rows`.
struct head_task {
    array q, y;
    int64_t t, head, kv_head;
    std::span<float*const> keys, values; // of head 0
    double scale, softcap;
};

void attend(const head_task& a, const rlx_state_slot& s) {
    std::vector<double> score;
    double top = -std::numeric_limits<double>::infinity(), sum = 0;
    for (const float* row : a.keys) {
        const float* key = row + a.kv_head * s.k_dim;
        double dot = 0;
        for (int64_t d = 0; d < s.k_dim; ++d) {
            const int64_t at[] = {a.t, a.head, d};
            dot += static_cast<double>(a.q.f(at)) * static_cast<double>(key[d]);
        }
        dot *= a.scale;
        if (a.softcap > 0) dot = a.softcap * std::tanh(dot / a.softcap);
        score.push_back(dot);
        top = std::max(top, dot);
    }
    for (double& x : score)
        sum += x = std::exp(x - top);
    for (int64_t d = 0; d < s.v_dim; ++d) {
        double mixed = 0;
        for (std::size_t j = 0; j < score.size(); ++j)
            mixed += score[j] / sum * static_cast<double>(a.values[j][a.kv_head * s.v_dim + d]);
        const int64_t at[] = {a.t, a.head, d};
        a.y.f(at) = static_cast<float>(mixed);
    }
}

} // namespace

// q [T, Hq, dk], state, cu_seqlens [B+1], kv_lengths [B], block_table [B, P] -> [T, Hq, dv]
status attention(const node_view& n, const program& p) {
    const array q = p[n.input(0)], cu = p[n.input(2)], lengths = p[n.input(3)];
    const array table = p[n.input(4)], y = p[n.out()[0]];
    const rlx_state_slot& s = p.slot(n.input(1)).info.slot;
    const int64_t window = n.i64(RLX_ATTR_window), group = q.dims[1] / s.n_heads;
    for (int64_t b = 0; b < lengths.dims[0]; ++b) {
        const int64_t next = b + 1, begin = cu.i({&b, 1}), end = cu.i({&next, 1});
        const int64_t length = lengths.i({&b, 1});
        if (begin < 0 || begin > end || end > q.dims[0] || end - begin > length ||
            length > table.dims[1] * p.page_tokens)
            return fail(RLX_INVALID_ARGUMENT, "toy: sequence {} does not fit its tables", b);
        std::vector<float*> keys, values; // of positions 0, 1, ...
        for (int64_t j = 0; j < length; ++j) {
            const int64_t at[] = {b, j / p.page_tokens};
            const int64_t row = table.i(at) * p.page_tokens + j % p.page_tokens;
            keys.push_back(cached(p, n.input(1), row, false));
            values.push_back(cached(p, n.input(1), row, true));
            if (!keys.back()) return bad_row(row);
        }
        for (int64_t t = begin; t < end; ++t) {
            const int64_t position = length - (end - t);
            const int64_t first = window > 0 ? std::max<int64_t>(0, position - window + 1) : 0;
            const auto seen = [&](std::vector<float*>& rows) {
                return std::span<float* const>(rows).subspan(
                    static_cast<std::size_t>(first), static_cast<std::size_t>(position - first + 1)
                );
            };
            for (int64_t h = 0; h < q.dims[1]; ++h)
                attend(
                    {q,
                     y,
                     t,
                     h,
                     h / group,
                     seen(keys),
                     seen(values),
                     n.real(RLX_ATTR_scale),
                     n.real(RLX_ATTR_softcap)},
                    s
                );
        }
    }
    return {};
}

} // namespace toy
