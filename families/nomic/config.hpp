// SPDX-License-Identifier: GPL-3.0-only
// The nomic family: NomicBERT text encoders, post-norm with rotary positions, dense or with experts
// in every second layer. Config, names and forward; no runtime.
#pragma once

#include "rlx/sdk.hpp"

#include <optional>
#include <string_view>

namespace rlx::nomic {

enum class head { hidden, pooled, classes, vocab };

struct config {
    std::string_view prefix; // first part of the body's names: "", "bert" or "nomic_bert"
    bool gguf = false;
    std::int64_t hidden = 0, n_layers = 0, n_heads = 0, head_dim = 0;
    std::int64_t inner = 0;            // of the feed-forward: as the tensors have it
    std::int64_t vocab = 0, types = 0; // types: 0 = no token types
    std::int64_t context = 0;
    double norm_eps = 1e-12;
    sdk::rope_config rope;
    bool interleaved = false;  // rope turns the pairs (2j, 2j + 1)
    bool gated = true;         // the dense feed-forward has a gate
    std::int64_t act = 0;      // RLX_GLU_* when gated, else RLX_UNARY_*
    std::int64_t head_act = 0; // RLX_UNARY_*, of the masked language model head
    sdk::bias qkv_bias = sdk::bias::none, up_bias = sdk::bias::none, down_bias = sdk::bias::none;
    // -- experts
    std::int64_t experts = 0, experts_used = 0, moe_every = 0; // 0 = none
    // -- heads the checkpoint has
    bool pooler = false, vocab_head = false, tied = true;
    std::int64_t classes = 0;

    bool has_experts(std::int64_t layer) const { return moe_every > 0 && layer % moe_every == 1; }
};

// Maps GGUF names; before anything else looks at a tensor.
void add_names(const sdk::checkpoint& c);

// Errors are left in c.errors() and name the key or the tensor.
config read_config(const sdk::checkpoint& c);

// What of the heads is in the file, into m; the rest of m is known. Tensors of heads that a graph
// does not use are no news.
void read_heads(const sdk::checkpoint& c, config& m);

// Which head a graph of rlx/abi/family.h has; nothing for a graph that is not done.
std::optional<head> head_of(std::string_view graph);

// Adds the nodes of the head's graph. RLX_UNSUPPORTED when the checkpoint lacks the head.
void build(sdk::graph_builder& g, const config& c, head h);

// The body: the last hidden state [T, hidden].
sdk::tensor hidden_states(sdk::scope body, sdk::graph_builder& g, const config& c);

} // namespace rlx::nomic
