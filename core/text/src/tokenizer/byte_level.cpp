// SPDX-License-Identifier: GPL-3.0-only
#include "tokenizer/byte_level.hpp"

#include "unicode/utf8.hpp"

#include <array>

namespace rlx::text {
namespace {

// Bytes that are printable in Latin-1 stand for themselves; the other 68 take U+0100 onwards in
// order.
constexpr bool stands_for_itself(unsigned b) {
    return (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || (b >= 0xAE && b <= 0xFF);
}

constexpr std::array<std::uint16_t, 256> alphabet = [] {
    std::array<std::uint16_t, 256> a{};
    std::uint16_t next = 0x100;
    for (unsigned b = 0; b < 256; ++b)
        a[b] = stands_for_itself(b) ? static_cast<std::uint16_t>(b) : next++;
    return a;
}();

constexpr std::array<std::int16_t, 0x144> reverse_alphabet = [] {
    std::array<std::int16_t, 0x144> r{};
    for (auto& x : r)
        x = -1;
    for (unsigned b = 0; b < 256; ++b)
        r[alphabet[b]] = static_cast<std::int16_t>(b);
    return r;
}();

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

} // namespace

std::uint32_t byte_to_char(unsigned char byte) {
    return alphabet[byte];
}

bool append_bytes(std::string& out, std::string_view text) {
    for (std::size_t i = 0; i < text.size();) {
        const code_point c = decode_at(text, i);
        if (!c.valid || c.value >= reverse_alphabet.size() || reverse_alphabet[c.value] < 0)
            return false;
        out += static_cast<char>(reverse_alphabet[c.value]);
        i += c.size;
    }
    return true;
}

std::optional<std::string> chars_to_bytes(std::string_view text) {
    std::string out;
    return append_bytes(out, text) ? std::optional(std::move(out)) : std::nullopt;
}

std::string bytes_to_chars(std::string_view bytes) {
    std::string out;
    for (char b : bytes)
        append_utf8(out, byte_to_char(static_cast<unsigned char>(b)));
    return out;
}

std::optional<unsigned char> parse_byte_token(std::string_view token) {
    if (token.size() != 6 || token.substr(0, 3) != "<0x" || token[5] != '>') return std::nullopt;
    const int high = hex_digit(token[3]), low = hex_digit(token[4]);
    if (high < 0 || low < 0) return std::nullopt;
    return static_cast<unsigned char>(high * 16 + low);
}

} // namespace rlx::text
