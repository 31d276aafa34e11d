// SPDX-License-Identifier: GPL-3.0-only
// Super-blocks of 256: float16 scales for the whole, small integer scales for groups of 16 or 32.
#include "dequant_kernels.hpp"
#include "rlx/abi/dtype.h"
#include "rlx/formats/dequant.hpp"

namespace rlx::dequant {
namespace {

constexpr std::size_t qk = 256;

// 84 bytes: scales[16] (scale low nibble, minimum high nibble), qs[64], d, dmin.
// Byte l of half h holds the elements l, l+32, l+64, l+96 of that half, two bits each.
void q2_k(const std::uint8_t* src, std::size_t n, float* dst) {
    for (; n > 0; n--, src += 84, dst += qk) {
        float d = half_to_float(load_u16(src + 80));
        float dmin = half_to_float(load_u16(src + 82));
        for (std::size_t i = 0; i < qk; i++) {
            std::size_t half = i / 128, quarter = i % 128 / 32, l = i % 32;
            std::uint8_t scale = src[i / 16];
            int q = src[16 + half * 32 + l] >> (2 * quarter) & 3;
            dst[i] = d * static_cast<float>(scale & 15) * static_cast<float>(q) -
                     dmin * static_cast<float>(scale >> 4);
        }
    }
}

// 110 bytes: hmask[32], qs[64], scales[12] (16 of 6 bits, offset 32), d.
// Bits as in q2_k; the third bit of element 32 g + l is bit g of hmask[l], and counts -4 when
// clear.
void q3_k(const std::uint8_t* src, std::size_t n, float* dst) {
    for (; n > 0; n--, src += 110, dst += qk) {
        float d = half_to_float(load_u16(src + 108));
        const std::uint8_t* packed = src + 96;
        float scale[16];
        for (std::size_t j = 0; j < 16; j++) {
            int low = j < 8 ? packed[j] & 15 : packed[j - 8] >> 4;
            int high = packed[8 + j % 4] >> (2 * (j / 4)) & 3;
            scale[j] = d * static_cast<float>((low | high << 4) - 32);
        }
        for (std::size_t i = 0; i < qk; i++) {
            std::size_t half = i / 128, quarter = i % 128 / 32, l = i % 32;
            int q = src[32 + half * 32 + l] >> (2 * quarter) & 3;
            int high = src[l] >> (i / 32) & 1 ? 0 : 4;
            dst[i] = scale[i / 16] * static_cast<float>(q - high);
        }
    }
}

struct scale_min {
    float scale, min;
};

// Eight 6-bit scales and eight 6-bit minima in 12 bytes.
scale_min six_bit_pair(const std::uint8_t* packed, std::size_t j) {
    int s = 0, m = 0;
    if (j < 4) {
        s = packed[j] & 63;
        m = packed[j + 4] & 63;
    } else {
        s = (packed[j + 4] & 15) | packed[j - 4] >> 6 << 4;
        m = packed[j + 4] >> 4 | packed[j] >> 6 << 4;
    }
    return {static_cast<float>(s), static_cast<float>(m)};
}

// 144 bytes: d, dmin, scales[12], qs[128]. 32 bytes hold two groups of 32: low nibbles, then high
// nibbles.
void q4_k(const std::uint8_t* src, std::size_t n, float* dst) {
    for (; n > 0; n--, src += 144, dst += qk) {
        float d = half_to_float(load_u16(src));
        float dmin = half_to_float(load_u16(src + 2));
        for (std::size_t g = 0; g < 8; g++) {
            auto [s, m] = six_bit_pair(src + 4, g);
            float scale = d * s, min = dmin * m;
            const std::uint8_t* q = src + 16 + g / 2 * 32;
            for (std::size_t l = 0; l < 32; l++) {
                dst[g * 32 + l] = scale * static_cast<float>(q[l] >> (4 * (g % 2)) & 15) - min;
            }
        }
    }
}

// 176 bytes: d, dmin, scales[12], qh[32], qs[128]. As q4_k; the fifth bit of group g is bit g of
// qh[l].
void q5_k(const std::uint8_t* src, std::size_t n, float* dst) {
    for (; n > 0; n--, src += 176, dst += qk) {
        float d = half_to_float(load_u16(src));
        float dmin = half_to_float(load_u16(src + 2));
        for (std::size_t g = 0; g < 8; g++) {
            auto [s, m] = six_bit_pair(src + 4, g);
            float scale = d * s, min = dmin * m;
            const std::uint8_t* high = src + 16;
            const std::uint8_t* q = src + 48 + g / 2 * 32;
            for (std::size_t l = 0; l < 32; l++) {
                int v = (q[l] >> (4 * (g % 2)) & 15) | (high[l] >> g & 1) << 4;
                dst[g * 32 + l] = scale * static_cast<float>(v) - min;
            }
        }
    }
}

// 210 bytes: ql[128], qh[64], scales[16] (signed), d. Half h uses ql[64 h ..], qh[32 h ..]: quarter
// k of it takes the low (k < 2) or high nibbles of ql[32 (k % 2) + l] and bits 2k, 2k+1 of qh[l].
void q6_k(const std::uint8_t* src, std::size_t n, float* dst) {
    for (; n > 0; n--, src += 210, dst += qk) {
        float d = half_to_float(load_u16(src + 208));
        for (std::size_t i = 0; i < qk; i++) {
            std::size_t half = i / 128, quarter = i % 128 / 32, l = i % 32;
            int low = src[half * 64 + quarter % 2 * 32 + l] >> (quarter / 2 * 4) & 15;
            int high = src[128 + half * 32 + l] >> (2 * quarter) & 3;
            float scale = d * static_cast<float>(static_cast<std::int8_t>(src[192 + i / 16]));
            dst[i] = scale * static_cast<float>((low | high << 4) - 32);
        }
    }
}

// 136 bytes: d, scales_h (u16), scales_l[4], qs[128]. Eight groups of 32 with 6-bit scales, offset
// 32; in a group the low nibbles of its 16 bytes come first.
void iq4_xs(const std::uint8_t* src, std::size_t n, float* dst) {
    for (; n > 0; n--, src += 136, dst += qk) {
        float d = half_to_float(load_u16(src));
        std::uint16_t scales_high = load_u16(src + 2);
        for (std::size_t g = 0; g < 8; g++) {
            int low = src[4 + g / 2] >> (4 * (g % 2)) & 15;
            int high = scales_high >> (2 * g) & 3;
            float scale = d * static_cast<float>((low | high << 4) - 32);
            const std::uint8_t* q = src + 8 + g * 16;
            for (std::size_t j = 0; j < 16; j++) {
                dst[g * 32 + j] = scale * static_cast<float>(iq4_levels[q[j] & 15]);
                dst[g * 32 + j + 16] = scale * static_cast<float>(iq4_levels[q[j] >> 4]);
            }
        }
    }
}

} // namespace

block_fn super_block(std::uint32_t dtype) {
    switch (dtype) {
    case RLX_Q2_K: return q2_k;
    case RLX_Q3_K: return q3_k;
    case RLX_Q4_K: return q4_k;
    case RLX_Q5_K: return q5_k;
    case RLX_Q6_K: return q6_k;
    case RLX_IQ4_XS: return iq4_xs;
    default: return nullptr;
    }
}

} // namespace rlx::dequant
