// SPDX-License-Identifier: GPL-3.0-only
// Reading a graph, loading its weights, and finding the memory of a run.
#include "toy.hpp"

#include <algorithm>

namespace toy {

int64_t array::count() const {
    int64_t n = 1;
    for (const int64_t d : dims)
        n *= d;
    return n;
}

int64_t array::place(std::span<const int64_t> index) const {
    const std::size_t extra = index.size() - dims.size();
    int64_t at = 0;
    for (std::size_t a = 0; a < dims.size(); ++a)
        if (dims[a] != 1) at += index[extra + a] * strides[a];
    return at;
}

array program::operator[](rlx_value v) const {
    const value& x = values[v];
    const value& root = values[x.info.root];
    const bool weight = root.info.kind == RLX_VALUE_WEIGHT; // held as f32, whatever the file has
    const std::uint16_t dtype = weight ? std::uint16_t{RLX_F32} : x.info.dtype;
    const int64_t size = dtype == RLX_BOOL ? 1 : 4;
    return {dtype, x.dims, x.strides, root.memory + x.offset * size};
}

namespace {

// Reads v and its root into the table, once.
status need(program& p, rlx_value v) {
    if (v == 0 || p.values[v].info.size != 0) return {};
    p.values[v].info = RLX_TRY(p.graph.value(v));
    return need(p, p.values[v].info.root);
}

status evaluate(program& p, std::span<const int64_t> extents) {
    for (value& v : p.values) {
        if (v.info.size == 0) continue;
        v.dims.resize(v.info.rank);
        v.strides.assign(v.info.rank, 1);
        RLX_CHECK(p.graph.eval(extents, {v.info.dims, v.info.rank}, v.dims));
        RLX_CHECK(p.graph.eval(extents, {&v.info.offset, 1}, {&v.offset, 1}));
        if (v.info.strides) {
            RLX_CHECK(p.graph.eval(extents, {v.info.strides, v.info.rank}, v.strides));
        } else { // a packed weight, expanded row by row
            for (std::size_t a = v.info.rank; a-- > 1;)
                v.strides[a - 1] = v.strides[a] * v.dims[a];
        }
    }
    return {};
}

} // namespace

status program::read(const rlx_compile_args& args) {
    if (!args.graph || (args.n_nodes && !args.nodes))
        return fail(RLX_INVALID_ARGUMENT, "toy: no graph to compile");
    graph = sdk::graph_reader(args.graph);
    page_tokens = args.page_tokens;
    values.resize(graph.value_count() + 1);
    for (std::uint64_t i = 0; i < args.n_nodes; ++i) {
        nodes.push_back(RLX_TRY(graph.node(args.nodes[i])));
        for (const rlx_value v : nodes.back().in())
            RLX_CHECK(need(*this, v));
        for (const rlx_value v : nodes.back().out())
            RLX_CHECK(need(*this, v));
    }
    return evaluate(*this, RLX_TRY(graph.upper_bounds()));
}

std::uint64_t program::weight_bytes() const {
    std::uint64_t bytes = 0;
    for (std::size_t v = 1; v < values.size(); ++v) {
        const value& x = values[v];
        if (x.info.size == 0 || x.info.kind != RLX_VALUE_WEIGHT) continue;
        std::uint64_t n = 1;
        for (const int64_t d : x.dims)
            n *= static_cast<std::uint64_t>(d);
        bytes += n * sizeof(float);
    }
    return bytes;
}

status program::load_weights(const rlx_compile_args& args) {
    const auto* file = sdk::service<rlx_weights_v1>();
    const std::uint64_t total = weight_bytes();
    std::uint64_t done = 0;
    for (value& x : values) {
        if (x.info.size == 0 || x.info.kind != RLX_VALUE_WEIGHT) continue;
        if (sdk::cancelled(args.cancel)) return fail(RLX_CANCELLED, "toy: cancelled");
        std::uint64_t rows = 1;
        for (std::size_t a = 0; a + 1 < x.dims.size(); ++a)
            rows *= static_cast<std::uint64_t>(x.dims[a]);
        const std::uint64_t cols = x.dims.empty() ? 1 : static_cast<std::uint64_t>(x.dims.back());
        x.weight.resize(rows * cols);
        if (!x.weight.empty())
            RLX_CHECK(
                sdk::check(file->read_f32(graph.weights(), x.info.name, 0, rows, x.weight.data()))
            );
        if (RLX_HAS(file, release)) file->release(graph.weights(), x.info.name);
        done += rows * cols * sizeof(float);
        if (args.progress) args.progress(args.progress_ctx, done, total);
    }
    return {};
}

namespace {

// Bytes a root needs in this run.
std::uint64_t needed(const value& v) {
    if (v.info.kind == RLX_VALUE_STATE) return 0; // every access looks for itself
    std::uint64_t n = v.info.dtype == RLX_BOOL ? 1 : 4;
    for (const int64_t d : v.dims)
        n *= static_cast<std::uint64_t>(d);
    return n;
}

// Where a root lies before anything is bound.
void place(value& v, const sdk::host_buffer<>* scratch) {
    v.memory = nullptr;
    v.bytes = 0;
    switch (v.info.kind) {
    case RLX_VALUE_WEIGHT:
        v.memory = reinterpret_cast<char*>(v.weight.data());
        v.bytes = v.weight.size() * sizeof(float);
        break;
    case RLX_VALUE_CONSTANT:
        v.memory = const_cast<char*>(static_cast<const char*>(v.info.data.p)); // never written
        v.bytes = v.info.data.n;
        break;
    case RLX_VALUE_TEMP:
        if (v.info.is_output || !scratch || v.info.scratch_offset > scratch->bytes) break;
        v.memory = scratch->data() + v.info.scratch_offset;
        v.bytes = scratch->bytes - v.info.scratch_offset;
        break;
    default: break; // inputs and states are bound by the caller
    }
}

} // namespace

status program::prepare(const rlx_run_args& args) {
    if (args.n_extents > 0 && !args.extents)
        return fail(RLX_INVALID_ARGUMENT, "toy: run without extents");
    RLX_CHECK(evaluate(*this, {args.extents, args.n_extents}));
    const auto* scratch = args.scratch ? &sdk::host_buffer<>::of(args.scratch) : nullptr;
    for (value& v : values)
        place(v, scratch);
    for (std::uint64_t i = 0; args.bind && i < args.n_bind; ++i) {
        const rlx_binding b = sdk::binding_at(args, i);
        if (b.value >= values.size()) continue; // of a part of the graph that runs elsewhere
        value& v = values[b.value];
        v.memory = b.buffer ? sdk::host_buffer<>::of(b.buffer).data() : static_cast<char*>(b.host);
        v.bytes = b.buffer ? std::min(b.bytes, sdk::host_buffer<>::of(b.buffer).bytes) : b.bytes;
    }
    for (std::size_t v = 1; v < values.size(); ++v) {
        const value& x = values[v];
        if (x.info.size == 0 || x.info.root != v) continue;
        if (needed(x) > 0 && (!x.memory || x.bytes < needed(x)))
            return fail(
                RLX_INVALID_ARGUMENT,
                "toy: value {} '{}' has {} bytes bound, {} are needed",
                v,
                x.info.name,
                x.memory ? x.bytes : 0,
                needed(x)
            );
    }
    return {};
}

} // namespace toy
