// SPDX-License-Identifier: GPL-3.0-only
// Unicode normalisation and case mapping, equal to the reference tokenizer's (older Unicode
// version).
#pragma once

#include "rlx/base/result.hpp"

#include <string>
#include <string_view>

namespace rlx::text {

enum class normal_form { nfc, nfd, nfkc, nfkd };

// Invalid bytes are kept as they are.
result<std::string> normalize(std::string_view text, normal_form form);

// Bytes of the grapheme cluster at the start of a text that is not empty (UAX #29).
std::size_t grapheme_size(std::string_view text);

std::string strip_marks(std::string_view text); // without combining marks
std::string to_lower(std::string_view text);
std::string to_upper(std::string_view text);
std::string to_title(std::string_view text); // each character for itself

} // namespace rlx::text
