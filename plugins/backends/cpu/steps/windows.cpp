// SPDX-License-Identifier: GPL-3.0-only
// Pool, Im2Col and Col2Im: windows of taps that slide over up to three spatial axes. Operands are
// contiguous. Axes are aligned at the end: a missing one has one element and one tap.
#include "steps/steps.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace rlx::cpu {

namespace {

constexpr std::uint32_t most_axes = 3;

struct window_axis {
    std::int64_t kernel = 1, stride = 1, lo = 0, hi = 0, dilation = 1;
    std::int64_t length = 1, places = 1; // of x, and windows

    // Where tap t of window p lies in x; outside [0, length): in the padding.
    std::int64_t at(std::int64_t p, std::int64_t t) const { return p * stride + t * dilation - lo; }

    bool inside(std::int64_t i) const { return i >= 0 && i < length; }

    // First window whose tap t is at or behind x[i].
    std::int64_t first(std::int64_t t, std::int64_t i) const {
        const std::int64_t d = i + lo - t * dilation;
        const std::int64_t p = d <= 0 ? 0 : (d + stride - 1) / stride;
        return std::min(p, places);
    }
};

struct window_axes {
    window_axis a[most_axes];

    void read(const node& n, std::uint32_t axes, bool stride_is_kernel) {
        for (std::uint32_t i = 0; i < axes; ++i) {
            window_axis& x = a[most_axes - axes + i];
            const auto number = [&](std::uint16_t key, std::int64_t absent) {
                const rlx_attr* list = n.attr(key);
                return list ? list->list[i] : absent;
            };
            x.kernel = number(RLX_ATTR_kernel, 1);
            x.stride = number(RLX_ATTR_stride, stride_is_kernel ? x.kernel : 1);
            x.lo = number(RLX_ATTR_pad_lo, 0);
            x.hi = number(RLX_ATTR_pad_hi, 0);
            x.dilation = number(RLX_ATTR_dilation, 1);
        }
    }

    // Extents from the spatial axes of x, which begin at from, and of the windows, at to.
    void size(const tensor& x, std::uint32_t from, const tensor& windows, std::uint32_t to) {
        const std::uint32_t axes = x.rank - from;
        for (std::uint32_t i = 0; i < axes; ++i) {
            a[most_axes - axes + i].length = x.dim[from + i];
            a[most_axes - axes + i].places = windows.dim[to + i];
        }
    }

    std::int64_t volume() const { return a[0].length * a[1].length * a[2].length; }

    std::int64_t windows() const { return a[0].places * a[1].places * a[2].places; }

    std::int64_t taps() const { return a[0].kernel * a[1].kernel * a[2].kernel; }
};

// One unit is a row of windows.
class pool_step final : public step {
public:
    bool largest = true, count_pad = false;
    window_axes axes;

    status resize(program&) override {
        axes.size(*in[0], 2, *out[0], 2);
        local_bytes = align64(static_cast<std::uint64_t>(axes.a[2].places) * 4);
        return {};
    }

    void run(worker& w) override {
        const window_axis &d = axes.a[0], &h = axes.a[1], &l = axes.a[2];
        const tensor& x = *in[0];
        const worker::share mine = w.split(l.places > 0 ? out[0]->count / l.places : 0);
        for (std::int64_t r = mine.begin; r < mine.end; ++r) {
            float* y = out[0]->f32() + r * l.places;
            const std::int64_t ph = r % h.places, pd = r / h.places % d.places;
            const float* plane = x.f32() + r / h.places / d.places * axes.volume();
            std::fill(y, y + l.places, largest ? -HUGE_VALF : 0.0f);
            for (std::int64_t kd = 0; kd < d.kernel; ++kd) {
                for (std::int64_t kh = 0; kh < h.kernel; ++kh) {
                    const std::int64_t i = d.at(pd, kd), j = h.at(ph, kh);
                    if (!d.inside(i) || !h.inside(j)) continue;
                    add_row(y, plane + (i * h.length + j) * l.length);
                }
            }
            if (!largest) divide(y, seen(d, pd) * seen(h, ph));
        }
    }

private:
    void add_row(float* y, const float* x) const {
        const window_axis& l = axes.a[2];
        for (std::int64_t t = 0; t < l.kernel; ++t) {
            const std::int64_t stop = l.first(t, l.length);
            for (std::int64_t p = l.first(t, 0); p < stop; ++p) {
                const float v = x[l.at(p, t)];
                y[p] = !largest ? y[p] + v : v > y[p] ? v : y[p];
            }
        }
    }

    // Taps of window p that count.
    std::int64_t seen(const window_axis& a, std::int64_t p) const {
        std::int64_t n = 0;
        for (std::int64_t t = 0; t < a.kernel; ++t) {
            const std::int64_t i = a.at(p, t);
            n += count_pad ? i < a.length + a.hi : a.inside(i);
        }
        return n;
    }

    void divide(float* y, std::int64_t rows) const {
        const window_axis& l = axes.a[2];
        for (std::int64_t p = 0; p < l.places; ++p) {
            const std::int64_t n = rows * seen(l, p);
            y[p] = n > 0 ? y[p] / static_cast<float>(n) : 0.0f;
        }
    }
};

// One unit is one tap of a channel: all its places in all windows.
class im2col_step final : public step {
public:
    window_axes axes;

    status resize(program&) override {
        axes.size(*in[0], 2, *out[0], 3);
        return {};
    }

    void run(worker& w) override {
        const window_axis &d = axes.a[0], &h = axes.a[1], &l = axes.a[2];
        const std::int64_t taps = axes.taps(), windows = axes.windows();
        const worker::share mine = w.split(windows > 0 ? out[0]->count / windows : 0);
        for (std::int64_t u = mine.begin; u < mine.end; ++u) {
            const float* plane = in[0]->f32() + u / taps * axes.volume();
            float* y = out[0]->f32() + u * windows;
            const std::int64_t kl = u % l.kernel, kh = u / l.kernel % h.kernel;
            const std::int64_t kd = u / l.kernel / h.kernel % d.kernel;
            for (std::int64_t pd = 0; pd < d.places; ++pd) {
                for (std::int64_t ph = 0; ph < h.places; ++ph, y += l.places) {
                    const std::int64_t i = d.at(pd, kd), j = h.at(ph, kh);
                    const bool there = d.inside(i) && h.inside(j);
                    row(y, there ? plane + (i * h.length + j) * l.length : nullptr, kl);
                }
            }
        }
    }

private:
    void row(float* y, const float* x, std::int64_t t) const {
        const window_axis& l = axes.a[2];
        const std::int64_t first = x ? l.first(t, 0) : l.places;
        const std::int64_t stop = x ? std::max(first, l.first(t, l.length)) : l.places;
        std::fill(y, y + first, 0.0f);
        if (l.stride == 1 && first < stop) {
            std::memcpy(y + first, x + l.at(first, t), static_cast<std::size_t>(stop - first) * 4);
        } else {
            for (std::int64_t p = first; p < stop; ++p)
                y[p] = x[l.at(p, t)];
        }
        std::fill(y + stop, y + l.places, 0.0f);
    }
};

// One unit is a piece of a row of the result: every tap that lands there is added, in one order
// whoever does it.
class col2im_step final : public step {
public:
    window_axes axes;

    status resize(program&) override {
        axes.size(*out[0], 2, *in[0], 3);
        return {};
    }

    void run(worker& w) override {
        constexpr std::int64_t piece = 2048;
        const window_axis& l = axes.a[2];
        const std::int64_t pieces = (l.length + piece - 1) / piece;
        const worker::share mine = w.split(l.length > 0 ? out[0]->count / l.length * pieces : 0);
        for (std::int64_t u = mine.begin; u < mine.end; ++u) {
            const std::int64_t begin = u % pieces * piece;
            add(u / pieces, begin, std::min(begin + piece, l.length));
        }
    }

private:
    // Elements [begin, end) of row r.
    void add(std::int64_t r, std::int64_t begin, std::int64_t end) const {
        const window_axis &d = axes.a[0], &h = axes.a[1], &l = axes.a[2];
        float* y = out[0]->f32() + r * l.length;
        const std::int64_t j = r % h.length, i = r / h.length % d.length;
        const std::int64_t plane = r / h.length / d.length;
        const float* x = in[0]->f32() + plane * axes.taps() * axes.windows();
        std::fill(y + begin, y + end, 0.0f);
        for (std::int64_t kd = 0; kd < d.kernel; ++kd) {
            const std::int64_t pd = d.first(kd, i);
            if (pd >= d.places || d.at(pd, kd) != i) continue;
            for (std::int64_t kh = 0; kh < h.kernel; ++kh) {
                const std::int64_t ph = h.first(kh, j);
                if (ph >= h.places || h.at(ph, kh) != j) continue;
                for (std::int64_t t = 0; t < l.kernel; ++t) {
                    const std::int64_t tap = (kd * h.kernel + kh) * l.kernel + t;
                    const float* row = x + tap * axes.windows() + (pd * h.places + ph) * l.places;
                    const std::int64_t stop = l.first(t, end);
                    for (std::int64_t p = l.first(t, begin); p < stop; ++p)
                        y[l.at(p, t)] += row[p];
                }
            }
        }
    }
};

template <class Step>
step_ptr make(const node& n, std::uint32_t axes) {
    auto s = std::make_unique<Step>();
    s->axes.read(n, axes, n.info.op == RLX_OP_Pool);
    return with_tensors(std::move(s), n);
}

} // namespace

step_ptr make_pool(const node& n) {
    auto s = std::make_unique<pool_step>();
    s->axes.read(n, n.in[0]->rank - 2, true);
    s->largest = n.i64(RLX_ATTR_kind) == RLX_POOL_MAX;
    s->count_pad = n.i64(RLX_ATTR_count_pad) == 1;
    return with_tensors(std::move(s), n);
}

step_ptr make_im2col(const node& n) {
    return make<im2col_step>(n, n.in[0]->rank - 2);
}

step_ptr make_col2im(const node& n) {
    return make<col2im_step>(n, n.out[0]->rank - 2);
}

} // namespace rlx::cpu
