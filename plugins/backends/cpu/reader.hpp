// SPDX-License-Identifier: GPL-3.0-only
// A graph as this backend reads it: tensors and roots at the upper bounds, nodes with their
// tensors, and the reason why a node cannot run here.
#pragma once

#include "steps/steps.hpp"

#include <span>

namespace rlx::cpu {

// Fills tensors, roots, handles, bound and (for the nodes' values) the numbers at the symbols'
// upper bounds.
status read_graph(
    program& p, const rlx_graph* g, std::span<const std::uint32_t> nodes, std::vector<node>& out
);

status upper_bounds(const rlx_graph* g, std::vector<std::int64_t>* out);

// Null when the node can run, else static text.
const char* why_not(const node& n, const program& p);

// Bytes of a row of `cols` elements as a file stores it; 0 when cols is no whole number of blocks.
std::uint64_t stored_row_bytes(std::uint16_t dtype, std::int64_t cols);

bool is_view(std::uint16_t op);
bool is_float(std::uint16_t dtype); // F32, F16, BF16, F64

// The stored matrix behind a product's right operand; false when it has to be computed as an
// ordinary tensor.
struct stored_matrix {
    mm_weight desc;
    std::int64_t first_row = 0;
    std::uint64_t row_bytes = 0;
};

bool find_stored(const program& p, const tensor& w, stored_matrix* out);

} // namespace rlx::cpu
