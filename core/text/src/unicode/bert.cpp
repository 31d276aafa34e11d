// SPDX-License-Identifier: GPL-3.0-only
#include "unicode/bert.hpp"

#include <algorithm>
#include <array>
#include <iterator>

namespace rlx::text {
namespace {

constexpr std::uint32_t ranges[] = {
#include "unicode/bert.inc"
};

std::uint8_t look_up(std::uint32_t cp) {
    const auto* next = std::upper_bound(std::begin(ranges), std::end(ranges), (cp << 8) | 0xFF);
    return next == std::begin(ranges) ? std::uint8_t{0}
                                      : static_cast<std::uint8_t>(next[-1] & 0xFF);
}

} // namespace

std::uint8_t bert_classes_of(std::uint32_t cp) {
    static const std::array<std::uint8_t, 256> first = [] {
        std::array<std::uint8_t, 256> t{};
        for (std::uint32_t c = 0; c < t.size(); ++c)
            t[c] = look_up(c);
        return t;
    }();
    if (cp < first.size()) return first[cp];
    return cp < 0x110000 ? look_up(cp) : std::uint8_t{0};
}

} // namespace rlx::text
