// SPDX-License-Identifier: GPL-3.0-only
// "rlx.family/1": what a model family offers. A family reads the config, checks it against the weights
// and builds graphs; the host plans, compiles, runs, samples and tokenises.
#pragma once

#include "rlx/abi/graph.h"
#include "rlx/abi/services.h"

#ifdef __cplusplus
extern "C" {
#endif

// Graph names a family may be asked for. "lm" is a causal language model step:
//   inputs   tokens i32 [T], positions i32 [T], lengths i32 [T] (length of the token's sequence after this
//            step), slots i32 [T] (cache row per token), cu_seqlens i32 [B+1], kv_lengths i32 [B],
//            block_table i32 [B, P], rows i32 [R] (tokens whose logits are wanted)
//   output   logits f32 [R, vocab]
//   symbols  T, B, P, R; declared by the host before build() is called, as are the inputs: input() with the
//            same name, dtype and rank returns the declared value.
#define RLX_GRAPH_LM "lm"

typedef struct rlx_family_v1 {
    rlx_hdr hdr;
    // Parses config and tensor shapes into *model. Errors name the key or tensor and what was expected.
    // opts: runtime options that change the model ("rope.scaling" overrides and the like), may be NULL.
    // [any thread]
    rlx_error* (*open)(void* self, rlx_weights* w, const rlx_options* opts, void** model);
    void (*close)(void* self, void* model); // [one thread per model]
    // Facts for the host: "vocab_size", "context_length", "n_layers", "hidden_size" (i64), "name" (str).
    rlx_error* (*info)(void* self, void* model, rlx_options* out);
    // Adds the named graph's nodes to g. [one thread per model]
    rlx_error* (*build)(void* self, void* model, rlx_str graph, rlx_graph* g);
} rlx_family_v1;

#ifdef __cplusplus
}
#endif
