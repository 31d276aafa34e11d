// SPDX-License-Identifier: GPL-3.0-only
// Conv and ConvTranspose over any number of spatial axes.
#include "ref.hpp"

namespace optest::ref {
namespace {

dims spatial(const tensor& t) {
    return {t.shape.begin() + 2, t.shape.end()};
}

// Index [a, b, rest...].
dims joined(std::int64_t a, std::int64_t b, const dims& rest) {
    dims out{a, b};
    out.insert(out.end(), rest.begin(), rest.end());
    return out;
}

results conv(const call& c) {
    const tensor &x = c.at(0), &w = c.at(1);
    const std::int64_t groups = c.i64(RLX_ATTR_groups, 1);
    const std::int64_t per_in = w.dim(1), per_out = w.dim(0) / groups;
    const dims in = spatial(x), taps = spatial(w);
    dims out(in.size());
    for (std::size_t i = 0; i < in.size(); ++i) {
        const std::int64_t stride = c.nth(RLX_ATTR_stride, i, 1);
        const std::int64_t reach = in[i] + c.nth(RLX_ATTR_pad_lo, i, 0) +
                                   c.nth(RLX_ATTR_pad_hi, i, 0) -
                                   c.nth(RLX_ATTR_dilation, i, 1) * (taps[i] - 1);
        out[i] = reach <= 0 ? 0 : (reach + stride - 1) / stride;
    }
    tensor y(RLX_F32, joined(x.dim(0), w.dim(0), out));
    each(y.shape, [&](const dims& at) {
        double sum = c.has(2) ? c.at(2)({at[1]}) : 0;
        const std::int64_t group = at[1] / per_out;
        each(joined(per_in, 1, taps), [&](const dims& tap) {
            dims from = joined(at[0], group * per_in + tap[0], {});
            for (std::size_t i = 0; i < in.size(); ++i) {
                const std::int64_t p = at[2 + i] * c.nth(RLX_ATTR_stride, i, 1) +
                                       tap[2 + i] * c.nth(RLX_ATTR_dilation, i, 1) -
                                       c.nth(RLX_ATTR_pad_lo, i, 0);
                if (p < 0 || p >= in[i]) return;
                from.push_back(p);
            }
            dims of_w = joined(at[1], tap[0], {tap.begin() + 2, tap.end()});
            sum += w(of_w) * x(from);
        });
        y(at) = sum;
    });
    return {y};
}

results conv_transpose(const call& c) {
    const tensor &x = c.at(0), &w = c.at(1);
    const std::int64_t groups = c.i64(RLX_ATTR_groups, 1);
    const std::int64_t per_in = w.dim(0) / groups, per_out = w.dim(1);
    const dims in = spatial(x), taps = spatial(w);
    dims out(in.size());
    for (std::size_t i = 0; i < in.size(); ++i)
        out[i] = (in[i] - 1) * c.nth(RLX_ATTR_stride, i, 1) +
                 c.nth(RLX_ATTR_dilation, i, 1) * (taps[i] - 1) + 1 - c.nth(RLX_ATTR_pad_lo, i, 0) -
                 c.nth(RLX_ATTR_pad_hi, i, 0) + c.nth(RLX_ATTR_output_padding, i, 0);
    tensor y(RLX_F32, joined(x.dim(0), per_out * groups, out));
    if (c.has(2)) each(y.shape, [&](const dims& at) { y(at) = c.at(2)({at[1]}); });
    each(x.shape, [&](const dims& at) {
        const std::int64_t group = at[1] / per_in;
        each(joined(per_out, 1, taps), [&](const dims& tap) {
            dims to = joined(at[0], group * per_out + tap[0], {});
            for (std::size_t i = 0; i < in.size(); ++i) {
                const std::int64_t p = at[2 + i] * c.nth(RLX_ATTR_stride, i, 1) +
                                       tap[2 + i] * c.nth(RLX_ATTR_dilation, i, 1) -
                                       c.nth(RLX_ATTR_pad_lo, i, 0);
                if (p < 0 || p >= out[i]) return;
                to.push_back(p);
            }
            y(to) += w(joined(at[1], tap[0], {tap.begin() + 2, tap.end()})) * x(at);
        });
    });
    return {y};
}

} // namespace

std::vector<entry> conv_ops() {
    return {{RLX_OP_Conv, conv}, {RLX_OP_ConvTranspose, conv_transpose}};
}

} // namespace optest::ref
