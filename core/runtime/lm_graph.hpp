// SPDX-License-Identifier: GPL-3.0-only
// The "lm" or "embed" graph of a family, declared, built, finished and sized; nothing loaded yet.
#pragma once

#include "program.hpp"

#include "rlx/base/options.hpp"
#include "rlx/graph/graph.hpp"
#include "rlx/runtime/lm.hpp"

#include <array>

namespace rlx {

inline constexpr std::int64_t page_tokens = 64; // rows per KV page

enum lm_symbol : std::size_t { symbol_t, symbol_b, symbol_p, symbol_r, n_symbols };

enum lm_input : std::size_t {
    input_tokens,
    input_positions,
    input_lengths,
    input_slots,
    input_cu_seqlens,
    input_kv_lengths,
    input_block_table,
    input_rows,
    n_inputs
};

struct lm_graph {
    std::unique_ptr<graph> g;
    lm_options options;         // nothing left at 0 or "auto" but compute
    bool kv_may_be_f32 = false; // it was "auto"
    std::int64_t vocab_size = 0, hidden_size = 0, context_length = 0;
    std::int64_t row_size = 0; // floats per row of the output
    std::int64_t pages_per_sequence = 0, n_pages = 0;
    std::array<rlx_value, n_inputs> inputs{};
    rlx_value output = 0; // "logits" or "hidden"
    std::vector<rlx_value> states;
    std::vector<std::int64_t> extents;              // [graph symbols] fixed ones filled in
    std::array<std::uint32_t, n_symbols> symbols{}; // places of T, B, P, R in extents
    program_plan program;
    std::vector<std::string> warnings;

    // Sizes, from the backend.
    std::vector<std::uint64_t> page_bytes; // [states]
    lm_plan plan;
};

// RLX_INVALID_ARGUMENT for options out of range; errors of the family, the graph or the backend as
// they are.
result<lm_graph> build_lm_graph(const lm_model::parts& parts, const lm_options& options);

// RLX_OUT_OF_MEMORY when the plan is over max_memory_gb or over what machine or device have.
result<void> check_memory(const lm_graph& lm, const lm_model::parts& parts);

} // namespace rlx
