// SPDX-License-Identifier: GPL-3.0-only
// One float vector type for the tier this unit is compiled for: vf of W lanes, masks vm, and the
// few operations the row kernels need. Everything is static: nothing may be shared between tiers.
#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#define RLX_FN static inline __attribute__((always_inline, unused))

namespace rlx::cpu::RLX_TIER_NS {

#if defined(__AVX512F__)

constexpr int W = 16;
typedef __m512 vf;
typedef __mmask16 vm;

RLX_FN __mmask16 tail_mask(int64_t n) {
    return static_cast<__mmask16>((1u << n) - 1u);
}

RLX_FN vf set1(float x) {
    return _mm512_set1_ps(x);
}

RLX_FN vf load(const float* p) {
    return _mm512_loadu_ps(p);
}

RLX_FN void store(float* p, vf x) {
    _mm512_storeu_ps(p, x);
}

RLX_FN vf load_n(const float* p, int64_t n) {
    return _mm512_maskz_loadu_ps(tail_mask(n), p);
}

RLX_FN void store_n(float* p, vf x, int64_t n) {
    _mm512_mask_storeu_ps(p, tail_mask(n), x);
}

RLX_FN vf fma(vf a, vf b, vf c) {
    return _mm512_fmadd_ps(a, b, c);
}

// 1 / x for x of normal size: one Newton step gives the division's accuracy within an ulp or two,
// at a quarter of its cost.
RLX_FN vf vrecip(vf x) {
    const vf r = _mm512_rcp14_ps(x);
    return _mm512_fmadd_ps(r, _mm512_fnmadd_ps(x, r, _mm512_set1_ps(1.0f)), r);
}

RLX_FN vf vmax(vf a, vf b) {
    return _mm512_max_ps(a, b);
}

RLX_FN vf vmin(vf a, vf b) {
    return _mm512_min_ps(a, b);
}

RLX_FN vf vsqrt(vf a) {
    return _mm512_sqrt_ps(a);
}

RLX_FN vf vabs(vf a) {
    return _mm512_abs_ps(a);
}

RLX_FN vf round_even(vf a) {
    return _mm512_roundscale_ps(a, 8);
}

RLX_FN vm less(vf a, vf b) {
    return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ);
}

RLX_FN vm is_nan(vf a) {
    return _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q);
}

RLX_FN vf select(vm m, vf a, vf b) {
    return _mm512_mask_blend_ps(m, b, a);
}

// x * 2^n, n integral; exact, underflows gradually, overflows to infinity.
RLX_FN vf scale_exp2(vf x, vf n) {
    return _mm512_scalef_ps(x, n);
}

// The float whose bits are x's low nine, as sign and exponent.
RLX_FN vf low_bits_up(vf x) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(x), 23));
}

RLX_FN vf copysign(vf mag, vf sign) {
    const __m512i bit = _mm512_set1_epi32(INT32_MIN);
    return _mm512_castsi512_ps(
        _mm512_ternarylogic_epi32(bit, _mm512_castps_si512(sign), _mm512_castps_si512(mag), 0xCA)
    );
}

RLX_FN float hsum(vf x) {
    const __m256 y = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    __m128 z = _mm_add_ps(_mm256_castps256_ps128(y), _mm256_extractf128_ps(y, 1));
    z = _mm_add_ps(z, _mm_movehl_ps(z, z));
    return _mm_cvtss_f32(_mm_add_ss(z, _mm_movehdup_ps(z)));
}

RLX_FN vf load_f16(const uint16_t* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}

RLX_FN void store_f16(uint16_t* p, vf x) {
    _mm256_storeu_si256(
        reinterpret_cast<__m256i*>(p),
        _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)
    );
}

RLX_FN vf load_bf16(const uint16_t* p) {
    const __m256i h = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
}

#elif defined(__AVX2__)

constexpr int W = 8;
typedef __m256 vf;
typedef __m256 vm;

RLX_FN __m256i tail_mask(int64_t n) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), lane);
}

RLX_FN vf set1(float x) {
    return _mm256_set1_ps(x);
}

RLX_FN vf load(const float* p) {
    return _mm256_loadu_ps(p);
}

RLX_FN void store(float* p, vf x) {
    _mm256_storeu_ps(p, x);
}

RLX_FN vf load_n(const float* p, int64_t n) {
    return _mm256_maskload_ps(p, tail_mask(n));
}

RLX_FN void store_n(float* p, vf x, int64_t n) {
    _mm256_maskstore_ps(p, tail_mask(n), x);
}

RLX_FN vf fma(vf a, vf b, vf c) {
    return _mm256_fmadd_ps(a, b, c);
}

RLX_FN vf vrecip(vf x) {
    return set1(1.0f) / x;
}

RLX_FN vf vmax(vf a, vf b) {
    return _mm256_max_ps(a, b);
}

RLX_FN vf vmin(vf a, vf b) {
    return _mm256_min_ps(a, b);
}

RLX_FN vf vsqrt(vf a) {
    return _mm256_sqrt_ps(a);
}

RLX_FN vf vabs(vf a) {
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a);
}

RLX_FN vf round_even(vf a) {
    return _mm256_round_ps(a, 8);
}

RLX_FN vm less(vf a, vf b) {
    return _mm256_cmp_ps(a, b, _CMP_LT_OQ);
}

RLX_FN vm is_nan(vf a) {
    return _mm256_cmp_ps(a, a, _CMP_UNORD_Q);
}

RLX_FN vf select(vm m, vf a, vf b) {
    return _mm256_blendv_ps(b, a, m);
}

RLX_FN vf pow2(__m256i n) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
}

RLX_FN vf scale_exp2(vf x, vf n) {
    const __m256i k = _mm256_cvtps_epi32(n);
    const __m256i h =
        _mm256_srai_epi32(k, 1); // two steps: 2^n alone would leave the exponent's range
    return _mm256_mul_ps(_mm256_mul_ps(x, pow2(h)), pow2(_mm256_sub_epi32(k, h)));
}

// The float whose bits are x's low nine, as sign and exponent.
RLX_FN vf low_bits_up(vf x) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(x), 23));
}

RLX_FN vf copysign(vf mag, vf sign) {
    const vf bit = _mm256_set1_ps(-0.0f);
    return _mm256_or_ps(_mm256_and_ps(bit, sign), _mm256_andnot_ps(bit, mag));
}

RLX_FN float hsum(vf x) {
    __m128 z = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    z = _mm_add_ps(z, _mm_movehl_ps(z, z));
    return _mm_cvtss_f32(_mm_add_ss(z, _mm_movehdup_ps(z)));
}

RLX_FN vf load_f16(const uint16_t* p) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}

RLX_FN void store_f16(uint16_t* p, vf x) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
}

RLX_FN vf load_bf16(const uint16_t* p) {
    const __m128i h = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16));
}

#else

constexpr int W = 4;
typedef __m128 vf;
typedef __m128 vm;

RLX_FN vf set1(float x) {
    return _mm_set1_ps(x);
}

RLX_FN vf load(const float* p) {
    return _mm_loadu_ps(p);
}

RLX_FN void store(float* p, vf x) {
    _mm_storeu_ps(p, x);
}

RLX_FN vf load_n(const float* p, int64_t n) {
    float t[4] = {0, 0, 0, 0};
    for (int64_t i = 0; i < n && i < 4; ++i)
        t[i] = p[i];
    return load(t);
}

RLX_FN void store_n(float* p, vf x, int64_t n) {
    float t[4];
    store(t, x);
    for (int64_t i = 0; i < n && i < 4; ++i)
        p[i] = t[i];
}

RLX_FN vf fma(vf a, vf b, vf c) {
    return _mm_add_ps(_mm_mul_ps(a, b), c);
}

RLX_FN vf vrecip(vf x) {
    return set1(1.0f) / x;
}

RLX_FN vf vmax(vf a, vf b) {
    return _mm_max_ps(a, b);
}

RLX_FN vf vmin(vf a, vf b) {
    return _mm_min_ps(a, b);
}

RLX_FN vf vsqrt(vf a) {
    return _mm_sqrt_ps(a);
}

RLX_FN vf vabs(vf a) {
    return _mm_andnot_ps(_mm_set1_ps(-0.0f), a);
}

RLX_FN vf round_even(vf a) {
    return _mm_round_ps(a, 8);
}

RLX_FN vm less(vf a, vf b) {
    return _mm_cmplt_ps(a, b);
}

RLX_FN vm is_nan(vf a) {
    return _mm_cmpunord_ps(a, a);
}

RLX_FN vf select(vm m, vf a, vf b) {
    return _mm_blendv_ps(b, a, m);
}

RLX_FN vf pow2(__m128i n) {
    return _mm_castsi128_ps(_mm_slli_epi32(_mm_add_epi32(n, _mm_set1_epi32(127)), 23));
}

RLX_FN vf scale_exp2(vf x, vf n) {
    const __m128i k = _mm_cvtps_epi32(n);
    const __m128i h = _mm_srai_epi32(k, 1); // two steps: 2^n alone would leave the exponent's range
    return _mm_mul_ps(_mm_mul_ps(x, pow2(h)), pow2(_mm_sub_epi32(k, h)));
}

// The float whose bits are x's low nine, as sign and exponent.
RLX_FN vf low_bits_up(vf x) {
    return _mm_castsi128_ps(_mm_slli_epi32(_mm_castps_si128(x), 23));
}

RLX_FN vf copysign(vf mag, vf sign) {
    const vf bit = _mm_set1_ps(-0.0f);
    return _mm_or_ps(_mm_and_ps(bit, sign), _mm_andnot_ps(bit, mag));
}

RLX_FN float hsum(vf x) {
    const __m128 z = _mm_add_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_add_ss(z, _mm_movehdup_ps(z)));
}

// f16 without F16C: the exponent is rebased by a product, which also makes subnormals exact.
RLX_FN vf load_f16(const uint16_t* p) {
    const __m128i h = _mm_cvtepu16_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
    const __m128i sign = _mm_slli_epi32(_mm_and_si128(h, _mm_set1_epi32(0x8000)), 16);
    const __m128i body = _mm_and_si128(h, _mm_set1_epi32(0x7fff));
    const vf rebase = _mm_castsi128_ps(_mm_set1_epi32(239 << 23)); // 2^112
    const vf value = _mm_mul_ps(_mm_castsi128_ps(_mm_slli_epi32(body, 13)), rebase);
    const __m128i special = _mm_cmpgt_epi32(body, _mm_set1_epi32(0x7bff));
    const __m128i inf = _mm_and_si128(special, _mm_set1_epi32(0x7f800000));
    return _mm_castsi128_ps(_mm_or_si128(_mm_or_si128(_mm_castps_si128(value), inf), sign));
}

// Round to nearest even; subnormal halves come from adding 0.5, whose ulp is that of the result.
RLX_FN uint16_t half_bits(float x) {
    uint32_t u;
    memcpy(&u, &x, 4);
    const uint32_t sign = (u >> 16) & 0x8000u;
    u &= 0x7fffffffu;
    if (u > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00u | ((u >> 13) & 0x3ffu));
    if (u >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00u);
    if (u < 0x38800000u) {
        float f;
        memcpy(&f, &u, 4);
        f += 0.5f;
        memcpy(&u, &f, 4);
        return static_cast<uint16_t>(sign | (u - 0x3f000000u));
    }
    u += 0xfffu + ((u >> 13) & 1u);
    return static_cast<uint16_t>(sign | ((u - 0x38000000u) >> 13));
}

RLX_FN void store_f16(uint16_t* p, vf x) {
    float t[4];
    store(t, x);
    for (int i = 0; i < 4; ++i)
        p[i] = half_bits(t[i]);
}

RLX_FN vf load_bf16(const uint16_t* p) {
    const __m128i h = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
    return _mm_castsi128_ps(_mm_slli_epi32(_mm_cvtepu16_epi32(h), 16));
}

#endif

RLX_FN vf zero() {
    return set1(0.0f);
}

RLX_FN float hmax(vf x) {
    float t[W];
    store(t, x);
    float m = t[0];
    for (int i = 1; i < W; ++i)
        m = t[i] > m ? t[i] : m;
    return m;
}

// First n < W lanes, the others 0.
RLX_FN vf load_f16_n(const uint16_t* p, int64_t n) {
    uint16_t t[W] = {};
    memcpy(t, p, static_cast<size_t>(n) * 2);
    return load_f16(t);
}

RLX_FN void store_f16_n(uint16_t* p, vf x, int64_t n) {
    uint16_t t[W];
    store_f16(t, x);
    memcpy(p, t, static_cast<size_t>(n) * 2);
}

RLX_FN vf load_bf16_n(const uint16_t* p, int64_t n) {
    uint16_t t[W] = {};
    memcpy(t, p, static_cast<size_t>(n) * 2);
    return load_bf16(t);
}

} // namespace rlx::cpu::RLX_TIER_NS
