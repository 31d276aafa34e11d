// SPDX-License-Identifier: GPL-3.0-only
// A graph as this backend reads it: tensors and roots at the upper bounds, nodes with their
// tensors.
#include "ops/ops.hpp"

namespace rlx::vulkan {

std::int64_t tensor::rows() const {
    std::int64_t n = 1;
    for (std::uint32_t i = 0; i + 1 < rank; ++i)
        n *= dim[i];
    return n;
}

std::uint32_t element_size(std::uint16_t dtype) {
    switch (dtype) {
    case RLX_F32:
    case RLX_I32: return 4;
    case RLX_F16:
    case RLX_BF16:
    case RLX_I16: return 2;
    case RLX_I64:
    case RLX_F64: return 8;
    case RLX_I8:
    case RLX_U8:
    case RLX_BOOL:
    case RLX_F8_E4M3:
    case RLX_F8_E5M2: return 1;
    default: return 0;
    }
}

bool is_float(std::uint16_t dtype) {
    return dtype == RLX_F32 || dtype == RLX_F16 || dtype == RLX_BF16 || dtype == RLX_F64;
}

status program::read_value(rlx_value v) {
    const rlx_value_info info = RLX_TRY(sdk::graph_reader(graph).value(v));
    if (info.rank > RLX_MAX_RANK)
        return fail(
            RLX_UNSUPPORTED, "vulkan: a value of rank {}, at most {}", info.rank, RLX_MAX_RANK
        );
    tensor& t = tensors[v];
    t.id = v;
    t.root = info.root;
    t.dtype = info.dtype;
    t.rank = info.rank;
    t.first_handle = static_cast<std::uint32_t>(handles.size());
    for (std::uint32_t i = 0; i < info.rank; ++i)
        handles.push_back(info.dims[i]);
    for (std::uint32_t i = 0; i < info.rank; ++i)
        handles.push_back(info.strides ? info.strides[i] : 0);
    handles.push_back(info.offset);
    root& r = roots[v];
    r.kind = info.kind;
    r.output = info.is_output != 0;
    r.packed = info.strides == nullptr && info.rank > 0;
    r.name = info.name;
    if (info.root != v) return {};
    r.data = info.data;
    r.slot = info.slot;
    if (info.kind == RLX_VALUE_INPUT || info.kind == RLX_VALUE_STATE) r.where = memory::bound;
    if (info.kind == RLX_VALUE_TEMP) {
        r.where = r.output ? memory::bound : memory::scratch;
        r.offset = info.scratch_offset;
        r.bytes = info.scratch_bytes;
    }
    if (r.where == memory::bound) bound.push_back(v);
    return {};
}

// The value and the root it looks at.
status program::need_value(rlx_value v) {
    if (v >= tensors.size())
        return fail(RLX_INTERNAL, "vulkan: value {} of a graph with {}", v, tensors.size() - 1);
    if (tensors[v].id) return {};
    RLX_CHECK(read_value(v));
    return need_value(tensors[v].root);
}

status
program::read(const rlx_graph* g_in, std::span<const std::uint32_t> nodes, std::vector<node>& out) {
    graph = g_in;
    const sdk::graph_reader reader(graph);
    tensors.assign(reader.value_count() + 1, tensor{});
    roots.assign(tensors.size(), root{});
    for (const std::uint32_t index : nodes) {
        node n;
        n.index = index;
        n.view = RLX_TRY(reader.node(index));
        for (const rlx_value v : n.view.in()) {
            if (v) RLX_CHECK(need_value(v));
            n.in.push_back(v ? &tensors[v] : nullptr);
        }
        for (const rlx_value v : n.view.out()) {
            RLX_CHECK(need_value(v));
            n.out.push_back(&tensors[v]);
        }
        out.push_back(std::move(n));
    }
    const auto upper = RLX_TRY(reader.upper_bounds());
    return size_tensors(upper.data(), static_cast<std::uint32_t>(upper.size()));
}

status program::size_tensors(const std::int64_t* values, std::uint32_t n) {
    numbers.resize(handles.size());
    RLX_CHECK(sdk::graph_reader(graph).eval({values, n}, handles, numbers));
    for (tensor& t : tensors) {
        if (!t.id) continue;
        const std::int64_t* at = numbers.data() + t.first_handle;
        t.count = 1;
        std::int64_t expect = 1;
        t.contiguous = true;
        for (std::uint32_t i = t.rank; i-- > 0;) {
            t.dim[i] = at[i];
            t.stride[i] = at[t.rank + i];
            if (t.dim[i] < 0)
                return fail(
                    RLX_INVALID_ARGUMENT, "vulkan: a tensor would have a dimension of {}", t.dim[i]
                );
            if (t.dim[i] != 1 && t.stride[i] != expect) t.contiguous = false;
            if (__builtin_mul_overflow(expect, t.dim[i], &expect)) expect = INT64_MAX;
            if (__builtin_mul_overflow(t.count, t.dim[i], &t.count)) t.count = INT64_MAX;
        }
        if (t.count == 0) t.contiguous = true;
        t.offset = at[2 * t.rank];
    }
    return {};
}

status program::build(const rlx_compile_args& args) {
    if (!args.graph || (args.n_nodes && !args.nodes))
        return fail(RLX_INVALID_ARGUMENT, "vulkan: no graph to compile");
    std::vector<node> nodes;
    RLX_CHECK(read(args.graph, {args.nodes, static_cast<std::size_t>(args.n_nodes)}, nodes));
    for (node& n : nodes) {
        if (is_view(n.op())) continue;
        if (const char* why = why_not(n, *this))
            return fail(
                RLX_UNSUPPORTED,
                "vulkan: node {} ('{}'): {}",
                n.index,
                n.view.info.origin,
                std::string_view(why)
            );
        std::unique_ptr<step> s = find_op(n.op())->make();
        s->n = std::move(n);
        RLX_CHECK(s->prepare(*this));
        steps.push_back(std::move(s));
    }
    return {};
}

} // namespace rlx::vulkan
