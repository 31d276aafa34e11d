// SPDX-License-Identifier: GPL-3.0-only
// Convolution as a product: the inputs that a (channel, tap) meets at a tile of output positions
// are a column of the left operand, in place where they are neighbours in memory; the product with
// the packed weight, [position][channel], is transposed back. Columns that need a copy stay in L2;
// nothing the size of the whole unfolded input is ever made.
#include "steps/conv_plan.hpp"

#include <algorithm>
#include <cstring>

namespace rlx::cpu {

namespace {

constexpr std::int64_t some_rows = 16;           // transposed at a time
constexpr std::int64_t most_positions = 144;     // of a tile
constexpr std::int64_t least_positions = 48;     // unless the output is smaller
constexpr std::int64_t tile_floats = 256 * 1024; // of the columns of a tile
constexpr std::int64_t most_outs = 256;          // output channels of a tile

// Positions of a tile that are neighbours along the innermost axis.
struct segment {
    std::int64_t at = 0, n = 0; // in the tile
    axes3 q{0, 0, 0};           // of the first
};

class conv_step final : public step {
public:
    explicit conv_step(conv_plan plan) : plan_(std::move(plan)) {
        std::int64_t most_cols = 1, row_floats = 0;
        std::uint64_t form = 0;
        for (const conv_job& j : plan_.jobs) {
            const std::int64_t cols = j.weight.cols();
            const mm_packed& m = j.mm ? *j.mm : j.run_time;
            most_ = std::max(most_, fit(cols));
            most_cols = std::max(most_cols, cols);
            workspace_ = std::max(workspace_, align64(mm_workspace(m)));
            if (m.form == act_form::f32) continue;
            row_floats = std::max(row_floats, some_rows * cols);
            form =
                std::max(form, static_cast<std::uint64_t>(fit(cols)) * act_row_bytes(m.form, cols));
        }
        const std::int64_t outs = std::min(most_outs, (plan_.group_outs() + 31) / 32 * 32);
        map_.columns = workspace_;
        map_.lines = map_.columns + floats(2 * most_cols);
        map_.form = map_.lines + floats(std::max(most_cols, outs) * most_);
        map_.product = map_.form + align64(form);
        map_.segments = map_.product + floats(std::max(most_ * outs, row_floats));
        local_bytes = map_.segments + align64(sizeof(segment) * most_positions);
    }

    status resize(program& p) override;
    void run(worker& w) override;
    void
    touches(const program& p, std::vector<range>& reads, std::vector<range>& writes) const override;

private:
    struct cut {
        axes3 count{}; // positions of the job per axis
        std::int64_t positions = 0, tile = 1, tiles = 0;
        std::int64_t outs = 1, out_tiles = 1;
        std::int64_t units = 0;
    };

    struct unit {
        std::size_t job;
        std::int64_t sample, group, position, n, out, n_outs;
    };

    struct memory_map {
        std::uint64_t columns, lines, form, product, segments;
    };

    static std::uint64_t floats(std::int64_t n) {
        return align64(static_cast<std::uint64_t>(n) * 4);
    }

    static std::int64_t fit(std::int64_t cols) {
        const std::int64_t n =
            tile_floats / std::max<std::int64_t>(cols, 1) / least_positions * least_positions;
        return std::clamp(n, least_positions, most_positions);
    }

    float* local(worker& w, std::uint64_t at) const {
        return reinterpret_cast<float*>(w.local() + at);
    }

    cut cut_of(const conv_job& j, std::uint32_t threads) const;
    std::int64_t segments_of(const cut& c, const unit& u, segment* to) const;
    const float*
    column(const axes3& base, const float* x, const segment* s, std::int64_t n, float* line) const;
    const float**
    gather(worker& w, const conv_job& j, const unit& u, const segment* s, std::int64_t n) const;
    void lay_out(
        worker& w, const mm_packed& m, std::int64_t cols, const float** columns, const unit& u
    ) const;
    void
    multiply(worker& w, const conv_job& j, const unit& u, const segment* s, std::int64_t n) const;
    void write(worker& w, const conv_job& j, const unit& u, const segment* s, std::int64_t n) const;
    void run_unit(worker& w, const unit& u) const;

    conv_plan plan_;
    std::vector<cut> cuts_;
    axes3 in_{}, out_{};
    std::int64_t most_ = 0;
    std::uint64_t workspace_ = 0;
    memory_map map_{};
};

// Tiles as large as the layout's budget allows, then smaller until every thread has work.
conv_step::cut conv_step::cut_of(const conv_job& j, std::uint32_t threads) const {
    cut c;
    c.positions = 1;
    for (std::size_t a = 0; a < 3; ++a) {
        c.count[a] = std::max<std::int64_t>(
            0, (out_[a] - j.start[a] + plan_.out_step[a] - 1) / plan_.out_step[a]
        );
        c.positions *= c.count[a];
    }
    const std::int64_t parts = in[0]->dim[0] * plan_.groups, wanted = 2 * threads;
    std::int64_t most = fit(j.weight.cols());
    const auto tiles = [&] { return (c.positions + most - 1) / most; };
    while (most > least_positions && parts * tiles() < wanted)
        most -= least_positions;
    c.tiles = tiles();
    c.tile = c.tiles ? (c.positions + c.tiles - 1) / c.tiles : 1;
    c.outs = std::min(most_outs, (plan_.group_outs() + 31) / 32 * 32);
    while (c.outs > 32 && parts * c.tiles * (plan_.group_outs() / c.outs) < wanted)
        c.outs = (c.outs / 2 + 31) / 32 * 32;
    c.out_tiles = (plan_.group_outs() + c.outs - 1) / c.outs;
    c.units = parts * c.tiles * c.out_tiles;
    return c;
}

status conv_step::resize(program& p) {
    in_ = spatial(*in[0]);
    out_ = spatial(*out[0]);
    cuts_.clear();
    for (const conv_job& j : plan_.jobs)
        cuts_.push_back(cut_of(j, p.cfg.max_threads));
    return {};
}

std::int64_t conv_step::segments_of(const cut& c, const unit& u, segment* to) const {
    std::int64_t n = 0;
    for (std::int64_t at = 0; at < u.n; ++n) {
        const std::int64_t p = u.position + at, inner = p % c.count[2], outer = p / c.count[2];
        segment& s = to[n];
        s.at = at;
        s.n = std::min(u.n - at, c.count[2] - inner);
        s.q = {outer / c.count[1], outer % c.count[1], inner};
        at += s.n;
    }
    return n;
}

// The inputs that one (channel, tap) meets at the tile's positions; x is the channel. In place
// where they are neighbours, else in line.
const float* conv_step::column(
    const axes3& base, const float* x, const segment* s, std::int64_t n, float* line
) const {
    for (std::int64_t i = 0; i < n; ++i) {
        const segment& g = s[i];
        const std::int64_t z = g.q[0] * plan_.in_step[0] + base[0];
        const std::int64_t y = g.q[1] * plan_.in_step[1] + base[1];
        const std::int64_t stride = plan_.in_step[2], first = g.q[2] * stride + base[2];
        float* to = line + g.at;
        if (z < 0 || z >= in_[0] || y < 0 || y >= in_[1]) {
            std::memset(to, 0, static_cast<std::size_t>(g.n) * 4);
            continue;
        }
        const float* row = x + (z * in_[1] + y) * in_[2];
        // Positions [lo, hi) of the segment lie inside the row.
        const std::int64_t lo = std::clamp<std::int64_t>((stride - 1 - first) / stride, 0, g.n);
        const std::int64_t past = in_[2] - first;
        const std::int64_t hi =
            past <= 0 ? lo : std::clamp<std::int64_t>((past + stride - 1) / stride, lo, g.n);
        if (n == 1 && stride == 1 && lo == 0 && hi == g.n) return row + first;
        std::fill(to, to + lo, 0.0f);
        if (stride == 1) {
            if (hi > lo)
                std::memcpy(to + lo, row + first + lo, static_cast<std::size_t>(hi - lo) * 4);
        } else {
            for (std::int64_t q = lo; q < hi; ++q)
                to[q] = row[first + q * stride];
        }
        std::fill(to + hi, to + g.n, 0.0f);
    }
    return line;
}

// One pointer per (channel, tap) to its inputs at the tile's positions.
const float** conv_step::gather(
    worker& w, const conv_job& j, const unit& u, const segment* s, std::int64_t n
) const {
    const std::int64_t channel = in_[0] * in_[1] * in_[2];
    const float* x =
        in[0]->f32() + (u.sample * plan_.channels + u.group * plan_.group_channels()) * channel;
    auto** columns = reinterpret_cast<const float**>(w.local() + map_.columns);
    float* line = local(w, map_.lines);
    const float** to = columns;
    for (std::int64_t c = 0; c < plan_.group_channels(); ++c, x += channel) {
        for (const axes3& base : j.base) {
            *to = column(base, x, s, n, line);
            if (*to++ == line) line += most_;
        }
    }
    return columns;
}

// Rows in the form that a weight of half precision wants.
void conv_step::lay_out(
    worker& w, const mm_packed& m, std::int64_t cols, const float** columns, const unit& u
) const {
    float* rows = local(w, map_.product);
    const float* shifted[some_rows];
    const std::uint64_t bytes = act_row_bytes(m.form, cols);
    for (std::int64_t r = 0; r < u.n; r += some_rows) {
        const std::int64_t count = std::min(some_rows, u.n - r);
        for (std::int64_t first = 0; first < cols; first += some_rows) {
            const std::int64_t wide = std::min(some_rows, cols - first);
            for (std::int64_t c = 0; c < wide; ++c)
                shifted[c] = columns[first + c] + r;
            w.k().transpose(rows + first, cols, shifted, wide, count);
        }
        for (std::int64_t i = 0; i < count; ++i)
            act_make(
                w.prog().cfg.mm,
                m.form,
                rows + i * cols,
                cols,
                w.local() + map_.form + static_cast<std::uint64_t>(r + i) * bytes
            );
    }
}

void conv_step::multiply(
    worker& w, const conv_job& j, const unit& u, const segment* s, std::int64_t n
) const {
    mm_packed m = j.mm ? *j.mm : j.run_time;
    if (!j.mm) m.data = w.workspace() + w.prog().pack_at + j.pack_offset;
    const std::int64_t cols = j.weight.cols();
    float* product = local(w, map_.product);
    mm_tile t;
    const float** columns = gather(w, j, u, s, n);
    if (m.form == act_form::f32) {
        t.act_columns = columns;
    } else {
        lay_out(w, m, cols, columns, u);
        t.act = w.local() + map_.form;
        t.act_stride = act_row_bytes(m.form, cols);
    }
    t.out = product;
    t.out_stride = u.n_outs;
    t.n_rows = u.n;
    t.group = u.group;
    t.col0 = u.out;
    t.n_cols = u.n_outs;
    t.workspace = w.local();
    if (cols > 0)
        mm_run(m, t);
    else
        std::fill(product, product + u.n * u.n_outs, 0.0f);
    const float* bias = in.size() > 2 && in[2] ? in[2]->f32() : nullptr;
    if (!bias) return;
    bias += u.group * plan_.group_outs() + u.out;
    for (std::int64_t r = 0; r < u.n; ++r) {
        float* row = product + r * u.n_outs;
        w.k().binary(RLX_BINARY_ADD, row, row, 1, bias, 1, u.n_outs);
    }
}

void conv_step::write(worker& w, const conv_job& j, const unit& u, const segment* s, std::int64_t n)
    const {
    const float* rows[most_positions];
    for (std::int64_t r = 0; r < u.n; ++r)
        rows[r] = local(w, map_.product) + r * u.n_outs;
    const std::int64_t channel = out_[0] * out_[1] * out_[2];
    const std::int64_t first = u.sample * plan_.outs + u.group * plan_.group_outs() + u.out;
    float* y = out[0]->f32() + first * channel;
    if (plan_.out_step == axes3{1, 1, 1})
        return w.k().transpose(y + u.position, channel, rows, u.n, u.n_outs);
    float* lines = local(w, map_.lines);
    w.k().transpose(lines, most_, rows, u.n, u.n_outs);
    for (std::int64_t o = 0; o < u.n_outs; ++o, y += channel) {
        for (std::int64_t i = 0; i < n; ++i) {
            const segment& g = s[i];
            axes3 at{};
            for (std::size_t a = 0; a < 3; ++a)
                at[a] = g.q[a] * plan_.out_step[a] + j.start[a];
            float* to = y + (at[0] * out_[1] + at[1]) * out_[2] + at[2];
            const float* from = lines + o * most_ + g.at;
            for (std::int64_t q = 0; q < g.n; ++q)
                to[q * plan_.out_step[2]] = from[q];
        }
    }
}

void conv_step::run_unit(worker& w, const unit& u) const {
    const conv_job& j = plan_.jobs[u.job];
    auto* s = reinterpret_cast<segment*>(w.local() + map_.segments);
    const std::int64_t n = segments_of(cuts_[u.job], u, s);
    multiply(w, j, u, s, n);
    write(w, j, u, s, n);
}

void conv_step::run(worker& w) {
    std::int64_t before = 0;
    std::size_t job = 0;
    for (;;) {
        const std::int64_t ticket_no = w.take(ticket[0]);
        while (job < cuts_.size() && ticket_no - before >= cuts_[job].units)
            before += cuts_[job++].units;
        if (job == cuts_.size()) return;
        const cut& c = cuts_[job];
        std::int64_t i = ticket_no - before;
        unit u{};
        u.job = job;
        u.out = i % c.out_tiles * c.outs;
        u.n_outs = std::min(c.outs, plan_.group_outs() - u.out);
        i /= c.out_tiles;
        u.position = i % c.tiles * c.tile;
        u.n = std::min(c.tile, c.positions - u.position);
        i /= c.tiles;
        u.group = i % plan_.groups;
        u.sample = i / plan_.groups;
        if (u.n > 0) run_unit(w, u);
    }
}

void conv_step::touches(const program& p, std::vector<range>& reads, std::vector<range>& writes)
    const {
    step::touches(p, reads, writes);
    for (const conv_job& j : plan_.jobs) {
        if (j.mm) continue;
        const std::uint64_t lo = p.pack_at + j.pack_offset;
        reads.push_back({space_workspace, lo, lo + j.run_time.bytes, 0});
    }
}

// Weights that a node made (a weight norm, say), packed again in every run.
class conv_pack_step final : public step {
public:
    std::vector<conv_job> jobs;

    status resize(program& p) override {
        for (const conv_job& j : jobs) {
            const mm_packed& m = j.run_time;
            p.pack_bytes = std::max(p.pack_bytes, j.pack_offset + align64(m.bytes));
            const std::int64_t floats = m.row_step * m.desc.cols;
            local_bytes = std::max(local_bytes, align64(static_cast<std::uint64_t>(floats) * 4));
        }
        return {};
    }

    void run(worker& w) override {
        for (const conv_job& j : jobs) {
            mm_packed m = j.run_time;
            m.data = w.workspace() + w.prog().pack_at + j.pack_offset;
            const std::int64_t stride = m.row_step, per = (m.desc.rows + stride - 1) / stride;
            const worker::share mine = w.split(m.desc.groups * per);
            for (std::int64_t u = mine.begin; u < mine.end; ++u) {
                const std::int64_t first = u % per * stride;
                const std::int64_t n = std::min(stride, m.desc.rows - first);
                j.weight.pack(
                    m, in[0]->f32(), u / per, first, n, reinterpret_cast<float*>(w.local())
                );
            }
        }
    }

    void touches(const program& p, std::vector<range>& reads, std::vector<range>& writes)
        const override {
        reads.push_back(whole(p, *in[0]));
        for (const conv_job& j : jobs) {
            const std::uint64_t lo = p.pack_at + j.pack_offset;
            writes.push_back({space_workspace, lo, lo + j.run_time.bytes, 0});
        }
    }
};

} // namespace

step_ptr make_conv_pack(const node& n, const conv_plan& plan) {
    auto s = std::make_unique<conv_pack_step>();
    s->jobs = plan.jobs;
    s->in = {n.in[1]};
    s->origin = n.info.origin;
    return s;
}

step_ptr make_conv(const node& n, conv_plan plan) {
    return with_tensors(std::make_unique<conv_step>(std::move(plan)), n);
}

} // namespace rlx::cpu
