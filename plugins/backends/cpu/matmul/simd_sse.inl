// SPDX-License-Identifier: GPL-3.0-only
// Sixteen 32-bit lanes as four xmm registers (x86-64-v2: no FMA, no F16C). The tier every machine
// has: written for correctness and moderate speed. See simd_avx512.inl for what a lane means.

struct vi {
    __m128i v[4];
};

struct vf {
    __m128 v[4];
};

constexpr int n_panels_wide = 1;
constexpr int max_rows_q8 = 2;
constexpr int max_rows_f32 = 2;

// The same expression for each register; i is its number.
#define RLX_MM_EACH(type, expr)                                                                    \
    type out;                                                                                      \
    _Pragma("GCC unroll 4") for (int i = 0; i < 4; ++i) out.v[i] = (expr);                         \
    return out

RLX_MM_FN vi load_i(const void* p) {
    RLX_MM_EACH(vi, _mm_load_si128(static_cast<const __m128i*>(p) + i));
}

RLX_MM_FN void store_i(void* p, vi x) {
    for (int i = 0; i < 4; ++i)
        _mm_store_si128(static_cast<__m128i*>(p) + i, x.v[i]);
}

RLX_MM_FN vi zero_i() {
    RLX_MM_EACH(vi, _mm_setzero_si128());
}

RLX_MM_FN vi set1_i8(int c) {
    RLX_MM_EACH(vi, _mm_set1_epi8(static_cast<char>(c)));
}

RLX_MM_FN vi set1_i32(int c) {
    RLX_MM_EACH(vi, _mm_set1_epi32(c));
}

RLX_MM_FN vi bcast_i32(const void* p) {
    int v;
    memcpy(&v, p, 4);
    return set1_i32(v);
}

RLX_MM_FN vi and_i(vi x, vi y) {
    RLX_MM_EACH(vi, _mm_and_si128(x.v[i], y.v[i]));
}

RLX_MM_FN vi or_i(vi x, vi y) {
    RLX_MM_EACH(vi, _mm_or_si128(x.v[i], y.v[i]));
}

RLX_MM_FN vi add_i32(vi x, vi y) {
    RLX_MM_EACH(vi, _mm_add_epi32(x.v[i], y.v[i]));
}

RLX_MM_FN vi sub_i32(vi x, vi y) {
    RLX_MM_EACH(vi, _mm_sub_epi32(x.v[i], y.v[i]));
}

// 16-bit lanes shifted left by S, or right by -S.
template <int S>
RLX_MM_FN vi shift16(vi x) {
    if constexpr (S > 0) {
        RLX_MM_EACH(vi, _mm_slli_epi16(x.v[i], S));
    } else if constexpr (S < 0) {
        RLX_MM_EACH(vi, _mm_srli_epi16(x.v[i], -S));
    } else {
        return x;
    }
}

template <int S>
RLX_MM_FN vi shr32(vi x) {
    RLX_MM_EACH(vi, _mm_srli_epi32(x.v[i], S));
}

template <int S>
RLX_MM_FN vi shl32(vi x) {
    RLX_MM_EACH(vi, _mm_slli_epi32(x.v[i], S));
}

// Bytes of x (0..15) replaced by entries of a 16-byte table.
RLX_MM_FN vi lookup(const uint8_t* table, vi x) {
    const __m128i t = _mm_loadu_si128(reinterpret_cast<const __m128i*>(table));
    RLX_MM_EACH(vi, _mm_shuffle_epi8(t, x.v[i]));
}

RLX_MM_FN vf load_f(const float* p) {
    RLX_MM_EACH(vf, _mm_load_ps(p + 4 * i));
}

RLX_MM_FN vf loadu_f(const float* p) {
    RLX_MM_EACH(vf, _mm_loadu_ps(p + 4 * i));
}

RLX_MM_FN void store_f(float* p, vf x) {
    for (int i = 0; i < 4; ++i)
        _mm_store_ps(p + 4 * i, x.v[i]);
}

RLX_MM_FN void storeu_f(float* p, vf x) {
    for (int i = 0; i < 4; ++i)
        _mm_storeu_ps(p + 4 * i, x.v[i]);
}

RLX_MM_FN vf zero_f() {
    RLX_MM_EACH(vf, _mm_setzero_ps());
}

RLX_MM_FN vf set1_f(float c) {
    RLX_MM_EACH(vf, _mm_set1_ps(c));
}

RLX_MM_FN vf bcast_f(const float* p) {
    return set1_f(*p);
}

RLX_MM_FN vf add_f(vf x, vf y) {
    RLX_MM_EACH(vf, _mm_add_ps(x.v[i], y.v[i]));
}

RLX_MM_FN vf sub_f(vf x, vf y) {
    RLX_MM_EACH(vf, _mm_sub_ps(x.v[i], y.v[i]));
}

RLX_MM_FN vf mul_f(vf x, vf y) {
    RLX_MM_EACH(vf, _mm_mul_ps(x.v[i], y.v[i]));
}

// x * y + z, rounded twice
RLX_MM_FN vf fma_f(vf x, vf y, vf z) {
    RLX_MM_EACH(vf, _mm_add_ps(_mm_mul_ps(x.v[i], y.v[i]), z.v[i]));
}

RLX_MM_FN vf to_f(vi x) {
    RLX_MM_EACH(vf, _mm_cvtepi32_ps(x.v[i]));
}

RLX_MM_FN vi to_i(vf x) {
    RLX_MM_EACH(vi, _mm_cvtps_epi32(x.v[i]));
}

RLX_MM_FN vf as_f(vi x) {
    RLX_MM_EACH(vf, _mm_castsi128_ps(x.v[i]));
}

RLX_MM_FN vi as_i(vf x) {
    RLX_MM_EACH(vi, _mm_castps_si128(x.v[i]));
}

RLX_MM_FN vi max_i32(vi x, vi y) {
    RLX_MM_EACH(vi, _mm_max_epi32(x.v[i], y.v[i]));
}

RLX_MM_FN int reduce_max(vi x) {
    __m128i h = _mm_max_epi32(_mm_max_epi32(x.v[0], x.v[1]), _mm_max_epi32(x.v[2], x.v[3]));
    h = _mm_max_epi32(h, _mm_shuffle_epi32(h, 0x4e));
    return _mm_cvtsi128_si32(_mm_max_epi32(h, _mm_shuffle_epi32(h, 0xb1)));
}

// Half to float: the exponent and mantissa bits moved up and rescaled by 2^112 are right for normal
// and subnormal numbers; infinities and NaN keep the all-ones exponent.
RLX_MM_FN __m128 half_to_float(__m128i h) {
    const __m128i magnitude = _mm_and_si128(h, _mm_set1_epi32(0x7fff));
    const __m128i sign = _mm_slli_epi32(_mm_and_si128(h, _mm_set1_epi32(0x8000)), 16);
    const __m128 scaled = _mm_mul_ps(
        _mm_castsi128_ps(_mm_slli_epi32(magnitude, 13)),
        _mm_castsi128_ps(_mm_set1_epi32((127 + 112) << 23))
    );
    const __m128i special = _mm_and_si128(
        _mm_cmpgt_epi32(magnitude, _mm_set1_epi32(0x7bff)), _mm_set1_epi32(0x7f800000)
    );
    return _mm_or_ps(scaled, _mm_castsi128_ps(_mm_or_si128(sign, special)));
}

RLX_MM_FN vf load_f16(const void* p) {
    const char* bytes = static_cast<const char*>(p);
    RLX_MM_EACH(
        vf,
        half_to_float(
            _mm_cvtepu16_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(bytes + 8 * i)))
        )
    );
}

RLX_MM_FN __m128i load4(const void* p, int i) {
    int v;
    memcpy(&v, static_cast<const char*>(p) + 4 * i, 4);
    return _mm_cvtsi32_si128(v);
}

RLX_MM_FN vi load_s8(const void* p) {
    RLX_MM_EACH(vi, _mm_cvtepi8_epi32(load4(p, i)));
}

RLX_MM_FN vi load_u8(const void* p) {
    RLX_MM_EACH(vi, _mm_cvtepu8_epi32(load4(p, i)));
}

// Low bytes of the lanes, which must fit int8.
RLX_MM_FN void store_s8(void* p, vi x) {
    const __m128i v =
        _mm_packs_epi16(_mm_packs_epi32(x.v[0], x.v[1]), _mm_packs_epi32(x.v[2], x.v[3]));
    _mm_storeu_si128(static_cast<__m128i*>(p), v);
}

RLX_MM_FN vi maddubs(vi u, vi s) {
    RLX_MM_EACH(vi, _mm_maddubs_epi16(u.v[i], s.v[i]));
}

RLX_MM_FN vi madd1(vi x) {
    RLX_MM_EACH(vi, _mm_madd_epi16(x.v[i], _mm_set1_epi16(1)));
}

RLX_MM_FN vi add_i16(vi x, vi y) {
    RLX_MM_EACH(vi, _mm_add_epi16(x.v[i], y.v[i]));
}

// The value is needed here: the compiler may not move its computation past this point.
RLX_MM_FN void keep(vi& x) {
    asm("" : "+x"(x.v[0]), "+x"(x.v[1]), "+x"(x.v[2]), "+x"(x.v[3]));
}
