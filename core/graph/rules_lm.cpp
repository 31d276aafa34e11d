// SPDX-License-Identifier: GPL-3.0-only
// Rules of linear, mixture-of-experts, rope, attention and state ops.
#include "rules.hpp"

#include <fmt/format.h>

namespace rlx::ir {

result<void> rule_matmul(rule_context& c) {
    RLX_CHECK(c.dtype(0, RLX_F32));
    RLX_CHECK(c.matrix_type(1));
    const value &x = c.in(0), &w = c.in(1);
    if (x.dims.empty()) return c.bad(0, "[..., in]");
    const std::string expected = fmt::format("W [out, {}]", c.dims.text(x.dims.back()));
    RLX_CHECK(c.rank(1, 2, expected));
    RLX_CHECK(c.same(x.dims.back(), w.dims[1], 1, expected));
    if (c.has(2)) {
        const std::string bias = fmt::format("a bias [{}]", c.dims.text(w.dims[0]));
        RLX_CHECK(c.parameter(2));
        RLX_CHECK(c.rank(2, 1, bias));
        RLX_CHECK(c.same(w.dims[0], c.in(2).dims[0], 2, bias));
    }
    std::vector<dim> shape = x.dims;
    shape.back() = w.dims[0];
    return c.give(RLX_F32, std::move(shape));
}

result<void> rule_lora_matmul(rule_context& c) {
    RLX_CHECK(c.dtype(0, RLX_F32));
    RLX_CHECK(c.matrix_type(1));
    RLX_CHECK(c.parameter(2));
    RLX_CHECK(c.parameter(3));
    const std::vector<dim>&x = c.in(0).dims, &w = c.in(1).dims;
    if (x.empty()) return c.bad(0, "[..., in]");
    const std::string wanted_w = fmt::format("W [out, {}]", c.dims.text(x.back()));
    RLX_CHECK(c.rank(1, 2, wanted_w));
    RLX_CHECK(c.same(x.back(), w[1], 1, wanted_w));
    const std::string wanted_a = fmt::format("A [r, {}]", c.dims.text(x.back()));
    RLX_CHECK(c.rank(2, 2, wanted_a));
    const std::vector<dim>& a = c.in(2).dims;
    RLX_CHECK(c.same(x.back(), a[1], 2, wanted_a));
    const std::string wanted_b = fmt::format("B [{}, {}]", c.dims.text(w[0]), c.dims.text(a[0]));
    RLX_CHECK(c.rank(3, 2, wanted_b));
    RLX_CHECK(c.same(w[0], c.in(3).dims[0], 3, wanted_b));
    RLX_CHECK(c.same(a[0], c.in(3).dims[1], 3, wanted_b));
    if (c.has(4)) {
        const std::string bias = fmt::format("a bias [{}]", c.dims.text(w[0]));
        RLX_CHECK(c.parameter(4));
        RLX_CHECK(c.rank(4, 1, bias));
        RLX_CHECK(c.same(w[0], c.in(4).dims[0], 4, bias));
    }
    std::vector<dim> shape = x;
    shape.back() = w[0];
    return c.give(RLX_F32, std::move(shape));
}

result<void> rule_grouped_matmul(rule_context& c) {
    RLX_CHECK(c.dtype(0, RLX_F32));
    RLX_CHECK(c.matrix_type(1));
    RLX_CHECK(c.dtype(2, RLX_I32));
    const value &x = c.in(0), &w = c.in(1), &ids = c.in(2);
    if (x.dims.size() != 2 && x.dims.size() != 3) return c.bad(0, "[T, in] or [T, K, in]");
    const std::string wanted_w = fmt::format("W [E, out, {}]", c.dims.text(x.dims.back()));
    RLX_CHECK(c.rank(1, 3, wanted_w));
    RLX_CHECK(c.same(x.dims.back(), w.dims[2], 1, wanted_w));
    const std::string wanted_ids = fmt::format(
        "i32 [{}, {}]", c.dims.text(x.dims[0]), x.dims.size() == 3 ? c.dims.text(x.dims[1]) : "K"
    );
    RLX_CHECK(c.rank(2, 2, wanted_ids));
    RLX_CHECK(c.same(x.dims[0], ids.dims[0], 2, wanted_ids));
    if (x.dims.size() == 3) RLX_CHECK(c.same(x.dims[1], ids.dims[1], 2, wanted_ids));
    return c.give(RLX_F32, {x.dims[0], ids.dims[1], w.dims[1]});
}

result<void> rule_moe_route(rule_context& c) {
    RLX_CHECK(c.dtype(0, RLX_F32));
    RLX_CHECK(c.rank(0, 2, "router logits [T, E]"));
    RLX_CHECK(c.one_of(RLX_ATTR_normalise, 0, 1));
    const value& x = c.in(0);
    const std::int64_t k = c.attrs.i64(RLX_ATTR_k);
    if (k < 1) return c.fail(fmt::format("k is {}, expected >= 1", k));
    RLX_CHECK(c.at_most(k, x.dims[1], "k of the experts"));
    RLX_CHECK(c.give(RLX_F32, {x.dims[0], k}));
    return c.give(RLX_I32, {x.dims[0], k});
}

result<void> rule_moe_combine(rule_context& c) {
    RLX_CHECK(c.dtype(0, RLX_F32));
    RLX_CHECK(c.dtype(1, RLX_F32));
    RLX_CHECK(c.rank(0, 3, "[T, K, h]"));
    const value &y = c.in(0), &w = c.in(1);
    const std::string expected =
        fmt::format("weights [{}, {}]", c.dims.text(y.dims[0]), c.dims.text(y.dims[1]));
    RLX_CHECK(c.rank(1, 2, expected));
    RLX_CHECK(c.same(y.dims[0], w.dims[0], 1, expected));
    RLX_CHECK(c.same(y.dims[1], w.dims[1], 1, expected));
    return c.give(RLX_F32, {y.dims[0], y.dims[2]});
}

namespace {

// The attributes each kind of scaling cannot do without.
result<void> check_rope_scaling(rule_context& c) {
    RLX_CHECK(c.one_of(RLX_ATTR_scaling, RLX_ROPE_NONE, RLX_ROPE_DYNAMIC));
    const std::int64_t kind = c.attrs.i64(RLX_ATTR_scaling);
    const auto positive = [&](std::uint32_t key) -> result<void> {
        const rlx_attr* a = c.attrs.find(key);
        const double v = !a ? 0 : a->kind == RLX_ATTR_F64 ? a->f : static_cast<double>(a->i);
        if (!(v > 0))
            return c.fail(fmt::format("scaling {} needs attribute {} > 0", kind, attr_name(key)));
        return {};
    };
    if (kind == RLX_ROPE_NONE) return {};
    RLX_CHECK(positive(RLX_ATTR_factor));
    if (kind != RLX_ROPE_LINEAR) RLX_CHECK(positive(RLX_ATTR_original_max));
    if (kind == RLX_ROPE_LLAMA3) {
        RLX_CHECK(positive(RLX_ATTR_low_freq_factor));
        RLX_CHECK(positive(RLX_ATTR_high_freq_factor));
        if (c.attrs.f64(RLX_ATTR_low_freq_factor) == c.attrs.f64(RLX_ATTR_high_freq_factor))
            return c.fail("low_freq_factor equals high_freq_factor");
    }
    if (kind == RLX_ROPE_DYNAMIC && c.attrs.i64(RLX_ATTR_dim) <= 2)
        return c.fail("dynamic scaling needs dim > 2");
    if (kind == RLX_ROPE_DYNAMIC && !c.has(2))
        return c.fail("dynamic scaling needs input 2, lengths");
    return {};
}

} // namespace

result<void> rule_rope_table(rule_context& c) {
    RLX_CHECK(c.dtype(0, RLX_I32));
    RLX_CHECK(c.rank(0, 1, "positions i32 [T]"));
    const std::int64_t n = c.attrs.i64(RLX_ATTR_dim);
    if (n <= 0 || n % 2 != 0) return c.fail(fmt::format("dim is {}, expected even and > 0", n));
    const double base = c.attrs.f64(RLX_ATTR_base);
    if (!(base > 0)) return c.fail(fmt::format("base is {}, expected > 0", base));
    RLX_CHECK(check_rope_scaling(c));
    if (c.has(1)) {
        const std::string expected = fmt::format("frequency factors [{}]", n / 2);
        RLX_CHECK(c.parameter(1));
        RLX_CHECK(c.rank(1, 1, expected));
        RLX_CHECK(c.same(n / 2, c.in(1).dims[0], 1, expected));
    }
    const dim tokens = c.in(0).dims[0];
    if (c.has(2)) {
        const std::string expected = fmt::format("lengths i32 [{}]", c.dims.text(tokens));
        RLX_CHECK(c.dtype(2, RLX_I32));
        RLX_CHECK(c.rank(2, 1, expected));
        RLX_CHECK(c.same(tokens, c.in(2).dims[0], 2, expected));
    }
    return c.give(RLX_F32, {tokens, n});
}

result<void> rule_rope(rule_context& c) {
    RLX_CHECK(c.dtype(0, RLX_F32));
    RLX_CHECK(c.dtype(1, RLX_F32));
    RLX_CHECK(c.rank(0, 3, "[T, H, hd]"));
    RLX_CHECK(c.one_of(RLX_ATTR_pairing, 0, 1));
    const value &x = c.in(0), &table = c.in(1);
    const std::string expected = fmt::format(
        "a table [{}, dim], dim even and <= {}", c.dims.text(x.dims[0]), c.dims.text(x.dims[2])
    );
    RLX_CHECK(c.rank(1, 2, expected));
    RLX_CHECK(c.same(x.dims[0], table.dims[0], 1, expected));
    const dim n = table.dims[1];
    if (n < 0 || x.dims[2] < 0 || n % 2 != 0 || n > x.dims[2]) return c.bad(1, expected);
    return c.give(RLX_F32, x.dims);
}

result<void> rule_attention_state(rule_context& c) {
    RLX_CHECK(c.dtype(0, RLX_F32));
    for (std::size_t i = 2; i < 5; i++)
        RLX_CHECK(c.dtype(i, RLX_I32));
    const value& q = c.in(0);
    const rlx_state_slot& slot = c.in(1).slot;
    if (slot.kind != RLX_STATE_KV) return c.bad(1, "a state of kind RLX_STATE_KV");
    const std::string wanted_q =
        fmt::format("q [T, a multiple of {} heads, {}]", slot.n_heads, slot.k_dim);
    RLX_CHECK(c.rank(0, 3, wanted_q));
    if (q.dims[1] < 0 || q.dims[1] % slot.n_heads != 0) return c.bad(0, wanted_q);
    RLX_CHECK(c.same(q.dims[2], slot.k_dim, 0, wanted_q));
    RLX_CHECK(c.rank(3, 1, "kv_lengths i32 [B]"));
    const dim sequences = c.in(3).dims[0];
    const std::string wanted_cu = fmt::format("cu_seqlens i32 [{} + 1]", c.dims.text(sequences));
    const std::string wanted_table = fmt::format("block_table i32 [{}, P]", c.dims.text(sequences));
    const dim bounds_of = RLX_TRY(c.dims.add(sequences, 1));
    RLX_CHECK(c.rank(2, 1, wanted_cu));
    RLX_CHECK(c.same(bounds_of, c.in(2).dims[0], 2, wanted_cu));
    RLX_CHECK(c.rank(4, 2, wanted_table));
    RLX_CHECK(c.same(sequences, c.in(4).dims[0], 4, wanted_table));
    if (c.attrs.i64(RLX_ATTR_window) < 0) return c.fail("attribute window is negative");
    if (!(c.attrs.f64(RLX_ATTR_softcap) >= 0)) return c.fail("attribute softcap is negative");
    return c.give(RLX_F32, {q.dims[0], q.dims[1], slot.v_dim});
}

result<void> rule_kv_append(rule_context& c) {
    const value& state = c.in(0);
    if (state.slot.kind != RLX_STATE_KV) return c.bad(0, "a state of kind RLX_STATE_KV");
    RLX_CHECK(c.dtype(1, RLX_F32));
    RLX_CHECK(c.dtype(2, RLX_F32));
    RLX_CHECK(c.dtype(3, RLX_I32));
    RLX_CHECK(c.rank(3, 1, "slots i32 [T]"));
    const dim tokens = c.in(3).dims[0];
    for (std::size_t i = 1; i < 3; i++) {
        const dim width = i == 1 ? state.slot.k_dim : state.slot.v_dim;
        const std::string expected =
            fmt::format("f32 [{}, {}, {}]", c.dims.text(tokens), state.slot.n_heads, width);
        const value& x = c.in(i);
        RLX_CHECK(c.rank(i, 3, expected));
        RLX_CHECK(c.same(tokens, x.dims[0], i, expected));
        RLX_CHECK(c.same(state.slot.n_heads, x.dims[1], i, expected));
        RLX_CHECK(c.same(width, x.dims[2], i, expected));
    }
    out_spec o;
    o.dtype = state.dtype;
    o.root = state.root;
    c.out.push_back(std::move(o));
    return {};
}

} // namespace rlx::ir
