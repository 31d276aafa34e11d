// SPDX-License-Identifier: GPL-3.0-only
// The byte alphabet of byte-level BPE: each byte is written as one printable character (0x20 as
// U+0120).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace rlx::text {

std::uint32_t byte_to_char(unsigned char byte);
// Appends the bytes that the characters stand for; false, with `out` as far as it got, when one
// stands for none.
bool append_bytes(std::string& out, std::string_view text);
// nullopt when a character is outside the alphabet.
std::optional<std::string> chars_to_bytes(std::string_view text);
std::string bytes_to_chars(std::string_view bytes);

// "<0x0A>" -> 0x0A.
std::optional<unsigned char> parse_byte_token(std::string_view token);

} // namespace rlx::text
