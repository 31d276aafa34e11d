// SPDX-License-Identifier: GPL-3.0-only
// The forward, module by module as transformers' modeling_bert, modeling_mpnet and
// modeling_distilbert name them.
#include "config.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace rlx::bert {
namespace {

using sdk::scope;
using sdk::tensor;

// MPNet's reference caps distances here.
constexpr std::int64_t far = 128;

struct step {
    const config& c;
    tensor cu_seqlens;
    tensor bias; // [heads, 2 far + 1]; MPNet only
};

// Where a layer keeps its modules.
struct layer_names {
    std::string_view q, k, v, out, attention_norm, up, down, norm;
};

tensor at(scope m, std::string_view path, tensor x, std::int64_t out) {
    return linear(m[path], x, {.out = out, .bias = sdk::bias::required});
}

tensor attention(scope m, tensor x, const step& s, const layer_names& n) {
    const config& c = s.c;
    const tensor q = split_heads(m, at(m, n.q, x, c.hidden), c.n_heads);
    const tensor k = split_heads(m, at(m, n.k, x, c.hidden), c.n_heads);
    const tensor v = split_heads(m, at(m, n.v, x, c.hidden), c.n_heads);
    const double scale = 1.0 / std::sqrt(static_cast<double>(c.head_dim()));
    x = m.op(
        RLX_OP_RaggedAttention,
        {q, k, v, s.cu_seqlens, s.bias},
        {sdk::attr_real(RLX_ATTR_scale, scale)}
    );
    return at(m, n.out, merge_heads(m, x), c.hidden);
}

tensor layer(scope m, tensor x, const step& s, const layer_names& n) {
    const config& c = s.c;
    x = layer_norm(m[n.attention_norm], add(m, x, attention(m, x, s, n)), c);
    const tensor h = unary(m, c.act, at(m, n.up, x, c.inner));
    return layer_norm(m[n.norm], add(m, x, at(m, n.down, h, c.hidden)), c);
}

const layer_names& names_of(kind k) {
    static constexpr layer_names bert{
        "attention.self.query",
        "attention.self.key",
        "attention.self.value",
        "attention.output.dense",
        "attention.output.LayerNorm",
        "intermediate.dense",
        "output.dense",
        "output.LayerNorm"};
    static constexpr layer_names mpnet{
        "attention.attn.q",
        "attention.attn.k",
        "attention.attn.v",
        "attention.attn.o",
        "attention.LayerNorm",
        "intermediate.dense",
        "output.dense",
        "output.LayerNorm"};
    static constexpr layer_names distilbert{
        "attention.q_lin",
        "attention.k_lin",
        "attention.v_lin",
        "attention.out_lin",
        "sa_layer_norm",
        "ffn.lin1",
        "ffn.lin2",
        "output_layer_norm"};
    if (k == kind::mpnet) return mpnet;
    return k == kind::distilbert ? distilbert : bert;
}

tensor embeddings(scope m, sdk::graph_builder& g, const config& c) {
    const tensor tokens = g.declared_input("tokens", RLX_I32, 1);
    tensor positions = g.declared_input("positions", RLX_I32, 1);
    const tensor types = g.declared_input("token_types", RLX_I32, 1);
    if (c.first_position > 0) {
        const auto first = static_cast<std::int32_t>(c.first_position);
        const sdk::dim one[] = {1};
        positions = add(m, positions, g.constant(RLX_I32, one, {&first, sizeof first}));
    }
    tensor x = embedding(m["word_embeddings"], tokens, c.vocab, c.hidden);
    x = add(m, x, embedding(m["position_embeddings"], positions, c.positions, c.hidden));
    if (c.types > 0) x = add(m, x, embedding(m["token_type_embeddings"], types, c.types, c.hidden));
    return layer_norm(m["LayerNorm"], x, c);
}

// [heads, 2 far + 1]: one row of the table per distance, seen from the query.
tensor distance_bias(scope m, sdk::graph_builder& g, const config& c) {
    std::vector<std::int32_t> rows;
    for (std::int64_t d = -far; d <= far; ++d)
        rows.push_back(static_cast<std::int32_t>(relative_bucket(d, c.buckets)));
    const sdk::dim count[] = {static_cast<sdk::dim>(rows.size())};
    const tensor ids = g.constant(RLX_I32, count, {rows.data(), rows.size() * sizeof rows[0]});
    return copy(m, permute(m, embedding(m, ids, c.buckets, c.n_heads), {1, 0}));
}

} // namespace

std::int64_t relative_bucket(std::int64_t distance, std::int64_t buckets) {
    const std::int64_t half = buckets / 2, exact = half / 2;
    const std::int64_t side = distance > 0 ? half : 0;
    const std::int64_t n = std::abs(distance);
    if (n < exact) return side + n;
    // In float32, as the reference computes it.
    const float ratio =
        std::log(static_cast<float>(n) / static_cast<float>(exact)) /
        static_cast<float>(std::log(static_cast<double>(far) / static_cast<double>(exact)));
    const auto more = static_cast<std::int64_t>(ratio * static_cast<float>(half - exact));
    return side + std::min(exact + more, half - 1);
}

tensor layer_norm(scope m, tensor x, const config& c) {
    tensor w = m.weight("weight", {c.hidden}, RLX_WEIGHT_OPTIONAL);
    tensor b;
    if (w) {
        b = m.weight("bias", {c.hidden});
    } else {
        w = m.weight("gamma", {c.hidden});
        b = m.weight("beta", {c.hidden});
    }
    return m.op(RLX_OP_LayerNorm, {x, w, b}, {sdk::attr_real(RLX_ATTR_eps, c.norm_eps)});
}

tensor hidden_states(scope body, sdk::graph_builder& g, const config& c) {
    const scope layers = body[c.kind == kind::distilbert ? "transformer" : "encoder"];
    step s{.c = c, .cu_seqlens = g.declared_input("cu_seqlens", RLX_I32, 1), .bias = {}};
    if (c.kind == kind::mpnet) s.bias = distance_bias(layers["relative_attention_bias"], g, c);
    tensor x = embeddings(body["embeddings"], g, c);
    for (std::int64_t i = 0; i < c.n_layers; ++i)
        x = layer(layers["layer"][i], x, s, names_of(c.kind));
    return x;
}

} // namespace rlx::bert
