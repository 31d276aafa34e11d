// SPDX-License-Identifier: GPL-3.0-only
// Which nodes become one step. A fused node runs where its last node stood; a pattern is only taken
// when nobody else wants what lies between.
#pragma once

#include "reader.hpp"

namespace rlx::cpu {

constexpr std::uint32_t no_node = UINT32_MAX;

enum class role : std::uint8_t {
    plain,
    norm,     // disappears into the activations of its consumers
    absorbed, // a product that a later Glu, Unary or sum computes
    head,     // RmsNorm or Rope of keys or queries, applied by KvAppend or AttentionState
};

// What KvAppend does to its keys, and AttentionState to its queries, before using them.
struct head_nodes {
    std::uint32_t norm = no_node;
    std::uint32_t rope = no_node;

    bool any() const { return norm != no_node || rope != no_node; }

    std::uint32_t first() const { return norm != no_node ? norm : rope; }
};

struct plan_of_nodes {
    bool fuse = true;
    std::vector<role> roles;              // by node
    std::vector<packed_weight*> products; // by node; null: no product with a packed weight
    std::vector<std::uint32_t> partner; // Glu: the gate's product; sum, Unary: theirs; else no_node
    std::vector<std::uint32_t> second;  // Glu: the up product
    std::vector<char> packs;            // Glu, Unary: only products want the result, in bf16
    std::vector<std::uint32_t> norm_by_root;
    std::vector<head_nodes> heads; // KvAppend and AttentionState

    // The fused norm whose result x is, or no_node.
    std::uint32_t norm_of(const tensor& x) const { return norm_by_root[x.root]; }
};

inline bool is_product(const node& n) {
    return n.info.op == RLX_OP_MatMul || n.info.op == RLX_OP_GroupedMatMul;
}

// Fills roles, partner, second and norm_by_root; products is given.
void find_patterns(const program& p, const std::vector<node>& nodes, plan_of_nodes& plan);

// Node `from` may run at the earlier place `to`: nothing between needs the memory it writes.
bool may_move(
    const program& p,
    const std::vector<node>& nodes,
    const plan_of_nodes& plan,
    std::size_t from,
    std::size_t to
);

// Some node in (from, to] writes over t.
bool may_be_lost(
    const program& p,
    const std::vector<node>& nodes,
    const plan_of_nodes& plan,
    const tensor& t,
    std::size_t from,
    std::size_t to
);

} // namespace rlx::cpu
