// SPDX-License-Identifier: GPL-3.0-only
// "rlx.tensor_names/1": how some writer spells the tensors of an architecture that a family already runs. The host
// adds the rules before the family opens the checkpoint; they win over the family's own.
//
// Manifest: {"kind": "tensor_names", "name": "acme", "arches": ["acme-llama"], "formats": ["gguf"], "implements": "llama"}.
// arches: general.architecture or model_type of the files meant. formats: absent = all. implements: the architecture
// such a file is run as; absent = arches are names the family knows.
#pragma once

#include "rlx/abi/abi.h"
#include "rlx/abi/weights.h"

#ifdef __cplusplus
extern "C" {
#endif

// [borrows] unless tagged otherwise.
typedef struct rlx_tensor_names_v1 {
    rlx_hdr hdr;
    // Number of rule sets; never fails. [any thread]
    uint32_t (*count)(void* self);
    // [any thread] [lends: process]
    rlx_error* (*describe)(void* self, uint32_t index, rlx_item* out);
    // The rules for files of this architecture and format ("gguf", "safetensors", or a plugin's). hf is the name
    // the family asks for, gguf the name in the file, whatever its format; transforms are undone in every format.
    // *stride = sizeof(rlx_name_rule) as the plugin knows it. Rules live as long as the process. [any thread]
    // [lends: process]
    rlx_error* (*rules)(void* self, uint32_t index, rlx_str architecture, rlx_str format, const rlx_name_rule** rules, uint64_t* n, uint64_t* stride);
} rlx_tensor_names_v1;

#ifdef __cplusplus
}
#endif
