// SPDX-License-Identifier: GPL-3.0-only
// The forward, module by module as the checkpoints of the hub name them (nomic-bert-2048,
// nomic-embed-text-v1.5, nomic-embed-text-v2-moe).
#include "config.hpp"

#include <cmath>

namespace rlx::nomic {
namespace {

using sdk::attr;
using sdk::attr_real;
using sdk::scope;
using sdk::tensor;

struct step {
    const config& c;
    tensor cu_seqlens; // i32 [B + 1]
    tensor table;      // [T, rope.dim]
};

tensor norm(scope m, tensor x, const config& c) {
    return sdk::layer_norm(m, x, c.norm_eps);
}

// Length of the text each token stands in, i32 [T]: how many texts end at or before the token
// names its text.
tensor text_lengths(scope m, tensor positions, tensor cu_seqlens) {
    sdk::graph_builder& g = m.graph();
    const sdk::dim tokens = g.shape_of(positions).back(), bounds = g.shape_of(cu_seqlens).back();
    if (!m.ok()) return {};
    const sdk::dim texts = g.combine(RLX_DIM_SUB, bounds, 1);
    const tensor ends = slice(m, cu_seqlens, 0, 1, bounds);
    const tensor lengths = sub(m, ends, slice(m, cu_seqlens, 0, 0, texts));
    const tensor place = m.op(RLX_OP_Arange, {}, {attr(RLX_ATTR_n, tokens)});
    const tensor behind = m.op(
        RLX_OP_Compare,
        {reshape(m, place, {tokens, 1}), reshape(m, ends, {1, texts})},
        {attr(RLX_ATTR_kind, RLX_COMPARE_GE)}
    );
    const auto cast = [&](tensor x, std::int64_t dtype) {
        return m.op(RLX_OP_Cast, {x}, {attr(RLX_ATTR_dtype, dtype)});
    };
    const tensor text = m.op(
        RLX_OP_Reduce,
        {cast(behind, RLX_F32)},
        {attr(RLX_ATTR_kind, RLX_REDUCE_SUM), attr(RLX_ATTR_axis, 1)}
    );
    const tensor rows = reshape(m, cast(lengths, RLX_F32), {texts, 1});
    return reshape(m, cast(take_rows(m, rows, cast(text, RLX_I32)), RLX_I32), {tokens});
}

tensor rope_table(scope m, const config& c, tensor cu_seqlens) {
    const sdk::rope_config& r = c.rope;
    const tensor positions = m.graph().declared_input("positions", RLX_I32, 1);
    const tensor lengths =
        r.scaling == RLX_ROPE_DYNAMIC ? text_lengths(m, positions, cu_seqlens) : tensor{};
    return m.op(
        RLX_OP_RopeTable,
        {positions, {}, lengths},
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

tensor attention(scope m, tensor x, const step& s) {
    const config& c = s.c;
    const std::int64_t width = c.n_heads * c.head_dim;
    const tensor qkv = linear(m["Wqkv"], x, {.out = 3 * width, .bias = c.qkv_bias});
    const auto part = [&](std::int64_t i) {
        return split_heads(m, slice(m, qkv, 1, i * width, (i + 1) * width), c.n_heads);
    };
    const auto turned = [&](tensor t) {
        return m.op(RLX_OP_Rope, {t, s.table}, {attr(RLX_ATTR_pairing, c.interleaved ? 1 : 0)});
    };
    const double scale = 1.0 / std::sqrt(static_cast<double>(c.head_dim));
    x = m.op(
        RLX_OP_RaggedAttention,
        {turned(part(0)), turned(part(1)), part(2), s.cu_seqlens},
        {attr_real(RLX_ATTR_scale, scale)}
    );
    return linear(m["out_proj"], merge_heads(m, x), {.out = c.hidden, .bias = c.qkv_bias});
}

tensor dense_mlp(scope m, tensor x, const config& c) {
    const auto inner = [&](std::string_view name) {
        return linear(m[name], x, {.out = c.inner, .bias = c.up_bias});
    };
    const tensor h = c.gated ? m.op(
                                   RLX_OP_Glu,
                                   {inner("fc12"), inner("fc11")}, // gate, up
                                   {attr(RLX_ATTR_kind, c.act)}
                               )
                             : unary(m, c.act, inner("fc1"));
    return linear(m["fc2"], h, {.out = c.hidden, .bias = c.down_bias});
}

// The chosen experts' shares are those of the softmax over all: they do not sum to 1.
tensor expert_mlp(scope m, tensor x, const config& c) {
    const tensor logits = linear(m["router"]["layer"], x, {.out = c.experts});
    const auto [share, ids] = m.ops<2>(
        RLX_OP_MoeRoute, {logits}, {attr(RLX_ATTR_k, c.experts_used), attr(RLX_ATTR_normalise, 0)}
    );
    const scope e = m["experts"];
    const tensor w1 = e["mlp"].weight("w1", {c.experts, c.inner, c.hidden});
    const tensor w2 = e["mlp"].weight("w2", {c.experts, c.hidden, c.inner});
    const tensor h = unary(e, c.act, e.op(RLX_OP_GroupedMatMul, {x, w1, ids}));
    const tensor y = m.op(RLX_OP_MoeCombine, {e.op(RLX_OP_GroupedMatMul, {h, w2, ids}), share});
    // Converters to GGUF leave it out.
    const tensor b =
        sdk::f32_weight(e, "bias", {c.hidden}, c.gguf ? std::uint32_t{RLX_WEIGHT_OPTIONAL} : 0);
    return b ? add(e, y, b) : y;
}

tensor layer(scope m, tensor x, const step& s, bool experts) {
    const config& c = s.c;
    x = norm(m["norm1"], add(m, attention(m["attn"], x, s), x), c);
    const tensor h = experts ? expert_mlp(m["mlp"], x, c) : dense_mlp(m["mlp"], x, c);
    return norm(m["norm2"], add(m, h, x), c);
}

} // namespace

tensor hidden_states(scope body, sdk::graph_builder& g, const config& c) {
    const tensor tokens = g.declared_input("tokens", RLX_I32, 1);
    const tensor types = g.declared_input("token_types", RLX_I32, 1);
    const scope e = body["embeddings"];
    tensor x = embedding(e["word_embeddings"], tokens, c.vocab, c.hidden);
    if (c.types > 0) x = add(e, x, embedding(e["token_type_embeddings"], types, c.types, c.hidden));
    x = norm(body["emb_ln"], x, c);
    step s{.c = c, .cu_seqlens = g.declared_input("cu_seqlens", RLX_I32, 1), .table = {}};
    s.table = rope_table(body, c, s.cu_seqlens);
    for (std::int64_t i = 0; i < c.n_layers; ++i)
        x = layer(body["encoder"]["layers"][i], x, s, c.has_experts(i));
    return x;
}

} // namespace rlx::nomic
