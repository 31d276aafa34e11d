// SPDX-License-Identifier: GPL-3.0-only
// Rules of Flip, Random and the ops that look up, scatter, sort and scan.
#include "dtype.hpp"
#include "rules.hpp"

#include <cmath>
#include <fmt/format.h>

namespace rlx::ir {

namespace {

result<void> f32_or_i32(rule_context& c, std::size_t i) {
    if (c.in(i).dtype != RLX_F32 && c.in(i).dtype != RLX_I32) return c.bad(i, "f32 or i32");
    return {};
}

// Input i has the shape of input k, but on `axis` (no_axis: on every one).
constexpr std::size_t no_axis = RLX_MAX_RANK;

result<void> shaped_like(rule_context& c, std::size_t i, std::size_t k, std::size_t axis) {
    const std::vector<dim>& want = c.in(k).dims;
    const std::string but = axis == no_axis ? std::string() : fmt::format(" but on axis {}", axis);
    const std::string expected = c.dims.text(want) + but;
    RLX_CHECK(c.rank(i, want.size(), expected));
    for (std::size_t a = 0; a < want.size(); a++)
        if (a != axis) RLX_CHECK(c.same(want[a], c.in(i).dims[a], i, expected));
    return {};
}

result<std::vector<dim>> without_axis(rule_context& c) {
    RLX_CHECK(c.one_of(RLX_ATTR_keep, 0, 1));
    const std::size_t axis = RLX_TRY(c.axis(0));
    std::vector<dim> shape = c.in(0).dims;
    if (c.attrs.i64(RLX_ATTR_keep))
        shape[axis] = 1;
    else
        shape.erase(shape.begin() + static_cast<std::ptrdiff_t>(axis));
    return shape;
}

} // namespace

result<void> rule_flip(rule_context& c) {
    (void)RLX_TRY(c.axis(0));
    return c.give(c.in(0).dtype, c.in(0).dims);
}

result<void> rule_random(rule_context& c) {
    RLX_CHECK(c.one_of(RLX_ATTR_kind, RLX_RANDOM_UNIFORM, RLX_RANDOM_NORMAL));
    for (std::size_t i = 0; i < 2; i++) {
        RLX_CHECK(c.dtype(i, RLX_I32));
        RLX_CHECK(c.rank(i, 1, "i32 [2]"));
        RLX_CHECK(c.same(2, c.in(i).dims[0], i, "i32 [2]"));
    }
    return c.give(RLX_F32, RLX_TRY(c.dim_list(RLX_ATTR_dims)));
}

result<void> rule_gather(rule_context& c) {
    const std::size_t axis = RLX_TRY(c.axis(0));
    RLX_CHECK(c.dtype(1, RLX_I32));
    const std::vector<dim>& idx = c.in(1).dims;
    std::vector<dim> shape = c.in(0).dims;
    if (shape.size() - 1 + idx.size() > RLX_MAX_RANK) return c.bad(1, "a result of at most 8 axes");
    const auto at = shape.erase(shape.begin() + static_cast<std::ptrdiff_t>(axis));
    shape.insert(at, idx.begin(), idx.end());
    return c.give(c.in(0).dtype, std::move(shape));
}

result<void> rule_scatter_rows(rule_context& c) {
    RLX_CHECK(c.one_of(RLX_ATTR_accumulate, 0, 1));
    RLX_CHECK(f32_or_i32(c, 0));
    RLX_CHECK(c.dtype(1, RLX_I32));
    RLX_CHECK(c.dtype(2, c.in(0).dtype));
    if (c.in(0).dims.empty()) return c.bad(0, "[N, ...]");
    RLX_CHECK(c.rank(1, 1, "ids i32 [T]"));
    RLX_CHECK(shaped_like(c, 2, 0, 0));
    const dim n = c.in(1).dims[0];
    RLX_CHECK(c.same(n, c.in(2).dims[0], 2, fmt::format("{} rows", c.dims.text(n))));
    return c.give(c.in(0).dtype, c.in(0).dims);
}

result<void> rule_scatter_along(rule_context& c) {
    RLX_CHECK(c.one_of(RLX_ATTR_accumulate, 0, 1));
    const std::size_t axis = RLX_TRY(c.axis(0));
    RLX_CHECK(f32_or_i32(c, 0));
    RLX_CHECK(c.dtype(1, RLX_I32));
    RLX_CHECK(c.dtype(2, c.in(0).dtype));
    RLX_CHECK(shaped_like(c, 1, 0, axis));
    RLX_CHECK(shaped_like(c, 2, 1, no_axis));
    return c.give(c.in(0).dtype, c.in(0).dims);
}

result<void> rule_sort(rule_context& c) {
    RLX_CHECK(c.dtype(0, RLX_F32));
    RLX_CHECK(c.one_of(RLX_ATTR_descending, 0, 1));
    if (c.in(0).dims.empty()) return c.bad(0, "[..., N]");
    RLX_CHECK(c.give(RLX_F32, c.in(0).dims));
    return c.give(RLX_I32, c.in(0).dims);
}

result<void> rule_arg_reduce(rule_context& c) {
    RLX_CHECK(c.dtype(0, RLX_F32));
    RLX_CHECK(c.one_of(RLX_ATTR_kind, RLX_REDUCE_MAX, RLX_REDUCE_MIN));
    return c.give(RLX_I32, RLX_TRY(without_axis(c)));
}

result<void> rule_log_sum_exp(rule_context& c) {
    RLX_CHECK(c.dtype(0, RLX_F32));
    return c.give(RLX_F32, RLX_TRY(without_axis(c)));
}

result<void> rule_cum_sum(rule_context& c) {
    RLX_CHECK(f32_or_i32(c, 0));
    RLX_CHECK(c.one_of(RLX_ATTR_exclusive, 0, 1));
    RLX_CHECK(c.one_of(RLX_ATTR_reverse, 0, 1));
    (void)RLX_TRY(c.axis(0));
    return c.give(c.in(0).dtype, c.in(0).dims);
}

result<void> rule_vq_nearest(rule_context& c) {
    RLX_CHECK(c.dtype(0, RLX_F32));
    RLX_CHECK(c.parameter(1));
    std::vector<dim> shape = c.in(0).dims;
    if (shape.empty()) return c.bad(0, "[..., d]");
    const std::string expected = fmt::format("a codebook [K, {}]", c.dims.text(shape.back()));
    RLX_CHECK(c.rank(1, 2, expected));
    RLX_CHECK(c.same(shape.back(), c.in(1).dims[1], 1, expected));
    shape.pop_back();
    return c.give(RLX_I32, std::move(shape));
}

} // namespace rlx::ir
