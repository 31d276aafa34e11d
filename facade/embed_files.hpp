// SPDX-License-Identifier: GPL-3.0-only
// Private: the files that sentence-transformers puts beside the weights.
#pragma once

#include "rlx/embedder.hpp"

#include <nlohmann/json_fwd.hpp>

namespace rlx {

// What is found there; members that no file gives stay empty.
struct sentence_files {
    std::optional<rlx::pooling> pooling;
    std::string unsupported_pooling;
    std::string pooling_file;
    bool include_prompt = true;
    bool has_modules = false;
    bool normalise = false; // with has_modules
    std::vector<dense_layer> dense;
    std::optional<std::int64_t> max_length;
    std::string max_length_file;
    bool lower_case = false;
    std::vector<std::pair<std::string, std::string>> prompts;
    std::string default_prompt;
    std::optional<rlx::similarity> similarity;
    std::optional<std::int64_t> dimensions;
};

result<sentence_files> read_sentence_files(const std::filesystem::path& folder);

// A Dense module's folder: config.json and model.safetensors.
result<dense_layer> read_dense(const std::filesystem::path& folder);
// values [in] -> [out].
std::vector<float> apply_dense(const dense_layer& layer, std::span<const float> values);

// A JSON object, nullopt when there is no such file. RLX_CORRUPT_DATA names it.
result<std::optional<nlohmann::json>> read_json_object(const std::filesystem::path& file);

} // namespace rlx
