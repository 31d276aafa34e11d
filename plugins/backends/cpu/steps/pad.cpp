// SPDX-License-Identifier: GPL-3.0-only
// Pad: every axis becomes a list of runs in the source; rows of the last axis are copied run by
// run.
#include "steps/steps.hpp"

#include <algorithm>
#include <cstring>

namespace rlx::cpu {

namespace {

constexpr std::int64_t outside = -1;

class pad_step final : public step {
public:
    std::int64_t kind = RLX_PAD_CONSTANT;
    float value = 0;
    std::uint32_t lo_handles = 0; // in program::handles, one per padded axis
    std::uint32_t padded = 0;     // axes, the last ones

    status resize(program& p) override {
        const tensor& x = *in[0];
        for (std::uint32_t a = 0; a < x.rank; ++a) {
            const bool grows = a + padded >= x.rank;
            lo_[a] = grows ? p.numbers[lo_handles + a + padded - x.rank] : 0;
        }
        return {};
    }

    void run(worker& w) override {
        const tensor &x = *in[0], &y = *out[0];
        if (x.rank == 0) {
            if (w.thread == 0) y.f32()[0] = x.f32()[0];
            return;
        }
        const std::uint32_t last = x.rank - 1;
        const worker::share mine = w.split(y.last() > 0 ? y.count / y.last() : 0);
        for (std::int64_t r = mine.begin; r < mine.end; ++r) {
            std::int64_t rest = r, from = 0;
            bool inside = true;
            for (std::uint32_t a = last; a-- > 0; rest /= y.dim[a]) {
                const std::int64_t i = source(rest % y.dim[a] - lo_[a], x.dim[a]);
                inside = inside && i != outside;
                from += i * x.stride[a];
            }
            row(y.f32() + r * y.last(), inside ? x.f32() + from : nullptr);
        }
    }

private:
    // Where element i of an axis of n elements comes from; i may lie before or behind it.
    std::int64_t source(std::int64_t i, std::int64_t n) const {
        if (i >= 0 && i < n) return i;
        if (n == 0) return outside;
        switch (kind) {
        case RLX_PAD_REFLECT: return i < 0 ? -i : 2 * (n - 1) - i;
        case RLX_PAD_REPLICATE: return i < 0 ? 0 : n - 1;
        case RLX_PAD_CIRCULAR: return i < 0 ? i + n : i - n;
        default: return outside;
        }
    }

    void row(float* y, const float* x) const {
        const std::uint32_t last = in[0]->rank - 1;
        const std::int64_t n = in[0]->dim[last], wide = out[0]->dim[last], lo = lo_[last];
        const std::int64_t stride = in[0]->stride[last];
        if (!x) {
            std::fill(y, y + wide, value);
            return;
        }
        const auto edge = [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t j = begin; j < end; ++j) {
                const std::int64_t i = source(j - lo, n);
                y[j] = i == outside ? value : x[i * stride];
            }
        };
        edge(0, lo);
        if (stride == 1) {
            if (n) std::memcpy(y + lo, x, static_cast<std::size_t>(n) * 4);
        } else {
            for (std::int64_t i = 0; i < n; ++i)
                y[lo + i] = x[i * stride];
        }
        edge(lo + n, wide);
    }

    std::int64_t lo_[RLX_MAX_RANK] = {};
};

} // namespace

step_ptr make_pad(const node& n, std::uint32_t lo_handles) {
    auto s = std::make_unique<pad_step>();
    s->kind = n.i64(RLX_ATTR_kind);
    s->value = n.f32(RLX_ATTR_value);
    s->lo_handles = lo_handles;
    s->padded = static_cast<std::uint32_t>(n.attr(RLX_ATTR_pad_lo)->n);
    return with_tensors(std::move(s), n);
}

} // namespace rlx::cpu
