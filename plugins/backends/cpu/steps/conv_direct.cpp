// SPDX-License-Identifier: GPL-3.0-only
// Convolutions with a few outputs per group (depthwise ones, the last one of a decoder): rows of
// the input times one number each, added up in L1.
#include "steps/conv_plan.hpp"

#include <algorithm>
#include <cstring>

namespace rlx::cpu {

namespace {

constexpr std::int64_t piece = 1024; // outputs at a time

class direct_conv_step final : public step {
public:
    explicit direct_conv_step(conv_plan plan) : plan_(std::move(plan)) {
        local_bytes = 2 * align64(piece * 4);
    }

    status resize(program&) override {
        in_ = spatial(*in[0]);
        out_ = spatial(*out[0]);
        return {};
    }

    // A unit is a piece of an output row that belongs to one job.
    void run(worker& w) override {
        for (const conv_job& j : plan_.jobs) {
            axes3 count{};
            for (std::size_t a = 0; a < 3; ++a)
                count[a] = std::max<std::int64_t>(
                    0, (out_[a] - j.start[a] + plan_.out_step[a] - 1) / plan_.out_step[a]
                );
            const std::int64_t pieces = (count[2] + piece - 1) / piece;
            const std::int64_t rows = in[0]->dim[0] * plan_.outs * count[0] * count[1];
            const worker::share mine = w.split(rows * pieces);
            for (std::int64_t u = mine.begin; u < mine.end; ++u) {
                const std::int64_t row = u / pieces, q = u % pieces * piece;
                const axes3 at{row / count[1] % count[0], row % count[1], q};
                run_piece(w, j, row / (count[0] * count[1]), at, std::min(piece, count[2] - q));
            }
        }
    }

private:
    // A row of inputs that meets elements [lo, hi) of the piece.
    struct term {
        const float* row;
        float factor;
        std::int64_t lo, hi;
    };

    // Terms wait until there are some: what all of them reach is added in one pass.
    struct pending {
        static constexpr std::int64_t most = 32;
        term terms[most];
        std::int64_t n = 0;

        void add(worker& w, float* sum, const term& t) {
            if (n == most) flush(w, sum);
            terms[n++] = t;
        }

        void flush(worker& w, float* sum) {
            std::int64_t lo = 0, hi = piece;
            for (std::int64_t i = 0; i < n; ++i) {
                lo = std::max(lo, terms[i].lo);
                hi = std::min(hi, terms[i].hi);
            }
            const float* rows[most];
            float factors[most];
            for (std::int64_t i = 0; i < n; ++i) {
                const term& t = terms[i];
                rows[i] = t.row + lo;
                factors[i] = t.factor;
                for (std::int64_t j = t.lo; j < std::min(t.hi, lo); ++j)
                    sum[j] += t.factor * t.row[j];
                for (std::int64_t j = std::max({t.lo, hi, lo}); j < t.hi; ++j)
                    sum[j] += t.factor * t.row[j];
            }
            if (n > 0 && lo < hi) w.k().combine(sum + lo, rows, factors, n, hi - lo);
            n = 0;
        }
    };

    // channel: sample * outs + output channel
    void run_piece(
        worker& w, const conv_job& j, std::int64_t channel, const axes3& q, std::int64_t n
    ) const {
        auto* sum = reinterpret_cast<float*>(w.local());
        const std::int64_t to = channel % plan_.outs, sample = channel / plan_.outs;
        const std::int64_t group = to / plan_.group_outs(), inner = to % plan_.group_outs();
        const float* bias = in.size() > 2 && in[2] ? in[2]->f32() : nullptr;
        std::fill(sum, sum + n, bias ? bias[to] : 0.0f);
        const std::int64_t plane = in_[0] * in_[1] * in_[2];
        const float* x =
            in[0]->f32() + (sample * plan_.channels + group * plan_.group_channels()) * plane;
        const float* weight =
            in[1]->f32() + group * j.weight.group_step + inner * j.weight.row_step;
        pending waiting;
        for (std::int64_t c = 0; c < plan_.group_channels(); ++c) {
            for (std::size_t t = 0; t < j.base.size(); ++t)
                add_tap(w, waiting, j.base[t], x, weight[j.weight.taps[t]], q, n);
            x += plane;
            weight += j.weight.channel_step;
        }
        waiting.flush(w, sum);
        axes3 at{};
        for (std::size_t a = 0; a < 3; ++a)
            at[a] = q[a] * plan_.out_step[a] + j.start[a];
        float* y = out_row(channel, at);
        if (plan_.out_step[2] == 1) {
            std::memcpy(y, sum, static_cast<std::size_t>(n) * 4);
            return;
        }
        for (std::int64_t i = 0; i < n; ++i)
            y[i * plan_.out_step[2]] = sum[i];
    }

    float* out_row(std::int64_t channel, const axes3& at) const {
        return out[0]->f32() + ((channel * out_[0] + at[0]) * out_[1] + at[1]) * out_[2] + at[2];
    }

    void add_tap(
        worker& w,
        pending& p,
        const axes3& base,
        const float* x,
        float factor,
        const axes3& q,
        std::int64_t n
    ) const {
        auto* sum = reinterpret_cast<float*>(w.local());
        const std::int64_t z = q[0] * plan_.in_step[0] + base[0];
        const std::int64_t y = q[1] * plan_.in_step[1] + base[1];
        if (z < 0 || z >= in_[0] || y < 0 || y >= in_[1]) return;
        const std::int64_t stride = plan_.in_step[2], first = q[2] * stride + base[2];
        const std::int64_t lo = std::clamp<std::int64_t>((stride - 1 - first) / stride, 0, n);
        const std::int64_t past = in_[2] - first;
        const std::int64_t hi =
            past <= 0 ? lo : std::clamp<std::int64_t>((past + stride - 1) / stride, lo, n);
        const float* row = x + (z * in_[1] + y) * in_[2] + first;
        if (hi <= lo) return;
        if (stride == 1) return p.add(w, sum, {row, factor, lo, hi});
        float* line = sum + piece;
        for (std::int64_t i = lo; i < hi; ++i)
            line[i] = row[i * stride];
        w.k().axpy(sum + lo, line + lo, factor, hi - lo);
    }

    conv_plan plan_;
    axes3 in_{}, out_{};
};

} // namespace

step_ptr make_direct_conv(const node& n, conv_plan plan) {
    return with_tensors(std::make_unique<direct_conv_step>(std::move(plan)), n);
}

} // namespace rlx::cpu
