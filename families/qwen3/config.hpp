// SPDX-License-Identifier: GPL-3.0-only
// The qwen3 family: Qwen3 dense and Qwen3-MoE decoders. Config, names and forward; no runtime.
#pragma once

#include "rlx/sdk/lm.hpp"

namespace rlx::qwen3 {

struct config : sdk::decoder_config {
    sdk::bias attention_bias = sdk::bias::none; // of q, k, v and o
    sdk::moe_options moe;                       // n_experts 0: a dense model
    std::vector<bool> sparse;                   // [n_layers] experts instead of one feed-forward

    bool is_sparse(std::int64_t layer) const { return sparse[static_cast<std::size_t>(layer)]; }

    std::int64_t window(std::int64_t layer) const {
        return windows[static_cast<std::size_t>(layer)];
    }
};

// Maps GGUF names; before anything else looks at a tensor.
void add_names(const sdk::checkpoint& c);

// Errors are left in c.errors() and name the key or the tensor.
config read_config(const sdk::checkpoint& c);

// Adds the nodes of the graph "lm" or "embed".
void build(sdk::graph_builder& g, const config& c, std::string_view graph);

} // namespace rlx::qwen3
