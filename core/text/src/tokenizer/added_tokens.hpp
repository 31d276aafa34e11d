// SPDX-License-Identifier: GPL-3.0-only
// Finds added (special and user-defined) tokens in text: leftmost, then longest.
#pragma once

#include "rlx/base/result.hpp"
#include "tokenizer/token_table.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace rlx::text {

struct added_token {
    std::string content; // as matched (normalised already where the token asks for it)
    token_id id = no_token;
    bool special = false;     // matched only with parse_special
    bool single_word = false; // only between non-word characters
    bool lstrip = false;      // takes the white space before it
    bool rstrip = false;
};

// A stretch of text, or the added token found there.
struct segment {
    std::string_view text;
    token_id id = no_token;
};

class added_matcher {
public:
    static result<added_matcher> make(std::vector<added_token> tokens);

    bool empty() const { return tokens_.empty(); }

    void split(std::string_view text, bool parse_special, std::vector<segment>& out) const;

private:
    const added_token* longest_at(std::string_view text, std::size_t pos) const;

    std::vector<added_token> tokens_; // sorted by content, all different
    std::vector<bool> starts_;        // [256]
};

} // namespace rlx::text
