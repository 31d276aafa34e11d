// SPDX-License-Identifier: GPL-3.0-only
// Products with float activations. A chunk of columns of one or two panels becomes a float tile in
// L1 [column][16] (F32 weights are one already) and a register block of rows x panels runs over it.
// Activation rows are read where they are, unless they are scattered or a page apart, which L1's
// sets do not hold: those, and activations given as columns, are copied first. Each output is the
// sum of its chunks' sums, each chunk one chain of multiply-adds, whatever the number of rows.
// Included once per tier inside that tier's namespace.

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

// Activations of a register block: row m's column k is at[m * row + k * step].
struct f32_left {
    const float* at;
    int64_t row, step;
};

// Bytes to fetch while a register block runs: one line per column and panel, `step` bytes on each
// time, so that blocks share the lines and no burst of them holds up the block's own loads. Pays
// where weights are read for a few blocks only; with many the extra load costs more.
struct f32_fetch {
    const uint8_t* at;
    uint64_t panel;
    int64_t step;
};

// b[i] [n][16]; c[m] points at NP x 16 floats, replaced (first) or added to.
template <int MR, int NP, bool FETCH>
void f32_block(
    const float* const* b,
    const f32_left& a,
    int64_t n,
    float* const* c,
    bool first,
    const f32_fetch& fetch
) {
    vf acc[NP][MR];
    const float* w[NP];
    const int64_t row = a.row, step = a.step;
    const uint8_t* ahead = fetch.at;
    const float* x[(MR + 2) / 3]; // each serves three rows: at, at + row, at + 2 row
#pragma GCC unroll 4
    for (int i = 0; i < (MR + 2) / 3; ++i)
        x[i] = a.at + 3 * i * row;
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
            if constexpr (MR <= max_gemv_rows)
                __builtin_prefetch(w[i] + k * 16 + stream_ahead / 4);
            else if constexpr (FETCH)
                __builtin_prefetch(ahead + i * fetch.panel);
            v[i] = load_f(w[i] + k * 16);
        }
#pragma GCC unroll 16
        for (int m = 0; m < MR; ++m) {
            const vf y = bcast_f(x[m / 3] + m % 3 * row);
#pragma GCC unroll 2
            for (int i = 0; i < NP; ++i)
                acc[i][m] = fma_f(v[i], y, acc[i][m]);
        }
#pragma GCC unroll 4
        for (int i = 0; i < (MR + 2) / 3; ++i)
            x[i] += step;
        if constexpr (FETCH) ahead += fetch.step;
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

using f32_block_fn =
    void (*)(const float* const*, const f32_left&, int64_t, float* const*, bool, const f32_fetch&);

template <int NP, int MAX, bool FETCH>
RLX_MM_FN f32_block_fn f32_block_for(int rows) {
    if constexpr (MAX > 1) {
        if (rows < MAX) return f32_block_for<NP, MAX - 1, FETCH>(rows);
    }
    return f32_block<MAX, NP, FETCH>;
}

// Columns of one pass. Weights used in place take longer ones: their panel of 16 KB and a block's
// rows fit a L1 of 32 KB, the rows of a tile 512 KB of L2.
constexpr int64_t f32_most_cols = 256;
constexpr int64_t f32_copy_stride = f32_most_cols + 16;

template <int ID>
RLX_MM_FN int64_t f32_pass_cols(int64_t cols) {
    if (ID != mm_f32) return f32_chunk_cols;
    const int64_t passes = (cols + f32_most_cols - 1) / f32_most_cols;
    return ((cols + passes - 1) / passes + 15) / 16 * 16;
}

struct f32_space {
    alignas(64) float a[max_tile_rows * f32_copy_stride];
    alignas(64) float tile[2][f32_chunk_cols * 16];
    alignas(64) float tail[16][2 * panel_rows];
};

static_assert(sizeof(f32_space) <= mm_gemm_space);

// Register blocks of some rows, of nearly the same height: one of two rows would run at half speed.
struct f32_blocks {
    int n, least, taller; // blocks; rows of each; how many have one row more

    RLX_MM_FN explicit f32_blocks(int rows)
        : n((rows + max_rows_f32 - 1) / max_rows_f32), least(rows / n), taller(rows % n) {}

    RLX_MM_FN int begin(int i) const { return i * least + (i < taller ? i : taller); }
};

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

// One pass over some rows.
struct f32_pass {
    const float* a; // of the first row and column; blocks [column][rows] when columns is set
    int64_t row;
    bool columns;
    int64_t r0;
    int rows;
    int64_t nk;
    bool first;
};

// next, when not null: the weights of the columns after these, fetched while the rows are computed.
inline void f32_rows(
    const mm_tile& t,
    f32_space& s,
    const f32_pass& q,
    const float* const* tiles,
    const uint8_t* next,
    uint64_t panel_bytes,
    int64_t col
) {
    constexpr int wide = n_panels_wide;
    const int64_t n_cols = t.n_cols - col;
    const bool partial = n_cols < wide * panel_rows;
    const f32_blocks blocks(q.rows);
    const bool few = next && blocks.n <= 4;
    f32_fetch fetch{next, panel_bytes, (64 + blocks.n - 1) / blocks.n};
    const int64_t part = (q.nk * 64 / blocks.n + 63) / 64 * 64;
    for (int j = 0; j < blocks.n; ++j) {
        const int m0 = blocks.begin(j), mr = blocks.begin(j + 1) - m0;
        for (int64_t at = j * part; next && !few && at < (j + 1) * part; at += 64)
            for (int i = 0; i < wide; ++i)
                __builtin_prefetch(next + i * panel_bytes + at);
        float* c[max_rows_f32];
        for (int m = 0; m < mr; ++m) {
            float* out = out_row(t, q.r0 + m0 + m) + col;
            c[m] = partial ? s.tail[m] : out;
            if (partial && !q.first) memcpy(c[m], out, n_cols * 4);
        }
        // The next block's results, which nobody has touched yet.
        for (int m = m0 + mr; q.first && !partial && m < blocks.begin(j + 2) && m < q.rows; ++m)
            for (int i = 0; i < wide; ++i)
                __builtin_prefetch(out_row(t, q.r0 + m) + col + 16 * i, 1);
        const f32_left left =
            q.columns ? f32_left{q.a + q.nk * m0, 1, mr} : f32_left{q.a + q.row * m0, q.row, 1};
        const f32_block_fn run = few ? f32_block_for<wide, max_rows_f32, true>(mr)
                                     : f32_block_for<wide, max_rows_f32, false>(mr);
        run(tiles, left, q.nk, c, q.first, fetch);
        if (few) fetch.at += fetch.step * q.nk;
        for (int m = 0; partial && m < mr; ++m) {
            memcpy(out_row(t, q.r0 + m0 + m) + col, c[m], n_cols * 4);
        }
    }
}

// Rows that stay where they are: in order, and not all in the same sets of L1.
RLX_MM_FN bool f32_in_place(const mm_tile& t, int rows) {
    return !t.act_columns && !t.act_rows && (t.act_stride % 4096 != 0 || rows <= max_gemv_rows);
}

// Columns [k0, k0 + nk) of some rows, in place or in s.a.
inline f32_pass
f32_gather(const mm_tile& t, f32_space& s, int64_t r0, int rows, int64_t k0, int64_t nk) {
    f32_pass q{s.a, f32_copy_stride, t.act_columns != nullptr, r0, rows, nk, k0 == 0};
    if (f32_in_place(t, rows)) {
        q.a = reinterpret_cast<const float*>(act_row(t, r0)) + k0;
        q.row = static_cast<int64_t>(t.act_stride / sizeof(float));
        return q;
    }
    if (!t.act_columns) {
        for (int m = 0; m < rows; ++m)
            memcpy(
                s.a + m * f32_copy_stride,
                reinterpret_cast<const float*>(act_row(t, r0 + m)) + k0,
                nk * 4
            );
        return q;
    }
    const f32_blocks blocks(rows);
    for (int j = 0; j < blocks.n; ++j) {
        const int m0 = blocks.begin(j);
        const int n = blocks.begin(j + 1) - m0;
        f32_gather_columns(t.act_columns + k0, r0 + m0, n, nk, s.a + nk * m0);
    }
    return q;
}

// What the next pass needs of row r, while this one is computed.
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
    const int64_t step = f32_pass_cols<ID>(p.desc.cols);
    for (int64_t k0 = 0; k0 < p.desc.cols; k0 += step) {
        const int64_t nk = p.desc.cols - k0 < step ? p.desc.cols - k0 : step;
        const f32_pass q = f32_gather(t, s, r0, rows, k0, nk);
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
            f32_rows(t, s, q, tiles, next, p.panel_bytes, col);
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
