// SPDX-License-Identifier: GPL-3.0-only
// The two merge models. Both take one word and append its token ids; O(n log n) in the word's
// length.
#pragma once

#include "rlx/base/result.hpp"
#include "tokenizer/merge_table.hpp"
#include "tokenizer/token_table.hpp"

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace rlx::text {

inline constexpr std::string_view space_mark =
    "\xE2\x96\x81"; // U+2581, a space in SentencePiece vocabularies

// Buffers of one encode() call, kept between words.
struct merge_scratch {
    struct symbol {
        token_id id = no_token;
        std::int32_t previous = -1, next = -1;
        std::uint32_t begin = 0, size = 0; // bytes of the word; size 0: merged away
    };

    struct candidate {
        double priority; // lower merges first
        std::int32_t left;
        token_id merged;
        std::uint32_t size; // bytes of the pair when it was queued; differs when stale
    };

    std::vector<symbol> symbols;
    std::vector<candidate> heap;
};

// Can no merge cross the start of a run of `mark`? Then text may be cut there before it is merged.
bool may_cut_before(const token_table& tokens, std::string_view mark);

// Byte-pair encoding by rank of the merge.
class bpe_model {
public:
    struct options {
        bool byte_level = false;    // the words' bytes are the alphabet; else characters
        bool ignore_merges = false; // a word that is a token is that token
        bool byte_fallback = false; // a character without a token becomes <0xXX> tokens
        bool fuse_unk = false;
        token_id unk = no_token;
        std::string end_of_word; // appended to the last character of each word, "</w>"
        std::string continuing;  // prefixed to every character but the first, "##"
    };

    // `tokens` outlives the model and is indexed. Errors name what the vocabulary lacks.
    static result<bpe_model> make(const token_table& tokens, merge_table merges, options o);

    result<void>
    encode(std::string_view word, merge_scratch& scratch, std::vector<token_id>& out) const;

private:
    enum memo : std::uint8_t { unknown, whole, split };

    result<void>
    split_into_symbols(std::string_view word, std::vector<merge_scratch::symbol>& out) const;
    void merge_short(std::vector<merge_scratch::symbol>& symbols) const;
    void merge_long(merge_scratch& scratch) const;
    token_id start_symbol(std::string_view character, bool first, bool last) const;

    const token_table* tokens_ = nullptr;
    merge_table merges_;
    options options_;
    std::array<token_id, 256> bytes_{}; // tokens of single bytes (byte level) or of <0xXX>
    // Does a token's own text encode to the token? Learnt on first use; what makes encoding fast:
    // most words are one token, found by one look-up.
    std::unique_ptr<std::atomic<std::uint8_t>[]> memo_;
};

// SentencePiece's BPE: merges whatever adjacent pair is the token with the best score.
class spm_model {
public:
    struct options {
        token_id unk = no_token;
    };

    static result<spm_model> make(const token_table& tokens, std::vector<float> scores, options o);

    result<void>
    encode(std::string_view word, merge_scratch& scratch, std::vector<token_id>& out) const;

private:
    const token_table* tokens_ = nullptr;
    std::vector<float> scores_;
    options options_;
    std::array<token_id, 256> bytes_{};
};

} // namespace rlx::text
