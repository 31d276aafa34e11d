// SPDX-License-Identifier: GPL-3.0-only
// A family that uses the op: the pebble decoder of template-family, its activation computed by
// com.example.relu2 instead of Unary and Binary.
#include <rlx/sdk.hpp>

namespace {

namespace sdk = rlx::sdk;
using sdk::scope;
using sdk::tensor;
using config = sdk::decoder_config;

config read_config(const sdk::checkpoint& c) {
    config d;
    const sdk::int_range sizes{.min = 1, .max = 1 << 20};
    d.hidden = c.integer("hidden_size", sizes);
    d.n_layers = c.integer("num_hidden_layers", {.min = 1, .max = 1024});
    d.n_heads = c.integer("num_attention_heads", {.min = 1, .max = 4096});
    d.n_kv_heads = c.integer("num_key_value_heads", {.min = 1, .max = 4096}, d.n_heads);
    d.inner = c.integer("intermediate_size", sizes);
    d.context = c.integer("max_position_embeddings", {.min = 1, .max = std::int64_t{1} << 31});
    d.norm_eps = c.real("rms_norm_eps", {.min = 1e-12, .max = 1});
    d.tied = true;
    d.vocab = c.size_of("model.embed_tokens.weight", 2, 0);
    if (!c.ok()) return d;
    if (d.hidden % d.n_heads != 0 || d.n_heads % d.n_kv_heads != 0) {
        c.errors().fail(RLX_CORRUPT_DATA, "config: {} features in {} heads", d.hidden, d.n_heads);
        return d;
    }
    d.head_dim = d.hidden / d.n_heads;
    d.rope = sdk::read_rope(c, d.head_dim, d.context);
    return d;
}

tensor relu2(scope m, tensor x) {
    tensor y;
    m.graph().add_custom(m.path(), "com.example.relu2", 1, {&x, 1}, {}, {&y, 1});
    return y;
}

tensor layer(scope m, tensor x, const config& c, const sdk::lm_inputs& in, tensor table) {
    const tensor h = rms_norm(m["input_layernorm"], x, c.norm_eps);
    const scope a = m["self_attn"];
    const tensor q = linear(a["q_proj"], h, {.out = c.n_heads * c.head_dim});
    const tensor k = linear(a["k_proj"], h, {.out = c.n_kv_heads * c.head_dim});
    const tensor v = linear(a["v_proj"], h, {.out = c.n_kv_heads * c.head_dim});
    const tensor y = cached_attention(
        a,
        rope(a, split_heads(a, q, c.n_heads), table),
        rope(a, split_heads(a, k, c.n_kv_heads), table),
        split_heads(a, v, c.n_kv_heads),
        in
    );
    const tensor attended = linear(a["o_proj"], merge_heads(a, y), {.out = c.hidden});
    const scope f = m["mlp"];
    const tensor up = relu2(f, linear(f["up_proj"], h, {.out = c.inner}));
    return add(m, x, add(m, attended, linear(f["down_proj"], up, {.out = c.hidden})));
}

class model {
public:
    static sdk::result<std::unique_ptr<model>> open(rlx_weights* w, sdk::options_view) {
        sdk::sticky errors;
        const sdk::checkpoint c(w, errors);
        auto m = std::make_unique<model>();
        m->config_ = read_config(c);
        RLX_CHECK(errors.done());
        return m;
    }

    sdk::status info(sdk::options_writer out) const {
        return sdk::put_info(out, config_, "pebble-op");
    }

    sdk::status build(std::string_view graph, rlx_graph* g) const {
        if (graph != RLX_GRAPH_LM)
            return sdk::fail(RLX_UNSUPPORTED, "pebble-op has no graph '{}' (known: lm)", graph);
        sdk::sticky errors;
        sdk::graph_builder builder(g, errors);
        const scope root(builder);
        const sdk::lm_inputs in = sdk::find_lm_inputs(builder);
        const tensor table = rope_table(root, in, config_.rope);
        tensor x =
            embedding(root["model"]["embed_tokens"], in.tokens, config_.vocab, config_.hidden);
        for (std::int64_t i = 0; i < config_.n_layers; ++i)
            x = layer(root["model"]["layers"][i], x, config_, in, table);
        lm_head(root, x, in, config_);
        return errors.done();
    }

private:
    config config_;
};

struct plugin {
    static constexpr std::uint16_t min_minor = 1; // as in plugin.json: older hosts refuse politely
    using family = model;
};

} // namespace

RLX_PLUGIN(plugin)
