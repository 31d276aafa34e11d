// SPDX-License-Identifier: GPL-3.0-only
// Convolutions and what stands between them: padding, norms over channels, resampling, residual
// blocks. Values are [N, C, spatial...] as in PyTorch; weights carry PyTorch's names and shapes.
// Compiled into the plugin. [one thread per graph]
#pragma once

#include "rlx/sdk/blocks.hpp"

#include <algorithm>

namespace rlx::sdk {
inline namespace sdk_v1 {

// ---- padding ----

// Zeros, or RLX_PAD_* of another kind, before and behind each of the last lo.size() axes.
inline tensor
pad(scope m,
    tensor x,
    std::initializer_list<dim> lo,
    std::initializer_list<dim> hi,
    std::int64_t kind = RLX_PAD_CONSTANT) {
    return m.op(
        RLX_OP_Pad,
        {x},
        {attr(RLX_ATTR_kind, kind),
         attr_list(RLX_ATTR_pad_lo, {lo.begin(), lo.size()}),
         attr_list(RLX_ATTR_pad_hi, {hi.begin(), hi.size()})}
    );
}

// ---- convolutions ----

enum class weight_norm {
    none,
    // weight = g v / |v|, the length taken over all axes but the first:
    legacy,      // weight_g, weight_v
    parametrized // parametrizations.weight.original0 (g) and .original1 (v)
};

// Where zeros (or `pad_kind`) go around a convolution of one axis.
enum class padding {
    none,
    same, // half of dilation (k - 1) on each side, rounded down in front
    // dilation (k - 1) + 1 - stride in front, and behind what the last frame lacks: ceil(L /
    // stride) outputs, each of which sees nothing later than the inputs of its frame
    causal,
    given // options.pad_lo and pad_hi
};

struct conv_options {
    std::int64_t out = any_size; // output channels
    std::int64_t kernel = 1;     // along every axis
    std::int64_t stride = 1;
    std::int64_t dilation = 1;
    std::int64_t groups = 1;
    enum padding padding = padding::none;
    std::int64_t pad_lo = 0, pad_hi = 0; // with padding::given
    std::int64_t pad_kind = RLX_PAD_CONSTANT;
    enum bias bias = bias::required;
    enum weight_norm weight_norm = weight_norm::none;
};

struct conv_transpose_options {
    std::int64_t out = any_size;
    std::int64_t kernel = 1;
    std::int64_t stride = 1;
    std::int64_t groups = 1;
    // Cut from the full result at each end; causal decoders cut kernel - stride behind.
    std::int64_t trim_lo = 0, trim_hi = 0;
    std::int64_t output_padding = 0;
    enum bias bias = bias::required;
    enum weight_norm weight_norm = weight_norm::none;
};

namespace detail {

inline std::size_t spatial_axes(scope m, tensor x) {
    const shape s = m.graph().shape_of(x);
    if (!m.ok()) return 0;
    if (s.rank >= 3 && s.rank <= 5 && s.dims[1] > 0) return s.rank - 2;
    m.fail(RLX_INTERNAL, "a convolution wants [N, C, ...] with 1 to 3 spatial axes");
    return 0;
}

// The tensor m.leaf of shape [a, b, kernel...].
inline tensor kernel_weight(scope m, std::string_view leaf, dim a, dim b, dim k, std::size_t axes) {
    if (axes == 1) return m.weight(leaf, {a, b, k});
    if (axes == 2) return m.weight(leaf, {a, b, k, k});
    return m.weight(leaf, {a, b, k, k, k});
}

// g v / |v| over all axes but the first. Computed in every run: the weight's size in operations.
inline tensor normed_weight(scope m, enum weight_norm kind, dim a, dim b, dim k, std::size_t axes) {
    if (kind == weight_norm::none) return kernel_weight(m, "weight", a, b, k, axes);
    const bool old = kind == weight_norm::legacy;
    const char* g_name = old ? "weight_g" : "parametrizations.weight.original0";
    const char* v_name = old ? "weight_v" : "parametrizations.weight.original1";
    const tensor g = as_f32(m, kernel_weight(m, g_name, any_size, 1, 1, axes));
    const tensor v = as_f32(m, kernel_weight(m, v_name, a, b, k, axes));
    const shape s = m.graph().shape_of(v);
    if (!m.ok()) return {};
    dim row = 1;
    for (std::uint32_t i = 1; i < s.rank; ++i)
        row *= s.dims[i];
    const tensor flat = reshape(m, v, {s.dims[0], row});
    const tensor length = m.op(
        RLX_OP_Reduce,
        {flat},
        {attr(RLX_ATTR_kind, RLX_REDUCE_L2), attr(RLX_ATTR_axis, 1), attr(RLX_ATTR_keep, 1)}
    );
    const tensor factor = binary(m, RLX_BINARY_DIV, reshape(m, g, {s.dims[0], 1}), length);
    const tensor w = mul(m, flat, factor);
    return m.op(RLX_OP_Reshape, {w}, {attr_list(RLX_ATTR_dims, {s.dims.data(), s.rank})});
}

// n entries of one number.
struct repeated {
    std::array<std::int64_t, 3> v;
    std::size_t n;

    repeated(std::int64_t x, std::size_t axes) : v{x, x, x}, n(axes) {}

    operator std::span<const std::int64_t>() const { return {v.data(), n}; }
};

// x with other values than zeros around it, as conv() pads; causal: up to a whole frame behind.
inline tensor padded(scope m, tensor x, const conv_options& o, std::int64_t lo, std::int64_t hi) {
    const shape s = m.graph().shape_of(x);
    if (!m.ok()) return {};
    const std::size_t axes = s.rank - 2;
    const repeated before(lo, axes);
    repeated behind(hi, axes);
    graph_builder& g = m.graph();
    for (std::size_t i = 0; i < axes && o.padding == padding::causal; ++i) {
        const dim length = s.dims[2 + i];
        const dim frames = g.combine(RLX_DIM_CEIL_DIV, length, o.stride);
        behind.v[i] = g.combine(RLX_DIM_SUB, g.combine(RLX_DIM_MUL, frames, o.stride), length);
    }
    return m.op(
        RLX_OP_Pad,
        {x},
        {attr(RLX_ATTR_kind, o.pad_kind),
         attr_list(RLX_ATTR_pad_lo, before),
         attr_list(RLX_ATTR_pad_hi, behind)}
    );
}

} // namespace detail

// x [N, C, L...] -> [N, out, M...]; the same numbers along every spatial axis. weight [out, C /
// groups, kernel...], bias [out].
inline tensor conv(scope m, tensor x, const conv_options& o) {
    const std::size_t axes = detail::spatial_axes(m, x);
    if (axes == 0) return {};
    const dim channels = m.graph().shape_of(x).dims[1];
    const tensor w = detail::normed_weight(
        m, o.weight_norm, o.out, o.groups > 0 ? channels / o.groups : 0, o.kernel, axes
    );
    const tensor b = detail::bias_of(m, o.bias, o.out);
    const std::int64_t reach = o.dilation * (o.kernel - 1);
    std::int64_t lo = o.pad_lo, hi = o.pad_hi;
    if (o.padding == padding::none) lo = hi = 0;
    if (o.padding == padding::same) lo = reach / 2, hi = reach - lo;
    // Zeros beyond the last whole frame do no harm.
    if (o.padding == padding::causal) lo = reach + 1 - o.stride, hi = std::min(o.stride - 1, reach);
    if (lo < 0) lo = 0; // a stride beyond the kernel skips inputs
    if (o.pad_kind != RLX_PAD_CONSTANT && (lo > 0 || hi > 0)) {
        x = detail::padded(m, x, o, lo, hi);
        lo = hi = 0;
    }
    const detail::repeated stride(o.stride, axes), before(lo, axes), behind(hi, axes);
    const detail::repeated dilation(o.dilation, axes);
    return m.op(
        RLX_OP_Conv,
        {x, w, b},
        {attr_list(RLX_ATTR_stride, stride),
         attr_list(RLX_ATTR_pad_lo, before),
         attr_list(RLX_ATTR_pad_hi, behind),
         attr_list(RLX_ATTR_dilation, dilation),
         attr(RLX_ATTR_groups, o.groups)}
    );
}

// x [N, C, L...] -> [N, out, (L - 1) stride + kernel + output_padding - trim_lo - trim_hi]. weight
// [C, out / groups, kernel...], bias [out].
inline tensor conv_transpose(scope m, tensor x, const conv_transpose_options& o) {
    const std::size_t axes = detail::spatial_axes(m, x);
    if (axes == 0) return {};
    const dim channels = m.graph().shape_of(x).dims[1];
    const dim outs = o.out > 0 && o.groups > 0 ? o.out / o.groups : any_size;
    const tensor w = detail::normed_weight(m, o.weight_norm, channels, outs, o.kernel, axes);
    const tensor b = detail::bias_of(m, o.bias, o.out);
    const detail::repeated stride(o.stride, axes), lo(o.trim_lo, axes), hi(o.trim_hi, axes);
    const detail::repeated extra(o.output_padding, axes);
    return m.op(
        RLX_OP_ConvTranspose,
        {x, w, b},
        {attr_list(RLX_ATTR_stride, stride),
         attr_list(RLX_ATTR_pad_lo, lo),
         attr_list(RLX_ATTR_pad_hi, hi),
         attr_list(RLX_ATTR_output_padding, extra),
         attr(RLX_ATTR_groups, o.groups)}
    );
}

// ---- norms over channels ----

// x [N, C, ...], weight and bias [C]. groups = C: instance norm.
inline tensor group_norm(
    scope m, tensor x, std::int64_t groups, double eps, enum affine params = affine::weight_and_bias
) {
    const dim channels = m.graph().shape_of(x).dims[1];
    tensor w, b;
    if (params != affine::none) w = m.weight("weight", {channels});
    if (params == affine::weight_and_bias) b = m.weight("bias", {channels});
    return m.op(
        RLX_OP_GroupNorm, {x, w, b}, {attr(RLX_ATTR_groups, groups), attr_real(RLX_ATTR_eps, eps)}
    );
}

// [C] -> [C, 1, ...], which broadcasts along the channels of [N, C, ...] with `rank` axes.
inline tensor per_channel(scope m, tensor v, std::uint32_t rank) {
    const shape s = m.graph().shape_of(v);
    if (!m.ok() || rank < 2) return {};
    dim count = 1;
    for (std::uint32_t i = 0; i < s.rank; ++i)
        count *= s.dims[i];
    std::array<dim, RLX_MAX_RANK> dims;
    dims.fill(1);
    dims[0] = count;
    return m.op(RLX_OP_Reshape, {v}, {attr_list(RLX_ATTR_dims, {dims.data(), rank - 1})});
}

// A trained BatchNorm folded to one scale and one shift per channel, made from the [C] vectors
// weight, bias, running_mean and running_var and applied to x [N, C, ...].
inline tensor batch_norm(scope m, tensor x, double eps) {
    const shape s = m.graph().shape_of(x);
    if (!m.ok()) return {};
    const dim channels = s.dims[1];
    const tensor var = f32_weight(m, "running_var", {channels});
    const tensor spread =
        m.op(RLX_OP_Affine, {var}, {attr_real(RLX_ATTR_scale, 1), attr_real(RLX_ATTR_shift, eps)});
    const tensor factor =
        mul(m, unary(m, RLX_UNARY_RSQRT, spread), f32_weight(m, "weight", {channels}));
    const tensor shift =
        sub(m,
            f32_weight(m, "bias", {channels}),
            mul(m, f32_weight(m, "running_mean", {channels}), factor));
    return add(m, mul(m, x, per_channel(m, factor, s.rank)), per_channel(m, shift, s.rank));
}

// LayerNorm over the channels of [N, C, L] or [N, C, H, W] (LayerNorm2d).
inline tensor channel_norm(scope m, tensor x, double eps) {
    const std::uint32_t rank = m.graph().shape_of(x).rank;
    if (!m.ok()) return {};
    if (rank == 3) return permute(m, layer_norm(m, permute(m, x, {0, 2, 1}), eps), {0, 2, 1});
    if (rank == 4) return permute(m, layer_norm(m, permute(m, x, {0, 2, 3, 1}), eps), {0, 3, 1, 2});
    m.fail(RLX_INTERNAL, "channel_norm wants [N, C, L] or [N, C, H, W], got rank {}", rank);
    return {};
}

// ---- resampling ----

// Every element of the spatial axes of x [N, C, L] or [N, C, H, W] repeated `factor` times.
inline tensor upsample_nearest(scope m, tensor x, std::int64_t factor) {
    const shape s = m.graph().shape_of(x);
    if (!m.ok()) return {};
    if (s.rank != 3 && s.rank != 4) {
        m.fail(RLX_INTERNAL, "upsample_nearest wants [N, C, L] or [N, C, H, W]");
        return {};
    }
    std::array<dim, RLX_MAX_RANK> thin{s.dims[0], s.dims[1]}, wide = thin, out = thin;
    std::uint32_t n = 2;
    for (std::uint32_t i = 2; i < s.rank; ++i, n += 2) {
        thin[n] = wide[n] = s.dims[i];
        thin[n + 1] = 1;
        wide[n + 1] = factor;
        out[i] = m.graph().combine(RLX_DIM_MUL, s.dims[i], factor);
    }
    const auto dims = [](const std::array<dim, RLX_MAX_RANK>& d, std::uint32_t rank) {
        return attr_list(RLX_ATTR_dims, {d.data(), rank});
    };
    const tensor cells = m.op(RLX_OP_Reshape, {x}, {dims(thin, n)});
    const tensor repeated = m.op(RLX_OP_Broadcast, {cells}, {dims(wide, n)});
    return m.op(RLX_OP_Reshape, {repeated}, {dims(out, s.rank)});
}

// upsample_nearest, then a 3 x 3 convolution named `conv`.
inline tensor upsample_conv(scope m, tensor x, std::int64_t out, std::int64_t factor = 2) {
    return conv(
        m["conv"],
        upsample_nearest(m, x, factor),
        {.out = out, .kernel = 3, .padding = padding::same}
    );
}

// A 3 x 3 convolution of stride 2 named `conv`, one zero behind each axis and none in front.
inline tensor downsample_conv(scope m, tensor x, std::int64_t out) {
    return conv(
        m["conv"], x, {.out = out, .kernel = 3, .stride = 2, .padding = padding::given, .pad_hi = 1}
    );
}

// ---- residual blocks ----

struct resnet_options {
    std::int64_t out = any_size; // any_size: as many channels as x
    std::int64_t groups = 32;
    double eps = 1e-6;
};

// norm1, silu, conv1, norm2, silu, conv2, plus x (through conv_shortcut where the channels change).
inline tensor resnet_block(scope m, tensor x, const resnet_options& o) {
    const dim channels = m.graph().shape_of(x).dims[1];
    if (!m.ok()) return {};
    const std::int64_t out = o.out == any_size ? channels : o.out;
    const conv_options three{.out = out, .kernel = 3, .padding = padding::same};
    tensor y = silu(m, group_norm(m["norm1"], x, o.groups, o.eps));
    y = conv(m["conv1"], y, three);
    y = silu(m, group_norm(m["norm2"], y, o.groups, o.eps));
    y = conv(m["conv2"], y, three);
    const tensor skip = out == channels ? x : conv(m["conv_shortcut"], x, {.out = out});
    return add(m, skip, y);
}

// Blocks m.0 .. m.(n - 1), the first of which may change the channels.
inline tensor resnet_stack(scope m, tensor x, std::int64_t n, const resnet_options& o) {
    for (std::int64_t i = 0; i < n; ++i)
        x = resnet_block(m[i], x, o);
    return x;
}

struct basic_block_options {
    std::int64_t out = any_size;
    std::int64_t stride = 1;
    double eps = 1e-5;
};

// conv1 bn1 relu conv2 bn2, plus x (through downsample.0 and .1 where the shape changes), relu.
inline tensor basic_block(scope m, tensor x, const basic_block_options& o) {
    const dim channels = m.graph().shape_of(x).dims[1];
    if (!m.ok()) return {};
    const std::int64_t out = o.out == any_size ? channels : o.out;
    conv_options c{
        .out = out,
        .kernel = 3,
        .stride = o.stride,
        .padding = padding::given,
        .pad_lo = 1,
        .pad_hi = 1,
        .bias = bias::none};
    tensor y = batch_norm(m["bn1"], conv(m["conv1"], x, c), o.eps);
    c.stride = 1;
    y = batch_norm(m["bn2"], conv(m["conv2"], unary(m, RLX_UNARY_RELU, y), c), o.eps);
    tensor skip = x;
    if (out != channels || o.stride != 1) {
        const scope d = m["downsample"];
        skip = conv(d[0], x, {.out = out, .stride = o.stride, .bias = bias::none});
        skip = batch_norm(d[1], skip, o.eps);
    }
    return unary(m, RLX_UNARY_RELU, add(m, y, skip));
}

} // namespace sdk_v1
} // namespace rlx::sdk
