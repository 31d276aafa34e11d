// SPDX-License-Identifier: GPL-3.0-only
// Activations to int8: per block of 32, scale = max|x| / 127 and codes rounded to nearest. A block
// with an infinity or NaN gets a NaN scale, so the outputs that use it are NaN. Included once per
// tier inside that tier's namespace.

inline void make_q8(const float* x, int64_t cols, void* dst) {
    const int64_t blocks = (cols + block_cols - 1) / block_cols;
    uint8_t* codes = static_cast<uint8_t*>(dst);
    uint8_t* scales = codes + blocks * block_cols;
    uint8_t* sums = scales + blocks * 4;
    for (int64_t b = 0; b < blocks; ++b) {
        alignas(64) float padded[block_cols] = {};
        const float* v = x + b * block_cols;
        if (cols - b * block_cols < block_cols) {
            memcpy(padded, v, (cols - b * block_cols) * 4);
            v = padded;
        }
        const vf lo = loadu_f(v);
        const vf hi = loadu_f(v + 16);
        // 0 for finite numbers, NaN otherwise.
        const float poison = reduce_add(add_f(mul_f(lo, zero_f()), mul_f(hi, zero_f())));
        float amax = reduce_max(max_f(abs_f(lo), abs_f(hi)));
        if (!(amax > 1e-35f) || !(amax < INFINITY)) amax = 0.0f;
        const vf inverse = set1_f(amax > 0.0f ? 127.0f / amax : 0.0f);
        const vf none = zero_f();
        const vi code_lo = to_i(amax > 0.0f ? mul_f(lo, inverse) : none);
        const vi code_hi = to_i(amax > 0.0f ? mul_f(hi, inverse) : none);
        store_s8(codes + b * block_cols, code_lo);
        store_s8(codes + b * block_cols + 16, code_hi);
        const float scale = amax / 127.0f + poison;
        const int32_t sum[2] = {reduce_add(code_lo), reduce_add(code_hi)};
        memcpy(scales + b * 4, &scale, 4);
        memcpy(sums + b * 8, sum, 8);
    }
}
