// SPDX-License-Identifier: GPL-3.0-only
// A backend that computes one scalar after the other. Weights are held as f32, every value may be a
// strided view, composites are refused, so the host decomposes them.
#pragma once

#include <rlx/sdk.hpp>

namespace toy {

namespace sdk = rlx::sdk;
using sdk::fail;
using sdk::node_view;
using sdk::result;
using sdk::status;
using std::int64_t;

// A value of the graph. Views share the memory of their root.
struct value {
    rlx_value_info info{};        // pointers are the graph's, which outlives the program
    std::vector<float> weight;    // roots of kind WEIGHT: all elements
    char* memory = nullptr;       // roots: first byte, in this run
    std::uint64_t bytes = 0;      // roots: how many there are
    std::vector<int64_t> dims;    // numbers, in this run
    std::vector<int64_t> strides; // in elements
    int64_t offset = 0;           // elements from the root's first
};

// A value as ops see it.
struct array {
    std::uint16_t dtype = RLX_F32;
    std::span<const int64_t> dims, strides;
    char* data = nullptr; // of element [0, 0, ..]

    int64_t count() const;
    // Place of an index in elements; numpy broadcasting against a longer index.
    int64_t place(std::span<const int64_t> index) const;

    float& f(std::span<const int64_t> index) const {
        return reinterpret_cast<float*>(data)[place(index)];
    }

    std::int32_t& i(std::span<const int64_t> index) const {
        return reinterpret_cast<std::int32_t*>(data)[place(index)];
    }
};

// Calls fn(index) for every index of these dims, the last one fastest.
template <class Fn>
void each(std::span<const int64_t> dims, Fn&& fn) {
    for (const int64_t d : dims)
        if (d == 0) return;
    std::vector<int64_t> index(dims.size(), 0);
    while (true) {
        fn(std::span<const int64_t>(index));
        std::size_t axis = dims.size();
        while (axis > 0 && ++index[axis - 1] == dims[axis - 1])
            index[--axis] = 0;
        if (axis == 0) return;
    }
}

// What compile() makes: the nodes in order, the values they use, the weights.
struct program {
    sdk::graph_reader graph{nullptr};
    int64_t page_tokens = 0;
    std::vector<node_view> nodes;
    std::vector<value> values; // by id; [0] is no value

    status read(const rlx_compile_args& args);
    // Exact bytes of the weights this program holds.
    std::uint64_t weight_bytes() const;
    status load_weights(const rlx_compile_args& args);
    // Numbers for all dims, addresses for all roots.
    status prepare(const rlx_run_args& args);

    array operator[](rlx_value v) const;

    // Bytes of one page of a slot.
    static std::uint64_t page_bytes(const rlx_state_slot& s, int64_t page_tokens) {
        return static_cast<std::uint64_t>(page_tokens * s.n_heads * (s.k_dim + s.v_dim)) *
               sizeof(float);
    }

    // The slot a state value belongs to.
    const value& slot(rlx_value v) const { return values[values[v].info.root]; }
};

// Null when the node can run, else why not.
const char* why_not(const node_view& n, const program& p);

// Runs one node.
status run_node(const node_view& n, const program& p);

// attention.cpp
status rope_table(const node_view& n, const program& p);
status kv_append(const node_view& n, const program& p);
status attention(const node_view& n, const program& p);

} // namespace toy
