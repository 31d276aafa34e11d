// SPDX-License-Identifier: GPL-3.0-only
// Decompositions of sums, norms, windows, patches, spectra and codes.
#include "emitter.hpp"

#include <cfloat>
#include <numeric>

namespace rlx::ir {

namespace {

rlx_value optional(const node& n, std::size_t i) {
    return i < n.in.size() ? n.in[i] : 0;
}

std::vector<std::int64_t>
numbers(const node& n, std::uint32_t key, std::vector<std::int64_t> absent) {
    const auto list = n.attrs.list(key);
    return n.attrs.find(key) ? std::vector<std::int64_t>(list.begin(), list.end()) : absent;
}

std::int64_t last_axis(emitter& e, rlx_value x) {
    return static_cast<std::int64_t>(e.at(x).dims.size()) - 1;
}

} // namespace

// The largest entry is kept finite, so that an infinite one does not become a NaN.
std::vector<rlx_value> decompose_log_sum_exp(emitter& e, const node& n) {
    const std::int64_t axis = n.attrs.i64(RLX_ATTR_axis);
    const rlx_value most = e.reduce(RLX_REDUCE_MAX, n.in[0], axis, true);
    const rlx_value top =
        e.one(RLX_OP_Clamp, {most}, {e.f64(RLX_ATTR_lo, -FLT_MAX), e.f64(RLX_ATTR_hi, FLT_MAX)});
    const rlx_value exps = e.unary(RLX_UNARY_EXP, e.binary(RLX_BINARY_SUB, n.in[0], top));
    const rlx_value sum = e.reduce(RLX_REDUCE_SUM, exps, axis, n.attrs.i64(RLX_ATTR_keep) == 1);
    const std::vector<dim> shape = e.at(sum).dims;
    return {e.binary(RLX_BINARY_ADD, e.unary(RLX_UNARY_LOG, sum), e.reshape(top, shape))};
}

std::vector<rlx_value> decompose_l2_norm(emitter& e, const node& n) {
    const rlx_value x = n.in[0];
    const double eps = n.attrs.f64(RLX_ATTR_eps);
    const std::int64_t axis = last_axis(e, x);
    if (n.attrs.i64(RLX_ATTR_kind, RLX_L2_MAX) == RLX_L2_MAX) {
        const rlx_value length = e.reduce(RLX_REDUCE_L2, x, axis, true);
        return {e.binary(RLX_BINARY_DIV, x, e.at_least(length, eps))};
    }
    const rlx_value sum = e.reduce(RLX_REDUCE_SUM, e.binary(RLX_BINARY_MUL, x, x), axis, true);
    return {e.binary(RLX_BINARY_MUL, x, e.unary(RLX_UNARY_RSQRT, e.affine(sum, 1.0, eps)))};
}

// A LayerNorm with the channels as last axis.
std::vector<rlx_value> decompose_channel_norm(emitter& e, const node& n) {
    const std::size_t rank = e.at(n.in[0]).dims.size();
    std::vector<std::int64_t> to_last(rank), back(rank);
    std::iota(to_last.begin(), to_last.end(), 0);
    to_last.erase(to_last.begin() + 1);
    to_last.push_back(1);
    for (std::size_t i = 0; i < rank; i++)
        back[static_cast<std::size_t>(to_last[i])] = static_cast<std::int64_t>(i);
    const rlx_value rows = e.permute(n.in[0], to_last);
    const rlx_value y = e.one(
        RLX_OP_LayerNorm,
        {rows, optional(n, 1), optional(n, 2)},
        {e.f64(RLX_ATTR_eps, n.attrs.f64(RLX_ATTR_eps))}
    );
    return {e.one(RLX_OP_Copy, {e.permute(y, back)})};
}

std::vector<rlx_value> decompose_lora_matmul(emitter& e, const node& n) {
    const rlx_value y = e.one(RLX_OP_MatMul, {n.in[0], n.in[1], optional(n, 4)});
    const rlx_value down = e.one(RLX_OP_MatMul, {n.in[0], n.in[2]});
    const rlx_value up = e.one(RLX_OP_MatMul, {down, n.in[3]});
    const double scale = n.attrs.f64(RLX_ATTR_scale);
    return {e.binary(RLX_BINARY_ADD, y, e.affine(up, scale, 0.0))};
}

// x . c - |c|^2 / 2 is a product with a bias.
std::vector<rlx_value> decompose_vq_nearest(emitter& e, const node& n) {
    const rlx_value codes = e.as_f32(n.in[1]);
    const rlx_value squares =
        e.reduce(RLX_REDUCE_SUM, e.binary(RLX_BINARY_MUL, codes, codes), 1, false);
    const rlx_value near = e.one(RLX_OP_MatMul, {n.in[0], codes, e.affine(squares, -0.5, 0.0)});
    return {e.one(
        RLX_OP_ArgReduce,
        {near},
        {e.i64(RLX_ATTR_kind, RLX_REDUCE_MAX), e.i64(RLX_ATTR_axis, last_axis(e, near))}
    )};
}

// ---- windows ----

namespace {

struct pool_numbers {
    std::vector<std::int64_t> kernel, stride, lo, hi, dilation;
};

pool_numbers read_pool(const node& n, std::size_t axes) {
    pool_numbers p;
    p.kernel = numbers(n, RLX_ATTR_kernel, {});
    p.stride = numbers(n, RLX_ATTR_stride, p.kernel);
    p.lo = numbers(n, RLX_ATTR_pad_lo, std::vector<std::int64_t>(axes, 0));
    p.hi = numbers(n, RLX_ATTR_pad_hi, std::vector<std::int64_t>(axes, 0));
    p.dilation = numbers(n, RLX_ATTR_dilation, std::vector<std::int64_t>(axes, 1));
    return p;
}

// Behind the last of `windows` windows, beyond the L + lo elements that are there: the padding that
// all of them need, overhang included.
dim behind(emitter& e, const pool_numbers& p, std::size_t i, dim length, dim windows) {
    return e.dim_of([&](dim_table& d) -> result<dim> {
        const dim starts = RLX_TRY(d.mul(windows, p.stride[i]));
        const std::int64_t reach = p.dilation[i] * (p.kernel[i] - 1) + 1;
        const dim end = RLX_TRY(d.sub(RLX_TRY(d.add(starts, reach)), p.stride[i]));
        const dim have = RLX_TRY(d.add(length, p.lo[i]));
        return d.sub(RLX_TRY(d.apply(RLX_DIM_MAX, end, have)), have);
    });
}

rlx_value padded(
    emitter& e, rlx_value x, double value, const std::vector<dim>& lo, const std::vector<dim>& hi
) {
    return e.one(
        RLX_OP_Pad,
        {x},
        {e.i64(RLX_ATTR_kind, RLX_PAD_CONSTANT),
         e.f64(RLX_ATTR_value, value),
         e.list(RLX_ATTR_pad_lo, lo),
         e.list(RLX_ATTR_pad_hi, hi)}
    );
}

// The taps of all windows of x, which is padded already: [N, C, K, M...].
rlx_value taps_of(emitter& e, rlx_value x, const pool_numbers& p) {
    return e.one(
        RLX_OP_Im2Col,
        {x},
        {e.list(RLX_ATTR_kernel, p.kernel),
         e.list(RLX_ATTR_stride, p.stride),
         e.list(RLX_ATTR_dilation, p.dilation)}
    );
}

// The first windows of each axis: fewer than Im2Col finds when a stride leaves room behind.
rlx_value first_windows(emitter& e, rlx_value x, std::size_t skip, const std::vector<dim>& want) {
    for (std::size_t i = 0; i + 2 < want.size(); i++) {
        const std::size_t axis = skip + i;
        if (e.at(x).dims[axis] != want[2 + i])
            x = e.slice(x, static_cast<std::int64_t>(axis), 0, want[2 + i]);
    }
    return x;
}

} // namespace

// Taps by Im2Col of the padded x. What averages divide by is the same sum over ones.
std::vector<rlx_value> decompose_pool(emitter& e, const node& n) {
    const std::vector<dim> x = e.at(n.in[0]).dims, y = e.at(n.out[0]).dims;
    const std::size_t axes = x.size() - 2;
    const pool_numbers p = read_pool(n, axes);
    std::vector<dim> lo(p.lo.begin(), p.lo.end()), hi;
    for (std::size_t i = 0; i < axes; i++)
        hi.push_back(behind(e, p, i, x[2 + i], y[2 + i]));
    const auto sums = [&](rlx_value v, std::int64_t kind) {
        const rlx_value taps = first_windows(e, taps_of(e, v, p), 3, y);
        return e.reduce(kind, taps, 2, false);
    };
    if (n.attrs.i64(RLX_ATTR_kind) == RLX_POOL_MAX)
        return {sums(padded(e, n.in[0], -HUGE_VAL, lo, hi), RLX_REDUCE_MAX)};
    const bool count_pad = n.attrs.i64(RLX_ATTR_count_pad) == 1;
    std::vector<dim> ones(x.size(), 1), more_lo = lo, more_hi = hi;
    for (std::size_t i = 0; i < axes; i++) {
        ones[2 + i] = x[2 + i];
        if (!count_pad) continue;
        // Ones where x is padded too; pads of the count are what is left.
        ones[2 + i] = e.dim_of([&](dim_table& d) { return d.add(x[2 + i], p.lo[i] + p.hi[i]); });
        more_lo[i] = 0;
        more_hi[i] = e.dim_of([&](dim_table& d) -> result<dim> {
            const dim rest = RLX_TRY(d.apply(RLX_DIM_MAX, hi[i], p.hi[i]));
            return d.sub(rest, p.hi[i]);
        });
    }
    const rlx_value all = e.one(
        RLX_OP_Fill,
        {},
        {e.list(RLX_ATTR_dims, ones), e.i64(RLX_ATTR_dtype, RLX_F32), e.f64(RLX_ATTR_value, 1.0)}
    );
    const rlx_value count =
        e.at_least(sums(padded(e, all, 0, more_lo, more_hi), RLX_REDUCE_SUM), 1.0);
    return {e.binary(RLX_BINARY_DIV, sums(padded(e, n.in[0], 0, lo, hi), RLX_REDUCE_SUM), count)};
}

std::vector<rlx_value> decompose_pixel_shuffle(emitter& e, const node& n) {
    const std::vector<dim> x = e.at(n.in[0]).dims, y = e.at(n.out[0]).dims;
    const std::int64_t b = n.attrs.i64(RLX_ATTR_block);
    const rlx_value parts = e.reshape(n.in[0], {x[0], y[1], b, b, x[2], x[3]});
    return {e.one(RLX_OP_Copy, {e.reshape(e.permute(parts, {0, 1, 4, 2, 5, 3}), y)})};
}

std::vector<rlx_value> decompose_pixel_unshuffle(emitter& e, const node& n) {
    const std::vector<dim> x = e.at(n.in[0]).dims, y = e.at(n.out[0]).dims;
    const std::int64_t b = n.attrs.i64(RLX_ATTR_block);
    const rlx_value parts = e.reshape(n.in[0], {x[0], x[1], y[2], b, y[3], b});
    return {e.one(RLX_OP_Copy, {e.reshape(e.permute(parts, {0, 1, 3, 5, 2, 4}), y)})};
}

std::vector<rlx_value> decompose_patch_embed(emitter& e, const node& n) {
    const std::vector<dim> w = e.at(n.in[1]).dims, out = e.at(n.out[0]).dims;
    const std::vector<dim> kernel(w.begin() + 2, w.end());
    const rlx_value y =
        e.one(RLX_OP_Conv, {n.in[0], n.in[1], optional(n, 2)}, {e.list(RLX_ATTR_stride, kernel)});
    const rlx_value flat = e.reshape(y, {out[0], out[2], out[1]});
    return {e.one(RLX_OP_Copy, {e.permute(flat, {0, 2, 1})})};
}

namespace {

struct window_grid {
    std::int64_t a, b;
    dim rows, cols, tall, wide; // windows, and elements with the padding
};

window_grid grid_of(emitter& e, const node& n, dim height, dim width) {
    const auto kernel = n.attrs.list(RLX_ATTR_kernel);
    window_grid g{kernel[0], kernel[1], 0, 0, 0, 0};
    const auto apply = [&](std::uint32_t op, dim a, dim b) {
        return e.dim_of([&](dim_table& d) { return d.apply(op, a, b); });
    };
    g.rows = apply(RLX_DIM_CEIL_DIV, height, g.a);
    g.cols = apply(RLX_DIM_CEIL_DIV, width, g.b);
    g.tall = apply(RLX_DIM_MUL, g.rows, g.a);
    g.wide = apply(RLX_DIM_MUL, g.cols, g.b);
    return g;
}

} // namespace

std::vector<rlx_value> decompose_window_partition(emitter& e, const node& n) {
    const std::vector<dim> x = e.at(n.in[0]).dims;
    const window_grid g = grid_of(e, n, x[1], x[2]);
    const auto rest = [&](dim a, dim b) {
        return e.dim_of([&](dim_table& d) { return d.sub(a, b); });
    };
    rlx_value v = n.in[0];
    if (g.tall != x[1] || g.wide != x[2])
        v = padded(e, v, 0, {0, 0, 0}, {rest(g.tall, x[1]), rest(g.wide, x[2]), 0});
    v = e.permute(e.reshape(v, {x[0], g.rows, g.a, g.cols, g.b, x[3]}), {0, 1, 3, 2, 4, 5});
    return {e.one(RLX_OP_Copy, {e.reshape(v, e.at(n.out[0]).dims)})};
}

std::vector<rlx_value> decompose_window_unpartition(emitter& e, const node& n) {
    const std::vector<dim> y = e.at(n.out[0]).dims;
    const window_grid g = grid_of(e, n, y[1], y[2]);
    rlx_value v = e.reshape(n.in[0], {y[0], g.rows, g.cols, g.a, g.b, y[3]});
    v = e.reshape(e.permute(v, {0, 1, 3, 2, 4, 5}), {y[0], g.tall, g.wide, y[3]});
    if (g.tall != y[1]) v = e.slice(v, 1, 0, y[1]);
    if (g.wide != y[2]) v = e.slice(v, 2, 0, y[2]);
    return {e.one(RLX_OP_Copy, {v})};
}

// ---- spectra ----

std::vector<rlx_value> decompose_stft(emitter& e, const node& n) {
    const std::vector<dim> x = e.at(n.in[0]).dims, y = e.at(n.out[0]).dims;
    const std::int64_t length = n.attrs.i64(RLX_ATTR_n);
    const rlx_value taps = e.one(
        RLX_OP_Im2Col,
        {e.reshape(n.in[0], {x[0], 1, x[1]})},
        {e.list(RLX_ATTR_kernel, {length}), e.list(RLX_ATTR_stride, {n.attrs.i64(RLX_ATTR_hop)})}
    );
    rlx_value frames = e.permute(e.reshape(taps, {x[0], length, y[1]}), {0, 2, 1});
    if (const rlx_value window = optional(n, 1))
        frames = e.binary(RLX_BINARY_MUL, frames, e.as_f32(window));
    return {e.one(RLX_OP_Fft, {frames}, {e.i64(RLX_ATTR_kind, RLX_FFT_R2C)})};
}

std::vector<rlx_value> decompose_istft(emitter& e, const node& n) {
    const std::vector<dim> x = e.at(n.in[0]).dims, y = e.at(n.out[0]).dims;
    const std::int64_t length = n.attrs.i64(RLX_ATTR_n), hop = n.attrs.i64(RLX_ATTR_hop);
    const std::int64_t trim = n.attrs.i64(RLX_ATTR_trim);
    const dim whole = e.dim_of([&](dim_table& d) { return d.add(y[1], 2 * trim); });
    const dim stop = e.dim_of([&](dim_table& d) { return d.add(y[1], trim); });
    const auto overlap = [&](rlx_value frames, dim batch) { // [batch, M, n] -> [batch, y]
        const rlx_value taps = e.reshape(e.permute(frames, {0, 2, 1}), {batch, 1, length, x[1]});
        const rlx_value sum = e.one(
            RLX_OP_Col2Im,
            {taps},
            {e.list(RLX_ATTR_dims, {whole}),
             e.list(RLX_ATTR_kernel, {length}),
             e.list(RLX_ATTR_stride, {hop})}
        );
        return e.slice(e.reshape(sum, {batch, whole}), 1, trim, stop);
    };
    rlx_value frames = e.one(
        RLX_OP_Fft, {n.in[0]}, {e.i64(RLX_ATTR_kind, RLX_FFT_C2R), e.i64(RLX_ATTR_n, length)}
    );
    rlx_value squares = e.scalar(RLX_F32, 1.0);
    if (const rlx_value window = optional(n, 1)) {
        const rlx_value w = e.as_f32(window);
        frames = e.binary(RLX_BINARY_MUL, frames, w);
        squares = e.binary(RLX_BINARY_MUL, w, w);
    }
    const rlx_value spread =
        e.one(RLX_OP_Broadcast, {squares}, {e.list(RLX_ATTR_dims, {1, x[1], length})});
    return {e.binary(RLX_BINARY_DIV, overlap(frames, x[0]), e.at_least(overlap(spread, 1), 1e-11))};
}

} // namespace rlx::ir
