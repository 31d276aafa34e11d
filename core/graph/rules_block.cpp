// SPDX-License-Identifier: GPL-3.0-only
// Rules of the norms, gates and products of encoders, decoders and codecs.
#include "rules.hpp"

#include <cmath>
#include <fmt/format.h>

namespace rlx::ir {

namespace {

result<void> check_eps(rule_context& c) {
    const double eps = c.attrs.f64(RLX_ATTR_eps);
    if (!(eps >= 0) || std::isinf(eps)) return c.fail(fmt::format("eps is {}", eps));
    return {};
}

// Optional parameters [n] at inputs first and first + 1.
result<void> check_parameters(rule_context& c, std::size_t first, dim n) {
    for (std::size_t i = first; i < first + 2; i++) {
        if (!c.has(i)) continue;
        const std::string expected = fmt::format("a parameter [{}]", c.dims.text(n));
        RLX_CHECK(c.parameter(i));
        RLX_CHECK(c.rank(i, 1, expected));
        RLX_CHECK(c.same(n, c.in(i).dims[0], i, expected));
    }
    return {};
}

// Input i spreads to `to` as numpy does.
result<void> spreads(rule_context& c, std::size_t i, std::span<const dim> to) {
    const std::vector<dim>& have = c.in(i).dims;
    const std::string expected = fmt::format("a shape that broadcasts to {}", c.dims.text(to));
    RLX_CHECK(c.dtype(i, RLX_F32));
    if (have.size() > to.size()) return c.bad(i, expected);
    for (std::size_t k = 0; k < have.size(); k++)
        if (have[k] != 1) RLX_CHECK(c.same(to[to.size() - have.size() + k], have[k], i, expected));
    return {};
}

} // namespace

result<void> rule_snake(rule_context& c) {
    RLX_CHECK(c.dtype(0, RLX_F32));
    RLX_CHECK(c.one_of(RLX_ATTR_log, 0, 1));
    RLX_CHECK(check_eps(c));
    const value& x = c.in(0);
    if (x.dims.size() < 2) return c.bad(0, "[N, C, ...]");
    RLX_CHECK(check_parameters(c, 1, x.dims[1]));
    return c.give(RLX_F32, x.dims);
}

result<void> rule_modulate(rule_context& c) {
    RLX_CHECK(c.dtype(0, RLX_F32));
    const value& x = c.in(0);
    for (std::size_t i = 1; i < 4; i++)
        if (c.has(i)) RLX_CHECK(spreads(c, i, x.dims));
    if (c.has(4)) {
        const std::string expected = fmt::format("f32 {} like x", c.dims.text(x.dims));
        RLX_CHECK(c.dtype(4, RLX_F32));
        RLX_CHECK(c.rank(4, x.dims.size(), expected));
        for (std::size_t i = 0; i < x.dims.size(); i++)
            RLX_CHECK(c.same(x.dims[i], c.in(4).dims[i], 4, expected));
    }
    return c.give(RLX_F32, x.dims);
}

result<void> rule_layer_norm(rule_context& c) {
    RLX_CHECK(c.dtype(0, RLX_F32));
    RLX_CHECK(check_eps(c));
    const value& x = c.in(0);
    if (x.dims.empty()) return c.bad(0, "[..., n]");
    RLX_CHECK(check_parameters(c, 1, x.dims.back()));
    return c.give(RLX_F32, x.dims);
}

result<void> rule_l2_norm(rule_context& c) {
    RLX_CHECK(c.dtype(0, RLX_F32));
    RLX_CHECK(check_eps(c));
    RLX_CHECK(c.one_of(RLX_ATTR_kind, RLX_L2_MAX, RLX_L2_ADD));
    if (c.in(0).dims.empty()) return c.bad(0, "[..., n]");
    return c.give(RLX_F32, c.in(0).dims);
}

result<void> rule_channel_norm(rule_context& c) {
    RLX_CHECK(c.dtype(0, RLX_F32));
    RLX_CHECK(check_eps(c));
    const value& x = c.in(0);
    if (x.dims.size() < 2) return c.bad(0, "[N, C, ...]");
    RLX_CHECK(check_parameters(c, 1, x.dims[1]));
    return c.give(RLX_F32, x.dims);
}

result<void> rule_group_norm(rule_context& c) {
    RLX_CHECK(c.dtype(0, RLX_F32));
    RLX_CHECK(check_eps(c));
    const value& x = c.in(0);
    const std::int64_t groups = c.attrs.i64(RLX_ATTR_groups);
    if (groups < 1) return c.fail(fmt::format("groups is {}, expected >= 1", groups));
    if (x.dims.size() < 2 || x.dims[1] < 0 || x.dims[1] % groups != 0)
        return c.bad(0, fmt::format("[N, C, ...] with C in {} equal groups", groups));
    RLX_CHECK(check_parameters(c, 1, x.dims[1]));
    return c.give(RLX_F32, x.dims);
}

result<void> rule_batch_matmul(rule_context& c) {
    RLX_CHECK(c.dtype(0, RLX_F32));
    RLX_CHECK(c.dtype(1, RLX_F32));
    const std::vector<dim>&a = c.in(0).dims, &b = c.in(1).dims;
    if (a.size() < 2) return c.bad(0, "[..., m, k]");
    const std::string expected = fmt::format("[..., n, {}]", c.dims.text(a.back()));
    if (b.size() < 2) return c.bad(1, expected);
    RLX_CHECK(c.same(a.back(), b.back(), 1, expected));
    const std::size_t lead = std::max(a.size(), b.size()) - 2;
    std::vector<dim> shape(lead, 1);
    for (const std::vector<dim>* s : {&a, &b}) {
        const std::size_t skip = lead + 2 - s->size();
        for (std::size_t k = 0; k + 2 < s->size(); k++) {
            dim& to = shape[skip + k];
            if ((*s)[k] == 1) continue;
            if (to == 1)
                to = (*s)[k];
            else
                RLX_CHECK(c.same(to, (*s)[k], 1, "leading axes that broadcast with input 0"));
        }
    }
    shape.push_back(a[a.size() - 2]);
    shape.push_back(b[b.size() - 2]);
    return c.give(RLX_F32, std::move(shape));
}

namespace {

result<void> attention_attributes(rule_context& c) {
    RLX_CHECK(c.one_of(RLX_ATTR_causal, 0, 1));
    const std::int64_t window = c.attrs.i64(RLX_ATTR_window);
    if (window < 0 || window > INT32_MAX) return c.fail(fmt::format("window is {}", window));
    if (window > 0 && c.attrs.i64(RLX_ATTR_causal) != 1) return c.fail("a window needs causal = 1");
    if (!(c.attrs.f64(RLX_ATTR_softcap) >= 0)) return c.fail("attribute softcap is negative");
    return {};
}

} // namespace

result<void> rule_attention(rule_context& c) {
    for (std::size_t i = 0; i < 3; i++)
        RLX_CHECK(c.dtype(i, RLX_F32));
    const std::vector<dim>&q = c.in(0).dims, &k = c.in(1).dims, &v = c.in(2).dims;
    RLX_CHECK(c.rank(0, 4, "q [B, Tq, Hq, dk]"));
    const std::string wanted_k =
        fmt::format("k [{}, Tk, Hkv, {}]", c.dims.text(q[0]), c.dims.text(q[3]));
    RLX_CHECK(c.rank(1, 4, wanted_k));
    RLX_CHECK(c.same(q[0], k[0], 1, wanted_k));
    RLX_CHECK(c.same(q[3], k[3], 1, wanted_k));
    const std::string wanted_v = fmt::format("v {} but for its last axis", c.dims.text(k));
    RLX_CHECK(c.rank(2, 4, wanted_v));
    for (std::size_t i = 0; i < 3; i++)
        RLX_CHECK(c.same(k[i], v[i], 2, wanted_v));
    if (k[2] < 1 || q[2] < 0 || q[2] % k[2] != 0)
        return c.bad(0, fmt::format("query heads in a multiple of {}", c.dims.text(k[2])));
    RLX_CHECK(attention_attributes(c));
    if (c.attrs.i64(RLX_ATTR_causal) == 1)
        RLX_CHECK(c.at_most(q[1], k[1], "queries of the keys, with causal = 1"));
    if (c.has(3)) RLX_CHECK(spreads(c, 3, std::vector<dim>{q[0], q[2], q[1], k[1]}));
    return c.give(RLX_F32, {q[0], q[1], q[2], v[3]});
}

result<void> rule_ragged_attention(rule_context& c) {
    for (std::size_t i = 0; i < 3; i++)
        RLX_CHECK(c.dtype(i, RLX_F32));
    RLX_CHECK(c.dtype(3, RLX_I32));
    const std::vector<dim>&q = c.in(0).dims, &k = c.in(1).dims, &v = c.in(2).dims;
    RLX_CHECK(c.rank(0, 3, "q [T, Hq, dk]"));
    const std::string wanted_k =
        fmt::format("k [{}, Hkv, {}]", c.dims.text(q[0]), c.dims.text(q[2]));
    RLX_CHECK(c.rank(1, 3, wanted_k));
    RLX_CHECK(c.same(q[0], k[0], 1, wanted_k));
    RLX_CHECK(c.same(q[2], k[2], 1, wanted_k));
    const std::string wanted_v = fmt::format("v {} but for its last axis", c.dims.text(k));
    RLX_CHECK(c.rank(2, 3, wanted_v));
    for (std::size_t i = 0; i < 2; i++)
        RLX_CHECK(c.same(k[i], v[i], 2, wanted_v));
    if (k[1] < 1 || q[1] < 0 || q[1] % k[1] != 0)
        return c.bad(0, fmt::format("query heads in a multiple of {}", c.dims.text(k[1])));
    RLX_CHECK(c.rank(3, 1, "cu_seqlens i32 [B + 1]"));
    RLX_CHECK(attention_attributes(c));
    if (c.has(4)) {
        const std::string wanted = fmt::format("bias f32 [{}, an odd number]", c.dims.text(q[1]));
        RLX_CHECK(c.dtype(4, RLX_F32));
        RLX_CHECK(c.rank(4, 2, wanted));
        RLX_CHECK(c.same(q[1], c.in(4).dims[0], 4, wanted));
        if (c.in(4).dims[1] < 0 || c.in(4).dims[1] % 2 != 1) return c.bad(4, wanted);
    }
    return c.give(RLX_F32, {q[0], q[1], v[2]});
}

} // namespace rlx::ir
