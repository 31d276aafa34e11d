// SPDX-License-Identifier: GPL-3.0-only
// "rlx.graph/1": how a family builds a graph and how a backend reads it. The graph lives in the host;
// plugins see value ids and bulk accessors, never the IR.
//
// Dims. A dim is an int64_t handle: >= 0 is that many elements, < 0 names an expression of the graph
// (a symbol with bounds, or a sum, product, quotient of dims). A graph is planned once at its upper bounds and
// run at any smaller extent; eval_dims turns handles into numbers for one run. Handles are canonical: equal
// handles mean equal numbers at every extent.
#pragma once

#include "rlx/abi/abi.h"
#include "rlx/abi/dtype.h"
#include "rlx/abi/ops.h"
#include "rlx/abi/weights.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef uint32_t rlx_value; // 0 = no value

enum { RLX_DIM_ADD = 1, RLX_DIM_SUB = 2, RLX_DIM_MUL = 3, RLX_DIM_DIV = 4 /* exact */, RLX_DIM_CEIL_DIV = 5, RLX_DIM_MIN = 6, RLX_DIM_MAX = 7 };

enum { RLX_ATTR_I64 = 1, RLX_ATTR_F64 = 2, RLX_ATTR_LIST = 3 };

// One attribute of a node. A backend that does not know a key with required = 1 must not claim the node.
typedef struct rlx_attr {
    uint16_t key; // RLX_ATTR_<name>
    uint16_t kind; // RLX_ATTR_I64, _F64, _LIST
    uint32_t required;
    int64_t i;
    double f;
    const int64_t* list;
    uint64_t n;
} rlx_attr;

enum { RLX_STATE_KV = 1, RLX_STATE_TENSOR = 2 };

// Per-sequence memory a graph reads and writes. KV: one row per cached token, k [n_heads, k_dim] and
// v [n_heads, v_dim], kept in pages of page_tokens rows; a page's inner layout belongs to the backend.
// TENSOR: one f32 [n_heads, k_dim, v_dim] per page, whatever page_tokens is; a page belongs to one sequence.
typedef struct rlx_state_slot {
    uint32_t size; // sizeof as the caller knows it
    uint32_t kind; // RLX_STATE_*
    int64_t n_heads;
    int64_t k_dim;
    int64_t v_dim;
} rlx_state_slot;

enum {
    RLX_VALUE_INPUT = 1,
    RLX_VALUE_WEIGHT = 2,
    RLX_VALUE_CONSTANT = 3,
    RLX_VALUE_STATE = 4, // also the result of KvAppend, which has a producer and the state as its root
    // Made by a node; also when it is an output. After finish a TEMP without a producer is not used.
    RLX_VALUE_TEMP = 5
};

// Everything about a value. Pointers are borrowed until the graph is changed or freed.
typedef struct rlx_value_info {
    uint32_t size; // sizeof as the caller knows it, set before the call
    uint16_t kind;
    uint16_t dtype;
    uint32_t rank;
    uint32_t producer; // node index, UINT32_MAX when none
    const int64_t* dims;    // [rank] dim handles
    const int64_t* strides; // [rank] dim handles, in elements (packed weights: rows of blocks, NULL)
    rlx_str name;           // input, weight, state name; the output name for outputs, else empty
    rlx_value root;         // the value whose memory this one aliases (itself when not a view)
    uint32_t is_output;
    int64_t offset;         // dim handle: first element inside root, in elements
    rlx_bytes data;         // constants: the bytes
    // Roots of kind TEMP, after planning: byte offset in the scratch arena. Outputs are bound by the caller
    // and have no place in the arena; an output is always its own root and contiguous.
    uint64_t scratch_offset;
    uint64_t scratch_bytes; // the same, and outputs: bytes at the upper bounds
    rlx_state_slot slot;     // STATE; a KvAppend result has the root of its state
} rlx_value_info;

typedef struct rlx_node_info {
    uint32_t size; // sizeof as the caller knows it, set before the call
    uint16_t op;   // RLX_OP_*
    uint16_t version;
    uint32_t n_in;
    uint32_t n_out;
    uint32_t n_attr;
    uint32_t reserved;
    const rlx_value* in; // 0 = optional input not given
    const rlx_value* out;
    const rlx_attr* attr;
    rlx_str origin; // module path, "model.layers.3.mlp"
    // minor 1
    rlx_str custom_name; // RLX_OP_Custom: the plugin's name of the op; else empty
} rlx_node_info;

// One tensor in host memory with its sizes as plain numbers, row-major without gaps.
typedef struct rlx_tensor {
    uint32_t size;  // sizeof as its maker knows it
    uint16_t dtype; // RLX_F32, ...
    uint16_t rank;
    int64_t dim[RLX_MAX_RANK]; // outermost first, in elements; entries from rank on are 0
    void* data;     // NULL: an optional input that is not given. Aligned to the element at least
    uint64_t n_bytes;
} rlx_tensor;

enum { RLX_WEIGHT_OPTIONAL = 1 };

// Building: [one thread per graph] and [borrows], what is given is copied. Reading, of a finished graph: tagged one by one.
typedef struct rlx_graph_v1 {
    rlx_hdr hdr;
    // -- building --
    // A named extent with min <= extent <= max, a multiple of `multiple` (>= 1). The same name again
    // returns the same dim.
    rlx_error* (*symbol)(rlx_graph* g, rlx_str name, int64_t min, int64_t max, int64_t multiple, int64_t* dim);
    rlx_error* (*dim_op)(rlx_graph* g, uint32_t op, int64_t a, int64_t b, int64_t* dim);
    // A declared name gives the declared value; dims may be NULL then, else they must be the declared ones.
    rlx_error* (*input)(rlx_graph* g, rlx_str name, uint32_t dtype, uint32_t rank, const int64_t* dims, rlx_value* out);
    // A checkpoint tensor by name; marks it as used. expect[i] >= 0 is checked against the file's shape,
    // -1 accepts anything; a mismatch is RLX_CORRUPT_DATA naming tensor, both shapes. RLX_WEIGHT_OPTIONAL
    // and absent: *out = 0. The same name again returns the same value.
    rlx_error* (*weight)(rlx_graph* g, rlx_str name, uint32_t rank, const int64_t* expect, uint32_t flags, rlx_value* out);
    rlx_error* (*constant)(rlx_graph* g, uint32_t dtype, uint32_t rank, const int64_t* dims, rlx_bytes data, rlx_value* out);
    rlx_error* (*state)(rlx_graph* g, rlx_str name, const rlx_state_slot* slot, rlx_value* out);
    // Appends a node; checks arity, attributes, dtypes and shapes and gives the outputs' ids. n_out must be
    // the op's number of outputs. A Reshape that strides cannot express gets a Copy before it. Conditions on
    // symbolic dims that cannot be decided here are checked for the extents of each run.
    rlx_error* (*add)(rlx_graph* g, uint32_t op, const rlx_value* in, uint32_t n_in, const rlx_attr* attrs, uint32_t n_attr, rlx_value* out, uint32_t n_out);
    // Names a result. A view, an input or a value that is an output already is copied, so that every output
    // has memory of its own.
    rlx_error* (*output)(rlx_graph* g, rlx_str name, rlx_value v);
    // Module path recorded as origin by the nodes added from now on.
    void (*set_origin)(rlx_graph* g, rlx_str path);
    // The checkpoint the graph's weights come from. [any thread] of a finished graph [lends: end]
    rlx_weights* (*weights)(const rlx_graph* g);
    // -- reading --
    uint32_t (*node_count)(const rlx_graph* g); // [any thread]
    // [any thread] [lends: change]
    rlx_error* (*node)(const rlx_graph* g, uint32_t index, rlx_node_info* out);
    uint32_t (*value_count)(const rlx_graph* g); // ids are 1..count. [any thread]
    // [any thread] [lends: change]
    rlx_error* (*value)(const rlx_graph* g, rlx_value v, rlx_value_info* out);
    uint32_t (*symbol_count)(const rlx_graph* g); // [any thread]
    // [any thread] [lends: change]
    rlx_error* (*symbol_at)(const rlx_graph* g, uint32_t index, rlx_str* name, int64_t* min, int64_t* max);
    // Numbers for n dim handles at the given extents (one per symbol, in symbol order). Extents outside a
    // symbol's bounds are an error; so is a dim that comes out negative. [any thread]
    rlx_error* (*eval_dims)(const rlx_graph* g, const int64_t* extents, uint32_t n_extents, const int64_t* dims, uint32_t n, int64_t* out);
    // Bytes of scratch arena the plan needs at the upper bounds (0 before planning). [any thread]
    uint64_t (*scratch_bytes)(const rlx_graph* g);
    // Bounds that hold for n dim handles at all extents, to size workspaces before a run. hi is what the plan
    // uses. Either out may be NULL. [any thread] of a finished graph
    rlx_error* (*dim_range)(const rlx_graph* g, const int64_t* dims, uint32_t n, int64_t* lo, int64_t* hi);
    // -- minor 1 --
    // Appends a node of a plugin's op (rlx/abi/op.h), found by name; its version must be the one asked for. Attribute
    // keys are >= RLX_ATTR_CUSTOM. n_out must be the op's number of outputs. An op nobody provides is RLX_UNSUPPORTED
    // naming the op, the module and where was looked. [one thread per graph]
    rlx_error* (*add_custom)(rlx_graph* g, rlx_str name, uint32_t version, const rlx_value* in, uint32_t n_in, const rlx_attr* attrs, uint32_t n_attr, rlx_value* out, uint32_t n_out);
    // Computes a Custom node of a finished graph from host tensors in the order of the node's in and out; sizes and
    // types must be those of this run. stride = sizeof(rlx_tensor) as the caller knows it. The caller owns all
    // memory; it is borrowed for the call. [any thread]
    rlx_error* (*run_custom)(const rlx_graph* g, uint32_t index, const rlx_tensor* in, uint32_t n_in, const rlx_tensor* out, uint32_t n_out, uint64_t stride);
} rlx_graph_v1;

#ifdef __cplusplus
}
#endif
