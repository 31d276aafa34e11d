// SPDX-License-Identifier: GPL-3.0-only
// The row kernels of one tier. Units compiled for a tier include this header: declarations and
// plain structs without member initialisers only. Pointers need no alignment; out may equal an
// input row.
#pragma once

#include "tier.hpp"

#include <stdint.h>

namespace rlx::cpu {

// Keys of a cached K block: [n_heads][ceil(page_tokens / key_block)][k_dim][key_block].
constexpr int64_t key_block = 16;

// One chunk of cached keys for a tile of query rows that share a KV head. Rows see keys [lo, hi) of
// the chunk; the softmax is relative to the chunk's own maximum, merge() joins chunks in order. A
// row's result depends on neither the other rows of the tile nor on how chunks are shared between
// threads.
struct attend_chunk {
    const float* q; // [k_dim][q_pad], scaled
    int64_t n_rows;
    int64_t q_pad; // multiple of 8, >= n_rows
    int64_t k_dim;
    int64_t v_dim;
    const char* const* k_pages; // this head's K blocks in each page of the chunk
    const char* const* v_pages; // this head's V rows [page_tokens][v_dim]
    int64_t page_tokens;
    int64_t n_keys;    // keys of the chunk that are in the cache
    const int32_t* lo; // [n_rows]
    const int32_t* hi; // [n_rows], lo >= hi: the row sees nothing here
    float softcap;     // 0 = none
    bool f16;          // pages hold f16, else f32
    float* scores;     // [n_rows][score_stride], score_stride >= n_keys + 2 * key_block
    int64_t score_stride;
    float* m;          // [n_rows] out: maximum, -inf when the row sees nothing
    float* l;          // [n_rows] out: sum of exp(score - m)
    float* acc;        // [n_rows][v_dim] out: sum of exp(score - m) * v
    const float* mask; // [n_rows][score_stride] added to the scores, or null
    bool only_softmax; // scores are given; exp(score - m) stays there, 0 where a row sees nothing
};

// Rows of the operands of a Modulate; null: not given.
struct modulation {
    const float* scale;
    const float* shift;
    const float* gate;
    const float* residual;
};

struct kernels {
    tier isa;
    float (*dot)(const float* a, const float* b, int64_t n);
    // out = x / sqrt(mean(x^2) + eps) * (w + w_offset); w may be null (all ones, offset ignored).
    void (*rms_norm
    )(float* out, const float* x, const float* w, float w_offset, float eps, int64_t n);
    // A row of -inf becomes zeros.
    void (*softmax)(float* out, const float* x, int64_t n);
    void (*unary)(uint32_t kind, float* out, const float* x, int64_t n);
    // a_step and b_step are 0 (one element for the whole row) or 1.
    void (*binary
    )(uint32_t kind,
      float* out,
      const float* a,
      int64_t a_step,
      const float* b,
      int64_t b_step,
      int64_t n);
    void (*glu)(uint32_t kind, float* out, const float* gate, const float* up, int64_t n);
    void (*affine)(float* out, const float* x, int64_t n, float scale, float shift);
    void (*clamp)(float* out, const float* x, int64_t n, float lo, float hi);
    void (*axpy)(float* out, const float* x, float a, int64_t n); // out += a * x
    // sum (f32 lanes), max, min, prod or sum of squares of a row; n >= 1. kind: RLX_REDUCE_*, L2
    // gives the sum of squares.
    float (*reduce)(uint32_t kind, const float* x, int64_t n);
    // Rotates one head's first 2 * half elements; cos and sin hold half floats.
    void (*rope
    )(float* out, const float* x, const float* cos, const float* sin, int64_t half, int64_t pairing
    );
    void (*f16_to_f32)(float* out, const uint16_t* x, int64_t n);
    void (*f32_to_f16)(uint16_t* out, const float* x, int64_t n);
    void (*bf16_to_f32)(float* out, const uint16_t* x, int64_t n);
    void (*attend)(const attend_chunk& c);
    // Joins a chunk (m, l, part) into the running row (*rm, *rl, acc); *rm starts at -inf, *rl and
    // acc at 0.
    void (*merge
    )(float* rm, float* rl, float* acc, float m, float l, const float* part, int64_t v_dim);
    // Mean and variance (mean of the squared differences) of a row; n >= 1.
    void (*moments)(const float* x, int64_t n, float* mean, float* var);
    // (x - mean) / sqrt(var + eps) * w + b; w and b may be null.
    void (*layer_norm
    )(float* out, const float* x, const float* w, const float* b, float eps, int64_t n);
    void (*snake
    )(float* out, const float* x, int64_t n, float alpha, float scale
    ); // x + scale * sin^2(alpha x)
    // residual + gate * (x * (1 + scale) + shift)
    void (*modulate)(float* out, const float* x, const modulation& m, int64_t n);
    // out += sum of factors[j] * rows[j], j < n_rows
    void (*combine
    )(float* out, const float* const* rows, const float* factors, int64_t n_rows, int64_t n);
    // out[i * step + j] = rows[j][i], j < n_rows, i < n
    void (*transpose
    )(float* out, int64_t step, const float* const* rows, int64_t n_rows, int64_t n);
};

namespace baseline {
extern const kernels table;
}

namespace avx2 {
extern const kernels table;
}

namespace avx512 {
extern const kernels table;
}

// The table of a tier (avx512_vnni shares avx512's rows: VNNI matters to products only).
const kernels& kernels_for(tier t);

} // namespace rlx::cpu
