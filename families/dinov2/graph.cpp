// SPDX-License-Identifier: GPL-3.0-only
// The forward, as transformers' modeling_dinov2 and modeling_dinov2_with_registers and Meta's
// vision_transformer have it.
#include "config.hpp"

namespace rlx::dinov2 {
namespace {

using sdk::dim;
using sdk::scope;
using sdk::tensor;

// [B, 1 + registers + patches, D]
tensor embeddings(scope m, tensor pixels, const config& c) {
    const tensor y = sdk::conv(
        m[c.meta() ? "patch_embed.proj" : "patch_embeddings.projection"],
        pixels,
        {.out = c.hidden, .kernel = c.patch, .stride = c.patch}
    );
    const sdk::shape s = m.graph().shape_of(y);
    if (!m.ok()) return {};
    const dim rows = s.dims[2], columns = s.dims[3];
    const dim patches = m.graph().combine(RLX_DIM_MUL, rows, columns);
    const tensor tokens =
        sdk::permute(m, sdk::reshape(m, y, {s.dims[0], c.hidden, patches}), {0, 2, 1});

    const dim trained = 1 + c.grid * c.grid;
    const tensor table =
        sdk::f32_weight(m, c.meta() ? "pos_embed" : "position_embeddings", {1, trained, c.hidden});
    const tensor cls = sdk::add(
        m, sdk::f32_weight(m, "cls_token", {1, 1, c.hidden}), sdk::slice(m, table, 1, 0, 1)
    );
    const tensor placed = sdk::add(
        m,
        tokens,
        sdk::resize_positions(
            m, sdk::slice(m, table, 1, 1, trained), c.grid, rows, columns, c.position_resizing()
        )
    );
    const tensor first = sdk::token_for_each(m, cls, placed);
    if (c.registers == 0) return sdk::concat(m, {first, placed}, 1);
    const tensor registers = sdk::f32_weight(m, "register_tokens", {1, c.registers, c.hidden});
    return sdk::concat(m, {first, sdk::token_for_each(m, registers, placed), placed}, 1);
}

sdk::vit_options layer_options(const config& c) {
    sdk::vit_options o;
    o.eps = c.norm_eps;
    o.attention.heads = c.n_heads;
    o.attention.qkv_bias = c.qkv_bias ? sdk::bias::required : sdk::bias::none;
    o.mlp.kind = c.swiglu ? sdk::mlp_kind::swiglu_w12 : sdk::mlp_kind::plain;
    o.mlp.act = c.act;
    o.mlp.width = c.inner;
    if (c.meta()) return o; // the defaults
    o.names.attention = "attention";
    o.names.scale1 = "layer_scale1.lambda1";
    o.names.scale2 = "layer_scale2.lambda1";
    o.attention.names = {
        .qkv = {},
        .q = "attention.query",
        .k = "attention.key",
        .v = "attention.value",
        .out = "output.dense"};
    o.mlp.names.w12 = "weights_in";
    o.mlp.names.w3 = "weights_out";
    return o;
}

tensor mean_of_tokens(scope m, tensor x) {
    return m.op(
        RLX_OP_Reduce, {x}, {sdk::attr(RLX_ATTR_kind, RLX_REDUCE_MEAN), sdk::attr(RLX_ATTR_axis, 1)}
    );
}

// Token 0 of x [B, T, D]: [B, D].
tensor first_token(scope m, tensor x) {
    const sdk::shape s = m.graph().shape_of(x);
    if (!m.ok()) return {};
    return sdk::reshape(m, sdk::slice(m, x, 1, 0, 1), {s.dims[0], s.dims[2]});
}

// The scope of "a.b." below root.
scope below(scope root, std::string_view prefix) {
    return prefix.empty() ? root : root[prefix.substr(0, prefix.size() - 1)];
}

} // namespace

void build(sdk::graph_builder& g, const config& c, head h) {
    const scope root(g);
    const scope m = c.meta() ? root : below(root, c.prefix);
    const tensor pixels = g.declared_input("pixels", RLX_F32, 4);
    tensor x = embeddings(c.meta() ? m : m["embeddings"], pixels, c);
    const scope layers = c.meta() ? m["blocks"] : m["encoder.layer"];
    const sdk::vit_options options = layer_options(c);
    for (std::int64_t i = 0; i < c.n_layers; ++i)
        x = sdk::vit_block(layers[i], x, options);
    const scope norm = m[c.meta() ? "norm" : "layernorm"];
    if (h == head::pooled) {
        g.output("pooled", sdk::layer_norm(norm, first_token(norm, x), c.norm_eps));
        return;
    }
    x = sdk::layer_norm(norm, x, c.norm_eps);
    if (h == head::hidden) {
        g.output("hidden", x);
        return;
    }
    const scope classifier = root[c.meta() ? "head" : "classifier"];
    const dim tokens = g.shape_of(x).dims[1];
    const tensor patches = sdk::slice(classifier, x, 1, c.prefix_tokens(), tokens);
    const tensor both = sdk::concat(
        classifier, {first_token(classifier, x), mean_of_tokens(classifier, patches)}, 1
    );
    g.output(
        "scores", sdk::linear(classifier, both, {.out = c.classes, .bias = sdk::bias::required})
    );
}

} // namespace rlx::dinov2
