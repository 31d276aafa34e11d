// SPDX-License-Identifier: GPL-3.0-only
// The bert family: post-norm encoders with learned positions. Config, names and forward; no
// runtime.
#pragma once

#include "rlx/sdk.hpp"

namespace rlx::bert {

// The modules' names and what surrounds them differ; the layer's formula does not.
enum class kind { bert, roberta, mpnet, distilbert };

struct config {
    bert::kind kind = bert::kind::bert;
    bool prefixed = false; // names begin with "bert.", "roberta.", "mpnet." or "distilbert."
    std::int64_t hidden = 0, n_layers = 0, n_heads = 0, inner = 0;
    std::int64_t vocab = 0, types = 0; // types: 0 = no token types
    std::int64_t positions = 0;        // rows of the position table
    std::int64_t first_position = 0; // row of a text's first token (RoBERTa, MPNet: padding id + 1)
    std::int64_t buckets = 0;        // MPNet: rows of the relative attention bias
    std::int64_t act = RLX_UNARY_GELU;
    double norm_eps = 1e-12;

    std::int64_t context() const { return positions - first_position; }

    std::int64_t head_dim() const { return hidden / n_heads; }
};

// Maps GGUF names; before anything else looks at a tensor.
void add_names(const sdk::checkpoint& c);

// Errors are left in c.errors() and name the key or the tensor.
config read_config(const sdk::checkpoint& c);

// Adds the nodes of the graph "encode".
void build(sdk::graph_builder& g, const config& c);

// Row of MPNet's relative attention bias for a key `distance` tokens behind the query: half of the
// rows for either direction, exact up to a quarter of them, then logarithmic up to 128 tokens
// (T5, arXiv:1910.10683; transformers modeling_mpnet).
std::int64_t relative_bucket(std::int64_t distance, std::int64_t buckets);

} // namespace rlx::bert
