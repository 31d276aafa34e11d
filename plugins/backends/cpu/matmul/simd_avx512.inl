// SPDX-License-Identifier: GPL-3.0-only
// Sixteen 32-bit lanes as one zmm register. Lane r belongs to row r of a weight panel; an integer
// lane may also be seen as four bytes, which are four consecutive columns of that row. With
// RLX_MM_VNNI the byte dot product is vpdpbusd, else it is emulated with 16-bit sums
// (simd_dot16.inl). Included once per tier inside that tier's namespace.

struct vi {
    __m512i a;
};

struct vf {
    __m512 a;
};

constexpr int n_panels_wide = 2;                 // panels one register block covers
constexpr int max_rows_q8 = RLX_MM_VNNI ? 6 : 4; // of an int8 register block
constexpr int max_rows_f32 = 12;                 // activation rows of a float register block

RLX_MM_FN vi load_i(const void* p) {
    return {_mm512_load_si512(p)};
}

RLX_MM_FN void store_i(void* p, vi v) {
    _mm512_store_si512(p, v.a);
}

RLX_MM_FN vi zero_i() {
    return {_mm512_setzero_si512()};
}

RLX_MM_FN vi set1_i8(int c) {
    return {_mm512_set1_epi8(static_cast<char>(c))};
}

RLX_MM_FN vi set1_i32(int c) {
    return {_mm512_set1_epi32(c)};
}

RLX_MM_FN vi bcast_i32(const void* p) {
    int v;
    memcpy(&v, p, 4);
    return {_mm512_set1_epi32(v)};
}

RLX_MM_FN vi and_i(vi x, vi y) {
    return {_mm512_and_si512(x.a, y.a)};
}

RLX_MM_FN vi or_i(vi x, vi y) {
    return {_mm512_or_si512(x.a, y.a)};
}

RLX_MM_FN vi add_i32(vi x, vi y) {
    return {_mm512_add_epi32(x.a, y.a)};
}

RLX_MM_FN vi sub_i32(vi x, vi y) {
    return {_mm512_sub_epi32(x.a, y.a)};
}

RLX_MM_FN vi sub_i8(vi x, vi y) {
    return {_mm512_sub_epi8(x.a, y.a)};
}

// 16-bit lanes shifted left by S, or right by -S.
template <int S>
RLX_MM_FN vi shift16(vi x) {
    if constexpr (S > 0) return {_mm512_slli_epi16(x.a, S)};
    if constexpr (S < 0) return {_mm512_srli_epi16(x.a, -S)};
    return x;
}

template <int S>
RLX_MM_FN vi shr32(vi x) {
    if constexpr (S == 0) return x;
    return {_mm512_srli_epi32(x.a, S)};
}

template <int S>
RLX_MM_FN vi shl32(vi x) {
    return {_mm512_slli_epi32(x.a, S)};
}

// Bytes of x (0..15) replaced by entries of a 16-byte table.
RLX_MM_FN vi lookup(const uint8_t* table, vi x) {
    const __m128i t = _mm_loadu_si128(reinterpret_cast<const __m128i*>(table));
    return {_mm512_shuffle_epi8(_mm512_broadcast_i32x4(t), x.a)};
}

RLX_MM_FN vf load_f(const float* p) {
    return {_mm512_load_ps(p)};
}

RLX_MM_FN vf loadu_f(const float* p) {
    return {_mm512_loadu_ps(p)};
}

RLX_MM_FN void store_f(float* p, vf v) {
    _mm512_store_ps(p, v.a);
}

RLX_MM_FN void storeu_f(float* p, vf v) {
    _mm512_storeu_ps(p, v.a);
}

RLX_MM_FN vf zero_f() {
    return {_mm512_setzero_ps()};
}

RLX_MM_FN vf set1_f(float c) {
    return {_mm512_set1_ps(c)};
}

RLX_MM_FN vf bcast_f(const float* p) {
    return {_mm512_set1_ps(*p)};
}

RLX_MM_FN vf add_f(vf x, vf y) {
    return {_mm512_add_ps(x.a, y.a)};
}

RLX_MM_FN vf sub_f(vf x, vf y) {
    return {_mm512_sub_ps(x.a, y.a)};
}

RLX_MM_FN vf mul_f(vf x, vf y) {
    return {_mm512_mul_ps(x.a, y.a)};
}

// x * y + z
RLX_MM_FN vf fma_f(vf x, vf y, vf z) {
    return {_mm512_fmadd_ps(x.a, y.a, z.a)};
}

RLX_MM_FN vf to_f(vi x) {
    return {_mm512_cvtepi32_ps(x.a)};
}

RLX_MM_FN vi to_i(vf x) {
    return {_mm512_cvtps_epi32(x.a)};
}

RLX_MM_FN vf as_f(vi x) {
    return {_mm512_castsi512_ps(x.a)};
}

RLX_MM_FN vi as_i(vf x) {
    return {_mm512_castps_si512(x.a)};
}

RLX_MM_FN vi max_i32(vi x, vi y) {
    return {_mm512_max_epi32(x.a, y.a)};
}

RLX_MM_FN int reduce_max(vi x) {
    return _mm512_reduce_max_epi32(x.a);
}

RLX_MM_FN vf load_f16(const void* p) {
    return {_mm512_cvtph_ps(_mm256_loadu_si256(static_cast<const __m256i*>(p)))};
}

RLX_MM_FN vi load_s8(const void* p) {
    return {_mm512_cvtepi8_epi32(_mm_loadu_si128(static_cast<const __m128i*>(p)))};
}

RLX_MM_FN vi load_u8(const void* p) {
    return {_mm512_cvtepu8_epi32(_mm_loadu_si128(static_cast<const __m128i*>(p)))};
}

// Low bytes of the lanes, which must fit int8.
RLX_MM_FN void store_s8(void* p, vi x) {
    _mm_storeu_si128(static_cast<__m128i*>(p), _mm512_cvtepi32_epi8(x.a));
}

RLX_MM_FN vi maddubs(vi u, vi s) {
    return {_mm512_maddubs_epi16(u.a, s.a)};
}

RLX_MM_FN vi madd1(vi x) {
    return {_mm512_madd_epi16(x.a, _mm512_set1_epi16(1))};
}

RLX_MM_FN vi add_i16(vi x, vi y) {
    return {_mm512_add_epi16(x.a, y.a)};
}

// The value is needed here: the compiler may not move its computation past this point.
RLX_MM_FN void keep(vi& x) {
    asm("" : "+v"(x.a));
}

#if RLX_MM_VNNI
// acc + sums of four products of unsigned and signed bytes, per lane.
RLX_MM_FN vi dpbusd(vi acc, vi u, vi s) {
    return {_mm512_dpbusd_epi32(acc.a, u.a, s.a)};
}
#endif
