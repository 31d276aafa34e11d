// SPDX-License-Identifier: GPL-3.0-only
// GridSample: places and weights once per output element, then all channels. One unit is one output
// row of a sample.
#include "steps/steps.hpp"

#include <algorithm>
#include <cmath>

namespace rlx::cpu {

namespace {

class grid_sample_step final : public step {
public:
    std::int64_t kind = RLX_RESIZE_LINEAR, pad = RLX_PAD_CONSTANT;
    bool align = false;

    void run(worker& w) override {
        const tensor &x = *in[0], &grid = *in[1], &y = *out[0];
        const std::int64_t rows = y.dim[2], cols = y.dim[3];
        const worker::share mine = w.split(y.dim[0] * rows);
        for (std::int64_t u = mine.begin; u < mine.end; ++u) {
            const std::int64_t n = u / rows, row = u % rows;
            const float* at = grid.f32() + u * cols * 2;
            const float* sample = x.f32() + n * x.dim[1] * x.dim[2] * x.dim[3];
            float* to = y.f32() + (n * y.dim[1] * rows + row) * cols;
            for (std::int64_t i = 0; i < cols; ++i)
                element(sample, at[2 * i], at[2 * i + 1], to + i);
        }
    }

private:
    struct side {
        int n = 0;
        std::int64_t at[4];
        float w[4];
    };

    void element(const float* x, float u, float v, float* y) const {
        const std::int64_t height = in[0]->dim[2], width = in[0]->dim[3];
        const std::int64_t plane_size = out[0]->dim[2] * out[0]->dim[3];
        const side a = side_of(v, height), b = side_of(u, width);
        for (std::int64_t c = 0; c < in[0]->dim[1]; ++c) {
            const float* plane = x + c * height * width;
            float sum = 0;
            for (int i = 0; i < a.n; ++i) {
                float row = 0;
                for (int j = 0; j < b.n; ++j)
                    row += b.w[j] * plane[a.at[i] * width + b.at[j]];
                sum += a.w[i] * row;
            }
            y[c * plane_size] = sum;
        }
    }

    // Taps of one side that lie inside it.
    side side_of(float g, std::int64_t n) const {
        side s;
        const auto size = static_cast<float>(n);
        float p = align ? (g + 1) / 2 * (size - 1) : ((g + 1) * size - 1) / 2;
        if (n == 0 || !std::isfinite(p)) return s;
        if (kind != RLX_RESIZE_CUBIC) p = folded(p, n);
        // Far outside nothing is near: keeps the conversions in range.
        p = std::clamp(p, -1e6f, size + 1e6f);
        if (kind == RLX_RESIZE_NEAREST) {
            put(s, static_cast<std::int64_t>(std::nearbyint(p)), 1, n);
            return s;
        }
        const float down = std::floor(p), t = p - down;
        const auto j = static_cast<std::int64_t>(down);
        if (kind == RLX_RESIZE_LINEAR) {
            put(s, j, 1 - t, n);
            put(s, j + 1, t, n);
            return s;
        }
        const float k[4] = {cubic(t + 1), cubic(t), cubic(1 - t), cubic(2 - t)};
        for (int d = 0; d < 4; ++d) {
            const float tap = folded(static_cast<float>(j - 1 + d), n);
            put(s, static_cast<std::int64_t>(tap), k[d], n);
        }
        return s;
    }

    static void put(side& s, std::int64_t at, float w, std::int64_t n) {
        if (at < 0 || at >= n) return;
        s.at[s.n] = at;
        s.w[s.n++] = w;
    }

    static float cubic(float d) {
        constexpr float a = -0.75f;
        if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
        return (((d - 5) * d + 8) * d - 4) * a;
    }

    // The place that padding puts in p's stead; zeros: p itself.
    float folded(float p, std::int64_t n) const {
        if (pad == RLX_PAD_CONSTANT) return p;
        const auto last = static_cast<float>(n - 1);
        if (pad == RLX_PAD_REFLECT) {
            const float lo = align ? 0.0f : -0.5f, span = align ? last : last + 1;
            if (span <= 0) return 0;
            const float d = std::fabs(p - lo), extra = std::fmod(d, span);
            const bool back = std::fmod(std::floor(d / span), 2.0f) != 0;
            p = back ? span - extra + lo : extra + lo;
        }
        return std::clamp(p, 0.0f, last);
    }
};

} // namespace

step_ptr make_grid_sample(const node& n) {
    auto s = std::make_unique<grid_sample_step>();
    s->kind = n.i64(RLX_ATTR_kind);
    s->pad = n.i64(RLX_ATTR_pad);
    s->align = n.i64(RLX_ATTR_align) == 1;
    return with_tensors(std::move(s), n);
}

} // namespace rlx::cpu
