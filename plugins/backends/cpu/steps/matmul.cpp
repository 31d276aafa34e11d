// SPDX-License-Identifier: GPL-3.0-only
// Matrix products: activations, then tiles. Several products share one activation and one list of
// tiles; what follows a product (bias, residual, gate) happens to a tile while it is in cache.
#include "steps/steps.hpp"

#include <algorithm>
#include <cstring>

namespace rlx::cpu {

namespace {

constexpr std::uint64_t tile_budget = 256 * 1024; // bytes of one tile's temporary

class activate_step final : public step {
public:
    activate_step(activation* a, const norm_args& norm) : a_(a), norm_(norm) {}

    status resize(program&) override { return {}; }

    void run(worker& w) override {
        if (a_->in_place || !w.active()) return;
        char* rows = w.rows(*a_);
        const auto part = a_->local ? worker::share{0, a_->rows} : w.split(a_->rows);
        const float* x = a_->x->f32();
        auto* temp = reinterpret_cast<float*>(w.local());
        for (std::int64_t r = part.begin; r < part.end; ++r) {
            const float* row = x + r * a_->cols;
            char* dst = rows + static_cast<std::uint64_t>(r) * a_->stride;
            if (norm_.on) {
                float* normed = a_->form == act_form::f32 ? reinterpret_cast<float*>(dst) : temp;
                const float* weight = norm_.weight ? norm_.weight->f32() : nullptr;
                w.k().rms_norm(normed, row, weight, norm_.offset, norm_.eps, a_->cols);
                row = normed;
                if (a_->form == act_form::f32) continue;
            }
            act_make(w.prog().cfg.mm, a_->form, row, a_->cols, dst);
        }
    }

    void touches(const program& p, std::vector<range>& reads, std::vector<range>& writes)
        const override {
        if (a_->in_place) return;
        reads.push_back(whole(p, *a_->x));
        if (a_->local) return;
        if (a_->x->contiguous && a_->x->offset == 0 &&
            a_->x->count == p.tensors[a_->x->root].count) {
            reads.back().rows = a_->rows;
        }
        const std::uint64_t lo = p.slot_offset[a_->slot];
        writes.push_back(
            {space_workspace, lo, lo + a_->stride * static_cast<std::uint64_t>(a_->rows), 0}
        );
    }

private:
    activation* a_;
    norm_args norm_;
};

class expert_lists_step final : public step {
public:
    explicit expert_lists_step(expert_lists* l) : l_(l) {}

    // A counting sort by one thread: at most a few thousand pairs.
    void run(worker& w) override {
        if (w.thread != 0) return;
        const tensor& ids = *l_->ids;
        auto* start = reinterpret_cast<std::int32_t*>(w.workspace() + l_->workspace);
        std::int32_t* pair = start + l_->n_experts + 1;
        std::int32_t* token = pair + l_->max_pairs;
        const std::int64_t k = ids.last();
        std::memset(start, 0, static_cast<std::size_t>(l_->n_experts + 1) * 4);
        for (std::int64_t i = 0; i < ids.count; ++i) {
            const std::int32_t e = ids.i32()[i];
            if (e < 0 || e >= l_->n_experts) {
                w.fail(
                    RLX_INVALID_ARGUMENT,
                    "expert id %d is outside [0, %lld)",
                    e,
                    static_cast<long long>(l_->n_experts)
                );
                continue;
            }
            ++start[e + 1];
        }
        for (std::int64_t e = 0; e < l_->n_experts; ++e)
            start[e + 1] += start[e];
        for (std::int64_t i = 0; i < ids.count; ++i) {
            const std::int32_t e = ids.i32()[i];
            if (e < 0 || e >= l_->n_experts) continue;
            const std::int32_t at = start[e]++;
            pair[at] = static_cast<std::int32_t>(i);
            token[at] = static_cast<std::int32_t>(i / k);
        }
        for (std::int64_t e = l_->n_experts; e > 0; --e)
            start[e] = start[e - 1];
        start[0] = 0;
    }

    void touches(const program& p, std::vector<range>& reads, std::vector<range>& writes)
        const override {
        reads.push_back(whole(p, *l_->ids));
        const std::uint64_t lo = l_->workspace;
        writes.push_back(
            {space_workspace, lo, lo + expert_lists::bytes(l_->n_experts, l_->max_pairs), 0}
        );
    }

private:
    expert_lists* l_;
};

class matmul_step final : public step {
public:
    explicit matmul_step(const matmul_args& args) : m_(args) {
        std::uint64_t columns = 0;
        for (const product& p : m_.products) {
            local_workspace_ = std::max(local_workspace_, align64(mm_workspace(p.w->mm)));
            columns = std::max<std::uint64_t>(columns, p.w->mm.row_step);
        }
        temp_bytes_ = std::max(tile_budget, align64(columns * 4));
        local_bytes = local_workspace_ + (needs_temp() ? 2 * temp_bytes_ : 0);
    }

    status resize(program& p) override;
    void run(worker& w) override;
    void
    touches(const program& p, std::vector<range>& reads, std::vector<range>& writes) const override;

private:
    struct plan {
        std::int64_t tile_rows = 1;
        std::int64_t tile_cols = 1;
        std::int64_t col_tiles = 0;
        std::int64_t tiles = 0; // ordinary products
    };

    struct tile {
        std::size_t product;
        std::int64_t group;
        std::int64_t row; // into act rows, or into the sorted pairs
        std::int64_t n_rows;
        std::int64_t col;
        std::int64_t n_cols;
        const std::int32_t* act_rows;
        const std::int32_t* out_rows;
    };

    bool needs_temp() const { return m_.after.kind != epilogue::none; }

    bool glu() const { return m_.after.kind == epilogue::glu; }

    std::size_t listed() const { return glu() ? 1 : m_.products.size(); }

    void run_ordinary(worker& w);
    void run_grouped(worker& w);
    void compute(worker& w, const tile& t);
    void product_tile(
        worker& w,
        const tile& t,
        const product& p,
        float* dst,
        std::int64_t stride,
        const std::int32_t* out_rows
    );
    void add_bias(worker& w, const product& p, const tile& t, float* row) const;
    void finish_rows(worker& w, const tile& t, float* a, float* b);

    matmul_args m_;
    std::vector<plan> plans_;
    std::uint64_t local_workspace_ = 0;
    std::uint64_t temp_bytes_ = 0;
    bool fixed_ = true; // contiguous shares instead of tickets
};

status matmul_step::resize(program& p) {
    plans_.assign(m_.products.size(), plan{});
    std::int64_t row_tiles = 0;
    for (std::size_t i = 0; i < m_.products.size(); ++i) {
        const mm_packed& w = m_.products[i].w->mm;
        std::int64_t rows = m_.a->rows;
        if (m_.experts) {
            const std::int64_t pairs = m_.experts->ids->count;
            const std::int64_t used = std::min(pairs, m_.experts->n_experts);
            rows = used ? (pairs + used - 1) / used : 0;
        }
        plan& t = plans_[i];
        const mm_tiling size = mm_tile_size(w, std::max<std::int64_t>(rows, 1), p.cfg.max_threads);
        t.tile_rows = std::max<std::int64_t>(size.tile_rows, 1);
        t.tile_cols = std::max<std::int64_t>(size.tile_cols, w.row_step);
        if (needs_temp()) {
            const auto floats = static_cast<std::int64_t>(temp_bytes_ / 4);
            t.tile_rows = std::max<std::int64_t>(1, std::min(t.tile_rows, floats / w.row_step));
            const std::int64_t fit = floats / t.tile_rows / w.row_step * w.row_step;
            t.tile_cols = std::min(t.tile_cols, std::max<std::int64_t>(fit, w.row_step));
        }
        t.col_tiles = (w.desc.rows + t.tile_cols - 1) / t.tile_cols;
        const std::int64_t tiles = (m_.a->rows + t.tile_rows - 1) / t.tile_rows;
        row_tiles = std::max(row_tiles, tiles);
        t.tiles = tiles * t.col_tiles;
    }
    // One row of tiles (decoding): every thread gets its own run of weight rows, the same ones each
    // step.
    fixed_ = row_tiles <= 1;
    return {};
}

void matmul_step::product_tile(
    worker& w,
    const tile& t,
    const product& p,
    float* dst,
    std::int64_t stride,
    const std::int32_t* out_rows
) {
    mm_tile m;
    m.act = w.rows(*m_.a) + (t.act_rows ? 0 : static_cast<std::uint64_t>(t.row) * m_.a->stride);
    m.act_stride = m_.a->stride;
    m.act_rows = t.act_rows;
    m.out = dst;
    m.out_stride = stride;
    m.out_rows = out_rows;
    m.n_rows = t.n_rows;
    m.group = t.group;
    m.col0 = t.col;
    m.n_cols = t.n_cols;
    m.workspace = w.local();
    mm_run(p.w->mm, m);
    if (needs_temp()) return; // finish_rows adds the bias
    for (std::int64_t r = 0; r < t.n_rows; ++r)
        add_bias(w, p, t, dst + (out_rows ? out_rows[r] : r) * stride);
}

void matmul_step::add_bias(worker& w, const product& p, const tile& t, float* row) const {
    if (p.bias) w.k().binary(RLX_BINARY_ADD, row, row, 1, p.bias->f32() + t.col, 1, t.n_cols);
}

// Temporaries a (and b) -> the output's rows, or rows of the activation that is made of it.
void matmul_step::finish_rows(worker& w, const tile& t, float* a, float* b) {
    const tensor& y = *m_.products[t.product].out;
    const std::int64_t width = y.last(), n = t.n_cols;
    const activation* into = m_.after.into;
    for (std::int64_t r = 0; r < t.n_rows; ++r, a += n, b += n) {
        const std::int64_t row = t.out_rows ? t.out_rows[r] : t.row + r;
        const std::int64_t at = row * width + t.col;
        float* to = into ? a : y.f32() + at;
        add_bias(w, m_.products[t.product], t, a);
        switch (m_.after.kind) {
        case epilogue::glu:
            add_bias(w, m_.products[1], t, b);
            w.k().glu(m_.after.op, to, a, b, n);
            break;
        case epilogue::unary: w.k().unary(m_.after.op, to, a, n); break;
        default: w.k().binary(RLX_BINARY_ADD, to, m_.after.residual->f32() + at, 1, a, 1, n);
        }
        if (!into) continue;
        char* dst = w.rows(*m_.after.into) + static_cast<std::uint64_t>(row) * into->stride;
        act_make(w.prog().cfg.mm, into->form, a, n, dst + 2 * t.col);
    }
}

void matmul_step::compute(worker& w, const tile& t) {
    const product& p = m_.products[t.product];
    if (!needs_temp()) {
        const std::int64_t width = p.out->last();
        float* dst = p.out->f32() + t.col + (t.out_rows ? 0 : t.row * width);
        return product_tile(w, t, p, dst, width, t.out_rows);
    }
    auto* a = reinterpret_cast<float*>(w.local() + local_workspace_);
    auto* b = reinterpret_cast<float*>(w.local() + local_workspace_ + temp_bytes_);
    product_tile(w, t, p, a, t.n_cols, nullptr);
    if (glu()) product_tile(w, t, m_.products[1], b, t.n_cols, nullptr);
    finish_rows(w, t, a, b);
}

void matmul_step::run_ordinary(worker& w) {
    std::int64_t total = 0;
    for (std::size_t i = 0; i < listed(); ++i)
        total += plans_[i].tiles;
    const worker::share mine = w.split(total);
    for (std::int64_t next = mine.begin;; ++next) {
        std::int64_t i = next;
        if (fixed_) {
            if (i >= mine.end) return;
        } else {
            i = w.take(ticket[0]);
            if (i >= total) return;
        }
        tile t{};
        while (i >= plans_[t.product].tiles)
            i -= plans_[t.product++].tiles;
        const plan& p = plans_[t.product];
        t.row = i / p.col_tiles * p.tile_rows;
        t.n_rows = std::min(p.tile_rows, m_.a->rows - t.row);
        t.col = i % p.col_tiles * p.tile_cols;
        t.n_cols = std::min(p.tile_cols, m_.products[t.product].w->mm.desc.rows - t.col);
        compute(w, t);
    }
}

// Walks the experts in order; tickets grow, so each thread walks them once.
void matmul_step::run_grouped(worker& w) {
    const expert_lists& l = *m_.experts;
    const auto* start = reinterpret_cast<const std::int32_t*>(w.workspace() + l.workspace);
    const std::int32_t* pair = start + l.n_experts + 1;
    const std::int32_t* token = pair + l.max_pairs;
    const bool per_pair = m_.a->rows == l.ids->count && m_.a->x->rank == 3;
    const plan& p = plans_[0];
    std::int64_t expert = 0, before = 0;
    for (;;) {
        const std::int64_t i = w.take(ticket[0]);
        std::int64_t tiles = 0;
        for (; expert < l.n_experts; ++expert, before += tiles) {
            const std::int64_t count = start[expert + 1] - start[expert];
            tiles = (count + p.tile_rows - 1) / p.tile_rows * p.col_tiles;
            if (i < before + tiles) break;
        }
        if (expert >= l.n_experts) return;
        tile t{};
        t.group = expert;
        t.row = start[expert] + (i - before) / p.col_tiles * p.tile_rows;
        t.n_rows = std::min<std::int64_t>(p.tile_rows, start[expert + 1] - t.row);
        t.col = (i - before) % p.col_tiles * p.tile_cols;
        t.n_cols = std::min(p.tile_cols, m_.products[0].w->mm.desc.rows - t.col);
        t.out_rows = pair + t.row;
        t.act_rows = per_pair ? pair + t.row : token + t.row;
        compute(w, t);
    }
}

void matmul_step::run(worker& w) {
    if (m_.experts) return run_grouped(w);
    run_ordinary(w);
}

void matmul_step::touches(const program& p, std::vector<range>& reads, std::vector<range>& writes)
    const {
    if (m_.a->in_place) {
        reads.push_back(whole(p, *m_.a->x));
    } else if (!m_.a->local) {
        const std::uint64_t lo = p.slot_offset[m_.a->slot];
        reads.push_back(
            {space_workspace, lo, lo + m_.a->stride * static_cast<std::uint64_t>(m_.a->rows), 0}
        );
    }
    if (m_.after.residual) reads.push_back(whole(p, *m_.after.residual));
    if (m_.experts) {
        const std::uint64_t lo = m_.experts->workspace;
        const auto bytes = expert_lists::bytes(m_.experts->n_experts, m_.experts->max_pairs);
        reads.push_back({space_workspace, lo, lo + bytes, 0});
    }
    for (const product& q : m_.products) {
        if (q.bias) reads.push_back(whole(p, *q.bias));
        if (q.out && !m_.after.into) writes.push_back(whole(p, *q.out));
    }
    if (const activation* a = m_.after.into) {
        const std::uint64_t lo = p.slot_offset[a->slot];
        writes.push_back(
            {space_workspace, lo, lo + a->stride * static_cast<std::uint64_t>(a->rows), 0}
        );
    }
}

} // namespace

step_ptr make_activate(activation* a, const norm_args& norm) {
    auto s = std::make_unique<activate_step>(a, norm);
    return s;
}

step_ptr make_expert_lists(expert_lists* lists) {
    return std::make_unique<expert_lists_step>(lists);
}

step_ptr make_matmul(const matmul_args& args) {
    return std::make_unique<matmul_step>(args);
}

} // namespace rlx::cpu
