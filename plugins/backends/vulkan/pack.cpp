// SPDX-License-Identifier: GPL-3.0-only
// Quants of a block are first spread to one byte each, in column order, then packed again.
#include "pack.hpp"

#include <algorithm>

namespace rlx::vulkan {

namespace {

using byte = std::uint8_t;

std::uint32_t half_at(const byte* p) {
    return static_cast<std::uint32_t>(p[0] | p[1] << 8);
}

std::uint32_t word_at(const byte* p) {
    std::uint32_t w;
    std::memcpy(&w, p, 4);
    return w;
}

// Eight columns, four bits each.
std::uint32_t nibbles(const byte* q) {
    std::uint32_t w = 0;
    for (int i = 0; i < 8; ++i)
        w |= static_cast<std::uint32_t>(q[i] & 15) << (4 * i);
    return w;
}

void halves(const byte* packed, int n, byte* q) { // n low nibbles, then n high ones
    for (int i = 0; i < n; ++i) {
        q[i] = packed[i] & 15;
        q[n + i] = packed[i] >> 4;
    }
}

// One block of a row: w[i * 32] is word i. n: columns there are.
void pack_plain(const matrix_format& f, const byte* p, std::int64_t n, std::uint32_t* w) {
    const int bytes = f.dtype == RLX_F32 ? 4 : 2;
    byte all[128] = {};
    std::memcpy(all, p, static_cast<std::size_t>(n * bytes));
    for (std::uint32_t i = 0; i < f.words; ++i)
        w[i * 32] = word_at(all + 4 * i);
}

void pack_q4_0(const byte* p, std::int64_t n, std::uint32_t* w) {
    for (int s = 0; s < n / 32; ++s, p += 18) {
        w[0] |= half_at(p) << (16 * s);
        byte q[32];
        halves(p + 2, 16, q);
        for (int i = 0; i < 4; ++i)
            w[(1 + 4 * s + i) * 32] = nibbles(q + 8 * i);
    }
}

void pack_q4_1(const byte* p, std::uint32_t* w) {
    w[0] = word_at(p);
    byte q[32];
    halves(p + 4, 16, q);
    for (int i = 0; i < 4; ++i)
        w[(1 + i) * 32] = nibbles(q + 8 * i);
}

void pack_q8_0(const byte* p, std::int64_t n, std::uint32_t* w) {
    for (int s = 0; s < n / 32; ++s, p += 34) {
        w[0] |= half_at(p) << (16 * s);
        for (int i = 0; i < 8; ++i)
            w[(1 + 8 * s + i) * 32] = word_at(p + 2 + 4 * i);
    }
}

// Q4_K and Q5_K begin alike: d, dmin, 12 bytes of scales.
void pack_q45_k(const matrix_format& f, const byte* p, std::uint32_t* w) {
    const bool five = f.dtype == RLX_Q5_K;
    for (int i = 0; i < 4; ++i)
        w[i * 32] = word_at(p + 4 * i);
    const byte* high = p + 16;
    const byte* low = five ? p + 48 : p + 16;
    for (int s = 0; s < 8; ++s) {
        byte q[64];
        halves(low + 32 * (s / 2), 32, q);
        const byte* mine = q + 32 * (s & 1);
        for (int i = 0; i < 4; ++i)
            w[((five ? 12 : 4) + 4 * s + i) * 32] = nibbles(mine + 8 * i);
        if (!five) continue;
        std::uint32_t bits = 0;
        for (int i = 0; i < 32; ++i)
            bits |= static_cast<std::uint32_t>(high[i] >> s & 1) << i;
        w[(4 + s) * 32] = bits;
    }
}

void pack_q6_k(const byte* p, std::uint32_t* w) {
    w[0] = half_at(p + 208);
    for (int i = 0; i < 4; ++i)
        w[(1 + i) * 32] = word_at(p + 192 + 4 * i);
    byte q[256];
    for (int n = 0; n < 2; ++n) {
        const byte* low = p + 64 * n;
        const byte* high = p + 128 + 32 * n;
        for (int l = 0; l < 32; ++l) {
            byte* to = q + 128 * n + l;
            to[0] = static_cast<byte>((low[l] & 15) | (high[l] & 3) << 4);
            to[32] = static_cast<byte>((low[l + 32] & 15) | (high[l] >> 2 & 3) << 4);
            to[64] = static_cast<byte>(low[l] >> 4 | (high[l] >> 4 & 3) << 4);
            to[96] = static_cast<byte>(low[l + 32] >> 4 | (high[l] >> 6) << 4);
        }
    }
    for (int i = 0; i < 32; ++i)
        w[(5 + i) * 32] = nibbles(q + 8 * i);
    for (int i = 0; i < 16; ++i) {
        std::uint32_t bits = 0;
        for (int j = 0; j < 16; ++j)
            bits |= static_cast<std::uint32_t>(q[16 * i + j] >> 4) << (2 * j);
        w[(37 + i) * 32] = bits;
    }
}

} // namespace

std::span<const matrix_format> matrix_formats() {
    static constexpr matrix_format formats[] = {
        {RLX_F32, "f32", 32, 32, 1, 4},
        {RLX_F16, "f16", 32, 16, 1, 2},
        {RLX_BF16, "bf16", 32, 16, 1, 2},
        {RLX_Q4_0, "q4_0", 64, 9, 32, 18},
        {RLX_Q4_1, "q4_1", 32, 5, 32, 20},
        {RLX_Q8_0, "q8_0", 64, 17, 32, 34},
        {RLX_Q4_K, "q4_k", 256, 36, 256, 144},
        {RLX_Q5_K, "q5_k", 256, 44, 256, 176},
        {RLX_Q6_K, "q6_k", 256, 53, 256, 210},
    };
    return formats;
}

const matrix_format* find_format(std::uint16_t dtype) {
    if (dtype == RLX_F64) dtype = RLX_F32; // rounded while reading
    for (const matrix_format& f : matrix_formats())
        if (f.dtype == dtype) return &f;
    return nullptr;
}

void pack_group(
    const matrix_format& f,
    const char* rows,
    std::uint64_t row_bytes,
    std::int64_t n_rows,
    std::int64_t cols,
    std::uint32_t* out
) {
    const std::int64_t blocks = (cols + f.elements - 1) / f.elements;
    const std::uint64_t file_block =
        static_cast<std::uint64_t>(f.elements / f.file_elements) * f.file_bytes;
    std::fill_n(out, static_cast<std::size_t>(blocks) * f.words * 32, 0U);
    for (std::int64_t r = 0; r < n_rows; ++r) {
        const byte* p =
            reinterpret_cast<const byte*>(rows) + static_cast<std::uint64_t>(r) * row_bytes;
        std::uint32_t* w = out + r;
        for (std::int64_t b = 0; b < blocks; ++b, p += file_block, w += f.words * 32) {
            const std::int64_t n = std::min<std::int64_t>(f.elements, cols - b * f.elements);
            switch (f.dtype) {
            case RLX_Q4_0: pack_q4_0(p, n, w); break;
            case RLX_Q4_1: pack_q4_1(p, w); break;
            case RLX_Q8_0: pack_q8_0(p, n, w); break;
            case RLX_Q4_K:
            case RLX_Q5_K: pack_q45_k(f, p, w); break;
            case RLX_Q6_K: pack_q6_k(p, w); break;
            default: pack_plain(f, p, n, w); break;
            }
        }
    }
}

} // namespace rlx::vulkan
