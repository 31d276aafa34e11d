// SPDX-License-Identifier: GPL-3.0-only
// The wall between the rlx host and its plugins: base types, the host table, the plugin table, the
// one exported entry point. C11, fixed-width integers only, no C++ type and no allocator crosses.
//
// Rules every table in this directory follows:
//   layout    A table starts with rlx_hdr and grows only at its end. Constants are never renumbered.
//   access    A member may be used iff it lies inside hdr.size and is not NULL (RLX_HAS). Both sides
//             accept tables that are smaller or larger than the ones they were compiled with.
//   errors    A fallible call returns rlx_error*, NULL = success. Only the host makes errors (through
//             rlx_host.error_new); whoever receives one frees it or passes it on as a cause.
//   memory    Who creates an object destroys it, through the table that created it. No allocator crosses.
//   ownership A table states its rule; members that differ carry tags of their own, which replace it:
//             [borrows] keeps nothing it is handed, and hands out no pointer; [gives: MEMBER] what it hands out is the
//             caller's, who ends it with MEMBER; [takes] what it is handed is gone for the caller; [lends: UNTIL] what it
//             hands out stays its own, [keeps: UNTIL] what it is handed stays in use. UNTIL: `process`, its end; `end`, of
//             the object that lent or keeps it; `change`, of that object, or its end. An rlx_error* that is
//             returned is always the receiver's.
//   control   Nothing throws across the wall; plugins never abort, exit, print, install signal
//             handlers or read the environment.
//   threads   A header or table states its rule; members that differ carry a tag: [any thread] re-entrant, [one thread per OBJECT] callers
//             serialise calls on that object.
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#define RLX_ABI_MAJOR 1
// 1 added: rlx.op/1, rlx.weight_format/1, rlx.tensor_names/1, rlx.cli/1, rlx.io/1, rlx.models/1; custom ops in rlx.graph/1;
// create and destroy in rlx.options/1; the graphs "embed" and "encode"; the ops Pad, Snake, Modulate, LayerNorm, GroupNorm,
// BatchMatMul, Attention, RaggedAttention, Conv, ConvTranspose, Custom.
#define RLX_ABI_MINOR 1
// First member of every table. size = bytes of the table as its provider knows it;
// major.minor = the negotiated version of this interface, never the compile-time one.
typedef struct rlx_hdr {
    uint32_t size;
    uint16_t major;
    uint16_t minor;
} rlx_hdr;

// True when table T (pointer) carries member M.
#define RLX_HAS(T, M)                                                                              \
    ((T) != NULL &&                                                                                \
     offsetof(__typeof__(*(T)), M) + sizeof((T)->M) <= (size_t)(T)->hdr.size && (T)->M != NULL)

// UTF-8 text, not NUL-terminated. p may be NULL when n == 0.
typedef struct rlx_str {
    const char* p;
    uint64_t n;
} rlx_str;

typedef struct rlx_bytes {
    const void* p;
    uint64_t n;
} rlx_bytes;

// What a plugin's interface offers, one by one: filled by the describe() members of the interfaces that
// hold several things. Strings live as long as the process.
typedef struct rlx_item {
    uint32_t size; // sizeof as the caller knows it, set before the call
    uint32_t reserved;
    rlx_str name;        // as in the manifest's "provides"
    rlx_str description; // one line for people, no full stop
} rlx_item;

// Opaque host objects.
typedef struct rlx_error rlx_error;
typedef struct rlx_weights rlx_weights;  // an opened checkpoint            rlx/abi/weights.h
typedef struct rlx_graph rlx_graph;      // a graph under construction or built   rlx/abi/graph.h
typedef struct rlx_options rlx_options;  // typed key/value bag             rlx/abi/services.h
typedef struct rlx_io rlx_io;            // the streams of one running command  rlx/abi/cli.h

// Status codes. The command line maps them to exit codes (see docs/abi.md).
enum {
    RLX_OK = 0,
    RLX_INTERNAL = 1,          // our bug
    RLX_INVALID_ARGUMENT = 2,  // the caller's mistake: bad flag, bad shape, id out of range
    RLX_NOT_FOUND = 3,         // file, tensor, plugin, device
    RLX_CORRUPT_DATA = 4,      // a file that is truncated, inconsistent or absurd
    RLX_UNSUPPORTED = 5,       // well-formed, but no plugin or kernel does it
    RLX_MISSING_METADATA = 6,  // a required config key is absent
    RLX_VERSION_MISMATCH = 7,  // ABI or interface version
    RLX_OUT_OF_MEMORY = 8,     // allocation failed, or refused by the memory plan
    RLX_IO = 9,                // the operating system said no
    RLX_CANCELLED = 10,        // the cancel flag was raised
    RLX_DEVICE_LOST = 11,
    RLX_PLUGIN_THREW = 12,     // an exception reached a plugin's trampoline
    RLX_NETWORK = 13
};

enum { RLX_LOG_ERROR = 0, RLX_LOG_WARN = 1, RLX_LOG_INFO = 2, RLX_LOG_DEBUG = 3 };

// Host -> plugin. Valid for the life of the process; every member is [any thread], and
// [borrows] unless tagged otherwise.
typedef struct rlx_host {
    rlx_hdr hdr;
    void* ctx;
    // Never fails: when memory is short a static out-of-memory error comes back. Takes ownership of
    // cause (may be NULL). message is copied. [takes] [gives: error_free]
    rlx_error* (*error_new)(void* ctx, uint32_t code, rlx_str message, rlx_error* cause);
    uint32_t (*error_code)(const rlx_error* e);
    // The message with its causes, borrowed until error_free. [lends: end]
    rlx_str (*error_message)(const rlx_error* e);
    void (*error_free)(rlx_error* e); // [takes]
    void (*log)(void* ctx, uint32_t level, rlx_str component, rlx_str message);
    // A host service table by name ("rlx.weights/1", "rlx.graph/1", "rlx.options/1", "rlx.par/1",
    // "rlx.io/1", "rlx.models/1"), or NULL when absent or older than min_minor. [lends: process]
    const void* (*iface)(void* ctx, rlx_str name, uint16_t min_minor);
} rlx_host;

// Plugin -> host. The host zeroes it and sets hdr.size to the bytes it can take; the plugin fills
// the members that fit. Strings must live as long as the process.
typedef struct rlx_plugin {
    rlx_hdr hdr;   // out: size written, NEGOTIATED major.minor
    void* self;    // first argument of every plugin table's members
    rlx_str id;    // must equal the manifest's id
    rlx_str version;
    // A plugin interface by name ("rlx.family/1", "rlx.backend/1", "rlx.op/1", "rlx.weight_format/1",
    // "rlx.tensor_names/1", "rlx.cli/1"), NULL when absent or older than min_minor. [any thread]
    // [lends: process]
    const void* (*iface)(void* self, rlx_str name, uint16_t min_minor);
    // Stops the plugin's own threads at process exit. The library stays mapped. May be NULL. [one thread per process] [borrows]
    void (*quiesce)(void* self);
} rlx_plugin;

// The one exported symbol. The plugin picks min(host->hdr.minor, its own minor) and refuses, naming
// both numbers, when that is below what it needs. A new major is a new symbol.
#define RLX_PLUGIN_ENTRY_SYMBOL "rlx_plugin_entry_v1"
// [one thread per process] [keeps: process] [lends: process]
typedef rlx_error* (*rlx_plugin_entry_fn)(const rlx_host* host, rlx_plugin* out);

// ELF note that carries the manifest JSON: owner "RLX", this type.
#define RLX_NOTE_OWNER "RLX"
#define RLX_NOTE_TYPE 0x584c5201u

#ifdef __cplusplus
}
#endif
