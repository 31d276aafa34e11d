// SPDX-License-Identifier: GPL-3.0-only
#include "tokenizer/added_tokens.hpp"

#include "unicode/categories.hpp"
#include "unicode/utf8.hpp"

#include <algorithm>

namespace rlx::text {
namespace {

constexpr std::size_t max_added_token_bytes = 1024; // bounds the work at each position

std::size_t previous_start(std::string_view text, std::size_t pos) {
    do
        --pos;
    while (pos > 0 && (static_cast<unsigned char>(text[pos]) & 0xC0) == 0x80);
    return pos;
}

bool is_word_char(std::uint32_t cp) {
    const std::uint8_t c = classes_of(cp);
    return (c & (cls_letter | cls_mark)) || category_of(cp) == category::nd ||
           category_of(cp) == category::nl || category_of(cp) == category::pc;
}

bool word_before(std::string_view text, std::size_t pos) {
    return pos > 0 && is_word_char(decode_at(text, previous_start(text, pos)).value);
}

bool word_after(std::string_view text, std::size_t pos) {
    return pos < text.size() && is_word_char(decode_at(text, pos).value);
}

std::size_t skip_space_back(std::string_view text, std::size_t pos, std::size_t limit) {
    while (pos > limit) {
        const std::size_t before = previous_start(text, pos);
        if (before < limit || !is_white_space(decode_at(text, before).value)) break;
        pos = before;
    }
    return pos;
}

std::size_t skip_space(std::string_view text, std::size_t pos) {
    while (pos < text.size()) {
        const code_point c = decode_at(text, pos);
        if (!is_white_space(c.value)) break;
        pos += c.size;
    }
    return pos;
}

} // namespace

result<added_matcher> added_matcher::make(std::vector<added_token> tokens) {
    added_matcher m;
    std::erase_if(tokens, [](const added_token& t) { return t.content.empty(); });
    std::stable_sort(tokens.begin(), tokens.end(), [](auto& a, auto& b) {
        return a.content < b.content;
    });
    m.starts_.assign(256, false);
    for (added_token& t : tokens) {
        if (t.content.size() > max_added_token_bytes)
            return error{
                RLX_CORRUPT_DATA,
                "added token " + std::to_string(t.id) + " has " + std::to_string(t.content.size()) +
                    " bytes, at most " + std::to_string(max_added_token_bytes) + " are supported"};
        m.starts_[static_cast<unsigned char>(t.content[0])] = true;
        if (!m.tokens_.empty() && m.tokens_.back().content == t.content)
            m.tokens_.back() = std::move(t);
        else
            m.tokens_.push_back(std::move(t));
    }
    return m;
}

// Narrows the sorted list byte by byte.
const added_token* added_matcher::longest_at(std::string_view text, std::size_t pos) const {
    auto low = tokens_.begin(), high = tokens_.end();
    const added_token* best = nullptr;
    for (std::size_t depth = 0; pos + depth < text.size(); ++depth) {
        const auto byte = static_cast<unsigned char>(text[pos + depth]);
        auto at = [&](const added_token& t) {
            return t.content.size() <= depth
                       ? -1
                       : static_cast<int>(static_cast<unsigned char>(t.content[depth]));
        };
        low = std::partition_point(low, high, [&](auto& t) { return at(t) < byte; });
        high = std::partition_point(low, high, [&](auto& t) { return at(t) <= byte; });
        if (low == high) break;
        if (low->content.size() == depth + 1) best = &*low;
    }
    return best;
}

void added_matcher::split(std::string_view text, bool parse_special, std::vector<segment>& out)
    const {
    std::size_t done = 0;
    auto flush = [&](std::size_t end) {
        if (end > done) out.push_back({text.substr(done, end - done), no_token});
    };
    for (std::size_t pos = 0; !tokens_.empty() && pos < text.size();) {
        const added_token* t =
            starts_[static_cast<unsigned char>(text[pos])] ? longest_at(text, pos) : nullptr;
        if (!t) {
            ++pos;
            continue;
        }
        std::size_t begin = pos, end = pos + t->content.size();
        pos = end;
        if (t->special && !parse_special) continue;
        if (t->single_word && (word_before(text, begin) || word_after(text, end))) continue;
        if (t->lstrip) begin = skip_space_back(text, begin, done);
        if (t->rstrip) end = skip_space(text, end);
        flush(begin);
        out.push_back({text.substr(begin, end - begin), t->id});
        done = end;
        pos = std::max(pos, end);
    }
    flush(text.size());
}

} // namespace rlx::text
