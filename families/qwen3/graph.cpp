// SPDX-License-Identifier: GPL-3.0-only
// The forward, module by module as transformers' modeling_qwen3 and modeling_qwen3_moe name them.
#include "config.hpp"

namespace rlx::qwen3 {
namespace {

using sdk::scope;
using sdk::tensor;

struct step {
    const config& c;
    sdk::lm_inputs in;
    tensor rope; // [T, head_dim]
};

tensor attention(scope m, tensor x, const step& s, std::int64_t layer) {
    const config& c = s.c;
    const sdk::linear_options q_rows{.out = c.n_heads * c.head_dim, .bias = c.attention_bias};
    const sdk::linear_options kv_rows{.out = c.n_kv_heads * c.head_dim, .bias = c.attention_bias};
    tensor q = split_heads(m, linear(m["q_proj"], x, q_rows), c.n_heads);
    tensor k = split_heads(m, linear(m["k_proj"], x, kv_rows), c.n_kv_heads);
    const tensor v = split_heads(m, linear(m["v_proj"], x, kv_rows), c.n_kv_heads);
    q = rope(m, rms_norm(m["q_norm"], q, c.norm_eps), s.rope);
    k = rope(m, rms_norm(m["k_norm"], k, c.norm_eps), s.rope);
    x = cached_attention(m, q, k, v, s.in, {.window = c.window(layer)});
    return linear(m["o_proj"], merge_heads(m, x), {.out = c.hidden, .bias = c.attention_bias});
}

tensor feed_forward(scope m, tensor x, const config& c, std::int64_t layer) {
    if (c.is_sparse(layer)) return softmax_moe(m, x, c.moe);
    return gated_mlp(m, x, {.width = c.inner, .kind = c.act});
}

tensor decoder_layer(scope m, tensor x, const step& s, std::int64_t layer) {
    tensor h = rms_norm(m["input_layernorm"], x, s.c.norm_eps);
    x = add(m, x, attention(m["self_attn"], h, s, layer));
    h = rms_norm(m["post_attention_layernorm"], x, s.c.norm_eps);
    return add(m, x, feed_forward(m["mlp"], h, s.c, layer));
}

} // namespace

void build(sdk::graph_builder& g, const config& c, std::string_view graph) {
    const scope root(g);
    const scope model = root["model"];
    step s{.c = c, .in = sdk::find_lm_inputs(g), .rope = {}};
    s.rope = rope_table(root, s.in, c.rope);
    tensor x = embedding(model["embed_tokens"], s.in.tokens, c.vocab, c.hidden);
    for (std::int64_t i = 0; i < c.n_layers; ++i) {
        x = decoder_layer(model["layers"][i], x, s, i);
    }
    decoder_head(root, graph, x, s.in, c);
}

} // namespace rlx::qwen3
