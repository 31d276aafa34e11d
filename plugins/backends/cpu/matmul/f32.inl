// SPDX-License-Identifier: GPL-3.0-only
// Products with float activations. A chunk of 128 columns of one or two panels becomes a float tile
// in L1 [column][16] (F32 weights are one already), the activations are copied there too ([rows of a
// register block][128 columns], or [column][rows] when they come as columns), and a register block
// of rows x panels runs over it. Each output is the sum of its chunks' sums,
// each chunk one chain of multiply-adds, whatever the number of rows. Included once per tier inside
// that tier's namespace.

template <int ID, int J>
RLX_MM_FN void dequant_group(const panel_ptr& p, int64_t b, vf scale, vf minimum, float* dst) {
    using W = weight_of<ID>;
    const vi code = W::template code<J>(p, b);
    const auto column = [&]<int T>() __attribute__((always_inline)) {
        const vi byte = and_i(shr32<8 * T>(code), set1_i32(0xff));
        const vf v = mul_f(scale, to_f(sub_i32(byte, set1_i32(W::offset))));
        store_f(dst + (4 * J + T) * 16, W::has_min ? add_f(v, minimum) : v);
    };
    column.template operator()<0>();
    column.template operator()<1>();
    column.template operator()<2>();
    column.template operator()<3>();
}

template <int ID>
void dequant_block(const panel_ptr& p, int64_t b, float* dst) {
    using W = weight_of<ID>;
    vf scale = W::scale(p, b, 0);
    vf minimum = W::has_min ? W::minimum(p, b, 0) : zero_f();
    dequant_group<ID, 0>(p, b, scale, minimum, dst);
    dequant_group<ID, 1>(p, b, scale, minimum, dst);
    dequant_group<ID, 2>(p, b, scale, minimum, dst);
    dequant_group<ID, 3>(p, b, scale, minimum, dst);
    if constexpr (W::groups == 2) {
        scale = W::scale(p, b, 1);
        if constexpr (W::has_min) minimum = W::minimum(p, b, 1);
    }
    dequant_group<ID, 4>(p, b, scale, minimum, dst);
    dequant_group<ID, 5>(p, b, scale, minimum, dst);
    dequant_group<ID, 6>(p, b, scale, minimum, dst);
    dequant_group<ID, 7>(p, b, scale, minimum, dst);
}

// Columns [k0, k0 + n) of a panel as floats [column][16]: in place for F32, else written to dst.
template <int ID>
const float* float_tile(const panel_ptr& p, int64_t k0, int64_t n, float* dst) {
    if constexpr (ID == mm_f32) {
        return reinterpret_cast<const float*>(p.codes) + k0 * 16;
    } else if constexpr (ID == mm_f16) {
        for (int64_t k = 0; k < n; ++k) {
            if (k % 2 == 0) __builtin_prefetch(p.codes + (k0 + k) * 32 + stream_ahead);
            store_f(dst + k * 16, load_f16(p.codes + (k0 + k) * 32));
        }
    } else if constexpr (ID == mm_bf16) {
        for (int64_t k = 0; k < n; k += 2) {
            __builtin_prefetch(p.codes + (k0 + k) * 32 + stream_ahead);
            const vi pair = load_i(p.codes + (k0 + k) * 32);
            store_f(dst + k * 16, as_f(shl32<16>(pair)));
            store_f(dst + k * 16 + 16, as_f(and_i(pair, set1_i32(static_cast<int>(0xffff0000u)))));
        }
    } else {
        for (int64_t k = 0; k < n; k += block_cols) {
            const int64_t b = (k0 + k) / block_cols;
            prefetch_bytes<weight_of<ID>::block_bytes>(
                p.codes + b * weight_of<ID>::block_bytes + stream_ahead
            );
            dequant_block<ID>(p, b, dst + k * 16);
        }
    }
    return dst;
}

// a [n][MR] when COLUMNS, else [MR][f32_chunk_cols]; b[i] [n][16]; c[m] points at NP x 16 floats,
// replaced (first) or added to.
template <int MR, int NP, bool COLUMNS>
void f32_block(const float* const* b, const float* a, int64_t n, float* const* c, bool first) {
    vf acc[NP][MR];
    const float* w[NP];
#pragma GCC unroll 2
    for (int i = 0; i < NP; ++i) {
        w[i] = b[i];
#pragma GCC unroll 16
        for (int m = 0; m < MR; ++m)
            acc[i][m] = zero_f();
    }
    for (int64_t k = 0; k < n; ++k) {
        vf v[NP];
#pragma GCC unroll 2
        for (int i = 0; i < NP; ++i) {
            // For weights used in place; a tile is in L1 already.
            if constexpr (MR <= max_gemv_rows) __builtin_prefetch(w[i] + k * 16 + stream_ahead / 4);
            v[i] = load_f(w[i] + k * 16);
        }
#pragma GCC unroll 16
        for (int m = 0; m < MR; ++m) {
            const vf x = bcast_f(COLUMNS ? a + m : a + m * f32_chunk_cols);
#pragma GCC unroll 2
            for (int i = 0; i < NP; ++i)
                acc[i][m] = fma_f(v[i], x, acc[i][m]);
        }
        a += COLUMNS ? MR : 1;
    }
#pragma GCC unroll 2
    for (int i = 0; i < NP; ++i) {
#pragma GCC unroll 16
        for (int m = 0; m < MR; ++m) {
            float* out = c[m] + 16 * i;
            storeu_f(out, first ? acc[i][m] : add_f(loadu_f(out), acc[i][m]));
        }
    }
}

using f32_block_fn = void (*)(const float* const*, const float*, int64_t, float* const*, bool);

template <int NP, int MAX, bool COLUMNS>
RLX_MM_FN f32_block_fn f32_block_for(int rows) {
    if constexpr (MAX > 1) {
        if (rows < MAX) return f32_block_for<NP, MAX - 1, COLUMNS>(rows);
    }
    return f32_block<MAX, NP, COLUMNS>;
}

struct f32_space {
    alignas(64) float a[max_tile_rows * f32_chunk_cols];
    alignas(64) float tile[2][f32_chunk_cols * 16];
    alignas(64) float tail[16][2 * panel_rows];
};

static_assert(sizeof(f32_space) <= mm_gemm_space);

// Activations [column][rows] of one register block: n floats of each column.
inline void
f32_gather_columns(const float* const* columns, int64_t r0, int n, int64_t nk, float* dst) {
    if (n == max_rows_f32) {
        for (int64_t k = 0; k < nk; ++k)
            memcpy(dst + k * max_rows_f32, columns[k] + r0, max_rows_f32 * sizeof(float));
        return;
    }
    for (int64_t k = 0; k < nk; ++k)
        for (int m = 0; m < n; ++m)
            dst[k * n + m] = columns[k][r0 + m];
}

// next, when not null: the weights of the columns after these, fetched while the rows are computed.
template <bool COLUMNS>
inline void f32_rows(
    const mm_tile& t,
    f32_space& s,
    const float* const* tiles,
    const uint8_t* next,
    uint64_t panel_bytes,
    int64_t r0,
    int rows,
    int64_t col,
    int64_t nk,
    bool first
) {
    constexpr int wide = n_panels_wide;
    const int64_t n_cols = t.n_cols - col;
    const bool partial = n_cols < wide * panel_rows;
    const float* a = s.a;
    const int blocks = (rows + max_rows_f32 - 1) / max_rows_f32;
    const int64_t part = (nk * 64 / blocks + 63) / 64 * 64;
    for (int m0 = 0; m0 < rows; m0 += max_rows_f32) {
        const int mr = rows - m0 < max_rows_f32 ? rows - m0 : max_rows_f32;
        const int64_t from = m0 / max_rows_f32 * part;
        for (int64_t at = from; next && at < from + part; at += 64)
            for (int i = 0; i < wide; ++i)
                __builtin_prefetch(next + i * panel_bytes + at);
        float* c[max_rows_f32];
        for (int m = 0; m < mr; ++m) {
            float* out = out_row(t, r0 + m0 + m) + col;
            c[m] = partial ? s.tail[m] : out;
            if (partial && !first) memcpy(c[m], out, n_cols * 4);
        }
        f32_block_for<wide, max_rows_f32, COLUMNS>(mr)(tiles, a, nk, c, first);
        for (int m = 0; partial && m < mr; ++m) {
            memcpy(out_row(t, r0 + m0 + m) + col, c[m], n_cols * 4);
        }
        a += COLUMNS ? nk * mr : mr * f32_chunk_cols;
    }
}

// Columns [k0, k0 + nk) of some rows to s.a.
inline void
f32_gather(const mm_tile& t, f32_space& s, int64_t r0, int rows, int64_t k0, int64_t nk) {
    float* a = s.a;
    if (!t.act_columns) {
        for (int m = 0; m < rows; ++m, a += f32_chunk_cols)
            memcpy(a, reinterpret_cast<const float*>(act_row(t, r0 + m)) + k0, nk * 4);
        return;
    }
    for (int m0 = 0; m0 < rows; m0 += max_rows_f32) {
        const int n = rows - m0 < max_rows_f32 ? rows - m0 : max_rows_f32;
        f32_gather_columns(t.act_columns + k0, r0 + m0, n, nk, a);
        a += nk * n;
    }
}

// What the next chunk needs of row r, while this one is computed.
RLX_MM_FN void f32_ahead(const mm_tile& t, int64_t r, int64_t k0, int64_t nk) {
    const float* x = reinterpret_cast<const float*>(act_row(t, r)) + k0;
    for (int64_t k = 0; k < nk; k += 16)
        __builtin_prefetch(x + k, 0, 2);
}

template <int ID>
void f32_some_rows(const mm_packed& p, const mm_tile& t, int64_t r0, int rows) {
    constexpr int wide = n_panels_wide;
    f32_space& s = *static_cast<f32_space*>(t.workspace);
    const int64_t panels = (p.desc.rows + panel_rows - 1) / panel_rows;
    for (int64_t k0 = 0; k0 < p.desc.cols; k0 += f32_chunk_cols) {
        const int64_t nk = p.desc.cols - k0 < f32_chunk_cols ? p.desc.cols - k0 : f32_chunk_cols;
        f32_gather(t, s, r0, rows, k0, nk);
        const int64_t later = p.desc.cols - k0 - nk < nk ? p.desc.cols - k0 - nk : nk;
        const int64_t passes = (t.n_cols + wide * panel_rows - 1) / (wide * panel_rows);
        int64_t ahead = 0; // rows of the next chunk that were asked for
        for (int64_t col = 0; col < t.n_cols; col += wide * panel_rows) {
            const int64_t until = rows * (col / (wide * panel_rows) + 1) / passes;
            for (; later > 0 && !t.act_columns && ahead < until; ++ahead)
                f32_ahead(t, r0 + ahead, k0 + nk, later);
            const float* tiles[wide];
            for (int n = 0; n < wide; ++n) {
                int64_t panel = (t.col0 + col) / panel_rows + n;
                if (panel >= panels) panel = panels - 1;
                tiles[n] = float_tile<ID>(panel_at(p, t.group, panel), k0, nk, s.tile[n]);
            }
            const uint8_t* next = nullptr;
            if (ID == mm_f32 && (t.col0 + col) / panel_rows + 2 * wide <= panels)
                next = reinterpret_cast<const uint8_t*>(tiles[0]) + wide * p.panel_bytes;
            if (t.act_columns)
                f32_rows<true>(t, s, tiles, next, p.panel_bytes, r0, rows, col, nk, k0 == 0);
            else
                f32_rows<false>(t, s, tiles, next, p.panel_bytes, r0, rows, col, nk, k0 == 0);
        }
    }
}

template <int ID>
void f32_run(const mm_packed& p, const mm_tile& t) {
    if (p.desc.cols == 0) return fill_zero(t);
    for (int64_t r0 = 0; r0 < t.n_rows; r0 += max_tile_rows) {
        const int64_t n = t.n_rows - r0 < max_tile_rows ? t.n_rows - r0 : max_tile_rows;
        f32_some_rows<ID>(p, t, r0, static_cast<int>(n));
    }
}
