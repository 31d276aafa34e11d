// SPDX-License-Identifier: GPL-3.0-only
#include "config_map.hpp"

#include "rlx/abi/weights.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <vector>

namespace rlx {
namespace {

// Spellings of one thing, the transformers 5 one first.
constexpr std::string_view spellings[][7] = {
    {"rope_parameters.rope_theta", "rope_theta", "rope_scaling.rope_theta", "rotary_emb_base"},
    {"rope_parameters.rope_type", "rope_scaling.rope_type", "rope_scaling.type"},
    {"rope_parameters.partial_rotary_factor",
     "partial_rotary_factor",
     "rotary_pct",
     "rotary_emb_fraction"},
    {"rope_parameters.original_max_position_embeddings",
     "rope_scaling.original_max_position_embeddings",
     "original_max_position_embeddings"},
    {"num_experts", "num_local_experts", "n_routed_experts"},
    {"num_experts_per_tok", "num_experts_per_token", "moe_topk", "moe_top_k"},
    {"dtype", "torch_dtype"},
    {"hidden_size", "n_embd", "d_model"},
    {"num_hidden_layers", "n_layer", "n_layers", "num_layers"},
    {"num_attention_heads", "n_head", "n_heads"},
    {"intermediate_size", "n_inner", "ffn_hidden_size"},
    {"max_position_embeddings", "n_positions", "n_ctx", "max_sequence_length"},
    {"rms_norm_eps", "norm_eps", "norm_epsilon"},
    {"layer_norm_eps", "layer_norm_epsilon"},
    {"hidden_act", "hidden_activation", "activation_function"},
    {"tie_word_embeddings", "tie_embeddings", "tie_embedding"},
};

// Sections in which a multimodal checkpoint keeps the language model's keys.
constexpr std::string_view sections[] = {"text_config.", "llm_config.", "language_config."};

std::vector<std::string> all_spellings(std::string_view key) {
    std::vector<std::string> out{std::string(key)};
    for (const auto& group : spellings) {
        if (std::find(std::begin(group), std::end(group), key) == std::end(group)) continue;
        for (std::string_view other : group) {
            if (!other.empty() && other != key) out.emplace_back(other);
        }
        return out;
    }
    // Every other rope parameter keeps its name.
    constexpr std::string_view now = "rope_parameters.", before = "rope_scaling.";
    if (key.starts_with(now)) out.push_back(std::string(before).append(key.substr(now.size())));
    if (key.starts_with(before)) out.push_back(std::string(now).append(key.substr(before.size())));
    return out;
}

std::string_view canonical(std::string_view key) {
    for (const auto& group : spellings) {
        if (std::find(std::begin(group), std::end(group), key) != std::end(group)) return group[0];
    }
    return key;
}

// Old names of rope types.
config_value modern(std::string_view key, config_value v) {
    if (canonical(key) == "rope_parameters.rope_type" && v.kind == RLX_META_STRING) {
        if (v.s == "su") v.s = "longrope";
        if (v.s == "none") v.s = "default"; // GGUF
    }
    return v;
}

struct gguf_row {
    std::string_view key;
    std::string_view gguf; // a leading '.' stands for "<arch>."
};

constexpr gguf_row gguf_rows[] = {
    {"model_type", "general.architecture"},
    {"hidden_size", ".embedding_length"},
    {"intermediate_size", ".feed_forward_length"},
    {"num_attention_heads", ".attention.head_count"},
    {"num_key_value_heads", ".attention.head_count_kv"},
    {"head_dim", ".attention.key_length"},
    {"v_head_dim", ".attention.value_length"},
    {"rms_norm_eps", ".attention.layer_norm_rms_epsilon"},
    {"layer_norm_eps", ".attention.layer_norm_epsilon"},
    {"max_position_embeddings", ".context_length"},
    {"vocab_size", ".vocab_size"},
    {"type_vocab_size", "tokenizer.ggml.token_type_count"},
    {"rope_parameters.rope_theta", ".rope.freq_base"},
    {"rope_parameters.rope_type", ".rope.scaling.type"},
    {"rope_parameters.factor", ".rope.scaling.factor"},
    {"rope_parameters.original_max_position_embeddings", ".rope.scaling.original_context_length"},
    {"rope_parameters.beta_fast", ".rope.scaling.yarn_beta_fast"},
    {"rope_parameters.beta_slow", ".rope.scaling.yarn_beta_slow"},
    {"rope_parameters.ext_factor", ".rope.scaling.yarn_ext_factor"},
    {"rope_local_base_freq", ".rope.freq_base_swa"},
    {"num_experts", ".expert_count"},
    {"num_experts_per_tok", ".expert_used_count"},
    {"moe_intermediate_size", ".expert_feed_forward_length"},
    {"shared_expert_intermediate_size", ".expert_shared_feed_forward_length"},
    {"n_shared_experts", ".expert_shared_count"},
    {"n_group", ".expert_group_count"},
    {"topk_group", ".expert_group_used_count"},
    {"routed_scaling_factor", ".expert_weights_scale"},
    {"norm_topk_prob", ".expert_weights_norm"},
    {"first_k_dense_replace", ".leading_dense_block_count"},
    {"num_nextn_predict_layers", ".nextn_predict_layers"},
    {"full_attention_interval", ".full_attention_interval"},
    {"sliding_window", ".attention.sliding_window"},
    {"attn_logit_softcapping", ".attn_logit_softcapping"},
    {"final_logit_softcapping", ".final_logit_softcapping"},
    {"logit_scale", ".logit_scale"},
    {"residual_multiplier", ".residual_scale"},
    {"embedding_multiplier", ".embedding_scale"},
    {"attention_multiplier", ".attention.scale"},
    {"conv_L_cache", ".shortconv.l_cache"},
    {"conv_kernel", ".ssm.conv_kernel"},
    {"ssm_state_size", ".ssm.state_size"},
    {"n_groups", ".ssm.group_count"},
    {"bos_token_id", "tokenizer.ggml.bos_token_id"},
    {"eos_token_id", "tokenizer.ggml.eos_token_id"},
    {"pad_token_id", "tokenizer.ggml.padding_token_id"},
    {"unk_token_id", "tokenizer.ggml.unknown_token_id"},
};

std::optional<config_value> from_gguf(const gguf_value& v) {
    if (auto b = v.boolean()) return config_value{RLX_META_BOOL, *b, *b ? 1.0 : 0.0};
    if (auto i = v.integer()) return config_value{RLX_META_INT, *i, static_cast<double>(*i)};
    if (auto f = v.number()) return config_value{RLX_META_FLOAT, 0, *f};
    if (auto s = v.string()) return config_value{RLX_META_STRING, 0, 0, *s};
    return config_value{RLX_META_ARRAY, static_cast<std::int64_t>(v.count)};
}

config_value integer(std::int64_t i) {
    return {RLX_META_INT, i, static_cast<double>(i)};
}

// "layer_types.3" -> "layer_types", 3.
std::optional<std::pair<std::string_view, std::uint64_t>> split_index(std::string_view key) {
    std::size_t dot = key.rfind('.');
    if (dot == key.npos || dot + 1 == key.size()) return std::nullopt;
    std::string_view digits = key.substr(dot + 1);
    std::uint64_t n = 0;
    auto [end, fail] = std::from_chars(digits.data(), digits.data() + digits.size(), n);
    if (fail != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
    return std::pair(key.substr(0, dot), n);
}

class gguf_lookup {
public:
    gguf_lookup(const gguf_file& file, const gguf_facts& facts) : file_(file), facts_(facts) {
        if (const gguf_value* v = file.find("general.architecture"))
            arch_ = v->string().value_or("");
    }

    std::optional<config_value> find(std::string_view key) const {
        key = canonical(key);
        if (auto v = computed(key)) return v;
        if (const gguf_value* v = mapped(key)) return from_gguf(*v);
        if (auto v = config_raw(file_, key)) return v;
        if (auto v = config_raw(file_, with_arch(key))) return v;
        if (auto at = split_index(key)) return element(canonical(at->first), at->second);
        return std::nullopt;
    }

private:
    std::string with_arch(std::string_view key) const {
        return std::string(arch_).append(".").append(key);
    }

    const gguf_value* mapped(std::string_view key) const {
        for (const gguf_row& row : gguf_rows) {
            if (row.key != key) continue;
            return row.gguf[0] == '.' ? file_.find(std::string(arch_).append(row.gguf))
                                      : file_.find(row.gguf);
        }
        return nullptr;
    }

    std::optional<config_value> element(std::string_view key, std::uint64_t i) const {
        const gguf_value* v = mapped(key);
        auto item = v ? v->at(i) : std::nullopt;
        return item ? from_gguf(*item) : std::nullopt;
    }

    std::optional<double> number(std::string_view suffix) const {
        const gguf_value* v = file_.find(with_arch(suffix));
        return v ? v->number() : std::nullopt;
    }

    std::optional<std::int64_t> count(std::string_view suffix) const {
        const gguf_value* v = file_.find(with_arch(suffix));
        return v ? v->integer() : std::nullopt;
    }

    // Keys that are no plain copy of one entry.
    std::optional<config_value> computed(std::string_view key) const {
        if (key == "num_hidden_layers") {
            auto blocks =
                count("block_count"); // the last nextn_predict_layers of them are draft heads
            return blocks
                       ? std::optional(integer(*blocks - count("nextn_predict_layers").value_or(0)))
                       : std::nullopt;
        }
        if (key == "vocab_size" && !mapped(key)) return vocab_size();
        if (key == "tie_word_embeddings")
            return config_value{RLX_META_BOOL, facts_.tied_embeddings};
        if (key == "rope_parameters.rope_type" && !mapped(key)) {
            return number("rope.scale_linear").value_or(1) != 1
                       ? std::optional(config_value{RLX_META_STRING, 0, 0, "linear"})
                       : std::nullopt;
        }
        if (key == "rope_parameters.factor" && !mapped(key)) {
            auto f = number("rope.scale_linear"); // files from before rope.scaling.*
            return f ? std::optional(config_value{RLX_META_FLOAT, 0, *f}) : std::nullopt;
        }
        if (key == "rope_parameters.attention_factor") return attention_factor();
        if (key == "rope_parameters.partial_rotary_factor") {
            auto rotary = number("rope.dimension_count"), head = number("attention.key_length");
            if (!rotary || !head || !(*head > 0)) return std::nullopt;
            return config_value{RLX_META_FLOAT, 0, *rotary / *head};
        }
        return std::nullopt;
    }

    std::optional<config_value> vocab_size() const {
        if (const gguf_value* tokens = file_.find("tokenizer.ggml.tokens")) {
            if (tokens->type == gguf_type::array)
                return integer(static_cast<std::int64_t>(tokens->count));
        }
        return facts_.embedding_rows > 0 ? std::optional(integer(facts_.embedding_rows))
                                         : std::nullopt;
    }

    // What multiplies cos and sin. yarn_attn_factor is the checkpoint's attention_factor;
    // attn_factor is a factor on top of the 1 + 0.1 ln(factor) that the file's reader applies
    // itself for yarn.
    std::optional<config_value> attention_factor() const {
        if (auto f = number("rope.scaling.yarn_attn_factor"))
            return config_value{RLX_META_FLOAT, 0, *f};
        auto f = number("rope.scaling.attn_factor");
        if (!f) return std::nullopt;
        auto type = find("rope_parameters.rope_type");
        auto factor = find("rope_parameters.factor");
        bool yarn = type && type->kind == RLX_META_STRING && type->s == "yarn";
        if (yarn && factor && factor->f > 1) *f *= 1 + 0.1 * std::log(factor->f);
        return config_value{RLX_META_FLOAT, 0, *f};
    }

    const gguf_file& file_;
    const gguf_facts& facts_;
    std::string_view arch_;
};

} // namespace

std::optional<config_value> config_raw(const json_flat& doc, std::string_view key) {
    auto at = doc.find(key);
    if (at == doc.end()) return std::nullopt;
    const json_scalar& v = at->second;
    switch (v.kind) {
    case json_kind::boolean: return config_value{RLX_META_BOOL, v.i, v.f};
    case json_kind::integer: return config_value{RLX_META_INT, v.i, v.f};
    case json_kind::number: return config_value{RLX_META_FLOAT, 0, v.f};
    case json_kind::string: return config_value{RLX_META_STRING, 0, 0, v.s};
    case json_kind::array: return config_value{RLX_META_ARRAY, v.i};
    default: return std::nullopt;
    }
}

std::optional<config_value> config_raw(const gguf_file& file, std::string_view key) {
    if (const gguf_value* v = file.find(key)) return from_gguf(*v);
    auto at = split_index(key);
    const gguf_value* array = at ? file.find(at->first) : nullptr;
    auto item = array ? array->at(at->second) : std::nullopt;
    return item ? from_gguf(*item) : std::nullopt;
}

std::optional<config_value> config_find(const json_flat& doc, std::string_view key) {
    std::vector<std::string> names = all_spellings(key);
    for (const std::string& name : names) {
        if (auto v = config_raw(doc, name)) return modern(key, *v);
        for (std::string_view section : sections) {
            if (auto v = config_raw(doc, std::string(section).append(name))) return modern(key, *v);
        }
    }
    return std::nullopt;
}

std::optional<config_value>
config_find(const gguf_file& file, const gguf_facts& facts, std::string_view key) {
    auto v = gguf_lookup(file, facts).find(key);
    return v ? std::optional(modern(key, *v)) : std::nullopt;
}

} // namespace rlx
