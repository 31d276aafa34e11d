// SPDX-License-Identifier: GPL-3.0-only
// CausalConv1d, SelectiveScan, SsdScan, GatedDeltaRule, LinearAttention, Rnn, StateLoad,
// StateStore, LoraMatMul.
#include "ref.hpp"

#include <cmath>

namespace optest::ref {
namespace {

using index = std::int64_t;

// f(b, t) for the tokens of every sequence in order.
void each_token(const tensor& cu, index tokens, const std::function<void(index, index)>& f) {
    for (index i = 0; i < cu.dim(0); ++i) {
        const double at = cu({i});
        if (at < 0 || at > static_cast<double>(tokens) || (i == 0 && at != 0) ||
            (i && at < cu({i - 1})) || (i + 1 == cu.dim(0) && at != static_cast<double>(tokens)))
            throw bad_input("cu_seqlens is no partition of the tokens");
    }
    for (index b = 0; b + 1 < cu.dim(0); ++b)
        for (auto t = static_cast<index>(cu({b})); t < static_cast<index>(cu({b + 1})); ++t)
            f(b, t);
}

tensor begin_with(const call& c, std::size_t input, dims shape) {
    return c.has(input) ? c.at(input) : tensor(RLX_F32, std::move(shape));
}

results causal_conv(const call& c) {
    const tensor &x = c.at(0), &w = c.at(1), &cu = c.at(2);
    const index channels = x.dim(1), k = w.dim(1);
    tensor s = begin_with(c, 4, {cu.dim(0) - 1, channels, k - 1}), y(RLX_F32, x.shape);
    each_token(cu, x.dim(0), [&](index b, index t) {
        for (index ch = 0; ch < channels; ++ch) {
            double sum = c.has(3) ? c.at(3)({ch}) : 0;
            for (index j = 0; j + 1 < k; ++j)
                sum += w({ch, j}) * s({b, ch, j});
            y({t, ch}) = sum + w({ch, k - 1}) * x({t, ch});
            for (index j = 0; j + 2 < k; ++j)
                s({b, ch, j}) = s({b, ch, j + 1});
            if (k > 1) s({b, ch, k - 2}) = x({t, ch});
        }
    });
    return {y, s};
}

results selective_scan(const call& c) {
    const tensor &x = c.at(0), &dt = c.at(1), &a = c.at(2), &in = c.at(3), &out = c.at(4),
                 &cu = c.at(5);
    const index d = x.dim(1), n = a.dim(1);
    tensor s = begin_with(c, 7, {cu.dim(0) - 1, d, n}), y(RLX_F32, x.shape);
    each_token(cu, x.dim(0), [&](index b, index t) {
        for (index i = 0; i < d; ++i) {
            double sum = c.has(6) ? c.at(6)({i}) * x({t, i}) : 0;
            for (index j = 0; j < n; ++j) {
                double& v = s({b, i, j});
                v = std::exp(dt({t, i}) * a({i, j})) * v + dt({t, i}) * x({t, i}) * in({t, j});
                sum += v * out({t, j});
            }
            y({t, i}) = sum;
        }
    });
    return {y, s};
}

results ssd_scan(const call& c) {
    const tensor &x = c.at(0), &dt = c.at(1), &a = c.at(2), &in = c.at(3), &out = c.at(4),
                 &cu = c.at(5);
    const index heads = x.dim(1), p = x.dim(2), n = in.dim(2), per = heads / in.dim(1);
    tensor s = begin_with(c, 7, {cu.dim(0) - 1, heads, p, n}), y(RLX_F32, x.shape);
    each_token(cu, x.dim(0), [&](index b, index t) {
        for (index h = 0; h < heads; ++h)
            for (index i = 0; i < p; ++i) {
                double sum = c.has(6) ? c.at(6)({h}) * x({t, h, i}) : 0;
                for (index j = 0; j < n; ++j) {
                    double& v = s({b, h, i, j});
                    v = std::exp(dt({t, h}) * a({h})) * v +
                        dt({t, h}) * x({t, h, i}) * in({t, h / per, j});
                    sum += v * out({t, h / per, j});
                }
                y({t, h, i}) = sum;
            }
    });
    return {y, s};
}

// exp(decay) of a token, head and key element; decay [H], [T, H] or [T, H, dk].
double kept(const tensor* decay, index t, index h, index i) {
    if (!decay) return 1;
    if (decay->rank() == 1) return std::exp((*decay)({h}));
    return std::exp(decay->rank() == 2 ? (*decay)({t, h}) : (*decay)({t, h, i}));
}

results delta_rule(
    const call& c, const tensor* decay, const tensor* beta, const tensor& cu, std::size_t state
) {
    const tensor &q = c.at(0), &k = c.at(1), &v = c.at(2);
    const index heads = v.dim(1), shared = q.dim(1), dk = q.dim(2), dv = v.dim(2);
    const double scale = c.f64(RLX_ATTR_scale, 1);
    tensor s = begin_with(c, state, {cu.dim(0) - 1, heads, dk, dv}), y(RLX_F32, v.shape);
    each_token(cu, q.dim(0), [&](index b, index t) {
        for (index h = 0; h < heads; ++h) {
            const index kh = c.i64(RLX_ATTR_tiled) == 1 ? h % shared : h / (heads / shared);
            for (index i = 0; i < dk; ++i)
                for (index j = 0; j < dv; ++j)
                    s({b, h, i, j}) *= kept(decay, t, h, i);
            for (index j = 0; j < dv; ++j) {
                double add = v({t, h, j});
                for (index i = 0; beta && i < dk; ++i)
                    add -= s({b, h, i, j}) * k({t, kh, i});
                if (beta) add *= (*beta)({t, h});
                double sum = 0;
                for (index i = 0; i < dk; ++i) {
                    s({b, h, i, j}) += k({t, kh, i}) * add;
                    sum += s({b, h, i, j}) * q({t, kh, i});
                }
                y({t, h, j}) = scale * sum;
            }
        }
    });
    return {y, s};
}

results gated_delta_rule(const call& c) {
    return delta_rule(c, &c.at(3), &c.at(4), c.at(5), 6);
}

results linear_attention(const call& c) {
    return delta_rule(c, c.has(4) ? &c.at(4) : nullptr, nullptr, c.at(3), 5);
}

double sigmoid(double x) {
    return 1 / (1 + std::exp(-x));
}

// W x + b for row g of W.
double gate(const tensor& w, const tensor* b, index g, const std::function<double(index)>& x) {
    double sum = b ? (*b)({g}) : 0;
    for (index i = 0; i < w.dim(1); ++i)
        sum += w({g, i}) * x(i);
    return sum;
}

results rnn(const call& c) {
    const tensor &x = c.at(0), &wi = c.at(1), &wh = c.at(2);
    const tensor* bi = c.has(3) ? &c.at(3) : nullptr;
    const tensor* bh = c.has(4) ? &c.at(4) : nullptr;
    const index n = x.dim(0), steps = x.dim(1), h = wh.dim(1), kind = c.i64(RLX_ATTR_kind);
    tensor hidden = begin_with(c, 5, {n, h}), cell = begin_with(c, 6, {n, h}),
           y(RLX_F32, {n, steps, h});
    for (index b = 0; b < n; ++b)
        for (index step = 0; step < steps; ++step) {
            const index t = c.i64(RLX_ATTR_reverse) == 1 ? steps - 1 - step : step;
            const auto in = [&](index g) {
                return gate(wi, bi, g, [&](index i) { return x({b, t, i}); });
            };
            const auto back = [&](index g) {
                return gate(wh, bh, g, [&](index i) { return hidden({b, i}); });
            };
            std::vector<double> next;
            for (index u = 0; u < h; ++u) {
                const auto both = [&](index g) { return in(g * h + u) + back(g * h + u); };
                if (kind == RLX_RNN_LSTM) {
                    double& m = cell({b, u});
                    m = sigmoid(both(1)) * m + sigmoid(both(0)) * std::tanh(both(2));
                    next.push_back(sigmoid(both(3)) * std::tanh(m));
                } else if (kind == RLX_RNN_GRU) {
                    const double z = sigmoid(both(1));
                    const double fresh =
                        std::tanh(in(2 * h + u) + sigmoid(both(0)) * back(2 * h + u));
                    next.push_back((1 - z) * fresh + z * hidden({b, u}));
                } else {
                    next.push_back(
                        kind == RLX_RNN_TANH ? std::tanh(both(0)) : std::max(both(0), 0.0)
                    );
                }
            }
            for (index u = 0; u < h; ++u)
                hidden({b, u}) = y({b, t, u}) = next[static_cast<std::size_t>(u)];
        }
    return {y, hidden, kind == RLX_RNN_LSTM ? cell : hidden};
}

index page_at(const call& c, const tensor& pages, index b) {
    const auto page = static_cast<index>(pages({b}));
    if (page < 0 || page >= c.state->pages) throw bad_input("a page outside the state");
    return page;
}

results state_load(const call& c) {
    const kv_rows& s = *c.state;
    const tensor& pages = c.at(1);
    tensor y(RLX_F32, {pages.dim(0), s.heads, s.k_dim, s.v_dim});
    const std::size_t size = count({s.heads, s.k_dim, s.v_dim});
    for (index b = 0; b < pages.dim(0); ++b) {
        const auto it = s.rows.find(page_at(c, pages, b));
        if (it == s.rows.end()) throw no_answer("StateLoad reads a page nobody wrote");
        std::copy(
            it->second.first.begin(),
            it->second.first.end(),
            y.data.begin() + b * static_cast<index>(size)
        );
    }
    return {y};
}

results state_store(const call& c) {
    kv_rows& s = *c.state;
    const tensor &x = c.at(1), &pages = c.at(2);
    const auto size = static_cast<index>(count({s.heads, s.k_dim, s.v_dim}));
    for (index b = 0; b < pages.dim(0); ++b) {
        const auto first = x.data.begin() + b * size;
        s.rows[page_at(c, pages, b)].first.assign(first, first + size);
    }
    return {tensor()};
}

results lora_matmul(const call& c) {
    const tensor &x = c.at(0), &w = c.at(1), &a = c.at(2), &up = c.at(3);
    dims shape = x.shape;
    shape.back() = w.dim(0);
    tensor y(RLX_F32, shape);
    const auto in = static_cast<std::size_t>(x.last());
    for (std::size_t r = 0; r < x.rows(); ++r) {
        const auto row = [&](index i) { return x.data[r * in + static_cast<std::size_t>(i)]; };
        std::vector<double> low;
        for (index i = 0; i < a.dim(0); ++i)
            low.push_back(gate(a, nullptr, i, row));
        for (index o = 0; o < w.dim(0); ++o) {
            double v = gate(w, c.has(4) ? &c.at(4) : nullptr, o, row);
            for (index i = 0; i < a.dim(0); ++i)
                v += c.f64(RLX_ATTR_scale) * up({o, i}) * low[static_cast<std::size_t>(i)];
            y.data[r * static_cast<std::size_t>(w.dim(0)) + static_cast<std::size_t>(o)] = v;
        }
    }
    return {y};
}

} // namespace

std::vector<entry> recurrent_ops() {
    return {
        {RLX_OP_CausalConv1d, causal_conv},
        {RLX_OP_SelectiveScan, selective_scan},
        {RLX_OP_SsdScan, ssd_scan},
        {RLX_OP_GatedDeltaRule, gated_delta_rule},
        {RLX_OP_LinearAttention, linear_attention},
        {RLX_OP_Rnn, rnn},
        {RLX_OP_StateLoad, state_load},
        {RLX_OP_StateStore, state_store},
        {RLX_OP_LoraMatMul, lora_matmul},
    };
}

} // namespace optest::ref
