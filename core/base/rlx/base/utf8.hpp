// SPDX-License-Identifier: GPL-3.0-only
// UTF-8 validity and printable excerpts of untrusted text.
#pragma once

#include "rlx/base/api.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace rlx {

// Byte offset of the first ill-formed sequence (overlong, surrogate, above U+10FFFF, cut), npos
// when valid.
RLX_API std::size_t utf8_find_invalid(std::string_view s);

inline bool utf8_valid(std::string_view s) {
    return utf8_find_invalid(s) == std::string_view::npos;
}

// s for an error message: control characters and invalid bytes as \xNN, cut after max_bytes with
// "...".
RLX_API std::string printable(std::string_view s, std::size_t max_bytes = 96);

} // namespace rlx
