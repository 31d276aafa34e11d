// SPDX-License-Identifier: GPL-3.0-only
// What decoder-only language models have in common: sizes from config and tensor shapes, RoPE
// parameters in every spelling, the layer windows. Families add what makes them different.
#pragma once

#include "rlx/sdk/blocks.hpp"

#include <algorithm>
#include <vector>

namespace rlx::sdk {
inline namespace sdk_v1 {

// ---- rope ----

struct rope_config {
    std::int64_t dim = 0; // rotated elements per head
    double base = 10000;
    std::int64_t scaling = RLX_ROPE_NONE;
    double factor = 1;
    std::int64_t original_max = 0; // tokens the frequencies were trained for
    double low_freq_factor = 1;
    double high_freq_factor = 4;
    double beta_fast = 32;
    double beta_slow = 1;
    bool truncate = true;
    double attention_factor = 1; // on cos and sin
};

namespace detail {

inline bool known_rope(const checkpoint& c, std::string_view type, rope_config& r) {
    struct row {
        std::string_view name;
        std::int64_t scaling;
    };

    static constexpr row rows[] = {
        {"default", RLX_ROPE_NONE},
        {"linear", RLX_ROPE_LINEAR},
        {"dynamic", RLX_ROPE_DYNAMIC},
        {"llama3", RLX_ROPE_LLAMA3},
        {"yarn", RLX_ROPE_YARN},
    };
    for (const row& known : rows) {
        if (known.name != type) continue;
        r.scaling = known.scaling;
        return true;
    }
    c.errors().fail(
        RLX_UNSUPPORTED,
        "config: rope_parameters.rope_type '{}' (known: default, linear, dynamic, llama3, yarn)",
        type
    );
    return false;
}

inline std::string rope_key(std::string_view leaf) {
    return format("rope_parameters.{}", leaf);
}

inline constexpr real_range rope_factors{.min = 1e-6, .max = 1e6};

inline void read_llama3(const checkpoint& c, rope_config& r) {
    r.low_freq_factor = c.real(rope_key("low_freq_factor"), rope_factors);
    r.high_freq_factor = c.real(rope_key("high_freq_factor"), rope_factors);
    if (c.ok() && r.high_freq_factor <= r.low_freq_factor) {
        c.errors().fail(
            RLX_CORRUPT_DATA,
            "config: rope_parameters.high_freq_factor {} must be above low_freq_factor {}",
            r.high_freq_factor,
            r.low_freq_factor
        );
    }
}

inline double yarn_mscale(double factor, double mscale) {
    return factor <= 1 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0;
}

// 0 means "not given" for the four optional numbers, as in the reference.
inline void read_yarn(const checkpoint& c, rope_config& r) {
    const auto given = [&](std::string_view leaf, double fallback) {
        const double value = c.real(rope_key(leaf), {.min = 0, .max = 1e6}, 0);
        return value > 0 ? value : fallback;
    };
    r.beta_fast = given("beta_fast", 32);
    r.beta_slow = given("beta_slow", 1);
    r.truncate = c.flag(rope_key("truncate"), true);
    const double mscale = given("mscale", 0);
    const double mscale_all = given("mscale_all_dim", 0);
    const double inferred = mscale > 0 && mscale_all > 0
                                ? yarn_mscale(r.factor, mscale) / yarn_mscale(r.factor, mscale_all)
                                : yarn_mscale(r.factor, 1);
    r.attention_factor = c.real(rope_key("attention_factor"), rope_factors, inferred);
}

} // namespace detail

// What a checkpoint that rotates only part of each head is to the family: an error, or what the
// family does (rope() rotates as many elements as the table has, the rest passes through).
enum class partial_rotary { refused, done };

namespace detail {

// Rotated elements per head, as the reference rounds them.
inline std::int64_t
rotary_dim(const checkpoint& c, std::int64_t head_dim, enum partial_rotary partial) {
    const std::string key = rope_key("partial_rotary_factor");
    const double part = c.real(key, {.min = 0, .max = 1}, 1);
    if (!c.ok() || part == 1) return head_dim;
    if (partial == partial_rotary::refused) {
        c.errors().fail(
            RLX_UNSUPPORTED, "config: {} is {}, this family rotates whole heads", key, part
        );
        return head_dim;
    }
    const auto dim = static_cast<std::int64_t>(static_cast<double>(head_dim) * part);
    if (dim < 2 || dim % 2 != 0)
        c.errors().fail(
            RLX_CORRUPT_DATA,
            "config: {} {} of head_dim {} is {} elements, expected an even number from 2 on",
            key,
            part,
            head_dim,
            dim
        );
    return dim;
}

} // namespace detail

// context: max_position_embeddings. The host maps the older spellings and <arch>.rope.* of GGUF to
// rope_parameters; llama3 scaling arrives in GGUF as the tensor rope_freqs.weight instead.
inline rope_config read_rope(
    const checkpoint& c,
    std::int64_t head_dim,
    std::int64_t context,
    enum partial_rotary partial = partial_rotary::refused
) {
    using detail::rope_key;
    rope_config r;
    r.base = c.real(rope_key("rope_theta"), {.min = 1, .max = 1e12}, r.base);
    r.dim = detail::rotary_dim(c, head_dim, partial);
    if (c.ok() && head_dim % 2 != 0) {
        c.errors().fail(
            RLX_CORRUPT_DATA, "config: head_dim {} is odd, RoPE rotates pairs", head_dim
        );
    }
    if (!detail::known_rope(c, c.text(rope_key("rope_type"), "default"), r)) return r;
    if (r.scaling == RLX_ROPE_NONE) return r;
    const int_range lengths{.min = 1, .max = std::int64_t{1} << 31};
    // dynamic stretches beyond the context the model was trained for, whatever else the file says.
    const bool trained = r.scaling == RLX_ROPE_LLAMA3 || r.scaling == RLX_ROPE_YARN;
    r.original_max = trained
                         ? c.integer(rope_key("original_max_position_embeddings"), lengths, context)
                         : context;
    r.factor = r.scaling == RLX_ROPE_YARN && !c.has(rope_key("factor"))
                   ? static_cast<double>(context) / static_cast<double>(r.original_max)
                   : c.real(rope_key("factor"), detail::rope_factors);
    if (r.scaling == RLX_ROPE_LLAMA3) detail::read_llama3(c, r);
    if (r.scaling == RLX_ROPE_YARN) detail::read_yarn(c, r);
    return r;
}

// The table rope() takes, for every token: [T, dim]. GGUF files may carry frequency divisors.
inline tensor rope_table(scope m, const lm_inputs& in, const rope_config& r) {
    const tensor divisors = m.weight("rope_freqs.weight", {r.dim / 2}, RLX_WEIGHT_OPTIONAL);
    const tensor lengths = r.scaling == RLX_ROPE_DYNAMIC ? in.lengths : tensor{};
    return m.op(
        RLX_OP_RopeTable,
        {in.positions, divisors, lengths},
        {attr(RLX_ATTR_dim, r.dim),
         attr_real(RLX_ATTR_base, r.base),
         attr(RLX_ATTR_scaling, r.scaling),
         attr_real(RLX_ATTR_factor, r.factor),
         attr(RLX_ATTR_original_max, r.original_max),
         attr_real(RLX_ATTR_low_freq_factor, r.low_freq_factor),
         attr_real(RLX_ATTR_high_freq_factor, r.high_freq_factor),
         attr_real(RLX_ATTR_beta_fast, r.beta_fast),
         attr_real(RLX_ATTR_beta_slow, r.beta_slow),
         attr(RLX_ATTR_truncate, r.truncate ? 1 : 0),
         attr_real(RLX_ATTR_attention_factor, r.attention_factor)}
    );
}

// ---- sizes ----

// Llama-shaped decoders: model.embed_tokens, model.layers.N.{self_attn,mlp,...}, model.norm,
// lm_head.
struct decoder_config {
    std::int64_t vocab = 0; // rows of the embedding
    std::int64_t hidden = 0;
    std::int64_t n_layers = 0;
    std::int64_t n_heads = 0;
    std::int64_t n_kv_heads = 0;
    std::int64_t head_dim = 0;
    std::int64_t inner =
        any_size;             // of the dense feed-forward, any_size when the config does not say
    std::int64_t context = 0; // tokens the checkpoint was made for
    double norm_eps = 0;
    bool tied = false; // lm_head is the embedding
    std::int64_t act = RLX_GLU_SWIGLU;
    rope_config rope;
    std::vector<std::int64_t> windows; // [n_layers] keys a token sees, 0 = all
};

namespace detail {

inline std::int64_t read_act(const checkpoint& c) {
    const std::string_view act = c.text("hidden_act", "silu");
    if (act == "silu" || act == "swish") return RLX_GLU_SWIGLU;
    if (act == "gelu") return RLX_GLU_GEGLU_ERF;
    if (act == "gelu_pytorch_tanh" || act == "gelu_new") return RLX_GLU_GEGLU_TANH;
    if (act == "relu") return RLX_GLU_REGLU;
    c.errors().fail(
        RLX_UNSUPPORTED, "config: hidden_act '{}' (known: silu, gelu, gelu_pytorch_tanh, relu)", act
    );
    return RLX_GLU_SWIGLU;
}

// The stored shape decides; a config that names another head_dim is refused here, not later with
// a mismatch of every projection.
inline std::int64_t read_head_dim(const checkpoint& c, const decoder_config& d) {
    const std::string_view q = "model.layers.0.self_attn.q_proj.weight";
    const std::int64_t rows = c.size_of(q, 2, 0);
    if (!c.ok()) return 0;
    if (rows < d.n_heads || rows % d.n_heads != 0) {
        c.errors().fail(
            RLX_CORRUPT_DATA,
            "tensor {} has {} rows, no multiple of num_attention_heads {}",
            q,
            rows,
            d.n_heads
        );
        return 0;
    }
    const std::int64_t stored = rows / d.n_heads;
    const std::int64_t named = c.integer("head_dim", {.min = 1, .max = 1 << 16}, stored);
    if (c.ok() && named != stored) {
        c.errors().fail(
            RLX_CORRUPT_DATA,
            "tensor {} has {} rows, expected {} (num_attention_heads {} x head_dim {})",
            q,
            rows,
            d.n_heads * named,
            d.n_heads,
            named
        );
    }
    return stored;
}

inline void check_embedding(const checkpoint& c, decoder_config& d) {
    const std::string_view name = "model.embed_tokens.weight";
    d.vocab = c.size_of(name, 2, 0);
    const std::int64_t width = c.size_of(name, 2, 1);
    const std::int64_t named = c.integer("vocab_size", {.min = 1, .max = 1 << 28}, d.vocab);
    if (c.ok() && (named != d.vocab || width != d.hidden)) {
        c.errors().fail(
            RLX_CORRUPT_DATA,
            "tensor {} has shape [{}, {}], expected [{}, {}] (vocab_size, hidden_size)",
            name,
            d.vocab,
            width,
            named,
            d.hidden
        );
    }
}

} // namespace detail

// Everything but the windows, which families read by their own rules.
inline decoder_config read_decoder(const checkpoint& c) {
    decoder_config d;
    // The tensors of such a checkpoint mean nothing without its scales.
    const std::string_view packed = c.text("quantization_config.quant_method", "");
    if (c.ok() && !packed.empty()) {
        c.errors().fail(
            RLX_UNSUPPORTED,
            "config: quantization_config.quant_method '{}' (use the unquantised or a GGUF file)",
            packed
        );
    }
    const int_range sizes{.min = 1, .max = 1 << 24};
    d.hidden = c.integer("hidden_size", sizes);
    d.n_layers = c.integer("num_hidden_layers", {.min = 1, .max = 4096});
    d.n_heads = c.integer("num_attention_heads", {.min = 1, .max = 1 << 16});
    d.n_kv_heads = c.integer("num_key_value_heads", {.min = 1, .max = 1 << 16}, d.n_heads);
    if (c.ok() && d.n_heads % d.n_kv_heads != 0) {
        c.errors().fail(
            RLX_CORRUPT_DATA,
            "config: num_attention_heads {} is no multiple of num_key_value_heads {}",
            d.n_heads,
            d.n_kv_heads
        );
    }
    d.inner = c.integer("intermediate_size", sizes, any_size);
    d.context = c.integer("max_position_embeddings", {.min = 1, .max = std::int64_t{1} << 31});
    // Statistics are f32 in the reference, and GGUF stores the number as f32.
    d.norm_eps = static_cast<float>(c.real("rms_norm_eps", {.min = 1e-12, .max = 1}));
    d.act = detail::read_act(c);
    detail::check_embedding(c, d);
    d.head_dim = detail::read_head_dim(c, d);
    d.rope = read_rope(c, d.head_dim, d.context);
    d.tied = c.flag("tie_word_embeddings", false); // in GGUF: the file has no output matrix
    if (d.rope.scaling == RLX_ROPE_YARN) {
        const double reach = d.rope.factor * static_cast<double>(d.rope.original_max);
        d.context = std::max(d.context, static_cast<std::int64_t>(std::min(reach, 2e9)));
    }
    if (c.ok()) d.windows.assign(static_cast<std::size_t>(d.n_layers), 0);
    return d;
}

// Keys a token of a sliding layer sees, itself included; 0 when use_sliding_window is off.
inline std::int64_t read_window(const checkpoint& c) {
    if (!c.ok() || c.is_gguf() || !c.flag("use_sliding_window", false)) return 0;
    return c.integer("sliding_window", {.min = 1, .max = std::int64_t{1} << 31});
}

namespace detail {

inline bool layer_slides(const checkpoint& c, std::int64_t layer, std::int64_t window) {
    const std::string key = format("layer_types.{}", layer);
    const std::string_view type = c.text(key, "");
    if (type == "full_attention") return false;
    if (type != "sliding_attention") {
        c.errors().fail(
            RLX_UNSUPPORTED,
            "config: {} is '{}' (known: full_attention, sliding_attention)",
            key,
            type
        );
    } else if (window == 0) {
        c.errors().fail(
            RLX_CORRUPT_DATA,
            "config: {} is 'sliding_attention' but use_sliding_window is not set",
            key
        );
    }
    return true;
}

} // namespace detail

// The windows of the qwen configs: layer_types decides when it is there, else the layers from
// max_window_layers on slide.
inline void read_windows(const checkpoint& c, decoder_config& d) {
    const std::int64_t window = read_window(c);
    const auto listed = c.is_gguf() ? std::nullopt : c.array_size("layer_types");
    const std::int64_t first = c.integer("max_window_layers", {}, 28);
    if (c.ok() && listed && *listed != d.n_layers) {
        c.errors().fail(
            RLX_CORRUPT_DATA,
            "config: layer_types has {} entries, expected num_hidden_layers {}",
            *listed,
            d.n_layers
        );
    }
    for (std::int64_t i = 0; i < d.n_layers && c.ok(); ++i) {
        const bool slides = listed ? detail::layer_slides(c, i, window) : i >= first;
        d.windows[static_cast<std::size_t>(i)] = slides ? window : 0;
    }
}

// ---- the ends of the graph ----

// The graphs a decoder is built as; they differ in their end only.
inline status check_decoder_graph(std::string_view family, std::string_view graph) {
    if (graph == RLX_GRAPH_LM || graph == RLX_GRAPH_EMBED) return {};
    return fail(RLX_UNSUPPORTED, "{} has no graph '{}' (known: lm, embed)", family, graph);
}

// Final norm over the wanted rows: [R, hidden].
inline tensor final_norm(scope root, tensor x, const lm_inputs& in, const decoder_config& d) {
    const scope model = root["model"];
    return rms_norm(model["norm"], take_rows(model, x, in.rows), d.norm_eps);
}

// Final norm and head: "logits" [R, vocab].
inline void lm_head(scope root, tensor x, const lm_inputs& in, const decoder_config& d) {
    x = final_norm(root, x, in, d);
    const scope head = d.tied ? root["model"]["embed_tokens"] : root["lm_head"];
    root.graph().output("logits", linear(head, x, {.out = d.vocab}));
}

// Final norm alone: "hidden" [R, hidden].
inline void embed_head(scope root, tensor x, const lm_inputs& in, const decoder_config& d) {
    root.graph().output("hidden", final_norm(root, x, in, d));
}

// The end that the graph's name asks for.
inline void decoder_head(
    scope root, std::string_view graph, tensor x, const lm_inputs& in, const decoder_config& d
) {
    if (graph == RLX_GRAPH_EMBED) return embed_head(root, x, in, d);
    lm_head(root, x, in, d);
}

// The facts every language model family reports through info().
inline status put_info(options_writer& out, const decoder_config& d, std::string_view name) {
    return out.set("vocab_size", d.vocab)
        .set("context_length", d.context)
        .set("n_layers", d.n_layers)
        .set("hidden_size", d.hidden)
        .set("name", name)
        .done();
}

} // namespace sdk_v1
} // namespace rlx::sdk
