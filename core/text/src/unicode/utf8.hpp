// SPDX-License-Identifier: GPL-3.0-only
// UTF-8 one code point at a time. Invalid bytes are reported, never skipped: the caller decides.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace rlx::text {

inline constexpr std::uint32_t replacement_char = 0xFFFD;
inline constexpr std::string_view replacement_utf8 = "\xEF\xBF\xBD";

struct code_point {
    std::uint32_t value; // replacement_char when !valid
    std::uint8_t size;   // bytes consumed, at least 1; for invalid input the maximal invalid prefix
    bool valid;
    bool truncated; // !valid only because the text ended: more bytes could complete it
};

// Decodes the code point at `pos` (pos < text.size()).
inline code_point decode_at(std::string_view text, std::size_t pos) {
    auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned first = byte(pos);
    if (first < 0x80) return {first, 1, true, false};
    unsigned need = 0, low = 0x80, high = 0xBF;
    std::uint32_t value = 0;
    if (first >= 0xC2 && first <= 0xDF) {
        need = 1, value = first & 0x1F;
    } else if (first >= 0xE0 && first <= 0xEF) {
        need = 2, value = first & 0x0F;
        if (first == 0xE0) low = 0xA0;  // overlong
        if (first == 0xED) high = 0x9F; // surrogates
    } else if (first >= 0xF0 && first <= 0xF4) {
        need = 3, value = first & 0x07;
        if (first == 0xF0) low = 0x90;
        if (first == 0xF4) high = 0x8F; // above U+10FFFF
    } else {
        return {replacement_char, 1, false, false};
    }
    std::uint8_t used = 1;
    for (; used <= need; ++used) {
        if (pos + used >= text.size()) return {replacement_char, used, false, true};
        const unsigned next = byte(pos + used);
        if (next < low || next > high) return {replacement_char, used, false, false};
        value = (value << 6) | (next & 0x3F);
        low = 0x80, high = 0xBF;
    }
    return {value, used, true, false};
}

inline void append_utf8(std::string& out, std::uint32_t cp) {
    if (cp < 0x80) {
        out += static_cast<char>(cp);
    } else if (cp < 0x800) {
        out += static_cast<char>(0xC0 | (cp >> 6));
        out += static_cast<char>(0x80 | (cp & 0x3F));
    } else if (cp < 0x10000) {
        out += static_cast<char>(0xE0 | (cp >> 12));
        out += static_cast<char>(0x80 | ((cp >> 6) & 0x3F));
        out += static_cast<char>(0x80 | (cp & 0x3F));
    } else {
        out += static_cast<char>(0xF0 | (cp >> 18));
        out += static_cast<char>(0x80 | ((cp >> 12) & 0x3F));
        out += static_cast<char>(0x80 | ((cp >> 6) & 0x3F));
        out += static_cast<char>(0x80 | (cp & 0x3F));
    }
}

inline bool is_valid_utf8(std::string_view text) {
    for (std::size_t i = 0; i < text.size();) {
        const code_point c = decode_at(text, i);
        if (!c.valid) return false;
        i += c.size;
    }
    return true;
}

// Copies `bytes`, each maximal invalid sequence replaced by U+FFFD.
inline void append_lossy(std::string& out, std::string_view bytes) {
    for (std::size_t i = 0; i < bytes.size();) {
        const code_point c = decode_at(bytes, i);
        out += c.valid ? bytes.substr(i, c.size) : replacement_utf8;
        i += c.size;
    }
}

inline std::size_t count_code_points(std::string_view text) {
    std::size_t n = 0;
    for (char c : text)
        n += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    return n;
}

} // namespace rlx::text
