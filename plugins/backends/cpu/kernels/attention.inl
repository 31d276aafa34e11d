// SPDX-License-Identifier: GPL-3.0-only
// Attention of a tile of query rows with one chunk of paged keys.
//   scores  keys lie 16 to a block, transposed ([k_dim][16]): one FMA per 16 keys and row per k, no
//   horizontal sums.
//           R rows x NB blocks of accumulators stay in registers (<= 12 ymm, 16 zmm).
//   values  [key][v_dim]: R rows x D vectors of accumulators over the chunk's keys in order.
// f16 pages are widened on load (one conversion feeds R FMAs). Masked keys get probability 0
// exactly, so a row's sums do not depend on what else is in its tile.

namespace rlx::cpu::RLX_TIER_NS {

namespace {

constexpr int vecs = static_cast<int>(key_block) / W; // vectors per key block

template <bool F16>
RLX_FN vf load_kv(const char* p, int64_t i) {
    if constexpr (F16) return load_f16(reinterpret_cast<const uint16_t*>(p) + i);
    return load(reinterpret_cast<const float*>(p) + i);
}

template <bool F16>
RLX_FN vf load_kv_n(const char* p, int64_t i, int64_t n) {
    if constexpr (F16) return load_f16_n(reinterpret_cast<const uint16_t*>(p) + i, n);
    return load_n(reinterpret_cast<const float*>(p) + i, n);
}

// Scores of R rows with NB neighbouring key blocks at k; s points at the first block's first score
// of the first row.
template <int R, int NB, bool F16>
RLX_FN void score_block(const attend_chunk& c, const float* q, const char* k, float* s) {
    vf acc[R][NB * vecs];
    // Unrolled here and below, or the sums would go through memory on their way in and out.
#pragma GCC unroll 12
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
        for (int j = 0; j < NB * vecs; ++j)
            acc[r][j] = zero();
    const int64_t block = c.k_dim * key_block;
    for (int64_t d = 0; d < c.k_dim; ++d) {
        vf key[NB * vecs];
#pragma GCC unroll 8
        for (int j = 0; j < NB * vecs; ++j) {
            key[j] = load_kv<F16>(k, (j / vecs) * block + d * key_block + (j % vecs) * W);
        }
#pragma GCC unroll 12
        for (int r = 0; r < R; ++r) {
            const vf b = set1(q[d * c.q_pad + r]);
#pragma GCC unroll 8
            for (int j = 0; j < NB * vecs; ++j)
                acc[r][j] = fma(b, key[j], acc[r][j]);
        }
    }
#pragma GCC unroll 12
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
        for (int j = 0; j < NB * vecs; ++j)
            store(s + r * c.score_stride + j * W, acc[r][j]);
}

// Blocks [first, last) of one page for R rows.
template <int R, int NB, bool F16>
RLX_FN void score_page(
    const attend_chunk& c, const float* q, const char* page, int64_t first, int64_t last, float* s
) {
    const int64_t bytes = c.k_dim * key_block * (F16 ? 2 : 4);
    int64_t b = first;
    for (; b + NB <= last; b += NB) {
        score_block<R, NB, F16>(c, q, page + b * bytes, s + b * key_block);
    }
    for (; b < last; ++b)
        score_block<R, 1, F16>(c, q, page + b * bytes, s + b * key_block);
}

// Rows of the next register block: AVX-512 takes 12, or up to 8 of what is left. AVX2 takes nearly
// equal ones, because a block of two rows waits for its own sums.
RLX_FN int64_t rows_of_block(int64_t left, int64_t most) {
    if (W == 16 && left >= 12) return 12;
    if (W != 8) return left < most ? left : most;
    const int64_t blocks = (left + most - 1) / most;
    return (left + blocks - 1) / blocks;
}

constexpr int max_rows = W == 16 ? 8 : W == 8 ? 6 : 2;

template <bool F16>
void score_rows(
    const attend_chunk& c,
    int64_t rows,
    const float* q,
    const char* page,
    int64_t first,
    int64_t last,
    float* s
) {
    switch (rows) {
    case 1: return score_page<1, 4, F16>(c, q, page, first, last, s);
#if defined(__AVX2__)
    case 2: return score_page<2, 2, F16>(c, q, page, first, last, s);
    case 3: return score_page<3, 2, F16>(c, q, page, first, last, s);
    case 4: return score_page < 4, W == 16 ? 2 : 1, F16 > (c, q, page, first, last, s);
    case 5: return score_page < 5, W == 16 ? 2 : 1, F16 > (c, q, page, first, last, s);
    case 6: return score_page < 6, W == 16 ? 2 : 1, F16 > (c, q, page, first, last, s);
#else
    case 2: return score_page<2, 1, F16>(c, q, page, first, last, s);
#endif
#if defined(__AVX512F__)
    case 7: return score_page<7, 2, F16>(c, q, page, first, last, s);
    case 8: return score_page<8, 2, F16>(c, q, page, first, last, s);
    case 12: return score_page<12, 2, F16>(c, q, page, first, last, s);
#endif
    default: break;
    }
}

// Fills scores of keys [begin, end), page by page; a page's last block may spill up to 15 scores
// past its rows, which the next page overwrites.
template <bool F16>
void score_chunk(const attend_chunk& c, int64_t begin, int64_t end) {
    for (int64_t page = begin / c.page_tokens; page * c.page_tokens < end; ++page) {
        const int64_t base = page * c.page_tokens;
        const int64_t lo = begin > base ? begin - base : 0;
        const int64_t hi = end - base < c.page_tokens ? end - base : c.page_tokens;
        const int64_t first = lo / key_block, last = (hi + key_block - 1) / key_block;
        // A few blocks of keys stay in L1 while all rows meet them.
        constexpr int64_t some = 4;
        for (int64_t b = first; b < last; b += some) {
            const int64_t until = b + some < last ? b + some : last;
            for (int64_t r = 0, n = 0; r < c.n_rows; r += n) {
                n = rows_of_block(c.n_rows - r, max_rows);
                float* s = c.scores + r * c.score_stride + base;
                score_rows<F16>(c, n, c.q + r, c.k_pages[page], b, until, s);
            }
        }
    }
}

// Scores of one row -> exp(score - m) in place, zeros elsewhere in [begin, end).
void row_softmax(const attend_chunk& c, int64_t row, int64_t begin, int64_t end) {
    float* s = c.scores + row * c.score_stride;
    const int64_t lo = c.lo[row], hi = c.hi[row];
    if (lo >= hi) {
        c.m[row] = -INFINITY;
        c.l[row] = 0.0f;
        for (int64_t j = begin; j < end; ++j)
            s[j] = 0.0f;
        return;
    }
    if (c.softcap > 0.0f) {
        const vf cap = set1(c.softcap), inv = set1(1.0f / c.softcap);
        map(s + lo, s + lo, hi - lo, [cap, inv](vf v) { return cap * vtanh(v * inv); });
    }
    if (c.mask) {
        const float* add = c.mask + row * c.score_stride;
        map2(s + lo, s + lo, add + lo, hi - lo, [](vf v, vf m) { return v + m; });
    }
    // Lanes are counted from the chunk's first key, so that the sum's order is the same for every
    // mask.
    for (int64_t j = begin; j < lo; ++j)
        s[j] = -INFINITY;
    for (int64_t j = hi; j < end || j % W != 0; ++j)
        s[j] = -INFINITY;
    const int64_t from = lo / W * W < begin ? begin : lo / W * W;
    const int64_t to = (hi + W - 1) / W * W;
    vf top = set1(-INFINITY);
    for (int64_t j = from; j < to; j += W)
        top = vmax(top, load(s + j));
    const float m = hmax(top);
    const vf mv = set1(m == -INFINITY ? 0.0f : m);
    vf sum = zero();
    for (int64_t j = from; j < to; j += W) {
        const vf p = vexp_below(load(s + j) - mv);
        store(s + j, p);
        sum = sum + p;
    }
    for (int64_t j = begin; j < from; ++j)
        s[j] = 0.0f;
    for (int64_t j = to; j < end; ++j)
        s[j] = 0.0f;
    // A row with NaN may have no maximum; merge() must not take it for one that sees nothing.
    const float l = hsum(sum);
    c.m[row] = l == l ? m : l;
    c.l[row] = l;
}

// acc[R][D vectors] over keys [begin, end). n = lanes of the last vector.
template <int R, int D, bool F16>
RLX_FN void
value_block(const attend_chunk& c, int64_t row, int64_t d0, int64_t n, int64_t begin, int64_t end) {
    vf acc[R][D];
#pragma GCC unroll 12
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
        for (int d = 0; d < D; ++d)
            acc[r][d] = zero();
    const float* p = c.scores + row * c.score_stride;
    for (int64_t j = begin; j < end;) {
        const int64_t page = j / c.page_tokens;
        const int64_t stop = (page + 1) * c.page_tokens < end ? (page + 1) * c.page_tokens : end;
        const char* v = c.v_pages[page];
        for (; j < stop; ++j) {
            const int64_t at = (j - page * c.page_tokens) * c.v_dim + d0;
            vf value[D];
#pragma GCC unroll 4
            for (int d = 0; d < D; ++d) {
                value[d] = d + 1 == D && n < W ? load_kv_n<F16>(v, at + d * W, n)
                                               : load_kv<F16>(v, at + d * W);
            }
#pragma GCC unroll 12
            for (int r = 0; r < R; ++r) {
                const vf b = set1(p[r * c.score_stride + j]);
#pragma GCC unroll 4
                for (int d = 0; d < D; ++d)
                    acc[r][d] = fma(b, value[d], acc[r][d]);
            }
        }
    }
#pragma GCC unroll 12
    for (int r = 0; r < R; ++r) {
        float* out = c.acc + (row + r) * c.v_dim + d0;
#pragma GCC unroll 4
        for (int d = 0; d < D; ++d) {
            if (d + 1 == D && n < W) {
                store_n(out + d * W, acc[r][d], n);
            } else {
                store(out + d * W, acc[r][d]);
            }
        }
    }
}

// R rows x D vectors of accumulators: up to 12 ymm or 24 zmm.
constexpr int value_max_rows = W == 16 ? 8 : W == 8 ? 6 : 4;

// Columns [from, to) of the values.
template <int R, bool F16>
void value_rows(
    const attend_chunk& c, int64_t row, int64_t from, int64_t to, int64_t begin, int64_t end
) {
    constexpr int wide = W == 16 && R <= 4 ? 4 : 2;
    int64_t d = from;
    for (; d + wide * W <= to; d += wide * W)
        value_block<R, wide, F16>(c, row, d, W, begin, end);
    for (; d + 2 * W <= to; d += 2 * W)
        value_block<R, 2, F16>(c, row, d, W, begin, end);
    for (; d < to; d += W) {
        value_block<R, 1, F16>(c, row, d, to - d < W ? to - d : W, begin, end);
    }
}

template <bool F16>
void value_columns(const attend_chunk& c, int64_t from, int64_t to) {
    for (int64_t row = 0, n = 0; row < c.n_rows; row += n) {
        n = rows_of_block(c.n_rows - row, value_max_rows);
        int64_t begin = c.n_keys, end = 0;
        for (int64_t r = row; r < row + n; ++r) {
            if (c.lo[r] >= c.hi[r]) continue;
            begin = c.lo[r] < begin ? c.lo[r] : begin;
            end = c.hi[r] > end ? c.hi[r] : end;
        }
        switch (n) {
        case 1: value_rows<1, F16>(c, row, from, to, begin, end); break;
        case 2: value_rows<2, F16>(c, row, from, to, begin, end); break;
        case 3: value_rows<3, F16>(c, row, from, to, begin, end); break;
        case 4: value_rows<4, F16>(c, row, from, to, begin, end); break;
        case 5: value_rows<(W == 4 ? 4 : 5), F16>(c, row, from, to, begin, end); break;
#if defined(__AVX512F__)
        case 6: value_rows<6, F16>(c, row, from, to, begin, end); break;
        case 7: value_rows<7, F16>(c, row, from, to, begin, end); break;
        case 12: value_rows<12, F16>(c, row, from, to, begin, end); break;
#endif
        default: value_rows<value_max_rows, F16>(c, row, from, to, begin, end); break;
        }
    }
}

// Some columns of all values stay in L1 while many rows meet them.
template <bool F16>
void value_chunk(const attend_chunk& c) {
    const int64_t some = c.n_rows <= value_max_rows ? c.v_dim : 2 * W;
    for (int64_t d = 0; d < c.v_dim; d += some)
        value_columns<F16>(c, d, d + some < c.v_dim ? d + some : c.v_dim);
}

void attend(const attend_chunk& c) {
    if (c.only_softmax) {
        for (int64_t r = 0; r < c.n_rows; ++r)
            row_softmax(c, r, 0, c.n_keys);
        return;
    }
    int64_t begin = c.n_keys, end = 0;
    for (int64_t r = 0; r < c.n_rows; ++r) {
        if (c.lo[r] >= c.hi[r]) continue;
        begin = c.lo[r] < begin ? c.lo[r] : begin;
        end = c.hi[r] > end ? c.hi[r] : end;
    }
    begin = begin / key_block * key_block;
    if (c.f16) {
        score_chunk<true>(c, begin, end);
    } else {
        score_chunk<false>(c, begin, end);
    }
    for (int64_t r = 0; r < c.n_rows; ++r)
        row_softmax(c, r, begin, end);
    if (c.f16) {
        value_chunk<true>(c);
    } else {
        value_chunk<false>(c);
    }
}

void merge(float* rm, float* rl, float* acc, float m, float l, const float* part, int64_t v_dim) {
    if (m == -INFINITY) return;
    const float top = m > *rm ? m : *rm;
    const float keep = *rm == -INFINITY ? 0.0f : expf(*rm - top);
    const float add = expf(m - top);
    *rm = top;
    *rl = *rl * keep + l * add;
    const vf k = set1(keep), a = set1(add);
    map2(acc, acc, part, v_dim, [k, a](vf x, vf y) { return fma(y, a, x * k); });
}

} // namespace

} // namespace rlx::cpu::RLX_TIER_NS
