// SPDX-License-Identifier: GPL-3.0-only
// Resize: shaders/resize.comp.
#include "ops/list.hpp"

#include <algorithm>

namespace rlx::vulkan {

namespace {

struct resize_step final : step {
    struct constants {
        std::uint32_t n, x0, s0, y0, kind, coord, antialias, s_stride;
        std::uint32_t size[3], out_size[3];
        float step[3], corners[3];
        std::uint32_t axis[3];
        float cubic;
    };

    status prepare(program& p) override { return want_plain(p, n); }

    status record(recorder& r) override {
        const tensor &x = *n.in[0], &y = *n.out[0];
        if (y.count == 0) return {};
        const slice to = RLX_TRY(r.prog().at(y));
        const slice from = x.count ? RLX_TRY(r.prog().at(x)) : slice();
        slice steps;
        constants c{};
        if (const tensor* s = n.input(1)) {
            steps = RLX_TRY(r.prog().at(*s));
            c.s0 = steps.first;
            c.s_stride = u32(std::max<std::int64_t>(1, s->stride[0]));
        }
        c.n = u32(y.count);
        c.x0 = from.first;
        c.y0 = to.first;
        c.kind = u32(n.view.i64(RLX_ATTR_kind));
        c.coord = u32(n.view.i64(RLX_ATTR_coord));
        c.antialias = c.kind == RLX_RESIZE_NEAREST ? 0 : u32(n.view.i64(RLX_ATTR_antialias));
        c.cubic = static_cast<float>(n.view.real(RLX_ATTR_cubic, c.antialias ? -0.5 : -0.75));
        const std::uint32_t axes = x.rank - 2;
        for (std::uint32_t a = 0; a < 3; ++a) {
            c.size[a] = c.out_size[a] = 1;
            c.step[a] = 1;
            c.axis[a] = UINT32_MAX;
            if (a + axes < 3) continue;
            const std::uint32_t spatial = a + axes - 3;
            const std::int64_t l = x.dim[2 + spatial], m = y.dim[2 + spatial];
            c.axis[a] = spatial;
            c.size[a] = u32(l);
            c.out_size[a] = u32(m);
            c.step[a] = static_cast<float>(l) / static_cast<float>(m);
            if (m > 1) c.corners[a] = static_cast<float>(l - 1) / static_cast<float>(m - 1);
        }
        return r.dispatch(
            "resize",
            {},
            {reads(from.bytes ? from : to), reads(steps), writes(to)},
            c,
            {groups_of(y.count)},
            static_cast<double>(y.count) * 16
        );
    }
};

} // namespace

const char* why_Resize(const node& n, const program& p) {
    const tensor& x = *n.in[0];
    if (x.rank < 3 || x.rank > 5) return "one to three spatial axes are resized";
    if (!x.contiguous) return "x must be contiguous";
    return all_f32(n, p);
}

std::unique_ptr<step> make_Resize() {
    return make_step<resize_step>();
}

} // namespace rlx::vulkan
