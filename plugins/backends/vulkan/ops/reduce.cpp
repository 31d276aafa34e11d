// SPDX-License-Identifier: GPL-3.0-only
// Softmax and Reduce: shaders/reduce_axis.comp.
#include "ops/list.hpp"

namespace rlx::vulkan {

namespace {

struct reduce_step final : step {
    struct constants {
        std::uint32_t rows, n, inner, kind, x0, y0;
    };

    status prepare(program& p) override { return want_plain(p, n); }

    status record(recorder& r) override {
        const tensor &x = *n.in[0], &y = *n.out[0];
        if (y.count == 0) return {};
        const auto axis = static_cast<std::uint32_t>(n.view.i64(RLX_ATTR_axis));
        constants c{};
        c.n = u32(x.dim[axis]);
        c.inner = 1;
        c.rows = 1;
        for (std::uint32_t a = 0; a < x.rank; ++a) {
            if (a != axis) c.rows *= u32(x.dim[a]);
            if (a > axis) c.inner *= u32(x.dim[a]);
        }
        const slice from = RLX_TRY(r.prog().at(x)), to = RLX_TRY(r.prog().at(y));
        const bool softmax = n.op() == RLX_OP_Softmax;
        c.kind = softmax ? 0 : u32(n.view.i64(RLX_ATTR_kind));
        c.x0 = from.first;
        c.y0 = to.first;
        return r.dispatch(
            softmax ? "softmax" : "reduce",
            {r.prog().g.facts().narrow_group(64)},
            {reads(from.bytes ? from : to), writes(to)},
            c,
            {c.rows}
        );
    }
};

const char* axis_why(const node& n, const program& p) {
    if (!n.in[0]->contiguous) return "x must be contiguous";
    return all_f32(n, p);
}

} // namespace

const char* why_Softmax(const node& n, const program& p) {
    return axis_why(n, p);
}

const char* why_Reduce(const node& n, const program& p) {
    const std::int64_t kind = n.view.i64(RLX_ATTR_kind);
    if (kind < RLX_REDUCE_SUM || kind > RLX_REDUCE_L2)
        return "a reduction this backend does not know";
    return axis_why(n, p);
}

std::unique_ptr<step> make_Softmax() {
    return make_step<reduce_step>();
}

std::unique_ptr<step> make_Reduce() {
    return make_step<reduce_step>();
}

} // namespace rlx::vulkan
