// SPDX-License-Identifier: GPL-3.0-only
// Products whose right operand is made at run time. It is packed into the program's pack space
// first, as weights are at load time, then cut into tiles like any product.
#include "steps/steps.hpp"

#include <algorithm>

namespace rlx::cpu {

namespace {

constexpr std::int64_t most_tile_rows = 144;

// a [..., m, k], b [..., n, k] as a list of matrices. Axes in front are those of the output; a
// MatMul has one matrix and all of a's rows in it.
struct operand_view {
    const tensor* t = nullptr;
    bool flat = false; // every axis but the last is a row

    std::int64_t rows() const { return flat ? t->rows() : t->dim[t->rank - 2]; }

    std::int64_t cols() const { return t->last(); }

    std::int64_t row_step() const {
        return flat ? t->last() : t->stride[t->rank - 2]; // flat operands are contiguous
    }

    std::int64_t col_step() const { return t->stride[t->rank - 1]; }

    std::int64_t matrices() const {
        std::int64_t n = 1;
        for (std::uint32_t i = 0; !flat && i + 2 < t->rank; ++i)
            n *= t->dim[i];
        return n;
    }

    // Matrix i of this operand's own list.
    const float* matrix(std::int64_t i) const {
        std::int64_t at = 0;
        for (std::uint32_t a = flat ? 0 : t->rank - 2; a-- > 0; i /= t->dim[a])
            at += i % t->dim[a] * t->stride[a];
        return t->f32() + at;
    }

    // The matrix of this list that the output's matrix i needs.
    std::int64_t under(const tensor& out, std::int64_t i) const {
        if (flat) return 0;
        std::int64_t at = 0, stride = 1;
        for (std::uint32_t k = 3; k <= out.rank; ++k) {
            const std::int64_t wide = out.dim[out.rank - k];
            if (k <= t->rank) {
                const std::int64_t own = t->dim[t->rank - k];
                if (own != 1) at += i % wide * stride;
                stride *= own;
            }
            i /= wide;
        }
        return at;
    }
};

// Rows [first, first + n) of a matrix as contiguous floats: in place, or gathered into temp.
const float* straight(
    const kernels& k,
    const operand_view& v,
    const float* m,
    std::int64_t first,
    std::int64_t n,
    float* temp
) {
    const std::int64_t cols = v.cols();
    const float* p = m + first * v.row_step();
    if ((v.col_step() == 1 || cols == 1) && (v.row_step() == cols || n == 1)) return p;
    if (v.row_step() == 1 && v.col_step() != 1) { // a transposed matrix
        constexpr std::int64_t some = 64;
        const float* columns[some];
        for (std::int64_t c = 0; c < cols; c += some) {
            const std::int64_t count = std::min(some, cols - c);
            for (std::int64_t j = 0; j < count; ++j)
                columns[j] = p + (c + j) * v.col_step();
            k.transpose(temp + c, cols, columns, count, n);
        }
        return temp;
    }
    for (std::int64_t r = 0; r < n; ++r) {
        const float* row = p + r * v.row_step();
        for (std::int64_t c = 0; c < cols; ++c)
            temp[r * cols + c] = row[c * v.col_step()];
    }
    return temp;
}

mm_packed layout_of(const program& p, const operand_view& b) {
    mm_config cfg = p.cfg.mm;
    cfg.exact = true;
    mm_packed m;
    const char* reason = nullptr;
    (void)mm_layout(cfg, {RLX_F32, b.matrices(), b.rows(), b.cols()}, &m, &reason);
    return m;
}

class pack_step final : public step {
public:
    operand_view b;

    status resize(program& p) override {
        mm_ = layout_of(p, b);
        p.pack_bytes = std::max(p.pack_bytes, align64(mm_.bytes));
        local_bytes = align64(static_cast<std::uint64_t>(mm_.row_step * b.cols()) * 4);
        return {};
    }

    void run(worker& w) override {
        mm_packed m = mm_;
        m.data = w.workspace() + w.prog().pack_at;
        const std::int64_t stride = m.row_step, per = (b.rows() + stride - 1) / stride;
        const worker::share mine = w.split(b.matrices() * per);
        auto* temp = reinterpret_cast<float*>(w.local());
        for (std::int64_t u = mine.begin; u < mine.end; ++u) {
            const std::int64_t group = u / per, first = u % per * stride;
            const std::int64_t n = std::min(stride, b.rows() - first);
            mm_pack(m, group, first, n, straight(w.k(), b, b.matrix(group), first, n, temp));
        }
    }

    void touches(const program& p, std::vector<range>& reads, std::vector<range>& writes)
        const override {
        reads.push_back(whole(p, *b.t));
        writes.push_back({space_workspace, p.pack_at, p.pack_at + align64(mm_.bytes), 0});
    }

private:
    mm_packed mm_;
};

class batch_step final : public step {
public:
    operand_view a, b;

    status resize(program& p) override {
        mm_ = layout_of(p, b);
        tile_ = mm_tile_size(mm_, std::max<std::int64_t>(1, a.rows()), p.cfg.max_threads);
        tile_.tile_rows = std::min(tile_.tile_rows, most_tile_rows);
        workspace_ = align64(mm_workspace(mm_));
        local_bytes = workspace_;
        if (a.col_step() != 1) // tiles are gathered; smaller extents may have larger tiles
            local_bytes += align64(static_cast<std::uint64_t>(most_tile_rows * a.cols()) * 4);
        row_tiles_ = (a.rows() + tile_.tile_rows - 1) / tile_.tile_rows;
        col_tiles_ = (b.rows() + tile_.tile_cols - 1) / tile_.tile_cols;
        const std::int64_t one = a.rows() * b.rows();
        tiles_ = one ? out[0]->count / one * row_tiles_ * col_tiles_ : 0;
        return {};
    }

    void run(worker& w) override {
        mm_packed m = mm_;
        m.data = w.workspace() + w.prog().pack_at;
        const float* bias = in.size() > 2 && in[2] ? in[2]->f32() : nullptr;
        for (;;) {
            const std::int64_t i = w.take(ticket[0]);
            if (i >= tiles_) return;
            const std::int64_t matrix = i / (row_tiles_ * col_tiles_);
            const std::int64_t row = i / col_tiles_ % row_tiles_ * tile_.tile_rows;
            mm_tile t;
            t.n_rows = std::min(tile_.tile_rows, a.rows() - row);
            t.col0 = i % col_tiles_ * tile_.tile_cols;
            t.n_cols = std::min(tile_.tile_cols, b.rows() - t.col0);
            t.workspace = w.local();
            t.group = b.under(*out[0], matrix);
            const float* from = a.matrix(a.under(*out[0], matrix));
            auto* temp = reinterpret_cast<float*>(w.local() + workspace_);
            const bool in_place = a.col_step() == 1 || a.cols() == 1;
            t.act = in_place ? from + row * a.row_step()
                             : straight(w.k(), a, from, row, t.n_rows, temp);
            t.act_stride =
                static_cast<std::uint64_t>(in_place ? a.row_step() : a.cols()) * sizeof(float);
            t.out_stride = b.rows();
            t.out = out[0]->f32() + (matrix * a.rows() + row) * b.rows() + t.col0;
            mm_run(m, t);
            for (std::int64_t r = 0; bias && r < t.n_rows; ++r) {
                float* y = t.out + r * t.out_stride;
                w.k().binary(RLX_BINARY_ADD, y, y, 1, bias + t.col0, 1, t.n_cols);
            }
        }
    }

    void touches(const program& p, std::vector<range>& reads, std::vector<range>& writes)
        const override {
        step::touches(p, reads, writes);
        reads.push_back({space_workspace, p.pack_at, p.pack_at + align64(mm_.bytes), 0});
    }

private:
    mm_packed mm_;
    mm_tiling tile_;
    std::uint64_t workspace_ = 0;
    std::int64_t row_tiles_ = 0, col_tiles_ = 0, tiles_ = 0;
};

} // namespace

std::vector<step_ptr> make_run_time_product(const node& n) {
    const bool flat = n.info.op == RLX_OP_MatMul;
    auto pack = std::make_unique<pack_step>();
    pack->b = {n.in[1], false};
    auto product = std::make_unique<batch_step>();
    product->a = {n.in[0], flat};
    product->b = {n.in[1], false};
    std::vector<step_ptr> steps;
    pack->origin = n.info.origin;
    steps.push_back(std::move(pack));
    steps.push_back(with_tensors(std::move(product), n));
    return steps;
}

} // namespace rlx::cpu
