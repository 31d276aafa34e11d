// SPDX-License-Identifier: GPL-3.0-only
// int8 activation rows brought together for a register block.
// Included once per tier inside that tier's namespace.

// Activation rows of a register block, regrouped so that every address is one pointer plus a
// constant: per block: int8 codes [MR][32], float scale [MR], slot [MR][groups], where a slot is
// float act_scale * act_sum (minimum) or int32 -offset * act_sum (offset).
constexpr int64_t a_block_bytes(int rows, int groups) {
    return static_cast<int64_t>(rows) * (block_cols + 4 + 4 * groups);
}

template <class W>
void q8_gather(
    const uint8_t* const* rows, int n, int64_t total, int64_t b0, int64_t nb, uint8_t* dst
) {
    const int64_t step = a_block_bytes(n, W::groups);
    for (int m = 0; m < n; ++m) {
        const uint8_t* codes = rows[m] + b0 * block_cols;
        const uint8_t* scales = rows[m] + total * block_cols + b0 * 4;
        const uint8_t* sums = rows[m] + total * (block_cols + 4) + b0 * 8;
        uint8_t* block = dst;
        for (int64_t b = 0; b < nb; ++b) {
            memcpy(block + m * block_cols, codes + b * block_cols, block_cols);
            float d;
            int32_t sum[2];
            memcpy(&d, scales + b * 4, 4);
            memcpy(sum, sums + b * 8, 8);
            float* scale = reinterpret_cast<float*>(block + n * block_cols);
            scale[m] = d;
            if constexpr (W::groups == 1) sum[0] += sum[1];
            for (int g = 0; g < W::groups; ++g) {
                float* slot = scale + n + m * W::groups + g;
                const float minimum = d * static_cast<float>(sum[g]);
                const int32_t offset = -W::offset * sum[g];
                memcpy(slot, W::has_min ? static_cast<const void*>(&minimum) : &offset, 4);
            }
            block += step;
            // GCC 12.2 -O3 for AVX-512 otherwise merges the induction variables of this loop into
            // wrong addresses (right with -O2, -fno-ivopts or -fno-unswitch-loops).
            __asm__ volatile("" : "+r"(block) : : "memory");
        }
    }
}
