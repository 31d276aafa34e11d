// SPDX-License-Identifier: GPL-3.0-only
#include "reference.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace rlx::cpu::test {

const std::vector<dtype_info> all_dtypes = {
    {0, "F32", 1, 4},
    {1, "F16", 1, 2},
    {30, "BF16", 1, 2},
    {2, "Q4_0", 32, 18},
    {3, "Q4_1", 32, 20},
    {6, "Q5_0", 32, 22},
    {7, "Q5_1", 32, 24},
    {8, "Q8_0", 32, 34},
    {10, "Q2_K", 256, 84},
    {11, "Q3_K", 256, 110},
    {12, "Q4_K", 256, 144},
    {13, "Q5_K", 256, 176},
    {14, "Q6_K", 256, 210},
    {20, "IQ4_NL", 32, 18},
    {23, "IQ4_XS", 256, 136},
};

const dtype_info& info_of(std::uint16_t dtype) {
    return *std::find_if(all_dtypes.begin(), all_dtypes.end(), [&](const dtype_info& i) {
        return i.dtype == dtype;
    });
}

float half_to_float(std::uint16_t h) {
    const int exponent = h >> 10 & 31;
    const int mantissa = h & 1023;
    float v = 0;
    if (exponent == 31) {
        v = mantissa ? NAN : INFINITY;
    } else if (exponent == 0) {
        v = std::ldexp(static_cast<float>(mantissa), -24);
    } else {
        v = std::ldexp(static_cast<float>(1024 + mantissa), exponent - 25);
    }
    return h & 0x8000 ? -v : v;
}

std::uint16_t float_to_half(float v) {
    const std::uint16_t sign = std::signbit(v) ? 0x8000 : 0;
    v = std::fabs(v);
    if (v == 0) return sign;
    int e = std::ilogb(v);
    if (e < -14) {
        return static_cast<std::uint16_t>(
            sign | static_cast<int>(std::nearbyint(std::ldexp(v, 24)))
        );
    }
    const int m = static_cast<int>(std::nearbyint(std::ldexp(v, 10 - e)));
    return static_cast<std::uint16_t>(sign | ((e + 15) * 1024 + m - 1024));
}

namespace {

std::uint16_t u16(const std::uint8_t* p) {
    return static_cast<std::uint16_t>(p[0] | p[1] << 8);
}

float half_at(const std::uint8_t* p) {
    return half_to_float(u16(p));
}

float float_at(const std::uint8_t* p) {
    float v;
    std::memcpy(&v, p, 4);
    return v;
}

float bf16_at(const std::uint8_t* p) {
    const std::uint32_t bits = static_cast<std::uint32_t>(u16(p)) << 16;
    float v;
    std::memcpy(&v, &bits, 4);
    return v;
}

const int codebook[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

// Element k of a 32-column block.
float value32(std::uint16_t dtype, const std::uint8_t* p, int k) {
    const float d = half_at(p);
    const auto nibble = [&](const std::uint8_t* q) { return k < 16 ? q[k] & 15 : q[k - 16] >> 4; };
    const auto fifth = [&](const std::uint8_t* q) { return (q[k / 8] >> (k % 8) & 1) << 4; };
    switch (dtype) {
    case 2: return d * static_cast<float>(nibble(p + 2) - 8);
    case 3: return d * static_cast<float>(nibble(p + 4)) + half_at(p + 2);
    case 6: return d * static_cast<float>((nibble(p + 6) | fifth(p + 2)) - 16);
    case 7: return d * static_cast<float>(nibble(p + 8) | fifth(p + 4)) + half_at(p + 2);
    case 8: return d * static_cast<float>(static_cast<std::int8_t>(p[2 + k]));
    default: return d * static_cast<float>(codebook[nibble(p + 2)]);
    }
}

// 6-bit scale and minimum of 32-column group g.
void k_scale(const std::uint8_t* s, int g, int* scale, int* minimum) {
    if (g < 4) {
        *scale = s[g] & 63;
        *minimum = s[g + 4] & 63;
    } else {
        *scale = (s[g + 4] & 15) | (s[g - 4] >> 6) << 4;
        *minimum = (s[g + 4] >> 4) | (s[g] >> 6) << 4;
    }
}

float value_q2(const std::uint8_t* p, int k) {
    const int s = p[k / 16];
    const int q = p[16 + 32 * (k / 128) + k % 32] >> (2 * (k % 128 / 32)) & 3;
    return half_at(p + 80) * static_cast<float>(s & 15) * static_cast<float>(q) -
           half_at(p + 82) * static_cast<float>(s >> 4);
}

float value_q3(const std::uint8_t* p, int k) {
    const int g = k / 16;
    const int low = g < 8 ? p[96 + g] & 15 : p[96 + g - 8] >> 4;
    const int scale = (low | (p[104 + g % 4] >> (2 * (g / 4)) & 3) << 4) - 32;
    int q = p[32 + 32 * (k / 128) + k % 32] >> (2 * (k % 128 / 32)) & 3;
    if (!(p[k % 32] >> (k / 32) & 1)) q -= 4;
    return half_at(p + 108) * static_cast<float>(scale) * static_cast<float>(q);
}

float value_q45(const std::uint8_t* p, int k, bool five) {
    int scale = 0;
    int minimum = 0;
    k_scale(p + 4, k / 32, &scale, &minimum);
    const std::uint8_t byte = p[(five ? 48 : 16) + 32 * (k / 64) + k % 32];
    int q = k % 64 < 32 ? byte & 15 : byte >> 4;
    if (five && p[16 + k % 32] >> (k / 32) & 1) q += 16;
    return half_at(p) * static_cast<float>(scale) * static_cast<float>(q) -
           half_at(p + 2) * static_cast<float>(minimum);
}

float value_q6(const std::uint8_t* p, int k) {
    const int within = k % 128;
    const std::uint8_t byte = p[64 * (k / 128) + within % 64];
    const int low = within < 64 ? byte & 15 : byte >> 4;
    const int high = p[128 + 32 * (k / 128) + within % 32] >> (2 * (within / 32)) & 3;
    const int scale = static_cast<std::int8_t>(p[192 + k / 16]);
    return half_at(p + 208) * static_cast<float>(scale) *
           static_cast<float>((low | high << 4) - 32);
}

float value_iq4_xs(const std::uint8_t* p, int k) {
    const int g = k / 32;
    const int low = p[4 + g / 2] >> (4 * (g % 2)) & 15;
    const int scale = (low | (u16(p + 2) >> (2 * g) & 3) << 4) - 32;
    const std::uint8_t byte = p[8 + 16 * g + k % 16];
    return half_at(p) * static_cast<float>(scale) *
           static_cast<float>(codebook[k % 32 < 16 ? byte & 15 : byte >> 4]);
}

float value256(std::uint16_t dtype, const std::uint8_t* p, int k) {
    switch (dtype) {
    case 10: return value_q2(p, k);
    case 11: return value_q3(p, k);
    case 12: return value_q45(p, k, false);
    case 13: return value_q45(p, k, true);
    case 14: return value_q6(p, k);
    default: return value_iq4_xs(p, k);
    }
}

// Byte positions of the float16 scales in a block.
std::vector<int> half_positions(std::uint16_t dtype) {
    switch (dtype) {
    case 3:
    case 7:
    case 12:
    case 13: return {0, 2};
    case 10: return {80, 82};
    case 11: return {108};
    case 14: return {208};
    default: return {0};
    }
}

} // namespace

std::vector<float> dequantise(std::uint16_t dtype, const std::uint8_t* row, std::int64_t cols) {
    const dtype_info& info = info_of(dtype);
    std::vector<float> out(static_cast<std::size_t>(cols));
    for (std::int64_t c = 0; c < cols; ++c) {
        const std::uint8_t* p = row + c / info.cols * info.bytes;
        const int k = static_cast<int>(c % info.cols);
        float& v = out[static_cast<std::size_t>(c)];
        switch (dtype) {
        case 0: v = float_at(p); break;
        case 1: v = half_at(p); break;
        case 30: v = bf16_at(p); break;
        default: v = info.cols == 32 ? value32(dtype, p, k) : value256(dtype, p, k);
        }
    }
    return out;
}

std::vector<std::uint8_t> random_file(
    std::uint16_t dtype, std::int64_t rows, std::int64_t cols, std::mt19937& rng, file_options o
) {
    const dtype_info& info = info_of(dtype);
    const std::int64_t blocks = rows * cols / info.cols;
    std::vector<std::uint8_t> out(static_cast<std::size_t>(blocks * info.bytes));
    std::normal_distribution<float> normal(0.0f, 0.02f);
    std::uniform_real_distribution<float> scale(0.001f, 0.01f);
    for (std::int64_t b = 0; b < blocks; ++b) {
        std::uint8_t* p = out.data() + b * info.bytes;
        if (info.cols == 1) {
            const float v = o.extreme ? 1.0f : normal(rng);
            std::uint32_t bits;
            std::memcpy(&bits, &v, 4);
            const std::uint16_t h =
                dtype == 1 ? float_to_half(v) : static_cast<std::uint16_t>(bits >> 16);
            std::memcpy(p, dtype == 0 ? static_cast<const void*>(&v) : &h, info.bytes);
            continue;
        }
        for (int i = 0; i < info.bytes; ++i) {
            p[i] = o.extreme ? (dtype == 8 ? 0x80 : 0xff) : static_cast<std::uint8_t>(rng());
        }
        bool first = true;
        for (int at : half_positions(dtype)) {
            // The second scale is a minimum: of the codes' size, and for the two formats that add
            // it negative.
            float v = o.extreme ? 0.01f : scale(rng);
            if (!first && (dtype == 3 || dtype == 7)) v *= dtype == 3 ? -7.5f : -15.5f;
            if (info.cols == 256) v *= 0.05f;
            const std::uint16_t h = float_to_half(v);
            std::memcpy(p + at, &h, 2);
            first = false;
        }
    }
    return out;
}

std::vector<double> q8_values(const float* x, std::int64_t cols) {
    std::vector<double> out(static_cast<std::size_t>(cols));
    for (std::int64_t b = 0; b < cols; b += 32) {
        const std::int64_t n = std::min<std::int64_t>(32, cols - b);
        float amax = 0;
        for (std::int64_t k = 0; k < n; ++k)
            amax = std::max(amax, std::fabs(x[b + k]));
        const float d = amax / 127.0f;
        const float inverse = amax > 0 ? 127.0f / amax : 0.0f;
        for (std::int64_t k = 0; k < n; ++k) {
            out[static_cast<std::size_t>(b + k)] =
                static_cast<double>(d) * std::nearbyint(x[b + k] * inverse);
        }
    }
    return out;
}

std::vector<double> bf16_values(const float* x, std::int64_t cols) {
    std::vector<double> out(static_cast<std::size_t>(cols));
    for (std::int64_t k = 0; k < cols; ++k) {
        std::uint32_t bits;
        std::memcpy(&bits, x + k, 4);
        bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u;
        float v;
        std::memcpy(&v, &bits, 4);
        out[static_cast<std::size_t>(k)] = v;
    }
    return out;
}

} // namespace rlx::cpu::test
