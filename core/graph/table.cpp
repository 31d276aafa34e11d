// SPDX-License-Identifier: GPL-3.0-only
// "rlx.graph/1": the C face of a graph. Callers are plugins: ids, handles, sizes and arrays
// are checked; the graph and the out pointers are trusted.
#include "build.hpp"
#include "custom.hpp"
#include "impl.hpp"
#include "rlx/base/wall.hpp"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <new>

namespace rlx {

namespace {

using ir::dim;
using ir::impl;

// Runs fn, which returns result<void>; nothing is thrown across the wall.
template <class Fn>
rlx_error* guarded(Fn&& fn) noexcept {
    try {
        result<void> r = fn();
        return r ? nullptr : to_wall(r.error());
    } catch (const std::bad_alloc&) {
        return to_wall({RLX_OUT_OF_MEMORY, {}});
    } catch (const std::exception& e) {
        return to_wall({RLX_INTERNAL, e.what()});
    }
}

error bad(std::string text) {
    return {RLX_INVALID_ARGUMENT, std::move(text)};
}

// Writes as much of `full` as the caller has room for; its first member is the caller's size.
template <class T>
result<void> give(T full, T* out) {
    if (!out || out->size < sizeof(std::uint32_t)) return bad("info struct without its size set");
    const std::uint32_t size = out->size;
    std::memcpy(out, &full, std::min<std::size_t>(size, sizeof full));
    out->size = size;
    return {};
}

rlx_error*
symbol(rlx_graph* g, rlx_str name, int64_t min, int64_t max, int64_t multiple, int64_t* out) {
    return guarded([&]() -> result<void> {
        RLX_CHECK(impl(g).writable());
        *out = RLX_TRY(impl(g).m.dims.add_symbol(view(name), min, max, multiple));
        return {};
    });
}

rlx_error* dim_op(rlx_graph* g, uint32_t op, int64_t a, int64_t b, int64_t* out) {
    return guarded([&]() -> result<void> {
        RLX_CHECK(impl(g).writable());
        *out = RLX_TRY(impl(g).m.dims.apply(op, a, b));
        return {};
    });
}

rlx_error* input(
    rlx_graph* g, rlx_str name, uint32_t dtype, uint32_t rank, const int64_t* dims, rlx_value* out
) {
    return guarded([&]() -> result<void> {
        RLX_CHECK(impl(g).writable());
        *out = RLX_TRY(ir::build_input(impl(g).m, view(name), dtype, rank, dims));
        return {};
    });
}

rlx_error* weight(
    rlx_graph* g, rlx_str name, uint32_t rank, const int64_t* expect, uint32_t flags, rlx_value* out
) {
    return guarded([&]() -> result<void> {
        RLX_CHECK(impl(g).writable());
        if (rank > RLX_MAX_RANK || (rank && !expect))
            return bad(fmt::format("weight '{}': rank {}", view(name), rank));
        *out =
            RLX_TRY(ir::build_weight(impl(g).m, impl(g).source, view(name), {expect, rank}, flags));
        return {};
    });
}

rlx_error* constant(
    rlx_graph* g, uint32_t dtype, uint32_t rank, const int64_t* dims, rlx_bytes data, rlx_value* out
) {
    return guarded([&]() -> result<void> {
        RLX_CHECK(impl(g).writable());
        if (rank > RLX_MAX_RANK || (rank && !dims))
            return bad(fmt::format("constant: rank {}", rank));
        *out = RLX_TRY(ir::build_constant(impl(g).m, dtype, {dims, rank}, data));
        return {};
    });
}

rlx_error* state(rlx_graph* g, rlx_str name, const rlx_state_slot* slot, rlx_value* out) {
    return guarded([&]() -> result<void> {
        RLX_CHECK(impl(g).writable());
        if (!slot || slot->size < sizeof(rlx_state_slot))
            return bad(fmt::format("state '{}': slot without its size set", view(name)));
        *out = RLX_TRY(ir::build_state(impl(g).m, view(name), *slot));
        return {};
    });
}

rlx_error*
add(rlx_graph* g,
    uint32_t op,
    const rlx_value* in,
    uint32_t n_in,
    const rlx_attr* attrs,
    uint32_t n_attr,
    rlx_value* out,
    uint32_t n_out) {
    return guarded([&]() -> result<void> {
        RLX_CHECK(impl(g).writable());
        ir::module& m = impl(g).m;
        if ((n_in && !in) || (n_attr && !attrs) || (n_out && !out)) return bad("add: null array");
        for (uint32_t i = 0; i < n_attr; i++)
            if (attrs[i].kind == RLX_ATTR_LIST && attrs[i].n && !attrs[i].list)
                return bad("add: attribute with a null list");
        const op_desc* desc = op_info(op);
        if (desc && n_out != desc->n_outputs)
            return bad(fmt::format(
                "{}: {} outputs asked for, the op has {}",
                ir::where(*desc, m.origin),
                n_out,
                desc->n_outputs
            ));
        const auto made = RLX_TRY(ir::build_node(m, op, {in, n_in}, {attrs, n_attr}));
        std::copy(made.begin(), made.end(), out);
        return {};
    });
}

rlx_error* output(rlx_graph* g, rlx_str name, rlx_value v) {
    return guarded([&]() -> result<void> {
        RLX_CHECK(impl(g).writable());
        return ir::build_output(impl(g).m, view(name), v);
    });
}

void set_origin(rlx_graph* g, rlx_str path) {
    // Losing a name under memory pressure is better than losing the graph.
    try {
        impl(g).m.origin = view(path).substr(0, 4096);
    } catch (...) {
        impl(g).m.origin.clear();
    }
}

rlx_weights* weights_of(const rlx_graph* g) {
    return impl(g).source;
}

uint32_t node_count(const rlx_graph* g) {
    return static_cast<uint32_t>(impl(g).m.nodes.size());
}

rlx_error* node(const rlx_graph* g, uint32_t index, rlx_node_info* out) {
    return guarded([&]() -> result<void> {
        const auto& nodes = impl(g).m.nodes;
        if (index >= nodes.size())
            return bad(fmt::format("node {} of a graph with {} nodes", index, nodes.size()));
        const ir::node& n = nodes[index];
        rlx_node_info info{};
        info.op = n.op;
        info.version = n.version;
        info.n_in = static_cast<uint32_t>(n.in.size());
        info.n_out = static_cast<uint32_t>(n.out.size());
        info.n_attr = static_cast<uint32_t>(n.attrs.items.size());
        info.in = n.in.data();
        info.out = n.out.data();
        info.attr = n.attrs.items.data();
        info.origin = str(n.origin);
        if (n.custom) info.custom_name = str(n.custom->name);
        return give(info, out);
    });
}

uint32_t value_count(const rlx_graph* g) {
    return static_cast<uint32_t>(impl(g).m.values.size());
}

rlx_error* value(const rlx_graph* g, rlx_value id, rlx_value_info* out) {
    return guarded([&]() -> result<void> {
        const ir::module& m = impl(g).m;
        if (!m.valid(id))
            return bad(fmt::format("value %{} of a graph with {} values", id, m.values.size()));
        const ir::value& v = m.at(id);
        rlx_value_info info{};
        info.kind = v.kind;
        info.dtype = v.dtype;
        info.rank = static_cast<uint32_t>(v.dims.size());
        info.producer = v.producer;
        info.dims = v.dims.data();
        info.strides = v.strides.empty() ? nullptr : v.strides.data();
        info.name = str(v.name);
        info.root = v.root;
        info.is_output = v.is_output;
        info.offset = v.offset;
        info.data = {v.data.data(), v.data.size()};
        info.scratch_offset = v.scratch_offset;
        info.scratch_bytes = v.scratch_bytes;
        info.slot = v.slot;
        return give(info, out);
    });
}

uint32_t symbol_count(const rlx_graph* g) {
    return static_cast<uint32_t>(impl(g).m.dims.symbols().size());
}

rlx_error*
symbol_at(const rlx_graph* g, uint32_t index, rlx_str* name, int64_t* min, int64_t* max) {
    return guarded([&]() -> result<void> {
        const auto symbols = impl(g).m.dims.symbols();
        if (index >= symbols.size())
            return bad(fmt::format("symbol {} of a graph with {} symbols", index, symbols.size()));
        if (name) *name = str(symbols[index].name);
        if (min) *min = symbols[index].min;
        if (max) *max = symbols[index].max;
        return {};
    });
}

rlx_error* eval_dims(
    const rlx_graph* g,
    const int64_t* extents,
    uint32_t n_extents,
    const int64_t* dims,
    uint32_t n,
    int64_t* out
) {
    return guarded([&]() -> result<void> {
        const ir::dim_table& d = impl(g).m.dims;
        RLX_CHECK(d.check_bounds({extents, n_extents}));
        return d.evaluate({extents, n_extents}, {dims, n}, {out, n});
    });
}

uint64_t scratch_bytes(const rlx_graph* g) {
    return impl(g).m.scratch_bytes;
}

rlx_error*
dim_range(const rlx_graph* g, const int64_t* dims, uint32_t n, int64_t* lo, int64_t* hi) {
    return guarded([&]() -> result<void> {
        const ir::dim_table& d = impl(g).m.dims;
        for (uint32_t i = 0; i < n; i++) {
            if (!d.valid(dims[i])) return bad(fmt::format("unknown dim handle {}", dims[i]));
            const ir::bounds r = d.range(dims[i]);
            if (lo) lo[i] = std::max<int64_t>(r.lo, 0);
            if (hi) hi[i] = r.hi;
        }
        return {};
    });
}

rlx_error* add_custom(
    rlx_graph* g,
    rlx_str name,
    uint32_t version,
    const rlx_value* in,
    uint32_t n_in,
    const rlx_attr* attrs,
    uint32_t n_attr,
    rlx_value* out,
    uint32_t n_out
) {
    return guarded([&]() -> result<void> {
        RLX_CHECK(impl(g).writable());
        if ((n_in && !in) || (n_attr && !attrs) || (n_out && !out))
            return bad("add_custom: null array");
        auto op = RLX_TRY(impl(g).find_op(view(name), version));
        ir::module& m = impl(g).m;
        if (n_out != op->desc.n_outputs)
            return bad(fmt::format(
                "{}: {} outputs asked for, the op has {}",
                ir::where(op->name, m.origin),
                n_out,
                op->desc.n_outputs
            ));
        const auto made =
            RLX_TRY(ir::build_custom(m, g, std::move(op), {in, n_in}, {attrs, n_attr}));
        std::copy(made.begin(), made.end(), out);
        return {};
    });
}

rlx_error* run_custom(
    const rlx_graph* g,
    uint32_t index,
    const rlx_tensor* in,
    uint32_t n_in,
    const rlx_tensor* out,
    uint32_t n_out,
    uint64_t stride
) {
    return guarded([&]() -> result<void> {
        const ir::module& m = impl(g).m;
        if (!impl(g).finished) return bad("run_custom: the graph is not finished");
        if (index >= m.nodes.size() || !m.nodes[index].custom)
            return bad(fmt::format("run_custom: node {} is no Custom node", index));
        return ir::run_custom(m, m.nodes[index], in, n_in, out, n_out, stride);
    });
}

constexpr rlx_graph_v1 table = {
    .hdr = {sizeof(rlx_graph_v1), 1, 1},
    .symbol = symbol,
    .dim_op = dim_op,
    .input = input,
    .weight = weight,
    .constant = constant,
    .state = state,
    .add = add,
    .output = output,
    .set_origin = set_origin,
    .weights = weights_of,
    .node_count = node_count,
    .node = node,
    .value_count = value_count,
    .value = value,
    .symbol_count = symbol_count,
    .symbol_at = symbol_at,
    .eval_dims = eval_dims,
    .scratch_bytes = scratch_bytes,
    .dim_range = dim_range,
    .add_custom = add_custom,
    .run_custom = run_custom,
};

} // namespace

const rlx_graph_v1* graph_table() {
    static const bool offered = (host_provide("rlx.graph/1", &table), true);
    static_cast<void>(offered);
    return &table;
}

} // namespace rlx
