// SPDX-License-Identifier: GPL-3.0-only
// What all shape rules share: arity, attributes, messages, dim checks.
#include "rules.hpp"

#include "dtype.hpp"
#include "views.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace rlx::ir {

error rule_context::fail(std::string text) const {
    return {RLX_INVALID_ARGUMENT, fmt::format("{}: {}", where(op_, origin_), text)};
}

error rule_context::bad(std::size_t i, std::string_view expected) const {
    return fail(fmt::format("input {} is {}, expected {}", i, describe(m_, in_[i]), expected));
}

result<void> rule_context::dtype(std::size_t i, std::uint16_t want) const {
    if (in(i).dtype != want) return bad(i, dtype_name(want));
    return {};
}

result<void> rule_context::plain(std::size_t i) const {
    if (layout_of(in(i).dtype).packed()) return bad(i, "an element type that is not packed");
    return {};
}

result<void> rule_context::parameter(std::size_t i) const {
    if (!is_plain_float(in(i).dtype)) return bad(i, "f32, f16, bf16 or f64");
    return {};
}

result<void> rule_context::matrix_type(std::size_t i) const {
    const value& v = in(i);
    const dtype_layout l = layout_of(v.dtype);
    if (!l.packed() && !is_plain_float(v.dtype)) return bad(i, "floats or packed floats");
    if (l.packed() && (v.dims.empty() || v.dims.back() < 0 || v.dims.back() % l.elements != 0))
        return bad(i, fmt::format("rows of whole blocks ({} elements)", l.elements));
    return {};
}

result<void> rule_context::rank(std::size_t i, std::size_t n, std::string_view expected) const {
    if (in(i).dims.size() != n) return bad(i, expected);
    return {};
}

result<void> rule_context::same(dim a, dim b, std::size_t i, std::string_view expected) {
    if (a == b) return {};
    const std::string text =
        fmt::format("{} == {} needed: {}", dims.text(a), dims.text(b), bad(i, expected).message);
    if (dims.equal(a, b) == answer::no) return bad(i, expected);
    return dims.require({guard::equal, a, b, text});
}

result<void> rule_context::at_most(dim a, dim b, std::string_view what) {
    if (a == b) return {};
    return dims.require(
        {guard::less_equal,
         a,
         b,
         fail(fmt::format("{} <= {} needed: {}", dims.text(a), dims.text(b), what)).message}
    );
}

result<void> rule_context::extent(dim d, std::string_view what) {
    if (!dims.valid(d)) return fail(fmt::format("{} has the unknown dim handle {}", what, d));
    if (dims.range(d).lo >= 0) return {};
    return at_most(0, d, what);
}

result<std::vector<dim>> rule_context::dim_list(std::uint32_t key) {
    const auto list = attrs.list(key);
    if (list.size() > RLX_MAX_RANK)
        return fail(fmt::format("{} dims, expected at most {}", list.size(), RLX_MAX_RANK));
    for (dim d : list)
        RLX_CHECK(extent(d, fmt::format("attribute {}", attr_name(key))));
    return std::vector<dim>(list.begin(), list.end());
}

result<std::size_t> rule_context::axis(std::size_t i) const {
    const std::int64_t a = attrs.i64(RLX_ATTR_axis);
    const auto rank_of = static_cast<std::int64_t>(in(i).dims.size());
    if (a < 0 || a >= rank_of) return fail(fmt::format("axis {} of {}", a, describe(m_, in_[i])));
    return static_cast<std::size_t>(a);
}

result<void> rule_context::one_of(std::uint32_t key, std::int64_t lo, std::int64_t hi) const {
    const std::int64_t v = attrs.i64(key, lo);
    if (v < lo || v > hi)
        return fail(fmt::format("attribute {} is {}, expected {} to {}", attr_name(key), v, lo, hi)
        );
    return {};
}

result<std::vector<dim>> rule_context::broadcast(std::span<const std::size_t> inputs) {
    std::size_t n = 0;
    for (std::size_t i : inputs)
        n = std::max(n, in(i).dims.size());
    std::vector<dim> shape(n, 1);
    for (std::size_t i : inputs) {
        const std::vector<dim>& d = in(i).dims;
        for (std::size_t k = 0; k < d.size(); k++) {
            dim& to = shape[n - d.size() + k];
            if (d[k] == 1) continue;
            if (to != 1)
                RLX_CHECK(same(
                    to, d[k], i, fmt::format("a shape that broadcasts with {}", dims.text(shape))
                ));
            else
                to = d[k];
        }
    }
    return shape;
}

result<void> rule_context::give(std::uint16_t dtype, std::vector<dim> shape) {
    out_spec o;
    o.dtype = dtype;
    o.strides = RLX_TRY(contiguous_strides(dims, shape));
    o.dims = std::move(shape);
    out.push_back(std::move(o));
    return {};
}

result<void> rule_context::give_view(std::vector<dim> shape, std::vector<dim> strides, dim offset) {
    const value& x = in(0);
    out.push_back({x.dtype, std::move(shape), x.root, offset, std::move(strides)});
    return {};
}

namespace {

// Which input of the op is a state; SIZE_MAX: none.
std::size_t state_input(std::uint16_t op) {
    switch (op) {
    case RLX_OP_KvAppend:
    case RLX_OP_StateLoad:
    case RLX_OP_StateStore: return 0;
    case RLX_OP_AttentionState: return 1;
    default: return SIZE_MAX;
    }
}

result<void>
check_inputs(rule_context& c, const module& m, const op_desc& op, std::span<const rlx_value> in) {
    if (in.size() < op.min_inputs || in.size() > op.max_inputs)
        return c.fail(
            fmt::format("{} inputs, expected {} to {}", in.size(), op.min_inputs, op.max_inputs)
        );
    for (std::size_t i = 0; i < in.size(); i++) {
        if (in[i] == 0 && i >= op.min_inputs) continue;
        if (!m.valid(in[i]))
            return c.fail(fmt::format("input {} is the unknown value %{}", i, in[i]));
        const bool takes_state = i == state_input(op.id);
        if (takes_state != c.is_state(i)) return c.bad(i, takes_state ? "a state" : "a tensor");
        const bool takes_packed =
            (op.id == RLX_OP_MatMul && i == 1) || (op.id == RLX_OP_GroupedMatMul && i == 1) ||
            (op.id == RLX_OP_LoraMatMul && i == 1) || (op.id == RLX_OP_GatherRows && i == 0);
        if (!takes_packed) RLX_CHECK(c.plain(i));
    }
    return {};
}

result<void> run_rule(rule_context& c, std::uint16_t op) {
    switch (op) {
#define RLX_OP(id, name, version, min_in, max_in, n_out, kind, rule)                               \
    case id:                                                                                       \
        return rule_##rule(c);
#define RLX_OP_ATTR(op, attr, kind, required)
#include "rlx/abi/ops.def"
#undef RLX_OP
#undef RLX_OP_ATTR
    default: return c.fail("op without a shape rule");
    }
}

} // namespace

result<std::vector<out_spec>> infer(
    const module& m,
    dim_table& d,
    const op_desc& op,
    std::span<const rlx_value> in,
    const attr_list& attrs,
    std::string_view origin
) {
    rule_context c(m, d, op, in, attrs, origin);
    RLX_CHECK(check_inputs(c, m, op, in));
    result<void> r = run_rule(c, op.id);
    if (!r) {
        // Overflow and the like come from the dims and do not know the node.
        const std::string prefix = where(op, origin);
        if (r.error().message.find(prefix) == std::string::npos)
            return std::move(r.error()).within(prefix);
        return std::move(r.error());
    }
    return std::move(c.out);
}

result<attr_list> check_attrs(
    const module& m,
    const op_desc& op,
    std::span<const rlx_value> in,
    std::span<const rlx_attr> attrs,
    std::string_view origin
) {
    const auto fail = [&](std::string text) {
        return error{RLX_INVALID_ARGUMENT, fmt::format("{}: {}", where(op, origin), text)};
    };
    attr_list list;
    for (const rlx_attr& a : attrs) {
        const auto it = std::find_if(op.attrs.begin(), op.attrs.end(), [&](const attr_desc& d) {
            return d.key == a.key;
        });
        if (it == op.attrs.end()) {
            const std::string_view name = attr_name(a.key);
            return fail(fmt::format(
                "unknown attribute {}", name.empty() ? fmt::format("{}", a.key) : std::string(name)
            ));
        }
        if (a.kind != it->kind)
            return fail(
                fmt::format("attribute {} has kind {}, expected {}", it->name, a.kind, it->kind)
            );
        if (a.kind == RLX_ATTR_LIST && a.n > RLX_MAX_RANK)
            return fail(fmt::format("attribute {} has {} entries", it->name, a.n));
        if (list.find(a.key)) return fail(fmt::format("attribute {} given twice", it->name));
        rlx_attr copy = a;
        copy.required = 1; // given on purpose: a backend that does not know it must not guess
        if (a.key == RLX_ATTR_axis && a.i < 0 && !in.empty() && m.valid(in[0]))
            copy.i += static_cast<std::int64_t>(m.at(in[0]).dims.size());
        list.put(copy);
    }
    for (const attr_desc& d : op.attrs)
        if (d.required && !list.find(d.key))
            return fail(fmt::format("attribute {} is missing", d.name));
    return list;
}

} // namespace rlx::ir
