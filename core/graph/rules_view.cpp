// SPDX-License-Identifier: GPL-3.0-only
// Rules of views and layout: Reshape, Permute, Slice, Broadcast, Concat, Copy, Cast, Fill, Arange.
#include "dtype.hpp"
#include "rules.hpp"
#include "views.hpp"

#include <fmt/format.h>

namespace rlx::ir {

result<void> rule_reshape(rule_context& c) {
    const value& x = c.in(0);
    std::vector<dim> to = RLX_TRY(c.dim_list(RLX_ATTR_dims));
    const dim have = RLX_TRY(c.dims.product(x.dims)), want = RLX_TRY(c.dims.product(to));
    RLX_CHECK(
        c.same(have, want, 0, fmt::format("{} elements for {}", c.dims.text(want), c.dims.text(to)))
    );
    auto strides = RLX_TRY(reshape_strides(c.dims, x.dims, x.strides, to));
    if (!strides)
        return c.bad(0, fmt::format("strides that {} can view (copy it first)", c.dims.text(to)));
    return c.give_view(std::move(to), std::move(*strides), x.offset);
}

result<void> rule_permute(rule_context& c) {
    const value& x = c.in(0);
    const auto perm = c.attrs.list(RLX_ATTR_perm);
    if (perm.size() != x.dims.size())
        return c.bad(0, fmt::format("{} axes, as many as perm", perm.size()));
    std::vector<dim> shape, strides;
    std::uint32_t seen = 0;
    for (std::int64_t p : perm) {
        if (p < 0 || p >= static_cast<std::int64_t>(perm.size()) || (seen >> p & 1u))
            return c.fail(fmt::format("perm is not a permutation of {} axes", perm.size()));
        seen |= 1u << p;
        shape.push_back(x.dims[static_cast<std::size_t>(p)]);
        strides.push_back(x.strides[static_cast<std::size_t>(p)]);
    }
    return c.give_view(std::move(shape), std::move(strides), x.offset);
}

result<void> rule_slice(rule_context& c) {
    const value& x = c.in(0);
    const std::size_t axis = RLX_TRY(c.axis(0));
    const dim start = c.attrs.i64(RLX_ATTR_start), stop = c.attrs.i64(RLX_ATTR_stop);
    RLX_CHECK(c.extent(start, "start"));
    RLX_CHECK(c.extent(stop, "stop"));
    const std::string what = fmt::format(
        "slice {} : {} of axis {} of {}",
        c.dims.text(start),
        c.dims.text(stop),
        axis,
        c.dims.text(x.dims)
    );
    RLX_CHECK(c.at_most(start, stop, what));
    RLX_CHECK(c.at_most(stop, x.dims[axis], what));
    std::vector<dim> shape = x.dims;
    shape[axis] = RLX_TRY(c.dims.sub(stop, start));
    const dim skip = RLX_TRY(c.dims.mul(start, x.strides[axis]));
    return c.give_view(std::move(shape), x.strides, RLX_TRY(c.dims.add(x.offset, skip)));
}

result<void> rule_broadcast(rule_context& c) {
    const value& x = c.in(0);
    std::vector<dim> to = RLX_TRY(c.dim_list(RLX_ATTR_dims));
    const std::string expected = fmt::format("a shape that broadcasts to {}", c.dims.text(to));
    if (to.size() < x.dims.size()) return c.bad(0, expected);
    const std::size_t lead = to.size() - x.dims.size();
    std::vector<dim> strides(to.size(), 0);
    for (std::size_t i = 0; i < x.dims.size(); i++) {
        if (x.dims[i] == 1 && to[lead + i] != 1) continue;
        RLX_CHECK(c.same(x.dims[i], to[lead + i], 0, expected));
        strides[lead + i] = x.strides[i];
    }
    return c.give_view(std::move(to), std::move(strides), x.offset);
}

result<void> rule_concat(rule_context& c) {
    const std::size_t axis = RLX_TRY(c.axis(0));
    std::vector<dim> shape = c.in(0).dims;
    for (std::size_t i = 1; i < c.n_in(); i++) {
        const value& x = c.in(i);
        const std::string expected = fmt::format(
            "{} {} but on axis {}", dtype_name(c.in(0).dtype), c.dims.text(shape), axis
        );
        if (x.dtype != c.in(0).dtype || x.dims.size() != shape.size()) return c.bad(i, expected);
        for (std::size_t k = 0; k < shape.size(); k++)
            if (k != axis) RLX_CHECK(c.same(shape[k], x.dims[k], i, expected));
        shape[axis] = RLX_TRY(c.dims.add(shape[axis], x.dims[axis]));
    }
    return c.give(c.in(0).dtype, std::move(shape));
}

result<void> rule_same(rule_context& c) {
    return c.give(c.in(0).dtype, c.in(0).dims);
}

result<void> rule_cast(rule_context& c) {
    const std::int64_t to = c.attrs.i64(RLX_ATTR_dtype);
    const dtype_layout l = layout_of(static_cast<std::uint32_t>(to));
    if (to < 0 || to > UINT16_MAX || l.bytes == 0 || l.packed())
        return c.fail(fmt::format("cast to {}", dtype_name(static_cast<std::uint32_t>(to))));
    return c.give(static_cast<std::uint16_t>(to), c.in(0).dims);
}

result<void> rule_fill(rule_context& c) {
    const std::int64_t t = c.attrs.i64(RLX_ATTR_dtype);
    if (t != RLX_F32 && t != RLX_I32 && t != RLX_BOOL)
        return c.fail(fmt::format(
            "dtype {}, expected f32, i32 or bool", dtype_name(static_cast<std::uint32_t>(t))
        ));
    return c.give(static_cast<std::uint16_t>(t), RLX_TRY(c.dim_list(RLX_ATTR_dims)));
}

result<void> rule_arange(rule_context& c) {
    const dim n = c.attrs.i64(RLX_ATTR_n);
    RLX_CHECK(c.extent(n, "n"));
    return c.give(RLX_I32, {n});
}

} // namespace rlx::ir
