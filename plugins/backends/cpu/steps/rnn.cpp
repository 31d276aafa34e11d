// SPDX-License-Identifier: GPL-3.0-only
// Rnn. First Wi x + bi of all elements, shared by rows of x, into the pack space; then the
// recurrence, where each element waits for the one before: its last h is the row before in y, its
// cell lies in the output. A sample belongs to one thread, or, where samples are few and matrices
// large, its hidden units are shared with a barrier per element. Either way the same sums in the
// same order.
#include "steps/steps.hpp"

#include <algorithm>
#include <cmath>

namespace rlx::cpu {

namespace {

float sigmoid(float x) {
    return 1.0f / (1.0f + std::exp(-x));
}

class rnn_step final : public step {
public:
    std::int64_t kind = RLX_RNN_LSTM;
    bool reverse = false;

    status resize(program& p) override {
        hidden_ = in[2]->dim[1];
        parts_ = kind == RLX_RNN_LSTM ? 4 : kind == RLX_RNN_GRU ? 3 : 1;
        rows_ = in[0]->dim[0] * in[0]->dim[1];
        p.pack_bytes = std::max(p.pack_bytes, bytes());
        return {};
    }

    void touches(const program& p, std::vector<range>& reads, std::vector<range>& writes)
        const override {
        step::touches(p, reads, writes);
        writes.push_back({space_workspace, p.pack_at, p.pack_at + bytes(), 0});
    }

    void run(worker& w) override {
        auto* a = reinterpret_cast<float*>(w.workspace() + w.prog().pack_at);
        const worker::share rows = w.split(rows_);
        for (std::int64_t r = rows.begin; r < rows.end; ++r)
            project(w, r, a + r * parts_ * hidden_);
        w.barrier();
        const std::int64_t samples = in[0]->dim[0];
        if (samples < w.n && parts_ * hidden_ * hidden_ >= large) {
            const worker::share units = w.split(hidden_);
            for (std::int64_t n = 0; n < samples; ++n)
                walk(w, n, a, units, true);
            return;
        }
        const worker::share mine = w.split(samples);
        for (std::int64_t n = mine.begin; n < mine.end; ++n)
            walk(w, n, a, {0, hidden_}, false);
    }

private:
    static constexpr std::int64_t large = 1 << 16; // elements of Wh that pay for a barrier

    std::uint64_t bytes() const {
        return align64(static_cast<std::uint64_t>(rows_ * parts_ * hidden_) * 4);
    }

    const float* floats(std::size_t i) const {
        return i < in.size() && in[i] ? in[i]->f32() : nullptr;
    }

    void project(worker& w, std::int64_t r, float* a) const {
        const std::int64_t width = in[0]->dim[2];
        const float *x = in[0]->f32() + r * width, *bias = floats(3);
        for (std::int64_t i = 0; i < parts_ * hidden_; ++i)
            a[i] = w.k().dot(in[1]->f32() + i * width, x, width) + (bias ? bias[i] : 0.0f);
    }

    // Hidden units [begin, end) of sample n over all its elements.
    void walk(worker& w, std::int64_t n, const float* a, worker::share units, bool shared) const {
        const std::int64_t steps = in[0]->dim[1], h = hidden_;
        const float *h0 = floats(5), *c0 = floats(6);
        float *first = out[1]->f32() + n * h, *cell = out[2]->f32() + n * h;
        for (std::int64_t i = units.begin; i < units.end; ++i) {
            first[i] = h0 ? h0[n * h + i] : 0.0f;
            cell[i] = c0 ? c0[n * h + i] : 0.0f;
        }
        if (shared) w.barrier();
        const float* before = first;
        for (std::int64_t s = 0; s < steps; ++s) {
            const std::int64_t t = n * steps + (reverse ? steps - 1 - s : s);
            float* now = out[0]->f32() + t * h;
            for (std::int64_t i = units.begin; i < units.end; ++i)
                now[i] = unit(w, i, a + t * parts_ * h, before, cell);
            if (shared) w.barrier();
            before = now;
        }
        for (std::int64_t i = units.begin; i < units.end; ++i) {
            first[i] = before[i];
            if (kind != RLX_RNN_LSTM) cell[i] = before[i];
        }
    }

    // The new h of unit i.
    float unit(worker& w, std::int64_t i, const float* a, const float* before, float* cell) const {
        const std::int64_t h = hidden_;
        const float* bias = floats(4);
        float b[4] = {}, sum[4] = {};
        for (std::int64_t p = 0; p < parts_; ++p) {
            const std::int64_t row = p * h + i;
            b[p] = w.k().dot(in[2]->f32() + row * h, before, h) + (bias ? bias[row] : 0.0f);
            sum[p] = a[row] + b[p];
        }
        switch (kind) {
        case RLX_RNN_LSTM:
            cell[i] = sigmoid(sum[1]) * cell[i] + sigmoid(sum[0]) * std::tanh(sum[2]);
            return sigmoid(sum[3]) * std::tanh(cell[i]);
        case RLX_RNN_GRU: {
            const float z = sigmoid(sum[1]);
            const float fresh = std::tanh(a[2 * h + i] + sigmoid(sum[0]) * b[2]);
            return (1 - z) * fresh + z * before[i];
        }
        case RLX_RNN_TANH: return std::tanh(sum[0]);
        default: return std::max(sum[0], 0.0f);
        }
    }

    std::int64_t hidden_ = 0, parts_ = 1, rows_ = 0;
};

} // namespace

step_ptr make_rnn(const node& n) {
    auto s = std::make_unique<rnn_step>();
    s->kind = n.i64(RLX_ATTR_kind);
    s->reverse = n.i64(RLX_ATTR_reverse) == 1;
    return with_tensors(std::move(s), n);
}

} // namespace rlx::cpu
