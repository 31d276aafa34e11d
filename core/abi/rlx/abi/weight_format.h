// SPDX-License-Identifier: GPL-3.0-only
// "rlx.weight_format/1": weight files the host does not read itself. The plugin lists tensors, config and texts
// of an opened file; everything else (names, stacking, dequantisation, families) is the host's as for safetensors.
//
// Manifest: {"kind": "weight_format", "name": "toy", "extensions": [".toy"], "magic": ["544f5931"]}; magic: the first
// bytes of a file in hex, which win over extensions. What GGUF and safetensors claim stays theirs.
#pragma once

#include "rlx/abi/abi.h"
#include "rlx/abi/dtype.h"
#include "rlx/abi/weights.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rlx_format_file {
    uint32_t size; // sizeof as the caller knows it
    uint32_t reserved;
    rlx_str path;    // for messages
    rlx_bytes bytes; // the whole file, mapped read-only
} rlx_format_file;

enum {
    RLX_FORMAT_IN_FILE = 1 // the tensor's bytes lie in the file, at offset; else read() makes them
};

typedef struct rlx_format_tensor {
    uint32_t size;  // sizeof as the caller knows it, set before the call
    uint16_t dtype; // RLX_F32, ..., packed types too
    uint16_t rank;
    int64_t dim[RLX_MAX_RANK]; // outermost first, in elements
    uint32_t flags; // RLX_FORMAT_*
    uint32_t reserved;
    uint64_t offset;  // IN_FILE: of the first byte in the file
    uint64_t n_bytes; // must be what dtype and dim need
    rlx_str name;     // as the Hugging Face checkpoint spells it, or as an "rlx.tensor_names/1" rule does
} rlx_format_tensor;

// `file` is what open() made. The host checks all that comes back: sizes, ranges inside the file, names once.
// [borrows] unless tagged otherwise.
typedef struct rlx_weight_format_v1 {
    rlx_hdr hdr;
    // Number of formats; never fails. [any thread]
    uint32_t (*count)(void* self);
    // [any thread] [lends: process]
    rlx_error* (*describe)(void* self, uint32_t index, rlx_item* out);
    // Checks the file and reads what is needed to answer the rest; RLX_CORRUPT_DATA names what, where and what was
    // expected. in->path and in->bytes stay valid until close. [any thread] [keeps: end]
    // [gives: close]
    rlx_error* (*open)(void* self, uint32_t index, const rlx_format_file* in, void** file);
    // [one thread per file], nothing else runs on it then [takes]
    void (*close)(void* self, void* file);
    // [any thread]
    rlx_error* (*tensor_count)(void* self, void* file, uint64_t* out);
    // The name lives until close. [any thread] [lends: end]
    rlx_error* (*tensor)(void* self, void* file, uint64_t index, rlx_format_tensor* out);
    // Writes bytes [offset, offset + n) of a tensor that is not IN_FILE. NULL when all are. [any thread]
    rlx_error* (*read)(void* self, void* file, uint64_t index, uint64_t offset, void* dst, uint64_t n);
    // Config values one by one, under the keys of config.json ("hidden_size", "rope_parameters.rope_type",
    // "layer_types.3"); kinds INT, FLOAT, BOOL and STRING, and ARRAY with i = number of elements, which follow under
    // "key.0", "key.1", ... "model_type" chooses the family. They win over the text "config.json". Both may be NULL.
    // Strings live until close. [any thread]
    rlx_error* (*meta_count)(void* self, void* file, uint64_t* out);
    // [any thread] [lends: end]
    rlx_error* (*meta)(void* self, void* file, uint64_t index, rlx_str* key, rlx_meta* out);
    // A text the file carries: "config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja",
    // "generation_config.json". *found = 0: the host looks for a file of that name beside this one. May be NULL.
    // The bytes live until close. [any thread] [lends: end]
    rlx_error* (*text)(void* self, void* file, rlx_str name, rlx_bytes* out, uint32_t* found);
} rlx_weight_format_v1;

#ifdef __cplusplus
}
#endif
