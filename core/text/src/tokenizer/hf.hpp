// SPDX-License-Identifier: GPL-3.0-only
// tokenizer.json and the files beside it -> pipeline.
#pragma once

#include "json_access.hpp"
#include "tokenizer/hf_tables.hpp"
#include "tokenizer/pipeline.hpp"

namespace rlx::text {

// The texts of the files; only tokenizer.json is required.
struct hf_files {
    std::string tokenizer;
    std::optional<std::string> config;             // tokenizer_config.json
    std::optional<std::string> special_tokens_map; // special_tokens_map.json
    std::optional<std::string> generation_config;  // generation_config.json
};

result<std::unique_ptr<pipeline>> load_hf(const hf_files& files);

// A unigram model is made when the added tokens are known: control tokens are not found in text.
struct unigram_parts {
    std::vector<double> scores;
    unigram_model::options options;
};

// "model": fills p.tokens, p.kind and, but for a unigram model, p.model.
result<std::optional<unigram_parts>>
read_model(const json& model, const hf_tables& tables, bool byte_level, pipeline& p);
result<void> make_unigram(unigram_parts parts, pipeline& p);

// Components; each appends to the pipeline's chain. Errors name the component.
result<void> add_normalizer(const json& j, normalizer& out);
result<void> add_pre_tokenizer(const json& j, pre_tokenizer& out, bool& byte_level);
result<void> add_decoder(const json& j, decoder_rules& out);

} // namespace rlx::text
