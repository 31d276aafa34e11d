// SPDX-License-Identifier: GPL-3.0-only
// Graphs as text: ".rlxg", which reads back, for tests and bug reports; JSON for tools.
//
//   rlxg 1
//   symbol T 1 to 64 step 8              step is left out when it is 1
//   input %1 'tokens' i32 [T]
//   weight %2 'embed.weight' q8_0 [1000, 64]
//   constant %3 f32 [2] 0000803f00000040 bytes in memory order
//   state %4 'kv.0' kv 2 x 8 x 8         kind (kv, tensor), n_heads, k_dim, v_dim
//   %5 f32 [T, 64] = GatherRows(%2, %1) @'embed'
//   %6 f32 [T, 3], %7 i32 [T, 3] = TopK(%5, k=3)
//   %8 = KvAppend(%4, %9, %10, %11)      a state has no type
//   %12 f32 [T] = 'org.example.swirl' 1(%5, _, 0x8001=2.0)   a plugin's op and its version; _ is no
//   input output 'y' %6
//
// "#" begins a comment. Dims are numbers, symbols, + - *, exact /, and ceil, div, min, max(a, b).
// In names \ stands before
// ', \ and a line's end (n). Types of results are checked against what the op's rule gives.
#pragma once

#include "rlx/graph/graph.hpp"

namespace rlx {

// The graph with ids counted in the order of the lines. Nothing of the plan: finished graphs give
// their nodes as they run. [any thread]
RLX_API std::string graph_text(const graph& g);

// A graph that can be finished. Weights come from w, which must have them with these types and
// shapes; without w they have no data and only this graph's structure is of use. name is what
// errors call the text: "name:line:column: ...", RLX_CORRUPT_DATA. find_op as for graph::create.
RLX_API result<std::unique_ptr<graph>> graph_parse(
    std::string_view text,
    std::string_view name = "graph",
    weights* w = nullptr,
    custom_op_finder find_op = {}
);

// {"symbols": [...], "values": [...], "nodes": [...], "outputs": [...], "scratch_bytes": n}; ids
// are the graph's own, dims numbers or texts. [any thread]
RLX_API std::string graph_json(const graph& g);

} // namespace rlx
