// SPDX-License-Identifier: GPL-3.0-only
// Rules of the ops that remember from token to token, and of the states that outlive a run.
#include "rules.hpp"

#include <cmath>
#include <fmt/format.h>

namespace rlx::ir {

namespace {

// Input i has exactly this shape.
result<void>
shaped(rule_context& c, std::size_t i, std::string_view name, std::span<const dim> want) {
    const std::string expected = fmt::format("{} {}", name, c.dims.text(want));
    RLX_CHECK(c.rank(i, want.size(), expected));
    for (std::size_t a = 0; a < want.size(); a++)
        RLX_CHECK(c.same(want[a], c.in(i).dims[a], i, expected));
    return {};
}

result<void>
f32_shaped(rule_context& c, std::size_t i, std::string_view name, const std::vector<dim>& want) {
    RLX_CHECK(c.dtype(i, RLX_F32));
    return shaped(c, i, name, want);
}

result<void> parameter_shaped(
    rule_context& c, std::size_t i, std::string_view name, const std::vector<dim>& want
) {
    if (!c.has(i)) return {};
    RLX_CHECK(c.parameter(i));
    return shaped(c, i, name, want);
}

// cu_seqlens at input i; the number of sequences.
result<dim> sequences(rule_context& c, std::size_t i) {
    RLX_CHECK(c.dtype(i, RLX_I32));
    RLX_CHECK(c.rank(i, 1, "cu_seqlens i32 [B + 1]"));
    const dim n = c.in(i).dims[0];
    RLX_CHECK(c.at_most(1, n, "cu_seqlens i32 [B + 1]"));
    return c.dims.sub(n, 1);
}

// The optional state at input i and the new one as last output.
result<void> remembers(rule_context& c, std::size_t i, std::vector<dim> shape) {
    if (c.has(i)) RLX_CHECK(f32_shaped(c, i, "a state", shape));
    return c.give(RLX_F32, std::move(shape));
}

} // namespace

result<void> rule_causal_conv1d(rule_context& c) {
    RLX_CHECK(c.dtype(0, RLX_F32));
    RLX_CHECK(c.rank(0, 2, "[T, C]"));
    RLX_CHECK(c.parameter(1));
    const std::vector<dim> x = c.in(0).dims;
    const std::string expected = fmt::format("W [{}, K], K >= 1", c.dims.text(x[1]));
    RLX_CHECK(c.rank(1, 2, expected));
    RLX_CHECK(c.same(x[1], c.in(1).dims[0], 1, expected));
    const dim taps = c.in(1).dims[1];
    if (taps < 1) return c.bad(1, expected);
    const dim b = RLX_TRY(sequences(c, 2));
    RLX_CHECK(parameter_shaped(c, 3, "a bias", {x[1]}));
    RLX_CHECK(c.give(RLX_F32, x));
    return remembers(c, 4, {b, x[1], taps - 1});
}

result<void> rule_selective_scan(rule_context& c) {
    RLX_CHECK(c.dtype(0, RLX_F32));
    RLX_CHECK(c.rank(0, 2, "[T, D]"));
    RLX_CHECK(c.parameter(2));
    const std::vector<dim> x = c.in(0).dims;
    const std::string expected = fmt::format("A [{}, N]", c.dims.text(x[1]));
    RLX_CHECK(c.rank(2, 2, expected));
    RLX_CHECK(c.same(x[1], c.in(2).dims[0], 2, expected));
    const dim n = c.in(2).dims[1];
    RLX_CHECK(f32_shaped(c, 1, "dt", x));
    RLX_CHECK(f32_shaped(c, 3, "B", {x[0], n}));
    RLX_CHECK(f32_shaped(c, 4, "C", {x[0], n}));
    const dim b = RLX_TRY(sequences(c, 5));
    RLX_CHECK(parameter_shaped(c, 6, "a skip", {x[1]}));
    RLX_CHECK(c.give(RLX_F32, x));
    return remembers(c, 7, {b, x[1], n});
}

result<void> rule_ssd_scan(rule_context& c) {
    RLX_CHECK(c.dtype(0, RLX_F32));
    RLX_CHECK(c.rank(0, 3, "[T, H, P]"));
    const std::vector<dim> x = c.in(0).dims;
    RLX_CHECK(f32_shaped(c, 1, "dt", {x[0], x[1]}));
    RLX_CHECK(parameter_shaped(c, 2, "A", {x[1]}));
    RLX_CHECK(c.rank(3, 3, "B [T, G, N]"));
    const dim groups = c.in(3).dims[1], n = c.in(3).dims[2];
    if (groups < 1 || x[1] < 0 || x[1] % groups != 0)
        return c.bad(3, fmt::format("B [T, G, N], {} heads in G equal groups", c.dims.text(x[1])));
    RLX_CHECK(f32_shaped(c, 3, "B", {x[0], groups, n}));
    RLX_CHECK(f32_shaped(c, 4, "C", {x[0], groups, n}));
    const dim b = RLX_TRY(sequences(c, 5));
    RLX_CHECK(parameter_shaped(c, 6, "a skip", {x[1]}));
    RLX_CHECK(c.give(RLX_F32, x));
    return remembers(c, 7, {b, x[1], x[2], n});
}

namespace {

struct head_shapes {
    std::vector<dim> q, v; // [T, Hk, dk], [T, H, dv]
};

// q, k and v, and the attributes of their heads.
result<head_shapes> read_heads(rule_context& c) {
    RLX_CHECK(c.one_of(RLX_ATTR_tiled, 0, 1));
    if (!std::isfinite(c.attrs.f64(RLX_ATTR_scale))) return c.fail("attribute scale is not finite");
    RLX_CHECK(c.dtype(0, RLX_F32));
    RLX_CHECK(c.dtype(2, RLX_F32));
    RLX_CHECK(c.rank(0, 3, "q [T, Hk, dk]"));
    head_shapes h{c.in(0).dims, c.in(2).dims};
    RLX_CHECK(f32_shaped(c, 1, "k", h.q));
    const std::string expected =
        fmt::format("v [{}, a multiple of {} heads, dv]", c.dims.text(h.q[0]), c.dims.text(h.q[1]));
    RLX_CHECK(c.rank(2, 3, expected));
    RLX_CHECK(c.same(h.q[0], h.v[0], 2, expected));
    if (h.q[1] < 1 || h.v[1] < 0 || h.v[1] % h.q[1] != 0) return c.bad(2, expected);
    return h;
}

// [T, H] or [T, H, dk]
result<void> check_decay(rule_context& c, std::size_t i, const head_shapes& h) {
    if (c.in(i).dims.size() == 3) return f32_shaped(c, i, "decay", {h.v[0], h.v[1], h.q[2]});
    return f32_shaped(c, i, "decay", {h.v[0], h.v[1]});
}

} // namespace

result<void> rule_gated_delta_rule(rule_context& c) {
    const head_shapes h = RLX_TRY(read_heads(c));
    RLX_CHECK(check_decay(c, 3, h));
    RLX_CHECK(f32_shaped(c, 4, "beta", {h.v[0], h.v[1]}));
    const dim b = RLX_TRY(sequences(c, 5));
    RLX_CHECK(c.give(RLX_F32, h.v));
    return remembers(c, 6, {b, h.v[1], h.q[2], h.v[2]});
}

result<void> rule_linear_attention(rule_context& c) {
    const head_shapes h = RLX_TRY(read_heads(c));
    const dim b = RLX_TRY(sequences(c, 3));
    if (c.has(4) && c.in(4).dims.size() == 1)
        RLX_CHECK(f32_shaped(c, 4, "decay", {h.v[1]}));
    else if (c.has(4))
        RLX_CHECK(check_decay(c, 4, h));
    RLX_CHECK(c.give(RLX_F32, h.v));
    return remembers(c, 5, {b, h.v[1], h.q[2], h.v[2]});
}

result<void> rule_rnn(rule_context& c) {
    RLX_CHECK(c.dtype(0, RLX_F32));
    RLX_CHECK(c.one_of(RLX_ATTR_kind, RLX_RNN_LSTM, RLX_RNN_RELU));
    RLX_CHECK(c.one_of(RLX_ATTR_reverse, 0, 1));
    RLX_CHECK(c.rank(0, 3, "[N, T, in]"));
    RLX_CHECK(c.parameter(1));
    RLX_CHECK(c.parameter(2));
    const std::int64_t kind = c.attrs.i64(RLX_ATTR_kind);
    const std::int64_t parts = kind == RLX_RNN_LSTM ? 4 : kind == RLX_RNN_GRU ? 3 : 1;
    const std::vector<dim> x = c.in(0).dims;
    RLX_CHECK(c.rank(2, 2, fmt::format("Wh [{} h, h]", parts)));
    const dim h = c.in(2).dims[1];
    if (h < 0) return c.bad(2, "a weight of known size");
    RLX_CHECK(parameter_shaped(c, 1, "Wi", {parts * h, x[2]}));
    RLX_CHECK(parameter_shaped(c, 2, "Wh", {parts * h, h}));
    RLX_CHECK(parameter_shaped(c, 3, "bi", {parts * h}));
    RLX_CHECK(parameter_shaped(c, 4, "bh", {parts * h}));
    if (c.has(5)) RLX_CHECK(f32_shaped(c, 5, "h0", {x[0], h}));
    if (c.has(6) && kind != RLX_RNN_LSTM) return c.bad(6, "nothing: only an LSTM has cells");
    if (c.has(6)) RLX_CHECK(f32_shaped(c, 6, "c0", {x[0], h}));
    RLX_CHECK(c.give(RLX_F32, {x[0], x[1], h}));
    RLX_CHECK(c.give(RLX_F32, {x[0], h}));
    return c.give(RLX_F32, {x[0], h});
}

// ---- states ----

namespace {

result<void> tensor_state(rule_context& c) {
    if (c.in(0).slot.kind != RLX_STATE_TENSOR) return c.bad(0, "a state of kind RLX_STATE_TENSOR");
    return {};
}

std::vector<dim> page_shape(rule_context& c, dim sequences) {
    const rlx_state_slot& s = c.in(0).slot;
    return {sequences, s.n_heads, s.k_dim, s.v_dim};
}

} // namespace

result<void> rule_state_load(rule_context& c) {
    RLX_CHECK(tensor_state(c));
    RLX_CHECK(c.dtype(1, RLX_I32));
    RLX_CHECK(c.rank(1, 1, "pages i32 [B]"));
    return c.give(RLX_F32, page_shape(c, c.in(1).dims[0]));
}

result<void> rule_state_store(rule_context& c) {
    RLX_CHECK(tensor_state(c));
    RLX_CHECK(c.dtype(2, RLX_I32));
    RLX_CHECK(c.rank(2, 1, "pages i32 [B]"));
    RLX_CHECK(f32_shaped(c, 1, "x", page_shape(c, c.in(2).dims[0])));
    out_spec o;
    o.dtype = c.in(0).dtype;
    o.root = c.in(0).root;
    c.out.push_back(std::move(o));
    return {};
}

} // namespace rlx::ir
