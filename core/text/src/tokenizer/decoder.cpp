// SPDX-License-Identifier: GPL-3.0-only
#include "tokenizer/decoder.hpp"

#include "tokenizer/byte_level.hpp"
#include "tokenizer/normalizer.hpp"
#include "unicode/utf8.hpp"

namespace rlx::text {

namespace {

// What the reference's WordPiece decoder does to every piece.
std::string cleaned_up(std::string text) {
    static constexpr std::string_view rules[][2] = {
        {" .", "."},
        {" ?", "?"},
        {" !", "!"},
        {" ,", ","},
        {" ' ", "'"},
        {" n't", "n't"},
        {" 'm", "'m"},
        {" do not", " don't"},
        {" 's", "'s"},
        {" 've", "'ve"},
        {" 're", "'re"},
    };
    for (const auto& [from, to] : rules)
        text = replace_all(text, from, to);
    return text;
}

} // namespace

std::string token_bytes(const decoder_rules& rules, std::string_view token, bool literal) {
    if (rules.byte_fallback)
        if (const auto byte = parse_byte_token(token))
            return std::string(1, static_cast<char>(*byte));
    std::string text(token);
    if (literal && rules.byte_level) {
        // As the reference does: also a name is read as bytes where all its characters stand for
        // bytes.
        const auto bytes = chars_to_bytes(text);
        return bytes ? *bytes : text;
    }
    for (const auto& [from, to] : rules.replace)
        text = replace_all(text, from, to);
    if (!rules.end_of_word.empty()) text = replace_all(text, rules.end_of_word, " ");
    return text;
}

void detokenizer::emit(std::string_view text, std::string& out) {
    while (!started_ && stripped_ < rules_->strip_start && text.starts_with(' ')) {
        text.remove_prefix(1);
        ++stripped_;
    }
    if (text.empty()) return;
    started_ = true;
    out += text;
}

// The reference judges a run of byte tokens as a whole: one bad byte spoils all of it.
void detokenizer::flush_bytes(std::string& out) {
    if (pending_.empty()) return;
    if (is_valid_utf8(pending_)) {
        emit(pending_, out);
    } else {
        for (std::size_t i = 0; i < pending_.size(); ++i)
            emit(replacement_utf8, out);
    }
    pending_.clear();
}

void detokenizer::push(std::string_view token, bool literal, std::string& out) {
    const bool first = std::exchange(first_, false);
    if (rules_->byte_level) {
        pending_ += token_bytes(*rules_, token, literal);
        std::size_t i = 0;
        while (i < pending_.size()) {
            const code_point c = decode_at(pending_, i);
            if (c.truncated) break;
            emit(c.valid ? std::string_view(pending_).substr(i, c.size) : replacement_utf8, out);
            i += c.size;
        }
        pending_.erase(0, i);
        return;
    }
    if (rules_->byte_fallback) {
        if (const auto byte = parse_byte_token(token)) {
            pending_ += static_cast<char>(*byte);
            return;
        }
        flush_bytes(out);
    }
    std::string text;
    const bool joined = !rules_->continuing.empty() && token.starts_with(rules_->continuing);
    if (!first && joined)
        token.remove_prefix(rules_->continuing.size());
    else if (!first && (rules_->join_with_space || std::exchange(space_due_, false)))
        text = " ";
    if (!rules_->end_of_word.empty() && token.ends_with(rules_->end_of_word)) {
        token.remove_suffix(rules_->end_of_word.size());
        space_due_ = true;
    }
    if (first && rules_->strip_first_token)
        append_lossy(text, replace_all(token, rules_->replace.front().first, ""));
    else
        append_lossy(text, token_bytes(*rules_, token, literal));
    if (rules_->cleanup) text = cleaned_up(std::move(text));
    emit(text, out);
}

void detokenizer::finish(std::string& out) {
    if (rules_->byte_level) {
        std::string rest;
        append_lossy(rest, pending_);
        emit(rest, out);
        pending_.clear();
    } else {
        flush_bytes(out);
    }
    stripped_ = 0;
    first_ = true;
    space_due_ = false;
    started_ = false;
}

} // namespace rlx::text
