// SPDX-License-Identifier: GPL-3.0-only
// Plain types and blocks of 32: one scale (and minimum) per block, float16.
#include "rlx/formats/dequant.hpp"

#include "dequant_kernels.hpp"

#include <bit>
#include <limits>

namespace rlx {
namespace dequant {
namespace {

constexpr std::size_t qk = 32;

void q4_0(const std::uint8_t* src, std::size_t n, float* dst) {
    for (; n > 0; n--, src += 18, dst += qk) {
        float d = half_to_float(load_u16(src));
        for (std::size_t j = 0; j < 16; j++) {
            dst[j] = d * static_cast<float>((src[2 + j] & 15) - 8);
            dst[j + 16] = d * static_cast<float>((src[2 + j] >> 4) - 8);
        }
    }
}

void q4_1(const std::uint8_t* src, std::size_t n, float* dst) {
    for (; n > 0; n--, src += 20, dst += qk) {
        float d = half_to_float(load_u16(src));
        float m = half_to_float(load_u16(src + 2));
        for (std::size_t j = 0; j < 16; j++) {
            dst[j] = d * static_cast<float>(src[4 + j] & 15) + m;
            dst[j + 16] = d * static_cast<float>(src[4 + j] >> 4) + m;
        }
    }
}

// The fifth bit of element j is bit j of a 32-bit word.
int five_bits(int low, std::uint32_t high, std::size_t j) {
    return low | static_cast<int>((high >> j & 1) << 4);
}

void q5_0(const std::uint8_t* src, std::size_t n, float* dst) {
    for (; n > 0; n--, src += 22, dst += qk) {
        float d = half_to_float(load_u16(src));
        std::uint32_t high = load_u32(src + 2);
        for (std::size_t j = 0; j < 16; j++) {
            dst[j] = d * static_cast<float>(five_bits(src[6 + j] & 15, high, j) - 16);
            dst[j + 16] = d * static_cast<float>(five_bits(src[6 + j] >> 4, high, j + 16) - 16);
        }
    }
}

void q5_1(const std::uint8_t* src, std::size_t n, float* dst) {
    for (; n > 0; n--, src += 24, dst += qk) {
        float d = half_to_float(load_u16(src));
        float m = half_to_float(load_u16(src + 2));
        std::uint32_t high = load_u32(src + 4);
        for (std::size_t j = 0; j < 16; j++) {
            dst[j] = d * static_cast<float>(five_bits(src[8 + j] & 15, high, j)) + m;
            dst[j + 16] = d * static_cast<float>(five_bits(src[8 + j] >> 4, high, j + 16)) + m;
        }
    }
}

void q8_0(const std::uint8_t* src, std::size_t n, float* dst) {
    for (; n > 0; n--, src += 34, dst += qk) {
        float d = half_to_float(load_u16(src));
        for (std::size_t j = 0; j < qk; j++)
            dst[j] = d * static_cast<float>(static_cast<std::int8_t>(src[2 + j]));
    }
}

void iq4_nl(const std::uint8_t* src, std::size_t n, float* dst) {
    for (; n > 0; n--, src += 18, dst += qk) {
        float d = half_to_float(load_u16(src));
        for (std::size_t j = 0; j < 16; j++) {
            dst[j] = d * static_cast<float>(iq4_levels[src[2 + j] & 15]);
            dst[j + 16] = d * static_cast<float>(iq4_levels[src[2 + j] >> 4]);
        }
    }
}

} // namespace

block_fn legacy_block(std::uint32_t dtype) {
    switch (dtype) {
    case RLX_Q4_0: return q4_0;
    case RLX_Q4_1: return q4_1;
    case RLX_Q5_0: return q5_0;
    case RLX_Q5_1: return q5_1;
    case RLX_Q8_0: return q8_0;
    case RLX_IQ4_NL: return iq4_nl;
    default: return nullptr;
    }
}

} // namespace dequant

namespace {

template <class T>
void widen(const void* src, std::uint64_t n, float* dst) {
    const auto* p = static_cast<const std::byte*>(src);
    for (std::uint64_t i = 0; i < n; i++) {
        T v;
        std::memcpy(&v, p + i * sizeof(T), sizeof(T));
        dst[i] = static_cast<float>(v);
    }
}

template <class T, class F>
void convert(const void* src, std::uint64_t n, float* dst, F f) {
    const auto* p = static_cast<const std::byte*>(src);
    for (std::uint64_t i = 0; i < n; i++) {
        T v;
        std::memcpy(&v, p + i * sizeof(T), sizeof(T));
        dst[i] = f(v);
    }
}

// False when the type is not a plain one.
bool plain(std::uint32_t dtype, const void* src, std::uint64_t n, float* dst) {
    switch (dtype) {
    case RLX_F32: std::memcpy(dst, src, n * 4); return true;
    case RLX_F16: convert<std::uint16_t>(src, n, dst, half_to_float); return true;
    case RLX_BF16:
        convert<std::uint16_t>(src, n, dst, [](std::uint16_t v) {
            return std::bit_cast<float>(std::uint32_t{v} << 16);
        });
        return true;
    case RLX_F64: widen<double>(src, n, dst); return true;
    case RLX_I8: widen<std::int8_t>(src, n, dst); return true;
    case RLX_I16: widen<std::int16_t>(src, n, dst); return true;
    case RLX_I32: widen<std::int32_t>(src, n, dst); return true;
    case RLX_I64: widen<std::int64_t>(src, n, dst); return true;
    case RLX_U8: widen<std::uint8_t>(src, n, dst); return true;
    case RLX_BOOL:
        convert<std::uint8_t>(src, n, dst, [](std::uint8_t v) { return v ? 1.0f : 0.0f; });
        return true;
    case RLX_F8_E4M3: convert<std::uint8_t>(src, n, dst, f8_e4m3_to_float); return true;
    case RLX_F8_E5M2: convert<std::uint8_t>(src, n, dst, f8_e5m2_to_float); return true;
    default: return false;
    }
}

} // namespace

float half_to_float(std::uint16_t h) {
    std::uint32_t sign = std::uint32_t{h & 0x8000u} << 16;
    std::uint32_t rest = std::uint32_t{h & 0x7fffu} << 13;
    if (rest >= 0x0f800000u)
        return std::bit_cast<float>(sign | (rest + 0x70000000u)); // infinity and NaN
    if (rest < 0x00800000u) {                                     // zero and subnormals
        float magnitude = static_cast<float>(h & 0x3ff) * 0x1p-24f;
        return sign ? -magnitude : magnitude;
    }
    return std::bit_cast<float>(sign | (rest + 0x38000000u));
}

// 1 sign, 4 exponent (bias 7), 3 mantissa bits; no infinity, NaN is all ones.
float f8_e4m3_to_float(std::uint8_t v) {
    if ((v & 0x7f) == 0x7f) return std::numeric_limits<float>::quiet_NaN();
    std::uint32_t bits = std::uint32_t{v & 0x7fu} << 20;
    float magnitude = bits < 0x00800000u ? static_cast<float>(v & 7) * 0x1p-9f
                                         : std::bit_cast<float>(bits + 0x3c000000u);
    return v & 0x80 ? -magnitude : magnitude;
}

// The upper half of a float16.
float f8_e5m2_to_float(std::uint8_t v) {
    return half_to_float(static_cast<std::uint16_t>(v << 8));
}

result<void> dequantize(std::uint32_t dtype, const void* src, std::uint64_t n, float* dst) {
    if (n == 0 || plain(dtype, src, n, dst)) return {};
    const dtype_traits* t = dtype_find(dtype);
    dequant::block_fn fn = dequant::legacy_block(dtype);
    if (!fn) fn = dequant::super_block(dtype);
    if (!t || !fn)
        return error{
            RLX_UNSUPPORTED,
            "tensor type " + dtype_name(dtype) + " cannot be read by this version"};
    if (n % t->block != 0) {
        return error{
            RLX_INVALID_ARGUMENT,
            std::to_string(n) + " elements of " + std::string(t->name) +
                " are no whole number of blocks of " + std::to_string(t->block)};
    }
    fn(static_cast<const std::uint8_t*>(src), n / t->block, dst);
    return {};
}

} // namespace rlx
