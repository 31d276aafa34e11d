// SPDX-License-Identifier: GPL-3.0-only
// Products with int8 activations. For up to four rows the packed weight is unpacked in registers
// while it streams by (bandwidth-bound); for more rows a chunk of one or two panels is unpacked
// once into L1 and used by all rows of the tile. Both run the same block loop, in the same order,
// so a row's result does not depend on its company:
//   acc = fma(float(dot), scale * act_scale, acc); acc = fma(minimum, act_scale * act_sum, acc)
// per block, dot exact in 32-bit integers. Work per block and row: 8 byte-dot instructions and 3 to
// 4 float ones for 16 x 32 products. Included once per tier inside that tier's namespace.

// Group G of a block for MR rows and NP panels.
template <class W, int MR, int NP, int G>
RLX_MM_FN void q8_group(const panel_ptr* p, const uint8_t* a, int64_t b, vf (&acc)[NP][MR]) {
    constexpr int steps = 8 / W::groups;
    const uint8_t* slot = a + MR * (block_cols + 4);
    dot_acc<W::dot_bits> dot[NP][MR];
#pragma GCC unroll 16
    for (int m = 0; m < MR; ++m) {
        const vi init = W::has_min ? zero_i() : bcast_i32(slot + 4 * (m * W::groups + G));
#pragma GCC unroll 2
        for (int n = 0; n < NP; ++n)
            dot_start(dot[n][m], init);
    }
    const auto step = [&]<int J>() __attribute__((always_inline)) {
        dot_codes<W::dot_bits> codes[NP];
#pragma GCC unroll 2
        for (int n = 0; n < NP; ++n)
            codes[n] = W::template operand<J>(p[n], b);
#pragma GCC unroll 16
        for (int m = 0; m < MR; ++m) {
            const vi x = bcast_i32(a + m * block_cols + 4 * J);
#pragma GCC unroll 2
            for (int n = 0; n < NP; ++n)
                dot_step(dot[n][m], codes[n], x, J % steps);
        }
    };
    constexpr int j0 = G * steps;
    step.template operator()<j0>();
    step.template operator()<j0 + 1>();
    step.template operator()<j0 + 2>();
    step.template operator()<j0 + 3>();
    if constexpr (steps == 8) {
        step.template operator()<j0 + 4>();
        step.template operator()<j0 + 5>();
        step.template operator()<j0 + 6>();
        step.template operator()<j0 + 7>();
    }
    const float* act_scale = reinterpret_cast<const float*>(a + MR * block_cols);
#pragma GCC unroll 2
    for (int n = 0; n < NP; ++n) {
        const vf scale = W::scale(p[n], b, G);
#pragma GCC unroll 16
        for (int m = 0; m < MR; ++m) {
            const vf s = mul_f(scale, bcast_f(act_scale + m));
            acc[n][m] = fma_f(to_f(dot_finish(dot[n][m])), s, acc[n][m]);
        }
        if constexpr (W::has_min) {
            const vf minimum = W::minimum(p[n], b, G);
#pragma GCC unroll 16
            for (int m = 0; m < MR; ++m) {
                const float* f = reinterpret_cast<const float*>(slot) + m * W::groups + G;
                acc[n][m] = fma_f(minimum, bcast_f(f), acc[n][m]);
            }
        }
    }
}

// c[m] points at NP x 16 floats; `first` starts from zero instead of adding to them.
template <class W, int MR, int NP>
void q8_block(const panel_ptr* panels, const uint8_t* a, int64_t nb, float* const* c, bool first) {
    panel_ptr p[NP];
    vf acc[NP][MR];
#pragma GCC unroll 2
    for (int n = 0; n < NP; ++n) {
        p[n] = panels[n];
#pragma GCC unroll 16
        for (int m = 0; m < MR; ++m)
            acc[n][m] = first ? zero_f() : loadu_f(c[m] + 16 * n);
    }
    for (int64_t b = 0; b < nb; ++b) {
        if constexpr (W::streams) {
            prefetch_bytes<W::block_bytes>(p[0].codes + b * W::block_bytes + stream_ahead);
        }
        q8_group<W, MR, NP, 0>(p, a, b, acc);
        if constexpr (W::groups == 2) q8_group<W, MR, NP, 1>(p, a, b, acc);
        a += a_block_bytes(MR, W::groups);
    }
#pragma GCC unroll 2
    for (int n = 0; n < NP; ++n) {
#pragma GCC unroll 16
        for (int m = 0; m < MR; ++m)
            storeu_f(c[m] + 16 * n, acc[n][m]);
    }
}

using q8_block_fn = void (*)(const panel_ptr*, const uint8_t*, int64_t, float* const*, bool);

template <class W, int NP, int MAX>
RLX_MM_FN q8_block_fn q8_block_for(int rows) {
    if constexpr (MAX > 1) {
        if (rows < MAX) return q8_block_for<W, NP, MAX - 1>(rows);
    }
    return q8_block<W, MAX, NP>;
}

template <class W>
void q8_few_rows(const mm_packed& p, const mm_tile& t) {
    const int rows = static_cast<int>(t.n_rows);
    const uint8_t* act[max_gemv_rows];
    for (int m = 0; m < rows; ++m)
        act[m] = act_row(t, m);
    uint8_t* a = static_cast<uint8_t*>(t.workspace);
    q8_gather<W>(act, rows, p.blocks, 0, p.blocks, a);
    const q8_block_fn block = q8_block_for<W, 1, max_gemv_rows>(rows);
    for (int64_t col = 0; col < t.n_cols; col += panel_rows) {
        const panel_ptr panel = panel_at(p, t.group, (t.col0 + col) / panel_rows);
        const int64_t n = t.n_cols - col;
        alignas(64) float tail[max_gemv_rows][panel_rows];
        float* c[max_gemv_rows];
        for (int m = 0; m < rows; ++m)
            c[m] = n < panel_rows ? tail[m] : out_row(t, m) + col;
        block(&panel, a, p.blocks, c, true);
        for (int m = 0; n < panel_rows && m < rows; ++m)
            memcpy(out_row(t, m) + col, tail[m], n * 4);
    }
}

// Unpacks blocks [b0, b0 + nb) of a panel, the next of which lies `ahead` bytes on, into the planes
// of `tile` (cast away const: it is workspace).
template <class W>
void q8_unpack(const panel_ptr& p, int64_t b0, int64_t nb, int64_t ahead, const panel_ptr& tile) {
    constexpr int step = dot_codes_bytes<W::dot_bits>;
    uint8_t* codes = const_cast<uint8_t*>(tile.codes);
    float* scales = reinterpret_cast<float*>(const_cast<uint8_t*>(tile.scales));
    float* minima = reinterpret_cast<float*>(const_cast<uint8_t*>(tile.supers));
    for (int64_t i = 0; i < nb; ++i) {
        const int64_t b = b0 + i;
        prefetch_block<W>(p, b, ahead);
        uint8_t* block = codes + i * 8 * step;
        dot_store<W::dot_bits>(block, W::template operand<0>(p, b));
        dot_store<W::dot_bits>(block + step, W::template operand<1>(p, b));
        dot_store<W::dot_bits>(block + 2 * step, W::template operand<2>(p, b));
        dot_store<W::dot_bits>(block + 3 * step, W::template operand<3>(p, b));
        dot_store<W::dot_bits>(block + 4 * step, W::template operand<4>(p, b));
        dot_store<W::dot_bits>(block + 5 * step, W::template operand<5>(p, b));
        dot_store<W::dot_bits>(block + 6 * step, W::template operand<6>(p, b));
        dot_store<W::dot_bits>(block + 7 * step, W::template operand<7>(p, b));
        for (int g = 0; g < W::groups; ++g) {
            const int64_t at = (i * W::groups + g) * 16;
            store_f(scales + at, W::scale(p, b, g));
            if constexpr (W::has_min) store_f(minima + at, W::minimum(p, b, g));
        }
    }
}

// Workspace of a tile with many rows.
struct q8_space {
    alignas(64) uint8_t a[max_tile_rows * q8_chunk_blocks * (block_cols + 4 + 8)];
    alignas(64) uint8_t codes[2][q8_chunk_blocks * 8 * dot_codes_bytes<8>];
    alignas(64) float scales[2][q8_chunk_blocks * 2 * 16];
    alignas(64) float minima[2][q8_chunk_blocks * 2 * 16];
    alignas(64) float tail[16][2 * panel_rows];
};

static_assert(sizeof(q8_space) <= mm_gemm_space);

// All rows [r0, r0 + rows) x columns [col, col + wide * 16) with one chunk of columns of the
// weight.
template <class W, class T, int MR>
void q8_rows(
    const mm_tile& t, q8_space& s, int64_t r0, int rows, int64_t col, int64_t nb, bool first
) {
    constexpr int wide = n_panels_wide;
    panel_ptr panels[wide];
    for (int n = 0; n < wide; ++n) {
        panels[n] = {
            s.codes[n],
            reinterpret_cast<const uint8_t*>(s.scales[n]),
            reinterpret_cast<const uint8_t*>(s.minima[n])};
    }
    const int64_t n_cols = t.n_cols - col;
    const bool partial = n_cols < wide * panel_rows;
    const uint8_t* a = s.a;
    for (int m0 = 0; m0 < rows; m0 += MR) {
        const int mr = rows - m0 < MR ? rows - m0 : MR;
        float* c[MR];
        for (int m = 0; m < mr; ++m) {
            float* out = out_row(t, r0 + m0 + m) + col;
            c[m] = partial ? s.tail[m] : out;
            if (partial && !first) memcpy(c[m], out, n_cols * 4);
        }
        q8_block_for<T, wide, MR>(mr)(panels, a, nb, c, first);
        for (int m = 0; partial && m < mr; ++m) {
            memcpy(out_row(t, r0 + m0 + m) + col, c[m], n_cols * 4);
        }
        a += nb * a_block_bytes(mr, W::groups);
    }
}

template <class W>
void q8_many_rows(const mm_packed& p, const mm_tile& t, int64_t r0, int rows) {
    using tile = weight_tile<W::dot_bits, W::groups, W::has_min>;
    constexpr int mr = max_rows_q8;
    constexpr int wide = n_panels_wide;
    q8_space& s = *static_cast<q8_space*>(t.workspace);
    const int64_t panels = (p.desc.rows + panel_rows - 1) / panel_rows;
    // Chunks of equal length: a short last one would cost as many loads and stores of sums as a
    // full one.
    const int64_t chunks = (p.blocks + q8_chunk_blocks - 1) / q8_chunk_blocks;
    const int64_t chunk = (p.blocks + chunks - 1) / (chunks > 0 ? chunks : 1);
    for (int64_t b0 = 0; b0 < p.blocks; b0 += chunk) {
        const int64_t nb = p.blocks - b0 < chunk ? p.blocks - b0 : chunk;
        uint8_t* a = s.a;
        for (int m0 = 0; m0 < rows; m0 += mr) {
            const int n = rows - m0 < mr ? rows - m0 : mr;
            const uint8_t* act[mr];
            for (int m = 0; m < n; ++m)
                act[m] = act_row(t, r0 + m0 + m);
            q8_gather<W>(act, n, p.blocks, b0, nb, a);
            a += nb * a_block_bytes(n, W::groups);
        }
        for (int64_t col = 0; col < t.n_cols; col += wide * panel_rows) {
            for (int n = 0; n < wide; ++n) {
                // A missing second panel is computed from the last one's numbers and thrown away.
                int64_t panel = (t.col0 + col) / panel_rows + n;
                if (panel >= panels) panel = panels - 1;
                const panel_ptr dst = {
                    s.codes[n],
                    reinterpret_cast<const uint8_t*>(s.scales[n]),
                    reinterpret_cast<const uint8_t*>(s.minima[n])};
                q8_unpack<W>(panel_at(p, t.group, panel), b0, nb, wide * p.panel_bytes, dst);
            }
            q8_rows<W, tile, mr>(t, s, r0, rows, col, nb, b0 == 0);
        }
    }
}

template <int ID>
void q8_run(const mm_packed& p, const mm_tile& t) {
    using W = weight_of<ID>;
    if (t.n_rows <= 0) return;
    if (t.n_rows <= max_gemv_rows) return q8_few_rows<W>(p, t);
    for (int64_t r0 = 0; r0 < t.n_rows; r0 += max_tile_rows) {
        const int64_t n = t.n_rows - r0 < max_tile_rows ? t.n_rows - r0 : max_tile_rows;
        q8_many_rows<W>(p, t, r0, static_cast<int>(n));
    }
}
