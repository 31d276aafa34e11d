// SPDX-License-Identifier: GPL-3.0-only
#include "config.hpp"

#include <cmath>

namespace rlx::nomic {
namespace {

using sdk::checkpoint;

constexpr sdk::int_range sizes{.min = 1, .max = 1 << 24};

std::int64_t round_up(std::int64_t n, std::int64_t multiple) {
    return (n + multiple - 1) / multiple * multiple;
}

// Options of the reference that change the forward and that no published text model has.
void refuse(const checkpoint& c) {
    struct row {
        std::string_view key, why;
    };

    static constexpr row rows[] = {
        {"prenorm", "norms in front of a layer"},
        {"causal", "causal attention"},
        {"use_rms_norm", "RMS norms"},
        {"parallel_block", "parallel blocks"},
        {"rotary_head_dim", "rotation along the heads"},
        {"moe_normalize_expert_weights", "normalised weights of experts"},
        {"expert_choice_router", "experts that choose their tokens"},
    };
    for (const row& r : rows) {
        // Some are numbers where they are set.
        if (c.ok() && c.has(r.key) && c.flag(r.key, false))
            c.errors().fail(RLX_UNSUPPORTED, "config: {} is true: {} are not done", r.key, r.why);
    }
    if (c.ok() && c.has("img_size") && c.has("patch_size"))
        c.errors().fail(
            RLX_UNSUPPORTED,
            "config: img_size and patch_size: a checkpoint for images; this family reads text"
        );
    const std::int64_t shared = c.integer("num_shared_experts", {.min = 0, .max = 1 << 20}, 0);
    if (c.ok() && shared != 0)
        c.errors().fail(
            RLX_UNSUPPORTED, "config: num_shared_experts is {}: shared experts are not done", shared
        );
}

std::string in_body(const config& m, std::string_view name) {
    return m.prefix.empty() ? std::string(name) : sdk::format("{}.{}", m.prefix, name);
}

std::string_view find_prefix(const checkpoint& c) {
    for (const std::string_view prefix : {"bert", "nomic_bert"}) {
        if (c.find(sdk::format("{}.embeddings.word_embeddings.weight", prefix))) return prefix;
    }
    return {};
}

// The gate's function is written as the activation's (transformers) or the pair's (the hub).
void read_act(const checkpoint& c, config& m) {
    struct row {
        std::string_view name;
        std::int64_t gated, plain; // -1: not done
    };

    static constexpr row rows[] = {
        {"swiglu", RLX_GLU_SWIGLU, -1},
        {"silu", RLX_GLU_SWIGLU, RLX_UNARY_SILU},
        {"swish", RLX_GLU_SWIGLU, RLX_UNARY_SILU},
        {"geglu", RLX_GLU_GEGLU_ERF, -1},
        {"gelu", RLX_GLU_GEGLU_ERF, RLX_UNARY_GELU},
        {"glu", RLX_GLU_SIGMOID, -1},
        {"relu", RLX_GLU_REGLU, RLX_UNARY_RELU},
        // The hub's code takes the exact function for these too.
        {"gelu_new", RLX_GLU_GEGLU_TANH, RLX_UNARY_GELU},
        {"gelu_fast", RLX_GLU_GEGLU_TANH, RLX_UNARY_GELU},
        {"gelu_pytorch_tanh", RLX_GLU_GEGLU_TANH, RLX_UNARY_GELU},
    };
    const std::string_view name = c.text("hidden_act", m.gated ? "swiglu" : "gelu");
    for (const row& r : rows) {
        if (r.name != name) continue;
        m.act = m.gated ? r.gated : r.plain;
        // Its code has silu for swiglu, else gelu, by name or exact.
        m.head_act = r.gated == RLX_GLU_SWIGLU       ? RLX_UNARY_SILU
                     : r.gated == RLX_GLU_GEGLU_TANH ? RLX_UNARY_GELU_TANH
                     : name == "relu"                ? RLX_UNARY_RELU
                                                     : RLX_UNARY_GELU;
        if (m.act >= 0) return;
    }
    c.errors().fail(
        RLX_UNSUPPORTED,
        "config: activation '{}' with a feed-forward {} gate (known: swiglu, geglu, glu, silu, "
        "relu with; gelu, silu, relu without)",
        name,
        m.gated ? "with a" : "without a"
    );
}

// How far the hub's code and transformers stretch rotation; both per text here.
void read_rope(const checkpoint& c, config& m) {
    const double part = c.real("rotary_emb_fraction", {.min = 0, .max = 1}, 1);
    if (part == 1) {
        m.rope = sdk::read_rope(c, m.head_dim, m.context);
    } else {
        const double dim = part * static_cast<double>(m.head_dim);
        m.rope.dim = static_cast<std::int64_t>(dim);
        m.rope.base = c.real("rotary_emb_base", {.min = 1, .max = 1e12});
        if (c.ok() &&
            (m.rope.dim < 2 || m.rope.dim % 2 != 0 || static_cast<double>(m.rope.dim) != dim))
            c.errors().fail(
                RLX_UNSUPPORTED,
                "config: rotary_emb_fraction {} of heads of {} (expected an even number of "
                "rotated elements; learned positions are not done)",
                part,
                m.head_dim
            );
    }
    if (c.ok() && !c.has("rope_parameters.rope_theta"))
        c.errors().fail(RLX_MISSING_METADATA, "config: key 'rotary_emb_base' is missing");
    m.interleaved = c.flag("rotary_emb_interleaved", false);
    if (m.rope.scaling == RLX_ROPE_DYNAMIC) {
        m.context = static_cast<std::int64_t>(static_cast<double>(m.context) * m.rope.factor);
    }
    const double factor = c.real("rotary_scaling_factor", {.min = 0, .max = 1e6}, 0);
    if (factor <= 0) return; // without it the code does not use rotary_emb_scale_base
    if (c.ok() && c.real("rotary_emb_scale_base", {.min = 0, .max = 1e12}, 0) > 0)
        c.errors().fail(
            RLX_UNSUPPORTED, "config: rotary_emb_scale_base beside rotary_scaling_factor"
        );
    m.rope.scaling = RLX_ROPE_DYNAMIC;
    m.rope.factor = factor;
    m.rope.original_max = c.integer("max_trained_positions", sizes, 2048);
}

void read_tables(const checkpoint& c, config& m) {
    const std::string words = in_body(m, "embeddings.word_embeddings.weight");
    m.vocab = c.size_of(words, 2, 0);
    const std::int64_t width = c.size_of(words, 2, 1);
    const std::int64_t named = c.integer("vocab_size", sizes, m.vocab);
    const std::int64_t padded =
        round_up(named, c.integer("pad_vocab_size_multiple", {.min = 1, .max = 1 << 16}, 1));
    if (c.ok() && (width != m.hidden || (m.vocab != named && m.vocab != padded))) {
        c.errors().fail(
            RLX_CORRUPT_DATA,
            "tensor {} has shape [{}, {}], expected [{}, {}] (vocab_size, hidden_size)",
            words,
            m.vocab,
            width,
            named,
            m.hidden
        );
    }
    const std::string types = in_body(m, "embeddings.token_type_embeddings.weight");
    if (c.find(types)) m.types = c.size_of(types, 2, 0);
}

std::string in_layer(const config& m, std::int64_t layer, std::string_view name) {
    return in_body(m, sdk::format("encoder.layers.{}.{}", layer, name));
}

void read_experts(const checkpoint& c, config& m) {
    m.moe_every = c.integer("moe_every_n_layers", {.min = 0, .max = 4096}, 0);
    if (!c.ok() || m.moe_every == 0) return;
    if (m.moe_every == 1) {
        c.errors().fail(RLX_CORRUPT_DATA, "config: moe_every_n_layers is 1, expected 2 or more");
        return;
    }
    m.experts = c.integer("num_experts", {.min = 1, .max = 1 << 16});
    m.experts_used = c.integer("num_experts_per_tok", {.min = 1, .max = 1 << 16});
    if (c.ok() && m.experts_used > m.experts)
        c.errors().fail(
            RLX_CORRUPT_DATA, "config: moe_top_k {} of num_experts {}", m.experts_used, m.experts
        );
}

// Gated layers of the hub's files are as wide as n_inner rounded up to 256.
void read_inner(const checkpoint& c, config& m) {
    constexpr std::int64_t multiple = 256;
    const std::int64_t usual = m.gated ? 8 * m.hidden / 3 : 4 * m.hidden;
    const std::int64_t named = c.integer("intermediate_size", sizes, usual);
    const std::string up = in_layer(m, 0, m.gated ? "mlp.fc11.weight" : "mlp.fc1.weight");
    m.inner = c.size_of(up, 2, 0);
    const std::int64_t rounded = m.gated ? round_up(named, multiple) : named;
    if (c.ok() && m.inner != named && m.inner != rounded)
        c.errors().fail(
            RLX_CORRUPT_DATA,
            "tensor {} has {} rows, expected {}{} (intermediate_size)",
            up,
            m.inner,
            named,
            rounded == named ? "" : sdk::format(" or, rounded up to {}, {}", multiple, rounded)
        );
}

sdk::bias read_bias(const checkpoint& c, std::string_view key) {
    if (!c.has(key)) return sdk::bias::if_present;
    return c.flag(key, false) ? sdk::bias::required : sdk::bias::none;
}

void read_attention(const checkpoint& c, config& m) {
    m.n_heads = c.integer("num_attention_heads", {.min = 1, .max = 1 << 16});
    if (c.ok() && !c.has("head_dim") && m.hidden % m.n_heads != 0)
        c.errors().fail(
            RLX_CORRUPT_DATA,
            "config: hidden_size {} is no multiple of num_attention_heads {}",
            m.hidden,
            m.n_heads
        );
    m.head_dim = c.integer("head_dim", sizes, m.hidden / m.n_heads);
    const std::int64_t kv = c.integer("num_heads_kv", sizes, m.n_heads);
    if (c.ok() && kv != m.n_heads)
        c.errors().fail(
            RLX_UNSUPPORTED,
            "config: num_heads_kv {} beside {} heads: shared keys are not done",
            kv,
            m.n_heads
        );
    m.qkv_bias = read_bias(c, "qkv_proj_bias");
}

} // namespace

config read_config(const checkpoint& c) {
    config m;
    refuse(c);
    m.gguf = c.is_gguf();
    m.hidden = c.integer("hidden_size", sizes);
    m.n_layers = c.integer("num_hidden_layers", {.min = 1, .max = 4096});
    m.context = c.integer("max_position_embeddings", sizes);
    m.norm_eps = static_cast<float>(c.real("layer_norm_eps", {.min = 0, .max = 1}, 1e-12));
    if (!c.ok()) return m;
    read_attention(c, m);
    m.prefix = m.gguf ? std::string_view() : find_prefix(c);
    read_tables(c, m);
    m.gated = c.find(in_layer(m, 0, "mlp.fc12.weight")).has_value();
    read_act(c, m);
    read_inner(c, m);
    read_experts(c, m);
    m.up_bias = read_bias(c, "mlp_fc1_bias");
    m.down_bias = read_bias(c, "mlp_fc2_bias");
    if (c.ok()) read_rope(c, m);
    if (c.ok()) read_heads(c, m);
    return m;
}

} // namespace rlx::nomic
