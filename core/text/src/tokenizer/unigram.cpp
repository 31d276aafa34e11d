// SPDX-License-Identifier: GPL-3.0-only
#include "tokenizer/unigram.hpp"

#include "tokenizer/byte_level.hpp"
#include "unicode/utf8.hpp"

#include <algorithm>
#include <limits>

namespace rlx::text {

result<unigram_model>
unigram_model::make(const token_table& tokens, std::vector<double> scores, options o) {
    if (scores.size() != tokens.size())
        return error{
            RLX_CORRUPT_DATA,
            std::to_string(scores.size()) + " scores for " + std::to_string(tokens.size()) +
                " tokens"};
    unigram_model m;
    m.tokens_ = &tokens;
    m.scores_ = std::move(scores);
    m.options_ = o;
    m.bytes_.fill(no_token);
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        const auto id = static_cast<token_id>(i);
        if (!tokens.contains(id)) continue;
        const std::string_view bytes = tokens.bytes(id);
        const token_type type = tokens.info(id).type;
        if (const auto byte = parse_byte_token(bytes)) m.bytes_[*byte] = id;
        // Of tokens with equal bytes the one the look-up knows counts.
        const bool found =
            type != token_type::control && type != token_type::unknown && type != token_type::byte;
        if (found && !bytes.empty() && id != o.unk && tokens.find(bytes) == id)
            m.sorted_.push_back(id);
    }
    std::sort(m.sorted_.begin(), m.sorted_.end(), [&](token_id a, token_id b) {
        return tokens.bytes(a) < tokens.bytes(b);
    });
    std::uint32_t at = 0;
    for (std::size_t byte = 0; byte < 256; ++byte) {
        m.first_byte_[byte] = at;
        while (at < m.sorted_.size() &&
               static_cast<unsigned char>(tokens.bytes(m.sorted_[at]).front()) == byte)
            ++at;
    }
    m.first_byte_[256] = at;
    return m;
}

void unigram_model::find_best(std::string_view text, std::vector<arrival>& best) const {
    best.assign(text.size() + 1, {});
    for (std::size_t begin = 0; begin < text.size();) {
        const std::size_t character = decode_at(text, begin).size;
        const double so_far = best[begin].score;
        const auto offer = [&](std::size_t end, double score, token_id id) {
            arrival& a = best[end];
            if (!a.reached || so_far + score > a.score)
                a = {so_far + score, static_cast<std::uint32_t>(begin), id, true};
        };
        // The tokens that agree with the text so far; narrowed byte by byte.
        const auto byte = static_cast<unsigned char>(text[begin]);
        auto low = sorted_.begin() + first_byte_[byte],
             high = sorted_.begin() + first_byte_[byte + 1U];
        bool has_character = false;
        for (std::size_t n = 1; low != high; ++n) {
            // A token of n bytes comes first in its range.
            if (tokens_->bytes(*low).size() == n) {
                offer(begin + n, scores_[static_cast<std::size_t>(*low)], *low);
                has_character |= n == character;
                ++low;
            }
            if (begin + n >= text.size()) break;
            const char next = text[begin + n];
            const auto before = [&](token_id id, char c) {
                return static_cast<unsigned char>(tokens_->bytes(id)[n]) <
                       static_cast<unsigned char>(c);
            };
            const auto behind = [&](char c, token_id id) {
                return static_cast<unsigned char>(c) <
                       static_cast<unsigned char>(tokens_->bytes(id)[n]);
            };
            low = std::lower_bound(low, high, next, before);
            high = std::upper_bound(low, high, next, behind);
        }
        if (!has_character) offer(begin + character, options_.unk_score, options_.unk);
        begin += character;
    }
}

result<void> unigram_model::add_unknown(std::string_view text, std::vector<token_id>& out) const {
    if (options_.byte_fallback && std::all_of(text.begin(), text.end(), [&](char c) {
            return bytes_[static_cast<unsigned char>(c)] != no_token;
        })) {
        for (const char c : text)
            out.push_back(bytes_[static_cast<unsigned char>(c)]);
        return {};
    }
    if (options_.unk == no_token)
        return error{
            RLX_CORRUPT_DATA,
            "the vocabulary has neither a token for \"" + std::string(text) +
                "\" nor an unknown token"};
    out.push_back(options_.unk);
    return {};
}

result<void> unigram_model::encode(std::string_view text, std::vector<token_id>& out) const {
    if (text.size() >= std::numeric_limits<std::uint32_t>::max())
        return error{
            RLX_INVALID_ARGUMENT,
            "text of " + std::to_string(text.size()) + " bytes without a place to cut it"};
    std::vector<arrival> best;
    find_best(text, best);

    struct step {
        std::size_t begin, end;
        token_id id;
    };

    std::vector<step> path; // backwards
    for (std::size_t end = text.size(); end > 0; end = best[end].from) {
        const arrival& a = best[end];
        const bool unknown = a.id == options_.unk;
        if (unknown && options_.fuse_unk && !path.empty() && path.back().id == options_.unk)
            path.back().begin = a.from;
        else
            path.push_back({a.from, end, a.id});
    }
    for (auto s = path.rbegin(); s != path.rend(); ++s) {
        if (s->id != options_.unk)
            out.push_back(s->id);
        else
            RLX_CHECK(add_unknown(text.substr(s->begin, s->end - s->begin), out));
    }
    return {};
}

} // namespace rlx::text
