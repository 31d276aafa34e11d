// SPDX-License-Identifier: GPL-3.0-only
#include "tokenizer/model.hpp"

#include "tokenizer/byte_level.hpp"
#include "unicode/utf8.hpp"

#include <algorithm>
#include <limits>

namespace rlx::text {
namespace {

using symbol = merge_scratch::symbol;
using candidate = merge_scratch::candidate;

// Up to this many symbols a plain scan for the best pair beats the heap.
constexpr std::size_t short_word = 20;

constexpr std::size_t max_word_bytes = std::numeric_limits<std::int32_t>::max();

// Max-heap order of std::push_heap: the top is the lowest priority value, then the leftmost.
bool later(const candidate& a, const candidate& b) {
    return a.priority != b.priority ? a.priority > b.priority : a.left > b.left;
}

void link(std::vector<symbol>& symbols) {
    for (std::size_t i = 0; i < symbols.size(); ++i) {
        symbols[i].previous = static_cast<std::int32_t>(i) - 1;
        symbols[i].next = i + 1 < symbols.size() ? static_cast<std::int32_t>(i + 1) : -1;
    }
}

// Merges by a queue; `find(left, right)` gives the candidate of a pair (merged == no_token: none).
template <class Find>
void merge_by_queue(merge_scratch& s, Find find) {
    auto& symbols = s.symbols;
    auto& heap = s.heap;
    heap.clear();
    auto push = [&](std::int32_t left) {
        const std::int32_t right = left < 0 ? -1 : symbols[static_cast<std::size_t>(left)].next;
        if (right < 0) return;
        const symbol &a = symbols[static_cast<std::size_t>(left)],
                     &b = symbols[static_cast<std::size_t>(right)];
        candidate c = find(a, b);
        if (c.merged == no_token) return;
        c.left = left;
        c.size = a.size + b.size;
        heap.push_back(c);
        std::push_heap(heap.begin(), heap.end(), later);
    };
    for (std::size_t i = 0; i + 1 < symbols.size(); ++i)
        push(static_cast<std::int32_t>(i));
    while (!heap.empty()) {
        std::pop_heap(heap.begin(), heap.end(), later);
        const candidate c = heap.back();
        heap.pop_back();
        symbol& a = symbols[static_cast<std::size_t>(c.left)];
        if (a.size == 0 || a.next < 0) continue;
        symbol& b = symbols[static_cast<std::size_t>(a.next)];
        // Stale when either side has grown since: the pair is then another pair with its own entry.
        if (a.size + b.size != c.size || find(a, b).merged != c.merged) continue;
        a.id = c.merged;
        a.size += b.size;
        b.size = 0;
        a.next = b.next;
        if (a.next >= 0) symbols[static_cast<std::size_t>(a.next)].previous = c.left;
        push(a.previous);
        push(c.left);
    }
}

std::array<token_id, 256> byte_tokens(const token_table& tokens, bool byte_level) {
    std::array<token_id, 256> ids{};
    for (unsigned b = 0; b < 256; ++b) {
        const char one = static_cast<char>(b);
        constexpr const char* digits = "0123456789ABCDEF";
        const std::string name = {'<', '0', 'x', digits[b >> 4], digits[b & 15], '>'};
        ids[b] = tokens.find(byte_level ? std::string_view(&one, 1) : std::string_view(name));
        if (ids[b] == no_token && !byte_level) ids[b] = tokens.find(name, true);
    }
    return ids;
}

// Byte tokens for `text` when the vocabulary has all of them.
bool append_bytes(
    std::string_view text, const std::array<token_id, 256>& ids, std::vector<token_id>& out
) {
    for (char c : text)
        if (ids[static_cast<unsigned char>(c)] == no_token) return false;
    for (char c : text)
        out.push_back(ids[static_cast<unsigned char>(c)]);
    return true;
}

error no_token_for(std::string_view text) {
    return {
        RLX_CORRUPT_DATA,
        "the vocabulary has neither a token for \"" + std::string(text) +
            "\" nor an unknown token"};
}

error word_too_long(std::size_t size) {
    return {
        RLX_INVALID_ARGUMENT,
        "text of " + std::to_string(size) + " bytes without a place to cut it, at most " +
            std::to_string(max_word_bytes) + " are supported"};
}

} // namespace

bool may_cut_before(const token_table& tokens, std::string_view mark) {
    if (tokens.find(mark) == no_token) return false;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        const token_table::entry e = tokens.info(static_cast<token_id>(i));
        if (e.literal || e.type == token_type::absent) continue;
        const std::string_view t = tokens.bytes(static_cast<token_id>(i));
        for (std::size_t at = t.find(mark); at != t.npos; at = t.find(mark, at + mark.size()))
            if (at > 0 && !t.substr(0, at).ends_with(mark)) return false;
    }
    return true;
}

result<bpe_model> bpe_model::make(const token_table& tokens, merge_table merges, options o) {
    bpe_model m;
    m.tokens_ = &tokens;
    m.merges_ = std::move(merges);
    m.bytes_ = byte_tokens(tokens, o.byte_level);
    m.options_ = std::move(o);
    m.memo_ = std::make_unique<std::atomic<std::uint8_t>[]>(tokens.size());
    return m;
}

token_id bpe_model::start_symbol(std::string_view character, bool first, bool last) const {
    if (options_.end_of_word.empty() && options_.continuing.empty()) {
        if (options_.byte_level) return bytes_[static_cast<unsigned char>(character[0])];
        return tokens_->find(character);
    }
    std::string text = first ? std::string() : options_.continuing;
    text += character;
    if (last) text += options_.end_of_word;
    return tokens_->find(text);
}

result<void> bpe_model::split_into_symbols(std::string_view word, std::vector<symbol>& out) const {
    out.clear();
    auto add = [&](token_id id, std::size_t begin, std::size_t size) {
        out.push_back(
            {id, -1, -1, static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(size)}
        );
    };
    for (std::size_t i = 0; i < word.size();) {
        const std::size_t size = options_.byte_level ? 1 : decode_at(word, i).size;
        const token_id id = start_symbol(word.substr(i, size), i == 0, i + size == word.size());
        if (id != no_token) {
            add(id, i, size);
        } else {
            bool fallback = options_.byte_fallback;
            for (std::size_t k = 0; k < size; ++k)
                fallback &= bytes_[static_cast<unsigned char>(word[i + k])] != no_token;
            if (fallback) {
                for (std::size_t k = 0; k < size; ++k)
                    add(bytes_[static_cast<unsigned char>(word[i + k])], i + k, 1);
            } else if (options_.unk == no_token) {
                return no_token_for(word.substr(i, size));
            } else if (options_.fuse_unk && !out.empty() && out.back().id == options_.unk) {
                out.back().size += static_cast<std::uint32_t>(size);
            } else {
                add(options_.unk, i, size);
            }
        }
        i += size;
    }
    link(out);
    return {};
}

// Repeats: find the best pair, merge it, close the gap.
void bpe_model::merge_short(std::vector<symbol>& symbols) const {
    constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();
    std::array<merge_table::merge, short_word> best;
    auto look_up = [&](std::size_t i) {
        const merge_table::merge* m =
            i + 1 < symbols.size() ? merges_.find(symbols[i].id, symbols[i + 1].id) : nullptr;
        best[i] = m ? *m : merge_table::merge{none, no_token};
    };
    for (std::size_t i = 0; i < symbols.size(); ++i)
        look_up(i);
    while (symbols.size() > 1) {
        std::size_t at = 0;
        for (std::size_t i = 1; i + 1 < symbols.size(); ++i)
            if (best[i].rank < best[at].rank) at = i;
        if (best[at].merged == no_token) break;
        symbols[at].id = best[at].merged;
        symbols[at].size += symbols[at + 1].size;
        symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(at) + 1);
        std::copy(
            best.begin() + static_cast<std::ptrdiff_t>(at) + 2,
            best.begin() + static_cast<std::ptrdiff_t>(symbols.size()) + 1,
            best.begin() + static_cast<std::ptrdiff_t>(at) + 1
        );
        look_up(at);
        if (at > 0) look_up(at - 1);
    }
}

void bpe_model::merge_long(merge_scratch& scratch) const {
    merge_by_queue(scratch, [&](const symbol& a, const symbol& b) -> candidate {
        const merge_table::merge* m = merges_.find(a.id, b.id);
        return m ? candidate{static_cast<double>(m->rank), 0, m->merged, 0}
                 : candidate{0, 0, no_token, 0};
    });
}

result<void>
bpe_model::encode(std::string_view word, merge_scratch& scratch, std::vector<token_id>& out) const {
    if (word.size() > max_word_bytes) return word_too_long(word.size());
    const bool plain = options_.end_of_word.empty() && options_.continuing.empty();
    const token_id token = plain ? tokens_->find(word) : no_token;
    if (token != no_token) {
        const std::uint8_t known =
            memo_[static_cast<std::size_t>(token)].load(std::memory_order_relaxed);
        if (options_.ignore_merges || known == whole) {
            out.push_back(token);
            return {};
        }
    }
    RLX_CHECK(split_into_symbols(word, scratch.symbols));
    if (scratch.symbols.size() <= short_word)
        merge_short(scratch.symbols);
    else
        merge_long(scratch);
    const std::size_t first = out.size();
    for (const symbol& s : scratch.symbols)
        if (s.size) out.push_back(s.id);
    if (token != no_token) {
        const bool same = out.size() == first + 1 && out[first] == token;
        memo_[static_cast<std::size_t>(token)].store(
            same ? whole : split, std::memory_order_relaxed
        );
    }
    return {};
}

result<spm_model> spm_model::make(const token_table& tokens, std::vector<float> scores, options o) {
    spm_model m;
    if (scores.size() != tokens.size())
        return error{
            RLX_CORRUPT_DATA,
            std::to_string(scores.size()) + " scores for " + std::to_string(tokens.size()) +
                " tokens"};
    m.tokens_ = &tokens;
    m.scores_ = std::move(scores);
    m.options_ = o;
    m.bytes_ = byte_tokens(tokens, false);
    return m;
}

result<void>
spm_model::encode(std::string_view word, merge_scratch& scratch, std::vector<token_id>& out) const {
    if (word.size() > max_word_bytes) return word_too_long(word.size());
    auto& symbols = scratch.symbols;
    symbols.clear();
    for (std::size_t i = 0; i < word.size();) {
        const std::uint32_t size = decode_at(word, i).size;
        symbols.push_back(
            {tokens_->find(word.substr(i, size)), -1, -1, static_cast<std::uint32_t>(i), size}
        );
        i += size;
    }
    link(symbols);
    merge_by_queue(scratch, [&](const symbol& a, const symbol& b) -> candidate {
        const token_id id = tokens_->find(word.substr(a.begin, a.size + b.size));
        if (id == no_token) return {0, 0, no_token, 0};
        return {-static_cast<double>(scores_[static_cast<std::size_t>(id)]), 0, id, 0};
    });
    for (const symbol& s : symbols) {
        if (!s.size) continue;
        const std::string_view text = word.substr(s.begin, s.size);
        if (s.id != no_token)
            out.push_back(s.id);
        else if (append_bytes(text, bytes_, out))
            continue;
        else if (options_.unk != no_token)
            out.push_back(options_.unk);
        else
            return no_token_for(text);
    }
    return {};
}

} // namespace rlx::text
