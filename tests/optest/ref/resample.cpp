// SPDX-License-Identifier: GPL-3.0-only
// Resize and GridSample.
#include "ref.hpp"

#include <algorithm>
#include <cmath>

namespace optest::ref {
namespace {

// Keys' kernel with parameter a.
double keys(double d, double a) {
    d = std::abs(d);
    if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
    return d < 2 ? ((d - 5) * d + 8) * d * a - 4 * a : 0;
}

using taps = std::vector<std::pair<std::int64_t, double>>; // element, weight

std::int64_t inside(std::int64_t j, std::int64_t n) {
    return std::clamp<std::int64_t>(j, 0, n - 1);
}

struct resize_axis {
    std::int64_t from, to, kind, coord;
    float step;
    double cubic;
    bool antialias;

    // Where output i lies, in f32 as the text says.
    float place(std::int64_t i) const {
        const auto x = static_cast<float>(i);
        if (coord == RLX_COORD_HALF_PIXEL) return (x + 0.5f) * step - 0.5f;
        if (coord == RLX_COORD_ASYMMETRIC) return x * step;
        return to == 1 ? 0 : x * (static_cast<float>(from - 1) / static_cast<float>(to - 1));
    }

    taps wide(std::int64_t i) const {
        const double f = std::max<double>(step, 1), r = kind == RLX_RESIZE_CUBIC ? 2 : 1;
        const double c = static_cast<double>((static_cast<float>(i) + 0.5f) * step);
        const auto first = std::max<std::int64_t>(0, static_cast<std::int64_t>(c - r * f + 0.5));
        const auto last = std::min<std::int64_t>(from, static_cast<std::int64_t>(c + r * f + 0.5));
        taps out;
        double sum = 0;
        for (std::int64_t j = first; j < last; ++j) {
            const double d = std::abs(static_cast<double>(j) - c + 0.5) / f;
            const double w = kind == RLX_RESIZE_CUBIC ? keys(d, cubic) : std::max(0.0, 1 - d);
            out.emplace_back(j, w);
            sum += w;
        }
        for (auto& [j, w] : out)
            w /= sum;
        return out;
    }

    taps at(std::int64_t i) const {
        if (antialias) return wide(i);
        float s = place(i);
        if (kind == RLX_RESIZE_NEAREST) {
            if (coord == RLX_COORD_HALF_PIXEL) s = (static_cast<float>(i) + 0.5f) * step;
            return {{inside(static_cast<std::int64_t>(std::floor(s)), from), 1.0}};
        }
        if (kind == RLX_RESIZE_LINEAR) {
            s = std::max(s, 0.0f);
            const auto j = std::min(static_cast<std::int64_t>(std::floor(s)), from - 1);
            const double t = std::min<double>(static_cast<double>(s) - static_cast<double>(j), 1);
            return {{j, 1 - t}, {std::min(j + 1, from - 1), t}};
        }
        const auto j = static_cast<std::int64_t>(std::floor(s));
        const double t = static_cast<double>(s) - static_cast<double>(j);
        taps out;
        for (std::int64_t k = -1; k < 3; ++k)
            out.emplace_back(inside(j + k, from), keys(t - static_cast<double>(k), cubic));
        return out;
    }
};

// x with its axis `a` resampled.
tensor along(const tensor& x, std::size_t a, const resize_axis& r) {
    dims shape = x.shape;
    shape[a] = r.to;
    tensor y(RLX_F32, shape);
    if (r.from == 0) return y;
    std::vector<taps> all;
    for (std::int64_t i = 0; i < r.to; ++i)
        all.push_back(r.at(i));
    each(shape, [&](const dims& at) {
        double sum = 0;
        dims from = at;
        for (const auto& [j, w] : all[static_cast<std::size_t>(at[a])]) {
            from[a] = j;
            sum += w * x(from);
        }
        y(at) = sum;
    });
    return y;
}

results resize(const call& c) {
    tensor x = c.at(0);
    const dims to = c.list(RLX_ATTR_dims);
    const bool antialias = c.i64(RLX_ATTR_antialias) == 1;
    for (std::size_t i = 0; i < to.size(); ++i) {
        resize_axis r{};
        r.from = x.dim(2 + i);
        r.to = to[i];
        r.kind = c.i64(RLX_ATTR_kind);
        r.coord = c.i64(RLX_ATTR_coord, RLX_COORD_HALF_PIXEL);
        r.cubic = c.f64(RLX_ATTR_cubic, antialias ? -0.5 : -0.75);
        r.antialias = antialias;
        r.step = c.has(1) ? static_cast<float>(c.at(1).data[i])
                          : static_cast<float>(r.from) / static_cast<float>(r.to);
        x = along(x, 2 + i, r);
    }
    return {x};
}

double mirrored(double s, double low, double high) {
    if (high <= low) return low;
    const double span = high - low;
    s = std::fmod(std::abs(s - low), 2 * span);
    return low + (s > span ? 2 * span - s : s);
}

struct sampler {
    const tensor& x;
    std::int64_t kind, pad;
    bool align;

    double place(double u, std::int64_t n) const {
        const auto w = static_cast<double>(n);
        return align ? (u + 1) / 2 * (w - 1) : ((u + 1) * w - 1) / 2;
    }

    double bounded(double s, std::int64_t n) const {
        const auto w = static_cast<double>(n);
        if (pad == RLX_PAD_REFLECT) s = align ? mirrored(s, 0, w - 1) : mirrored(s, -0.5, w - 0.5);
        return pad == RLX_PAD_CONSTANT ? s : std::clamp(s, 0.0, w - 1);
    }

    // Taps of one axis with their weights; tap -1 reads zero.
    taps of(double u, std::int64_t n) const {
        double s = place(u, n);
        const auto tap = [&](double j) -> std::int64_t {
            return j >= 0 && j < static_cast<double>(n) ? static_cast<std::int64_t>(j) : -1;
        };
        if (kind == RLX_RESIZE_CUBIC) {
            const double j = std::floor(s), t = s - j;
            taps out;
            for (int k = -1; k < 3; ++k)
                out.emplace_back(tap(bounded(j + k, n)), keys(t - k, -0.75));
            return out;
        }
        s = bounded(s, n);
        if (kind == RLX_RESIZE_NEAREST) return {{tap(std::nearbyint(s)), 1.0}};
        const double j = std::floor(s), t = s - j;
        return {{tap(j), 1 - t}, {tap(j + 1), t}};
    }
};

results grid_sample(const call& c) {
    const tensor &x = c.at(0), &grid = c.at(1);
    const sampler s{x, c.i64(RLX_ATTR_kind), c.i64(RLX_ATTR_pad), c.i64(RLX_ATTR_align) == 1};
    tensor y(RLX_F32, {x.dim(0), x.dim(1), grid.dim(1), grid.dim(2)});
    each(y.shape, [&](const dims& at) {
        const taps across = s.of(grid({at[0], at[2], at[3], 0}), x.dim(3));
        const taps down = s.of(grid({at[0], at[2], at[3], 1}), x.dim(2));
        double sum = 0;
        for (const auto& [i, wi] : down)
            for (const auto& [j, wj] : across)
                if (i >= 0 && j >= 0) sum += wi * wj * x({at[0], at[1], i, j});
        y(at) = sum;
    });
    return {y};
}

} // namespace

std::vector<entry> resample_ops() {
    return {{RLX_OP_Resize, resize}, {RLX_OP_GridSample, grid_sample}};
}

} // namespace optest::ref
