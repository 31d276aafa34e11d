// SPDX-License-Identifier: GPL-3.0-only
// The oracle: every op of rlx/abi/ops.def, scalar and in double precision, written from its text.
// Slow on purpose: the plainest loops that say what the text says. Nothing here is shared with a
// backend.
#pragma once

#include "tensor.hpp"

#include "rlx/graph/graph.hpp"

namespace optest::ref {

// Throws bad_input where the text says error, no_answer for an op without a function.
results compute(const call& c);
bool knows(std::uint16_t op);

// Families of ops, one file each.
using op_function = results (*)(const call&);

struct entry {
    std::uint16_t op;
    op_function run;
};

std::vector<entry> view_ops();
std::vector<entry> create_ops();
std::vector<entry> index_ops();
std::vector<entry> elementwise_ops();
std::vector<entry> reduce_ops();
std::vector<entry> norm_ops();
std::vector<entry> linear_ops();
std::vector<entry> rope_ops();
std::vector<entry> attention_ops();
std::vector<entry> conv_ops();
std::vector<entry> arrange_ops();
std::vector<entry> image_ops();
std::vector<entry> resample_ops();
std::vector<entry> signal_ops();
std::vector<entry> recurrent_ops();

// ---- element types
// ---------------------------------------------------------------------------------
bool is_integer(std::uint16_t dtype);
bool is_packed(std::uint16_t dtype);
// Bytes of n elements (whole blocks for packed types).
std::size_t bytes_of(std::uint16_t dtype, std::size_t n);
// The numbers stored in n elements of any type, exact.
std::vector<double> decode(std::uint16_t dtype, const void* bytes, std::size_t n);
// Plain types: rounds to nearest even, integers as C converts them.
std::vector<char> encode(std::uint16_t dtype, const std::vector<double>& numbers);
// x rounded to what the type can hold, as Cast does.
double round_to(std::uint16_t dtype, double x);
std::vector<double> decode_packed(std::uint16_t dtype, const std::uint8_t* bytes, std::size_t n);

// ---- whole graphs
// ---------------------------------------------------------------------------------- Values of a
// graph at the extents of one run: sources are given, the rest is computed node by node. Works
// before finish() and after it.
struct environment {
    std::map<rlx_value, tensor> values;
    std::map<rlx_value, kv_rows> states;
};

// What stands in for compute() at one node; mutants use it.
using node_function = std::function<results(const call&)>;

void evaluate(
    const rlx::graph& g,
    const std::vector<std::int64_t>& extents,
    environment& env,
    const node_function& run = compute
);

} // namespace optest::ref
