// SPDX-License-Identifier: GPL-3.0-only
// SDK blocks of blocks.safetensors (see tests/goldens/make_blocks.py) on every tier: parts of
// transformers' models and of reference modules written there, from checkpoint names to results.
#include "golden.hpp"
#include "rlx/sdk/codec.hpp"
#include "rlx/sdk/dit.hpp"
#include "rlx/sdk/vit.hpp"

#include <functional>

using namespace rlx::sdk;
using rlx::block_test::array;
using rlx::block_test::error_of;
using rlx::block_test::golden;
namespace cpu_test = rlx::cpu_test;

namespace {

using inputs = std::map<std::string, tensor, std::less<>>;
using forward = std::function<tensor(scope m, const inputs& in)>;

tensor conv_stack(scope m, const inputs& in) {
    tensor x = resnet_stack(m["resnets"], in.at("x"), 2, {.out = 6, .groups = 2});
    x = downsample_conv(m["downsamplers"], x, 6);
    return upsample_conv(m["upsamplers"], x, 5);
}

tensor basic(scope m, const inputs& in) {
    const tensor x = basic_block(m[0], in.at("x"), {.out = 5, .stride = 2});
    return basic_block(m[1], x, {});
}

tensor normed_weights(scope m, const inputs& in) {
    const tensor x = conv(
        m["conv"],
        in.at("x"),
        {.out = 7,
         .kernel = 3,
         .padding = padding::causal,
         .pad_kind = RLX_PAD_REPLICATE,
         .weight_norm = weight_norm::parametrized}
    );
    const tensor y = conv_transpose(
        m["up"],
        x,
        {.out = 6, .kernel = 4, .stride = 2, .trim_hi = 2, .weight_norm = weight_norm::legacy}
    );
    return conv(
        m["last"],
        channel_norm(m["norm"], y, 1e-6),
        {.out = 5, .kernel = 4, .dilation = 3, .padding = padding::same}
    );
}

// Causal convolutions with a stride over lengths that are no multiple of it.
tensor frames(scope m, const inputs& in) {
    conv_options o{.out = 6, .kernel = 7, .stride = 3, .padding = padding::causal};
    const tensor x = conv(m[0]["conv"], in.at("x"), o);
    o.out = 5;
    o.kernel = 4;
    o.stride = 2;
    o.pad_kind = RLX_PAD_REPLICATE;
    return conv(m[1]["conv"], x, o);
}

tensor dinov2(scope m, const inputs& in, const vit_mlp_options& mlp) {
    const scope e = m["embeddings"];
    const tensor patches = patch_embed(e["patch_embeddings"]["projection"], in.at("pixels"), 4, 12);
    const vit_options o{
        .names =
            {.attention = "attention",
             .scale1 = "layer_scale1.lambda1",
             .scale2 = "layer_scale2.lambda1"},
        .attention = {.heads = 3, .names = {.qkv = "", .out = "o_proj"}},
        .mlp = mlp};
    const tensor x =
        vit_block(m["encoder.layer"][0], prefix_tokens(e, patches, {.registers = true}), o);
    return layer_norm(m["layernorm"], x, 1e-6);
}

tensor dit(scope m, const inputs& in) {
    const tensor vec = embedding_mlp(m["time"], timestep_embedding(m, in.at("t"), 8));
    const tensor x = dit_block(m["blocks"][0], in.at("x"), vec, {.attention = {.heads = 2}});
    return final_ada_norm(m["final"], x, vec, false);
}

tensor joint(scope m, const inputs& in) {
    const tensor vec = in.at("vec");
    const auto mods = [&]<std::size_t N>(std::string_view name) {
        return modulations<N>(m[name]["linear"], vec, bias::none);
    };
    const std::array<tensor, 2> positions{in.at("p0"), in.at("p1")};
    const std::array<std::int64_t, 2> sizes{2, 2};
    joint_options o{.heads = 2};
    o.rope = axes_rope_table(m["rope"], positions, sizes, 2000);
    const streams both = joint_block(
        m["transformer_blocks"][0],
        {in.at("img"), in.at("txt")},
        mods.operator()<2>("double_stream_modulation_img"),
        mods.operator()<2>("double_stream_modulation_txt"),
        o
    );
    const tensor x = concat(m, {both.text, both.image}, 1);
    const auto single = mods.operator()<1>("single_stream_modulation");
    return single_stream_block(m["single_transformer_blocks"][0], x, single[0], o);
}

tensor dac(scope m, const inputs& in) {
    const tensor z = rvq_decode(m["quantizer"], in.at("codes"), 0, 3, {.project_each = true});
    const std::array<std::int64_t, 2> rates{3, 2};
    return dac_decoder(m["decoder"], z, {.width = 12, .rates = rates});
}

// Mimi's transformer: causal with a window, rope, LayerScale; x [B, T, D].
tensor mimi_transformer(scope m, tensor x) {
    const dim tokens = m.graph().shape_of(x).dims[1];
    const tensor positions = m.op(RLX_OP_Arange, {}, {attr(RLX_ATTR_n, tokens)});
    const tensor table = m.op(
        RLX_OP_RopeTable, {positions}, {attr(RLX_ATTR_dim, 4), attr_real(RLX_ATTR_base, 10000)}
    );
    const vit_options o{
        .eps = 1e-5,
        .names =
            {.norm1 = "input_layernorm",
             .norm2 = "post_attention_layernorm",
             .attention = "self_attn",
             .scale1 = "self_attn_layer_scale.scale",
             .scale2 = "mlp_layer_scale.scale"},
        .attention =
            {.heads = 2,
             .names = {.qkv = "", .out = "o_proj"},
             .qkv_bias = bias::none,
             .out_bias = bias::none,
             .rope = table,
             .attention = {.causal = true, .window = 5}},
        .mlp = {.width = 8, .bias = bias::none}};
    return vit_block(m["layers"][0], x, o);
}

tensor mimi(scope m, const inputs& in) {
    const rvq_options o{
        .codebook = codebook::averages,
        .bias = bias::none,
        .layers = "layers",
        .output_proj = "output_proj"};
    const scope q = m["quantizer"];
    const tensor codes = in.at("codes");
    tensor x =
        add(q,
            rvq_decode(q["semantic_residual_vector_quantizer"], codes, 0, 1, o),
            rvq_decode(q["acoustic_residual_vector_quantizer"], codes, 1, 2, o));
    const scope d = m["decoder"];
    x = conv_transpose(
        d["upsample.conv"],
        x,
        {.out = 8, .kernel = 4, .stride = 2, .groups = 8, .trim_hi = 2, .bias = bias::none}
    );
    x = mimi_transformer(d["decoder_transformer"], permute(d, x, {0, 2, 1}));
    const std::array<std::int64_t, 2> ratios{3, 2};
    return seanet_decoder(
        d["decoder_seanet"], permute(d, x, {0, 2, 1}), 2, ratios, 1, {.residual_layers = 2}
    );
}

struct block_case {
    std::string name;
    forward build;
    // Axes of inputs that are symbols; the first axis of f32 inputs and codes always is.
    std::map<std::string, std::map<std::size_t, std::string>, std::less<>> symbols;
};

const std::vector<block_case>& cases() {
    static const std::vector<block_case> list = {
        {"conv_stack", conv_stack, {{"x", {{2, "H"}, {3, "W"}}}}},
        {"basic", basic, {{"x", {{2, "H"}, {3, "W"}}}}},
        {"weight_norm", normed_weights, {{"x", {{2, "T"}}}}},
        {"frames", frames, {{"x", {{2, "T"}}}}},
        {"dinov2", [](scope m, const inputs& in) { return dinov2(m, in, {.width = 24}); }, {}},
        {"dinov2_swiglu",
         [](scope m, const inputs& in) {
             return dinov2(
                 m, in, {.kind = mlp_kind::swiglu, .width = 16, .names = {.fc2 = "down_proj"}}
             );
         },
         {}},
        {"dit", dit, {{"x", {{1, "T"}}}}},
        {"joint", joint, {}},
        {"dac", dac, {{"codes", {{2, "T"}}}}},
        {"mimi", mimi, {{"codes", {{2, "T"}}}}},
    };
    return list;
}

enum class storage { f32, bf16, truncated }; // truncated: f32 that holds bf16's values

struct variant {
    const char* tier;
    bool fuse = true;
    bool symbols = true;
    storage weights = storage::f32;
    bool claimed = true; // composites as one step
};

class block_run {
public:
    block_run(const block_case& c, const variant& v) : case_(c), variant_(v), net_(&weights_) {}

    std::vector<float> run();

private:
    void fill_weights(const std::string& name, const array& a) {
        if (variant_.weights == storage::f32 || a.dims.empty()) {
            weights_.f32(name, a.dims, a.v);
            return;
        }
        const std::vector<float> rounded = weights_.bf16(name, a.dims, a.v).f32;
        if (variant_.weights == storage::truncated) weights_.f32(name, a.dims, rounded);
    }

    tensor declare(graph_builder& g, const std::string& name, const array& a);

    const block_case& case_;
    variant variant_;
    cpu_test::memory_weights weights_;
    cpu_test::net net_;
    std::map<std::string, dim> extents_;
    std::vector<std::pair<rlx_value, const array*>> given_;
};

tensor block_run::declare(graph_builder& g, const std::string& name, const array& a) {
    std::vector<dim> dims = a.dims;
    std::map<std::size_t, std::string> symbols;
    if (const auto it = case_.symbols.find(name); it != case_.symbols.end()) symbols = it->second;
    if (!a.v.empty() || name == "codes") symbols[0] = "B";
    for (const auto& [axis, symbol] : symbols) {
        if (!variant_.symbols) break;
        extents_[symbol] = dims[axis];
        dims[axis] = g.symbol(symbol, 0, 2 * dims[axis] + 3);
    }
    const tensor t = g.input(name, a.v.empty() ? RLX_I32 : RLX_F32, dims);
    given_.emplace_back(t.id, &a);
    return t;
}

std::vector<float> block_run::run() {
    const std::string w = case_.name + "/w/", x = case_.name + "/x/";
    sticky errors;
    graph_builder g(net_.g->handle(), errors);
    inputs in;
    for (const auto& [name, a] : golden("blocks.safetensors").tensors) {
        if (name.starts_with(w)) fill_weights(name.substr(w.size()), a);
        if (name.starts_with(x)) in[name.substr(x.size())] = declare(g, name.substr(x.size()), a);
    }
    const tensor y = case_.build(scope(g), in);
    g.output("y", y);
    if (const auto s = errors.done(); !s) {
        ADD_FAILURE() << s.error().message;
        return {};
    }
    cpu_test::setup how{variant_.tier};
    how.fuse = variant_.fuse;
    if (!variant_.claimed)
        how.refused = {
            RLX_OP_LayerNorm, RLX_OP_GroupNorm, RLX_OP_Snake, RLX_OP_Modulate, RLX_OP_Attention};
    cpu_test::session s(net_, how);
    EXPECT_EQ(s.error, "");
    if (!s.error.empty()) return {};
    for (const auto& [v, a] : given_) {
        if (a->v.empty())
            s.set(v, a->ids);
        else
            s.set(v, a->v);
    }
    const rlx_value out = net_.g->find_output("y");
    const std::size_t n = golden("blocks.safetensors").tensors.at(case_.name + "/out").v.size();
    const std::vector<std::pair<std::string_view, dim>> extents(extents_.begin(), extents_.end());
    EXPECT_EQ(s.run(extents, {{out, n}}), "");
    return s.f32(out);
}

class blocks_golden : public rlx::block_test::tier_test {
protected:
    void all(const variant& v) {
        for (const block_case& c : cases()) {
            SCOPED_TRACE(c.name);
            const array& want = golden("blocks.safetensors").tensors.at(c.name + "/out");
            EXPECT_LE(error_of(block_run(c, v).run(), want.v), 1e-5);
        }
    }
};

} // namespace

TEST_P(blocks_golden, sizes_are_symbols) {
    all({GetParam()});
}

TEST_P(blocks_golden, sizes_are_known) {
    all({GetParam(), true, false});
}

TEST_P(blocks_golden, nothing_is_fused) {
    all({GetParam(), false});
}

TEST_P(blocks_golden, composites_decomposed) {
    all({GetParam(), true, true, storage::f32, false});
}

TEST_P(blocks_golden, half_precision_checkpoints_give_what_their_values_give) {
    for (const block_case& c : cases()) {
        SCOPED_TRACE(c.name);
        const auto want = block_run(c, {GetParam(), true, true, storage::truncated}).run();
        const auto have = block_run(c, {GetParam(), true, true, storage::bf16}).run();
        EXPECT_LE(error_of(have, want), 1e-5);
    }
}

// The comparison must see an epsilon that is not the checkpoint's.
TEST_P(blocks_golden, notices_a_wrong_epsilon) {
    block_case wrong = cases().front();
    wrong.build = [](scope m, const inputs& in) {
        tensor x = resnet_stack(m["resnets"], in.at("x"), 2, {.out = 6, .groups = 2, .eps = 1e-3});
        x = downsample_conv(m["downsamplers"], x, 6);
        return upsample_conv(m["upsamplers"], x, 5);
    };
    const array& want = golden("blocks.safetensors").tensors.at("conv_stack/out");
    EXPECT_GT(error_of(block_run(wrong, {GetParam()}).run(), want.v), 1e-5);
}

INSTANTIATE_TEST_SUITE_P(
    tiers,
    blocks_golden,
    testing::Values("baseline", "avx2", "avx512", "avx512_vnni", "amx"),
    [](const auto& p) { return std::string(p.param); }
);
