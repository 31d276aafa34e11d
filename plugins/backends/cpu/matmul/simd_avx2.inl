// SPDX-License-Identifier: GPL-3.0-only
// Sixteen 32-bit lanes as two ymm registers: a holds lanes 0..7, b lanes 8..15. See simd_avx512.inl
// for what a lane means. Included once per tier inside that tier's namespace.

struct vi {
    __m256i a, b;
};

struct vf {
    __m256 a, b;
};

constexpr int n_panels_wide = 1;
constexpr int max_rows_q8 = RLX_MM_VNNI ? 5 : 3;
constexpr int max_rows_f32 = 6;

RLX_MM_FN const __m256i* at256(const void* p, int i) {
    return static_cast<const __m256i*>(p) + i;
}

RLX_MM_FN vi load_i(const void* p) {
    return {_mm256_load_si256(at256(p, 0)), _mm256_load_si256(at256(p, 1))};
}

RLX_MM_FN void store_i(void* p, vi v) {
    _mm256_store_si256(static_cast<__m256i*>(p), v.a);
    _mm256_store_si256(static_cast<__m256i*>(p) + 1, v.b);
}

RLX_MM_FN vi zero_i() {
    return {_mm256_setzero_si256(), _mm256_setzero_si256()};
}

RLX_MM_FN vi set1_i8(int c) {
    const __m256i v = _mm256_set1_epi8(static_cast<char>(c));
    return {v, v};
}

RLX_MM_FN vi set1_i32(int c) {
    const __m256i v = _mm256_set1_epi32(c);
    return {v, v};
}

RLX_MM_FN vi bcast_i32(const void* p) {
    int v;
    memcpy(&v, p, 4);
    return set1_i32(v);
}

RLX_MM_FN vi and_i(vi x, vi y) {
    return {_mm256_and_si256(x.a, y.a), _mm256_and_si256(x.b, y.b)};
}

RLX_MM_FN vi or_i(vi x, vi y) {
    return {_mm256_or_si256(x.a, y.a), _mm256_or_si256(x.b, y.b)};
}

RLX_MM_FN vi add_i32(vi x, vi y) {
    return {_mm256_add_epi32(x.a, y.a), _mm256_add_epi32(x.b, y.b)};
}

RLX_MM_FN vi sub_i32(vi x, vi y) {
    return {_mm256_sub_epi32(x.a, y.a), _mm256_sub_epi32(x.b, y.b)};
}

// 16-bit lanes shifted left by S, or right by -S.
template <int S>
RLX_MM_FN vi shift16(vi x) {
    if constexpr (S > 0) return {_mm256_slli_epi16(x.a, S), _mm256_slli_epi16(x.b, S)};
    if constexpr (S < 0) return {_mm256_srli_epi16(x.a, -S), _mm256_srli_epi16(x.b, -S)};
    return x;
}

template <int S>
RLX_MM_FN vi shr32(vi x) {
    if constexpr (S == 0) return x;
    return {_mm256_srli_epi32(x.a, S), _mm256_srli_epi32(x.b, S)};
}

template <int S>
RLX_MM_FN vi shl32(vi x) {
    return {_mm256_slli_epi32(x.a, S), _mm256_slli_epi32(x.b, S)};
}

// Bytes of x (0..15) replaced by entries of a 16-byte table.
RLX_MM_FN vi lookup(const uint8_t* table, vi x) {
    const __m256i t =
        _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table)));
    return {_mm256_shuffle_epi8(t, x.a), _mm256_shuffle_epi8(t, x.b)};
}

RLX_MM_FN vf load_f(const float* p) {
    return {_mm256_load_ps(p), _mm256_load_ps(p + 8)};
}

RLX_MM_FN vf loadu_f(const float* p) {
    return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
}

RLX_MM_FN void store_f(float* p, vf v) {
    _mm256_store_ps(p, v.a);
    _mm256_store_ps(p + 8, v.b);
}

RLX_MM_FN void storeu_f(float* p, vf v) {
    _mm256_storeu_ps(p, v.a);
    _mm256_storeu_ps(p + 8, v.b);
}

RLX_MM_FN vf zero_f() {
    return {_mm256_setzero_ps(), _mm256_setzero_ps()};
}

RLX_MM_FN vf set1_f(float c) {
    const __m256 v = _mm256_set1_ps(c);
    return {v, v};
}

RLX_MM_FN vf bcast_f(const float* p) {
    return set1_f(*p);
}

RLX_MM_FN vf add_f(vf x, vf y) {
    return {_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)};
}

RLX_MM_FN vf sub_f(vf x, vf y) {
    return {_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)};
}

RLX_MM_FN vf mul_f(vf x, vf y) {
    return {_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)};
}

// x * y + z
RLX_MM_FN vf fma_f(vf x, vf y, vf z) {
    return {_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)};
}

RLX_MM_FN vf to_f(vi x) {
    return {_mm256_cvtepi32_ps(x.a), _mm256_cvtepi32_ps(x.b)};
}

RLX_MM_FN vi to_i(vf x) {
    return {_mm256_cvtps_epi32(x.a), _mm256_cvtps_epi32(x.b)};
}

RLX_MM_FN vf as_f(vi x) {
    return {_mm256_castsi256_ps(x.a), _mm256_castsi256_ps(x.b)};
}

RLX_MM_FN vi as_i(vf x) {
    return {_mm256_castps_si256(x.a), _mm256_castps_si256(x.b)};
}

RLX_MM_FN vi max_i32(vi x, vi y) {
    return {_mm256_max_epi32(x.a, y.a), _mm256_max_epi32(x.b, y.b)};
}

RLX_MM_FN int reduce_max(vi x) {
    const __m256i m = _mm256_max_epi32(x.a, x.b);
    __m128i h = _mm_max_epi32(_mm256_castsi256_si128(m), _mm256_extracti128_si256(m, 1));
    h = _mm_max_epi32(h, _mm_shuffle_epi32(h, 0x4e));
    return _mm_cvtsi128_si32(_mm_max_epi32(h, _mm_shuffle_epi32(h, 0xb1)));
}

RLX_MM_FN vf load_f16(const void* p) {
    const __m128i* q = static_cast<const __m128i*>(p);
    return {_mm256_cvtph_ps(_mm_loadu_si128(q)), _mm256_cvtph_ps(_mm_loadu_si128(q + 1))};
}

RLX_MM_FN vi load_s8(const void* p) {
    const __m128i v = _mm_loadu_si128(static_cast<const __m128i*>(p));
    return {_mm256_cvtepi8_epi32(v), _mm256_cvtepi8_epi32(_mm_srli_si128(v, 8))};
}

RLX_MM_FN vi load_u8(const void* p) {
    const __m128i v = _mm_loadu_si128(static_cast<const __m128i*>(p));
    return {_mm256_cvtepu8_epi32(v), _mm256_cvtepu8_epi32(_mm_srli_si128(v, 8))};
}

// Low bytes of the lanes, which must fit int8.
RLX_MM_FN void store_s8(void* p, vi x) {
    const __m256i w = _mm256_permute4x64_epi64(_mm256_packs_epi32(x.a, x.b), 0xd8);
    const __m128i v = _mm_packs_epi16(_mm256_castsi256_si128(w), _mm256_extracti128_si256(w, 1));
    _mm_storeu_si128(static_cast<__m128i*>(p), v);
}

RLX_MM_FN vi maddubs(vi u, vi s) {
    return {_mm256_maddubs_epi16(u.a, s.a), _mm256_maddubs_epi16(u.b, s.b)};
}

RLX_MM_FN vi madd1(vi x) {
    const __m256i one = _mm256_set1_epi16(1);
    return {_mm256_madd_epi16(x.a, one), _mm256_madd_epi16(x.b, one)};
}

RLX_MM_FN vi add_i16(vi x, vi y) {
    return {_mm256_add_epi16(x.a, y.a), _mm256_add_epi16(x.b, y.b)};
}

// The value is needed here: the compiler may not move its computation past this point.
RLX_MM_FN void keep(vi& x) {
    asm("" : "+x"(x.a), "+x"(x.b));
}

#if RLX_MM_VNNI
// acc + sums of four products of unsigned and signed bytes, per lane.
RLX_MM_FN vi dpbusd(vi acc, vi u, vi s) {
    return {_mm256_dpbusd_avx_epi32(acc.a, u.a, s.a), _mm256_dpbusd_avx_epi32(acc.b, u.b, s.b)};
}
#endif
