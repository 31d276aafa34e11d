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

// "embed" is the same model read for its hidden state: the inputs and symbols of "lm", rows i32 [R] being the
// tokens whose state is wanted, and
//   output   hidden f32 [R, hidden_size]: what the head of "lm" would be given, after the final norm
// The head's weights are not asked for. Pooling and normalising are the host's. A family that has no such graph
// says RLX_UNSUPPORTED.
#define RLX_GRAPH_EMBED "embed"

// "encode" is a text encoder (BERT and its kin): several texts in one step, one behind the other without padding.
//   inputs   tokens i32 [T], positions i32 [T] (place in its text, from 0), token_types i32 [T] (segment, 0 for single
//            texts), cu_seqlens i32 [B+1] (text b has the tokens cu_seqlens[b] <= t < cu_seqlens[b+1])
//   output   hidden f32 [T, hidden_size]: the last hidden state
//   symbols  T, B; declared by the host, as are the inputs. info() "unplaced_id" (i64): takes no place, position -1
#define RLX_GRAPH_ENCODE "encode"

// The heads of text encoders: the inputs and symbols of "encode", another output. A family without such a graph, or a
// checkpoint without the head's tensors: RLX_UNSUPPORTED, saying what is lacking.
//   "encode_pooled"    pooled f32 [B, hidden_size]: the pooler, tanh of a dense layer over the first token's state
//   "encode_classes"   scores f32 [B, classes]: the sequence classification head, no softmax or sigmoid behind it;
//                      what a reranker scores with
//   "encode_vocab"     logits f32 [T, vocab_size]: the masked language model head
#define RLX_GRAPH_ENCODE_POOLED "encode_pooled"
#define RLX_GRAPH_ENCODE_CLASSES "encode_classes"
#define RLX_GRAPH_ENCODE_VOCAB "encode_vocab"

// "encode_image" is an image encoder (a vision transformer): images of one size in one step.
//   inputs   pixels f32 [B, 3, H, W]: what the checkpoint's preprocessing makes of images, normalised, R G B
//   output   hidden f32 [B, N, hidden_size]: the last hidden state, after the final norm where the model has one
//   symbols  B, H, W; declared by the host, as is the input. H and W are multiples of "size_multiple" of info()
// and, with "fixed_size" = 1, only "image_height" and "image_width". N is the graph's own function of H and W. What
// depends on the image's size (resized position tables) is part of the graph, so one plan serves all sizes.
// info() says besides hidden_size, n_layers and name: "image_height", "image_width" (what the checkpoint was
// trained for), "patch_size" (the patch tokens are a grid of H / patch_size by W / patch_size, rounded down, and the
// last N - prefix_tokens rows), "prefix_tokens", "size_multiple" (absent: 1), "fixed_size" (absent: 0), "classes"
// (absent: 0), "preprocess" (str, absent: none): a preprocessor_config.json for checkpoints that have none beside them.
// The heads are graphs of their own, with the same input and symbols; RLX_UNSUPPORTED, saying what is lacking, where
// family or checkpoint has none:
//   "encode_image_pooled"    pooled f32 [B, hidden_size]: the vector that stands for the image
//   "encode_image_classes"   scores f32 [B, classes]: the classification head, no softmax behind it
#define RLX_GRAPH_ENCODE_IMAGE "encode_image"
#define RLX_GRAPH_ENCODE_IMAGE_POOLED "encode_image_pooled"
#define RLX_GRAPH_ENCODE_IMAGE_CLASSES "encode_image_classes"

typedef struct rlx_family_v1 {
    rlx_hdr hdr;
    // Parses config and tensor shapes into *model. Errors name the key or tensor and what was expected.
    // opts: what the run was asked for; NULL from hosts before ABI minor 1. A family uses what it has a use for
    // and ignores the rest. Keys a host sets: "compute" (str: "auto", "f32", "f16", "bf16"), "kv" (str: "auto",
    // "f16", "f32"), "max_seq" (i64, 0 = the host's default), "infer.mode" (str: "production", "parity"),
    // "profile" (str: where the compile profile came from).
    // w outlives the model; opts is borrowed for the call. [any thread] [keeps: end] [gives: close]
    rlx_error* (*open)(void* self, rlx_weights* w, const rlx_options* opts, void** model);
    void (*close)(void* self, void* model); // [one thread per model] [takes]
    // Facts for the host: "vocab_size", "context_length", "n_layers", "hidden_size" (i64), "name" (str).
    // [one thread per model] [borrows]
    rlx_error* (*info)(void* self, void* model, rlx_options* out);
    // Adds the named graph's nodes to g. [one thread per model] [borrows]
    rlx_error* (*build)(void* self, void* model, rlx_str graph, rlx_graph* g);
} rlx_family_v1;

#ifdef __cplusplus
}
#endif
