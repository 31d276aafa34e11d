// SPDX-License-Identifier: GPL-3.0-only
#include "rlx/base/utf8.hpp"

#include <cstdint>

namespace rlx {
namespace {

// Length of the well-formed sequence at s, 0 when there is none.
std::size_t sequence_length(std::string_view s) {
    auto at = [&](std::size_t i) { return static_cast<std::uint8_t>(s[i]); };
    std::uint8_t lead = at(0);
    if (lead < 0x80) return 1;
    std::size_t n = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || s.size() < n) return 0;
    // The second byte's range excludes overlong forms, surrogates and values above U+10FFFF.
    std::uint8_t low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    std::uint8_t high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (at(1) < low || at(1) > high) return 0;
    for (std::size_t i = 2; i < n; i++) {
        if (at(i) < 0x80 || at(i) > 0xbf) return 0;
    }
    return n;
}

} // namespace

std::size_t utf8_find_invalid(std::string_view s) {
    std::size_t i = 0;
    while (i < s.size()) {
        std::size_t n = sequence_length(s.substr(i));
        if (n == 0) return i;
        i += n;
    }
    return std::string_view::npos;
}

std::string printable(std::string_view s, std::size_t max_bytes) {
    static constexpr char hex[] = "0123456789abcdef";
    std::string out;
    std::size_t i = 0;
    while (i < s.size()) {
        if (i >= max_bytes) return out + "...";
        std::size_t n = sequence_length(s.substr(i));
        std::uint8_t c = static_cast<std::uint8_t>(s[i]);
        if (n == 0 || c < 0x20 || c == 0x7f) {
            out += {'\\', 'x', hex[c >> 4], hex[c & 15]};
            i++;
        } else {
            out += s.substr(i, n);
            i += n;
        }
    }
    return out;
}

} // namespace rlx
