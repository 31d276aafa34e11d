// SPDX-License-Identifier: GPL-3.0-only
// "rlx.backend/1": a compute device. The host partitions and plans a graph, the backend compiles and
// runs it. Weights belong to the compiled program, state pages and scratch to whoever runs it.
#pragma once

#include "rlx/abi/graph.h"
#include "rlx/abi/services.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { RLX_NO = 0, RLX_YES = 1 };

// Bytes a program will hold on the device, exact, before anything is loaded.
typedef struct rlx_memory {
    uint32_t size; // sizeof as the caller knows it
    uint32_t reserved;
    uint64_t weights; // resident after compile (repacked copies; mapped file pages are not counted)
    uint64_t mapped;  // read in place from the mapped file
    uint64_t scratch; // the backend's own workspaces beside the graph's scratch arena
} rlx_memory;

typedef struct rlx_buffer rlx_buffer; // device memory, made by the backend's alloc

// Host memory or device memory given to one run.
typedef struct rlx_binding {
    rlx_value value; // an INPUT, an output, or a STATE value
    uint32_t reserved;
    void* host;        // host memory, or NULL
    rlx_buffer* buffer; // device memory, or NULL
    uint64_t bytes;
} rlx_binding;

typedef struct rlx_run_args {
    uint32_t size; // sizeof as the caller knows it
    uint32_t n_extents;
    const int64_t* extents; // one per graph symbol
    const rlx_binding* bind;
    uint64_t n_bind;
    uint64_t bind_stride; // sizeof(rlx_binding) as the caller knows it
    rlx_buffer* scratch;  // at least graph scratch_bytes + measured scratch
    const volatile uint32_t* cancel; // may be NULL; nonzero asks the run to stop with RLX_CANCELLED
} rlx_run_args;

// Progress of compile: done and total are bytes of weights read. [one thread per call] of what it was given to [borrows]
typedef void (*rlx_progress_fn)(void* ctx, uint64_t done, uint64_t total);

typedef struct rlx_compile_args {
    uint32_t size; // sizeof as the caller knows it
    uint32_t page_tokens; // rows per KV page
    const rlx_graph* graph;
    const uint32_t* nodes; // indices of the nodes to run, in execution order
    uint64_t n_nodes;
    // "compute": "f32" = exact mode: weights dequantised on the fly, f32 activations and accumulation;
    // "auto" = the fastest kernels (int8 or bf16 activations); "f16", "bf16" = products in that type; one that the
    // backend has no kernels for is RLX_UNSUPPORTED, never another. "kv": "f32" or "f16"; likewise, from measure or
    // page_bytes, after which a host that is free to choose asks for "f32". "fuse" (i64): 0 = no fusion of neighbours.
    const rlx_options* options;
    rlx_progress_fn progress; // may be NULL
    void* progress_ctx;
    const volatile uint32_t* cancel; // may be NULL
} rlx_compile_args;

// [one thread per device], its programs included, and [borrows], unless tagged otherwise; devices are independent.
typedef struct rlx_backend_v1 {
    rlx_hdr hdr;
    // Number of devices; never fails, 0 with a reason in the log when the driver is absent. [any thread]
    uint32_t (*device_count)(void* self);
    // Facts, all optional: "name", "description", "tier" (the kernel tier in use), "driver", "self_test" ("passed",
    // "not run" or what was wrong), all str; i64: "memory" (bytes), "discrete" (1: that memory is the device's own),
    // "software" (1: the processor plays the device, so nobody gains by choosing it). [any thread]
    rlx_error* (*device_info)(void* self, uint32_t index, rlx_options* out);
    // opts: "tier" forces a kernel tier; one the machine lacks is RLX_UNSUPPORTED, never another tier.
    // "time_ops" (i64) = 1 asks for the times of program_info, "cache_dir" is where files may be kept between runs,
    // "self_test" (i64) = 1 tests every op now. A backend ignores keys it does not know. [gives: close]
    rlx_error* (*open)(void* self, uint32_t index, const rlx_options* opts, void** device);
    // Its programs and buffers have been freed. [takes]
    void (*close)(void* self, void* device);
    // verdict[i] = RLX_YES or RLX_NO for nodes[i]; reason[i] (static text) says why not. View ops are
    // never refused. [any thread] [lends: process]
    rlx_error* (*supports)(void* device, const rlx_graph* g, const uint32_t* nodes, uint64_t n, uint8_t* verdict, rlx_str* reason);
    rlx_error* (*measure)(void* device, const rlx_compile_args* args, rlx_memory* out);
    // Reads and repacks the weights and prepares the program. The graph and its weights outlive it; the rest of args is
    // borrowed for the call. [keeps: end] [gives: program_free]
    rlx_error* (*compile)(void* device, const rlx_compile_args* args, void** program);
    void (*program_free)(void* device, void* program); // [takes]
    // Facts about a program for the result: "tier", "compute", "kv" (str);
    // with "time_ops", of all runs so far: "ms.<op>" (f64) and "calls.<op>" (i64) for every op, or kernel, it ran.
    rlx_error* (*program_info)(void* device, void* program, rlx_options* out);
    rlx_error* (*run)(void* device, void* program, const rlx_run_args* args);
    // Bytes of one page of this state slot; pages of a slot lie one after the other in its buffer.
    rlx_error* (*page_bytes)(void* device, const rlx_compile_args* args, rlx_value state, uint64_t* bytes);
    // Memory is zero or unspecified; large allocations are committed as they are touched. [gives: free]
    rlx_error* (*alloc)(void* device, uint64_t bytes, rlx_buffer** out);
    void (*free)(void* device, rlx_buffer* b); // [takes]
    rlx_error* (*copy)(void* device, rlx_buffer* dst, uint64_t dst_off, rlx_buffer* src, uint64_t src_off, uint64_t n);
    rlx_error* (*upload)(void* device, rlx_buffer* dst, uint64_t off, rlx_bytes src);
    rlx_error* (*download)(void* device, rlx_buffer* src, uint64_t off, void* dst, uint64_t n);
} rlx_backend_v1;

#ifdef __cplusplus
}
#endif
