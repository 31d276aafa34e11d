// SPDX-License-Identifier: GPL-3.0-only
// Rules of index, elementwise, reduce and norm ops.
#include "rules.hpp"

#include <cmath>
#include <fmt/format.h>

namespace rlx::ir {

result<void> rule_gather_rows(rule_context& c) {
    if (c.in(0).dims.empty()) return c.bad(0, "a table [N, ...]");
    RLX_CHECK(c.dtype(1, RLX_I32));
    std::vector<dim> shape = c.in(1).dims;
    shape.insert(shape.end(), c.in(0).dims.begin() + 1, c.in(0).dims.end());
    if (shape.size() > RLX_MAX_RANK) return c.bad(1, "a result of at most 8 axes");
    return c.give(RLX_F32, std::move(shape));
}

// The plugin's rule has its own way in (custom.cpp).
result<void> rule_custom(rule_context& c) {
    return c.fail("made by add_custom, not by add");
}

result<void> rule_take_along(rule_context& c) {
    const std::size_t axis = RLX_TRY(c.axis(0));
    RLX_CHECK(c.dtype(1, RLX_I32));
    const value &x = c.in(0), &idx = c.in(1);
    const std::string expected = fmt::format("i32 {} but on axis {}", c.dims.text(x.dims), axis);
    RLX_CHECK(c.rank(1, x.dims.size(), expected));
    for (std::size_t k = 0; k < x.dims.size(); k++)
        if (k != axis) RLX_CHECK(c.same(x.dims[k], idx.dims[k], 1, expected));
    return c.give(x.dtype, idx.dims);
}

result<void> rule_top_k(rule_context& c) {
    RLX_CHECK(c.dtype(0, RLX_F32));
    std::vector<dim> shape = c.in(0).dims;
    if (shape.empty()) return c.bad(0, "[..., N]");
    const std::int64_t k = c.attrs.i64(RLX_ATTR_k);
    if (k < 0) return c.fail(fmt::format("k is {}, expected >= 0", k));
    RLX_CHECK(c.at_most(k, shape.back(), "k of the last axis"));
    shape.back() = k;
    RLX_CHECK(c.give(RLX_F32, shape));
    return c.give(RLX_I32, std::move(shape));
}

result<void> rule_same_f32(rule_context& c) {
    RLX_CHECK(c.dtype(0, RLX_F32));
    // Unary is the only one of these ops with a kind.
    RLX_CHECK(c.one_of(RLX_ATTR_kind, RLX_UNARY_NEG, RLX_UNARY_LOG1P));
    return c.give(RLX_F32, c.in(0).dims);
}

namespace {

result<void> f32_or_i32(rule_context& c, std::size_t i) {
    if (c.in(i).dtype != RLX_F32 && c.in(i).dtype != RLX_I32) return c.bad(i, "f32 or i32");
    return {};
}

} // namespace

result<void> rule_binary(rule_context& c) {
    RLX_CHECK(c.one_of(RLX_ATTR_kind, RLX_BINARY_ADD, RLX_BINARY_ATAN2));
    RLX_CHECK(f32_or_i32(c, 0));
    RLX_CHECK(c.dtype(1, c.in(0).dtype));
    if (c.attrs.i64(RLX_ATTR_kind) >= RLX_BINARY_POW) RLX_CHECK(c.dtype(0, RLX_F32));
    const std::size_t both[] = {0, 1};
    return c.give(c.in(0).dtype, RLX_TRY(c.broadcast(both)));
}

result<void> rule_compare(rule_context& c) {
    RLX_CHECK(c.one_of(RLX_ATTR_kind, RLX_COMPARE_EQ, RLX_COMPARE_GE));
    RLX_CHECK(f32_or_i32(c, 0));
    RLX_CHECK(c.dtype(1, c.in(0).dtype));
    const std::size_t both[] = {0, 1};
    return c.give(RLX_BOOL, RLX_TRY(c.broadcast(both)));
}

result<void> rule_select(rule_context& c) {
    RLX_CHECK(c.dtype(0, RLX_BOOL));
    RLX_CHECK(f32_or_i32(c, 1));
    RLX_CHECK(c.dtype(2, c.in(1).dtype));
    const std::size_t all[] = {0, 1, 2};
    return c.give(c.in(1).dtype, RLX_TRY(c.broadcast(all)));
}

result<void> rule_glu(rule_context& c) {
    RLX_CHECK(c.one_of(RLX_ATTR_kind, RLX_GLU_SWIGLU, RLX_GLU_SIGMOID));
    RLX_CHECK(c.dtype(0, RLX_F32));
    RLX_CHECK(c.dtype(1, RLX_F32));
    const value &gate = c.in(0), &up = c.in(1);
    const std::string expected = fmt::format("f32 {} like the gate", c.dims.text(gate.dims));
    RLX_CHECK(c.rank(1, gate.dims.size(), expected));
    for (std::size_t i = 0; i < gate.dims.size(); i++)
        RLX_CHECK(c.same(gate.dims[i], up.dims[i], 1, expected));
    return c.give(RLX_F32, gate.dims);
}

result<void> rule_reduce(rule_context& c) {
    RLX_CHECK(c.one_of(RLX_ATTR_kind, RLX_REDUCE_SUM, RLX_REDUCE_L2));
    RLX_CHECK(c.one_of(RLX_ATTR_keep, 0, 1));
    RLX_CHECK(c.dtype(0, RLX_F32));
    const std::size_t axis = RLX_TRY(c.axis(0));
    std::vector<dim> shape = c.in(0).dims;
    if (c.attrs.i64(RLX_ATTR_keep))
        shape[axis] = 1;
    else
        shape.erase(shape.begin() + static_cast<std::ptrdiff_t>(axis));
    return c.give(RLX_F32, std::move(shape));
}

result<void> rule_softmax(rule_context& c) {
    RLX_CHECK(c.dtype(0, RLX_F32));
    (void)RLX_TRY(c.axis(0));
    return c.give(RLX_F32, c.in(0).dims);
}

result<void> rule_rms_norm(rule_context& c) {
    RLX_CHECK(c.dtype(0, RLX_F32));
    const value& x = c.in(0);
    if (x.dims.empty()) return c.bad(0, "[..., n]");
    const double eps = c.attrs.f64(RLX_ATTR_eps);
    if (!(eps >= 0) || std::isinf(eps)) return c.fail(fmt::format("eps is {}", eps));
    if (c.has(1)) {
        const std::string expected = fmt::format("a weight [{}]", c.dims.text(x.dims.back()));
        RLX_CHECK(c.parameter(1));
        RLX_CHECK(c.rank(1, 1, expected));
        RLX_CHECK(c.same(x.dims.back(), c.in(1).dims[0], 1, expected));
    }
    return c.give(RLX_F32, x.dims);
}

} // namespace rlx::ir
