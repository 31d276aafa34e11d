// SPDX-License-Identifier: GPL-3.0-only
// GroupedMatMul over stored experts: shaders/grouped.comp.
#include "ops/list.hpp"

#include <algorithm>

namespace rlx::vulkan {

namespace {

struct grouped_step final : step {
    struct constants {
        std::uint32_t cols, outs, experts, blocks, shared_by, first, rows, x0, w0, i0, y0, step;
    };

    matrix_weight* weight = nullptr;

    status prepare(program& p) override {
        stored_rows stored;
        if (!find_stored(p, *n.in[1], &stored))
            return fail(RLX_INTERNAL, "vulkan: experts that are not stored");
        weight = want_matrix(p, *n.in[1], stored);
        RLX_CHECK(want_plain(p, n.in[0]));
        return want_plain(p, n.in[2]);
    }

    status record(recorder& r) override {
        const tensor &x = *n.in[0], &w = *n.in[1], &ids = *n.in[2], &y = *n.out[0];
        if (y.count == 0) return {};
        program& p = r.prog();
        const slice from = RLX_TRY(p.at(x)), choice = RLX_TRY(p.at(ids)), to = RLX_TRY(p.at(y));
        const operand flags = RLX_TRY(r.flags());
        constants c{};
        c.cols = u32(x.last());
        c.outs = u32(y.last());
        c.experts = u32(w.dim[0]);
        c.blocks = static_cast<std::uint32_t>(weight->blocks());
        c.shared_by = x.rank == 3 ? 1 : u32(ids.last());
        c.x0 = from.first;
        c.step = r.step_number();
        const std::uint32_t aligned = c.cols % 32 == 0 && c.x0 % 4 == 0 ? 1 : 0;
        const std::string shader = "grouped_" + std::string(weight->format->name);
        // Whole rows of x at once, and no more workgroups than a dispatch may have.
        const std::int64_t most = p.g.facts().limits.maxComputeWorkGroupCount[2];
        const std::int64_t piece = std::max<std::int64_t>(1, most / c.shared_by) * c.shared_by;
        for (const matrix_part& part : weight->parts) {
            const slice at = RLX_TRY(p.at(p.weights.buffer(part.block), part.at, part.bytes, 4));
            c.w0 = at.first;
            c.first = u32(part.first_row);
            c.rows = u32(part.rows);
            for (std::int64_t k = 0; k < ids.count; k += piece) {
                const std::int64_t choices = std::min(piece, ids.count - k);
                c.x0 = from.first + u32(k / c.shared_by) * c.cols;
                c.i0 = choice.first + u32(k);
                c.y0 = to.first + u32(k) * c.outs;
                RLX_CHECK(r.dispatch(
                    shader,
                    {aligned},
                    {reads(from), reads(at), reads(choice), writes(to), flags},
                    c,
                    {(c.outs + 31) / 32, 1, static_cast<std::uint64_t>(choices)},
                    static_cast<double>(choices) * c.outs * c.cols
                ));
            }
        }
        return {};
    }
};

} // namespace

const char* why_GroupedMatMul(const node& n, const program& p) {
    if (!f32_like(p, n.in[0]) || !n.in[0]->contiguous) return "x must be contiguous and f32";
    if (n.in[2]->dtype != RLX_I32 || !n.in[2]->contiguous) return "ids must be contiguous and i32";
    stored_rows stored;
    if (!find_stored(p, *n.in[1], &stored))
        return "experts must be stored weights of a type that a shader reads";
    return nullptr;
}

std::unique_ptr<step> make_GroupedMatMul() {
    return make_step<grouped_step>();
}

} // namespace rlx::vulkan
