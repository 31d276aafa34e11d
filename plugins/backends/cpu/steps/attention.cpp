// SPDX-License-Identifier: GPL-3.0-only
// KvAppend and AttentionState over paged keys and values.
//
// A page of a slot: K [n_heads][blocks of 16 rows][k_dim][16], then V
// [n_heads][page_tokens][v_dim], f32 or f16. Attention works on tiles of query rows that share a KV
// head and on chunks of whole pages, counted from the sequence's first token. Each chunk gives
// (max, sum, weighted values); chunks are joined in order. The cut into tiles and chunks follows
// positions only, so results do not depend on threads, on T, or on whether chunks of one row went
// to several threads.
#include "steps/steps.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace rlx::cpu {

namespace {

constexpr std::int64_t chunk_keys = 256; // keys of a chunk, rounded to whole pages
constexpr std::int64_t tile_rows = 32;   // query rows of a tile

class kv_append_step final : public step {
public:
    kv_append_step(const kv_layout& kv, const head_prep& keys) : kv_(kv), keys_(keys) {}

    status resize(program& p) override {
        row_units = in[1]->dim[0] * kv_.n_heads;
        local_bytes = align64(static_cast<std::uint64_t>(3 * kv_.k_dim + kv_.v_dim) * 4);
        state_ = &p.roots[in[0]->root];
        return {};
    }

    // Row (t, h): one head of one token.
    void run(worker& w) override {
        const std::int64_t pages =
            static_cast<std::int64_t>(state_->bound_bytes) / kv_.page_bytes();
        const worker::share mine = w.split(row_units);
        for (std::int64_t r = mine.begin; r < mine.end; ++r) {
            const std::int64_t t = r / kv_.n_heads, h = r % kv_.n_heads;
            const std::int64_t slot = in[3]->i32()[t * in[3]->stride[0]];
            if (slot < 0 || slot >= pages * kv_.page_tokens) {
                w.fail(
                    RLX_INVALID_ARGUMENT,
                    "cache slot %lld of token %lld is outside [0, %lld)",
                    static_cast<long long>(slot),
                    static_cast<long long>(t),
                    static_cast<long long>(pages * kv_.page_tokens)
                );
                continue;
            }
            char* page = state_->base + slot / kv_.page_tokens * kv_.page_bytes();
            const std::int64_t row = slot % kv_.page_tokens;
            auto* temp = reinterpret_cast<float*>(w.local());
            store_key(w, page, h, row, keys_.row(w.k(), t, h, temp));
            store_value(w, page, h, row, value(w, t, h));
        }
    }

    void touches(const program& p, std::vector<range>& reads, std::vector<range>& writes)
        const override {
        step::touches(p, reads, writes);
        reads[0].rows = 0;
        for (range& r : writes)
            r.rows = 0;
    }

private:
    const float* value(worker& w, std::int64_t t, std::int64_t h) const {
        const tensor& x = *in[2];
        const float* row = x.f32() + t * x.stride[0] + h * x.stride[1];
        if (x.stride[2] == 1 || kv_.v_dim == 1) return row;
        auto* temp = reinterpret_cast<float*>(w.local());
        for (std::int64_t i = 0; i < kv_.v_dim; ++i)
            temp[i] = row[i * x.stride[2]];
        return temp;
    }

    void store_key(worker& w, char* page, std::int64_t h, std::int64_t row, const float* x) const {
        char* block =
            page + h * kv_.k_head_bytes() + row / key_block * key_block * kv_.k_dim * kv_.element();
        const std::int64_t lane = row % key_block;
        if (!kv_.f16) {
            auto* dst = reinterpret_cast<float*>(block) + lane;
            for (std::int64_t d = 0; d < kv_.k_dim; ++d)
                dst[d * key_block] = x[d];
            return;
        }
        auto* half = reinterpret_cast<std::uint16_t*>(w.local()) + 4 * kv_.k_dim;
        w.k().f32_to_f16(half, x, kv_.k_dim);
        auto* dst = reinterpret_cast<std::uint16_t*>(block) + lane;
        for (std::int64_t d = 0; d < kv_.k_dim; ++d)
            dst[d * key_block] = half[d];
    }

    void
    store_value(worker& w, char* page, std::int64_t h, std::int64_t row, const float* x) const {
        char* dst =
            page + kv_.v_offset() + h * kv_.v_head_bytes() + row * kv_.v_dim * kv_.element();
        if (kv_.f16) {
            w.k().f32_to_f16(reinterpret_cast<std::uint16_t*>(dst), x, kv_.v_dim);
        } else {
            std::memcpy(dst, x, static_cast<std::size_t>(kv_.v_dim) * 4);
        }
    }

    kv_layout kv_;
    head_prep keys_;
    const root* state_ = nullptr;
};

class attention_step final : public step {
public:
    attention_step(
        const kv_layout& kv,
        const node& n,
        const head_prep& queries,
        std::uint64_t workspace,
        std::uint64_t partial_bytes
    )
        : kv_(kv), queries_(queries), workspace_(workspace), partial_bytes_(partial_bytes),
          scale_(n.f32(RLX_ATTR_scale)), window_(n.i64(RLX_ATTR_window)),
          softcap_(n.f32(RLX_ATTR_softcap)) {
        heads_ = n.in[0]->dim[1];
        group_ = heads_ / kv_.n_heads;
        tile_tokens_ = std::max<std::int64_t>(1, tile_rows / group_);
        max_rows_ = tile_tokens_ * group_;
        q_pad_ = (max_rows_ + 7) / 8 * 8;
        chunk_pages_ = std::max<std::int64_t>(1, chunk_keys / kv_.page_tokens);
        chunk_ = chunk_pages_ * kv_.page_tokens;
        score_stride_ = chunk_ + 2 * key_block;
        local_.q = 0;
        local_.scores = local_.q + align64(static_cast<std::uint64_t>(kv_.k_dim * q_pad_) * 4);
        local_.part =
            local_.scores + align64(static_cast<std::uint64_t>(max_rows_ * score_stride_) * 4);
        local_.acc = local_.part + align64(static_cast<std::uint64_t>(max_rows_ * kv_.v_dim) * 4);
        local_.row = local_.acc + align64(static_cast<std::uint64_t>(max_rows_ * kv_.v_dim) * 4);
        local_.pages = local_.row + align64(static_cast<std::uint64_t>(max_rows_) * 4 * 6);
        local_.temp =
            local_.pages + align64(static_cast<std::uint64_t>(chunk_pages_) * 2 * sizeof(char*));
        local_bytes = local_.temp + align64(static_cast<std::uint64_t>(kv_.k_dim) * 2 * 4);
    }

    status resize(program& p) override {
        state_ = &p.roots[in[1]->root];
        return {};
    }

    void run(worker& w) override;
    void
    touches(const program& p, std::vector<range>& reads, std::vector<range>& writes) const override;

    static std::int64_t partial_floats(std::int64_t v_dim) { return v_dim + 2; }

private:
    // A tile: query tokens [first, first + n) of sequence b for one KV head.
    struct tile {
        std::int64_t b;
        std::int64_t head;
        std::int64_t first; // token in the batch
        std::int64_t n_tokens;
        std::int64_t position; // of the first token
        std::int64_t rows;
    };

    struct memory_map {
        std::uint64_t q, scores, part, acc, row, pages, temp;
    };

    // Per-row arrays inside local_.row.
    struct row_state {
        float *m, *l, *run_m, *run_l;
        std::int32_t *lo, *hi;
    };

    struct batch {
        std::int64_t n = 0;     // sequences
        std::int64_t tiles = 0; // per KV head
        std::int64_t most_chunks = 0;
        bool ok = false;
    };

    batch survey(worker& w) const;
    bool find_tile(std::int64_t index, tile& t) const;

    std::int64_t cu(std::int64_t b) const { return in[2]->i32()[b * in[2]->stride[0]]; }

    std::int64_t kv_length(std::int64_t b) const { return in[3]->i32()[b * in[3]->stride[0]]; }

    std::int64_t first_key(std::int64_t position) const {
        return window_ > 0 ? std::max<std::int64_t>(0, position - window_ + 1) : 0;
    }

    row_state rows_of(worker& w) const;
    void load_queries(worker& w, const tile& t) const;
    bool run_chunk(worker& w, const tile& t, std::int64_t chunk) const;
    void whole_tile(worker& w, const tile& t) const;
    void one_chunk(worker& w, const tile& t, std::int64_t chunk, std::int64_t chunks) const;
    void join(worker& w, std::int64_t row, std::int64_t chunks) const;
    void
    write_row(worker& w, std::int64_t token, std::int64_t head, const float* acc, float sum) const;

    float* partial(worker& w, std::int64_t row, std::int64_t chunk, std::int64_t chunks) const {
        return reinterpret_cast<float*>(w.workspace() + workspace_) +
               (row * chunks + chunk) * partial_floats(kv_.v_dim);
    }

    kv_layout kv_;
    head_prep queries_;
    std::uint64_t workspace_;
    std::uint64_t partial_bytes_;
    float scale_;
    std::int64_t window_;
    float softcap_;
    std::int64_t heads_ = 0, group_ = 1, tile_tokens_ = 1, max_rows_ = 1, q_pad_ = 8;
    std::int64_t chunk_pages_ = 1, chunk_ = 0, score_stride_ = 0;
    memory_map local_{};
    const root* state_ = nullptr;
};

attention_step::row_state attention_step::rows_of(worker& w) const {
    auto* f = reinterpret_cast<float*>(w.local() + local_.row);
    auto* i = reinterpret_cast<std::int32_t*>(f + 4 * max_rows_);
    return {f, f + max_rows_, f + 2 * max_rows_, f + 3 * max_rows_, i, i + max_rows_};
}

// Checks the batch's bounds and counts the work; every thread finds the same.
attention_step::batch attention_step::survey(worker& w) const {
    batch b;
    b.n = in[3]->count;
    const std::int64_t tokens = in[0]->dim[0];
    const std::int64_t limit = in[4]->last() * kv_.page_tokens;
    for (std::int64_t s = 0; s < b.n; ++s) {
        const std::int64_t lo = cu(s), hi = cu(s + 1), length = kv_length(s);
        if (lo < 0 || hi < lo || hi > tokens || length < hi - lo || length > limit) {
            w.fail(
                RLX_INVALID_ARGUMENT,
                "sequence %lld has tokens [%lld, %lld) of %lld and %lld keys in a block table of "
                "%lld",
                static_cast<long long>(s),
                static_cast<long long>(lo),
                static_cast<long long>(hi),
                static_cast<long long>(tokens),
                static_cast<long long>(length),
                static_cast<long long>(limit)
            );
            return b;
        }
        b.tiles += (hi - lo + tile_tokens_ - 1) / tile_tokens_;
        if (hi > lo) b.most_chunks = std::max(b.most_chunks, (length + chunk_ - 1) / chunk_);
    }
    b.ok = true;
    return b;
}

// Tile `index` of all: KV heads innermost, a sequence's last (longest) tiles first.
bool attention_step::find_tile(std::int64_t index, tile& t) const {
    t.head = index % kv_.n_heads;
    std::int64_t i = index / kv_.n_heads;
    for (t.b = 0; t.b < in[3]->count; ++t.b) {
        const std::int64_t lo = cu(t.b), n = cu(t.b + 1) - lo;
        const std::int64_t tiles = (n + tile_tokens_ - 1) / tile_tokens_;
        if (i >= tiles) {
            i -= tiles;
            continue;
        }
        const std::int64_t at = (tiles - 1 - i) * tile_tokens_;
        t.first = lo + at;
        t.n_tokens = std::min(tile_tokens_, n - at);
        t.position = kv_length(t.b) - n + at;
        t.rows = t.n_tokens * group_;
        return true;
    }
    return false;
}

// q of the tile, scaled, as [k_dim][q_pad]; row = token * group + head inside the group.
void attention_step::load_queries(worker& w, const tile& t) const {
    auto* q = reinterpret_cast<float*>(w.local() + local_.q);
    auto* temp = reinterpret_cast<float*>(w.local() + local_.temp);
    for (std::int64_t r = 0; r < t.rows; ++r) {
        const std::int64_t token = t.first + r / group_, head = t.head * group_ + r % group_;
        const float* row = queries_.row(w.k(), token, head, temp);
        for (std::int64_t d = 0; d < kv_.k_dim; ++d)
            q[d * q_pad_ + r] = row[d] * scale_;
    }
}

// One chunk of a tile into local_.part and the rows' m and l. False when no row sees any of it, or
// on error.
bool attention_step::run_chunk(worker& w, const tile& t, std::int64_t chunk) const {
    const row_state rows = rows_of(w);
    const std::int64_t base = chunk * chunk_;
    bool any = false;
    for (std::int64_t r = 0; r < t.rows; ++r) {
        const std::int64_t position = t.position + r / group_;
        rows.lo[r] = static_cast<std::int32_t>(
            std::clamp<std::int64_t>(first_key(position) - base, 0, chunk_)
        );
        rows.hi[r] =
            static_cast<std::int32_t>(std::clamp<std::int64_t>(position + 1 - base, 0, chunk_));
        any = any || rows.lo[r] < rows.hi[r];
    }
    if (!any) return false;
    const std::int64_t keys = std::min(chunk_, kv_length(t.b) - base);
    const std::int64_t pages = static_cast<std::int64_t>(state_->bound_bytes) / kv_.page_bytes();
    auto* k_pages = reinterpret_cast<const char**>(w.local() + local_.pages);
    const char** v_pages = k_pages + chunk_pages_;
    const tensor& table = *in[4];
    for (std::int64_t p = 0; p * kv_.page_tokens < keys; ++p) {
        const std::int64_t at = chunk * chunk_pages_ + p;
        const std::int64_t id = table.i32()[t.b * table.stride[0] + at * table.stride[1]];
        if (id < 0 || id >= pages) {
            w.fail(
                RLX_INVALID_ARGUMENT,
                "page %lld of sequence %lld is outside [0, %lld)",
                static_cast<long long>(id),
                static_cast<long long>(t.b),
                static_cast<long long>(pages)
            );
            return false;
        }
        const char* page = state_->base + id * kv_.page_bytes();
        k_pages[p] = page + t.head * kv_.k_head_bytes();
        v_pages[p] = page + kv_.v_offset() + t.head * kv_.v_head_bytes();
    }
    attend_chunk c{};
    c.q = reinterpret_cast<const float*>(w.local() + local_.q);
    c.n_rows = t.rows;
    c.q_pad = q_pad_;
    c.k_dim = kv_.k_dim;
    c.v_dim = kv_.v_dim;
    c.k_pages = k_pages;
    c.v_pages = v_pages;
    c.page_tokens = kv_.page_tokens;
    c.n_keys = keys;
    c.lo = rows.lo;
    c.hi = rows.hi;
    c.softcap = softcap_;
    c.f16 = kv_.f16;
    c.scores = reinterpret_cast<float*>(w.local() + local_.scores);
    c.score_stride = score_stride_;
    c.m = rows.m;
    c.l = rows.l;
    c.acc = reinterpret_cast<float*>(w.local() + local_.part);
    w.k().attend(c);
    return true;
}

void attention_step::write_row(
    worker& w, std::int64_t token, std::int64_t head, const float* acc, float sum
) const {
    float* o = out[0]->f32() + (token * heads_ + head) * kv_.v_dim;
    w.k().affine(o, acc, kv_.v_dim, sum == 0 ? 0.0f : 1.0f / sum, 0.0f);
}

void attention_step::whole_tile(worker& w, const tile& t) const {
    const row_state rows = rows_of(w);
    auto* acc = reinterpret_cast<float*>(w.local() + local_.acc);
    const auto* part = reinterpret_cast<const float*>(w.local() + local_.part);
    load_queries(w, t);
    for (std::int64_t r = 0; r < t.rows; ++r) {
        rows.run_m[r] = -INFINITY;
        rows.run_l[r] = 0;
    }
    std::memset(acc, 0, static_cast<std::size_t>(t.rows * kv_.v_dim) * 4);
    const std::int64_t last = (t.position + t.n_tokens - 1) / chunk_;
    for (std::int64_t c = first_key(t.position) / chunk_; c <= last; ++c) {
        if (!run_chunk(w, t, c)) continue;
        for (std::int64_t r = 0; r < t.rows; ++r) {
            w.k().merge(
                &rows.run_m[r],
                &rows.run_l[r],
                acc + r * kv_.v_dim,
                rows.m[r],
                rows.l[r],
                part + r * kv_.v_dim,
                kv_.v_dim
            );
        }
    }
    for (std::int64_t r = 0; r < t.rows; ++r) {
        write_row(
            w,
            t.first + r / group_,
            t.head * group_ + r % group_,
            acc + r * kv_.v_dim,
            rows.run_l[r]
        );
    }
}

// The chunk's result of each row goes to the shared workspace; rows are numbered token * heads +
// head.
void attention_step::one_chunk(worker& w, const tile& t, std::int64_t chunk, std::int64_t chunks)
    const {
    const row_state rows = rows_of(w);
    load_queries(w, t);
    const bool any = run_chunk(w, t, chunk);
    const auto* part = reinterpret_cast<const float*>(w.local() + local_.part);
    for (std::int64_t r = 0; r < t.rows; ++r) {
        const std::int64_t row = (t.first + r / group_) * heads_ + t.head * group_ + r % group_;
        float* to = partial(w, row, chunk, chunks);
        to[0] = any ? rows.m[r] : -INFINITY;
        to[1] = any ? rows.l[r] : 0;
        if (any) std::memcpy(to + 2, part + r * kv_.v_dim, static_cast<std::size_t>(kv_.v_dim) * 4);
    }
}

void attention_step::join(worker& w, std::int64_t row, std::int64_t chunks) const {
    auto* acc = reinterpret_cast<float*>(w.local() + local_.acc);
    std::memset(acc, 0, static_cast<std::size_t>(kv_.v_dim) * 4);
    float m = -INFINITY, l = 0;
    for (std::int64_t c = 0; c < chunks; ++c) {
        const float* p = partial(w, row, c, chunks);
        w.k().merge(&m, &l, acc, p[0], p[1], p + 2, kv_.v_dim);
    }
    write_row(w, row / heads_, row % heads_, acc, l);
}

void attention_step::run(worker& w) {
    const batch b = survey(w);
    if (!b.ok) return;
    const std::int64_t tiles = b.tiles * kv_.n_heads;
    const std::int64_t rows_total = in[0]->dim[0] * heads_;
    const auto bytes =
        static_cast<std::uint64_t>(rows_total * b.most_chunks * partial_floats(kv_.v_dim)) * 4;
    // Few tiles and long contexts: chunks go to threads one by one.
    const bool split =
        b.most_chunks > 1 && tiles < 4 * static_cast<std::int64_t>(w.n) && bytes <= partial_bytes_;
    if (!split) {
        for (tile t{};;) {
            if (!find_tile(w.take(ticket[0]), t)) return;
            whole_tile(w, t);
        }
    }
    for (tile t{};;) {
        const std::int64_t i = w.take(ticket[0]);
        if (i >= tiles * b.most_chunks) break;
        if (find_tile(i / b.most_chunks, t)) one_chunk(w, t, i % b.most_chunks, b.most_chunks);
    }
    w.barrier();
    for (;;) {
        const std::int64_t row = w.take(ticket[1]);
        if (row >= rows_total) return;
        join(w, row, b.most_chunks);
    }
}

void attention_step::touches(
    const program& p, std::vector<range>& reads, std::vector<range>& writes
) const {
    step::touches(p, reads, writes);
    if (partial_bytes_)
        writes.push_back({space_workspace, workspace_, workspace_ + partial_bytes_, 0});
}

} // namespace

namespace {

// The step reads what the head's nodes would have read, instead of their result.
step_ptr with_head(step_ptr s, const head_prep& head, std::size_t input) {
    s->in[input] = head.x;
    if (head.table) s->in.push_back(head.table);
    return s;
}

} // namespace

const float* head_prep::row(const kernels& k, std::int64_t t, std::int64_t h, float* temp) const {
    const std::int64_t n = x->dim[2];
    const float* from = x->f32() + t * x->stride[0] + h * x->stride[1];
    if (x->stride[2] != 1 && n > 1) {
        for (std::int64_t i = 0; i < n; ++i)
            temp[i] = from[i * x->stride[2]];
        from = temp;
    }
    if (norm.on) {
        k.rms_norm(
            temp, from, norm.weight ? norm.weight->f32() : nullptr, norm.offset, norm.eps, n
        );
        from = temp;
    }
    if (!table) return from;
    const std::int64_t dim = table->last();
    const float* cos = table->f32() + t * table->stride[0];
    float* to = temp + n;
    k.rope(to, from, cos, cos + dim / 2, dim / 2, pairing);
    if (dim < n) std::memcpy(to + dim, from + dim, static_cast<std::size_t>(n - dim) * 4);
    return to;
}

step_ptr make_kv_append(const node& n, const kv_layout& kv, const head_prep& keys) {
    return with_head(with_tensors(std::make_unique<kv_append_step>(kv, keys), n), keys, 1);
}

std::uint64_t attention_workspace(
    const kv_layout& kv, std::int64_t tokens, std::int64_t heads, std::int64_t keys
) {
    // Room to split what a few decoding sequences need; larger batches have enough tiles.
    const std::int64_t chunk =
        std::max<std::int64_t>(1, chunk_keys / kv.page_tokens) * kv.page_tokens;
    const std::int64_t chunks = (keys + chunk - 1) / chunk;
    if (chunks <= 1) return 0;
    const std::int64_t floats = std::min<std::int64_t>(tokens, 8) * heads * chunks *
                                attention_step::partial_floats(kv.v_dim);
    return align64(std::min<std::uint64_t>(static_cast<std::uint64_t>(floats) * 4, 64u << 20));
}

step_ptr make_attention(
    const node& n,
    const kv_layout& kv,
    const head_prep& queries,
    std::uint64_t workspace,
    std::uint64_t bytes
) {
    auto s = std::make_unique<attention_step>(kv, n, queries, workspace, bytes);
    return with_head(with_tensors(std::move(s), n), queries, 0);
}

result<kv_layout> kv_layout_of(const rlx_state_slot& slot, const program_config& cfg) {
    constexpr std::int64_t limit = std::int64_t{1} << 20;
    const auto sane = [](std::int64_t n) { return n > 0 && n <= limit; };
    if (slot.kind != RLX_STATE_KV)
        return fail(RLX_UNSUPPORTED, "cpu: a state of kind {}", slot.kind);
    if (!sane(slot.n_heads) || !sane(slot.k_dim) || !sane(slot.v_dim) || !sane(cfg.page_tokens)) {
        return fail(
            RLX_INVALID_ARGUMENT,
            "cpu: a cache of {} heads of {} and {} in pages of {} tokens",
            slot.n_heads,
            slot.k_dim,
            slot.v_dim,
            cfg.page_tokens
        );
    }
    return kv_layout{slot.n_heads, slot.k_dim, slot.v_dim, cfg.page_tokens, cfg.kv_f16};
}

} // namespace rlx::cpu
