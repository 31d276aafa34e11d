// SPDX-License-Identifier: GPL-3.0-only
// BF16 weights with BF16 activations on AMX tiles: tdpbf16ps, 16 rows x 16 columns x 32 products
// each, sums in float. A panel [column pair][16][2] is the right operand as it lies, and so are 16
// activation rows at a fixed distance; others (scattered rows, a last group, columns that are no
// multiple of 32) are regrouped [32 columns][16 rows][64 bytes]. A block is 32 rows x 32 columns: registers 0..3
// sums, 4 and 5 activations, 6 and 7 weights; 64 cycles of the tile unit for 4 KB of loads. An
// output is one chain over its columns, 32 at a time, whatever the number of rows, so batches and
// single rows give the same bits. Included once per tier inside that tier's namespace.

constexpr int tile_bytes = 1024;
constexpr int tile_cols = 32; // columns of one product, 64 bytes of a row

struct bf16_amx_space {
    alignas(64) uint8_t a[amx_bf16_rows * amx_bf16_cols * 2]; // [16 rows][32 columns] tiles
    alignas(64) uint8_t last[2][tile_bytes];                  // of two panels, filled with zeros
    alignas(64) float sums[32 * 32];
};

static_assert(sizeof(bf16_amx_space) <= amx_bf16_space);

RLX_MM_FN void bf16_tiles() {
    tile_config c;
    for (int i = 0; i < 8; ++i) {
        c.row_bytes[i] = 64;
        c.rows[i] = 16;
    }
    tiles_configure(c);
}

// Four neighbouring sums: rows 0 and 16 of out, columns 0 and 16. step in bytes.
RLX_MM_FN void sums_zero() {
    asm volatile("tilezero %%tmm0\n\ttilezero %%tmm1\n\ttilezero %%tmm2\n\ttilezero %%tmm3"
                 :
                 :
                 : "memory");
}

RLX_MM_FN void sums_load(const float* p, int64_t step) {
    asm volatile("tileloadd (%0,%2,1), %%tmm0\n\t"
                 "tileloadd 64(%0,%2,1), %%tmm1\n\t"
                 "tileloadd (%1,%2,1), %%tmm2\n\t"
                 "tileloadd 64(%1,%2,1), %%tmm3"
                 :
                 : "r"(p), "r"(p + 4 * step), "r"(step)
                 : "memory");
}

RLX_MM_FN void sums_store(float* p, int64_t step) {
    asm volatile("tilestored %%tmm0, (%0,%2,1)\n\t"
                 "tilestored %%tmm1, 64(%0,%2,1)\n\t"
                 "tilestored %%tmm2, (%1,%2,1)\n\t"
                 "tilestored %%tmm3, 64(%1,%2,1)"
                 :
                 : "r"(p), "r"(p + 4 * step), "r"(step)
                 : "memory");
}

// Two groups of 16 rows: bytes from row to row, and from one tile to the next.
struct bf16_amx_rows {
    const uint8_t* group[2];
    int64_t row;
    int64_t tile;
};

// n > 0 tiles of the groups, from tile `at`, and as many of two panels.
RLX_MM_FN void sums_add(
    const bf16_amx_rows& a, int64_t at, const uint8_t* b0, const uint8_t* b1, int64_t n
) {
    const int64_t step = 64;
    const uint8_t* a0 = a.group[0] + at * a.tile;
    const uint8_t* a1 = a.group[1] + at * a.tile;
    asm volatile("1:\n\t"
                 "tileloadd (%2,%5,1), %%tmm6\n\t"
                 "tileloadd (%0,%6,1), %%tmm4\n\t"
                 "tdpbf16ps %%tmm6, %%tmm4, %%tmm0\n\t"
                 "tileloadd (%3,%5,1), %%tmm7\n\t"
                 "tdpbf16ps %%tmm7, %%tmm4, %%tmm1\n\t"
                 "tileloadd (%1,%6,1), %%tmm5\n\t"
                 "tdpbf16ps %%tmm6, %%tmm5, %%tmm2\n\t"
                 "tdpbf16ps %%tmm7, %%tmm5, %%tmm3\n\t"
                 "add %7, %0\n\t"
                 "add %7, %1\n\t"
                 "add $1024, %2\n\t"
                 "add $1024, %3\n\t"
                 "dec %4\n\t"
                 "jnz 1b"
                 : "+r"(a0), "+r"(a1), "+r"(b0), "+r"(b1), "+r"(n)
                 : "r"(step), "r"(a.row), "r"(a.tile)
                 : "memory", "cc");
}

// Columns [k0, k0 + nk) of rows [r0, r0 + 16) as tiles; what does not exist is zero.
inline void bf16_amx_gather(
    const mm_tile& t, int64_t r0, int64_t rows, int64_t k0, int64_t nk, uint8_t* a
) {
    for (int r = 0; r < 16; ++r) {
        uint8_t* to = a + r * 64;
        if (r0 + r >= rows) {
            for (int64_t k = 0; k < nk; k += tile_cols, to += tile_bytes)
                _mm512_store_si512(to, _mm512_setzero_si512());
            continue;
        }
        const uint8_t* x = act_row(t, r0 + r) + 2 * k0;
        int64_t k = 0;
        for (; k + tile_cols <= nk; k += tile_cols, to += tile_bytes)
            _mm512_store_si512(to, _mm512_loadu_si512(x + 2 * k));
        if (k == nk) continue;
        const __mmask16 have = static_cast<__mmask16>((1u << (nk - k + 1) / 2) - 1u);
        _mm512_store_si512(to, _mm512_maskz_loadu_epi32(have, x + 2 * k));
    }
}

// The weights of one pass: two panels (twice the same at the end) from column k0.
struct bf16_amx_weights {
    const uint8_t* panel[2];
    int64_t tiles;  // whole ones
    bool rest;      // and one in space.last
    int64_t n_cols; // of the tile's output, <= 32
};

inline bf16_amx_weights bf16_amx_panels(
    const mm_packed& p, const mm_tile& t, bf16_amx_space& s, int64_t col, int64_t k0, int64_t nk
) {
    bf16_amx_weights w{};
    w.n_cols = t.n_cols - col < 32 ? t.n_cols - col : 32;
    w.tiles = nk / tile_cols;
    w.rest = nk % tile_cols != 0;
    for (int i = 0; i < 2; ++i) {
        const int64_t panel = (t.col0 + col) / panel_rows + (w.n_cols > panel_rows ? i : 0);
        w.panel[i] = panel_at(p, t.group, panel).codes + k0 * 32;
        if (!w.rest) continue;
        const int64_t bytes = (nk % tile_cols + 1) / 2 * 64;
        memset(s.last[i], 0, tile_bytes);
        memcpy(s.last[i], w.panel[i] + w.tiles * tile_bytes, bytes);
    }
    return w;
}

// The panels that come after these two, while the first rows are computed.
inline void bf16_amx_ahead(const mm_packed& p, const bf16_amx_weights& w) {
    const uint8_t* next = w.panel[0] + 2 * p.panel_bytes;
    for (int i = 0; i < 2; ++i, next += p.panel_bytes)
        for (int64_t at = 0; at < w.tiles * tile_bytes; at += 64)
            __builtin_prefetch(next + at, 0, 2);
}

// 32 rows from r x the panels' columns.
inline void bf16_amx_block(
    const mm_tile& t,
    bf16_amx_space& s,
    const bf16_amx_weights& w,
    const bf16_amx_rows& a,
    int64_t r,
    int64_t rows,
    int64_t col,
    bool first
) {
    const int64_t n = rows - r < 32 ? rows - r : 32;
    const bool direct = n == 32 && w.n_cols == 32 && !t.out_rows;
    float* out = direct ? out_row(t, r) + col : s.sums;
    const int64_t step = direct ? t.out_stride * 4 : 128;
    if (!direct && !first)
        for (int64_t m = 0; m < n; ++m)
            memcpy(out + m * 32, out_row(t, r + m) + col, w.n_cols * 4);
    if (first)
        sums_zero();
    else
        sums_load(out, step);
    if (w.tiles > 0) sums_add(a, 0, w.panel[0], w.panel[1], w.tiles);
    if (w.rest) sums_add(a, w.tiles, s.last[0], s.last[1], 1);
    sums_store(out, step);
    if (!direct)
        for (int64_t m = 0; m < n; ++m)
            memcpy(out_row(t, r + m) + col, out + m * 32, w.n_cols * 4);
}

inline void bf16_amx_some_rows(const mm_packed& p, const mm_tile& t, int64_t r0, int64_t rows) {
    bf16_amx_space& s = *static_cast<bf16_amx_space*>(t.workspace);
    const int64_t cols = p.desc.cols;
    const int64_t parts = (cols + amx_bf16_cols - 1) / amx_bf16_cols;
    const int64_t chunk = ((cols + parts - 1) / parts + tile_cols - 1) / tile_cols * tile_cols;
    for (int64_t k0 = 0; k0 < cols; k0 += chunk) {
        const int64_t nk = cols - k0 < chunk ? cols - k0 : chunk;
        const int64_t group = (nk + tile_cols - 1) / tile_cols * tile_bytes; // of 16 rows
        const bool straight = !t.act_rows && nk % tile_cols == 0;
        const int64_t in_place = straight ? rows / 32 * 32 : 0; // rows
        for (int64_t m = in_place; m < rows; m += 16)
            bf16_amx_gather(t, r0 + m, r0 + rows, k0, nk, s.a + m / 16 * group);
        for (int64_t col = 0; col < t.n_cols; col += 32) {
            const bf16_amx_weights w = bf16_amx_panels(p, t, s, col, k0, nk);
            if (col + 64 <= t.n_cols) bf16_amx_ahead(p, w);
            for (int64_t m = 0; m < rows; m += 32) {
                const uint8_t* x = s.a + m / 16 * group;
                bf16_amx_rows a = {{x, m + 16 < rows ? x + group : x}, 64, tile_bytes};
                const auto step = static_cast<int64_t>(t.act_stride);
                if (m < in_place) {
                    x = act_row(t, r0 + m) + 2 * k0;
                    a = {{x, x + 16 * step}, step, 64};
                }
                bf16_amx_block(t, s, w, a, r0 + m, r0 + rows, col, k0 == 0);
            }
        }
    }
}

inline void bf16_amx_run(const mm_packed& p, const mm_tile& t) {
    if (p.desc.cols == 0) return fill_zero(t);
    bf16_tiles();
    for (int64_t r0 = 0; r0 < t.n_rows; r0 += amx_bf16_rows) {
        const int64_t n = t.n_rows - r0 < amx_bf16_rows ? t.n_rows - r0 : amx_bf16_rows;
        bf16_amx_some_rows(p, t, r0, n);
    }
    tiles_release();
}
