// SPDX-License-Identifier: GPL-3.0-only
#include "custom.hpp"

#include "dtype.hpp"
#include "rlx/base/wall.hpp"
#include "views.hpp"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>

namespace rlx::ir {

namespace {

constexpr std::uint64_t max_list = 4096;

error bad(std::string_view where, std::string_view text) {
    return {RLX_INVALID_ARGUMENT, fmt::format("{}: {}", where, text)};
}

// The plugin broke its own contract.
error broken(std::string_view where, std::string_view text) {
    return {RLX_INTERNAL, fmt::format("{}: its shape rule gives {}", where, text)};
}

result<std::vector<rlx_op_shape>> input_shapes(
    const module& m, const rlx_op_desc& op, std::string_view where, std::span<const rlx_value> in
) {
    if (in.size() < op.min_inputs || in.size() > op.max_inputs)
        return bad(
            where,
            fmt::format("{} inputs, expected {} to {}", in.size(), op.min_inputs, op.max_inputs)
        );
    std::vector<rlx_op_shape> out(in.size());
    for (std::size_t i = 0; i < in.size(); i++) {
        rlx_op_shape& s = out[i];
        s.size = sizeof s;
        if (in[i] == 0 && i >= op.min_inputs) continue;
        if (!m.valid(in[i]))
            return bad(where, fmt::format("input {} is the unknown value %{}", i, in[i]));
        const value& v = m.at(in[i]);
        if (v.kind == RLX_VALUE_STATE || layout_of(v.dtype).packed())
            return bad(
                where,
                fmt::format(
                    "input {} is {}, expected a tensor of a plain type", i, describe(m, in[i])
                )
            );
        s.dtype = v.dtype;
        s.rank = static_cast<std::uint16_t>(v.dims.size());
        s.given = 1;
        std::copy(v.dims.begin(), v.dims.end(), s.dim);
    }
    return out;
}

result<value>
output_value(module& m, std::string_view where, std::size_t i, const rlx_op_shape& s) {
    const dtype_layout l = layout_of(s.dtype);
    if (l.bytes == 0 || l.packed())
        return broken(where, fmt::format("output {} the type {}", i, dtype_name(s.dtype)));
    if (s.rank > RLX_MAX_RANK) return broken(where, fmt::format("output {} rank {}", i, s.rank));
    value v;
    v.dtype = s.dtype;
    v.dims.assign(s.dim, s.dim + s.rank);
    for (dim d : v.dims) {
        if (!m.dims.valid(d))
            return broken(where, fmt::format("output {} the unknown dim {}", i, d));
        if (m.dims.range(d).lo >= 0) continue;
        const std::string text = fmt::format(
            "{}: output {} has the dim {}, which may be negative", where, i, m.dims.text(d)
        );
        RLX_CHECK(m.dims.require({guard::less_equal, 0, d, text}));
    }
    v.strides = RLX_TRY(contiguous_strides(m.dims, v.dims).within(where));
    return v;
}

} // namespace

result<attr_list> check_custom_attrs(std::string_view where, std::span<const rlx_attr> attrs) {
    attr_list list;
    for (const rlx_attr& a : attrs) {
        if (a.key < RLX_ATTR_CUSTOM)
            return bad(
                where,
                fmt::format(
                    "attribute {}, expected keys from RLX_ATTR_CUSTOM ({}) on",
                    a.key,
                    RLX_ATTR_CUSTOM + 0
                )
            );
        if (a.kind != RLX_ATTR_I64 && a.kind != RLX_ATTR_F64 && a.kind != RLX_ATTR_LIST)
            return bad(where, fmt::format("attribute {} has the unknown kind {}", a.key, a.kind));
        if (a.kind == RLX_ATTR_LIST && (a.n > max_list || (a.n && !a.list)))
            return bad(
                where,
                fmt::format(
                    "attribute {} has {} entries, expected at most {}", a.key, a.n, max_list
                )
            );
        if (list.find(a.key)) return bad(where, fmt::format("attribute {} given twice", a.key));
        rlx_attr copy = a;
        copy.required = 1;
        list.put(copy);
    }
    return list;
}

result<std::vector<rlx_value>> build_custom(
    module& m,
    rlx_graph* graph,
    std::shared_ptr<const custom_op> op,
    std::span<const rlx_value> inputs,
    std::span<const rlx_attr> attrs
) {
    const std::string at = where(op->name, m.origin);
    std::vector<rlx_value> in(inputs.begin(), inputs.end());
    while (in.size() > op->desc.min_inputs && in.back() == 0)
        in.pop_back();
    const auto shapes = RLX_TRY(input_shapes(m, op->desc, at, in));
    node n;
    n.attrs = RLX_TRY(check_custom_attrs(at, attrs));
    std::vector<rlx_op_shape> made(op->desc.n_outputs);
    for (rlx_op_shape& s : made)
        s.size = sizeof s;
    const rlx_op_infer args{
        sizeof args,
        static_cast<std::uint32_t>(shapes.size()),
        static_cast<std::uint32_t>(made.size()),
        static_cast<std::uint32_t>(n.attrs.items.size()),
        graph,
        shapes.data(),
        n.attrs.items.data(),
        made.data(),
        sizeof(rlx_op_shape)};
    const std::size_t nodes_before = m.nodes.size();
    RLX_CHECK(check_wall(op->table->infer(op->self, op->index, &args)).within(at));
    if (m.nodes.size() != nodes_before) return broken(at, "new nodes instead of shapes");
    std::vector<value> values;
    for (std::size_t i = 0; i < made.size(); i++)
        values.push_back(RLX_TRY(output_value(m, at, i, made[i])));
    n.op = RLX_OP_Custom;
    n.version = static_cast<std::uint16_t>(op->desc.version);
    n.origin = m.origin;
    n.in = std::move(in);
    for (value& v : values) {
        v.producer = static_cast<std::uint32_t>(m.nodes.size());
        n.out.push_back(m.push(std::move(v)));
    }
    n.custom = std::move(op);
    m.nodes.push_back(std::move(n));
    return m.nodes.back().out;
}

namespace {

result<void> check_tensor(
    const module& m,
    const node& n,
    std::string_view what,
    std::uint32_t i,
    rlx_value id,
    const rlx_tensor* array,
    std::uint64_t stride
) {
    rlx_tensor t;
    std::memcpy(&t, reinterpret_cast<const std::byte*>(array) + i * stride, sizeof t);
    const auto fail = [&](std::string_view text) {
        return bad(where(n.custom->name, n.origin), fmt::format("{} {} {}", what, i, text));
    };
    if (id == 0) {
        if (t.data) return fail("is given, the node has none");
        return {};
    }
    const value& v = m.at(id);
    if (t.dtype != v.dtype || t.rank != v.dims.size())
        return fail(fmt::format(
            "is {} of rank {}, expected {}", dtype_name(t.dtype), t.rank, describe(m, id)
        ));
    std::uint64_t bytes = layout_of(v.dtype).bytes;
    for (std::size_t k = 0; k < t.rank; k++) {
        const bool fixed = v.dims[k] >= 0 && v.dims[k] != t.dim[k];
        if (t.dim[k] < 0 || fixed ||
            __builtin_mul_overflow(bytes, static_cast<std::uint64_t>(t.dim[k]), &bytes))
            return fail(
                fmt::format("has extent {} on axis {}, expected {}", t.dim[k], k, describe(m, id))
            );
    }
    if (t.n_bytes != bytes || (bytes && !t.data))
        return fail(fmt::format("has {} bytes, its shape needs {}", t.data ? t.n_bytes : 0, bytes));
    return {};
}

} // namespace

result<void> run_custom(
    const module& m,
    const node& n,
    const rlx_tensor* in,
    std::uint32_t n_in,
    const rlx_tensor* out,
    std::uint32_t n_out,
    std::uint64_t stride
) {
    const std::string at = where(n.custom->name, n.origin);
    if (n_in != n.in.size() || n_out != n.out.size() || (n_in && !in) || !out ||
        stride < sizeof(rlx_tensor))
        return bad(
            at,
            fmt::format(
                "run with {} inputs and {} outputs, the node has {} and {}",
                n_in,
                n_out,
                n.in.size(),
                n.out.size()
            )
        );
    for (std::uint32_t i = 0; i < n_in; i++)
        RLX_CHECK(check_tensor(m, n, "input", i, n.in[i], in, stride));
    for (std::uint32_t i = 0; i < n_out; i++)
        RLX_CHECK(check_tensor(m, n, "output", i, n.out[i], out, stride));
    const rlx_op_run args{
        sizeof args,
        n_in,
        n_out,
        static_cast<std::uint32_t>(n.attrs.items.size()),
        in,
        n.attrs.items.data(),
        out,
        stride};
    return check_wall(n.custom->table->run(n.custom->self, n.custom->index, &args)).within(at);
}

} // namespace rlx::ir
