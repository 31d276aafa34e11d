// SPDX-License-Identifier: GPL-3.0-only
// Private: the files that sentence-transformers puts beside the weights.
#pragma once

#include "rlx/embedder.hpp"

#include <nlohmann/json_fwd.hpp>

namespace rlx {

// What is found there; members that no file gives stay empty.
struct sentence_files {
    std::vector<rlx::pooling> pooling; // in the order of their vectors
    std::string unsupported_pooling;
    std::string pooling_file;
    bool include_prompt = true;
    bool has_modules = false;
    bool normalise = false; // with has_modules: the last one is Normalize
    std::vector<vector_module> modules;
    std::optional<std::int64_t> max_length;
    std::string max_length_file;
    bool lower_case = false;
    std::vector<std::pair<std::string, std::string>> prompts;
    std::string default_prompt;
    std::optional<rlx::similarity> similarity;
    std::optional<std::int64_t> dimensions;
};

// folder: with modules.json, if there is one; transformer: with the weights, below it or the same.
result<sentence_files>
read_sentence_files(const std::filesystem::path& folder, const std::filesystem::path& transformer);
// Where a folder of sentence-transformers has its weights: the path of the first module, mostly the
// folder itself, in older ones "0_Transformer". Other paths stay as they are.
result<std::filesystem::path> transformer_folder(const std::filesystem::path& folder);

// A module's folder: config.json and model.safetensors.
result<vector_module> read_dense(const std::filesystem::path& folder);
result<vector_module> read_layer_norm(const std::filesystem::path& folder);
// values [in] -> [out].
std::vector<float> apply_module(const vector_module& m, std::vector<float> values);

// A JSON object, nullopt when there is no such file. RLX_CORRUPT_DATA names it.
result<std::optional<nlohmann::json>> read_json_object(const std::filesystem::path& file);

} // namespace rlx
