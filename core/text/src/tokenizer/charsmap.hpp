// SPDX-License-Identifier: GPL-3.0-only
// SentencePiece's compiled normalisation rules ("precompiled_charsmap"): a table from character
// sequences to their replacements, stored as a double array of the Darts-clone format.
#pragma once

#include "rlx/base/result.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rlx::text {

class charsmap {
public:
    // How the text is cut before the rules are looked up.
    enum class unit : std::uint8_t {
        longest,  // the longest rule at each place, as SentencePiece does
        graphemes // by grapheme cluster, then by character, as the Hugging Face tokenizers do
    };

    // blob: u32 size of the double array (little endian), the array, the replacements with a NUL
    // behind each. RLX_CORRUPT_DATA when it is cut or inconsistent.
    static result<charsmap> parse(std::string_view blob, unit u);

    std::string apply(std::string_view text) const;

private:
    struct rule {
        std::size_t size; // bytes of the text it covers
        std::string_view replacement;
    };

    // The shortest or the longest rule at the start of text.
    std::optional<rule> find(std::string_view text, bool longest) const;
    void apply_cluster(std::string_view cluster, std::string& out) const;

    std::vector<std::uint32_t> nodes_;
    std::string replacements_;
    unit unit_ = unit::longest;
};

std::optional<std::string> decode_base64(std::string_view text);

} // namespace rlx::text
