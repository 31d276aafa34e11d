// SPDX-License-Identifier: GPL-3.0-only
// "rlx.weights/1": an opened checkpoint (safetensors directory, GGUF file) seen through one pair of
// eyes: tensors under the names of the Hugging Face checkpoint, config under the keys of config.json.
// The host undoes what a GGUF converter did (names, row permutations, stacked experts, norm + 1).
#pragma once

#include "rlx/abi/abi.h"
#include "rlx/abi/dtype.h"

#ifdef __cplusplus
extern "C" {
#endif

#define RLX_MAX_RANK 8

// A tensor as the caller sees it (after name and layout resolution).
typedef struct rlx_tensor_desc {
    uint32_t size;  // sizeof as the caller knows it, set before the call
    uint16_t dtype; // RLX_F32, ..., as stored in the file
    uint16_t rank;
    int64_t dim[RLX_MAX_RANK]; // outermost first, in elements
    uint64_t n_bytes;
} rlx_tensor_desc;

// What a GGUF converter did to a tensor; the host presents the tensor as it was before. The stacked ones present
// what GGUF holds, [E, out, in], whatever the file.
enum {
    RLX_TX_NONE = 0,
    // Rows permuted per head for interleaved RoPE: W.reshape(H, 2, hd/2, in).swap(1, 2). param names
    // the config key that holds H ("num_attention_heads"). Applies to weights and biases.
    RLX_TX_ROPE_ROWS = 1,
    RLX_TX_PLUS_ONE = 2, // stored as w + 1 (F32 tensors); read back as w
    // One stacked tensor [E, ...] in GGUF, E separate tensors in the checkpoint. In the rule's hf
    // name the second {} is the expert number; the caller uses the name without ".{}".
    RLX_TX_STACK = 3,
    // One tensor [E * out, in] in the checkpoint, expert after expert. param names the config key that holds E.
    RLX_TX_EXPERTS = 4,
    // One tensor [E * in, out] in the checkpoint: likewise, each matrix transposed. No param: one matrix, [out, in].
    RLX_TX_EXPERTS_TRANSPOSED = 5
};

// One line of a family's name map. "{}" stands for the layer number (first) and, with RLX_TX_STACK,
// the expert number (second, hf only). Suffixes .weight and .bias are part of the names.
//   {"model.layers.{}.self_attn.q_proj.weight", "blk.{}.attn_q.weight", RLX_TX_ROPE_ROWS, "num_attention_heads"}
//   {"model.layers.{}.mlp.experts.{}.up_proj.weight", "blk.{}.ffn_up_exps.weight", RLX_TX_STACK, "num_experts"}
//      is asked for as "model.layers.3.mlp.experts.up_proj.weight", shape [E, out, in], in both formats.
//   {"encoder.layers.{}.mlp.experts.mlp.w1", "blk.{}.ffn_up_exps.weight", RLX_TX_EXPERTS, "num_experts"}
typedef struct rlx_name_rule {
    rlx_str hf;
    rlx_str gguf;
    uint32_t transform;
    uint32_t reserved; // 0
    rlx_str param;
} rlx_name_rule;

enum { RLX_META_INT = 1, RLX_META_FLOAT = 2, RLX_META_BOOL = 3, RLX_META_STRING = 4, RLX_META_ARRAY = 5 };

typedef struct rlx_meta {
    uint32_t size; // sizeof as the caller knows it, set before the call
    uint32_t kind; // RLX_META_*
    int64_t i;     // INT, BOOL (0 or 1); ARRAY: number of elements
    double f;      // FLOAT, and INT converted
    rlx_str s;     // STRING; borrowed while the checkpoint is open
} rlx_meta;

// [any thread] and [borrows] unless tagged otherwise.
typedef struct rlx_weights_v1 {
    rlx_hdr hdr;
    // "safetensors", "gguf", or the name of a plugin's format, which is seen as safetensors is. [lends: end]
    rlx_str (*format)(const rlx_weights* w);
    // GGUF general.architecture, or config.json model_type; or what an "rlx.tensor_names/1" plugin says it implements.
    // [lends: end]
    rlx_str (*architecture)(const rlx_weights* w);
    // A config value by its config.json key as transformers 5 spells it; nested keys are joined with
    // dots ("rope_parameters.rope_type"), array elements with a number ("layer_types.3"). The host
    // accepts the older spellings (rope_theta + rope_scaling, num_local_experts, torch_dtype) and, for
    // GGUF, maps the common language-model keys ("hidden_size" -> "<arch>.embedding_length"). A key the map
    // does not know is tried verbatim. *found = 0 when absent. [lends: end]
    rlx_error* (*meta)(const rlx_weights* w, rlx_str key, rlx_meta* out, uint32_t* found);
    // Adds name rules; stride = sizeof(rlx_name_rule) as the caller knows it. Strings are copied.
    // [one thread per checkpoint] [borrows]
    rlx_error* (*add_names)(rlx_weights* w, const rlx_name_rule* rules, uint64_t n, uint64_t stride);
    // Looks a tensor up by its checkpoint name. *found = 0 when absent (no error).
    rlx_error* (*find)(const rlx_weights* w, rlx_str name, rlx_tensor_desc* out, uint32_t* found);
    // Marks a tensor as used; RLX_NOT_FOUND names the tensor and the file when it is missing.
    // [one thread per checkpoint] [borrows]
    rlx_error* (*require)(rlx_weights* w, rlx_str name, rlx_tensor_desc* out);
    // The tensor's bytes in place when it needs no transformation (view->p != NULL), else view->p = NULL:
    // use read_rows. Valid while the checkpoint is open. [lends: end]
    rlx_error* (*view)(const rlx_weights* w, rlx_str name, rlx_bytes* view);
    // Copies rows [first, first + n) of the tensor seen as [product of outer dims, innermost dim], in the
    // file's dtype, transformation undone. dst_bytes must be n * row bytes.
    rlx_error* (*read_rows)(const rlx_weights* w, rlx_str name, uint64_t first, uint64_t n, void* dst, uint64_t dst_bytes);
    // The same, dequantised to float32. dst holds n * innermost dim floats.
    rlx_error* (*read_f32)(const rlx_weights* w, rlx_str name, uint64_t first, uint64_t n, float* dst);
    // The backend will not read this tensor's mapping again: its pages may be dropped.
    void (*release)(const rlx_weights* w, rlx_str name);
} rlx_weights_v1;

#ifdef __cplusplus
}
#endif
