// SPDX-License-Identifier: GPL-3.0-only
// Sizes come from the tensors: GGUF files of this family have no settled metadata and Meta's none
// at all. What a config says besides is compared with them.
#include "config.hpp"

#include <cmath>

namespace rlx::dinov2 {
namespace {

using sdk::checkpoint;

constexpr sdk::int_range sizes{.min = 1, .max = 1 << 24};
constexpr std::int64_t usual_head_dim = 64; // of every released size

void find_names(const checkpoint& c, config& m) {
    static constexpr std::string_view prefixes[] = {"", "dinov2.", "dinov2_with_registers."};
    for (const std::string_view prefix : prefixes)
        if (c.find(sdk::format("{}embeddings.cls_token", prefix))) {
            m.prefix = prefix;
            return;
        }
    m.names = spelling::meta;
    if (c.ok() && !c.find("cls_token"))
        c.errors().fail(
            RLX_NOT_FOUND,
            "neither embeddings.cls_token (transformers' names) nor cls_token (Meta's names) is in "
            "the checkpoint"
        );
}

std::string name(const config& m, std::string_view hf, std::string_view meta) {
    return m.meta() ? std::string(meta) : sdk::format("{}{}", m.prefix, hf);
}

void check_same(
    const checkpoint& c, std::string_view key, std::int64_t found, std::string_view where
) {
    const std::int64_t said = c.integer(key, sizes, found);
    if (c.ok() && said != found)
        c.errors().fail(
            RLX_CORRUPT_DATA, "config: {} is {}, but {} shows {}", key, said, where, found
        );
}

void read_patches(const checkpoint& c, config& m) {
    const std::string proj =
        name(m, "embeddings.patch_embeddings.projection.weight", "patch_embed.proj.weight");
    m.hidden = c.size_of(proj, 4, 0);
    m.patch = c.size_of(proj, 4, 2);
    const std::int64_t channels = c.size_of(proj, 4, 1), across = c.size_of(proj, 4, 3);
    if (c.ok() && (channels != 3 || m.patch != across || m.patch < 1))
        c.errors().fail(
            RLX_UNSUPPORTED,
            "tensor {} has shape [{}, {}, {}, {}], expected [hidden, 3, patch, patch]",
            proj,
            m.hidden,
            channels,
            m.patch,
            across
        );
    check_same(c, "hidden_size", m.hidden, proj);

    const std::string table = name(m, "embeddings.position_embeddings", "pos_embed");
    const std::int64_t rows = c.size_of(table, 3, 1);
    m.grid = static_cast<std::int64_t>(std::lround(std::sqrt(static_cast<double>(rows - 1))));
    if (c.ok() && (rows < 2 || m.grid * m.grid + 1 != rows))
        c.errors().fail(
            RLX_UNSUPPORTED,
            "tensor {} has {} rows, expected one and those of a square grid",
            table,
            rows
        );
}

std::string in_layer(const config& m, std::int64_t i, std::string_view hf, std::string_view meta) {
    return m.meta() ? sdk::format("blocks.{}.{}", i, meta)
                    : sdk::format("{}encoder.layer.{}.{}", m.prefix, i, hf);
}

void read_layers(const checkpoint& c, config& m) {
    constexpr std::int64_t most = 4096;
    while (m.n_layers < most && c.find(in_layer(m, m.n_layers, "norm1.weight", "norm1.weight")))
        ++m.n_layers;
    if (c.ok() && m.n_layers == 0)
        c.errors().fail(
            RLX_NOT_FOUND,
            "tensor {}: not in the checkpoint",
            in_layer(m, 0, "norm1.weight", "norm1.weight")
        );
    check_same(c, "num_hidden_layers", m.n_layers, "the number of layers in the file");

    const std::string packed = in_layer(m, 0, "mlp.weights_in.weight", "mlp.w12.weight");
    m.swiglu = c.find(packed).has_value();
    const std::string inner =
        m.swiglu ? packed : in_layer(m, 0, "mlp.fc1.weight", "mlp.fc1.weight");
    m.inner = c.size_of(inner, 2, 0) / (m.swiglu ? 2 : 1);
    if (c.ok() && c.flag("use_swiglu_ffn", m.swiglu) != m.swiglu)
        c.errors().fail(
            RLX_CORRUPT_DATA,
            "config: use_swiglu_ffn is {}, but the file has {}",
            m.swiglu ? "false" : "true",
            inner
        );
    m.qkv_bias =
        c.find(in_layer(m, 0, "attention.attention.query.bias", "attn.qkv.bias")).has_value();
    if (c.ok() && c.flag("qkv_bias", m.qkv_bias) != m.qkv_bias)
        c.errors().fail(
            RLX_CORRUPT_DATA,
            "config: qkv_bias is {}, but the file has {} biases of queries, keys and values",
            m.qkv_bias ? "false" : "true",
            m.qkv_bias ? "the" : "no"
        );
}

// Not in the tensors, and not in Meta's files at all.
void read_heads(const checkpoint& c, config& m) {
    const bool usual = m.hidden % usual_head_dim == 0;
    const sdk::int_range range{.min = 1, .max = 1 << 16};
    if (c.ok() && !usual && !c.has("num_attention_heads"))
        c.errors().fail(
            RLX_MISSING_METADATA,
            "config: key 'num_attention_heads' is missing and hidden_size {} is no multiple of {}; "
            "give a config.json that says it",
            m.hidden,
            usual_head_dim
        );
    m.n_heads = c.integer("num_attention_heads", range, usual ? m.hidden / usual_head_dim : 1);
    if (c.ok() && m.hidden % m.n_heads != 0)
        c.errors().fail(
            RLX_CORRUPT_DATA,
            "config: hidden_size {} is no multiple of num_attention_heads {}",
            m.hidden,
            m.n_heads
        );
}

std::int64_t read_act(const checkpoint& c) {
    struct row {
        std::string_view name;
        std::int64_t act;
    };

    static constexpr row rows[] = {
        {"gelu", RLX_UNARY_GELU},
        {"gelu_new", RLX_UNARY_GELU_TANH},
        {"gelu_pytorch_tanh", RLX_UNARY_GELU_TANH},
        {"relu", RLX_UNARY_RELU},
        {"silu", RLX_UNARY_SILU},
        {"swish", RLX_UNARY_SILU},
    };
    const std::string_view name = c.text("hidden_act", "gelu");
    for (const row& r : rows)
        if (r.name == name) return r.act;
    c.errors().fail(
        RLX_UNSUPPORTED, "config: hidden_act '{}' (known: gelu, gelu_new, relu, silu)", name
    );
    return RLX_UNARY_GELU;
}

} // namespace

config read_config(const checkpoint& c) {
    config m;
    find_names(c, m);
    read_patches(c, m);
    read_layers(c, m);
    read_heads(c, m);
    m.act = read_act(c);
    m.norm_eps = static_cast<float>(c.real("layer_norm_eps", {.min = 0, .max = 1}, 1e-6));
    const std::string registers = name(m, "embeddings.register_tokens", "register_tokens");
    if (c.find(registers)) m.registers = c.size_of(registers, 3, 1);
    if (c.has("num_register_tokens")) {
        const std::int64_t said = c.integer("num_register_tokens", {.min = 0, .max = 1 << 16});
        if (c.ok() && said != m.registers)
            c.errors().fail(
                RLX_CORRUPT_DATA,
                "config: num_register_tokens is {}, but the file has {}",
                said,
                m.registers
            );
    }
    const std::string_view classifier = m.meta() ? "head" : "classifier";
    const std::string weight = sdk::format("{}.weight", classifier);
    if (c.find(weight)) m.classes = c.size_of(weight, 2, 0);
    // Read for its own graph only, and what training alone needs.
    c.ignore(weight);
    c.ignore(sdk::format("{}.bias", classifier));
    c.ignore(name(m, "embeddings.mask_token", "mask_token"));
    return m;
}

} // namespace rlx::dinov2
