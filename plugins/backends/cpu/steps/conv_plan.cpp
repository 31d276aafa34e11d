// SPDX-License-Identifier: GPL-3.0-only
#include "steps/conv_plan.hpp"

namespace rlx::cpu {

namespace {

// A product's tile has 16 columns at least; below this many outputs most of it would be thrown
// away.
constexpr std::int64_t fewest_outs = 5;

axes3 list_of(const node& n, std::uint16_t key, std::int64_t absent, std::size_t spatial_axes) {
    axes3 v{absent, absent, absent};
    const rlx_attr* a = n.attr(key);
    for (std::size_t i = 0; a && i < spatial_axes; ++i)
        v[3 - spatial_axes + i] = a->list[i];
    for (std::size_t i = 0; i + spatial_axes < 3; ++i)
        v[i] = key == RLX_ATTR_stride || key == RLX_ATTR_dilation ? 1 : 0;
    return v;
}

template <class Fn>
void for_each(const axes3& n, Fn fn) {
    axes3 i{};
    for (i[0] = 0; i[0] < n[0]; ++i[0])
        for (i[1] = 0; i[1] < n[1]; ++i[1])
            for (i[2] = 0; i[2] < n[2]; ++i[2])
                fn(i);
}

} // namespace

axes3 spatial(const tensor& t) {
    axes3 v{1, 1, 1};
    for (std::uint32_t i = 2; i < t.rank; ++i)
        v[3 - (t.rank - i)] = t.dim[i];
    return v;
}

conv_plan plan_conv(const node& n) {
    const tensor &x = *n.in[0], &w = *n.in[1];
    const bool transposed = n.info.op == RLX_OP_ConvTranspose;
    const std::size_t n_axes = x.rank - 2;
    const axes3 k = spatial(w), stride = list_of(n, RLX_ATTR_stride, 1, n_axes);
    const axes3 lo = list_of(n, RLX_ATTR_pad_lo, 0, n_axes);
    const axes3 dilation = list_of(n, RLX_ATTR_dilation, 1, n_axes);
    const std::int64_t size = k[0] * k[1] * k[2];
    conv_plan p;
    p.channels = x.dim[1];
    p.outs = n.out[0]->dim[1];
    p.groups = n.i64(RLX_ATTR_groups, 1);
    (transposed ? p.out_step : p.in_step) = stride;
    p.direct = p.group_outs() < fewest_outs;
    const auto job = [&](const axes3& start) {
        conv_job j;
        j.start = start;
        j.weight.channels = p.group_channels();
        j.weight.row_step = transposed ? size : p.group_channels() * size;
        j.weight.channel_step = transposed ? p.group_outs() * size : size;
        j.weight.group_step = (transposed ? p.group_channels() : p.group_outs()) *
                              (transposed ? j.weight.channel_step : j.weight.row_step);
        for_each(k, [&](const axes3& t) {
            axes3 base{};
            bool reached = true;
            for (std::size_t a = 0; a < 3; ++a) {
                base[a] = t[a] * dilation[a] - lo[a];
                if (!transposed) continue;
                const std::int64_t from = start[a] - base[a]; // = stride * (input - q)
                reached = reached && from % stride[a] == 0;
                base[a] = from / stride[a];
            }
            if (!reached) return;
            j.weight.taps.push_back((t[0] * k[1] + t[1]) * k[2] + t[2]);
            j.base.push_back(base);
        });
        p.jobs.push_back(std::move(j));
    };
    for_each(transposed ? stride : axes3{1, 1, 1}, job);
    return p;
}

} // namespace rlx::cpu
