// SPDX-License-Identifier: GPL-3.0-only
// CausalConv1d and the scans over tokens of several sequences. A unit owns a part of one sequence's
// state and walks the sequence's tokens in order, in the memory of the new state. So results do not
// depend on threads, nor on how a sequence is cut into runs.
#include "steps/steps.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace rlx::cpu {

namespace {

const float* floats(const step& s, std::size_t i) {
    return i < s.in.size() && s.in[i] ? s.in[i]->f32() : nullptr;
}

// False, and an error, when cu_seqlens does not describe `tokens` tokens.
bool check_sequences(worker& w, const tensor& cu, std::int64_t tokens) {
    const std::int32_t* at = cu.i32();
    bool good = cu.count >= 1 && at[0] == 0 && at[cu.count - 1] == tokens;
    for (std::int64_t b = 0; good && b + 1 < cu.count; ++b)
        good = at[b] <= at[b + 1];
    if (!good)
        w.fail(
            RLX_INVALID_ARGUMENT,
            "cu_seqlens must rise from 0 to the %lld tokens",
            static_cast<long long>(tokens)
        );
    return good;
}

// n floats of the old state, or zeros, become the beginning of the new one.
void begin_state(float* to, const float* old, std::int64_t at, std::int64_t n) {
    if (old)
        std::memcpy(to, old + at, static_cast<std::size_t>(n) * 4);
    else
        std::fill(to, to + n, 0.0f);
}

// x [T, C], W [C, K], cu, bias?, state? -> y, state. One unit is a block of channels of a sequence:
// rows of the block times columns of W, which are gathered once.
class causal_conv_step final : public step {
public:
    status resize(program&) override {
        local_bytes = align64(static_cast<std::uint64_t>((in[1]->dim[1] + 1) * block) * 4);
        return {};
    }

    void run(worker& w) override {
        const tensor &x = *in[0], &cu = *in[2];
        if (!check_sequences(w, cu, x.dim[0])) return;
        const std::int64_t blocks = (x.dim[1] + block - 1) / block;
        const worker::share mine = w.split((cu.count - 1) * blocks);
        for (std::int64_t u = mine.begin; u < mine.end; ++u) {
            part p{u / blocks, u % blocks * block, 0, 0, 0};
            p.wide = std::min(block, x.dim[1] - p.c0);
            p.first = cu.i32()[p.b];
            p.stop = cu.i32()[p.b + 1];
            convolve(w, p);
            keep(p);
        }
    }

private:
    static constexpr std::int64_t block = 256;

    struct part {
        std::int64_t b, c0, wide, first, stop; // sequence, channels, tokens
    };

    // What stands `back` tokens before t for channel c0 + i, from the run or from the state.
    float before(const part& p, std::int64_t t, std::int64_t back, std::int64_t i) const {
        const std::int64_t channels = in[0]->dim[1], taps = in[1]->dim[1];
        if (t - back >= p.first) return in[0]->f32()[(t - back) * channels + p.c0 + i];
        const float* old = floats(*this, 4);
        const std::int64_t j = taps - 1 + (t - back - p.first);
        return old ? old[(p.b * channels + p.c0 + i) * (taps - 1) + j] : 0.0f;
    }

    void convolve(worker& w, const part& p) const {
        const std::int64_t channels = in[0]->dim[1], taps = in[1]->dim[1];
        auto *column = reinterpret_cast<float*>(w.local()), *row = column + taps * block;
        for (std::int64_t i = 0; i < p.wide; ++i) {
            for (std::int64_t j = 0; j < taps; ++j)
                column[j * block + i] = in[1]->f32()[(p.c0 + i) * taps + j];
        }
        const float* bias = floats(*this, 3);
        for (std::int64_t t = p.first; t < p.stop; ++t) {
            float* y = out[0]->f32() + t * channels + p.c0;
            for (std::int64_t i = 0; i < p.wide; ++i)
                y[i] = bias ? bias[p.c0 + i] : 0.0f;
            for (std::int64_t j = 0; j < taps; ++j) {
                const std::int64_t back = taps - 1 - j;
                const float* x = in[0]->f32() + (t - back) * channels + p.c0;
                if (t - back < p.first) {
                    for (std::int64_t i = 0; i < p.wide; ++i)
                        row[i] = before(p, t, back, i);
                    x = row;
                }
                w.k().modulate(y, x, {nullptr, nullptr, column + j * block, y}, p.wide);
            }
        }
    }

    // The last inputs, oldest first.
    void keep(const part& p) const {
        const std::int64_t taps = in[1]->dim[1];
        float* state = out[1]->f32() + (p.b * in[0]->dim[1] + p.c0) * (taps - 1);
        for (std::int64_t i = 0; i < p.wide; ++i) {
            for (std::int64_t j = 0; j + 1 < taps; ++j)
                state[i * (taps - 1) + j] = before(p, p.stop, taps - 1 - j, i);
        }
    }
};

// x, dt [T, D], A [D, N], B, C [T, N], cu, skip? [D], state? [B, D, N]
class selective_scan_step final : public step {
public:
    status resize(program&) override {
        local_bytes = align64(static_cast<std::uint64_t>(block * in[2]->dim[1]) * 4);
        return {};
    }

    void run(worker& w) override {
        const tensor &x = *in[0], &cu = *in[5];
        const std::int64_t wide = x.dim[1], n = in[2]->dim[1];
        if (!check_sequences(w, cu, x.dim[0])) return;
        const std::int64_t blocks = (wide + block - 1) / block;
        const worker::share mine = w.split((cu.count - 1) * blocks);
        for (std::int64_t u = mine.begin; u < mine.end; ++u) {
            const std::int64_t b = u / blocks, d0 = u % blocks * block;
            const std::int64_t d1 = std::min(d0 + block, wide);
            const std::int64_t at = (b * wide + d0) * n;
            begin_state(out[1]->f32() + at, floats(*this, 7), at, (d1 - d0) * n);
            for (std::int64_t t = cu.i32()[b]; t < cu.i32()[b + 1]; ++t)
                token(w, t, d0, d1, out[1]->f32() + at);
        }
    }

private:
    void token(worker& w, std::int64_t t, std::int64_t d0, std::int64_t d1, float* s) const {
        const std::int64_t wide = in[0]->dim[1], n = in[2]->dim[1];
        const float *x = in[0]->f32() + t * wide, *dt = in[1]->f32() + t * wide;
        const float *a = in[2]->f32(), *skip = floats(*this, 6);
        const float *b = in[3]->f32() + t * n, *c = in[4]->f32() + t * n;
        auto* decay = reinterpret_cast<float*>(w.local());
        for (std::int64_t d = d0; d < d1; ++d) {
            for (std::int64_t i = 0; i < n; ++i)
                decay[(d - d0) * n + i] = dt[d] * a[d * n + i];
        }
        w.k().unary(RLX_UNARY_EXP, decay, decay, (d1 - d0) * n);
        for (std::int64_t d = d0; d < d1; ++d, s += n) {
            const float* e = decay + (d - d0) * n;
            const float in_now = dt[d] * x[d];
            for (std::int64_t i = 0; i < n; ++i)
                s[i] = e[i] * s[i] + in_now * b[i];
            const float y = w.k().dot(s, c, n);
            out[0]->f32()[t * wide + d] = skip ? y + skip[d] * x[d] : y;
        }
    }

    static constexpr std::int64_t block = 16;
};

// x [T, H, P], dt [T, H], A [H], B, C [T, G, N], cu, skip? [H], state? [B, H, P, N]
class ssd_scan_step final : public step {
public:
    void run(worker& w) override {
        const tensor &x = *in[0], &cu = *in[5];
        const std::int64_t heads = x.dim[1], size = x.dim[2] * in[3]->dim[2];
        if (!check_sequences(w, cu, x.dim[0])) return;
        const worker::share mine = w.split((cu.count - 1) * heads);
        for (std::int64_t u = mine.begin; u < mine.end; ++u) {
            begin_state(out[1]->f32() + u * size, floats(*this, 7), u * size, size);
            const std::int64_t b = u / heads;
            for (std::int64_t t = cu.i32()[b]; t < cu.i32()[b + 1]; ++t)
                token(w, t, u % heads, out[1]->f32() + u * size);
        }
    }

private:
    void token(worker& w, std::int64_t t, std::int64_t h, float* s) const {
        const std::int64_t heads = in[0]->dim[1], p = in[0]->dim[2];
        const std::int64_t groups = in[3]->dim[1], n = in[3]->dim[2];
        const float* x = in[0]->f32() + (t * heads + h) * p;
        const float dt = in[1]->f32()[t * heads + h];
        const std::int64_t group = t * groups + h / (heads / groups);
        const float *b = in[3]->f32() + group * n, *c = in[4]->f32() + group * n;
        const float* skip = floats(*this, 6);
        float* y = out[0]->f32() + (t * heads + h) * p;
        w.k().affine(s, s, p * n, std::exp(dt * in[2]->f32()[h]), 0.0f);
        for (std::int64_t i = 0; i < p; ++i) {
            w.k().axpy(s + i * n, b, dt * x[i], n);
            y[i] = w.k().dot(s + i * n, c, n) + (skip ? skip[h] * x[i] : 0.0f);
        }
    }
};

// GatedDeltaRule and LinearAttention: one state [dk, dv] per head, which is scaled down, gets k v^T
// added and is read by q. One unit is a head of a sequence.
class head_scan_step final : public step {
public:
    bool delta = false, tiled = false;
    float scale = 1;
    std::size_t decay_at = 3, cu_at = 5, state_at = 6;

    status resize(program&) override {
        local_bytes = align64(static_cast<std::uint64_t>(in[0]->dim[2] + in[2]->dim[2]) * 4);
        return {};
    }

    void run(worker& w) override {
        const tensor &v = *in[2], &cu = *in[cu_at];
        const std::int64_t heads = v.dim[1], size = in[0]->dim[2] * v.dim[2];
        if (!check_sequences(w, cu, v.dim[0])) return;
        const worker::share mine = w.split((cu.count - 1) * heads);
        for (std::int64_t u = mine.begin; u < mine.end; ++u) {
            float* s = out[1]->f32() + u * size;
            begin_state(s, floats(*this, state_at), u * size, size);
            const std::int64_t b = u / heads;
            for (std::int64_t t = cu.i32()[b]; t < cu.i32()[b + 1]; ++t)
                token(w, t, u % heads, s);
        }
    }

private:
    void fade(worker& w, std::int64_t t, std::int64_t h, float* s) const {
        const tensor* g = decay_at < in.size() ? in[decay_at] : nullptr;
        if (!g) return;
        const std::int64_t heads = in[2]->dim[1], dk = in[0]->dim[2], dv = in[2]->dim[2];
        if (g->rank < 3) {
            const float f = std::exp(g->f32()[g->rank == 1 ? h : t * heads + h]);
            return w.k().affine(s, s, dk * dv, f, 0.0f);
        }
        auto* f = reinterpret_cast<float*>(w.local());
        w.k().unary(RLX_UNARY_EXP, f, g->f32() + (t * heads + h) * dk, dk);
        for (std::int64_t i = 0; i < dk; ++i)
            w.k().affine(s + i * dv, s + i * dv, dv, f[i], 0.0f);
    }

    void token(worker& w, std::int64_t t, std::int64_t h, float* s) const {
        const std::int64_t heads = in[2]->dim[1], keys = in[0]->dim[1];
        const std::int64_t dk = in[0]->dim[2], dv = in[2]->dim[2];
        const std::int64_t row = t * keys + (tiled ? h % keys : h / (heads / keys));
        const float *q = in[0]->f32() + row * dk, *k = in[1]->f32() + row * dk;
        const float* v = in[2]->f32() + (t * heads + h) * dv;
        float* y = out[0]->f32() + (t * heads + h) * dv;
        fade(w, t, h, s);
        if (delta) { // beta (v - S^T k) instead of v
            auto* change = reinterpret_cast<float*>(w.local()) + dk;
            const float beta = in[4]->f32()[t * heads + h];
            std::fill(change, change + dv, 0.0f);
            for (std::int64_t i = 0; i < dk; ++i)
                w.k().axpy(change, s + i * dv, k[i], dv);
            for (std::int64_t i = 0; i < dv; ++i)
                change[i] = beta * (v[i] - change[i]);
            v = change;
        }
        std::fill(y, y + dv, 0.0f);
        for (std::int64_t i = 0; i < dk; ++i) {
            w.k().axpy(s + i * dv, v, k[i], dv);
            w.k().axpy(y, s + i * dv, scale * q[i], dv);
        }
    }
};

} // namespace

step_ptr make_causal_conv1d(const node& n) {
    return with_tensors(std::make_unique<causal_conv_step>(), n);
}

step_ptr make_selective_scan(const node& n) {
    return with_tensors(std::make_unique<selective_scan_step>(), n);
}

step_ptr make_ssd_scan(const node& n) {
    return with_tensors(std::make_unique<ssd_scan_step>(), n);
}

step_ptr make_head_scan(const node& n) {
    auto s = std::make_unique<head_scan_step>();
    s->delta = n.info.op == RLX_OP_GatedDeltaRule;
    s->tiled = n.i64(RLX_ATTR_tiled) == 1;
    s->scale = n.f32(RLX_ATTR_scale, 1);
    if (!s->delta) s->decay_at = 4, s->cu_at = 3, s->state_at = 5;
    return with_tensors(std::move(s), n);
}

} // namespace rlx::cpu
