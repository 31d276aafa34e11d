// SPDX-License-Identifier: GPL-3.0-only
// Products with int8 activations on AMX tiles, for more rows than the streaming kernel takes: 16
// rows x 16 columns, one tdpbssd per block of 32 (or sub-block of 16) columns. Codes are unpacked
// as signed bytes, so no offset term is left. The integer sums go through a small buffer to vector
// registers, where they are scaled and added in the same order as in q8.inl: both give the same
// bits. Per block: 16 cycles of the tile unit, 48 or 64 float instructions for 16 x 16 x 32
// products. Tile registers: 0 and 1 sums (even and odd blocks), 2 and 3 activations, 4 and 5
// weights.

struct tile_config {
    uint8_t palette = 1;
    uint8_t start_row = 0;
    uint8_t reserved[14] = {};
    uint16_t row_bytes[16] = {};
    uint8_t rows[16] = {};
};

// The instructions as assembly: GCC 12's intrinsics do not tell the compiler which memory they use.
RLX_MM_FN void tiles_configure(int block_bytes) {
    tile_config c;
    for (int i = 0; i < 6; ++i) {
        c.row_bytes[i] = static_cast<uint16_t>(i == 2 || i == 3 ? block_bytes : 64);
        c.rows[i] = static_cast<uint8_t>(i >= 4 ? block_bytes / 4 : 16);
    }
    asm volatile("ldtilecfg %0" : : "m"(c) : "memory");
}

RLX_MM_FN void tiles_release() {
    asm volatile("tilerelease" : : : "memory");
}

// sums [16][16] = a [16 rows of `block_bytes`, 32 bytes apart] x b [block_bytes / 4 rows of 64
// bytes]
template <int PARITY>
RLX_MM_FN void tile_product(const uint8_t* a, const uint8_t* b, int32_t* sums) {
    const int64_t a_step = block_cols;
    const int64_t step = 64;
    if constexpr (PARITY == 0) {
        asm volatile("tilezero %%tmm0\n\t"
                     "tileloadd (%0,%3,1), %%tmm2\n\t"
                     "tileloadd (%1,%4,1), %%tmm4\n\t"
                     "tdpbssd %%tmm4, %%tmm2, %%tmm0\n\t"
                     "tilestored %%tmm0, (%2,%4,1)"
                     :
                     : "r"(a), "r"(b), "r"(sums), "r"(a_step), "r"(step)
                     : "memory");
    } else {
        asm volatile("tilezero %%tmm1\n\t"
                     "tileloadd (%0,%3,1), %%tmm3\n\t"
                     "tileloadd (%1,%4,1), %%tmm5\n\t"
                     "tdpbssd %%tmm5, %%tmm3, %%tmm1\n\t"
                     "tilestored %%tmm1, (%2,%4,1)"
                     :
                     : "r"(a), "r"(b), "r"(sums), "r"(a_step), "r"(step)
                     : "memory");
    }
}

constexpr int amx_rows = 16;

// Workspace of one call.
struct amx_space {
    alignas(64) uint8_t a[max_tile_rows * q8_chunk_blocks * (block_cols + 4 + 8)];
    alignas(64) uint8_t codes[q8_chunk_blocks * 512];
    alignas(64) float scales[q8_chunk_blocks * 2 * 16];
    alignas(64) float minima[q8_chunk_blocks * 2 * 16];
    alignas(64) int32_t sums[2][2][16 * 16]; // [block parity][group]
    alignas(64) float tail[amx_rows][panel_rows];
};

static_assert(sizeof(amx_space) <= mm_gemm_space);

template <int GROUPS, int PARITY>
RLX_MM_FN void amx_products(amx_space& s, const uint8_t* a, int64_t b) {
    tile_product<PARITY>(a, s.codes + b * 512, s.sums[PARITY][0]);
    if constexpr (GROUPS == 2) {
        tile_product<PARITY>(a + 16, s.codes + b * 512 + 256, s.sums[PARITY][1]);
    }
}

// Scales the sums of block b and adds them.
template <int GROUPS, bool MIN, int PARITY>
RLX_MM_FN void amx_add(const amx_space& s, const uint8_t* a, int64_t b, vf (&acc)[amx_rows]) {
    const float* act_scale = reinterpret_cast<const float*>(a + amx_rows * block_cols);
    const float* act_sum = act_scale + amx_rows; // times the scale
#pragma GCC unroll 2
    for (int g = 0; g < GROUPS; ++g) {
        const vf scale = load_f(s.scales + (b * GROUPS + g) * 16);
#pragma GCC unroll 16
        for (int m = 0; m < amx_rows; ++m) {
            const vf dot = to_f(load_i(s.sums[PARITY][g] + 16 * m));
            acc[m] = fma_f(dot, mul_f(scale, bcast_f(act_scale + m)), acc[m]);
        }
        if constexpr (MIN) {
            const vf minimum = load_f(s.minima + (b * GROUPS + g) * 16);
#pragma GCC unroll 16
            for (int m = 0; m < amx_rows; ++m) {
                acc[m] = fma_f(minimum, bcast_f(act_sum + m * GROUPS + g), acc[m]);
            }
        }
    }
}

// One panel x 16 rows over nb blocks. The tile products of a block are under way while the one
// before is added.
template <int GROUPS, bool MIN>
void amx_block(amx_space& s, const uint8_t* a, int64_t nb, float* const* c, bool first) {
    constexpr int64_t step = a_block_bytes(amx_rows, GROUPS);
    vf acc[amx_rows];
#pragma GCC unroll 16
    for (int m = 0; m < amx_rows; ++m)
        acc[m] = first ? zero_f() : loadu_f(c[m]);
    amx_products<GROUPS, 0>(s, a, 0);
    int64_t b = 0;
    for (; b + 2 <= nb; b += 2) {
        amx_products<GROUPS, 1>(s, a + step, b + 1);
        amx_add<GROUPS, MIN, 0>(s, a, b, acc);
        if (b + 2 < nb) amx_products<GROUPS, 0>(s, a + 2 * step, b + 2);
        amx_add<GROUPS, MIN, 1>(s, a + step, b + 1, acc);
        a += 2 * step;
    }
    if (b < nb) amx_add<GROUPS, MIN, 0>(s, a, b, acc);
#pragma GCC unroll 16
    for (int m = 0; m < amx_rows; ++m)
        storeu_f(c[m], acc[m]);
}

template <class W, int J>
RLX_MM_FN void amx_store_code(const panel_ptr& p, int64_t b, uint8_t* block) {
    store_i(block + 64 * J, sub_i8(W::template code<J>(p, b), set1_i8(W::offset)));
}

template <class W>
void amx_unpack(const panel_ptr& p, int64_t b0, int64_t nb, amx_space& s) {
    for (int64_t i = 0; i < nb; ++i) {
        const int64_t b = b0 + i;
        uint8_t* block = s.codes + i * 512;
        amx_store_code<W, 0>(p, b, block);
        amx_store_code<W, 1>(p, b, block);
        amx_store_code<W, 2>(p, b, block);
        amx_store_code<W, 3>(p, b, block);
        amx_store_code<W, 4>(p, b, block);
        amx_store_code<W, 5>(p, b, block);
        amx_store_code<W, 6>(p, b, block);
        amx_store_code<W, 7>(p, b, block);
        for (int g = 0; g < W::groups; ++g) {
            const int64_t at = (i * W::groups + g) * 16;
            store_f(s.scales + at, W::scale(p, b, g));
            if constexpr (W::has_min) store_f(s.minima + at, W::minimum(p, b, g));
        }
    }
}

template <class W>
void amx_some_rows(const mm_packed& p, const mm_tile& t, int64_t r0, int rows) {
    amx_space& s = *static_cast<amx_space*>(t.workspace);
    const int64_t chunks = (p.blocks + q8_chunk_blocks - 1) / q8_chunk_blocks;
    const int64_t chunk = (p.blocks + chunks - 1) / (chunks > 0 ? chunks : 1);
    for (int64_t b0 = 0; b0 < p.blocks; b0 += chunk) {
        const int64_t nb = p.blocks - b0 < chunk ? p.blocks - b0 : chunk;
        const int64_t a_bytes = nb * a_block_bytes(amx_rows, W::groups);
        for (int m0 = 0; m0 < rows; m0 += amx_rows) {
            const uint8_t* act[amx_rows]; // rows that do not exist repeat the last one
            for (int m = 0; m < amx_rows; ++m) {
                act[m] = act_row(t, r0 + (m0 + m < rows ? m0 + m : rows - 1));
            }
            q8_gather<W>(act, amx_rows, p.blocks, b0, nb, s.a + m0 / amx_rows * a_bytes);
        }
        for (int64_t col = 0; col < t.n_cols; col += panel_rows) {
            const int64_t n_cols = t.n_cols - col;
            amx_unpack<W>(panel_at(p, t.group, (t.col0 + col) / panel_rows), b0, nb, s);
            for (int m0 = 0; m0 < rows; m0 += amx_rows) {
                const int mr = rows - m0 < amx_rows ? rows - m0 : amx_rows;
                float* c[amx_rows];
                for (int m = 0; m < amx_rows; ++m) {
                    float* out = m < mr ? out_row(t, r0 + m0 + m) + col : nullptr;
                    c[m] = out && n_cols >= panel_rows ? out : s.tail[m];
                    if (out && c[m] != out && b0 > 0) memcpy(c[m], out, n_cols * 4);
                }
                const uint8_t* a = s.a + m0 / amx_rows * a_bytes;
                amx_block<W::groups, W::has_min>(s, a, nb, c, b0 == 0);
                for (int m = 0; n_cols < panel_rows && m < mr; ++m) {
                    memcpy(out_row(t, r0 + m0 + m) + col, c[m], n_cols * 4);
                }
            }
        }
    }
}

template <int ID>
void amx_run(const mm_packed& p, const mm_tile& t) {
    using W = weight_of<ID>;
    tiles_configure(block_cols / W::groups);
    for (int64_t r0 = 0; r0 < t.n_rows; r0 += max_tile_rows) {
        const int64_t n = t.n_rows - r0 < max_tile_rows ? t.n_rows - r0 : max_tile_rows;
        amx_some_rows<W>(p, t, r0, static_cast<int>(n));
    }
    tiles_release();
}
