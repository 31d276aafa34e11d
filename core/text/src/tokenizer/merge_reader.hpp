// SPDX-License-Identifier: GPL-3.0-only
// Merges as files spell them -> merge_table.
#pragma once

#include "tokenizer/merge_table.hpp"
#include "tokenizer/token_table.hpp"

#include <string>
#include <string_view>

namespace rlx::text {

class merge_reader {
public:
    // `continuing` is dropped from the right side before both are joined ("##").
    merge_reader(const token_table& tokens, bool byte_level, std::string continuing = {})
        : tokens_(tokens), byte_level_(byte_level), continuing_(std::move(continuing)) {}

    // Errors name the merge and the token that is not there.
    result<void>
    add(std::string_view left, std::string_view right, std::uint32_t rank, merge_table& out);
    // "left right": cut at the first space behind the first character.
    result<void> add(std::string_view merge, std::uint32_t rank, merge_table& out);

private:
    token_id find_slowly(std::string_view text) const;
    error not_there(std::string_view text, std::uint32_t rank) const;

    const token_table& tokens_;
    bool byte_level_;
    std::string continuing_;
    std::string joined_; // kept between calls
};

} // namespace rlx::text
