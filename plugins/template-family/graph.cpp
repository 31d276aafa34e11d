// SPDX-License-Identifier: GPL-3.0-only
// The forward. m is a place in the checkpoint's module tree; the names below it are the tensors'.
#include "pebble.hpp"

namespace pebble {
namespace {

using sdk::scope;
using sdk::tensor;

struct step {
    const config& c;
    sdk::lm_inputs in;
    tensor rope; // [T, head_dim]
};

tensor attention(scope m, tensor x, const step& s) {
    const config& c = s.c;
    const tensor q = linear(m["q_proj"], x, {.out = c.n_heads * c.head_dim});
    const tensor k = linear(m["k_proj"], x, {.out = c.n_kv_heads * c.head_dim});
    const tensor v = linear(m["v_proj"], x, {.out = c.n_kv_heads * c.head_dim});
    const tensor y = cached_attention(
        m,
        rope(m, split_heads(m, q, c.n_heads), s.rope),
        rope(m, split_heads(m, k, c.n_kv_heads), s.rope),
        split_heads(m, v, c.n_kv_heads),
        s.in
    );
    return linear(m["o_proj"], merge_heads(m, y), {.out = c.hidden});
}

// down(relu(up(x))^2)
tensor feed_forward(scope m, tensor x, const config& c) {
    const tensor h = unary(m, RLX_UNARY_RELU, linear(m["up_proj"], x, {.out = c.inner}));
    return linear(m["down_proj"], mul(m, h, h), {.out = c.hidden});
}

tensor layer(scope m, tensor x, const step& s) {
    const tensor h = rms_norm(m["input_layernorm"], x, s.c.norm_eps);
    const tensor both = add(m, attention(m["self_attn"], h, s), feed_forward(m["mlp"], h, s.c));
    return add(m, x, both);
}

} // namespace

void build_lm(sdk::graph_builder& g, const config& c) {
    const scope root(g);
    const scope model = root["model"];
    step s{.c = c, .in = sdk::find_lm_inputs(g), .rope = {}};
    s.rope = rope_table(root, s.in, c.rope);
    tensor x = embedding(model["embed_tokens"], s.in.tokens, c.vocab, c.hidden);
    for (std::int64_t i = 0; i < c.n_layers; ++i)
        x = layer(model["layers"][i], x, s);
    lm_head(root, x, s.in, c); // final norm, head, output "logits"
}

} // namespace pebble
