// SPDX-License-Identifier: GPL-3.0-only
// Conv: shaders/conv.comp.
#include "ops/list.hpp"

namespace rlx::vulkan {

namespace {

struct conv_step final : step {
    struct constants {
        std::uint32_t n, out_channels, group_in, group_out, channels, biased, x0, w0, b0, y0;
        std::uint32_t size[3], out_size[3], taps[3], stride[3];
        std::int32_t pad[3];
        std::uint32_t dilation[3];
    };

    status prepare(program& p) override { return want_plain(p, n); }

    std::int64_t entry(std::uint16_t key, std::uint32_t axis, std::int64_t otherwise) const {
        const rlx_attr* a = n.view.find(key);
        return a && axis < a->n ? a->list[axis] : otherwise;
    }

    status record(recorder& r) override {
        program& p = r.prog();
        const tensor &x = *n.in[0], &w = *n.in[1], &y = *n.out[0];
        if (y.count == 0) return {};
        const slice sx = RLX_TRY(p.at(x)), sw = RLX_TRY(p.at(w)), sy = RLX_TRY(p.at(y));
        slice sb;
        if (n.input(2)) sb = RLX_TRY(p.at(*n.input(2)));
        constants c{};
        c.n = u32(y.count);
        c.channels = u32(x.dim[1]);
        c.out_channels = u32(y.dim[1]);
        c.group_in = u32(w.dim[1]);
        c.group_out = u32(y.dim[1] / n.view.i64(RLX_ATTR_groups, 1));
        c.biased = n.input(2) ? 1 : 0;
        c.x0 = sx.first;
        c.w0 = sw.first;
        c.b0 = sb.first;
        c.y0 = sy.first;
        const std::uint32_t axes = x.rank - 2, missing = 3 - axes;
        double cost = static_cast<double>(y.count) * c.group_in;
        for (std::uint32_t i = 0; i < 3; ++i) {
            const bool there = i >= missing;
            const std::uint32_t a = there ? i - missing : 0;
            c.size[i] = there ? u32(x.dim[a + 2]) : 1;
            c.out_size[i] = there ? u32(y.dim[a + 2]) : 1;
            c.taps[i] = there ? u32(w.dim[a + 2]) : 1;
            c.stride[i] = there ? u32(entry(RLX_ATTR_stride, a, 1)) : 1;
            c.pad[i] = there ? static_cast<std::int32_t>(entry(RLX_ATTR_pad_lo, a, 0)) : 0;
            c.dilation[i] = there ? u32(entry(RLX_ATTR_dilation, a, 1)) : 1;
            cost *= c.taps[i];
        }
        return r.dispatch(
            "conv", {}, {reads(sx), reads(sw), reads(sb), writes(sy)}, c, {groups_of(y.count)}, cost
        );
    }
};

} // namespace

const char* why_Conv(const node& n, const program& p) {
    for (const tensor* t : n.in)
        if (t && !t->contiguous) return "operands must be contiguous";
    if (n.in[0]->rank < 3 || n.in[0]->rank > 5) return "one to three spatial axes";
    return all_f32(n, p);
}

std::unique_ptr<step> make_Conv() {
    return make_step<conv_step>();
}

} // namespace rlx::vulkan
