// SPDX-License-Identifier: GPL-3.0-only
// The unigram language model of SentencePiece (Kudo 2018, arXiv:1804.10959): of all ways to cut a
// text into tokens the one with the largest sum of scores.
#pragma once

#include "rlx/base/result.hpp"
#include "tokenizer/token_table.hpp"

#include <array>
#include <string_view>
#include <vector>

namespace rlx::text {

// An unknown character scores this much below the worst token, as SentencePiece has it.
inline constexpr double unknown_penalty = 10;

class unigram_model {
public:
    struct options {
        token_id unk = no_token;
        bool byte_fallback = false; // unknown text becomes <0xXX> tokens
        bool fuse_unk = true;       // neighbouring unknown characters are one token
        double unk_score = 0;       // of one unknown character
    };

    // Control and unknown tokens are never found in text. `tokens` outlives the model; scores has
    // one number per id.
    static result<unigram_model>
    make(const token_table& tokens, std::vector<double> scores, options o);

    // O(n log V) in the text's length, with vectors of that length.
    result<void> encode(std::string_view text, std::vector<token_id>& out) const;

private:
    // How the best way to a byte of the text arrives there.
    struct arrival {
        double score = 0;
        std::uint32_t from = 0;
        token_id id = no_token; // options.unk: a character without a token
        bool reached = false;
    };

    void find_best(std::string_view text, std::vector<arrival>& best) const;
    result<void> add_unknown(std::string_view text, std::vector<token_id>& out) const;

    const token_table* tokens_ = nullptr;
    std::vector<double> scores_;
    options options_;
    std::vector<token_id> sorted_; // by their bytes: the tokens with one prefix are a range
    std::array<std::uint32_t, 257> first_byte_{}; // where the range of a first byte begins
    std::array<token_id, 256> bytes_{};
};

} // namespace rlx::text
