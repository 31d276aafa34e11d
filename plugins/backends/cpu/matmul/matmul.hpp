// SPDX-License-Identifier: GPL-3.0-only
// Matrix products of the CPU backend: how a weight is packed, which form activations take, and one
// tile of the product. The executor owns memory, threads, weight streaming and everything that
// happens to a tile afterwards (bias, residual, gate); nothing here allocates or starts threads.
//
// out[r][c] = sum_k act[r][k] * W[group][c][k]. A result depends only on the row's own activations,
// never on which rows share the tile or how columns are cut, so prefill equals decode and any
// thread count gives the same bits.
#pragma once

#include "tier.hpp"

#include <stdint.h>

namespace rlx::cpu {

struct mm_config {
    tier isa = tier::baseline;
    cpu_features features;
    bool exact = false; // f32 activations and accumulation, weights dequantised on the fly
};

// A weight as the file stores it: [groups, rows (out), cols (in)], rows of `dtype` blocks
// (rlx/abi/dtype.h).
struct mm_weight {
    uint16_t dtype = 0;
    int64_t groups = 1;
    int64_t rows = 0;
    int64_t cols = 0;
};

// Forms activations are converted to before a product; one row after the other, rows 64-byte
// aligned.
enum class act_form : uint8_t {
    f32 = 0, // plain floats; the executor passes the tensor itself when its rows are contiguous
    bf16 = 1,
    q8 = 2, // int8 with per-block scales and sums
};
constexpr int n_act_forms = 3;

// How a weight is stored and computed. Made by mm_layout; data is set by the executor (64-byte
// aligned, `bytes` long) before mm_pack.
struct mm_packed {
    mm_weight desc;
    uint64_t bytes = 0;    // all groups
    uint32_t row_step = 1; // mm_pack ranges and column tiles start at multiples of this
    act_form form = act_form::f32;
    void* data = nullptr;
    // Private to matmul/ (layout.hpp says what they mean).
    uint8_t layout = 0;
    const void* kernels = nullptr; // the tier's table
    bool amx = false;
    int64_t blocks = 0;        // 32-column blocks in a row; 0 for float weights
    uint64_t scale_offset = 0; // of a panel's planes
    uint64_t super_offset = 0;
    uint64_t panel_bytes = 0;
    uint64_t group_bytes = 0;
};

// Tile registers are off until the process asks for them. Asks, and returns whether they may be
// used; the kernel refuses when a thread's signal stack is too small. [any thread]
bool mm_permit_tiles();

// False, with a static reason, when the dtype or shape cannot be computed.
bool mm_layout(const mm_config& cfg, const mm_weight& w, mm_packed* out, const char** reason);

// Stores rows [first, first + n) of a group from src (file dtype, contiguous rows). first is a
// multiple of row_step and n too, except at the end of the group. [any thread, on disjoint ranges]
void mm_pack(const mm_packed& p, int64_t group, int64_t first, int64_t n, const void* src);

// Bytes from one activation row to the next: a multiple of 64.
uint64_t act_row_bytes(act_form form, int64_t cols);
// Converts one row of `cols` floats. cfg.isa picks the kernel.
void act_make(const mm_config& cfg, act_form form, const float* x, int64_t cols, void* dst);

// How the executor should cut a product of `rows` activation rows for `threads` threads. tile_cols
// is a multiple of row_step. Tiles are handed out in order, columns first within a row tile.
struct mm_tiling {
    int64_t tile_rows = 0;
    int64_t tile_cols = 0;
};

mm_tiling mm_tile_size(const mm_packed& p, int64_t rows, uint32_t threads);

// One tile. Activation row r of the tile is act + (act_rows ? act_rows[r] : r) * act_stride bytes;
// its result goes to out + (out_rows ? out_rows[r] : r) * out_stride floats, columns [col0, col0 +
// n_cols) at out[0 .. n_cols). Activation rows may repeat, output rows may not.
struct mm_tile {
    const void* act = nullptr;
    uint64_t act_stride = 0; // bytes
    const int32_t* act_rows = nullptr;
    // Instead of the three above, for weights whose form is f32: column k of the tile's rows, one
    // float per row.
    const float* const* act_columns = nullptr;
    float* out = nullptr;
    int64_t out_stride = 0; // floats
    const int32_t* out_rows = nullptr;
    int64_t n_rows = 0;
    int64_t group = 0;
    int64_t col0 = 0;          // multiple of row_step
    int64_t n_cols = 0;        // any; the tile may end at the weight's last row
    void* workspace = nullptr; // this thread's, mm_workspace bytes, 64-byte aligned
};

// Overwrites the tile. [any thread]
void mm_run(const mm_packed& p, const mm_tile& t);
// Bytes of workspace one thread needs for mm_run with this weight (any tile). 0 when none.
uint64_t mm_workspace(const mm_packed& p);

} // namespace rlx::cpu
