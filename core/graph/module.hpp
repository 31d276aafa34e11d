// SPDX-License-Identifier: GPL-3.0-only
// The graph's data: values and nodes in execution order. Plain data; building, rules and passes are
// in their own files. Internal to core/graph.
#pragma once

#include "dims.hpp"
#include "rlx/abi/graph.h"
#include "rlx/graph/graph.hpp"
#include "rlx/graph/ops.hpp"

#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace rlx::ir {

inline constexpr std::uint32_t no_node = UINT32_MAX;

struct value {
    std::uint16_t kind = RLX_VALUE_TEMP;
    std::uint16_t dtype = RLX_F32;
    std::vector<dim> dims;
    std::vector<dim> strides; // [rank]; empty for packed types
    dim offset = 0;
    rlx_value root = 0;
    std::uint32_t producer = no_node; // also for a value whose node was removed
    bool is_output = false;
    std::string name;
    std::vector<std::byte> data; // constants
    rlx_state_slot slot{};       // states
    std::uint64_t scratch_offset = 0, scratch_bytes = 0;
};

// Attributes with the lists they point to.
struct attr_list {
    std::vector<rlx_attr> items;
    std::vector<std::unique_ptr<std::int64_t[]>> lists;

    const rlx_attr* find(std::uint32_t key) const;
    std::int64_t i64(std::uint32_t key, std::int64_t fallback = 0) const;
    double f64(std::uint32_t key, double fallback = 0) const;
    std::span<const std::int64_t> list(std::uint32_t key) const;
    void put(rlx_attr a); // copies the list
};

struct node {
    std::uint16_t op = 0, version = 1;
    std::vector<rlx_value> in, out;
    attr_list attrs;
    std::string origin;
    std::shared_ptr<const custom_op> custom; // RLX_OP_Custom
};

struct module {
    dim_table dims;
    std::deque<value> values; // value id - 1
    std::vector<node> nodes;  // execution order
    std::vector<rlx_value> outputs;
    std::string origin; // of the nodes added next
    std::uint64_t scratch_bytes = 0;

    bool valid(rlx_value v) const { return v >= 1 && v <= values.size(); }

    value& at(rlx_value v) { return values[v - 1]; }

    const value& at(rlx_value v) const { return values[v - 1]; }

    rlx_value push(value v); // root = itself unless set
    void renumber();         // producer indices from nodes
    rlx_value find(std::uint32_t kind, std::string_view name) const;
};

// "Softmax in model.layers.3.mlp"
std::string where(std::string_view op, std::string_view origin);
std::string where(const op_desc& op, std::string_view origin);
std::string where(const node& n);
// "%12 'tokens' i32 [T]"
std::string describe(const module& m, rlx_value v);

} // namespace rlx::ir
