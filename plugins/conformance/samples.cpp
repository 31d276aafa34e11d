// SPDX-License-Identifier: GPL-3.0-only
// The built-in checkpoints.
#include "driver.hpp"

#include <cstdint>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

namespace conformance {
namespace {

using nlohmann::json;

constexpr std::int64_t hidden = 16, heads = 4, kv_heads = 2, head_dim = 4, inner = 24, vocab = 32,
                       layers = 2;

// BERT and its kin; everything else has the names of llama and qwen.
bool is_bert(const std::string& type) {
    return type.find("bert") != type.npos;
}

json config_of(const std::string& type) {
    return {
        {"model_type", type},
        {"architectures", json::array({"ForCausalLM"})},
        {"dtype", "float32"},
        {"hidden_act", is_bert(type) ? "gelu" : "silu"},
        {"layer_norm_eps", 1e-12},
        {"type_vocab_size", 2},
        {"pad_token_id", 0},
        {"hidden_size", hidden},
        {"intermediate_size", inner},
        {"num_hidden_layers", layers},
        {"num_attention_heads", heads},
        {"num_key_value_heads", kv_heads},
        {"head_dim", head_dim},
        {"vocab_size", vocab},
        {"max_position_embeddings", 64},
        {"rms_norm_eps", 1e-5},
        {"attention_bias", true},
        {"mlp_bias", false},
        {"tie_word_embeddings", false},
        {"use_sliding_window", false},
        {"rope_parameters", {{"rope_type", "default"}, {"rope_theta", 10000.0}}}};
}

using tensors = std::vector<std::pair<std::string, std::vector<std::int64_t>>>;

tensors tensors_of() {
    tensors out = {
        {"model.embed_tokens.weight", {vocab, hidden}},
        {"model.norm.weight", {hidden}},
        {"lm_head.weight", {vocab, hidden}}};
    for (std::int64_t i = 0; i < layers; i++) {
        const std::string at = "model.layers." + std::to_string(i) + ".";
        const auto add = [&](const char* name, std::vector<std::int64_t> shape) {
            out.emplace_back(at + name, std::move(shape));
        };
        add("input_layernorm.weight", {hidden});
        add("post_attention_layernorm.weight", {hidden});
        add("self_attn.q_proj.weight", {heads * head_dim, hidden});
        add("self_attn.k_proj.weight", {kv_heads * head_dim, hidden});
        add("self_attn.v_proj.weight", {kv_heads * head_dim, hidden});
        add("self_attn.o_proj.weight", {hidden, heads * head_dim});
        add("self_attn.q_proj.bias", {heads * head_dim});
        add("self_attn.k_proj.bias", {kv_heads * head_dim});
        add("self_attn.v_proj.bias", {kv_heads * head_dim});
        add("self_attn.o_proj.bias", {hidden});
        add("self_attn.q_norm.weight", {head_dim});
        add("self_attn.k_norm.weight", {head_dim});
        add("mlp.gate_proj.weight", {inner, hidden});
        add("mlp.up_proj.weight", {inner, hidden});
        add("mlp.down_proj.weight", {hidden, inner});
    }
    return out;
}

tensors bert_tensors(const std::string& prefix) {
    tensors out;
    const auto add = [&](const std::string& name, std::int64_t rows, std::int64_t columns) {
        out.emplace_back(prefix + name + ".weight", std::vector<std::int64_t>{rows, columns});
        out.emplace_back(prefix + name + ".bias", std::vector<std::int64_t>{rows});
    };
    const auto norm = [&](const std::string& name) {
        out.emplace_back(prefix + name + ".weight", std::vector<std::int64_t>{hidden});
        out.emplace_back(prefix + name + ".bias", std::vector<std::int64_t>{hidden});
    };
    const auto table = [&](const char* name, std::int64_t rows) {
        out.emplace_back(
            prefix + "embeddings." + name + "_embeddings.weight",
            std::vector<std::int64_t>{rows, hidden}
        );
    };
    table("word", vocab);
    table("position", 64);
    table("token_type", 2);
    norm("embeddings.LayerNorm");
    for (std::int64_t i = 0; i < layers; i++) {
        const std::string at = "encoder.layer." + std::to_string(i) + ".";
        for (const char* part : {"query", "key", "value"})
            add(at + "attention.self." + part, hidden, hidden);
        add(at + "attention.output.dense", hidden, hidden);
        norm(at + "attention.output.LayerNorm");
        add(at + "intermediate.dense", inner, hidden);
        add(at + "output.dense", hidden, inner);
        norm(at + "output.LayerNorm");
    }
    return out;
}

// Image encoders of 16 x 16 pixels, patches of 8.
constexpr std::int64_t image = 16, patch = 8, patches = 4;

bool is_image(const std::string& type) {
    return type.find("dinov2") != type.npos || type.find("Vision") != type.npos;
}

// type: a model_type, or "model_type/Class".
json image_config_of(const std::string& type) {
    const std::size_t slash = type.find('/');
    json c = config_of(type.substr(0, slash));
    if (slash != type.npos) c["architectures"] = {type.substr(slash + 1)};
    c.update(
        {{"hidden_act", slash == type.npos ? "gelu" : "swiglu"},
         {"image_size", image},
         {"img_size", image},
         {"patch_size", patch},
         {"prenorm", true},
         {"attention_bias", nullptr}}
    );
    return c;
}

void add_linear(tensors& out, const std::string& name, std::int64_t rows, std::int64_t columns) {
    out.emplace_back(name + ".weight", std::vector<std::int64_t>{rows, columns});
    out.emplace_back(name + ".bias", std::vector<std::int64_t>{rows});
}

void add_norm(tensors& out, const std::string& name, std::int64_t width = hidden) {
    out.emplace_back(name + ".weight", std::vector<std::int64_t>{width});
    out.emplace_back(name + ".bias", std::vector<std::int64_t>{width});
}

tensors dinov2_tensors(bool registers) {
    tensors out = {
        {"embeddings.cls_token", {1, 1, hidden}},
        {"embeddings.position_embeddings", {1, 1 + patches, hidden}},
        {"embeddings.patch_embeddings.projection.weight", {hidden, 3, patch, patch}},
        {"embeddings.patch_embeddings.projection.bias", {hidden}}};
    if (registers)
        out.emplace_back("embeddings.register_tokens", std::vector<std::int64_t>{1, 2, hidden});
    for (std::int64_t i = 0; i < layers; i++) {
        const std::string at = "encoder.layer." + std::to_string(i) + ".";
        add_norm(out, at + "norm1");
        add_norm(out, at + "norm2");
        for (const char* part : {"query", "key", "value"})
            add_linear(out, at + "attention.attention." + part, hidden, hidden);
        add_linear(out, at + "attention.output.dense", hidden, hidden);
        add_linear(out, at + "mlp.fc1", inner, hidden);
        add_linear(out, at + "mlp.fc2", hidden, inner);
        for (const char* n : {"1", "2"})
            out.emplace_back(
                at + "layer_scale" + n + ".lambda1", std::vector<std::int64_t>{hidden}
            );
    }
    add_norm(out, "layernorm");
    return out;
}

tensors nomic_vision_tensors() {
    tensors out = {
        {"embeddings.cls_token", {1, 1, hidden}},
        {"embeddings.pos_embed", {1, 1 + patches, hidden}},
        {"selector.attn.latent", {1, 1, hidden}}};
    add_linear(out, "embeddings.proj", hidden, 3 * patch * patch);
    const auto mlp = [&](const std::string& at) {
        add_linear(out, at + "fc11", inner, hidden);
        add_linear(out, at + "fc12", inner, hidden);
        add_linear(out, at + "fc2", hidden, inner);
    };
    for (std::int64_t i = 0; i < layers; i++) {
        const std::string at = "layers." + std::to_string(i) + ".";
        add_norm(out, at + "norm1");
        add_norm(out, at + "norm2");
        add_linear(out, at + "attn.Wqkv", 3 * hidden, hidden);
        add_linear(out, at + "attn.out_proj", hidden, hidden);
        mlp(at + "mlp.");
    }
    add_linear(out, "selector.attn.Wq", hidden, hidden);
    add_linear(out, "selector.attn.Wkv", 2 * hidden, hidden);
    add_linear(out, "selector.attn.out_proj", hidden, hidden);
    add_norm(out, "selector.norm1");
    mlp("selector.mlp.");
    return out;
}

// Small numbers of both signs, the same in every run.
float number(std::uint64_t i) {
    return static_cast<float>(static_cast<std::int64_t>(i * 2654435761U % 201) - 100) / 400.0F;
}

void write_safetensors(const std::filesystem::path& file, const tensors& list) {
    json header = json::object();
    std::uint64_t at = 0;
    std::string data;
    for (const auto& [name, shape] : list) {
        std::uint64_t n = 1;
        for (const std::int64_t d : shape)
            n *= static_cast<std::uint64_t>(d);
        header[name] = {{"dtype", "F32"}, {"shape", shape}, {"data_offsets", {at, at + n * 4}}};
        for (std::uint64_t i = 0; i < n; i++) {
            const float f = number(at + i);
            data.append(reinterpret_cast<const char*>(&f), 4);
        }
        at += n * 4;
    }
    std::string text = header.dump();
    text.resize((text.size() + 7) / 8 * 8, ' ');
    const std::uint64_t length = text.size();
    std::ofstream out(file, std::ios::binary);
    out.write(reinterpret_cast<const char*>(&length), 8);
    out << text << data;
}

void write_sample(const std::filesystem::path& folder, const std::string& type) {
    std::filesystem::create_directories(folder);
    if (is_image(type)) {
        std::ofstream(folder / "config.json") << image_config_of(type).dump(2);
        const bool nomic = type.find("Vision") != type.npos;
        write_safetensors(
            folder / "model.safetensors",
            nomic ? nomic_vision_tensors() : dinov2_tensors(type.find("registers") != type.npos)
        );
        return;
    }
    std::ofstream(folder / "config.json") << config_of(type).dump(2);
    const std::string prefix = type.find("roberta") == type.npos ? "bert." : "roberta.";
    write_safetensors(
        folder / "model.safetensors", is_bert(type) ? bert_tensors(prefix) : tensors_of()
    );
}

} // namespace

void write_samples(const std::filesystem::path& folder, const rlx::manifest& m) {
    write_sample(folder / "llama", "llama"); // what backends read their weights from
    for (const auto& p : m.provides)
        for (const std::string& type : p.hf_model_types)
            if (p.kind == "family") write_sample(folder / type, type);
}

} // namespace conformance
