// SPDX-License-Identifier: GPL-3.0-only
// Hand-written matchers for the split patterns of common byte-level tokenizers. Each of them covers
// any text completely, so a pattern is one function: where does the piece that starts here end?
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace rlx::text {

// Invalid bytes count as symbols, one maximal invalid prefix at a time.
enum class split_pattern : std::uint8_t {
    gpt2,
    llama3,           // contractions in any case, up to three digits
    llama3_no_digits, // llama3 with unlimited digit runs
    qwen2,            // single digits
    qwen35,           // marks belong to words
    tekken,           // words split at case changes, single digits
    gpt4o,            // tekken words with contractions, up to three digits
};

// End of the piece at `pos` (pos < text.size()); always > pos.
std::size_t piece_end(split_pattern pattern, std::string_view text, std::size_t pos);

// The matcher for a regular expression as tokenizer.json spells it.
std::optional<split_pattern> known_pattern(std::string_view regex);

} // namespace rlx::text
