// SPDX-License-Identifier: GPL-3.0-only
// The llama32 family: Llama-shaped decoders without QK norms. Config, names and forward; no
// runtime.
#pragma once

#include "rlx/sdk/lm.hpp"

namespace rlx::llama32 {

struct config : sdk::decoder_config {
    sdk::bias qkv_bias = sdk::bias::none;
    sdk::bias o_bias = sdk::bias::none;
    sdk::bias mlp_bias = sdk::bias::none;

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

} // namespace rlx::llama32
