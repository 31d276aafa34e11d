// SPDX-License-Identifier: GPL-3.0-only
// "rlx.op/1": operations a plugin adds to the op set. Each has a name, a shape rule and a CPU reference;
// families use them through rlx_graph_v1.add_custom, backends run them through rlx_graph_v1.run_custom.
// Not a way to make a built-in op faster: that is the backend's.
//
// Manifest: {"kind": "op", "name": "org.example.swirl"} per op.
#pragma once

#include "rlx/abi/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rlx_op_desc {
    uint32_t size;    // sizeof as the caller knows it, set before the call
    uint32_t version; // of the op's meaning, 1 .. 65535; a new meaning is a new version, graphs ask for one
    uint32_t min_inputs;
    uint32_t max_inputs; // <= 64; those from min_inputs on are optional
    uint32_t n_outputs;  // 1 .. RLX_CUSTOM_OUTPUTS
    uint32_t reserved;
    rlx_str name;        // "org.example.swirl", reverse domain; lives as long as the process
    rlx_str description; // one line for people
} rlx_op_desc;

// A tensor while the graph is built.
typedef struct rlx_op_shape {
    uint32_t size;  // sizeof as its maker knows it
    uint16_t dtype; // RLX_F32, ...; never a packed type
    uint16_t rank;
    int64_t dim[RLX_MAX_RANK]; // dim handles of the graph (plain numbers >= 0, expressions < 0), outermost first
    uint32_t given; // 0: an optional input that is not given, the rest is 0 then
    uint32_t reserved;
} rlx_op_shape;

// Arguments of the shape rule. All pointers are borrowed for the call.
typedef struct rlx_op_infer {
    uint32_t size; // sizeof as the caller knows it
    uint32_t n_in;
    uint32_t n_out;
    uint32_t n_attr;
    rlx_graph* graph; // for dim_op and dim_range only
    const rlx_op_shape* in;
    const rlx_attr* attr;
    rlx_op_shape* out;     // [n_out], size set and the rest 0: the rule fills dtype, rank and dim
    uint64_t shape_stride; // sizeof(rlx_op_shape) as the caller knows it, of in and out
} rlx_op_infer;

// Arguments of one computation. All pointers are borrowed for the call.
typedef struct rlx_op_run {
    uint32_t size; // sizeof as the caller knows it
    uint32_t n_in;
    uint32_t n_out;
    uint32_t n_attr;
    const rlx_tensor* in;   // data NULL: not given; any dim may be 0
    const rlx_attr* attr;   // as the graph holds them
    const rlx_tensor* out;  // memory to fill, not initialised, never overlapping an input
    uint64_t tensor_stride; // sizeof(rlx_tensor) as the caller knows it, of in and out
} rlx_op_run;

// Attribute lists hold plain numbers, never dim handles: run sees them unchanged. Keys are the op's own, from
// RLX_ATTR_CUSTOM on; the op refuses those it does not know.
// [borrows] unless tagged otherwise.
typedef struct rlx_op_v1 {
    rlx_hdr hdr;
    // Number of ops; never fails. [any thread]
    uint32_t (*count)(void* self);
    // [any thread] [lends: process]
    rlx_error* (*describe)(void* self, uint32_t index, rlx_op_desc* out);
    // The shape rule: checks inputs and attributes and gives the outputs' types and shapes. Errors say what was
    // expected; the host adds op and module. Called once per node while a graph is built. [any thread]
    rlx_error* (*infer)(void* self, uint32_t index, const rlx_op_infer* args);
    // The CPU reference. It may be called inside a parallel region of the host, where "rlx.par/1" runs a body on one
    // thread. Equal inputs give equal outputs. [any thread]
    rlx_error* (*run)(void* self, uint32_t index, const rlx_op_run* args);
} rlx_op_v1;

#ifdef __cplusplus
}
#endif
