// SPDX-License-Identifier: GPL-3.0-only
// Plain element types: bytes to numbers and back, written from their definitions.
#include "ref.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

namespace optest::ref {
namespace {

// Binary floating point by its fields: bits of exponent and mantissa, bias; `finite` = the all-ones
// exponent holds numbers, with NaN in the very last code only (E4M3 of OCP).
struct layout {
    int exponent, mantissa, bias;
    bool finite;
};

constexpr layout half{5, 10, 15, false}, brain{8, 7, 127, false}, e4m3{4, 3, 7, true},
    e5m2{5, 2, 15, false};

double number_of(const layout& l, std::uint32_t bits) {
    const std::uint32_t m = bits & ((1u << l.mantissa) - 1);
    const std::uint32_t all = (1u << l.exponent) - 1;
    const std::uint32_t e = (bits >> l.mantissa) & all;
    const double sign = (bits >> (l.exponent + l.mantissa)) & 1 ? -1 : 1;
    if (e == all && !l.finite)
        return m ? std::numeric_limits<double>::quiet_NaN()
                 : sign * std::numeric_limits<double>::infinity();
    if (e == all && m == (1u << l.mantissa) - 1) return std::numeric_limits<double>::quiet_NaN();
    const int exponent = (e ? static_cast<int>(e) : 1) - l.bias - l.mantissa;
    return sign * std::ldexp(static_cast<double>(m + (e ? 1u << l.mantissa : 0)), exponent);
}

// Round to nearest even; too large becomes infinity.
double rounded(const layout& l, double x) {
    if (x == 0 || !std::isfinite(x)) return x;
    int exponent = 0;
    std::frexp(x, &exponent); // |x| in [2^(exponent-1), 2^exponent)
    const int low = 1 - l.bias;
    const int step = std::max(exponent - 1, low) - l.mantissa;
    const double y = std::ldexp(std::nearbyint(std::ldexp(x, -step)), step);
    const double top = std::ldexp(2 - std::ldexp(1, -l.mantissa), l.bias);
    return std::abs(y) > top ? std::copysign(std::numeric_limits<double>::infinity(), x) : y;
}

std::uint32_t bits_of(const layout& l, double x) {
    const std::uint32_t all = (1u << l.exponent) - 1;
    const std::uint32_t sign = std::signbit(x) ? 1u << (l.exponent + l.mantissa) : 0;
    if (std::isnan(x)) return sign | all << l.mantissa | 1u << (l.mantissa - 1);
    x = std::abs(rounded(l, x));
    if (std::isinf(x)) return sign | all << l.mantissa;
    if (x == 0) return sign;
    int exponent = 0;
    std::frexp(x, &exponent);
    const int e = exponent - 1 + l.bias;
    if (e <= 0) return sign | static_cast<std::uint32_t>(std::ldexp(x, l.bias - 1 + l.mantissa));
    const auto m = static_cast<std::uint32_t>(std::ldexp(x, l.mantissa - (exponent - 1)));
    return sign | static_cast<std::uint32_t>(e) << l.mantissa | (m & ((1u << l.mantissa) - 1));
}

template <class T>
double load(const std::uint8_t* p) {
    T v;
    std::memcpy(&v, p, sizeof v);
    return static_cast<double>(v);
}

template <class T>
void store(char* p, double x) {
    const auto v = static_cast<T>(x);
    std::memcpy(p, &v, sizeof v);
}

double decode_one(std::uint16_t dtype, const std::uint8_t* p) {
    switch (dtype) {
    case RLX_F32: return load<float>(p);
    case RLX_F64: return load<double>(p);
    case RLX_F16: return number_of(half, static_cast<std::uint32_t>(load<std::uint16_t>(p)));
    case RLX_BF16: return number_of(brain, static_cast<std::uint32_t>(load<std::uint16_t>(p)));
    case RLX_F8_E4M3: return number_of(e4m3, *p);
    case RLX_F8_E5M2: return number_of(e5m2, *p);
    case RLX_I8: return load<std::int8_t>(p);
    case RLX_I16: return load<std::int16_t>(p);
    case RLX_I32: return load<std::int32_t>(p);
    case RLX_I64: return load<std::int64_t>(p);
    case RLX_U8:
    case RLX_BOOL: return *p;
    default: throw no_answer("type " + std::to_string(dtype));
    }
}

void encode_one(std::uint16_t dtype, char* p, double x) {
    switch (dtype) {
    case RLX_F32: return store<float>(p, x);
    case RLX_F64: return store<double>(p, x);
    case RLX_F16: return store<std::uint16_t>(p, bits_of(half, x));
    case RLX_BF16: return store<std::uint16_t>(p, bits_of(brain, x));
    case RLX_F8_E4M3: return store<std::uint8_t>(p, bits_of(e4m3, x));
    case RLX_F8_E5M2: return store<std::uint8_t>(p, bits_of(e5m2, x));
    case RLX_I8: return store<std::int8_t>(p, x);
    case RLX_I16: return store<std::int16_t>(p, x);
    case RLX_I32: return store<std::int32_t>(p, x);
    case RLX_I64: return store<std::int64_t>(p, x);
    case RLX_U8:
    case RLX_BOOL: return store<std::uint8_t>(p, x);
    default: throw no_answer("type " + std::to_string(dtype));
    }
}

// Float to integer as Cast does: toward zero, saturating, NaN -> 0.
double to_integer(double x, double low, double high) {
    return std::isnan(x) ? 0 : std::clamp(std::trunc(x), low, high);
}

} // namespace

bool is_packed(std::uint16_t dtype) {
    return dtype != RLX_F32 && dtype != RLX_F16 && dtype < RLX_I8;
}

bool is_integer(std::uint16_t dtype) {
    return (dtype >= RLX_I8 && dtype <= RLX_I64) || dtype == RLX_U8 || dtype == RLX_BOOL;
}

double round_to(std::uint16_t dtype, double x) {
    switch (dtype) {
    case RLX_F32: return static_cast<float>(x);
    case RLX_F64: return x;
    case RLX_F16: return rounded(half, x);
    case RLX_BF16: return rounded(brain, x);
    case RLX_F8_E4M3: return rounded(e4m3, x);
    case RLX_F8_E5M2: return rounded(e5m2, x);
    case RLX_BOOL: return x != 0 ? 1 : 0;
    case RLX_I8: return to_integer(x, -128, 127);
    case RLX_U8: return to_integer(x, 0, 255);
    case RLX_I16: return to_integer(x, -32768, 32767);
    case RLX_I32: return to_integer(x, -2147483648.0, 2147483647.0);
    // 2^63 - 1 as a double, which is how it is read back too.
    case RLX_I64: return to_integer(x, -9223372036854775808.0, 9223372036854775808.0);
    default: throw no_answer("type " + std::to_string(dtype));
    }
}

std::size_t bytes_of(std::uint16_t dtype, std::size_t n) {
    switch (dtype) {
    case RLX_Q4_0:
    case RLX_IQ4_NL: return n / 32 * 18;
    case RLX_Q4_1: return n / 32 * 20;
    case RLX_Q5_0: return n / 32 * 22;
    case RLX_Q5_1: return n / 32 * 24;
    case RLX_Q8_0: return n / 32 * 34;
    case RLX_Q2_K: return n / 256 * 84;
    case RLX_Q3_K: return n / 256 * 110;
    case RLX_Q4_K: return n / 256 * 144;
    case RLX_Q5_K: return n / 256 * 176;
    case RLX_Q6_K: return n / 256 * 210;
    case RLX_IQ4_XS: return n / 256 * 136;
    case RLX_F32:
    case RLX_I32: return n * 4;
    case RLX_F64:
    case RLX_I64: return n * 8;
    case RLX_F16:
    case RLX_BF16:
    case RLX_I16: return n * 2;
    default: return n;
    }
}

std::vector<double> decode(std::uint16_t dtype, const void* bytes, std::size_t n) {
    const auto* p = static_cast<const std::uint8_t*>(bytes);
    if (is_packed(dtype)) return decode_packed(dtype, p, n);
    std::vector<double> out(n);
    const std::size_t size = bytes_of(dtype, 1);
    for (std::size_t i = 0; i < n; ++i)
        out[i] = decode_one(dtype, p + i * size);
    return out;
}

std::vector<char> encode(std::uint16_t dtype, const std::vector<double>& numbers) {
    const std::size_t size = bytes_of(dtype, 1);
    std::vector<char> out(numbers.size() * size);
    for (std::size_t i = 0; i < numbers.size(); ++i)
        encode_one(dtype, out.data() + i * size, numbers[i]);
    return out;
}

} // namespace optest::ref
