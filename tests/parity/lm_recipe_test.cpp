// SPDX-License-Identifier: GPL-3.0-only
// A whole family as a recipe: llama32's forward once more, as stages and a repeat over layers,
// gives the logits of its twin bit for bit.
#include "config.hpp"
#include "fixture.hpp"

#include "rlx/base/wall.hpp"
#include "rlx/sdk.hpp"

#include <nlohmann/json.hpp>

#include <bit>
#include <fstream>

namespace rlx::test {
namespace {

using sdk::scope;
using sdk::tensor;

// One stage per part of a layer; queries, keys and values travel as named streams.
enum class variant { plain, broken, transposed };

// The same product with the weight turned around on the way in and back.
sdk::stage turned_product(const llama32::config& c) {
    return [&c](const sdk::emit& e) {
        const std::int64_t in = c.n_heads * c.head_dim;
        const tensor w = e.load("weight", {c.hidden, in}, {.transpose = true}); // [in, hidden]
        const tensor bias = e.load("bias", {c.hidden}, {.optional = true});
        e.set("h", e.at().op(RLX_OP_MatMul, {e.get("h"), permute(e.at(), w, {1, 0}), bias}));
    };
}

sdk::model_recipe layer_of(const llama32::config& c, variant which) {
    const sdk::linear_options q_rows{.out = c.n_heads * c.head_dim, .bias = c.qkv_bias};
    const sdk::linear_options kv_rows{.out = c.n_kv_heads * c.head_dim, .bias = c.qkv_bias};
    const auto rows = [](sdk::linear_options o) {
        return [o](scope m, tensor x) { return linear(m, x, o); };
    };
    const auto norm = [&c](scope m, tensor x) { return rms_norm(m, x, c.norm_eps); };
    const sdk::stage product = [&c](const sdk::emit& e) {
        e.set("h", linear(e.at(), e.get("h"), {.out = c.hidden, .bias = c.o_bias}));
    };
    sdk::model_recipe r;
    r.stage("input_layernorm", norm, {.from = "main", .to = "h"})
        .stage("self_attn.q_proj", rows(q_rows), {.from = "h", .to = "q"})
        .stage("self_attn.k_proj", rows(kv_rows), {.from = "h", .to = "k"})
        .stage("self_attn.v_proj", rows(kv_rows), {.from = "h", .to = "v"})
        .stage(
            "self_attn",
            [&c](const sdk::emit& e) { // the escape hatch: several streams, the graph's inputs
                const scope m = e.at();
                const tensor table = e.get("rope");
                const tensor q = rope(m, split_heads(m, e.get("q"), c.n_heads), table);
                const tensor k = rope(m, split_heads(m, e.get("k"), c.n_kv_heads), table);
                const tensor v = split_heads(m, e.get("v"), c.n_kv_heads);
                const auto in = sdk::find_lm_inputs(e.graph());
                const tensor y = cached_attention(m, q, k, v, in, {.window = c.window(e.layer())});
                e.set("h", merge_heads(m, y));
            }
        )
        .stage(
            "self_attn.o_proj",
            which == variant::transposed ? turned_product(c) : product,
            {.from = "h"}
        )
        .stage(
            "", [](const sdk::emit& e) { e.set("main", add(e.at(), e.get("main"), e.get("h"))); }
        )
        .stage("post_attention_layernorm", norm, {.from = "main", .to = "h"})
        .stage(
            "mlp",
            [&c](scope m, tensor x) {
                return gated_mlp(m, x, {.width = c.inner, .kind = c.act, .bias = c.mlp_bias});
            },
            {.from = "h"}
        )
        .stage("", [](const sdk::emit& e) {
            e.set("main", add(e.at(), e.get("main"), e.get("h")));
        });
    return r;
}

sdk::model_recipe recipe_of(const llama32::config& c, variant v) {
    sdk::model_recipe r;
    r.declared_input("tokens", RLX_I32, 1)
        .stage(
            "",
            [&c](const sdk::emit& e) {
                e.set("rope", rope_table(e.root(), sdk::find_lm_inputs(e.graph()), c.rope));
            }
        )
        .stage(
            "model.embed_tokens",
            [&c](scope m, tensor ids) { return embedding(m, ids, c.vocab, c.hidden); },
            {.from = "tokens", .to = "main"}
        )
        .repeat("model.layers", c.n_layers, layer_of(c, v));
    if (v == variant::broken)
        r.stage("model.extra", [](scope m, tensor x) { return linear(m["missing"], x); });
    r.stage("", [&c](const sdk::emit& e) {
        lm_head(e.root(), e.get("main"), sdk::find_lm_inputs(e.graph()), c);
    });
    return r;
}

template <variant v>
class recipe_model {
public:
    static sdk::result<std::unique_ptr<recipe_model>> open(rlx_weights* w, sdk::options_view) {
        sdk::sticky errors;
        const sdk::checkpoint c(w, errors);
        llama32::add_names(c);
        auto m = std::make_unique<recipe_model>();
        m->config_ = llama32::read_config(c);
        RLX_CHECK(errors.done());
        return m;
    }

    sdk::status info(sdk::options_writer out) const { return sdk::put_info(out, config_, "twin"); }

    sdk::status build(std::string_view, rlx_graph* g) const {
        sdk::sticky errors;
        sdk::graph_builder builder(g, errors);
        return recipe_of(config_, v).build(builder);
    }

private:
    llama32::config config_;
};

// The tensors once more, cut to bf16.
void write_bf16(const hf_checkpoint& files, const std::filesystem::path& to) {
    nlohmann::json header;
    std::string data;
    for (const auto& [name, t] : files.tensors) {
        const std::size_t from = data.size();
        for (const float x : t.data) {
            const auto bits = static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(x) >> 16);
            data.append(reinterpret_cast<const char*>(&bits), sizeof bits);
        }
        header[name] = {
            {"dtype", "BF16"}, {"shape", t.shape}, {"data_offsets", {from, data.size()}}};
    }
    const std::string text = header.dump();
    const std::uint64_t size = text.size();
    std::ofstream out(to, std::ios::binary | std::ios::trunc);
    out.write(reinterpret_cast<const char*>(&size), sizeof size);
    out << text << data;
}

class recipe : public testing::TestWithParam<std::string> {
protected:
    const rlx_host* host_table = sdk::detail::host_table = rlx::host();
    const fixture f{GetParam()};
};

TEST_P(recipe, gives_the_logits_of_the_family_written_with_scopes) {
    const auto twin = must(chain::open(f.hf()));
    chain_options o;
    o.family = &sdk::family_table<recipe_model<variant::plain>>;
    const auto mine = must(chain::open(f.hf(), o));
    const std::vector<float> got = prefill(mine->model(), f.ids);
    EXPECT_EQ(got, prefill(twin->model(), f.ids));
    EXPECT_LE(distance(got, f.logits), 1e-4);
    EXPECT_TRUE(mine->checkpoint().unused().empty());
}

// f32 weights, and bf16 ones, whose transposition is f32 all the same.
TEST_P(recipe, transposed_parameters_compute_the_same) {
    for (const bool narrow : {false, true}) {
        hf_checkpoint files = hf_checkpoint::read(f.hf());
        const scratch_dir scratch;
        files.write(scratch.path());
        if (narrow) write_bf16(files, scratch.path() / "model.safetensors");
        const auto twin = must(chain::open(scratch.path()));
        chain_options o;
        o.family = &sdk::family_table<recipe_model<variant::transposed>>;
        const auto mine = must(chain::open(scratch.path(), o));
        EXPECT_LE(distance(prefill(mine->model(), f.ids), prefill(twin->model(), f.ids)), 1e-5);
    }
}

TEST_P(recipe, an_error_keeps_its_module_path) {
    chain_options o;
    o.family = &sdk::family_table<recipe_model<variant::broken>>;
    const auto c = chain::open(f.hf(), o);
    ASSERT_FALSE(c.ok());
    EXPECT_NE(c.error().message.find("model.extra.missing.weight"), std::string::npos)
        << c.error().message;
}

INSTANTIATE_TEST_SUITE_P(
    lm,
    recipe,
    testing::Values("llama-default", "llama-bias", "qwen2-tied"),
    [](const auto& p) { return test_name(p.param); }
);

} // namespace
} // namespace rlx::test
