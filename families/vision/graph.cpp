// SPDX-License-Identifier: GPL-3.0-only
// The forward of NomicVisionModel.
#include "config.hpp"

#include <cmath>

namespace rlx::vision {
namespace {

using sdk::dim;
using sdk::scope;
using sdk::tensor;

sdk::bias bias_if(bool there) {
    return there ? sdk::bias::required : sdk::bias::none;
}

// pixels [B, 3, H, W] -> [B, rows * columns, 3 * patch]: the values of a patch by channel, row,
// column.
tensor patches_of(scope m, tensor pixels, const config& c, dim rows, dim columns) {
    const dim images = m.graph().shape_of(pixels).dims[0];
    const std::int64_t h = c.patch.height, w = c.patch.width;
    const tensor split = sdk::reshape(m, pixels, {images, 3, rows, h, columns, w});
    const tensor turned = sdk::permute(m, split, {0, 2, 4, 1, 3, 5});
    const dim n = m.graph().combine(RLX_DIM_MUL, rows, columns);
    return sdk::reshape(m, turned, {images, n, 3 * h * w});
}

// The table's rows for the tokens of this size: class token first where it has one.
tensor table_for(scope m, tensor table, const config& c, dim rows, dim columns) {
    if (!c.resizable || c.rope) return table;
    const tensor patches = sdk::resize_positions(
        m,
        sdk::slice(m, table, 1, 1, 1 + c.patches()),
        c.grid.height,
        rows,
        columns,
        sdk::position_resizing::bicubic_offset
    );
    return sdk::concat(m, {sdk::slice(m, table, 1, 0, 1), patches}, 1);
}

// [B, prefix + patches, D]
tensor embeddings(scope m, tensor pixels, const config& c) {
    const sdk::shape s = m.graph().shape_of(pixels);
    if (!m.ok()) return {};
    const dim rows = m.graph().combine(RLX_DIM_DIV, s.dims[2], c.patch.height);
    const dim columns = m.graph().combine(RLX_DIM_DIV, s.dims[3], c.patch.width);
    tensor x = sdk::linear(
        m["proj"],
        patches_of(m, pixels, c, rows, columns),
        {.out = c.hidden, .bias = bias_if(c.patch_bias)}
    );
    tensor table;
    if (c.positions != positions::none) {
        const dim trained = c.patches() + (c.positions == positions::all_tokens ? 1 : 0);
        table = sdk::f32_weight(m, "pos_embed", {1, trained, c.hidden});
    }
    if (c.positions == positions::patches) x = sdk::add(m, x, table);
    if (c.registers > 0) {
        const tensor t = sdk::f32_weight(m, "reg_token", {1, c.registers, c.hidden});
        x = sdk::concat(m, {sdk::token_for_each(m, t, x), x}, 1);
    }
    if (c.cls) {
        tensor t = sdk::f32_weight(m, "cls_token", {1, 1, c.hidden});
        if (c.sinusoidal && table) t = sdk::add(m, t, sdk::slice(m, table, 1, 0, 1));
        x = sdk::concat(m, {sdk::token_for_each(m, t, x), x}, 1);
    }
    if (c.positions == positions::all_tokens)
        x = sdk::add(m, x, table_for(m, table, c, rows, columns));
    return x;
}

tensor mlp(scope m, tensor x, const config& c, bool norm) {
    const sdk::linear_options inner{.out = c.inner, .bias = bias_if(c.fc1_bias)};
    tensor h;
    if (c.gated) {
        const tensor up = sdk::linear(m["fc11"], x, inner);
        const tensor gate = sdk::linear(m["fc12"], x, inner);
        h = m.op(RLX_OP_Glu, {gate, up}, {sdk::attr(RLX_ATTR_kind, c.act)});
        constexpr double torch_eps = 1e-5; // whatever layer_norm_epsilon says
        if (norm) h = sdk::layer_norm(m["norm"], h, torch_eps);
    } else {
        h = sdk::unary(m, RLX_UNARY_GELU, sdk::linear(m["fc1"], x, inner));
    }
    return sdk::linear(m["fc2"], h, {.out = c.hidden, .bias = bias_if(c.fc2_bias)});
}

tensor layer(scope m, tensor x, tensor rope, const config& c) {
    const sdk::self_attention_options o{
        .heads = c.n_heads,
        .names = {.qkv = "Wqkv", .out = "out_proj"},
        .qkv_bias = bias_if(c.qkv_bias),
        .out_bias = bias_if(c.qkv_bias),
        .rope = rope,
        .rope_interleaved = true};
    x = sdk::add(
        m, x, sdk::self_attention(m["attn"], sdk::layer_norm(m["norm1"], x, c.norm_eps), o)
    );
    return sdk::add(m, x, mlp(m["mlp"], sdk::layer_norm(m["norm2"], x, c.norm_eps), c, c.norm_mlp));
}

// What one learnt query reads out of all tokens x [B, T, D]: [B, 1, D].
tensor selection(scope m, tensor x, const config& c) {
    const scope a = m["attn"];
    const sdk::linear_options plain{.out = c.hidden, .bias = bias_if(c.qkv_bias)};
    const tensor latent = sdk::token_for_each(a, sdk::f32_weight(a, "latent", {1, 1, c.hidden}), x);
    const tensor both =
        sdk::linear(a["Wkv"], x, {.out = 2 * c.hidden, .bias = bias_if(c.qkv_bias)});
    const auto heads = [&](tensor t) { return sdk::split_heads_batched(a, t, c.n_heads); };
    const tensor q = heads(sdk::linear(a["Wq"], latent, plain));
    const tensor k = heads(sdk::slice(a, both, 2, 0, c.hidden));
    const tensor v = heads(sdk::slice(a, both, 2, c.hidden, 2 * c.hidden));
    tensor y = sdk::merge_heads_batched(a, sdk::dense_attention(a, q, k, v));
    y = sdk::linear(a["out_proj"], y, plain);
    return mlp(m["mlp"], sdk::layer_norm(m["norm1"], y, c.norm_eps), c, false);
}

} // namespace

std::vector<float> rope_table(const config& c) {
    const auto prefix = static_cast<std::size_t>(c.prefix_tokens());
    const auto width = static_cast<std::size_t>(c.head_dim()), half = width / 2, bands = half / 2;
    std::vector<float> out((prefix + static_cast<std::size_t>(c.patches())) * width);
    for (std::size_t t = 0; t < prefix; ++t)
        std::fill_n(out.begin() + static_cast<std::ptrdiff_t>(t * width), half, 1.0F);
    // In f32 step by step, as the reference computes it.
    const auto place = [&](std::int64_t i, std::int64_t n, std::int64_t reference) {
        const auto x = static_cast<float>(i);
        if (!c.rope_reference) return x;
        return x / static_cast<float>(n) * static_cast<float>(reference);
    };
    const extent reference = c.rope_reference.value_or(extent{});
    for (std::int64_t row = 0; row < c.grid.height; ++row)
        for (std::int64_t column = 0; column < c.grid.width; ++column) {
            const auto token = prefix + static_cast<std::size_t>(row * c.grid.width + column);
            float* cosines = out.data() + token * width;
            const float at[] = {
                place(row, c.grid.height, reference.height),
                place(column, c.grid.width, reference.width)};
            for (std::size_t j = 0; j < half; ++j) {
                const auto exponent = static_cast<float>(j % bands) / static_cast<float>(bands);
                const float angle = at[j / bands] * (1.0F / std::pow(10000.0F, exponent));
                cosines[j] = std::cos(angle);
                cosines[half + j] = std::sin(angle);
            }
        }
    return out;
}

void build(sdk::graph_builder& g, const config& c, head h) {
    const scope root(g);
    tensor x = embeddings(root["embeddings"], g.declared_input("pixels", RLX_F32, 4), c);
    tensor rope;
    if (c.rope) {
        const std::vector<float> table = rope_table(c);
        const dim dims[] = {c.prefix_tokens() + c.patches(), c.head_dim()};
        rope = g.constant(RLX_F32, dims, {table.data(), table.size() * sizeof(float)});
    }
    for (std::int64_t i = 0; i < c.n_layers; ++i)
        x = layer(root["layers"][i], x, rope, c);
    const scope selector = root["selector"];
    const tensor read = selection(selector, x, c);
    if (h == head::hidden) {
        g.output("hidden", sdk::add(selector, x, read));
        return;
    }
    const sdk::shape s = g.shape_of(x);
    if (!g.ok()) return;
    x = sdk::add(selector, sdk::slice(selector, x, 1, 0, 1), read);
    g.output("pooled", sdk::reshape(selector, x, {s.dims[0], s.dims[2]}));
}

} // namespace rlx::vision
