// SPDX-License-Identifier: GPL-3.0-only
// A backend as small as one can be: scalar f32 loops over copies of the operands. Written against
// the frozen SDK and never changed with it.
#pragma once

#include "rlx/sdk/plugin.hpp"

#include <map>
#include <span>
#include <vector>

struct rlx_buffer {
    std::uint64_t bytes;
    void* data; // calloc
};

namespace frozen {

using namespace rlx::sdk;

// One value in one run.
struct tensor {
    rlx_value_info info{};
    std::vector<std::int64_t> dims, strides; // numbers, outermost first, strides in elements
    std::int64_t offset = 0;
    void* data = nullptr; // of the root

    std::int64_t size() const {
        std::int64_t n = 1;
        for (const std::int64_t d : dims)
            n *= d;
        return n;
    }
};

struct node {
    rlx_node_info info{};
    std::vector<rlx_value> in, out;
    std::vector<rlx_attr> attrs;

    const rlx_attr* find(std::uint16_t key) const {
        for (const rlx_attr& a : attrs)
            if (a.key == key) return &a;
        return nullptr;
    }

    std::int64_t i64(std::uint16_t key) const { return find(key) ? find(key)->i : 0; }

    double f64(std::uint16_t key) const { return find(key) ? find(key)->f : 0; }
};

struct program {
    const rlx_graph* graph = nullptr;
    std::uint32_t page_tokens = 0;
    std::vector<node> nodes;
    std::map<rlx_value, std::vector<float>> weights; // by root
};

// What an op sees: its operands as contiguous copies, its results as pointers.
struct run_state {
    const program& p;
    std::span<const std::int64_t> extents;
    std::map<rlx_value, tensor> values;

    const tensor& at(rlx_value v) const { return values.at(v); }

    std::vector<float> floats(rlx_value v) const;
    std::vector<std::int32_t> ints(rlx_value v) const;
};

// Null when this backend runs the op, else why not.
const char* why_not(const node& n);
status run_node(const node& n, run_state& s);

} // namespace frozen
