// SPDX-License-Identifier: GPL-3.0-only
// Bit layouts of the GGUF super-block formats.
#include "layout.hpp"
#include "pack.hpp"

#include <string.h>

namespace rlx::cpu {
namespace {

void negate_half(const uint8_t* src, uint8_t* dst) {
    dst[0] = src[0];
    dst[1] = src[1] ^ 0x80;
}

// Twelve bytes hold eight 6-bit scales and minima. Byte i < 4: scale i in the low 6 bits, top 2
// bits of scale i + 4 above; bytes 4..7 the same for minima; byte 8 + i: low nibbles of scale and
// minimum i + 4.
void decode_k_scales(const uint8_t* s, uint8_t* out) {
    for (int i = 0; i < 4; ++i) {
        out[2 * i] = s[i] & 63;
        out[2 * i + 1] = s[4 + i] & 63;
        out[2 * (i + 4)] = static_cast<uint8_t>((s[8 + i] & 15) | (s[i] >> 6) << 4);
        out[2 * (i + 4) + 1] = static_cast<uint8_t>((s[8 + i] >> 4) | (s[4 + i] >> 6) << 4);
    }
}

// [scales 16][2-bit codes 64][d][dmin]; codes of 128 columns share 32 bytes, 2 bits per 32 columns.
void decode_q2(const uint8_t* src, super_block* out) {
    memcpy(out->scales, src, 16);
    for (int k = 0; k < 256; ++k) {
        out->codes[k] = src[16 + k / 128 * 32 + k % 32] >> (k / 32 % 4 * 2) & 3;
    }
    memcpy(out->d, src + 80, 2);
    negate_half(src + 82, out->dmin);
}

// [third bits 32][2-bit codes 64][scales 12][d]; a third bit of 0 subtracts 4, so code = bits + 4 *
// third - 4.
void decode_q3(const uint8_t* src, super_block* out) {
    const uint8_t* s = src + 96;
    for (int i = 0; i < 16; ++i) {
        const int low = s[i % 8] >> (i / 8 * 4) & 15;
        const int high = s[8 + i % 4] >> (i / 4 * 2) & 3;
        out->scales[i] = static_cast<uint8_t>((low | high << 4) - 32);
    }
    for (int k = 0; k < 256; ++k) {
        const int low = src[32 + k / 128 * 32 + k % 32] >> (k / 32 % 4 * 2) & 3;
        out->codes[k] = static_cast<uint8_t>(low | (src[k % 32] >> (k / 32) & 1) << 2);
    }
    memcpy(out->d, src + 108, 2);
}

// [d][dmin][scales 12][fifth bits 32: Q5_K][nibbles 128]; 64 columns share 32 bytes, low nibbles
// first.
void decode_q45(const uint8_t* src, bool five, super_block* out) {
    memcpy(out->d, src, 2);
    negate_half(src + 2, out->dmin);
    decode_k_scales(src + 4, out->scales);
    const uint8_t* nibbles = src + (five ? 48 : 16);
    for (int k = 0; k < 256; ++k) {
        int code = nibbles[k / 64 * 32 + k % 32] >> (k / 32 % 2 * 4) & 15;
        if (five) code |= (src[16 + k % 32] >> (k / 32) & 1) << 4;
        out->codes[k] = static_cast<uint8_t>(code);
    }
}

// [nibbles 128][2-bit highs 64][signed scales 16][d]; 128 columns: 64 bytes of nibbles, 32 bytes of
// highs.
void decode_q6(const uint8_t* src, super_block* out) {
    for (int k = 0; k < 256; ++k) {
        const int half = k / 128;
        const int quarter = k / 32 % 4;
        const int low = src[half * 64 + quarter % 2 * 32 + k % 32] >> (quarter / 2 * 4) & 15;
        const int high = src[128 + half * 32 + k % 32] >> (quarter * 2) & 3;
        out->codes[k] = static_cast<uint8_t>(low | high << 4);
    }
    memcpy(out->scales, src + 192, 16);
    memcpy(out->d, src + 208, 2);
}

// [d][scale highs u16][scale lows 4][nibbles 128]; 32 columns share 16 bytes, low nibbles first.
void decode_iq4_xs(const uint8_t* src, super_block* out) {
    memcpy(out->d, src, 2);
    for (int i = 0; i < 8; ++i) {
        const int high = (src[2 + i / 4] >> (i % 4 * 2)) & 3;
        const int low = src[4 + i / 2] >> (i % 2 * 4) & 15;
        out->scales[i] = static_cast<uint8_t>((low | high << 4) - 32);
    }
    for (int k = 0; k < 256; ++k) {
        out->codes[k] = src[8 + k / 32 * 16 + k % 16] >> (k / 16 % 2 * 4) & 15;
    }
}

} // namespace

void decode_super(uint8_t layout, const uint8_t* src, super_block* out) {
    switch (layout) {
    case mm_q2_k: decode_q2(src, out); break;
    case mm_q3_k: decode_q3(src, out); break;
    case mm_q4_k: decode_q45(src, false, out); break;
    case mm_q5_k: decode_q45(src, true, out); break;
    case mm_q6_k: decode_q6(src, out); break;
    default: decode_iq4_xs(src, out);
    }
}

} // namespace rlx::cpu
