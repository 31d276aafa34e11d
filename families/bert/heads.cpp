// SPDX-License-Identifier: GPL-3.0-only
// What stands behind the last hidden state: pooler, sequence classification, masked language model.
#include "config.hpp"

#include <cmath>

namespace rlx::bert {
namespace {

using sdk::checkpoint;
using sdk::graph_builder;
using sdk::scope;
using sdk::tensor;

// Where a kind keeps the modules of its heads; empty: it has none.
struct head_names {
    std::string_view dense, out;               // classification, on the first token
    std::string_view transform, norm, decoder; // masked language model
    std::string_view bias;                     // of the vocabulary, beside the decoder's own
    std::string_view architecture, masked;     // classes of transformers, for messages
};

const head_names& names_of(kind k) {
    static constexpr head_names bert{
        "",
        "classifier",
        "cls.predictions.transform.dense",
        "cls.predictions.transform.LayerNorm",
        "cls.predictions.decoder",
        "cls.predictions.bias",
        "BertForSequenceClassification",
        "BertForMaskedLM"};
    static constexpr head_names roberta{
        "classifier.dense",
        "classifier.out_proj",
        "lm_head.dense",
        "lm_head.layer_norm",
        "lm_head.decoder",
        "lm_head.bias",
        "RobertaForSequenceClassification",
        "RobertaForMaskedLM"};
    static constexpr head_names mpnet{
        "classifier.dense",
        "classifier.out_proj",
        "lm_head.dense",
        "lm_head.layer_norm",
        "lm_head.decoder",
        "lm_head.bias",
        "MPNetForSequenceClassification",
        "MPNetForMaskedLM"};
    static constexpr head_names distilbert{
        "pre_classifier",
        "classifier",
        "vocab_transform",
        "vocab_layer_norm",
        "vocab_projector",
        "vocab_projector.bias",
        "DistilBertForSequenceClassification",
        "DistilBertForMaskedLM"};
    switch (k) {
    case kind::roberta: return roberta;
    case kind::mpnet: return mpnet;
    case kind::distilbert: return distilbert;
    default: return bert;
    }
}

// GGUF files keep RoBERTa's names whatever the kind.
const head_names& class_names(const config& c) {
    return names_of(c.gguf ? kind::roberta : c.kind);
}

std::string leaf(std::string_view module, std::string_view name) {
    return sdk::format("{}.{}", module, name);
}

std::string with_prefix(const config& m, std::string_view name) {
    return m.prefixed ? leaf(prefix_of(m.kind), name) : std::string(name);
}

// What the config says about the number of classes.
void check_classes(const checkpoint& c, const config& m, std::string_view tensor) {
    const sdk::int_range range{.min = 1, .max = 1 << 24};
    std::int64_t named = c.integer("num_labels", range, m.classes);
    if (c.has("id2label.0")) {
        named = 1;
        while (named <= m.classes && c.has(sdk::format("id2label.{}", named)))
            ++named;
    }
    if (c.ok() && named != m.classes)
        c.errors().fail(
            RLX_CORRUPT_DATA,
            "tensor {} has {} classes, the config names {}{}",
            tensor,
            m.classes,
            named > m.classes ? "more than " : "",
            named > m.classes ? m.classes : named
        );
}

tensor dense(scope m, tensor x, std::int64_t out) {
    return linear(m, x, {.out = out, .bias = sdk::bias::required});
}

// State of the first token of each text, [B, hidden].
tensor first_tokens(scope m, tensor x, tensor cu_seqlens) {
    const sdk::dim bounds = m.graph().shape_of(cu_seqlens).back();
    if (!m.ok()) return {};
    const sdk::dim texts = m.graph().combine(RLX_DIM_SUB, bounds, 1);
    return take_rows(m, x, slice(m, cu_seqlens, 0, 0, texts));
}

void lacks(scope m, const config& c, std::string_view what, std::string_view missing) {
    m.graph().errors().fail(
        RLX_UNSUPPORTED,
        "the checkpoint has no {}: it lacks tensor {}{}",
        what,
        missing,
        c.gguf ? " (GGUF converters drop it)" : ""
    );
}

// root: without the prefix; body: with it.
tensor pooled(scope body, tensor x, tensor cu_seqlens, const config& c) {
    const scope m = body["pooler"]["dense"];
    if (!c.pooler) {
        lacks(m, c, "pooler", with_prefix(c, "pooler.dense.weight"));
        return {};
    }
    x = first_tokens(m, x, cu_seqlens);
    return unary(m, RLX_UNARY_TANH, dense(m, x, c.hidden));
}

tensor classes(scope root, scope body, tensor x, tensor cu_seqlens, const config& c) {
    const head_names& n = class_names(c);
    if (c.classes == 0) {
        lacks(
            root,
            c,
            sdk::format("classification head (as {} has)", names_of(c.kind).architecture),
            leaf(n.out, "weight")
        );
        return {};
    }
    if (n.dense.empty()) {
        x = pooled(body, x, cu_seqlens, c);
    } else {
        const scope m = root[n.dense];
        if (!c.class_dense) lacks(m, c, "layer before its classes", leaf(n.dense, "weight"));
        x = dense(m, first_tokens(m, x, cu_seqlens), c.hidden);
        x = unary(m, c.kind == kind::distilbert ? RLX_UNARY_RELU : RLX_UNARY_TANH, x);
    }
    return dense(root[n.out], x, c.classes);
}

tensor vocabulary(scope root, scope body, tensor x, const config& c) {
    const head_names& n = names_of(c.kind);
    if (!c.vocab_head) {
        lacks(
            root,
            c,
            sdk::format("masked language model head (as {} has)", n.masked),
            leaf(n.transform, "weight")
        );
        return {};
    }
    // RoBERTa and MPNet have gelu here whatever the layers have.
    const bool own_act = c.kind == kind::bert || c.kind == kind::distilbert;
    x = unary(
        root[n.transform],
        own_act ? c.act : std::int64_t{RLX_UNARY_GELU},
        dense(root[n.transform], x, c.hidden)
    );
    x = layer_norm(root[n.norm], x, c);
    const scope decoder = root[n.decoder];
    // Tied to the word embeddings unless the file has a matrix of its own.
    tensor w = decoder.weight(
        "weight", {c.vocab, c.hidden}, c.tied ? std::uint32_t{RLX_WEIGHT_OPTIONAL} : 0
    );
    if (!w) w = body["embeddings"]["word_embeddings"].weight("weight", {c.vocab, c.hidden});
    // A decoder that is not tied does not use the bias beside it either.
    tensor b = decoder.weight("bias", {c.vocab}, RLX_WEIGHT_OPTIONAL);
    if (!b) b = root.weight(n.bias, {c.vocab});
    return decoder.op(RLX_OP_MatMul, {x, w, b});
}

} // namespace

void read_heads(const checkpoint& c, config& m) {
    const head_names& n = class_names(m);
    m.pooler = c.find(with_prefix(m, "pooler.dense.weight")).has_value();
    m.class_dense = !n.dense.empty() && c.find(leaf(n.dense, "weight")).has_value();
    const std::string out = leaf(n.out, "weight");
    if (c.find(out)) {
        m.classes = c.size_of(out, 2, 0);
        check_classes(c, m, out);
    }
    m.vocab_head = c.find(leaf(names_of(m.kind).transform, "weight")).has_value();
    m.tied = c.flag("tie_word_embeddings", true);
}

void ignore_heads(const checkpoint& c, const config& m) {
    const head_names& n = names_of(m.kind);
    const head_names& k = class_names(m);
    for (const std::string_view module : {n.transform, n.norm, n.decoder, k.dense, k.out}) {
        for (const std::string_view name : {"weight", "bias", "gamma", "beta"})
            c.ignore(leaf(module, name));
    }
    c.ignore(n.bias);
    // The other task of BERT's training, the pooler, and a buffer that older versions stored.
    for (const std::string_view name :
         {"pooler.dense.weight", "pooler.dense.bias", "embeddings.position_ids"}) {
        c.ignore(name);
        c.ignore(leaf(prefix_of(m.kind), name));
    }
    c.ignore("cls.seq_relationship.weight");
    c.ignore("cls.seq_relationship.bias");
}

std::optional<head> head_of(std::string_view graph) {
    if (graph == RLX_GRAPH_ENCODE) return head::hidden;
    if (graph == RLX_GRAPH_ENCODE_POOLED) return head::pooled;
    if (graph == RLX_GRAPH_ENCODE_CLASSES) return head::classes;
    if (graph == RLX_GRAPH_ENCODE_VOCAB) return head::vocab;
    return {};
}

void build(graph_builder& g, const config& c, head h) {
    const scope root(g);
    const scope body = c.prefixed ? root[prefix_of(c.kind)] : root;
    const tensor x = hidden_states(body, g, c);
    const tensor cu_seqlens = g.declared_input("cu_seqlens", RLX_I32, 1);
    switch (h) {
    case head::hidden: g.output("hidden", x); break;
    case head::pooled: g.output("pooled", pooled(body, x, cu_seqlens, c)); break;
    case head::classes: g.output("scores", classes(root, body, x, cu_seqlens, c)); break;
    case head::vocab: g.output("logits", vocabulary(root, body, x, c)); break;
    }
}

} // namespace rlx::bert
