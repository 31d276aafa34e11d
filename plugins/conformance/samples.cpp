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

// Of a manifest's "model_type" or "model_type/Class".
json config_of(const std::string& type) {
    const std::size_t slash = type.find('/');
    return {
        {"model_type", type.substr(0, slash)},
        {"architectures", {slash == type.npos ? "ForCausalLM" : type.substr(slash + 1)}},
        {"dtype", "float32"},
        {"hidden_act", "silu"},
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

// Every head has keys of its own. The class is not known unless the manifest names it.
json encoder_config_of(const std::string& type) {
    json c = config_of(type);
    c["hidden_act"] = "gelu";
    c.erase("num_key_value_heads");
    if (type.find('/') == type.npos) c.erase("architectures");
    return c;
}

using tensors = std::vector<std::pair<std::string, std::vector<std::int64_t>>>;

void add_linear(tensors& out, const std::string& name, std::int64_t rows, std::int64_t columns) {
    out.emplace_back(name + ".weight", std::vector<std::int64_t>{rows, columns});
    out.emplace_back(name + ".bias", std::vector<std::int64_t>{rows});
}

void add_norm(tensors& out, const std::string& name) {
    out.emplace_back(name + ".weight", std::vector<std::int64_t>{hidden});
    out.emplace_back(name + ".bias", std::vector<std::int64_t>{hidden});
}

void add_table(tensors& out, const std::string& name, std::int64_t rows) {
    out.emplace_back(name + ".weight", std::vector<std::int64_t>{rows, hidden});
}

tensors decoder_tensors(const std::string&) {
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

// Encoders with the names of BERT: a matrix for each of query, key and value, learned positions.
tensors encoder_tensors(const std::string& type) {
    const std::string prefix = type.find("roberta") == type.npos ? "bert." : "roberta.";
    tensors out;
    add_table(out, prefix + "embeddings.word_embeddings", vocab);
    add_table(out, prefix + "embeddings.position_embeddings", 64);
    add_table(out, prefix + "embeddings.token_type_embeddings", 2);
    add_norm(out, prefix + "embeddings.LayerNorm");
    for (std::int64_t i = 0; i < layers; i++) {
        const std::string at = prefix + "encoder.layer." + std::to_string(i) + ".";
        for (const char* part : {"query", "key", "value"})
            add_linear(out, at + "attention.self." + part, hidden, hidden);
        add_linear(out, at + "attention.output.dense", hidden, hidden);
        add_norm(out, at + "attention.output.LayerNorm");
        add_linear(out, at + "intermediate.dense", inner, hidden);
        add_linear(out, at + "output.dense", hidden, inner);
        add_norm(out, at + "output.LayerNorm");
    }
    return out;
}

// Of one layer with a matrix for query, key and value together and a gated feed-forward.
void add_packed_layer(tensors& out, const std::string& at) {
    add_norm(out, at + "norm1");
    add_norm(out, at + "norm2");
    add_linear(out, at + "attn.Wqkv", 3 * hidden, hidden);
    add_linear(out, at + "attn.out_proj", hidden, hidden);
    add_linear(out, at + "mlp.fc11", inner, hidden);
    add_linear(out, at + "mlp.fc12", inner, hidden);
    add_linear(out, at + "mlp.fc2", hidden, inner);
}

// Encoders with the names of NomicBERT and the other children of flash-attn's BERT: rotary
// positions.
tensors packed_encoder_tensors(const std::string&) {
    tensors out;
    add_table(out, "embeddings.word_embeddings", vocab);
    add_table(out, "embeddings.token_type_embeddings", 2);
    add_norm(out, "emb_ln");
    for (std::int64_t i = 0; i < layers; i++)
        add_packed_layer(out, "encoder.layers." + std::to_string(i) + ".");
    return out;
}

// Image encoders of 16 x 16 pixels, patches of 8.
constexpr std::int64_t image = 16, patch = 8, patches = 4;

json image_config_of(const std::string& type) {
    json c = config_of(type);
    c.update(
        {{"hidden_act", "gelu"},
         {"image_size", image},
         {"img_size", image},
         {"patch_size", patch},
         {"prenorm", true},
         {"attention_bias", nullptr}}
    );
    return c;
}

json packed_image_config_of(const std::string& type) {
    json c = image_config_of(type);
    c["hidden_act"] = "swiglu";
    return c;
}

tensors image_tensors(const std::string& type) {
    tensors out = {
        {"embeddings.cls_token", {1, 1, hidden}},
        {"embeddings.position_embeddings", {1, 1 + patches, hidden}},
        {"embeddings.patch_embeddings.projection.weight", {hidden, 3, patch, patch}},
        {"embeddings.patch_embeddings.projection.bias", {hidden}}};
    if (type.find("registers") != type.npos)
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

tensors packed_image_tensors(const std::string&) {
    tensors out = {
        {"embeddings.cls_token", {1, 1, hidden}},
        {"embeddings.pos_embed", {1, 1 + patches, hidden}},
        {"selector.attn.latent", {1, 1, hidden}}};
    add_linear(out, "embeddings.proj", hidden, 3 * patch * patch);
    for (std::int64_t i = 0; i < layers; i++)
        add_packed_layer(out, "layers." + std::to_string(i) + ".");
    add_linear(out, "selector.attn.Wq", hidden, hidden);
    add_linear(out, "selector.attn.Wkv", 2 * hidden, hidden);
    add_linear(out, "selector.attn.out_proj", hidden, hidden);
    add_norm(out, "selector.norm1");
    add_linear(out, "selector.mlp.fc11", inner, hidden);
    add_linear(out, "selector.mlp.fc12", inner, hidden);
    add_linear(out, "selector.mlp.fc2", hidden, inner);
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

struct layout {
    const char* name;
    const char* task; // of the families that may read it
    json (*config)(const std::string& type);
    tensors (*list)(const std::string& type);
};

constexpr layout layouts[] = {
    {"decoder", "lm", config_of, decoder_tensors},
    {"encoder", "encode", encoder_config_of, encoder_tensors},
    {"packed-encoder", "encode", encoder_config_of, packed_encoder_tensors},
    {"image", "encode_image", image_config_of, image_tensors},
    {"packed-image", "encode_image", packed_image_config_of, packed_image_tensors}};

void write_sample(const std::filesystem::path& at, const layout& l, const std::string& type) {
    std::filesystem::create_directories(at);
    std::ofstream(at / "config.json") << l.config(type).dump(2);
    write_safetensors(at / "model.safetensors", l.list(type));
}

// Those of the task; of a task that is not known, all.
std::vector<const layout*> layouts_of(const std::string& task) {
    std::vector<const layout*> out, all;
    for (const layout& l : layouts) {
        all.push_back(&l);
        if (task == l.task) out.push_back(&l);
    }
    return out.empty() ? all : out;
}

template <class Fn>
void each_sample(const rlx::manifest& m, const Fn& fn) {
    for (const auto& p : m.provides)
        for (const std::string& type : p.hf_model_types)
            for (const layout* l : layouts_of(p.task))
                if (p.kind == "family") fn(std::filesystem::path(type) / l->name, *l, type);
}

} // namespace

void write_samples(const std::filesystem::path& folder, const rlx::manifest& m) {
    write_sample(folder / "llama", layouts[0], "llama"); // what backends read their weights from
    each_sample(m, [&](const auto& at, const layout& l, const std::string& type) {
        write_sample(folder / "families" / at, l, type);
    });
}

std::vector<std::filesystem::path>
family_samples(const std::filesystem::path& folder, const rlx::manifest& m) {
    std::vector<std::filesystem::path> out;
    each_sample(m, [&](const auto& at, const layout&, const std::string&) {
        out.push_back(folder / "families" / at);
    });
    return out;
}

} // namespace conformance
