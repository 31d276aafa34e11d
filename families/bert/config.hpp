// SPDX-License-Identifier: GPL-3.0-only
// The bert family: post-norm encoders with learned positions. Config, names and forward; no
// runtime.
#pragma once

#include "rlx/sdk.hpp"

#include <optional>
#include <string_view>

namespace rlx::bert {

enum class head { hidden, pooled, classes, vocab };

// The modules' names and what surrounds them differ; the layer's formula does not.
enum class kind { bert, roberta, mpnet, distilbert };

struct config {
    bert::kind kind = bert::kind::bert;
    bool prefixed = false; // names begin with "bert.", "roberta.", "mpnet." or "distilbert."
    std::int64_t hidden = 0, n_layers = 0, n_heads = 0, inner = 0;
    std::int64_t vocab = 0, types = 0; // types: 0 = no token types
    std::int64_t positions = 0;        // rows of the position table
    std::int64_t first_position = 0; // row of a text's first token (RoBERTa, MPNet: padding id + 1)
    std::int64_t unplaced = -1;      // id that takes no place and has the row before the first
    std::int64_t buckets = 0;        // MPNet: rows of the relative attention bias
    std::int64_t act = RLX_UNARY_GELU;
    double norm_eps = 1e-12;
    bool gguf = false;
    // -- heads the checkpoint has
    bool pooler = false, class_dense = false, vocab_head = false;
    bool tied = true;         // vocab: the word embeddings are the decoder
    std::int64_t classes = 0; // 0 = no classification head

    std::int64_t context() const { return positions - first_position; }

    std::int64_t head_dim() const { return hidden / n_heads; }
};

// First part of the names in files with a head.
std::string_view prefix_of(kind k);

// -- what differs in the plugins made of these sources: variant.cpp here and in ../clinicalbert
std::string_view family_name();
// What the plugin does not take although the forward could; before anything else is read.
void check_checkpoint(const sdk::checkpoint& c);
// Name of a known checkpoint, or empty.
std::string_view variant_of(const sdk::checkpoint& c, const config& m);

// Maps GGUF names; before anything else looks at a tensor.
void add_names(const sdk::checkpoint& c);

// Errors are left in c.errors() and name the key or the tensor.
config read_config(const sdk::checkpoint& c);

// What of the heads is in the file, into m; the rest of m is known.
void read_heads(const sdk::checkpoint& c, config& m);
// Tensors of heads that a graph does not use are no news.
void ignore_heads(const sdk::checkpoint& c, const config& m);

// Which head a graph of rlx/abi/family.h has; nothing for a graph that is not done.
std::optional<head> head_of(std::string_view graph);

// Adds the nodes of the head's graph. RLX_UNSUPPORTED when the checkpoint lacks the head.
void build(sdk::graph_builder& g, const config& c, head h);

// The body: the last hidden state [T, hidden].
sdk::tensor hidden_states(sdk::scope body, sdk::graph_builder& g, const config& c);

// Files of 2018 spell the parameters gamma and beta.
sdk::tensor layer_norm(sdk::scope m, sdk::tensor x, const config& c);

// Row of MPNet's relative attention bias for a key `distance` tokens behind the query: half of the
// rows for either direction, exact up to a quarter of them, then logarithmic up to 128 tokens
// (T5, arXiv:1910.10683; transformers modeling_mpnet).
std::int64_t relative_bucket(std::int64_t distance, std::int64_t buckets);

} // namespace rlx::bert
