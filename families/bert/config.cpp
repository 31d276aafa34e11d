// SPDX-License-Identifier: GPL-3.0-only
#include "config.hpp"

namespace rlx::bert {
namespace {

using sdk::checkpoint;

constexpr sdk::int_range sizes{.min = 1, .max = 1 << 24};

kind read_kind(const checkpoint& c) {
    const std::string_view arch = c.architecture();
    if (arch == "mpnet") return kind::mpnet;
    if (arch == "distilbert") return kind::distilbert;
    if (arch == "roberta" || arch == "xlm-roberta") return kind::roberta;
    if (c.ok() && arch != "bert")
        c.errors().fail(
            RLX_UNSUPPORTED,
            "architecture '{}' is not one of bert, roberta, xlm-roberta, mpnet, distilbert",
            arch
        );
    return kind::bert;
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
    const std::string_view fallback = c.text("activation", "gelu"); // DistilBERT's spelling
    const std::string_view name = c.text("hidden_act", fallback);
    for (const row& r : rows) {
        if (r.name == name) return r.act;
    }
    c.errors().fail(
        RLX_UNSUPPORTED, "config: hidden_act '{}' (known: gelu, gelu_new, relu, silu)", name
    );
    return RLX_UNARY_GELU;
}

std::string table_name(const config& m, std::string_view leaf) {
    return sdk::format(
        "{}{}embeddings.{}.weight",
        m.prefixed ? prefix_of(m.kind) : std::string_view(),
        m.prefixed ? "." : "",
        leaf
    );
}

// Sizes that the tables show, checked against what the config says.
void read_tables(const checkpoint& c, config& m) {
    const std::string words = table_name(m, "word_embeddings");
    m.vocab = c.size_of(words, 2, 0);
    const std::int64_t width = c.size_of(words, 2, 1);
    const std::int64_t named = c.integer("vocab_size", sizes, m.vocab);
    if (c.ok() && (width != m.hidden || named != m.vocab)) {
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
    m.positions = c.size_of(table_name(m, "position_embeddings"), 2, 0);
    if (c.find(table_name(m, "token_type_embeddings")))
        m.types = c.size_of(table_name(m, "token_type_embeddings"), 2, 0);
    if (m.kind == kind::roberta || m.kind == kind::mpnet)
        m.unplaced = c.integer("pad_token_id", {.min = 0, .max = 1 << 20}, 1);
    if (m.kind == kind::mpnet) m.unplaced = 1; // the reference's code has the number
    m.first_position = m.unplaced + 1;
    if (c.ok() && m.context() < 1) {
        c.errors().fail(
            RLX_CORRUPT_DATA,
            "tensor {} has {} rows, but a text's first token has position {}",
            table_name(m, "position_embeddings"),
            m.positions,
            m.first_position
        );
    }
}

} // namespace

std::string_view prefix_of(kind k) {
    static constexpr std::string_view names[] = {"bert", "roberta", "mpnet", "distilbert"};
    return names[static_cast<std::size_t>(k)];
}

config read_config(const checkpoint& c) {
    config m;
    m.kind = read_kind(c);
    // DistilBERT has keys of its own.
    const bool distil = m.kind == kind::distilbert;
    m.hidden = c.integer(distil ? "dim" : "hidden_size", sizes);
    m.n_layers = c.integer("num_hidden_layers", {.min = 1, .max = 4096});
    m.n_heads = c.integer("num_attention_heads", {.min = 1, .max = 1 << 16});
    m.inner = c.integer(distil ? "hidden_dim" : "intermediate_size", sizes);
    if (c.ok() && m.hidden % m.n_heads != 0) {
        c.errors().fail(
            RLX_CORRUPT_DATA,
            "config: hidden_size {} is no multiple of num_attention_heads {}",
            m.hidden,
            m.n_heads
        );
    }
    // DistilBERT has the number in its code.
    if (!distil)
        m.norm_eps = static_cast<float>(c.real("layer_norm_eps", {.min = 0, .max = 1}, 1e-12));
    m.act = read_act(c);
    m.gguf = c.is_gguf();
    m.prefixed = !m.gguf && !c.find("embeddings.word_embeddings.weight").has_value();
    read_tables(c, m);
    if (m.kind == kind::mpnet)
        m.buckets = c.integer("relative_attention_num_buckets", {.min = 4, .max = 1 << 16}, 32);
    read_heads(c, m);
    ignore_heads(c, m);
    return m;
}

} // namespace rlx::bert
