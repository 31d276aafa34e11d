// SPDX-License-Identifier: GPL-3.0-only
// The one tokenizer implementation: special tokens, normaliser, pre-tokeniser, model, decoder. The
// loaders (gguf.cpp, hf.cpp) fill a pipeline; nothing changes it afterwards.
#pragma once

#include "rlx/text/text.hpp"
#include "tokenizer/added_tokens.hpp"
#include "tokenizer/decoder.hpp"
#include "tokenizer/model.hpp"
#include "tokenizer/normalizer.hpp"
#include "tokenizer/pre_tokenizer.hpp"
#include "tokenizer/unigram.hpp"
#include "tokenizer/wordpiece.hpp"

#include <variant>

namespace rlx::text {

// An item of a pair's template.
struct pair_item {
    enum class kind { token, first, second };

    kind what = kind::token;
    token_id id = no_token; // of a token
    std::int32_t type = 0;  // segment
};

struct pipeline {
    token_table tokens;
    added_matcher raw_added;        // matched before normalisation
    added_matcher normalized_added; // matched after it
    normalizer norm;
    pre_tokenizer pre;
    std::variant<std::monostate, bpe_model, spm_model, wordpiece_model, unigram_model> model;
    decoder_rules decoder;
    std::vector<token_id> prefix, suffix; // of add_special
    std::vector<pair_item> pair;          // of join(); empty: prefix a suffix b suffix
    std::optional<token_id> bos, eos;
    std::vector<token_id> stops;
    std::vector<std::pair<std::string, std::string>> special_tokens; // "bos_token" -> "<s>"
    std::string source, kind;
};

class pipeline_tokenizer final : public tokenizer {
public:
    // The models inside point into the pipeline's tokens, so it stays on the heap.
    explicit pipeline_tokenizer(std::unique_ptr<pipeline> p) : p_(std::move(p)) {}

    result<std::vector<std::int32_t>>
    encode(std::string_view text, const encode_options& o) const override;
    result<std::string> piece(std::int32_t id, bool special) const override;
    result<std::string> decode(std::span<const std::int32_t> ids, bool special) const override;

    std::int64_t vocab_size() const override {
        return static_cast<std::int64_t>(p_->tokens.size());
    }

    std::optional<std::int32_t> bos() const override { return p_->bos; }

    std::optional<std::int32_t> eos() const override { return p_->eos; }

    std::span<const std::int32_t> stop_ids() const override { return p_->stops; }

    bool adds_bos() const override {
        return p_->bos && !p_->prefix.empty() && p_->prefix.front() == *p_->bos;
    }

    std::optional<std::int32_t> id_of(std::string_view token) const override;

    std::string_view source() const override { return p_->source; }

    std::string_view kind() const override { return p_->kind; }

    std::vector<std::pair<std::string, std::string>> special_tokens() const override {
        return p_->special_tokens;
    }

    result<token_pair>
    join(std::span<const std::int32_t> a, std::span<const std::int32_t> b) const override;

    std::unique_ptr<stream_decoder> stream() const override;

    // Feeds one token to a detokenizer; errors for ids that are no token.
    result<void> push(detokenizer& d, std::int32_t id, bool special, std::string& out) const;

    const decoder_rules& rules() const { return p_->decoder; }

private:
    result<void> encode_text(
        std::string_view text,
        bool first,
        bool parse_special,
        merge_scratch& scratch,
        std::vector<token_id>& out
    ) const;
    result<void> check(std::int32_t id) const;

    std::unique_ptr<pipeline> p_;
};

} // namespace rlx::text
