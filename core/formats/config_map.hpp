// SPDX-License-Identifier: GPL-3.0-only
// Private to core/formats: config keys as transformers 5 spells them, answered from a config.json
// of any age or from GGUF metadata. The spellings are tables in config_map.cpp.
#pragma once

#include "json_flat.hpp"
#include "rlx/formats/gguf.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace rlx {

// kind is RLX_META_*; s borrows from the document or is static.
struct config_value {
    std::uint32_t kind;
    std::int64_t i = 0;
    double f = 0;
    std::string_view s = {};
};

// Exactly this key; null and objects count as absent.
std::optional<config_value> config_raw(const json_flat& doc, std::string_view key);
// Exactly this key, or element N of an array for "key.N".
std::optional<config_value> config_raw(const gguf_file& file, std::string_view key);

// The key in any spelling, at the top or under text_config.
std::optional<config_value> config_find(const json_flat& doc, std::string_view key);

struct gguf_facts {
    bool tied_embeddings;        // no output.weight
    std::int64_t embedding_rows; // of token_embd.weight, 0 when absent
};

// The key mapped to "<arch>.*"; else verbatim; else with the architecture in front.
std::optional<config_value>
config_find(const gguf_file& file, const gguf_facts& facts, std::string_view key);

} // namespace rlx
