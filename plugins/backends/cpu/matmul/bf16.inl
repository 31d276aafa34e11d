// SPDX-License-Identifier: GPL-3.0-only
// BF16 weights with BF16 activations: vdpbf16ps, two columns a lane, sums in float. Same blocking
// as f32.inl; the packed panel [column pair][16][2] is the operand itself. Included once per tier
// inside that tier's namespace (AVX-512 BF16 only).

constexpr int64_t bf16_chunk_pairs = f32_chunk_cols;

inline void make_bf16(const float* x, int64_t cols, void* dst) {
    uint8_t* out = static_cast<uint8_t*>(dst);
    int64_t k = 0;
    for (; k + 16 <= cols; k += 16) {
        const __m256bh v = _mm512_cvtneps_pbh(_mm512_loadu_ps(x + k));
        memcpy(out + 2 * k, &v, 32);
    }
    float rest[16] = {};
    if (cols > k) memcpy(rest, x + k, (cols - k) * 4);
    const __m256bh v = _mm512_cvtneps_pbh(_mm512_loadu_ps(rest));
    memcpy(out + 2 * k, &v, ((cols - k + 1) / 2) * 4);
}

template <int MR, int NP>
void bf16_block(const uint8_t* const* b, const uint8_t* a, int64_t n, float* const* c, bool first) {
    __m512 acc[NP][MR];
    const uint8_t* w[NP];
#pragma GCC unroll 2
    for (int i = 0; i < NP; ++i) {
        w[i] = b[i];
#pragma GCC unroll 16
        for (int m = 0; m < MR; ++m)
            acc[i][m] = _mm512_setzero_ps();
    }
    for (int64_t k = 0; k < n; ++k) {
        __m512bh v[NP];
#pragma GCC unroll 2
        for (int i = 0; i < NP; ++i) {
            if constexpr (MR <= max_gemv_rows) __builtin_prefetch(w[i] + k * 64 + stream_ahead);
            v[i] = (__m512bh)_mm512_load_si512(w[i] + k * 64);
        }
#pragma GCC unroll 16
        for (int m = 0; m < MR; ++m) {
            const __m512bh x = (__m512bh)bcast_i32(a + 4 * m).a;
#pragma GCC unroll 2
            for (int i = 0; i < NP; ++i)
                acc[i][m] = _mm512_dpbf16_ps(acc[i][m], v[i], x);
        }
        a += 4 * MR;
    }
#pragma GCC unroll 2
    for (int i = 0; i < NP; ++i) {
#pragma GCC unroll 16
        for (int m = 0; m < MR; ++m) {
            float* out = c[m] + 16 * i;
            storeu_f(out, first ? vf{acc[i][m]} : add_f(loadu_f(out), vf{acc[i][m]}));
        }
    }
}

using bf16_block_fn = void (*)(const uint8_t* const*, const uint8_t*, int64_t, float* const*, bool);

template <int NP, int MAX>
RLX_MM_FN bf16_block_fn bf16_block_for(int rows) {
    if constexpr (MAX > 1) {
        if (rows < MAX) return bf16_block_for<NP, MAX - 1>(rows);
    }
    return bf16_block<MAX, NP>;
}

struct bf16_space {
    alignas(64) uint32_t a[max_tile_rows * bf16_chunk_pairs];
    alignas(64) float tail[16][2 * panel_rows];
};

static_assert(sizeof(bf16_space) <= mm_gemm_space);

inline void bf16_rows(
    const mm_tile& t,
    bf16_space& s,
    const uint8_t* const* tiles,
    int64_t r0,
    int rows,
    int64_t col,
    int64_t nk,
    bool first
) {
    constexpr int wide = n_panels_wide;
    const int64_t n_cols = t.n_cols - col;
    const bool partial = n_cols < wide * panel_rows;
    const uint32_t* a = s.a;
    for (int m0 = 0; m0 < rows; m0 += max_rows_f32) {
        const int mr = rows - m0 < max_rows_f32 ? rows - m0 : max_rows_f32;
        float* c[max_rows_f32];
        for (int m = 0; m < mr; ++m) {
            float* out = out_row(t, r0 + m0 + m) + col;
            c[m] = partial ? s.tail[m] : out;
            if (partial && !first) memcpy(c[m], out, n_cols * 4);
        }
        bf16_block_for<wide, max_rows_f32>(mr
        )(tiles, reinterpret_cast<const uint8_t*>(a), nk, c, first);
        for (int m = 0; partial && m < mr; ++m) {
            memcpy(out_row(t, r0 + m0 + m) + col, c[m], n_cols * 4);
        }
        a += nk * mr;
    }
}

inline void bf16_some_rows(const mm_packed& p, const mm_tile& t, int64_t r0, int rows) {
    constexpr int wide = n_panels_wide;
    bf16_space& s = *static_cast<bf16_space*>(t.workspace);
    const int64_t panels = (p.desc.rows + panel_rows - 1) / panel_rows;
    const int64_t pairs = (p.desc.cols + 1) / 2;
    for (int64_t k0 = 0; k0 < pairs; k0 += bf16_chunk_pairs) {
        const int64_t nk = pairs - k0 < bf16_chunk_pairs ? pairs - k0 : bf16_chunk_pairs;
        uint32_t* a = s.a;
        for (int m0 = 0; m0 < rows; m0 += max_rows_f32) {
            const int n = rows - m0 < max_rows_f32 ? rows - m0 : max_rows_f32;
            for (int m = 0; m < n; ++m) {
                const uint8_t* x = act_row(t, r0 + m0 + m) + 4 * k0;
                for (int64_t k = 0; k < nk; ++k)
                    memcpy(a + k * n + m, x + 4 * k, 4);
            }
            a += nk * n;
        }
        for (int64_t col = 0; col < t.n_cols; col += wide * panel_rows) {
            const uint8_t* tiles[wide];
            for (int n = 0; n < wide; ++n) {
                int64_t panel = (t.col0 + col) / panel_rows + n;
                if (panel >= panels) panel = panels - 1;
                tiles[n] = panel_at(p, t.group, panel).codes + k0 * 64;
            }
            bf16_rows(t, s, tiles, r0, rows, col, nk, k0 == 0);
        }
    }
}

inline void bf16_run(const mm_packed& p, const mm_tile& t) {
    if (p.desc.cols == 0) return fill_zero(t);
    for (int64_t r0 = 0; r0 < t.n_rows; r0 += max_tile_rows) {
        const int64_t n = t.n_rows - r0 < max_tile_rows ? t.n_rows - r0 : max_tile_rows;
        bf16_some_rows(p, t, r0, static_cast<int>(n));
    }
}
