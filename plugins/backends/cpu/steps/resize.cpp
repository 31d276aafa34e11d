// SPDX-License-Identifier: GPL-3.0-only
// Resize. Every axis is a list of taps per output element: a run of input elements and a weight for
// each. One unit is an output row: the input rows it needs are added up first (whole rows, in
// cache), then the last axis is resampled.
#include "steps/steps.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace rlx::cpu {

namespace {

constexpr std::uint32_t most_axes = 3;

struct taps {
    std::int64_t first = 0, n = 0;
};

// How one axis is resampled; all coordinates in f32, as ops.def has them.
struct axis_rule {
    std::int64_t kind = RLX_RESIZE_LINEAR, coord = RLX_COORD_HALF_PIXEL;
    bool antialias = false;
    float a = -0.75f;
    std::int64_t from = 0, to = 0; // elements
    float step = 1;

    float cubic(float d) const {
        if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
        return d < 2 ? (((d - 5) * d + 8) * d - 4) * a : 0;
    }

    float kernel(float d) const {
        if (kind == RLX_RESIZE_CUBIC) return cubic(d);
        return d < 1 ? 1 - d : 0;
    }

    float place(std::int64_t i) const {
        const auto at = static_cast<float>(i);
        if (coord == RLX_COORD_ASYMMETRIC) return at * step;
        if (coord == RLX_COORD_ALIGN_CORNERS)
            return to > 1 ? at * (static_cast<float>(from - 1) / static_cast<float>(to - 1)) : 0;
        return (at + 0.5f) * step - 0.5f;
    }

    // At most this many taps per element when step is from / to.
    std::int64_t most() const {
        if (!antialias) return std::min<std::int64_t>(4, from);
        const float radius = kind == RLX_RESIZE_CUBIC ? 2 : 1;
        return std::min(from, static_cast<std::int64_t>(2 * radius * std::max(step, 1.0f)) + 2);
    }

    // Weights of output i; room for most() of them (any step: for `from`).
    taps of(std::int64_t i, float* w) const {
        if (kind == RLX_RESIZE_NEAREST) return nearest(i, w);
        if (antialias) return widened(i, w);
        if (kind == RLX_RESIZE_LINEAR) return linear(i, w);
        return keys(i, w);
    }

private:
    std::int64_t clamped(float s) const {
        if (!(s > 0)) return 0;
        const auto last = from - 1;
        return s >= static_cast<float>(last) ? last : static_cast<std::int64_t>(s);
    }

    taps nearest(std::int64_t i, float* w) const {
        const bool half = coord == RLX_COORD_HALF_PIXEL;
        w[0] = 1;
        return {clamped(half ? (static_cast<float>(i) + 0.5f) * step : place(i)), 1};
    }

    taps linear(std::int64_t i, float* w) const {
        const float s = std::max(place(i), 0.0f);
        const std::int64_t j = clamped(s);
        const float t = std::min(s - static_cast<float>(j), 1.0f);
        w[0] = 1 - t;
        w[1] = t;
        if (j + 1 < from) return {j, 2};
        w[0] = 1;
        return {j, 1};
    }

    // Taps that fall together at an edge are one.
    taps keys(std::int64_t i, float* w) const {
        const float s = place(i), down = std::floor(s), t = s - down;
        const float k[4] = {cubic(t + 1), cubic(t), cubic(1 - t), cubic(2 - t)};
        const std::int64_t last = from - 1;
        // Beyond these bounds every tap is the edge.
        const auto j =
            static_cast<std::int64_t>(std::clamp(down, -4.0f, static_cast<float>(last) + 4.0f));
        const auto at = [&](std::int64_t d) {
            return std::clamp<std::int64_t>(j - 1 + d, 0, last);
        };
        const taps r{at(0), at(3) - at(0) + 1};
        std::fill(w, w + r.n, 0.0f);
        for (std::int64_t d = 0; d < 4; ++d)
            w[at(d) - r.first] += k[d];
        return r;
    }

    taps widened(std::int64_t i, float* w) const {
        const float f = std::max(step, 1.0f), radius = kind == RLX_RESIZE_CUBIC ? 2 : 1;
        const float c = (static_cast<float>(i) + 0.5f) * step, reach = radius * f;
        const float end = static_cast<float>(from);
        taps r;
        r.first = static_cast<std::int64_t>(std::clamp(c - reach + 0.5f, 0.0f, end));
        r.n = static_cast<std::int64_t>(std::clamp(c + reach + 0.5f, 0.0f, end)) - r.first;
        float sum = 0;
        for (std::int64_t k = 0; k < r.n; ++k) {
            const float d = static_cast<float>(r.first + k) - c + 0.5f;
            w[k] = kernel(std::fabs(d) / f);
            sum += w[k];
        }
        for (std::int64_t k = 0; k < r.n && sum != 0; ++k)
            w[k] /= sum;
        return r;
    }
};

class resize_step final : public step {
public:
    axis_rule rule;

    status resize(program&) override {
        const tensor &x = *in[0], &y = *out[0];
        axes_ = x.rank - 2;
        std::int64_t most = 1;
        for (std::uint32_t a = 0; a < axes_; ++a) {
            rules_[a] = rule;
            rules_[a].from = x.dim[2 + a];
            rules_[a].to = y.dim[2 + a];
            rules_[a].step = static_cast<float>(rules_[a].from) /
                             static_cast<float>(std::max<std::int64_t>(rules_[a].to, 1));
            most = std::max(most, rules_[a].from);
        }
        // A row of the input, and weights of three elements.
        width_ = std::max<std::int64_t>(x.last(), 4);
        most_ = std::max<std::int64_t>(most, 4);
        local_bytes = align64(static_cast<std::uint64_t>(width_ + 3 * most_) * 4);
        if (!steps_given()) prepare();
        return {};
    }

    void run(worker& w) override {
        const tensor &x = *in[0], &y = *out[0];
        const worker::share mine = w.split(y.last() > 0 ? y.count / y.last() : 0);
        axis_rule rules[most_axes];
        for (std::uint32_t a = 0; a < axes_; ++a) {
            rules[a] = rules_[a];
            if (steps_given()) rules[a].step = in[1]->f32()[a];
        }
        for (std::int64_t r = mine.begin; r < mine.end; ++r) {
            float* to = y.f32() + r * y.last();
            if (x.count == 0)
                std::fill(to, to + y.last(), 0.0f);
            else
                last_axis(w, rules[axes_ - 1], summed_row(w, rules, r), to);
        }
    }

private:
    bool steps_given() const { return in.size() > 1 && in[1]; }

    // The last axis' taps, [element][most], for all rows.
    void prepare() {
        const axis_rule& l = rules_[axes_ - 1];
        const std::int64_t each = std::max<std::int64_t>(l.most(), 4);
        each_ = each;
        runs_.resize(static_cast<std::size_t>(l.to));
        weights_.assign(static_cast<std::size_t>(l.to * each), 0.0f);
        if (l.from == 0) return;
        for (std::int64_t i = 0; i < l.to; ++i)
            runs_[static_cast<std::size_t>(i)] = l.of(i, weights_.data() + i * each);
    }

    // The sum of the input rows that output row r is made of.
    const float* summed_row(worker& w, const axis_rule* rules, std::int64_t r) const {
        const tensor &x = *in[0], &y = *out[0];
        auto* row = reinterpret_cast<float*>(w.local());
        taps t[2] = {{0, 1}, {0, 1}};
        float* weight[2] = {row + width_, row + width_ + most_};
        weight[0][0] = weight[1][0] = 1;
        std::int64_t from[2] = {
            1, 1}; // rows of the two axes before the last, 1 where there are none
        for (std::uint32_t a = axes_ - 1; a-- > 0;) {
            const std::uint32_t k = 2 - (axes_ - 1) + a;
            t[k] = rules[a].of(r % y.dim[2 + a], weight[k]);
            r /= y.dim[2 + a];
            from[k] = x.dim[2 + a];
        }
        const float* plane = x.f32() + r * from[0] * from[1] * x.last();
        const auto at = [&](std::int64_t d, std::int64_t h) {
            return plane + ((t[0].first + d) * from[1] + t[1].first + h) * x.last();
        };
        if (t[0].n == 1 && t[1].n == 1 && weight[0][0] == 1 && weight[1][0] == 1) return at(0, 0);
        std::memset(row, 0, static_cast<std::size_t>(x.last()) * 4);
        for (std::int64_t d = 0; d < t[0].n; ++d) {
            for (std::int64_t h = 0; h < t[1].n; ++h)
                w.k().axpy(row, at(d, h), weight[0][d] * weight[1][h], x.last());
        }
        return row;
    }

    void last_axis(worker& w, const axis_rule& l, const float* x, float* y) const {
        auto* temp = reinterpret_cast<float*>(w.local()) + width_ + 2 * most_;
        for (std::int64_t i = 0; i < l.to; ++i) {
            taps t;
            const float* k = temp;
            if (steps_given()) {
                t = l.of(i, temp);
            } else {
                t = runs_[static_cast<std::size_t>(i)];
                k = weights_.data() + i * each_;
            }
            float sum = k[0] * x[t.first];
            for (std::int64_t j = 1; j < t.n; ++j)
                sum += k[j] * x[t.first + j];
            y[i] = t.n > 0 ? sum : 0;
        }
    }

    std::uint32_t axes_ = 1;
    axis_rule rules_[most_axes];
    std::int64_t width_ = 0, most_ = 0, each_ = 0;
    std::vector<taps> runs_;
    std::vector<float> weights_;
};

} // namespace

step_ptr make_resize(const node& n) {
    auto s = std::make_unique<resize_step>();
    s->rule.kind = n.i64(RLX_ATTR_kind);
    s->rule.coord = n.i64(RLX_ATTR_coord);
    s->rule.antialias = n.i64(RLX_ATTR_antialias) == 1;
    s->rule.a = n.f32(RLX_ATTR_cubic, s->rule.antialias ? -0.5 : -0.75);
    return with_tensors(std::move(s), n);
}

} // namespace rlx::cpu
