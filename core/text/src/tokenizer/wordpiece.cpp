// SPDX-License-Identifier: GPL-3.0-only
#include "tokenizer/wordpiece.hpp"

#include "unicode/utf8.hpp"

#include <algorithm>

namespace rlx::text {

result<wordpiece_model> wordpiece_model::make(const token_table& tokens, options o) {
    if (!tokens.contains(o.unk))
        return error{RLX_CORRUPT_DATA, "WordPiece needs an unknown token, the vocabulary has none"};
    wordpiece_model m;
    m.tokens_ = &tokens;
    m.options_ = std::move(o);
    for (std::size_t i = 0; i < tokens.size(); ++i)
        if (tokens.contains(static_cast<std::int64_t>(i)))
            m.longest_ = std::max(m.longest_, tokens.bytes(static_cast<token_id>(i)).size());
    return m;
}

void wordpiece_model::encode(std::string_view word, std::vector<token_id>& out) const {
    const std::size_t first = out.size();
    const auto unknown = [&] {
        out.resize(first);
        out.push_back(options_.unk);
    };
    if (count_code_points(word) > options_.max_characters) return unknown();
    std::string piece; // the prefix, then what is left of the word
    while (!word.empty()) {
        piece = out.size() == first ? std::string() : options_.continuing;
        const std::size_t prefix = piece.size();
        piece += word.substr(0, longest_);
        token_id id = no_token;
        while (piece.size() > prefix) {
            id = tokens_->find(piece);
            if (id != no_token) break;
            // One character less.
            while (piece.size() > prefix &&
                   (static_cast<unsigned char>(piece.back()) & 0xC0) == 0x80)
                piece.pop_back();
            if (piece.size() > prefix) piece.pop_back();
        }
        if (id == no_token) return unknown();
        out.push_back(id);
        word.remove_prefix(piece.size() - prefix);
    }
}

} // namespace rlx::text
