// SPDX-License-Identifier: GPL-3.0-only
// Rules of pooling, resampling, windows and patches.
#include "rules.hpp"
#include "windows.hpp"

#include <cmath>
#include <fmt/format.h>

namespace rlx::ir {

namespace {

constexpr std::size_t max_spatial = 3;

result<void> spatial(rule_context& c) {
    RLX_CHECK(c.dtype(0, RLX_F32));
    const std::size_t n = c.in(0).dims.size();
    if (n < 3 || n > 2 + max_spatial) return c.bad(0, "[N, C, ...] with 1 to 3 spatial axes");
    return {};
}

result<std::int64_t> count_taps(rule_context& c, const window_numbers& w) {
    dim taps = 1;
    for (std::size_t i = 0; i < w.n; i++)
        taps = RLX_TRY(c.dims.mul(taps, w.kernel[i]));
    return taps;
}

} // namespace

result<void> rule_pool(rule_context& c) {
    RLX_CHECK(spatial(c));
    RLX_CHECK(c.one_of(RLX_ATTR_kind, RLX_POOL_MAX, RLX_POOL_AVG));
    RLX_CHECK(c.one_of(RLX_ATTR_ceil, 0, 1));
    RLX_CHECK(c.one_of(RLX_ATTR_count_pad, 0, 1));
    const std::vector<dim>& x = c.in(0).dims;
    window_numbers w = RLX_TRY(read_windows(c, x.size() - 2));
    if (!c.attrs.find(RLX_ATTR_stride)) w.stride = w.kernel;
    const bool up = c.attrs.i64(RLX_ATTR_ceil) == 1;
    std::vector<dim> shape = {x[0], x[1]};
    for (std::size_t i = 0; i < w.n; i++) {
        shape.push_back(RLX_TRY(window_count(c.dims, w, i, x[2 + i], up)));
        RLX_CHECK(c.extent(shape.back(), "the output"));
    }
    return c.give(RLX_F32, std::move(shape));
}

result<void> rule_resize(rule_context& c) {
    RLX_CHECK(spatial(c));
    RLX_CHECK(c.one_of(RLX_ATTR_kind, RLX_RESIZE_NEAREST, RLX_RESIZE_CUBIC));
    RLX_CHECK(c.one_of(RLX_ATTR_coord, RLX_COORD_HALF_PIXEL, RLX_COORD_ASYMMETRIC));
    RLX_CHECK(c.one_of(RLX_ATTR_antialias, 0, 1));
    const std::int64_t coord = c.attrs.i64(RLX_ATTR_coord), kind = c.attrs.i64(RLX_ATTR_kind);
    if (c.attrs.i64(RLX_ATTR_antialias) &&
        (kind == RLX_RESIZE_NEAREST || coord != RLX_COORD_HALF_PIXEL))
        return c.fail("antialias is for linear and cubic kernels with half-pixel coordinates");
    if (kind == RLX_RESIZE_NEAREST && coord == RLX_COORD_ALIGN_CORNERS)
        return c.fail("nearest knows no aligned corners");
    if (!std::isfinite(c.attrs.f64(RLX_ATTR_cubic))) return c.fail("attribute cubic is not finite");
    const std::vector<dim>& x = c.in(0).dims;
    const std::vector<dim> to = RLX_TRY(c.dim_list(RLX_ATTR_dims));
    if (to.size() != x.size() - 2)
        return c.fail(fmt::format(
            "attribute dims has {} entries for {} spatial axes", to.size(), x.size() - 2
        ));
    if (c.has(1)) {
        const std::string expected = fmt::format("steps f32 [{}]", to.size());
        if (coord == RLX_COORD_ALIGN_CORNERS) return c.bad(1, "nothing, with aligned corners");
        RLX_CHECK(c.dtype(1, RLX_F32));
        RLX_CHECK(c.rank(1, 1, expected));
        RLX_CHECK(c.same(static_cast<dim>(to.size()), c.in(1).dims[0], 1, expected));
    }
    std::vector<dim> shape = {x[0], x[1]};
    shape.insert(shape.end(), to.begin(), to.end());
    return c.give(RLX_F32, std::move(shape));
}

result<void> rule_grid_sample(rule_context& c) {
    RLX_CHECK(c.dtype(0, RLX_F32));
    RLX_CHECK(c.dtype(1, RLX_F32));
    RLX_CHECK(c.rank(0, 4, "[N, C, H, W]"));
    RLX_CHECK(c.one_of(RLX_ATTR_kind, RLX_RESIZE_NEAREST, RLX_RESIZE_CUBIC));
    RLX_CHECK(c.one_of(RLX_ATTR_pad, RLX_PAD_CONSTANT, RLX_PAD_REPLICATE));
    RLX_CHECK(c.one_of(RLX_ATTR_align, 0, 1));
    const std::vector<dim>&x = c.in(0).dims, &grid = c.in(1).dims;
    const std::string expected = fmt::format("a grid [{}, Ho, Wo, 2]", c.dims.text(x[0]));
    RLX_CHECK(c.rank(1, 4, expected));
    RLX_CHECK(c.same(x[0], grid[0], 1, expected));
    RLX_CHECK(c.same(2, grid[3], 1, expected));
    return c.give(RLX_F32, {x[0], x[1], grid[1], grid[2]});
}

result<void> rule_pixel_shuffle(rule_context& c) {
    RLX_CHECK(c.dtype(0, RLX_F32));
    RLX_CHECK(c.rank(0, 4, "[N, C, H, W]"));
    const std::int64_t b = c.attrs.i64(RLX_ATTR_block);
    if (b < 1 || b > 4096) return c.fail(fmt::format("block is {}, expected 1 to 4096", b));
    const std::vector<dim>& x = c.in(0).dims;
    if (x[1] < 0 || x[1] % (b * b) != 0)
        return c.bad(0, fmt::format("channels in a multiple of {}", b * b));
    const dim h = RLX_TRY(c.dims.mul(x[2], b)), w = RLX_TRY(c.dims.mul(x[3], b));
    return c.give(RLX_F32, {x[0], x[1] / (b * b), h, w});
}

result<void> rule_pixel_unshuffle(rule_context& c) {
    RLX_CHECK(c.dtype(0, RLX_F32));
    RLX_CHECK(c.rank(0, 4, "[N, C, H, W]"));
    const std::int64_t b = c.attrs.i64(RLX_ATTR_block);
    if (b < 1 || b > 4096) return c.fail(fmt::format("block is {}, expected 1 to 4096", b));
    const std::vector<dim> x = c.in(0).dims;
    const std::string expected = fmt::format("H and W in multiples of {}", b);
    dim side[2];
    for (std::size_t i = 0; i < 2; i++) {
        side[i] = RLX_TRY(c.dims.apply(RLX_DIM_CEIL_DIV, x[2 + i], b));
        RLX_CHECK(c.same(x[2 + i], RLX_TRY(c.dims.mul(side[i], b)), 0, expected));
    }
    return c.give(RLX_F32, {x[0], RLX_TRY(c.dims.mul(x[1], b * b)), side[0], side[1]});
}

result<void> rule_patch_embed(rule_context& c) {
    RLX_CHECK(spatial(c));
    RLX_CHECK(c.parameter(1));
    const std::vector<dim>&x = c.in(0).dims, &w = c.in(1).dims;
    const std::string expected = fmt::format("W [out, {}, kernel...]", c.dims.text(x[1]));
    RLX_CHECK(c.rank(1, x.size(), expected));
    RLX_CHECK(c.same(x[1], w[1], 1, expected));
    for (dim d : w)
        if (d < 0) return c.bad(1, "a weight of known size");
    if (c.has(2)) {
        RLX_CHECK(c.parameter(2));
        RLX_CHECK(c.rank(2, 1, fmt::format("a bias [{}]", w[0])));
        RLX_CHECK(c.same(w[0], c.in(2).dims[0], 2, fmt::format("a bias [{}]", w[0])));
    }
    dim patches = 1;
    for (std::size_t i = 2; i < x.size(); i++) {
        if (w[i] == 0) return c.bad(1, "a kernel that is not empty");
        const dim m = RLX_TRY(whole_windows(c.dims, x[i], w[i], w[i]));
        RLX_CHECK(c.extent(m, "the number of patches"));
        patches = RLX_TRY(c.dims.mul(patches, m));
    }
    return c.give(RLX_F32, {x[0], patches, w[0]});
}

result<void> rule_im2col(rule_context& c) {
    RLX_CHECK(spatial(c));
    const std::vector<dim>& x = c.in(0).dims;
    const window_numbers w = RLX_TRY(read_windows(c, x.size() - 2));
    std::vector<dim> shape = {x[0], x[1], RLX_TRY(count_taps(c, w))};
    for (std::size_t i = 0; i < w.n; i++) {
        shape.push_back(RLX_TRY(window_count(c.dims, w, i, x[2 + i], false)));
        RLX_CHECK(c.extent(shape.back(), "the output"));
    }
    return c.give(RLX_F32, std::move(shape));
}

result<void> rule_col2im(rule_context& c) {
    RLX_CHECK(c.dtype(0, RLX_F32));
    const std::vector<dim>& x = c.in(0).dims;
    const std::vector<dim> to = RLX_TRY(c.dim_list(RLX_ATTR_dims));
    if (to.empty() || to.size() > max_spatial)
        return c.fail(fmt::format("attribute dims has {} entries, expected 1 to 3", to.size()));
    const window_numbers w = RLX_TRY(read_windows(c, to.size()));
    std::vector<dim> want = {0, 0, RLX_TRY(count_taps(c, w))};
    std::string expected = fmt::format("[N, C, {}", want[2]);
    for (std::size_t i = 0; i < w.n; i++) {
        want.push_back(RLX_TRY(window_count(c.dims, w, i, to[i], false)));
        expected += ", " + c.dims.text(want.back());
    }
    expected += "]";
    RLX_CHECK(c.rank(0, want.size(), expected));
    for (std::size_t i = 2; i < want.size(); i++)
        RLX_CHECK(c.same(want[i], x[i], 0, expected));
    std::vector<dim> shape = {x[0], x[1]};
    shape.insert(shape.end(), to.begin(), to.end());
    return c.give(RLX_F32, std::move(shape));
}

namespace {

struct window_grid {
    std::int64_t a = 0, b = 0; // rows and columns of a window
    dim windows = 0;           // of one sample
};

result<window_grid> read_grid(rule_context& c, dim height, dim width) {
    const window_numbers k = RLX_TRY(read_windows(c, 2));
    window_grid g{k.kernel[0], k.kernel[1], 0};
    const dim rows = RLX_TRY(c.dims.apply(RLX_DIM_CEIL_DIV, height, g.a));
    const dim cols = RLX_TRY(c.dims.apply(RLX_DIM_CEIL_DIV, width, g.b));
    g.windows = RLX_TRY(c.dims.mul(rows, cols));
    return g;
}

} // namespace

result<void> rule_window_partition(rule_context& c) {
    RLX_CHECK(c.dtype(0, RLX_F32));
    RLX_CHECK(c.rank(0, 4, "[N, H, W, C]"));
    const std::vector<dim>& x = c.in(0).dims;
    const window_grid g = RLX_TRY(read_grid(c, x[1], x[2]));
    return c.give(RLX_F32, {RLX_TRY(c.dims.mul(x[0], g.windows)), g.a, g.b, x[3]});
}

result<void> rule_window_unpartition(rule_context& c) {
    RLX_CHECK(c.dtype(0, RLX_F32));
    const std::vector<dim> to = RLX_TRY(c.dim_list(RLX_ATTR_dims));
    if (to.size() != 3) return c.fail("attribute dims holds (N, H, W)");
    const window_grid g = RLX_TRY(read_grid(c, to[1], to[2]));
    const std::vector<dim>& x = c.in(0).dims;
    const dim n = RLX_TRY(c.dims.mul(to[0], g.windows));
    const std::string expected = fmt::format("[{}, {}, {}, C]", c.dims.text(n), g.a, g.b);
    RLX_CHECK(c.rank(0, 4, expected));
    const dim want[] = {n, g.a, g.b};
    for (std::size_t i = 0; i < 3; i++)
        RLX_CHECK(c.same(want[i], x[i], 0, expected));
    return c.give(RLX_F32, {to[0], to[1], to[2], x[3]});
}

} // namespace rlx::ir
