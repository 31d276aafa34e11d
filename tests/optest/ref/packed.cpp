// SPDX-License-Identifier: GPL-3.0-only
// Packed GGUF blocks to numbers, exact: every product of a half, a small integer and a second small
// integer is a double without rounding. Written from the layout of the blocks, once more beside
// core/formats, which rounds to f32.
#include "ref.hpp"

#include <array>

namespace optest::ref {
namespace {

using bytes = const std::uint8_t*;

double half_at(bytes p) {
    return decode(RLX_F16, p, 1)[0];
}

// The 16 levels of IQ4_NL and IQ4_XS.
constexpr std::array<int, 16> levels{
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

// Nibble i of a run of 32: low halves first.
int nibble(bytes q, int i) {
    return i < 16 ? q[i] & 15 : q[i - 16] >> 4;
}

int bit(bytes p, int i) {
    return p[i / 8] >> (i % 8) & 1;
}

// Blocks of 32.
void small_block(std::uint16_t type, bytes b, double* y) {
    const double d = half_at(b);
    const bool offset = type == RLX_Q4_1 || type == RLX_Q5_1;
    const double m = offset ? half_at(b + 2) : 0;
    const bytes q = b + (offset ? 4 : 2);
    for (int i = 0; i < 32; ++i) {
        switch (type) {
        case RLX_Q4_0: y[i] = d * (nibble(q, i) - 8); break;
        case RLX_Q4_1: y[i] = d * nibble(q, i) + m; break;
        case RLX_Q5_0: y[i] = d * ((nibble(q + 4, i) | bit(q, i) << 4) - 16); break;
        case RLX_Q5_1: y[i] = d * (nibble(q + 4, i) | bit(q, i) << 4) + m; break;
        case RLX_Q8_0: y[i] = d * static_cast<std::int8_t>(q[i]); break;
        default: y[i] = d * levels[static_cast<std::size_t>(nibble(q, i))]; break; // IQ4_NL
        }
    }
}

// 16 scales of 4 bits with 16 minimums of 4 bits, quants of 2 bits.
void q2_k(bytes b, double* y) {
    const double d = half_at(b + 80), dmin = half_at(b + 82);
    for (int i = 0; i < 256; ++i) {
        const int group = i / 16, part = i / 128, shift = i % 128 / 32 * 2;
        const int q = b[16 + part * 32 + i % 32] >> shift & 3;
        y[i] = d * (b[group] & 15) * q - dmin * (b[group] >> 4);
    }
}

// 16 scales of 6 bits: 4 low bits in 8 bytes, 2 high bits in 4.
int q3_scale(bytes s, int j) {
    const int low = j < 8 ? s[j] & 15 : s[j - 8] >> 4;
    const int high = s[8 + j % 4] >> (j / 4 * 2) & 3;
    return (low | high << 4) - 32;
}

void q3_k(bytes b, double* y) {
    const double d = half_at(b + 108);
    for (int i = 0; i < 256; ++i) {
        const int part = i / 128, plane = i / 32, shift = i % 128 / 32 * 2;
        const int low = b[32 + part * 32 + i % 32] >> shift & 3;
        const int high = b[i % 32] >> plane & 1;
        y[i] = d * q3_scale(b + 96, i / 16) * (low - (high ? 0 : 4));
    }
}

// Scale and minimum j of 8, 6 bits each, in 12 bytes.
std::pair<int, int> scale_min(bytes s, int j) {
    if (j < 4) return {s[j] & 63, s[j + 4] & 63};
    return {(s[j + 4] & 15) | (s[j - 4] >> 6) << 4, s[j + 4] >> 4 | (s[j] >> 6) << 4};
}

void q45_k(std::uint16_t type, bytes b, double* y) {
    const double d = half_at(b), dmin = half_at(b + 2);
    const bytes q = b + (type == RLX_Q5_K ? 48 : 16);
    for (int i = 0; i < 256; ++i) {
        const int j = i / 32, at = i / 64 * 32 + i % 32;
        int v = j % 2 ? q[at] >> 4 : q[at] & 15;
        if (type == RLX_Q5_K) v |= (b[16 + i % 32] >> j & 1) << 4;
        const auto [scale, minimum] = scale_min(b + 4, j);
        y[i] = d * scale * v - dmin * minimum;
    }
}

void q6_k(bytes b, double* y) {
    const double d = half_at(b + 208);
    for (int i = 0; i < 256; ++i) {
        const int part = i / 128, k = i % 128, column = k % 32, row = k / 32;
        const std::uint8_t low = b[part * 64 + column + (row % 2) * 32];
        const int high = b[128 + part * 32 + column] >> (row * 2) & 3;
        const int v = (row < 2 ? low & 15 : low >> 4) | high << 4;
        y[i] = d * static_cast<std::int8_t>(b[192 + i / 16]) * (v - 32);
    }
}

void iq4_xs(bytes b, double* y) {
    const double d = half_at(b);
    const int high = b[2] | b[3] << 8;
    for (int j = 0; j < 8; ++j) {
        const int low = b[4 + j / 2] >> (j % 2 * 4) & 15;
        const double scale = d * ((low | (high >> (2 * j) & 3) << 4) - 32);
        for (int i = 0; i < 32; ++i)
            y[j * 32 + i] = scale * levels[static_cast<std::size_t>(nibble(b + 8 + j * 16, i))];
    }
}

void super_block(std::uint16_t type, bytes b, double* y) {
    switch (type) {
    case RLX_Q2_K: return q2_k(b, y);
    case RLX_Q3_K: return q3_k(b, y);
    case RLX_Q4_K:
    case RLX_Q5_K: return q45_k(type, b, y);
    case RLX_Q6_K: return q6_k(b, y);
    case RLX_IQ4_XS: return iq4_xs(b, y);
    default: throw no_answer("packed type " + std::to_string(type));
    }
}

} // namespace

std::vector<double> decode_packed(std::uint16_t dtype, const std::uint8_t* p, std::size_t n) {
    const bool small = dtype < RLX_Q2_K || dtype == RLX_IQ4_NL;
    const std::size_t block = small ? 32 : 256, step = bytes_of(dtype, block);
    if (n % block != 0) throw no_answer("a packed row that is no whole number of blocks");
    std::vector<double> out(n);
    for (std::size_t i = 0; i < n / block; ++i) {
        if (small)
            small_block(dtype, p + i * step, out.data() + i * block);
        else
            super_block(dtype, p + i * step, out.data() + i * block);
    }
    return out;
}

} // namespace optest::ref
