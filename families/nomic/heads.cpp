// SPDX-License-Identifier: GPL-3.0-only
// What stands behind the last hidden state; the modules are BERT's.
#include "config.hpp"

namespace rlx::nomic {
namespace {

using sdk::scope;
using sdk::tensor;

constexpr std::string_view transform = "cls.predictions.transform";
constexpr std::string_view decoder = "cls.predictions.decoder";

std::string pooler_name(const config& c) {
    return sdk::format("{}{}pooler.dense", c.prefix, c.prefix.empty() ? "" : ".");
}

tensor lacks(scope m, std::string_view what, std::string_view missing) {
    m.graph().errors().fail(
        RLX_UNSUPPORTED, "the checkpoint has no {}: it lacks tensor {}.weight", what, missing
    );
    return {};
}

// tanh of a dense layer over the state of each text's first token, [B, hidden].
tensor pooled(scope body, tensor x, tensor cu_seqlens, const config& c) {
    const scope m = body["pooler"]["dense"];
    if (!c.pooler) return lacks(m, "pooler", pooler_name(c));
    const sdk::dim bounds = m.graph().shape_of(cu_seqlens).back();
    if (!m.ok()) return {};
    const sdk::dim texts = m.graph().combine(RLX_DIM_SUB, bounds, 1);
    x = take_rows(m, x, slice(m, cu_seqlens, 0, 0, texts));
    return unary(m, RLX_UNARY_TANH, linear(m, x, {.out = c.hidden, .bias = sdk::bias::required}));
}

tensor classes(scope root, scope body, tensor x, tensor cu_seqlens, const config& c) {
    if (c.classes == 0)
        return lacks(
            root, "classification head (as NomicBertForSequenceClassification has)", "classifier"
        );
    x = pooled(body, x, cu_seqlens, c);
    return linear(root["classifier"], x, {.out = c.classes, .bias = sdk::bias::required});
}

tensor vocabulary(scope root, scope body, tensor x, const config& c) {
    const scope m = root[transform];
    if (!c.vocab_head)
        return lacks(
            root,
            "masked language model head (as NomicBertForMaskedLM has)",
            sdk::format("{}.dense", transform)
        );
    x = linear(m["dense"], x, {.out = c.hidden, .bias = sdk::bias::if_present});
    x = sdk::layer_norm(m["layer_norm"], unary(m, c.head_act, x), c.norm_eps);
    // Tied to the word embeddings unless the file has a matrix of its own.
    const scope d = root[decoder];
    tensor w =
        d.weight("weight", {c.vocab, c.hidden}, c.tied ? std::uint32_t{RLX_WEIGHT_OPTIONAL} : 0);
    if (!w) w = body["embeddings"]["word_embeddings"].weight("weight", {c.vocab, c.hidden});
    tensor b = d.weight("bias", {c.vocab}, RLX_WEIGHT_OPTIONAL);
    if (!b) b = root.weight("cls.predictions.bias", {c.vocab}, RLX_WEIGHT_OPTIONAL);
    return d.op(RLX_OP_MatMul, {x, w, b});
}

} // namespace

void read_heads(const sdk::checkpoint& c, config& m) {
    m.pooler = c.find(pooler_name(m) + ".weight").has_value();
    m.vocab_head = c.find(sdk::format("{}.dense.weight", transform)).has_value();
    m.tied = c.flag("tie_word_embeddings", true);
    if (c.find("classifier.weight")) {
        m.classes = c.size_of("classifier.weight", 2, 0);
        const std::int64_t named = c.integer("num_labels", {.min = 1, .max = 1 << 24}, m.classes);
        if (c.ok() && named != m.classes)
            c.errors().fail(
                RLX_CORRUPT_DATA,
                "tensor classifier.weight has {} classes, the config names {}",
                m.classes,
                named
            );
    }
    for (const std::string_view leaf : {"weight", "bias"}) {
        c.ignore(sdk::format("{}.{}", pooler_name(m), leaf));
        c.ignore(sdk::format("classifier.{}", leaf));
        c.ignore(sdk::format("{}.dense.{}", transform, leaf));
        c.ignore(sdk::format("{}.layer_norm.{}", transform, leaf));
        c.ignore(sdk::format("{}.{}", decoder, leaf));
    }
    c.ignore("cls.predictions.bias");
}

std::optional<head> head_of(std::string_view graph) {
    if (graph == RLX_GRAPH_ENCODE) return head::hidden;
    if (graph == RLX_GRAPH_ENCODE_POOLED) return head::pooled;
    if (graph == RLX_GRAPH_ENCODE_CLASSES) return head::classes;
    if (graph == RLX_GRAPH_ENCODE_VOCAB) return head::vocab;
    return {};
}

void build(sdk::graph_builder& g, const config& c, head h) {
    const scope root(g);
    const scope body = c.prefix.empty() ? root : root[c.prefix];
    const tensor x = hidden_states(body, g, c);
    const tensor cu_seqlens = g.declared_input("cu_seqlens", RLX_I32, 1);
    switch (h) {
    case head::hidden: g.output("hidden", x); break;
    case head::pooled: g.output("pooled", pooled(body, x, cu_seqlens, c)); break;
    case head::classes: g.output("scores", classes(root, body, x, cu_seqlens, c)); break;
    case head::vocab: g.output("logits", vocabulary(root, body, x, c)); break;
    }
}

} // namespace rlx::nomic
