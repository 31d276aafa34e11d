// SPDX-License-Identifier: GPL-3.0-only
// RmsNorm and LayerNorm: shaders/norm.comp.
#include "ops/list.hpp"

#include <algorithm>

namespace rlx::vulkan {

namespace {

struct norm_step final : step {
    struct constants {
        std::uint32_t rows, n, x0, w0, b0, y0, weighted, biased;
        float eps, offset;
        std::uint32_t rank, dim[6], x[6];
    };

    status prepare(program& p) override { return want_plain(p, n); }

    status record(recorder& r) override {
        const tensor &x = *n.in[0], &y = *n.out[0];
        if (y.count == 0) return {};
        tensor outer = y, rows = x; // without the last axis
        outer.rank = rows.rank = y.rank - 1;
        const walk w = make_walk(outer, {&rows});
        const slice from = RLX_TRY(r.prog().at(x)), to = RLX_TRY(r.prog().at(y));
        slice weight, bias;
        if (n.input(1)) weight = RLX_TRY(r.prog().at(*n.input(1)));
        if (n.input(2)) bias = RLX_TRY(r.prog().at(*n.input(2)));
        constants c{};
        c.rows = u32(y.rows());
        c.n = u32(y.last());
        c.x0 = from.first;
        c.w0 = weight.first;
        c.b0 = bias.first;
        c.y0 = to.first;
        c.weighted = n.input(1) ? 1 : 0;
        c.biased = n.input(2) ? 1 : 0;
        c.eps = static_cast<float>(n.view.real(RLX_ATTR_eps));
        c.offset = static_cast<float>(n.view.real(RLX_ATTR_weight_offset));
        c.rank = w.rank;
        fill_dims(w, c.dim);
        fill_strides(w, 0, c.x);
        const std::uint32_t size =
            r.prog().g.facts().narrow_group(y.last() <= 64 ? 64 : group_size);
        return r.dispatch(
            n.op() == RLX_OP_LayerNorm ? "norm_layer" : "norm_rms",
            {size},
            {reads(from), reads(weight), reads(bias), writes(to)},
            c,
            {c.rows}
        );
    }
};

const char* norm_why(const node& n, const program& p) {
    if (!n.in[0]->straight()) return "rows must be contiguous";
    if (n.in[0]->rank > 7) return "more than seven axes";
    for (std::size_t i = 1; i < n.in.size(); ++i)
        if (n.in[i] && !n.in[i]->contiguous) return "weight and bias must be contiguous";
    return all_f32(n, p);
}

} // namespace

const char* why_RmsNorm(const node& n, const program& p) {
    return norm_why(n, p);
}

const char* why_LayerNorm(const node& n, const program& p) {
    return norm_why(n, p);
}

std::unique_ptr<step> make_RmsNorm() {
    return make_step<norm_step>();
}

std::unique_ptr<step> make_LayerNorm() {
    return make_step<norm_step>();
}

} // namespace rlx::vulkan
