// SPDX-License-Identifier: GPL-3.0-only
// TopK and MoeRoute: shaders/top_k.comp.
#include "ops/list.hpp"

namespace rlx::vulkan {

namespace {

struct top_k_step final : step {
    struct constants {
        std::uint32_t rows, n, k, x0, y0, i0, normalise;
        float scale;
    };

    status prepare(program& p) override { return want_plain(p, n); }

    status record(recorder& r) override {
        const tensor &x = *n.in[0], &values = *n.out[0], &ids = *n.out[1];
        if (values.count == 0) return {};
        const slice from = RLX_TRY(r.prog().at(x)), to = RLX_TRY(r.prog().at(values));
        const slice index = RLX_TRY(r.prog().at(ids));
        const bool route = n.op() == RLX_OP_MoeRoute;
        constants c{};
        c.rows = u32(values.rows());
        c.n = u32(x.last());
        c.k = u32(values.last());
        c.x0 = from.first;
        c.y0 = to.first;
        c.i0 = index.first;
        c.normalise = u32(n.view.i64(RLX_ATTR_normalise));
        c.scale = static_cast<float>(n.view.real(RLX_ATTR_scale, 1));
        return r.dispatch(
            route ? "moe_route" : "top_k",
            {},
            {reads(from), writes(to), writes(index)},
            c,
            {c.rows},
            static_cast<double>(x.count) * c.k
        );
    }
};

const char* row_why(const node& n, const program& p) {
    if (!n.in[0]->contiguous) return "x must be contiguous";
    return all_f32(n, p);
}

} // namespace

const char* why_TopK(const node& n, const program& p) {
    return row_why(n, p);
}

const char* why_MoeRoute(const node& n, const program& p) {
    return row_why(n, p);
}

std::unique_ptr<step> make_TopK() {
    return make_step<top_k_step>();
}

std::unique_ptr<step> make_MoeRoute() {
    return make_step<top_k_step>();
}

} // namespace rlx::vulkan
