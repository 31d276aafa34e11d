// SPDX-License-Identifier: GPL-3.0-only
// Activations to int8: per block of 32, scale = max|x| / 127 and codes rounded to nearest. A block
// with an infinity or NaN gets a NaN scale, so the outputs that use it are NaN. Included once per
// tier inside that tier's namespace.

// Sum of 16 signed bytes.
RLX_MM_FN int32_t sum_s8(const void* p) {
    const __m128i biased = _mm_xor_si128(
        _mm_loadu_si128(static_cast<const __m128i*>(p)), _mm_set1_epi8(static_cast<char>(0x80))
    );
    const __m128i halves = _mm_sad_epu8(biased, _mm_setzero_si128());
    return _mm_cvtsi128_si32(halves) + _mm_extract_epi32(halves, 2) - 16 * 128;
}

RLX_MM_FN void make_q8_block(const float* v, uint8_t* codes, uint8_t* scale_at, uint8_t* sums_at) {
    const vf lo = loadu_f(v);
    const vf hi = loadu_f(v + 16);
    // As integers, magnitudes keep their order and infinities and NaN come out on top.
    const vi magnitude = set1_i32(0x7fffffff);
    const int32_t top = reduce_max(max_i32(and_i(as_i(lo), magnitude), and_i(as_i(hi), magnitude)));
    float amax;
    memcpy(&amax, &top, 4);
    const bool finite = top < 0x7f800000;
    const bool usable = finite && amax > 1e-35f; // below, 127 / amax is no float
    float scale = usable ? amax / 127.0f : 0.0f;
    if (!finite) scale = NAN;
    const vf inverse = set1_f(usable ? 127.0f / amax : 0.0f);
    if (usable) {
        store_s8(codes, to_i(mul_f(lo, inverse)));
        store_s8(codes + 16, to_i(mul_f(hi, inverse)));
    } else {
        memset(codes, 0, block_cols);
    }
    const int32_t sums[2] = {sum_s8(codes), sum_s8(codes + 16)};
    memcpy(scale_at, &scale, 4);
    memcpy(sums_at, sums, 8);
}

inline void make_q8(const float* x, int64_t cols, void* dst) {
    const int64_t blocks = (cols + block_cols - 1) / block_cols;
    uint8_t* codes = static_cast<uint8_t*>(dst);
    uint8_t* scales = codes + blocks * block_cols;
    uint8_t* sums = scales + blocks * 4;
    const int64_t whole = cols / block_cols;
    for (int64_t b = 0; b < whole; ++b) {
        make_q8_block(x + b * block_cols, codes + b * block_cols, scales + b * 4, sums + b * 8);
    }
    if (whole == blocks) return;
    float last[block_cols] = {};
    memcpy(last, x + whole * block_cols, (cols - whole * block_cols) * 4);
    make_q8_block(last, codes + whole * block_cols, scales + whole * 4, sums + whole * 8);
}
