// SPDX-License-Identifier: GPL-3.0-only
// Rules of padding and convolution.
#include "rules.hpp"
#include "windows.hpp"

#include <array>
#include <fmt/format.h>

namespace rlx::ir {

namespace {

// What a kind of padding asks of an axis of n elements that grows by `by` at one end.
result<void> check_pad(rule_context& c, std::int64_t kind, dim by, dim n, std::string_view what) {
    if (by == 0) return {};
    if (kind == RLX_PAD_REFLECT) return c.at_most(RLX_TRY(c.dims.add(by, 1)), n, what);
    if (kind == RLX_PAD_CIRCULAR) return c.at_most(by, n, what);
    return {};
}

} // namespace

result<void> rule_pad(rule_context& c) {
    RLX_CHECK(c.dtype(0, RLX_F32));
    RLX_CHECK(c.one_of(RLX_ATTR_kind, RLX_PAD_CONSTANT, RLX_PAD_CIRCULAR));
    const std::vector<dim> lo = RLX_TRY(c.dim_list(RLX_ATTR_pad_lo));
    const std::vector<dim> hi = RLX_TRY(c.dim_list(RLX_ATTR_pad_hi));
    std::vector<dim> shape = c.in(0).dims;
    if (lo.size() != hi.size())
        return c.fail(fmt::format("pad_lo has {} entries, pad_hi {}", lo.size(), hi.size()));
    if (lo.size() > shape.size()) return c.bad(0, fmt::format("at least {} axes", lo.size()));
    for (std::size_t i = 0; i < lo.size(); i++) {
        const std::size_t axis = shape.size() - lo.size() + i;
        const std::string what = fmt::format(
            "axis {} of {} padded by {} and {}",
            axis,
            c.dims.text(c.in(0).dims),
            c.dims.text(lo[i]),
            c.dims.text(hi[i])
        );
        const std::int64_t kind = c.attrs.i64(RLX_ATTR_kind);
        RLX_CHECK(check_pad(c, kind, lo[i], shape[axis], what));
        RLX_CHECK(check_pad(c, kind, hi[i], shape[axis], what));
        shape[axis] = RLX_TRY(c.dims.add(RLX_TRY(c.dims.add(shape[axis], lo[i])), hi[i]));
    }
    return c.give(RLX_F32, std::move(shape));
}

namespace {

constexpr std::size_t max_spatial = 3;

using numbers = std::array<std::int64_t, max_spatial>;

struct conv_numbers {
    std::size_t n = 0; // spatial axes
    numbers stride{}, lo{}, hi{}, dilation{}, extra{};
    std::int64_t groups = 1;
};

// Ranks, numbers and the operands that both kinds share. out_axis: where W has the output channels.
result<conv_numbers> read_conv(rule_context& c) {
    RLX_CHECK(c.dtype(0, RLX_F32));
    RLX_CHECK(c.parameter(1));
    const value &x = c.in(0), &w = c.in(1);
    if (x.dims.size() < 3 || x.dims.size() > 2 + max_spatial)
        return c.bad(0, "[N, C, ...] with 1 to 3 spatial axes");
    RLX_CHECK(c.rank(1, x.dims.size(), fmt::format("a weight with {} axes", x.dims.size())));
    for (dim d : w.dims)
        if (d < 0) return c.bad(1, "a weight of known size");
    for (std::size_t i = 2; i < w.dims.size(); i++)
        if (w.dims[i] == 0) return c.bad(1, "a kernel that is not empty");
    conv_numbers k;
    k.n = x.dims.size() - 2;
    k.stride = RLX_TRY(read_numbers(c, RLX_ATTR_stride, k.n, 1, 1));
    k.lo = RLX_TRY(read_numbers(c, RLX_ATTR_pad_lo, k.n, 0, 0));
    k.hi = RLX_TRY(read_numbers(c, RLX_ATTR_pad_hi, k.n, 0, 0));
    k.dilation = RLX_TRY(read_numbers(c, RLX_ATTR_dilation, k.n, 1, 1));
    k.extra = RLX_TRY(read_numbers(c, RLX_ATTR_output_padding, k.n, 0, 0));
    k.groups = c.attrs.i64(RLX_ATTR_groups, 1);
    if (k.groups < 1) return c.fail(fmt::format("groups is {}, expected >= 1", k.groups));
    if (x.dims[1] < 0 || x.dims[1] % k.groups != 0)
        return c.bad(0, fmt::format("channels in {} equal groups", k.groups));
    return k;
}

// From the first to the last tap of a spatial axis.
result<dim> reach(rule_context& c, const conv_numbers& k, std::size_t axis) {
    return c.dims.mul(k.dilation[axis], c.in(1).dims[2 + axis] - 1);
}

result<void> check_bias(rule_context& c, dim out) {
    if (!c.has(2)) return {};
    const std::string expected = fmt::format("a bias [{}]", out);
    RLX_CHECK(c.parameter(2));
    RLX_CHECK(c.rank(2, 1, expected));
    return c.same(out, c.in(2).dims[0], 2, expected);
}

} // namespace

result<void> rule_conv(rule_context& c) {
    const conv_numbers k = RLX_TRY(read_conv(c));
    const value &x = c.in(0), &w = c.in(1);
    const std::string expected =
        fmt::format("W [a multiple of {}, {}, ...]", k.groups, x.dims[1] / k.groups);
    if (w.dims[0] % k.groups != 0) return c.bad(1, expected);
    RLX_CHECK(c.same(x.dims[1] / k.groups, w.dims[1], 1, expected));
    RLX_CHECK(check_bias(c, w.dims[0]));
    std::vector<dim> shape = {x.dims[0], w.dims[0]};
    for (std::size_t i = 0; i < k.n; i++) {
        const dim span = RLX_TRY(reach(c, k, i));
        const dim padded = RLX_TRY(c.dims.add(x.dims[2 + i], k.lo[i] + k.hi[i]));
        const dim places = RLX_TRY(c.dims.sub(padded, span));
        shape.push_back(RLX_TRY(c.dims.apply(RLX_DIM_CEIL_DIV, places, k.stride[i])));
        RLX_CHECK(c.extent(shape.back(), "the output"));
    }
    return c.give(RLX_F32, std::move(shape));
}

result<void> rule_conv_transpose(rule_context& c) {
    const conv_numbers k = RLX_TRY(read_conv(c));
    const value &x = c.in(0), &w = c.in(1);
    RLX_CHECK(c.same(x.dims[1], w.dims[0], 1, fmt::format("W [{}, ...]", x.dims[1])));
    const dim out = RLX_TRY(c.dims.mul(w.dims[1], k.groups));
    RLX_CHECK(check_bias(c, out));
    std::vector<dim> shape = {x.dims[0], out};
    for (std::size_t i = 0; i < k.n; i++) {
        const dim span = RLX_TRY(c.dims.add(RLX_TRY(reach(c, k, i)), 1 + k.extra[i]));
        const dim spread = RLX_TRY(c.dims.mul(x.dims[2 + i], k.stride[i]));
        const dim covered = RLX_TRY(c.dims.add(spread, span));
        shape.push_back(RLX_TRY(c.dims.sub(covered, k.stride[i] + k.lo[i] + k.hi[i])));
        RLX_CHECK(c.extent(shape.back(), "the output"));
    }
    return c.give(RLX_F32, std::move(shape));
}

} // namespace rlx::ir
