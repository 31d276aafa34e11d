// SPDX-License-Identifier: GPL-3.0-only
// A small decoder with a KV state, whole: embedding, two layers, head. Patterns, state mode and
// split mode run it.
#pragma once

#include "cases.hpp"

namespace optest {

struct lm_values {
    rlx_value tokens, positions, slots, cu, lengths, table;
};

// Weights of matrices have the case's first type. Symbols T, B, P up to these bounds.
struct lm_bounds {
    std::int64_t tokens = 64, sequences = 4, pages = 8;
};

inline constexpr std::int64_t lm_vocab = 61;

// Declares inputs and nodes; the logits of every token are the output. m.pages is set.
lm_values build_lm(model& m, const lm_bounds& bounds);

// One step: per sequence the tokens it gets, how many rows it has already, and its pages.
struct lm_sequence {
    std::vector<std::int64_t> tokens;
    std::int64_t cached = 0;
    std::vector<std::int64_t> pages;
};

feed lm_feed(const model& m, const lm_values& v, const std::vector<lm_sequence>& step);

} // namespace optest
