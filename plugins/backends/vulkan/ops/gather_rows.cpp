// SPDX-License-Identifier: GPL-3.0-only
// GatherRows: shaders/gather.comp over stored tables, gather_plain.comp over f32 values.
#include "ops/list.hpp"

namespace rlx::vulkan {

namespace {

struct gather_step final : step {
    struct constants {
        std::uint32_t n, cols, blocks, rows, first, all, i0, w0, y0, step;
        std::uint32_t rank, dim[6], i[6];
    };

    matrix_weight* table = nullptr;

    status prepare(program& p) override {
        stored_rows stored;
        if (find_stored(p, *n.in[0], &stored) && n.in[0]->rank == 2)
            table = want_matrix(p, *n.in[0], stored);
        else
            RLX_CHECK(want_plain(p, n.in[0]));
        return want_plain(p, n.in[1]);
    }

    status record(recorder& r) override {
        const tensor &t = *n.in[0], &ids = *n.in[1], &y = *n.out[0];
        if (y.count == 0) return {};
        program& p = r.prog();
        const walk w = make_walk(ids, {&ids});
        const slice si = RLX_TRY(p.at(ids)), sy = RLX_TRY(p.at(y));
        const operand flags = RLX_TRY(r.flags());
        constants c{};
        c.n = u32(ids.count);
        c.cols = u32(y.count / ids.count);
        c.all = u32(t.dim[0]);
        c.i0 = si.first;
        c.y0 = sy.first;
        c.step = r.step_number();
        c.rank = w.rank;
        fill_dims(w, c.dim);
        fill_strides(w, 0, c.i);
        if (!table) {
            const slice st = RLX_TRY(p.at(t));
            c.w0 = st.first;
            return r.dispatch(
                "gather_plain",
                {},
                {reads(si), reads(st), writes(sy), flags},
                c,
                {groups_of(y.count)}
            );
        }
        c.blocks = static_cast<std::uint32_t>(table->blocks());
        const std::string shader = "gather_" + std::string(table->format->name);
        for (const matrix_part& part : table->parts) {
            const slice st = RLX_TRY(p.at(p.weights.buffer(part.block), part.at, part.bytes, 4));
            c.w0 = st.first;
            c.first = u32(part.first_row);
            c.rows = u32(part.rows);
            RLX_CHECK(r.dispatch(
                shader,
                {},
                {reads(si), reads(st), writes(sy), flags},
                c,
                {groups_of(static_cast<std::int64_t>(c.n) * ((c.cols + 31) / 32), 64)}
            ));
        }
        return {};
    }
};

} // namespace

const char* why_GatherRows(const node& n, const program& p) {
    const tensor& t = *n.in[0];
    if (n.in[1]->dtype != RLX_I32) return "ids must be i32";
    if (n.in[1]->rank > 6) return "ids of more than six axes";
    stored_rows stored;
    if (t.rank == 2 && find_stored(p, t, &stored)) return nullptr;
    if (element_size(t.dtype) == 0) return "no shader reads this packed type";
    if (!f32_like(p, &t)) return "the table must be f32";
    return t.contiguous ? nullptr : "the table must be contiguous";
}

std::unique_ptr<step> make_GatherRows() {
    return make_step<gather_step>();
}

} // namespace rlx::vulkan
