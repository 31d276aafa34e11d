// SPDX-License-Identifier: GPL-3.0-only
// What finish() does to a module, in order: fold, prune, verify, settle, plan, verify again.
#pragma once

#include "module.hpp"
#include "rlx/graph/graph.hpp"

namespace rlx::ir {

// Computes nodes whose operands are all constants; returns how many.
std::size_t fold(module& m);

// Removes nodes that neither an output nor a state depends on.
void prune(module& m);

// Arity, attributes, shapes recomputed, definition before use, order of state versions, view
// bounds, outputs and, when planned, that no two live values share scratch. [any thread]
result<void> verify(const module& m);

// Gives every node an owner: asks claims(), copies strided inputs of what was refused, decomposes
// refused composites, until all is claimed. An empty function claims everything. Returns how many
// composites were decomposed.
result<std::size_t>
settle(module& m, const graph::claim_fn& claims, const finish_options& options = {});

// Gives values that another program reads than the one that makes them memory of their own.
// programs: by node, see graph::cut_fn; RLX_INTERNAL when it is none.
result<void> cut(module& m, std::span<const std::uint32_t> programs);

// Emits the primitives of a composite; the returned values stand for n's outputs and are no views.
result<std::vector<rlx_value>> decompose(module& m, std::vector<node>& sink, const node& n);

// Places the scratch values; sets scratch_offset and scratch_bytes.
result<void> plan(module& m);
plan_report report(const module& m);

std::string dump(const module& m);

// First and last step (node index) at which the memory of each value's root is needed; first =
// no_node for values without a place in the arena.
struct lifetime {
    std::uint32_t first = no_node, last = 0;
};

std::vector<lifetime> lifetimes(const module& m);

// The root that the node's output may be written over (elementwise, same layout, dies here); 0 =
// none.
rlx_value overwritten(const module& m, std::span<const lifetime> lives, std::uint32_t step);

} // namespace rlx::ir
