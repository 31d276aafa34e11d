// SPDX-License-Identifier: GPL-3.0-only
// Private to core/formats: one function per packed type, n_blocks blocks from src to dst.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace rlx::dequant {

using block_fn = void (*)(const std::uint8_t* src, std::size_t n_blocks, float* dst);

// The function for a packed type, nullptr for plain and unreadable ones.
block_fn legacy_block(std::uint32_t dtype); // Q4_0 .. Q8_0, IQ4_NL
block_fn super_block(std::uint32_t dtype);  // Q2_K .. Q6_K, IQ4_XS

// Levels of IQ4_NL and IQ4_XS.
inline constexpr std::int8_t iq4_levels[16] = {
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

inline std::uint16_t load_u16(const std::uint8_t* p) {
    return static_cast<std::uint16_t>(p[0] | p[1] << 8);
}

inline std::uint32_t load_u32(const std::uint8_t* p) {
    std::uint32_t v;
    std::memcpy(&v, p, 4);
    return v;
}

} // namespace rlx::dequant
