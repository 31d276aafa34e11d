// SPDX-License-Identifier: GPL-3.0-only
// MatMul: shaders/matmul.comp over stored weights, matmul_plain.comp over an f32 value.
#include "ops/list.hpp"

#include <algorithm>

namespace rlx::vulkan {

namespace {

struct matmul_step final : step {
    struct constants {
        std::uint32_t cols, tokens, rows, blocks, x0, w0, b0, y0, y_stride, biased;
    };

    matrix_weight* weight = nullptr; // null: the right operand is computed

    status prepare(program& p) override {
        stored_rows stored;
        if (find_stored(p, *n.in[1], &stored))
            weight = want_matrix(p, *n.in[1], stored);
        else
            RLX_CHECK(want_plain(p, n.in[1]));
        RLX_CHECK(want_plain(p, n.in[0]));
        return want_plain(p, n.input(2));
    }

    status record(recorder& r) override {
        const tensor &x = *n.in[0], &y = *n.out[0];
        if (y.count == 0) return {};
        // Rows of x and y in pieces that a binding takes.
        const std::int64_t most = r.prog().g.facts().limits.maxStorageBufferRange / 4 - 64;
        const std::int64_t piece =
            std::max<std::int64_t>(1, most / std::max<std::int64_t>({1, x.last(), y.last()}));
        for (std::int64_t t = 0; t < y.rows(); t += piece)
            RLX_CHECK(some_rows(r, t, std::min(piece, y.rows() - t)));
        return {};
    }

    // Rows [first, first + count) of a contiguous tensor.
    static tensor cut(const tensor& t, std::int64_t first, std::int64_t count) {
        tensor out = t;
        out.rank = 2;
        out.dim[1] = t.last();
        out.dim[0] = count;
        out.stride[1] = 1;
        out.stride[0] = t.last();
        out.offset += first * t.last();
        out.count = count * t.last();
        return out;
    }

    status some_rows(recorder& r, std::int64_t first, std::int64_t tokens) {
        program& p = r.prog();
        const tensor x = cut(*n.in[0], first, tokens), y = cut(*n.out[0], first, tokens);
        constants c{};
        c.cols = u32(x.last());
        c.tokens = u32(tokens);
        c.y_stride = u32(y.last());
        c.biased = n.input(2) ? 1 : 0;
        const slice from = RLX_TRY(p.at(x)), to = RLX_TRY(p.at(y));
        slice bias;
        if (n.input(2)) bias = RLX_TRY(p.at(*n.input(2)));
        c.x0 = from.first;
        if (!weight) {
            const slice w = RLX_TRY(p.at(*n.in[1]));
            c.rows = u32(y.last());
            c.w0 = w.first;
            c.b0 = bias.first;
            c.y0 = to.first;
            return r.dispatch(
                "matmul_plain",
                {},
                {reads(from), reads(w), reads(bias), writes(to)},
                c,
                {groups_of(y.count)},
                static_cast<double>(y.count) * static_cast<double>(c.cols)
            );
        }
        const bool aligned = c.cols % 32 == 0 && c.x0 % 4 == 0;
        c.blocks = static_cast<std::uint32_t>(weight->blocks());
        for (const matrix_part& part : weight->parts) {
            const slice w = RLX_TRY(p.at(p.weights.buffer(part.block), part.at, part.bytes, 4));
            c.rows = u32(part.rows);
            c.w0 = w.first;
            c.b0 = bias.first + u32(part.first_row);
            c.y0 = to.first + u32(part.first_row);
            RLX_CHECK(one_part(r, c, aligned, {reads(from), reads(w), reads(bias), writes(to)}));
        }
        return {};
    }

    status one_part(
        recorder& r, const constants& c, bool aligned, std::initializer_list<operand> operands
    ) const {
        const std::uint64_t groups = (c.rows + 31) / 32;
        const bool cpu = r.prog().g.facts().is_cpu();
        // A card wants many workgroups, a processor few loads.
        const bool many = c.tokens >= 4;
        const std::uint32_t rows = many || cpu ? 4 : 1, tokens = many ? 4 : 1;
        const std::uint32_t split = rows == 1 && groups * c.tokens < 2048 && c.cols >= 256 ? 8 : 1;
        const std::string shader = sdk::format(
            "matmul_{}_t{}r{}{}",
            std::string_view(weight->format->name),
            tokens,
            rows,
            std::string_view(aligned ? "a" : "")
        );
        return r.dispatch(
            shader,
            {split},
            operands,
            c,
            {(groups + rows - 1) / rows, 1, (c.tokens + tokens - 1) / tokens},
            static_cast<double>(c.rows) * c.tokens * c.cols
        );
    }
};

} // namespace

const char* why_MatMul(const node& n, const program& p) {
    const tensor &x = *n.in[0], &w = *n.in[1];
    if (!f32_like(p, &x)) return "activations must be f32";
    if (!x.contiguous) return "activations must be contiguous";
    if (n.input(2) && !(f32_like(p, n.in[2]) && n.in[2]->contiguous))
        return "the bias must be contiguous and f32";
    stored_rows stored;
    if (find_stored(p, w, &stored)) return nullptr;
    if (element_size(w.dtype) == 0) return "no shader reads this packed type";
    if (w.rank != 2) return "the right operand must have two axes";
    if (!f32_like(p, &w)) return "a right operand made at run time must be f32";
    return w.contiguous ? nullptr : "a right operand made at run time must be contiguous";
}

std::unique_ptr<step> make_MatMul() {
    return make_step<matmul_step>();
}

} // namespace rlx::vulkan
