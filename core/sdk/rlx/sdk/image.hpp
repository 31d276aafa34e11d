// SPDX-License-Identifier: GPL-3.0-only
// Images and feature maps: resampling, pooling, shuffles, windows. Values are [N, C, spatial...] as
// in PyTorch unless said otherwise; the numbers are those of rlx/abi/ops.def. Compiled into the
// plugin. [one thread per graph]
#pragma once

#include "rlx/sdk/conv.hpp"

namespace rlx::sdk {
inline namespace sdk_v1 {

// ---- resampling ----

struct resize_options {
    std::int64_t kind = RLX_RESIZE_LINEAR;     // RLX_RESIZE_*
    std::int64_t coord = RLX_COORD_HALF_PIXEL; // RLX_COORD_*
    bool antialias = false;
    double cubic = 0; // 0: -0.75, with antialias -0.5
    // f32 [spatial axes]: how far one output element is in x, for what PyTorch computes with
    // scale_factor = (then 1 / scale_factor); empty: in / out, as with size =.
    tensor steps{};
};

// x [N, C, L...] -> [N, C, to...].
inline tensor resize(scope m, tensor x, std::span<const dim> to, const resize_options& o = {}) {
    std::array<rlx_attr, 5> attrs{
        attr(RLX_ATTR_kind, o.kind),
        attr_list(RLX_ATTR_dims, to),
        attr(RLX_ATTR_coord, o.coord),
        attr(RLX_ATTR_antialias, o.antialias ? 1 : 0),
        attr_real(RLX_ATTR_cubic, o.cubic)};
    const std::array<tensor, 2> in{x, o.steps};
    std::array<tensor, 1> out{};
    const std::size_t n = o.cubic != 0 ? attrs.size() : attrs.size() - 1;
    m.graph().add(m.path(), RLX_OP_Resize, in, {attrs.data(), n}, out);
    return out[0];
}

inline tensor
resize(scope m, tensor x, std::initializer_list<dim> to, const resize_options& o = {}) {
    return resize(m, x, {to.begin(), to.size()}, o);
}

// PyTorch's mode "nearest": element floor(i in / out).
inline tensor resize_nearest(scope m, tensor x, std::initializer_list<dim> to) {
    return resize(m, x, to, {.kind = RLX_RESIZE_NEAREST, .coord = RLX_COORD_ASYMMETRIC});
}

struct grid_sample_options {
    std::int64_t kind = RLX_RESIZE_LINEAR;
    std::int64_t pad = RLX_PAD_CONSTANT; // zeros; RLX_PAD_REPLICATE: border; RLX_PAD_REFLECT
    bool align = false;
};

// x [N, C, H, W], grid [N, Ho, Wo, 2] in [-1, 1] (x, y) -> [N, C, Ho, Wo].
inline tensor grid_sample(scope m, tensor x, tensor grid, const grid_sample_options& o = {}) {
    return m.op(
        RLX_OP_GridSample,
        {x, grid},
        {attr(RLX_ATTR_kind, o.kind),
         attr(RLX_ATTR_pad, o.pad),
         attr(RLX_ATTR_align, o.align ? 1 : 0)}
    );
}

// ---- pooling ----

struct pool_options {
    std::int64_t kernel = 2;
    std::int64_t stride = 0; // 0: kernel
    std::int64_t pad = 0;    // at both ends
    bool ceil = false;       // a window that overhangs counts
    bool count_pad = true;   // averages: padding is part of the number of elements
};

namespace detail {

inline tensor pool(scope m, tensor x, std::int64_t kind, const pool_options& o) {
    const std::size_t axes = spatial_axes(m, x);
    if (axes == 0) return {};
    const repeated kernel(o.kernel, axes), pad(o.pad, axes);
    const repeated stride(o.stride > 0 ? o.stride : o.kernel, axes);
    return m.op(
        RLX_OP_Pool,
        {x},
        {attr(RLX_ATTR_kind, kind),
         attr_list(RLX_ATTR_kernel, kernel),
         attr_list(RLX_ATTR_stride, stride),
         attr_list(RLX_ATTR_pad_lo, pad),
         attr_list(RLX_ATTR_pad_hi, pad),
         attr(RLX_ATTR_ceil, o.ceil ? 1 : 0),
         attr(RLX_ATTR_count_pad, o.count_pad ? 1 : 0)}
    );
}

} // namespace detail

// x [N, C, L...] -> [N, C, M...]; the same numbers along every spatial axis.
inline tensor max_pool(scope m, tensor x, const pool_options& o = {}) {
    return detail::pool(m, x, RLX_POOL_MAX, o);
}

inline tensor avg_pool(scope m, tensor x, const pool_options& o = {}) {
    return detail::pool(m, x, RLX_POOL_AVG, o);
}

// ---- order of elements ----

// [N, C b^2, H, W] -> [N, C, H b, W b], and back.
inline tensor pixel_shuffle(scope m, tensor x, std::int64_t block) {
    return m.op(RLX_OP_PixelShuffle, {x}, {attr(RLX_ATTR_block, block)});
}

inline tensor pixel_unshuffle(scope m, tensor x, std::int64_t block) {
    return m.op(RLX_OP_PixelUnshuffle, {x}, {attr(RLX_ATTR_block, block)});
}

// x [N, H, W, C] -> [windows, size, size, C], zeros behind x where it ends inside a window.
inline tensor window_partition(scope m, tensor x, std::int64_t size) {
    const std::array<std::int64_t, 2> kernel{size, size};
    return m.op(RLX_OP_WindowPartition, {x}, {attr_list(RLX_ATTR_kernel, kernel)});
}

// The way back to [n, height, width, C].
inline tensor
window_unpartition(scope m, tensor x, std::int64_t size, dim n, dim height, dim width) {
    const std::array<std::int64_t, 2> kernel{size, size};
    const std::array<dim, 3> to{n, height, width};
    return m.op(
        RLX_OP_WindowUnpartition,
        {x},
        {attr_list(RLX_ATTR_kernel, kernel), attr_list(RLX_ATTR_dims, to)}
    );
}

inline tensor flip(scope m, tensor x, std::int64_t axis) {
    return m.op(RLX_OP_Flip, {x}, {attr(RLX_ATTR_axis, axis)});
}

// x cut into n equal parts along axis (views).
template <std::size_t N>
std::array<tensor, N> split(scope m, tensor x, std::int64_t axis) {
    std::array<tensor, N> parts{};
    const shape s = m.graph().shape_of(x);
    if (!m.ok()) return parts;
    const auto a = static_cast<std::size_t>(axis < 0 ? axis + s.rank : axis);
    if (a >= s.rank || s.dims[a] < 0 || s.dims[a] % static_cast<dim>(N) != 0) {
        m.fail(RLX_INTERNAL, "axis {} cannot be cut into {} equal parts", axis, N);
        return parts;
    }
    const dim each = s.dims[a] / static_cast<dim>(N);
    for (std::size_t i = 0; i < N; ++i) {
        const dim at = each * static_cast<dim>(i);
        parts[i] = slice(m, x, static_cast<std::int64_t>(a), at, at + each);
    }
    return parts;
}

} // namespace sdk_v1
} // namespace rlx::sdk
