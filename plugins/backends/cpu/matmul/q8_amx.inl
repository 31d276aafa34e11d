// SPDX-License-Identifier: GPL-3.0-only
// Products with int8 activations on AMX tiles, for more rows than the streaming kernel takes: 16
// rows x 16 columns, one tdpbssd per block of 32 (or sub-block of 16) columns. Codes are unpacked
// as signed bytes, so no offset term is left. The integer sums go through a small buffer to vector
// registers, where they are scaled and added in the same order as in q8.inl: both give the same
// bits. Per block: 16 cycles of the tile unit, 48 or 64 float instructions for 16 x 16 x 32
// products. Tile registers: 0 and 1 sums (even and odd blocks), 2 and 3 activations, 4 and 5
// weights.

RLX_MM_FN void q8_tiles(int block_bytes) {
    tile_config c;
    for (int i = 0; i < 6; ++i) {
        c.row_bytes[i] = static_cast<uint16_t>(i == 2 || i == 3 ? block_bytes : 64);
        c.rows[i] = static_cast<uint8_t>(i >= 4 ? block_bytes / 4 : 16);
    }
    tiles_configure(c);
}

// Sum register PARITY = a [16 rows of 32 / GROUPS bytes, 32 bytes apart] x b [8 / GROUPS rows of 64
// bytes].
template <int PARITY>
RLX_MM_FN void tile_multiply(const uint8_t* a, const uint8_t* b) {
    const int64_t a_step = block_cols;
    const int64_t b_step = 64;
    if constexpr (PARITY == 0) {
        asm volatile("tilezero %%tmm0\n\t"
                     "tileloadd (%0,%2,1), %%tmm2\n\t"
                     "tileloadd (%1,%3,1), %%tmm4\n\t"
                     "tdpbssd %%tmm4, %%tmm2, %%tmm0"
                     :
                     : "r"(a), "r"(b), "r"(a_step), "r"(b_step)
                     : "memory");
    } else {
        asm volatile("tilezero %%tmm1\n\t"
                     "tileloadd (%0,%2,1), %%tmm3\n\t"
                     "tileloadd (%1,%3,1), %%tmm5\n\t"
                     "tdpbssd %%tmm5, %%tmm3, %%tmm1"
                     :
                     : "r"(a), "r"(b), "r"(a_step), "r"(b_step)
                     : "memory");
    }
}

template <int PARITY>
RLX_MM_FN void tile_store(int32_t* sums) {
    const int64_t step = 64;
    if constexpr (PARITY == 0) {
        asm volatile("tilestored %%tmm0, (%0,%1,1)" : : "r"(sums), "r"(step) : "memory");
    } else {
        asm volatile("tilestored %%tmm1, (%0,%1,1)" : : "r"(sums), "r"(step) : "memory");
    }
}

constexpr int amx_rows = 16;

constexpr int amx_wide = 2; // panels that share a pass over the activations

// A panel's chunk, unpacked.
struct amx_panel {
    alignas(64) uint8_t codes[q8_chunk_blocks * 512];
    alignas(64) float scales[q8_chunk_blocks * 2 * 16];
    alignas(64) float minima[q8_chunk_blocks * 2 * 16];
};

// Workspace of one call.
struct amx_space {
    alignas(64) uint8_t a[max_tile_rows * q8_chunk_blocks * (block_cols + 4 + 8)];
    amx_panel panels[amx_wide];
    alignas(64) int32_t sums[2][16 * 16]; // [parity]
    alignas(64) float tail[amx_rows][panel_rows];
};

static_assert(sizeof(amx_space) <= mm_gemm_space);

// The work of a block is one unit per group, counted by u; its parity picks registers and buffer.
template <int GROUPS>
RLX_MM_FN const uint8_t* amx_act(const uint8_t* a, int64_t u) {
    return a + u / GROUPS * a_block_bytes(amx_rows, GROUPS);
}

template <int GROUPS, int PARITY>
RLX_MM_FN void amx_multiply(const amx_panel& w, const uint8_t* a, int64_t u, int64_t ahead) {
    constexpr int bytes = block_cols / GROUPS;
    tile_multiply<PARITY>(amx_act<GROUPS>(a, u) + u % GROUPS * bytes, w.codes + u * (16 * bytes));
    // The next rows' activations lie `ahead` bytes on, in L2: tile loads do not hide that by
    // themselves.
    constexpr int lines = static_cast<int>(a_block_bytes(amx_rows, GROUPS)) / 64 / GROUPS;
    const uint8_t* next = amx_act<GROUPS>(a, u) + ahead + u % GROUPS * lines * 64;
#pragma GCC unroll 16
    for (int i = 0; i <= lines; ++i)
        __builtin_prefetch(next + 64 * i);
}

// Scales the sums of unit u and adds them.
template <int GROUPS, bool MIN>
RLX_MM_FN void
amx_add(const amx_panel& w, const int32_t* sums, const uint8_t* a, int64_t u, vf (&acc)[amx_rows]) {
    const float* act_scale =
        reinterpret_cast<const float*>(amx_act<GROUPS>(a, u) + amx_rows * block_cols);
    const float* act_sum = act_scale + amx_rows + u % GROUPS; // times the scale
    const vf scale = load_f(w.scales + u * 16);
#pragma GCC unroll 16
    for (int m = 0; m < amx_rows; ++m) {
        const vf dot = to_f(load_i(sums + 16 * m));
        acc[m] = fma_f(dot, mul_f(scale, bcast_f(act_scale + m)), acc[m]);
    }
    if constexpr (MIN) {
        const vf minimum = load_f(w.minima + u * 16);
#pragma GCC unroll 16
        for (int m = 0; m < amx_rows; ++m) {
            acc[m] = fma_f(minimum, bcast_f(act_sum + m * GROUPS), acc[m]);
        }
    }
}

// One panel x 16 rows over nb blocks, in a pipeline: while unit u multiplies, the sums of u - 1 are
// stored and those of u - 2 added. A tile register is stored only after the next one started: the
// tile unit then does both at once.
template <int GROUPS, bool MIN>
void amx_block(
    amx_space& s, const amx_panel& w, const uint8_t* a, int64_t nb, float* const* c, bool first
) {
    const int64_t units = nb * GROUPS;
    const int64_t ahead = nb * a_block_bytes(amx_rows, GROUPS);
    vf acc[amx_rows];
#pragma GCC unroll 16
    for (int m = 0; m < amx_rows; ++m)
        acc[m] = first ? zero_f() : loadu_f(c[m]);
    amx_multiply<GROUPS, 0>(w, a, 0, ahead);
    int64_t u = 1;
    for (; u + 1 < units; u += 2) {
        amx_multiply<GROUPS, 1>(w, a, u, ahead);
        tile_store<0>(s.sums[0]);
        if (u > 1) amx_add<GROUPS, MIN>(w, s.sums[1], a, u - 2, acc);
        amx_multiply<GROUPS, 0>(w, a, u + 1, ahead);
        tile_store<1>(s.sums[1]);
        amx_add<GROUPS, MIN>(w, s.sums[0], a, u - 1, acc);
    }
    if (u > 1) amx_add<GROUPS, MIN>(w, s.sums[1], a, u - 2, acc);
    if (u < units) amx_multiply<GROUPS, 1>(w, a, u, ahead);
    tile_store<0>(s.sums[0]);
    amx_add<GROUPS, MIN>(w, s.sums[0], a, u - 1, acc);
    if (u < units) {
        tile_store<1>(s.sums[1]);
        amx_add<GROUPS, MIN>(w, s.sums[1], a, u, acc);
    }
#pragma GCC unroll 16
    for (int m = 0; m < amx_rows; ++m)
        storeu_f(c[m], acc[m]);
}

template <class W, int J>
RLX_MM_FN void amx_store_code(const panel_ptr& p, int64_t b, uint8_t* block) {
    store_i(block + 64 * J, sub_i8(W::template code<J>(p, b), set1_i8(W::offset)));
}

template <class W>
void amx_unpack(const panel_ptr& p, int64_t b0, int64_t nb, int64_t ahead, amx_panel& w) {
    for (int64_t i = 0; i < nb; ++i) {
        const int64_t b = b0 + i;
        prefetch_block<W>(p, b, ahead);
        uint8_t* block = w.codes + i * 512;
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
            store_f(w.scales + at, W::scale(p, b, g));
            if constexpr (W::has_min) store_f(w.minima + at, W::minimum(p, b, g));
        }
    }
}

// Output rows [r, r + mr) x the panel's columns from col.
template <class W>
void amx_rows_of_panel(
    const mm_tile& t,
    amx_space& s,
    const amx_panel& w,
    const uint8_t* a,
    int64_t r,
    int mr,
    int64_t col,
    int64_t nb,
    bool first
) {
    const int64_t n_cols = t.n_cols - col;
    const bool partial = n_cols < panel_rows;
    float* c[amx_rows];
    for (int m = 0; m < amx_rows; ++m) {
        float* out = m < mr ? out_row(t, r + m) + col : nullptr;
        c[m] = out && !partial ? out : s.tail[m];
        if (out && partial && !first) memcpy(c[m], out, n_cols * 4);
    }
    amx_block<W::groups, W::has_min>(s, w, a, nb, c, first);
    for (int m = 0; partial && m < mr; ++m)
        memcpy(out_row(t, r + m) + col, c[m], n_cols * 4);
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
        for (int64_t col = 0; col < t.n_cols; col += amx_wide * panel_rows) {
            const int64_t left = (t.n_cols - col + panel_rows - 1) / panel_rows;
            const int wide = left < amx_wide ? static_cast<int>(left) : amx_wide;
            for (int n = 0; n < wide; ++n) {
                const int64_t panel = (t.col0 + col) / panel_rows + n;
                const int64_t ahead = amx_wide * static_cast<int64_t>(p.panel_bytes);
                amx_unpack<W>(panel_at(p, t.group, panel), b0, nb, ahead, s.panels[n]);
            }
            for (int m0 = 0; m0 < rows; m0 += amx_rows) {
                const int mr = rows - m0 < amx_rows ? rows - m0 : amx_rows;
                const uint8_t* a = s.a + m0 / amx_rows * a_bytes;
                for (int n = 0; n < wide; ++n) {
                    amx_rows_of_panel<W>(
                        t, s, s.panels[n], a, r0 + m0, mr, col + n * panel_rows, nb, b0 == 0
                    );
                }
            }
        }
    }
}

template <int ID>
void amx_run(const mm_packed& p, const mm_tile& t) {
    using W = weight_of<ID>;
    q8_tiles(block_cols / W::groups);
    for (int64_t r0 = 0; r0 < t.n_rows; r0 += max_tile_rows) {
        const int64_t n = t.n_rows - r0 < max_tile_rows ? t.n_rows - r0 : max_tile_rows;
        amx_some_rows<W>(p, t, r0, static_cast<int>(n));
    }
    tiles_release();
}
