// SPDX-License-Identifier: GPL-3.0-only
// Row kernels of encoders and codecs: norms with a mean, snake, modulation, transposition.

namespace rlx::cpu::RLX_TIER_NS {

namespace {

// Mean and mean of the squared differences; the second pass keeps the digits that E[x^2] - E[x]^2
// would lose.
void moments(const float* x, int64_t n, float* mean, float* var) {
    const float m = reduce(RLX_REDUCE_SUM, x, n) / static_cast<float>(n);
    const vf c = set1(m);
    vf s0 = zero(), s1 = zero();
    int64_t i = 0;
    for (; i + 2 * W <= n; i += 2 * W) {
        const vf a = load(x + i) - c, b = load(x + i + W) - c;
        s0 = fma(a, a, s0);
        s1 = fma(b, b, s1);
    }
    float s = hsum(s0 + s1);
    for (; i < n; ++i)
        s += (x[i] - m) * (x[i] - m);
    *mean = m;
    *var = s / static_cast<float>(n);
}

void layer_norm(float* out, const float* x, const float* w, const float* b, float eps, int64_t n) {
    float mean, var;
    moments(x, n, &mean, &var);
    const vf m = set1(mean), r = set1(1.0f / sqrtf(var + eps));
    int64_t i = 0;
    for (; i + W <= n; i += W) {
        vf v = (load(x + i) - m) * r;
        if (w) v = v * load(w + i);
        if (b) v = v + load(b + i);
        store(out + i, v);
    }
    if (i == n) return;
    const int64_t k = n - i;
    vf v = (load_n(x + i, k) - m) * r;
    if (w) v = v * load_n(w + i, k);
    if (b) v = v + load_n(b + i, k);
    store_n(out + i, v, k);
}

// sin^2 has period pi and is even: y = n pi + r, |r| <= pi / 2, Taylor's terms up to r^13 (the next
// one is below 1e-9). n * 3.140625 is exact for |n| < 2^16.
RLX_FN vf sin_squared(vf y) {
    const vf n = round_even(y * set1(0.31830988618379067f));
    vf r = fma(n, set1(-3.140625f), y);
    r = fma(n, set1(-9.67502593994140625e-4f), r);
    r = fma(n, set1(-1.509957990978376432e-7f), r);
    const vf z = r * r;
    vf p = set1(1.0f / 6227020800.0f);
    p = fma(p, z, set1(-1.0f / 39916800.0f));
    p = fma(p, z, set1(1.0f / 362880.0f));
    p = fma(p, z, set1(-1.0f / 5040.0f));
    p = fma(p, z, set1(1.0f / 120.0f));
    p = fma(p, z, set1(-1.0f / 6.0f));
    const vf s = fma(p * z, r, r);
    return s * s;
}

void snake(float* out, const float* x, int64_t n, float alpha, float scale) {
    vf top = zero();
    int64_t i = 0;
    for (; i + W <= n; i += W)
        top = vmax(top, vabs(load(x + i)));
    float most = hmax(top);
    for (; i < n; ++i)
        most = fabsf(x[i]) > most ? fabsf(x[i]) : most;
    if (most * fabsf(alpha) > 20000.0f) { // beyond the reduction above
        for (i = 0; i < n; ++i) {
            const float s = sinf(alpha * x[i]);
            out[i] = x[i] + s * s * scale;
        }
        return;
    }
    const vf a = set1(alpha), k = set1(scale);
    map(out, x, n, [a, k](vf v) { return fma(sin_squared(v * a), k, v); });
}

RLX_FN vf modulated(vf v, const modulation& m, int64_t i, int64_t n) {
    const auto at = [i, n](const float* p) { return n < W ? load_n(p + i, n) : load(p + i); };
    if (m.scale) v = v * (set1(1.0f) + at(m.scale));
    if (m.shift) v = v + at(m.shift);
    if (m.gate) v = v * at(m.gate);
    if (m.residual) v = at(m.residual) + v;
    return v;
}

void modulate(float* out, const float* x, const modulation& m, int64_t n) {
    int64_t i = 0;
    for (; i + W <= n; i += W)
        store(out + i, modulated(load(x + i), m, i, W));
    if (i < n) store_n(out + i, modulated(load_n(x + i, n - i), m, i, n - i), n - i);
}

// Two vectors of sums stay in registers over all rows.
void combine(
    float* out, const float* const* rows, const float* factors, int64_t n_rows, int64_t n
) {
    int64_t i = 0;
    for (; i + 2 * W <= n; i += 2 * W) {
        vf a = load(out + i), b = load(out + i + W);
        for (int64_t j = 0; j < n_rows; ++j) {
            const vf f = set1(factors[j]);
            a = fma(f, load(rows[j] + i), a);
            b = fma(f, load(rows[j] + i + W), b);
        }
        store(out + i, a);
        store(out + i + W, b);
    }
    for (; i < n; i += W) {
        const int64_t k = n - i < W ? n - i : W;
        vf a = load_n(out + i, k);
        for (int64_t j = 0; j < n_rows; ++j)
            a = fma(set1(factors[j]), load_n(rows[j] + i, k), a);
        store_n(out + i, a, k);
    }
}

#if defined(__AVX2__)
constexpr int64_t square = 8;

// out[i * step] = column i of eight rows of eight.
RLX_FN void transpose_square(float* out, int64_t step, const float* const* rows, int64_t i) {
    __m256 r[8], t[8];
#pragma GCC unroll 8
    for (int j = 0; j < 8; ++j)
        r[j] = _mm256_loadu_ps(rows[j] + i);
#pragma GCC unroll 4
    for (int j = 0; j < 8; j += 2) {
        t[j] = _mm256_unpacklo_ps(r[j], r[j + 1]);
        t[j + 1] = _mm256_unpackhi_ps(r[j], r[j + 1]);
    }
#pragma GCC unroll 2
    for (int j = 0; j < 8; j += 4) {
        r[j] = _mm256_shuffle_ps(t[j], t[j + 2], 0x44);
        r[j + 1] = _mm256_shuffle_ps(t[j], t[j + 2], 0xee);
        r[j + 2] = _mm256_shuffle_ps(t[j + 1], t[j + 3], 0x44);
        r[j + 3] = _mm256_shuffle_ps(t[j + 1], t[j + 3], 0xee);
    }
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
        _mm256_storeu_ps(out + j * step, _mm256_permute2f128_ps(r[j], r[j + 4], 0x20));
        _mm256_storeu_ps(out + (j + 4) * step, _mm256_permute2f128_ps(r[j], r[j + 4], 0x31));
    }
}
#else
constexpr int64_t square = 4;

RLX_FN void transpose_square(float* out, int64_t step, const float* const* rows, int64_t i) {
    __m128 a = _mm_loadu_ps(rows[0] + i), b = _mm_loadu_ps(rows[1] + i);
    __m128 c = _mm_loadu_ps(rows[2] + i), d = _mm_loadu_ps(rows[3] + i);
    _MM_TRANSPOSE4_PS(a, b, c, d);
    _mm_storeu_ps(out, a);
    _mm_storeu_ps(out + step, b);
    _mm_storeu_ps(out + 2 * step, c);
    _mm_storeu_ps(out + 3 * step, d);
}
#endif

void transpose(float* out, int64_t step, const float* const* rows, int64_t n_rows, int64_t n) {
    int64_t j = 0;
    for (; j + square <= n_rows; j += square) {
        int64_t i = 0;
        for (; i + square <= n; i += square)
            transpose_square(out + i * step + j, step, rows + j, i);
        for (; i < n; ++i)
            for (int64_t k = j; k < j + square; ++k)
                out[i * step + k] = rows[k][i];
    }
    for (; j < n_rows; ++j)
        for (int64_t i = 0; i < n; ++i)
            out[i * step + j] = rows[j][i];
}

} // namespace

} // namespace rlx::cpu::RLX_TIER_NS
