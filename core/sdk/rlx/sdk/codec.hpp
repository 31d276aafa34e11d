// SPDX-License-Identifier: GPL-3.0-only
// Neural audio codecs: activations, residual units and upsampling blocks of DAC-, EnCodec- and
// Mimi-like decoders, residual vector quantisation. Signals are [B, C, T]. Compiled into the
// plugin. [one thread per graph]
#pragma once

#include "rlx/sdk/conv.hpp"

namespace rlx::sdk {
inline namespace sdk_v1 {

// ---- activations ----

// x where x > 0, else exp(x) - 1
inline tensor elu(scope m, tensor x) {
    const auto clamp = [&](double lo, double hi) {
        return m.op(RLX_OP_Clamp, {x}, {attr_real(RLX_ATTR_lo, lo), attr_real(RLX_ATTR_hi, hi)});
    };
    const tensor e = unary(m, RLX_UNARY_EXP, clamp(-HUGE_VAL, 0));
    const tensor below =
        m.op(RLX_OP_Affine, {e}, {attr_real(RLX_ATTR_scale, 1), attr_real(RLX_ATTR_shift, -1)});
    return add(m, clamp(0, HUGE_VAL), below);
}

// slope * x where x < 0; 0 <= slope <= 1
inline tensor leaky_relu(scope m, tensor x, double slope) {
    return binary(m, RLX_BINARY_MAX, x, scale(m, x, slope));
}

struct snake_options {
    bool beta = false;        // a second parameter, beta
    bool logarithmic = false; // the file holds logarithms
    double eps = 1e-9;
};

// x + sin^2(alpha x) / (alpha + eps), or / (beta + eps); alpha and beta hold C numbers in any
// shape.
inline tensor snake(scope m, tensor x, const snake_options& o = {}) {
    const dim channels = m.graph().shape_of(x).dims[1];
    const auto parameter = [&](std::string_view name, dim behind) {
        const tensor w =
            behind == 0 ? m.weight(name, {channels}) : m.weight(name, {1, channels, 1});
        return behind == 0 ? w : reshape(m, w, {channels});
    };
    // SnakeBeta's vectors are [C], Snake1d's are [1, C, 1].
    const tensor alpha = parameter("alpha", o.beta ? 0 : 1);
    const tensor beta = o.beta ? parameter("beta", 0) : tensor{};
    return m.op(
        RLX_OP_Snake,
        {x, alpha, beta},
        {attr(RLX_ATTR_log, o.logarithmic ? 1 : 0), attr_real(RLX_ATTR_eps, o.eps)}
    );
}

// ---- DAC ----

struct dac_options {
    enum padding padding = padding::same; // causal codecs: padding::causal
    enum weight_norm weight_norm = weight_norm::none;
    snake_options snake = {};
};

// snake1, conv1 (kernel 7, dilated), snake2, conv2 (kernel 1), plus x.
inline tensor
dac_residual_unit(scope m, tensor x, std::int64_t dilation, const dac_options& o = {}) {
    const dim channels = m.graph().shape_of(x).dims[1];
    conv_options c{
        .out = channels,
        .kernel = 7,
        .dilation = dilation,
        .padding = o.padding,
        .weight_norm = o.weight_norm};
    tensor y = conv(m["conv1"], snake(m["snake1"], x, o.snake), c);
    c.kernel = c.dilation = 1;
    y = conv(m["conv2"], snake(m["snake2"], y, o.snake), c);
    return add(m, x, y);
}

// snake1, conv_t1 (kernel 2 stride: T * stride, one less when the stride is odd and the padding is
// same), res_unit1..3 with dilations 1, 3, 9.
inline tensor dac_decoder_block(
    scope m, tensor x, std::int64_t out, std::int64_t stride, const dac_options& o = {}
) {
    const bool causal = o.padding == padding::causal;
    const std::int64_t half = (stride + 1) / 2;
    x = conv_transpose(
        m["conv_t1"],
        snake(m["snake1"], x, o.snake),
        {.out = out,
         .kernel = 2 * stride,
         .stride = stride,
         .trim_lo = causal ? 0 : half,
         .trim_hi = causal ? stride : half,
         .weight_norm = o.weight_norm}
    );
    std::int64_t dilation = 1;
    for (const std::string_view name : {"res_unit1", "res_unit2", "res_unit3"}) {
        x = dac_residual_unit(m[name], x, dilation, o);
        dilation *= 3;
    }
    return x;
}

struct dac_decoder_options {
    std::int64_t width = any_size; // channels behind conv1; halved by each block
    std::span<const std::int64_t> rates;
    dac_options block = {};
};

// conv1, block.0..n, snake1, conv2, tanh: latents [B, C, T] -> audio [B, 1, T'].
inline tensor dac_decoder(scope m, tensor x, const dac_decoder_options& o) {
    conv_options c{
        .out = o.width,
        .kernel = 7,
        .padding = o.block.padding,
        .weight_norm = o.block.weight_norm};
    x = conv(m["conv1"], x, c);
    std::int64_t index = 0, width = m.graph().shape_of(x).dims[1];
    for (const std::int64_t rate : o.rates) {
        width /= 2;
        x = dac_decoder_block(m["block"][index++], x, width, rate, o.block);
    }
    c.out = 1;
    x = conv(m["conv2"], snake(m["snake1"], x, o.block.snake), c);
    return unary(m, RLX_UNARY_TANH, x);
}

// ---- EnCodec, Mimi (SEANet) ----

struct seanet_options {
    std::int64_t compress = 2; // inner channels of a residual block: channels / compress
    std::int64_t residual_kernel = 3;
    std::int64_t kernel = 7, last_kernel = 3;
    std::int64_t dilation_growth = 2;
    std::int64_t residual_layers = 1;
    bool conv_shortcut = false;
    std::int64_t pad_kind = RLX_PAD_CONSTANT; // EnCodec: RLX_PAD_REFLECT
    enum weight_norm weight_norm = weight_norm::none;
};

namespace detail {

// A causal convolution named `conv` below m.
inline tensor seanet_conv(
    scope m,
    tensor x,
    std::int64_t out,
    std::int64_t kernel,
    const seanet_options& o,
    std::int64_t dilation = 1
) {
    return sdk_v1::conv(
        m["conv"],
        x,
        {.out = out,
         .kernel = kernel,
         .dilation = dilation,
         .padding = padding::causal,
         .pad_kind = o.pad_kind,
         .weight_norm = o.weight_norm}
    );
}

} // namespace detail

// block.1 and block.3 (convolutions, an elu before each), plus x or shortcut(x).
inline tensor
seanet_residual_block(scope m, tensor x, std::int64_t dilation, const seanet_options& o) {
    const dim channels = m.graph().shape_of(x).dims[1];
    const scope b = m["block"];
    const std::int64_t inner = o.compress > 0 ? channels / o.compress : 0;
    tensor y = detail::seanet_conv(b[1], elu(m, x), inner, o.residual_kernel, o, dilation);
    y = detail::seanet_conv(b[3], elu(m, y), channels, 1, o);
    return add(m, o.conv_shortcut ? detail::seanet_conv(m["shortcut"], x, channels, 1, o) : x, y);
}

// Latents [B, C, T] -> audio [B, audio_channels, T * product of ratios], all convolutions causal.
// `layers.<i>` numbers activations too, as the checkpoints do. EnCodec's LSTM is not part of it.
inline tensor seanet_decoder(
    scope m,
    tensor x,
    std::int64_t filters,
    std::span<const std::int64_t> ratios,
    std::int64_t audio_channels,
    const seanet_options& o = {}
) {
    const scope layers = m["layers"];
    std::int64_t width = filters << ratios.size(), index = 0;
    x = detail::seanet_conv(layers[index++], x, width, o.kernel, o);
    for (const std::int64_t ratio : ratios) {
        ++index; // the activation
        width /= 2;
        x = conv_transpose(
            layers[index++]["conv"],
            elu(m, x),
            {.out = width,
             .kernel = 2 * ratio,
             .stride = ratio,
             .trim_hi = ratio,
             .weight_norm = o.weight_norm}
        );
        std::int64_t dilation = 1;
        for (std::int64_t i = 0; i < o.residual_layers; ++i, dilation *= o.dilation_growth)
            x = seanet_residual_block(layers[index++], x, dilation, o);
    }
    ++index;
    return detail::seanet_conv(layers[index], elu(m, x), audio_channels, o.last_kernel, o);
}

// ---- ConvNeXt ----

// dwconv (depthwise, causal), norm, pwconv1, gelu, pwconv2, gamma, plus x; as in streaming
// decoders.
inline tensor
convnext_block(scope m, tensor x, std::int64_t kernel, double eps, std::string_view dwconv) {
    const dim channels = m.graph().shape_of(x).dims[1];
    const tensor y = conv(
        m[dwconv],
        x,
        {.out = channels, .kernel = kernel, .groups = channels, .padding = padding::causal}
    );
    tensor h = layer_norm(m["norm"], permute(m, y, {0, 2, 1}), eps);
    h = linear(m["pwconv1"], h, {.bias = bias::required});
    h = linear(
        m["pwconv2"], unary(m, RLX_UNARY_GELU, h), {.out = channels, .bias = bias::required}
    );
    h = mul(m, h, f32_weight(m, "gamma", {channels}));
    return add(m, x, permute(m, h, {0, 2, 1}));
}

// ---- residual vector quantisation ----

// How the file holds a codebook [N, d].
enum class codebook {
    plain,   // codebook.weight
    embed,   // codebook.embed
    averages // codebook.embed_sum / clamp(codebook.cluster_usage, eps), computed in every run
};

struct rvq_options {
    enum codebook codebook = codebook::plain;
    double eps = 1e-5; // of averages
    // Each codebook has an `out_proj` of its own, a convolution of kernel 1 (DAC); else the sum of
    // all codes goes through output_proj.
    bool project_each = false;
    enum bias bias = bias::required;
    enum weight_norm weight_norm = weight_norm::none;
    std::string_view layers = "quantizers", output_proj = {};
};

namespace detail {

inline tensor codebook_table(scope m, const rvq_options& o) {
    if (o.codebook == codebook::plain) return m["codebook"].weight("weight", {any_size, any_size});
    if (o.codebook == codebook::embed) return m["codebook"].weight("embed", {any_size, any_size});
    const scope c = m["codebook"];
    const tensor sums = f32_weight(c, "embed_sum", {any_size, any_size});
    const tensor usage = f32_weight(c, "cluster_usage", {any_size});
    const dim rows = m.graph().shape_of(sums).dims[0];
    const tensor counts = m.op(
        RLX_OP_Clamp, {usage}, {attr_real(RLX_ATTR_lo, o.eps), attr_real(RLX_ATTR_hi, HUGE_VAL)}
    );
    return binary(m, RLX_BINARY_DIV, sums, reshape(m, counts, {rows, 1}));
}

// Codes of quantiser k: i32 [B, K, T] -> [B, T].
inline tensor codes_of(scope m, tensor codes, std::int64_t k) {
    const shape s = m.graph().shape_of(codes);
    if (!m.ok()) return {};
    return reshape(m, slice(m, codes, 1, k, k + 1), {s.dims[0], s.dims[2]});
}

} // namespace detail

// Codes i32 [B, K, T] of quantisers first .. first + n - 1 -> latents [B, D, T].
inline tensor
rvq_decode(scope m, tensor codes, std::int64_t first, std::int64_t n, const rvq_options& o = {}) {
    const conv_options project{.bias = o.bias, .weight_norm = o.weight_norm};
    tensor sum;
    for (std::int64_t k = 0; k < n; ++k) {
        const scope q = m[o.layers][k];
        const tensor ids = detail::codes_of(q, codes, first + k);
        tensor v = permute(q, take_rows(q, detail::codebook_table(q, o), ids), {0, 2, 1});
        if (o.project_each) v = conv(q["out_proj"], v, project);
        sum = k == 0 ? v : add(q, sum, v);
    }
    return o.output_proj.empty() ? sum : conv(m[o.output_proj], sum, project);
}

} // namespace sdk_v1
} // namespace rlx::sdk
