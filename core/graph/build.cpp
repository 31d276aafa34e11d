// SPDX-License-Identifier: GPL-3.0-only
#include "build.hpp"

#include "dtype.hpp"
#include "rlx/base/wall.hpp"
#include "rules.hpp"
#include "views.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace rlx::ir {

namespace {

error bad(std::string text) {
    return {RLX_INVALID_ARGUMENT, std::move(text)};
}

// Names are used in messages and dumps; the graph is built by plugins, so their size is not
// trusted.
result<void> check_name(std::string_view what, std::string_view name) {
    if (name.empty()) return bad(fmt::format("{} without a name", what));
    if (name.size() > 4096) return bad(fmt::format("{} name of {} bytes", what, name.size()));
    return {};
}

result<void> check_shape(const module& m, std::string_view what, std::span<const dim> dims) {
    if (dims.size() > RLX_MAX_RANK)
        return bad(fmt::format("{}: rank {}, expected at most {}", what, dims.size(), RLX_MAX_RANK)
        );
    for (dim d : dims)
        if (!m.dims.valid(d)) return bad(fmt::format("{}: unknown dim handle {}", what, d));
    return {};
}

bool needs_copy_to_reshape(dim_table& d, const value& x, std::span<const dim> to) {
    const auto strides = reshape_strides(d, x.dims, x.strides, to);
    return strides && !*strides;
}

std::string shape_text(const rlx_tensor_desc& t) {
    std::string s = dtype_name(t.dtype) + " [";
    for (std::size_t i = 0; i < t.rank && i < RLX_MAX_RANK; i++)
        s += fmt::format("{}{}", i ? ", " : "", t.dim[i]);
    return s + "]";
}

std::string expect_text(std::span<const std::int64_t> expect) {
    std::string s = "[";
    for (std::size_t i = 0; i < expect.size(); i++)
        s += (i ? ", " : "") + (expect[i] < 0 ? std::string("any") : fmt::format("{}", expect[i]));
    return s + "]";
}

result<void> check_weight(
    std::string_view name, const rlx_tensor_desc& t, std::span<const std::int64_t> expect
) {
    bool ok = t.rank == expect.size() && t.rank <= RLX_MAX_RANK;
    for (std::size_t i = 0; ok && i < expect.size(); i++)
        ok = t.dim[i] >= 0 && (expect[i] < 0 || expect[i] == t.dim[i]);
    if (!ok)
        return error{
            RLX_CORRUPT_DATA,
            fmt::format(
                "weight '{}' is {}, expected {}", name, shape_text(t), expect_text(expect)
            )};
    if (layout_of(t.dtype).bytes == 0)
        return error{
            RLX_UNSUPPORTED,
            fmt::format("weight '{}' has the unknown {}", name, dtype_name(t.dtype))};
    return {};
}

} // namespace

result<rlx_value> build_input(
    module& m, std::string_view name, std::uint32_t dtype, std::uint32_t rank, const dim* dims
) {
    RLX_CHECK(check_name("input", name));
    const std::string what = fmt::format("input '{}'", name);
    if (rank > RLX_MAX_RANK || (rank > 0 && !dims && !m.find(RLX_VALUE_INPUT, name)))
        return bad(fmt::format("{}: rank {} without dims", what, rank));
    const std::span<const dim> shape(dims, dims ? rank : 0);
    RLX_CHECK(check_shape(m, what, shape));
    if (const rlx_value id = m.find(RLX_VALUE_INPUT, name)) {
        const value& v = m.at(id);
        const bool same_shape =
            !dims || std::equal(shape.begin(), shape.end(), v.dims.begin(), v.dims.end());
        if (v.dtype == dtype && v.dims.size() == rank && same_shape) return id;
        return bad(fmt::format(
            "{} is declared as {} {}, asked for as {} {}",
            what,
            dtype_name(v.dtype),
            m.dims.text(v.dims),
            dtype_name(dtype),
            dims || rank == 0 ? m.dims.text(shape) : fmt::format("rank {}", rank)
        ));
    }
    const dtype_layout l = layout_of(dtype);
    if (l.bytes == 0 || l.packed())
        return bad(fmt::format("{} has {}, expected a plain type", what, dtype_name(dtype)));
    value v;
    v.kind = RLX_VALUE_INPUT;
    v.dtype = static_cast<std::uint16_t>(dtype);
    v.name = name;
    v.dims.assign(shape.begin(), shape.end());
    v.strides = RLX_TRY(contiguous_strides(m.dims, v.dims).within(what));
    return m.push(std::move(v));
}

result<rlx_value> build_weight(
    module& m,
    rlx_weights* w,
    std::string_view name,
    std::span<const std::int64_t> expect,
    std::uint32_t flags
) {
    RLX_CHECK(check_name("weight", name));
    rlx_tensor_desc t{};
    if (const rlx_value id = m.find(RLX_VALUE_WEIGHT, name)) {
        const value& v = m.at(id);
        t.dtype = v.dtype;
        t.rank = static_cast<std::uint16_t>(v.dims.size());
        std::copy(v.dims.begin(), v.dims.end(), t.dim);
        RLX_CHECK(check_weight(name, t, expect));
        return id;
    }
    if (!w)
        return error{RLX_NOT_FOUND, fmt::format("weight '{}': the graph has no checkpoint", name)};
    const auto* table =
        static_cast<const rlx_weights_v1*>(host()->iface(host()->ctx, str("rlx.weights/1"), 0));
    if (!RLX_HAS(table, find) || !RLX_HAS(table, require))
        return error{RLX_VERSION_MISMATCH, "the host offers no rlx.weights/1"};
    t.size = sizeof t;
    if (flags & RLX_WEIGHT_OPTIONAL) {
        std::uint32_t found = 0;
        RLX_CHECK(check_wall(table->find(w, str(name), &t, &found)));
        if (!found) return rlx_value{0};
        t = {};
        t.size = sizeof t;
    }
    RLX_CHECK(check_wall(table->require(w, str(name), &t)));
    RLX_CHECK(check_weight(name, t, expect));
    value v;
    v.kind = RLX_VALUE_WEIGHT;
    v.dtype = t.dtype;
    v.name = name;
    v.dims.assign(t.dim, t.dim + t.rank);
    if (!layout_of(t.dtype).packed())
        v.strides = RLX_TRY(contiguous_strides(m.dims, v.dims).within(name));
    return m.push(std::move(v));
}

result<rlx_value>
build_constant(module& m, std::uint32_t dtype, std::span<const dim> dims, rlx_bytes data) {
    RLX_CHECK(check_shape(m, "constant", dims));
    const dtype_layout l = layout_of(dtype);
    if (l.bytes == 0 || l.packed())
        return bad(fmt::format("constant of {}, expected a plain type", dtype_name(dtype)));
    for (dim d : dims)
        if (d < 0) return bad(fmt::format("constant {}: dims must be numbers", m.dims.text(dims)));
    dim bytes = RLX_TRY(m.dims.product(dims).within("constant"));
    bytes = RLX_TRY(m.dims.mul(bytes, l.bytes).within("constant"));
    if (static_cast<std::uint64_t>(bytes) != data.n || (data.n && !data.p))
        return bad(fmt::format(
            "constant {} {} has {} bytes, expected {}",
            dtype_name(dtype),
            m.dims.text(dims),
            data.n,
            bytes
        ));
    value v;
    v.kind = RLX_VALUE_CONSTANT;
    v.dtype = static_cast<std::uint16_t>(dtype);
    v.dims.assign(dims.begin(), dims.end());
    v.strides = RLX_TRY(contiguous_strides(m.dims, dims));
    const auto* p = static_cast<const std::byte*>(data.p);
    v.data.assign(p, p + data.n);
    return m.push(std::move(v));
}

result<rlx_value> build_state(module& m, std::string_view name, const rlx_state_slot& slot) {
    RLX_CHECK(check_name("state", name));
    constexpr std::int64_t limit = std::int64_t{1} << 24;
    const auto sane = [](std::int64_t n) { return n >= 1 && n <= limit; };
    if (slot.kind != RLX_STATE_KV && slot.kind != RLX_STATE_TENSOR)
        return bad(fmt::format("state '{}' has the unknown kind {}", name, slot.kind));
    if (!sane(slot.n_heads) || !sane(slot.k_dim) || !sane(slot.v_dim))
        return bad(fmt::format(
            "state '{}' is {} x ({} + {}), expected sizes from 1 to {}",
            name,
            slot.n_heads,
            slot.k_dim,
            slot.v_dim,
            limit
        ));
    if (const rlx_value id = m.find(RLX_VALUE_STATE, name)) {
        const rlx_state_slot& s = m.at(id).slot;
        if (s.kind == slot.kind && s.n_heads == slot.n_heads && s.k_dim == slot.k_dim &&
            s.v_dim == slot.v_dim)
            return id;
        return bad(fmt::format(
            "{} asked for again as {} x ({} + {})",
            describe(m, id),
            slot.n_heads,
            slot.k_dim,
            slot.v_dim
        ));
    }
    value v;
    v.kind = RLX_VALUE_STATE;
    v.name = name;
    v.slot = slot;
    v.slot.size = sizeof v.slot;
    return m.push(std::move(v));
}

result<void> build_output(module& m, std::string_view name, rlx_value v) {
    RLX_CHECK(check_name("output", name));
    if (!m.valid(v)) return bad(fmt::format("output '{}' is the unknown value %{}", name, v));
    if (m.at(v).kind == RLX_VALUE_STATE)
        return bad(fmt::format("output '{}' is {}, expected a tensor", name, describe(m, v)));
    for (rlx_value o : m.outputs)
        if (m.at(o).name == name) return bad(fmt::format("output '{}' given twice", name));
    const value& x = m.at(v);
    if (x.kind != RLX_VALUE_TEMP || x.root != v || x.is_output)
        v = RLX_TRY(build_node(m, RLX_OP_Copy, {&v, 1}, {}).within(fmt::format("output '{}'", name))
        )[0];
    m.at(v).is_output = true;
    m.at(v).name = name;
    m.outputs.push_back(v);
    return {};
}

result<std::vector<rlx_value>> emit_node(
    module& m,
    std::vector<node>& nodes,
    std::uint32_t op_id,
    std::span<const rlx_value> inputs,
    std::span<const rlx_attr> attrs,
    std::string_view origin
) {
    const op_desc* op = op_info(op_id);
    if (!op)
        return bad(fmt::format("unknown op {}{}{}", op_id, origin.empty() ? "" : " in ", origin));
    std::vector<rlx_value> in(inputs.begin(), inputs.end());
    while (in.size() > op->min_inputs && in.back() == 0)
        in.pop_back();
    node n;
    n.op = op->id;
    n.version = op->version;
    n.origin = origin;
    n.attrs = RLX_TRY(check_attrs(m, *op, in, attrs, origin));
    if (op->id == RLX_OP_Reshape && in.size() == 1 && m.valid(in[0]) &&
        m.at(in[0]).kind != RLX_VALUE_STATE && !layout_of(m.at(in[0]).dtype).packed() &&
        needs_copy_to_reshape(m.dims, m.at(in[0]), n.attrs.list(RLX_ATTR_dims)))
        in[0] = RLX_TRY(emit_node(m, nodes, RLX_OP_Copy, in, {}, origin))[0];
    auto specs = RLX_TRY(infer(m, m.dims, *op, in, n.attrs, origin));
    const auto index = static_cast<std::uint32_t>(nodes.size());
    for (out_spec& s : specs) {
        value v;
        v.dtype = s.dtype;
        v.dims = std::move(s.dims);
        v.strides = std::move(s.strides);
        v.root = s.root;
        v.offset = s.offset;
        v.producer = index;
        if (op->id == RLX_OP_KvAppend || op->id == RLX_OP_StateStore) {
            v.kind = RLX_VALUE_STATE;
            v.slot = m.at(in[0]).slot;
        }
        n.out.push_back(m.push(std::move(v)));
    }
    n.in = std::move(in);
    nodes.push_back(std::move(n));
    return nodes.back().out;
}

result<std::vector<rlx_value>> build_node(
    module& m, std::uint32_t op, std::span<const rlx_value> in, std::span<const rlx_attr> attrs
) {
    return emit_node(m, m.nodes, op, in, attrs, m.origin);
}

} // namespace rlx::ir
