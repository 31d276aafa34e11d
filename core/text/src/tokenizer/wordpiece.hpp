// SPDX-License-Identifier: GPL-3.0-only
// WordPiece: a word is cut greedily, from its start, into the longest pieces of the vocabulary
// (Wu et al. 2016, arXiv:1609.08144, as BERT uses it).
#pragma once

#include "rlx/base/result.hpp"
#include "tokenizer/token_table.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace rlx::text {

class wordpiece_model {
public:
    struct options {
        token_id unk = no_token;          // required: what a word becomes that cannot be cut
        std::string continuing = "##";    // prefix of pieces that do not start a word
        std::size_t max_characters = 100; // longer words are unknown
    };

    // `tokens` outlives the model and is indexed.
    static result<wordpiece_model> make(const token_table& tokens, options o);

    // Appends the pieces of one word. [any thread]
    void encode(std::string_view word, std::vector<token_id>& out) const;

private:
    const token_table* tokens_ = nullptr;
    options options_;
    std::size_t longest_ = 0; // bytes of the longest token
};

} // namespace rlx::text
