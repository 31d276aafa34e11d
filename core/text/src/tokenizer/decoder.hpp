// SPDX-License-Identifier: GPL-3.0-only
// Token ids back to text. One state machine serves decode() and streaming, so that both agree by
// construction.
#pragma once

#include "rlx/base/result.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rlx::text {

struct decoder_rules {
    bool byte_level = false; // tokens are bytes of UTF-8
    bool byte_fallback =
        false; // <0xXX> tokens are bytes; a run of them that is no UTF-8 becomes U+FFFD each
    bool join_with_space = false; // no decoder: tokens are words
    bool strip_first_token =
        false;                   // replace.front() removes instead in the first token (metaspace)
    std::size_t strip_start = 0; // leading spaces of the whole text that are no text
    std::vector<std::pair<std::string, std::string>> replace; // in each token
    std::string continuing;  // WordPiece: prefix of pieces that join the word before, "##"
    bool cleanup = false;    // WordPiece: no spaces before punctuation and English contractions
    std::string end_of_word; // suffix that becomes a space, except at the end of the text
    bool fused = false;      // seen while loading: Fuse, which makes Strip mean the whole text
};

// [one thread]
class detokenizer {
public:
    explicit detokenizer(const decoder_rules& rules) : rules_(&rules) {}

    // Appends the text that is complete after this token.
    void push(std::string_view token, bool literal, std::string& out);
    // Appends the rest; incomplete characters become U+FFFD. The next token starts a new text.
    void finish(std::string& out);

private:
    void flush_bytes(std::string& out);
    void emit(std::string_view text, std::string& out);

    const decoder_rules* rules_;
    std::string pending_;      // bytes not emitted yet
    std::size_t stripped_ = 0; // spaces removed so far
    bool first_ = true;        // no token yet
    bool space_due_ = false;   // a word ended; the next token starts with a space
    bool started_ = false;     // text was emitted, nothing more to strip
};

// What one token stands for, as bytes.
std::string token_bytes(const decoder_rules& rules, std::string_view token, bool literal);

} // namespace rlx::text
