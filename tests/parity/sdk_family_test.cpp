// SPDX-License-Identifier: GPL-3.0-only
// Architectures that rlx has no family for, written on the SDK as a plugin's author would, against
// transformers: what the families of the tree do not use of the SDK is used here.
#include "fixture.hpp"

#include "rlx/base/wall.hpp"
#include "rlx/sdk.hpp"

namespace rlx::test {
namespace {

using sdk::checkpoint;
using sdk::graph_builder;
using sdk::scope;
using sdk::tensor;

struct config {
    sdk::decoder_config d; // context and windows as far as the model has them
    double score_cap = 0, logit_cap = 0, scale = 0;
};

struct step {
    const config& c;
    sdk::lm_inputs in;
    tensor rope = {};
};

sdk::linear_options with_bias(std::int64_t out) {
    return {.out = out, .bias = sdk::bias::required};
}

// ---- GPT-2: a recipe; weights [in, out] that the host turns around ----

struct gpt2 {
    static config read(const checkpoint& c) {
        static constexpr sdk::module_name turned[] = {
            {"transformer.h.{}.attn.c_attn", "", sdk::transposed_matrix},
            {"transformer.h.{}.attn.c_proj", "", sdk::transposed_matrix},
            {"transformer.h.{}.mlp.c_fc", "", sdk::transposed_matrix},
            {"transformer.h.{}.mlp.c_proj", "", sdk::transposed_matrix}};
        c.add_names(turned);
        config o;
        o.d.hidden = c.integer("n_embd", {.min = 1});
        o.d.n_layers = c.integer("n_layer", {.min = 1});
        o.d.n_heads = c.integer("n_head", {.min = 1});
        o.d.norm_eps = c.real("layer_norm_epsilon", {.max = 1});
        o.d.context = c.size_of("transformer.wpe.weight", 2, 0);
        o.d.vocab = c.size_of("transformer.wte.weight", 2, 0);
        o.d.inner = c.size_of("transformer.h.0.mlp.c_fc.weight", 2, 0);
        return o;
    }

    static tensor attention(scope m, tensor x, const sdk::lm_inputs& in, std::int64_t n_heads) {
        const sdk::dim width = m.graph().shape_of(x).back();
        const auto parts = sdk::split<3>(m, linear(m["c_attn"], x, with_bias(3 * width)), -1);
        const auto heads = [&](std::size_t i) { return split_heads(m, parts[i], n_heads); };
        const tensor y = cached_attention(m, heads(0), heads(1), heads(2), in);
        return linear(m["c_proj"], merge_heads(m, y), with_bias(width));
    }

    static void build(graph_builder& g, const config& c) {
        const sdk::lm_inputs in = sdk::find_lm_inputs(g);
        const auto block = [&](scope m, tensor x) {
            const tensor a =
                attention(m["attn"], layer_norm(m["ln_1"], x, c.d.norm_eps), in, c.d.n_heads);
            x = add(m, x, a);
            const tensor h =
                linear(m["mlp.c_fc"], layer_norm(m["ln_2"], x, c.d.norm_eps), with_bias(c.d.inner));
            const tensor y =
                linear(m["mlp.c_proj"], unary(m, RLX_UNARY_GELU_TANH, h), with_bias(c.d.hidden));
            return add(m, x, y);
        };
        sdk::model_recipe r;
        r.stage("transformer", [&](const sdk::emit& e) {
             const tensor places = embedding(e["wpe"], in.positions, c.d.context, c.d.hidden);
             const tensor words = embedding(e["wte"], in.tokens, c.d.vocab, c.d.hidden);
             e.set("main", add(e.at(), words, places));
         }).repeat("transformer.h", c.d.n_layers, block);
        r.stage("transformer", [&](const sdk::emit& e) {
            const tensor wanted = take_rows(e.at(), e.get("main"), in.rows);
            const tensor x = layer_norm(e["ln_f"], wanted, c.d.norm_eps);
            e.output("logits", linear(e["wte"], x, {.out = c.d.vocab}));
        });
        (void)r.build(g);
    }
};

// ---- GPT-NeoX: part of a head rotates, attention and feed-forward side by side ----

struct neox {
    static config read(const checkpoint& c) {
        config o;
        o.d.hidden = c.integer("hidden_size", {.min = 1});
        o.d.n_layers = c.integer("num_hidden_layers", {.min = 1});
        o.d.n_heads = c.integer("num_attention_heads", {.min = 1});
        o.d.inner = c.integer("intermediate_size", {.min = 1});
        o.d.context = c.integer("max_position_embeddings", {.min = 1});
        o.d.norm_eps = c.real("layer_norm_eps", {.max = 1});
        o.d.vocab = c.size_of("gpt_neox.embed_in.weight", 2, 0);
        o.d.head_dim = o.d.hidden / o.d.n_heads;
        o.d.rope = sdk::read_rope(c, o.d.head_dim, o.d.context, sdk::partial_rotary::done);
        return o;
    }

    static tensor attention(scope m, tensor x, const step& s) {
        const sdk::decoder_config& d = s.c.d;
        const tensor all = linear(m["query_key_value"], x, with_bias(3 * d.hidden));
        // Per head: q, k, v.
        const auto [q, k, v] = sdk::split<3>(m, split_heads(m, all, d.n_heads), 2);
        const tensor y = cached_attention(m, rope(m, q, s.rope), rope(m, k, s.rope), v, s.in);
        return linear(m["dense"], merge_heads(m, y), with_bias(d.hidden));
    }

    static void build(graph_builder& g, const config& c) {
        const scope root(g), model = root["gpt_neox"];
        step s{c, sdk::find_lm_inputs(g)};
        s.rope = rope_table(root, s.in, c.d.rope);
        tensor x = embedding(model["embed_in"], s.in.tokens, c.d.vocab, c.d.hidden);
        for (std::int64_t i = 0; i < c.d.n_layers; ++i) {
            const scope m = model["layers"][i];
            const tensor a =
                attention(m["attention"], layer_norm(m["input_layernorm"], x, c.d.norm_eps), s);
            const tensor h = linear(
                m["mlp.dense_h_to_4h"],
                layer_norm(m["post_attention_layernorm"], x, c.d.norm_eps),
                with_bias(c.d.inner)
            );
            const tensor y =
                linear(m["mlp.dense_4h_to_h"], unary(m, RLX_UNARY_GELU, h), with_bias(c.d.hidden));
            x = add(m, x, add(m, a, y));
        }
        x = layer_norm(model["final_layer_norm"], take_rows(model, x, s.in.rows), c.d.norm_eps);
        g.output("logits", linear(root["embed_out"], x, {.out = c.d.vocab}));
    }
};

// ---- Gemma 2: norms on both sides of a branch, caps on scores and logits ----

struct gemma2 {
    static config read(const checkpoint& c) {
        config o{.d = read_decoder(c)};
        o.d.act = RLX_GLU_GEGLU_TANH; // hidden_activation
        o.score_cap = c.real("attn_logit_softcapping", {.max = 1e6}, 0);
        o.logit_cap = c.real("final_logit_softcapping", {.max = 1e6}, 0);
        o.scale = 1 / std::sqrt(c.real("query_pre_attn_scalar", {.min = 1e-3, .max = 1e6}));
        const std::int64_t window = c.integer("sliding_window", {.min = 1});
        for (std::size_t i = 0; i < o.d.windows.size(); ++i)
            if (c.text(sdk::format("layer_types.{}", i), "") == "sliding_attention")
                o.d.windows[i] = window;
        return o;
    }

    // The weight is stored minus one.
    static tensor norm(scope m, tensor x, double eps) {
        const tensor y = m.op(RLX_OP_RmsNorm, {x}, {sdk::attr_real(RLX_ATTR_eps, eps)});
        const tensor w = sdk::f32_weight(m, "weight", {m.graph().shape_of(x).back()});
        return m.op(RLX_OP_Modulate, {y, w});
    }

    static tensor attention(scope m, tensor x, const step& s, std::int64_t window) {
        const sdk::decoder_config& d = s.c.d;
        const auto heads = [&](std::string_view name, std::int64_t n) {
            return split_heads(m, linear(m[name], x, {.out = n * d.head_dim}), n);
        };
        const tensor q = rope(m, heads("q_proj", d.n_heads), s.rope);
        const tensor k = rope(m, heads("k_proj", d.n_kv_heads), s.rope);
        const tensor y = cached_attention(
            m,
            q,
            k,
            heads("v_proj", d.n_kv_heads),
            s.in,
            {.scale = s.c.scale, .window = window, .softcap = s.c.score_cap}
        );
        return linear(m["o_proj"], merge_heads(m, y), {.out = d.hidden});
    }

    static void build(graph_builder& g, const config& c) {
        const scope root(g), model = root["model"];
        const double eps = c.d.norm_eps;
        step s{c, sdk::find_lm_inputs(g)};
        s.rope = rope_table(root, s.in, c.d.rope);
        tensor x = embedding(model["embed_tokens"], s.in.tokens, c.d.vocab, c.d.hidden);
        x = scale(model, x, std::sqrt(static_cast<double>(c.d.hidden)));
        for (std::int64_t i = 0; i < c.d.n_layers; ++i) {
            const scope m = model["layers"][i];
            const std::int64_t window = c.d.windows[static_cast<std::size_t>(i)];
            tensor h = attention(m["self_attn"], norm(m["input_layernorm"], x, eps), s, window);
            x = add(m, x, norm(m["post_attention_layernorm"], h, eps));
            h = gated_mlp(
                m["mlp"],
                norm(m["pre_feedforward_layernorm"], x, eps),
                {.width = c.d.inner, .kind = c.d.act}
            );
            x = add(m, x, norm(m["post_feedforward_layernorm"], h, eps));
        }
        x = norm(model["norm"], take_rows(model, x, s.in.rows), eps);
        const tensor logits = linear(model["embed_tokens"], x, {.out = c.d.vocab});
        const tensor bent = unary(root, RLX_UNARY_TANH, scale(root, logits, 1 / c.logit_cap));
        g.output("logits", scale(root, bent, c.logit_cap));
    }
};

// ---- the plugin class that all three share ----

template <class Architecture>
class model {
public:
    static sdk::result<std::unique_ptr<model>> open(rlx_weights* w, sdk::options_view) {
        sdk::sticky errors;
        auto m = std::make_unique<model>();
        m->config_ = Architecture::read(checkpoint(w, errors));
        RLX_CHECK(errors.done());
        return m;
    }

    sdk::status info(sdk::options_writer out) const {
        return sdk::put_info(out, config_.d, "stranger");
    }

    sdk::status build(std::string_view, rlx_graph* g) const {
        sdk::sticky errors;
        graph_builder builder(g, errors);
        Architecture::build(builder, config_);
        return errors.done();
    }

private:
    config config_;
};

class sdk_family : public testing::Test {
protected:
    template <class Architecture>
    void equals_transformers(const std::string& name) {
        const fixture f("../sdk/" + name);
        chain_options o;
        o.lm.max_seq = 48;
        o.family_name = "llama32"; // found, and replaced
        o.family = &sdk::family_table<model<Architecture>>;
        const auto c = must(chain::open(f.hf(), o));
        EXPECT_LE(distance(prefill(c->model(), f.ids), f.logits), 1e-5);
        EXPECT_LE(distance(prefill(c->model(), f.ids, 1), f.logits), 1e-5) << "token by token";
        EXPECT_TRUE(c->checkpoint().unused().empty()) << c->checkpoint().unused().front();
    }

    // Before the tables are used.
    const rlx_host* host_table = sdk::detail::host_table = rlx::host();
};

TEST_F(sdk_family, gpt2_learns_positions_and_has_its_weights_turned_around) {
    equals_transformers<gpt2>("gpt2");
}

TEST_F(sdk_family, neox_rotates_a_quarter_of_each_head) {
    equals_transformers<neox>("neox");
}

TEST_F(sdk_family, gemma2_has_norms_on_both_sides_and_caps) {
    equals_transformers<gemma2>("gemma2");
}

TEST_F(sdk_family, a_rotary_part_that_is_no_even_number_is_an_error) {
    hf_checkpoint files = hf_checkpoint::read(fixture("../sdk/neox").hf());
    files.config["rope_parameters"]["partial_rotary_factor"] = 0.2;
    const scratch_dir scratch;
    files.write(scratch.path());
    chain_options o;
    o.family_name = "llama32";
    o.family = &sdk::family_table<model<neox>>;
    const auto c = chain::open(scratch.path(), o);
    ASSERT_FALSE(c.ok());
    EXPECT_NE(c.error().message.find("is 3 elements, expected an even number"), std::string::npos)
        << c.error().message;
}

} // namespace
} // namespace rlx::test
