// SPDX-License-Identifier: GPL-3.0-only
// The one table of limits. A looser number needs its reason beside it.
#include "judge.hpp"

namespace optest {
namespace {

// Reduced compute modes round both factors of a product, to 8 bits of mantissa (bf16) or to int8
// blocks ("auto" with packed weights): 2^-9 relative per factor, averaged over the sum.
constexpr limit table[] = {
    // Nothing is computed: bits move.
    {"Copy", "*", "*", 0, 0, 0, true},
    {"Concat", "*", "*", 0, 0, 0, true},
    {"Pad", "*", "*", 0, 0, 0, true},
    {"Cast", "*", "*", 0, 0, 0, true},
    {"Fill", "*", "*", 0, 0, 0, true},
    {"Arange", "*", "*", 0, 0, 0, true},
    {"TakeAlong", "*", "*", 0, 0, 0, true},
    {"TopK", "*", "*", 0, 0, 0, true},
    {"Compare", "*", "*", 0, 0, 0, true},
    {"Select", "*", "*", 0, 0, 0, true},
    {"Clamp", "*", "*", 0, 0, 0, true},
    {"Views", "*", "*", 0, 0, 0, true},
    // d * scale * q - m in f32: two roundings, which cancel at worst.
    {"GatherRows", "packed", "*", 1e-12, 1e-6, 1e-2, true},
    {"GatherRows", "*", "*", 0, 0, 0, true},
    // One rounding, or a library function good to a few units in the last place.
    {"Binary.pick", "*", "*", 0, 0, 0, true},
    {"Unary.sign", "*", "*", 0, 0, 0, true},
    {"Reduce.pick", "*", "*", 0, 0, 0, true},
    // Far from 0 the argument is reduced with few digits left; near a zero the result has none of
    // its own.
    {"Unary.wave", "*", "*", 1e-11, 4e-6, 1, true},
    {"Unary.gate", "*", "*", 1e-11, 4e-6, 1e-2, true},
    {"Binary", "*", "*", 1e-11, 2e-6, 1e-6, true},
    {"Unary", "*", "*", 1e-11, 4e-6, 1e-6, true},
    {"Affine", "*", "*", 1e-12, 1e-6, 1e-1, true},
    {"Glu", "*", "*", 1e-11, 4e-6, 1e-6, true},
    {"Snake", "*", "*", 1e-11, 4e-6, 1e-1, true},
    {"Modulate", "*", "*", 1e-11, 4e-6, 1e-1, true},
    // The same far out: the position is 1e5.
    {"RopeTable.far", "*", "*", 1e-5, 2e-2, 1, true},
    // An inverse frequency may be off by a unit in its last place, which the position multiplies.
    {"RopeTable", "*", "*", 1e-11, 4e-5, 1, true},
    {"Rope", "*", "*", 1e-11, 2e-6, 1e-1, false},
    {"Reduce", "*", "*", 1e-10, 1e-5, 1e-1, true},
    {"Softmax", "*", "*", 1e-10, 2e-5, 1e-3, false},
    {"MoeRoute", "*", "*", 1e-10, 1e-5, 1e-3, false},
    {"MoeCombine", "*", "*", 1e-11, 1e-5, 1e-1, false},
    {"RmsNorm", "*", "*", 1e-11, 1e-5, 1e-3, false},
    // Mean and variance of rows that are nearly constant keep few digits.
    {"LayerNorm", "*", "*", 1e-7, 2e-3, 1e-2, false},
    {"GroupNorm", "*", "*", 1e-7, 2e-3, 1e-2, false},
    // Sums of products.
    {"MatMul", "*", "f32", 1e-10, 5e-5, 1e-1, false},
    {"GroupedMatMul", "*", "f32", 1e-10, 5e-5, 1e-1, false},
    // One sum of 32 terms has nothing to average with.
    {"MatMul", "packed", "*", 2e-3, 1e-1, 3e-1, false, true},
    {"MatMul", "*", "*", 2e-3, 1e-1, 3e-1, false},
    {"GroupedMatMul", "packed", "*", 2e-3, 1e-1, 3e-1, false, true},
    {"GroupedMatMul", "*", "*", 2e-3, 1e-1, 3e-1, false},
    {"BatchMatMul", "*", "*", 1e-10, 5e-5, 1e-1, false},
    {"Conv", "*", "f32", 1e-10, 5e-5, 1e-1, false},
    {"Conv", "*", "*", 4e-4, 1e-1, 3e-1, false},
    {"ConvTranspose", "*", "f32", 1e-10, 5e-5, 1e-1, false},
    {"ConvTranspose", "*", "*", 4e-4, 1e-1, 3e-1, false},
    // Long rows of keys in tiles of bf16: both factors, and the exponentials.
    {"Attention", "*", "bf16", 4e-4, 1e-1, 3e-1, false},
    {"Attention", "*", "*", 1e-9, 1e-4, 1e-1, false},
    {"RaggedAttention", "*", "*", 1e-9, 1e-4, 1e-1, false},
    {"AttentionState", "*", "f32", 1e-9, 1e-4, 1e-1, false},
    // kv = f16: 11 bits of keys and values.
    {"AttentionState", "*", "*", 1e-5, 2e-2, 2e-1, false},
    // Several ops in a row.
    {"Model", "*", "f32", 1e-8, 1e-3, 1e-1, false},
    {"Model", "*", "*", 5e-3, 5e-1, 5e-1, false},
    {"*", "*", "f32", 1e-9, 1e-4, 1e-1, false},
    {"*", "*", "*", 2e-3, 3e-1, 5e-1, false},
};

bool fits(std::string_view want, std::string_view have) {
    return want == "*" || want == have;
}

} // namespace

std::span<const limit> limits() {
    return table;
}

const limit& limit_for(std::string_view op, bool packed, std::string_view compute) {
    for (const limit& l : table)
        if (fits(l.op, op) && fits(l.weights, packed ? "packed" : "plain") &&
            fits(l.compute, compute))
            return l;
    return table[0]; // not reached: the last row fits everything
}

} // namespace optest
