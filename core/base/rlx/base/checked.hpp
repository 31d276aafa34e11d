// SPDX-License-Identifier: GPL-3.0-only
// Arithmetic on sizes that come from files: nullopt instead of a wrap-around.
#pragma once

#include <cstdint>
#include <optional>

namespace rlx {

inline std::optional<std::uint64_t> checked_add(std::uint64_t a, std::uint64_t b) {
    std::uint64_t out = 0;
    if (__builtin_add_overflow(a, b, &out)) return std::nullopt;
    return out;
}

inline std::optional<std::uint64_t> checked_mul(std::uint64_t a, std::uint64_t b) {
    std::uint64_t out = 0;
    if (__builtin_mul_overflow(a, b, &out)) return std::nullopt;
    return out;
}

// a rounded up to a multiple of step (> 0).
inline std::optional<std::uint64_t> checked_align(std::uint64_t a, std::uint64_t step) {
    std::uint64_t rest = a % step;
    return rest == 0 ? std::optional(a) : checked_add(a, step - rest);
}

} // namespace rlx
