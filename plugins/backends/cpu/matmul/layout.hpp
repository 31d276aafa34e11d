// SPDX-License-Identifier: GPL-3.0-only
// How packed weights lie in memory, and the table of kernels a tier offers. Plain data only: tier
// units include this header.
//
// Sixteen rows form a panel; panels follow one another. A panel of block-quantised weights has
// three planes:
//   codes   per block of 32 columns: bit planes, each a multiple of 64 bytes. A column group is 4
//   columns
//           (group j: columns 4j..4j+3) x 16 rows = 64 bytes, row r at bytes 4r..4r+3, the operand
//           shape of a 4-byte dot product. 8-bit codes: 8 groups. 4-bit plane: 4 x 64 bytes, group
//           j in the low nibbles of j, group j + 4 in the high nibbles. 2-bit plane: 2 x 64 bytes,
//           group j in field j / 2 of j % 2. 1-bit plane: 64 bytes, group j in bit j. Planes of one
//           code: 4, then 2, then 1.
//   scales  per block: float16 x 16 [, minimum float16 x 16], or the sub-scales of a super-block
//   format supers  per 256 columns: float16 d x 16 [, dmin float16 x 16]; absent without
//   super-blocks
// Float weights: F32, F16 [column][16]; BF16 [column pair][16][2], an odd last column paired with
// zero. The numbers stored are the file's own: no value is requantised.
#pragma once

#include "matmul.hpp"

#include <stdint.h>

namespace rlx::cpu {

constexpr int panel_rows = 16;
constexpr int block_cols = 32;
constexpr int blocks_per_super = 8;

enum mm_layout_id : uint8_t {
    mm_f32,
    mm_f16,
    mm_bf16,
    mm_q4_0,
    mm_q4_1,
    mm_q5_0,
    mm_q5_1,
    mm_q8_0,
    mm_q2_k,
    mm_q3_k,
    mm_q4_k,
    mm_q5_k,
    mm_q6_k,
    mm_iq4_nl,
    mm_iq4_xs,
    n_mm_layouts
};

// Bytes per panel and block, and of the file's blocks.
struct mm_format {
    uint16_t dtype;
    uint8_t layout;
    uint16_t file_cols;  // columns per file block; 1 for floats
    uint16_t file_bytes; // bytes per file block
    uint16_t code_bytes; // per panel and 32 columns; floats: per panel and column (BF16: and column
                         // pair)
    uint16_t scale_bytes; // per panel and 32 columns
    uint16_t super_bytes; // per panel and 256 columns
};

// The codebook of IQ4_NL and IQ4_XS, stored with +128.
extern const uint8_t mm_iq4_codebook[16];

using mm_run_fn = void (*)(const mm_packed& p, const mm_tile& t);

struct mm_kernels {
    mm_run_fn exact[n_mm_layouts]; // activations f32
    mm_run_fn fast[n_mm_layouts];  // the layout's fast form; null when there is none
    void (*make_q8)(const float* x, int64_t cols, void* dst);
};

// BF16 weights with BF16 activations, for processors that multiply them.
struct mm_bf16_kernels {
    mm_run_fn run;
    void (*make)(const float* x, int64_t cols, void* dst);
};

extern const mm_kernels mm_kernels_baseline;
extern const mm_kernels mm_kernels_avx2;
extern const mm_kernels mm_kernels_avx2_vnni;
extern const mm_kernels mm_kernels_avx512;
extern const mm_kernels mm_kernels_avx512_vnni;
extern const mm_bf16_kernels mm_bf16_avx512;
// For more than max_gemv_rows rows on processors with AMX; same results as the fast kernels. Null
// for floats.
extern const mm_run_fn mm_q8_amx[n_mm_layouts];

// BF16 products on AMX tiles, for any number of rows.
void mm_bf16_amx(const mm_packed& p, const mm_tile& t);

// An activation row in q8 form: int8 codes of `blocks` blocks, then a float scale per block, then
// int32 sums of the codes, two per block (columns 0..15 and 16..31). Value = scale * code.
constexpr uint64_t q8_block_bytes = block_cols + 4 + 8;

// Rows of one tile (mm_tile_size never gives more) and columns of one pass over the activations.
constexpr int max_tile_rows = 144;
constexpr int max_gemv_rows = 4;
constexpr int q8_chunk_blocks = 24;
constexpr int f32_chunk_cols = 128;
// Workspace for a tile with many rows, whatever the form.
constexpr uint64_t mm_gemm_space = 256 * 1024;
// BF16 on tiles: rows of one pass over the weights and columns of one pass over the activations
// (590 KB of them; processors with AMX have 2 MB of L2).
constexpr int amx_bf16_rows = 288;
constexpr int amx_bf16_cols = 1024;
constexpr uint64_t amx_bf16_space = 640 * 1024;

// Stores file rows into panels; see mm_pack.
void pack_panel(
    const mm_packed& p,
    const mm_format& f,
    uint8_t* panel,
    int rows,
    const uint8_t* src,
    uint64_t row_bytes
);
const mm_format* find_format(uint16_t dtype);

} // namespace rlx::cpu
