// SPDX-License-Identifier: GPL-3.0-only
// Pool, PixelShuffle and back, PatchEmbed, Im2Col and back, windows and back.
#include "ref.hpp"

#include <cmath>
#include <limits>

namespace optest::ref {
namespace {

constexpr double inf = std::numeric_limits<double>::infinity();

dims spatial(const tensor& t) {
    return {t.shape.begin() + 2, t.shape.end()};
}

dims joined(std::int64_t a, std::int64_t b, const dims& rest) {
    dims out{a, b};
    out.insert(out.end(), rest.begin(), rest.end());
    return out;
}

std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
    return a >= 0 ? (a + b - 1) / b : -(-a / b);
}

// The windows of the text above Pool.
struct windows {
    const call& c;
    dims kernel;

    explicit windows(const call& node) : c(node), kernel(node.list(RLX_ATTR_kernel)) {}

    std::int64_t stride(std::size_t i) const {
        return c.nth(RLX_ATTR_stride, i, c.op == RLX_OP_Pool ? kernel[i] : 1);
    }

    std::int64_t dilation(std::size_t i) const { return c.nth(RLX_ATTR_dilation, i, 1); }

    std::int64_t lo(std::size_t i) const { return c.nth(RLX_ATTR_pad_lo, i, 0); }

    std::int64_t hi(std::size_t i) const { return c.nth(RLX_ATTR_pad_hi, i, 0); }

    std::int64_t tap(std::size_t i, std::int64_t window, std::int64_t t) const {
        return window * stride(i) + t * dilation(i) - lo(i);
    }

    std::int64_t how_many(std::size_t i, std::int64_t n) const {
        const std::int64_t room = n + lo(i) + hi(i) - dilation(i) * (kernel[i] - 1);
        if (c.op != RLX_OP_Pool || !c.i64(RLX_ATTR_ceil))
            return std::max<std::int64_t>(0, ceil_div(room, stride(i)));
        const std::int64_t up = ceil_div(room - 1, stride(i)) + 1;
        return std::max<std::int64_t>(0, std::min(up, ceil_div(n + lo(i), stride(i))));
    }

    dims count_all(const dims& extents) const {
        dims out(extents.size());
        for (std::size_t i = 0; i < out.size(); ++i)
            out[i] = how_many(i, extents[i]);
        return out;
    }
};

results pool(const call& c) {
    const tensor& x = c.at(0);
    const windows w(c);
    const dims in = spatial(x);
    const bool max = c.i64(RLX_ATTR_kind) == RLX_POOL_MAX;
    tensor y(RLX_F32, joined(x.dim(0), x.dim(1), w.count_all(in)));
    each(y.shape, [&](const dims& at) {
        double top = -inf, sum = 0;
        std::int64_t inside = 0, padded = 0;
        each(w.kernel, [&](const dims& tap) {
            dims from{at[0], at[1]};
            bool in_x = true, in_pad = true;
            for (std::size_t i = 0; i < in.size(); ++i) {
                const std::int64_t p = w.tap(i, at[2 + i], tap[i]);
                from.push_back(p);
                in_x = in_x && p >= 0 && p < in[i];
                in_pad = in_pad && p < in[i] + w.hi(i);
            }
            padded += in_pad;
            inside += in_x;
            if (!in_x) return;
            top = std::max(top, x(from));
            sum += x(from);
        });
        const std::int64_t by = c.i64(RLX_ATTR_count_pad) == 1 ? padded : inside;
        y(at) = max ? top : by ? sum / static_cast<double>(by) : 0;
    });
    return {y};
}

results pixel_shuffle(const call& c) {
    const tensor& x = c.at(0);
    const std::int64_t b = c.i64(RLX_ATTR_block);
    tensor y(RLX_F32, {x.dim(0), x.dim(1) / (b * b), x.dim(2) * b, x.dim(3) * b});
    each(y.shape, [&](const dims& at) {
        const std::int64_t i = at[2] % b, j = at[3] % b;
        y(at) = x({at[0], (at[1] * b + i) * b + j, at[2] / b, at[3] / b});
    });
    return {y};
}

results pixel_unshuffle(const call& c) {
    const tensor& x = c.at(0);
    const std::int64_t b = c.i64(RLX_ATTR_block);
    tensor y(RLX_F32, {x.dim(0), x.dim(1) * b * b, x.dim(2) / b, x.dim(3) / b});
    each(y.shape, [&](const dims& at) {
        const std::int64_t channel = at[1] / (b * b), i = at[1] / b % b, j = at[1] % b;
        y(at) = x({at[0], channel, at[2] * b + i, at[3] * b + j});
    });
    return {y};
}

results patch_embed(const call& c) {
    const tensor &x = c.at(0), &w = c.at(1);
    const dims in = spatial(x), k = spatial(w);
    dims places(in.size());
    for (std::size_t i = 0; i < in.size(); ++i)
        places[i] = in[i] / k[i];
    tensor y(RLX_F32, {x.dim(0), static_cast<std::int64_t>(count(places)), w.dim(0)});
    for (std::int64_t n = 0; n < x.dim(0); ++n) {
        std::int64_t patch = 0;
        each(places, [&](const dims& at) {
            for (std::int64_t o = 0; o < w.dim(0); ++o) {
                double sum = c.has(2) ? c.at(2).data[static_cast<std::size_t>(o)] : 0;
                each(joined(x.dim(1), 1, k), [&](const dims& tap) {
                    dims from{n, tap[0]};
                    for (std::size_t i = 0; i < in.size(); ++i)
                        from.push_back(at[i] * k[i] + tap[2 + i]);
                    sum += x(from) * w(joined(o, tap[0], {tap.begin() + 2, tap.end()}));
                });
                y({n, patch, o}) = sum;
            }
            ++patch;
        });
    }
    return {y};
}

// f(index of the column tensor, index of the image) for every tap that lies inside an image of
// shape `image`.
void each_tap(
    const windows& w, const dims& image, const std::function<void(const dims&, const dims&)>& f
) {
    const dims in(image.begin() + 2, image.end()), m = w.count_all(in);
    each(joined(image[0], image[1], m), [&](const dims& at) {
        std::int64_t k = -1;
        each(w.kernel, [&](const dims& tap) {
            ++k;
            dims pixel{at[0], at[1]}, column{at[0], at[1], k};
            for (std::size_t i = 0; i < in.size(); ++i) {
                const std::int64_t p = w.tap(i, at[2 + i], tap[i]);
                if (p < 0 || p >= in[i]) return;
                pixel.push_back(p);
                column.push_back(at[2 + i]);
            }
            f(column, pixel);
        });
    });
}

results im2col(const call& c) {
    const tensor& x = c.at(0);
    const windows w(c);
    dims shape{x.dim(0), x.dim(1), static_cast<std::int64_t>(count(w.kernel))};
    for (const std::int64_t n : w.count_all(spatial(x)))
        shape.push_back(n);
    tensor y(RLX_F32, shape);
    each_tap(w, x.shape, [&](const dims& column, const dims& pixel) { y(column) = x(pixel); });
    return {y};
}

results col2im(const call& c) {
    const tensor& x = c.at(0);
    const windows w(c);
    tensor y(RLX_F32, joined(x.dim(0), x.dim(1), c.list(RLX_ATTR_dims)));
    each_tap(w, y.shape, [&](const dims& column, const dims& pixel) { y(pixel) += x(column); });
    return {y};
}

// Element (n, h, w) of the image is in window `first`, at (second, third).
dims in_window(const dims& at, const dims& image, const dims& kernel) {
    const std::int64_t across = ceil_div(image[2], kernel[1]), down = ceil_div(image[1], kernel[0]);
    const std::int64_t window = (at[0] * down + at[1] / kernel[0]) * across + at[2] / kernel[1];
    return {window, at[1] % kernel[0], at[2] % kernel[1], at[3]};
}

results window_partition(const call& c) {
    const tensor& x = c.at(0);
    const dims k = c.list(RLX_ATTR_kernel);
    tensor y(
        RLX_F32,
        {x.dim(0) * ceil_div(x.dim(1), k[0]) * ceil_div(x.dim(2), k[1]), k[0], k[1], x.dim(3)}
    );
    each(x.shape, [&](const dims& at) { y(in_window(at, x.shape, k)) = x(at); });
    return {y};
}

results window_unpartition(const call& c) {
    const tensor& x = c.at(0);
    dims shape = c.list(RLX_ATTR_dims);
    shape.push_back(x.dim(3));
    tensor y(RLX_F32, shape);
    each(shape, [&](const dims& at) { y(at) = x(in_window(at, shape, {x.dim(1), x.dim(2)})); });
    return {y};
}

// LayerNorm over the channels at each place.
results channel_norm(const call& c) {
    const tensor& x = c.at(0);
    tensor y(RLX_F32, x.shape);
    dims places = x.shape;
    places[1] = 1;
    const auto n = static_cast<double>(x.dim(1));
    each(places, [&](dims at) {
        double mean = 0, var = 0;
        for (at[1] = 0; at[1] < x.dim(1); ++at[1])
            mean += x(at) / n;
        for (at[1] = 0; at[1] < x.dim(1); ++at[1])
            var += (x(at) - mean) * (x(at) - mean) / n;
        for (at[1] = 0; at[1] < x.dim(1); ++at[1]) {
            double v = (x(at) - mean) / std::sqrt(var + c.f64(RLX_ATTR_eps));
            if (c.has(1)) v *= c.at(1)({at[1]});
            if (c.has(2)) v += c.at(2)({at[1]});
            y(at) = v;
        }
    });
    return {y};
}

} // namespace

std::vector<entry> image_ops() {
    return {
        {RLX_OP_Pool, pool},
        {RLX_OP_PixelShuffle, pixel_shuffle},
        {RLX_OP_PixelUnshuffle, pixel_unshuffle},
        {RLX_OP_PatchEmbed, patch_embed},
        {RLX_OP_Im2Col, im2col},
        {RLX_OP_Col2Im, col2im},
        {RLX_OP_WindowPartition, window_partition},
        {RLX_OP_WindowUnpartition, window_unpartition},
        {RLX_OP_ChannelNorm, channel_norm},
    };
}

} // namespace optest::ref
