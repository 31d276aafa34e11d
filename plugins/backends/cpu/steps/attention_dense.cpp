// SPDX-License-Identifier: GPL-3.0-only
// Attention over keys and values that are tensors: Attention, and RaggedAttention, which is the
// same with one batch whose tokens fall into sequences. A first step lays keys out as the kernel
// reads them ([blocks of 16 keys][dk][16], per batch and head) and values as rows, in the pack
// space; then tiles of query rows that share a kv head go over chunks of keys, as with cached keys:
// each chunk has its own maximum, chunks are joined in order, so results do not depend on threads.
// With compute bf16 on AMX both products are tile products: keys are packed as a weight's rows are,
// values as its columns, queries and exponentials are rounded.
#include "steps/steps.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace rlx::cpu {

namespace {

constexpr std::int64_t chunk = 256;    // keys, a multiple of key_block
constexpr std::int64_t tile_rows = 32; // query rows of a tile

constexpr std::uint64_t floats(std::int64_t n) {
    return align64(static_cast<std::uint64_t>(n) * 4);
}

// A tensor [B, T, H, d], or [T, H, d] with B = 1.
struct heads_view {
    const float* data = nullptr;
    std::int64_t dim[4] = {1, 0, 0, 0}, stride[4] = {};

    heads_view() = default;

    explicit heads_view(const tensor& t) : data(t.f32()) {
        for (std::uint32_t i = 0; i < t.rank; ++i) {
            dim[4 - t.rank + i] = t.dim[i];
            stride[4 - t.rank + i] = t.stride[i];
        }
    }

    const float* row(std::int64_t b, std::int64_t i, std::int64_t h) const {
        return data + b * stride[0] + i * stride[1] + h * stride[2];
    }
};

// The sequences of a ragged batch. Each begins with a block of its own in the pack space, so that
// its results do not depend on what stands before it.
class sequence_list {
public:
    sequence_list() = default;

    sequence_list(const tensor& cu_seqlens, std::int64_t tokens)
        : cu_(&cu_seqlens), n_(cu_seqlens.count - 1), tokens_(tokens) {}

    // False, with the error reported, when the bounds do not hold the tokens; every thread finds
    // the same.
    bool check(worker& w) const;

    std::int64_t size() const { return n_; }

    std::int64_t begin(std::int64_t s) const { return cu_->i32()[s]; }

    std::int64_t length(std::int64_t s) const { return begin(s + 1) - begin(s); }

    std::int64_t blocks(std::int64_t s) const { return (length(s) + key_block - 1) / key_block; }

    std::int64_t all_blocks() const {
        std::int64_t n = 0;
        for (std::int64_t s = 0; s < n_; ++s)
            n += blocks(s);
        return n;
    }

    // What all_blocks() can be for these sizes.
    std::int64_t most_blocks() const { return tokens_ / key_block + std::min(n_, tokens_); }

private:
    const tensor* cu_ = nullptr;
    std::int64_t n_ = 0, tokens_ = 0;
};

bool sequence_list::check(worker& w) const {
    const std::int64_t first = n_ >= 0 ? begin(0) : 0, last = n_ >= 0 ? begin(n_) : 0;
    bool good = first == 0 && last == tokens_;
    for (std::int64_t s = 0; s < n_ && good; ++s)
        good = begin(s) <= begin(s + 1);
    if (!good)
        w.fail(
            RLX_INVALID_ARGUMENT,
            "cu_seqlens goes from %lld to %lld, expected 0 to %lld and never falling",
            static_cast<long long>(first),
            static_cast<long long>(last),
            static_cast<long long>(tokens_)
        );
    return good;
}

// Where keys and values of one batch and kv head lie in the pack space.
struct packed_kv {
    std::int64_t keys = 0, heads = 0, dk = 0, dv = 0;
    std::int64_t blocks = 0;
    bool narrow = false; // in bf16, for tile products

    packed_kv() = default;

    packed_kv(const heads_view& k, const heads_view& v)
        : keys(k.dim[1]), heads(k.dim[2]), dk(k.dim[3]), dv(v.dim[3]),
          blocks((keys + key_block - 1) / key_block) {}

    // One panel of a narrow weight: 16 keys with all of dk, or 16 of dv with all keys.
    std::uint64_t k_panel() const { return static_cast<std::uint64_t>((dk + 1) / 2) * 64; }

    std::uint64_t v_panel() const {
        return static_cast<std::uint64_t>(blocks * key_block / 2) * 64;
    }

    std::uint64_t k_bytes() const {
        return narrow ? static_cast<std::uint64_t>(blocks) * k_panel()
                      : floats(blocks * key_block * dk);
    }

    std::uint64_t bytes() const {
        const auto panels = static_cast<std::uint64_t>((dv + 15) / 16);
        return k_bytes() + (narrow ? panels * v_panel() : floats(blocks * key_block * dv));
    }
};

// Below this many keys rounding and packing cost what the tiles save (MiniLM with 128 tokens, an
// image of 257: slower by 4 %; 1370: attention takes a third of the time).
constexpr std::int64_t narrow_keys = 512;

// Only keys of one length for the whole batch: texts keep f32 attention, whatever their length.
bool narrow_products(const program& p, const packed_kv& kv, bool ragged) {
    return p.cfg.bf16 && p.cfg.mm.isa == tier::amx && !ragged && kv.keys >= narrow_keys;
}

class pack_kv_step final : public step {
public:
    status resize(program& p) override {
        const heads_view k(*in[0]);
        kv_ = packed_kv(k, heads_view(*in[1]));
        const std::uint64_t wide = kv_.bytes();
        kv_.narrow = narrow_products(p, kv_, in.size() > 2);
        half_ = act_row_bytes(act_form::bf16, std::max(kv_.dk, kv_.dv));
        local_bytes = kv_.narrow ? 2 * half_ : 0;
        if (in.size() > 2) {
            sequences_ = sequence_list(*in[2], kv_.keys);
            kv_.blocks = sequences_.most_blocks();
        }
        const auto pairs = static_cast<std::uint64_t>(k.dim[0] * kv_.heads);
        total_ = kv_.bytes() * pairs;
        // Smaller extents may need the wider form.
        p.pack_bytes = std::max(p.pack_bytes, align64(std::max(total_, wide * pairs)));
        return {};
    }

    // One unit is a block of keys of a head.
    void run(worker& w) override {
        if (in.size() > 2 && !sequences_.check(w)) return;
        const std::int64_t blocks = in.size() > 2 ? sequences_.all_blocks() : kv_.blocks;
        const std::int64_t batches = heads_view(*in[0]).dim[0];
        const worker::share mine = w.split(batches * kv_.heads * blocks);
        for (std::int64_t u = mine.begin; u < mine.end; ++u)
            pack(w, u / blocks, u % blocks);
    }

    void touches(const program& p, std::vector<range>& reads, std::vector<range>& writes)
        const override {
        step::touches(p, reads, writes);
        writes.push_back({space_workspace, p.pack_at, p.pack_at + total_, 0});
    }

private:
    struct key_range {
        std::int64_t first, n;
    };

    key_range keys_of(std::int64_t block) const {
        if (in.size() <= 2)
            return {block * key_block, std::min(key_block, kv_.keys - block * key_block)};
        std::int64_t s = 0;
        for (; block >= sequences_.blocks(s); ++s)
            block -= sequences_.blocks(s);
        const std::int64_t at = block * key_block;
        return {sequences_.begin(s) + at, std::min(key_block, sequences_.length(s) - at)};
    }

    // pair: batch and head.
    void pack(worker& w, std::int64_t pair, std::int64_t block) const {
        const heads_view k(*in[0]), v(*in[1]);
        const std::int64_t b = pair / kv_.heads, h = pair % kv_.heads;
        const auto [first, n] = keys_of(block);
        char* base =
            w.workspace() + w.prog().pack_at + static_cast<std::uint64_t>(pair) * kv_.bytes();
        if (kv_.narrow) return pack_narrow(w, base, block, k, v, b, h, first, n);
        auto* to = reinterpret_cast<float*>(base) + block * key_block * kv_.dk;
        if (n < key_block) std::memset(to, 0, static_cast<std::size_t>(key_block * kv_.dk) * 4);
        const float* rows[key_block];
        for (std::int64_t j = 0; j < n; ++j)
            rows[j] = k.row(b, first + j, h);
        w.k().transpose(to, key_block, rows, n, kv_.dk);
        auto* values = reinterpret_cast<float*>(base + kv_.k_bytes()) + block * key_block * kv_.dv;
        for (std::int64_t j = 0; j < n; ++j)
            std::memcpy(
                values + j * kv_.dv, v.row(b, first + j, h), static_cast<std::size_t>(kv_.dv) * 4
            );
    }

    // Row (b, i, h) of x in bf16, in half `which` of this thread's memory; zeros when it is
    // missing.
    const std::uint16_t* rounded(
        worker& w,
        const heads_view& x,
        std::int64_t b,
        std::int64_t i,
        std::int64_t h,
        bool is,
        int which
    ) const {
        char* to = w.local() + static_cast<std::uint64_t>(which) * half_;
        std::memset(to, 0, half_);
        if (is) act_make(w.prog().cfg.mm, act_form::bf16, x.row(b, i, h), x.dim[3], to);
        return reinterpret_cast<const std::uint16_t*>(to);
    }

    void pack_narrow(
        worker& w,
        char* base,
        std::int64_t block,
        const heads_view& k,
        const heads_view& v,
        std::int64_t b,
        std::int64_t h,
        std::int64_t first,
        std::int64_t n
    ) const {
        char* keys = base + static_cast<std::uint64_t>(block) * kv_.k_panel();
        for (std::int64_t j = 0; j < key_block; ++j) {
            const std::uint16_t* row = rounded(w, k, b, first + j, h, j < n, 0);
            for (std::int64_t d = 0; d < kv_.dk; d += 2)
                std::memcpy(keys + (d / 2 * 16 + j) * 4, row + d, 4);
        }
        char* values = base + kv_.k_bytes() + block * (key_block / 2 * 64);
        for (std::int64_t j = 0; j < key_block; j += 2) {
            const std::uint16_t* even = rounded(w, v, b, first + j, h, j < n, 0);
            const std::uint16_t* odd = rounded(w, v, b, first + j + 1, h, j + 1 < n, 1);
            for (std::int64_t d = 0; d < (kv_.dv + 15) / 16 * 16; ++d) {
                const std::uint16_t two[2] = {
                    d < kv_.dv ? even[d] : std::uint16_t{0},
                    d < kv_.dv ? odd[d] : std::uint16_t{0}};
                char* panel = values + static_cast<std::uint64_t>(d / 16) * kv_.v_panel();
                std::memcpy(panel + j / 2 * 64 + d % 16 * 4, two, 4);
            }
        }
    }

    packed_kv kv_;
    sequence_list sequences_;
    std::uint64_t total_ = 0;
    std::uint64_t half_ = 0; // bytes of a row in bf16
};

class dense_attention_step final : public step {
public:
    explicit dense_attention_step(const node& n)
        : scale_(n.f32(RLX_ATTR_scale)), softcap_(n.f32(RLX_ATTR_softcap)),
          causal_(n.i64(RLX_ATTR_causal) == 1), window_(n.i64(RLX_ATTR_window)),
          ragged_(n.info.op == RLX_OP_RaggedAttention) {}

    status resize(program& p) override;
    void run(worker& w) override;
    void
    touches(const program& p, std::vector<range>& reads, std::vector<range>& writes) const override;

private:
    struct tile {
        std::int64_t b, head, first, rows; // kv head; first token
        std::int64_t keys;                 // of the sequence
        std::int64_t position;             // of the first token among them
        std::int64_t block;                // where the sequence begins in the pack space
    };

    struct row_state {
        float *m, *l, *run_m, *run_l;
        std::int32_t *lo, *hi;
    };

    struct memory_map {
        std::uint64_t q, scores, mask, part, acc, row;
        std::uint64_t weights, space; // narrow: the exponentials in bf16, the products' workspace
    };

    float* local(worker& w, std::uint64_t at) const {
        return reinterpret_cast<float*>(w.local() + at);
    }

    row_state rows_of(worker& w) const {
        float* f = local(w, map_.row);
        auto* i = reinterpret_cast<std::int32_t*>(f + 4 * max_rows_);
        return {f, f + max_rows_, f + 2 * max_rows_, f + 3 * max_rows_, i, i + max_rows_};
    }

    const tensor* extra() const { return in.size() > first_extra() ? in[first_extra()] : nullptr; }

    std::size_t first_extra() const { return ragged_ ? 4 : 3; } // mask or bias

    std::int64_t tiles_of(std::int64_t tokens) const {
        return group_ ? (tokens + tile_tokens_ - 1) / tile_tokens_ : 0;
    }

    std::int64_t count_tiles(worker& w) const;
    tile find_tile(std::int64_t index) const;
    void load_queries(worker& w, const tile& t) const;
    void load_bias(worker& w, const tile& t, std::int64_t base, std::int64_t n) const;
    void load_mask(worker& w, const tile& t, std::int64_t base, std::int64_t n) const;
    bool limits(worker& w, const tile& t, std::int64_t base, std::int64_t n) const;
    void narrow_chunk(worker& w, const tile& t, attend_chunk& c, std::int64_t at) const;
    void narrow_queries(worker& w, const tile& t) const;
    void run_chunk(worker& w, const tile& t, std::int64_t base) const;
    void run_tile(worker& w, const tile& t) const;

    float scale_, softcap_;
    bool causal_;
    std::int64_t window_;
    bool ragged_;
    heads_view q_;
    packed_kv kv_;
    sequence_list sequences_;
    std::int64_t group_ = 1, tile_tokens_ = 1, max_rows_ = 1, q_pad_ = 8;
    static constexpr std::int64_t score_stride = chunk + 2 * key_block;
    std::int64_t mask_stride_[4] = {0, 0, 0, 0}; // batch, head, query, key; 0 where it broadcasts
    memory_map map_{};
    mm_packed by_keys_, by_values_; // narrow: the products' weights, without their data
};

status dense_attention_step::resize(program& p) {
    q_ = heads_view(*in[0]);
    kv_ = packed_kv(heads_view(*in[1]), heads_view(*in[2]));
    kv_.narrow = narrow_products(p, kv_, ragged_);
    if (ragged_) {
        sequences_ = sequence_list(*in[3], kv_.keys);
        kv_.blocks = sequences_.most_blocks();
    }
    group_ = q_.dim[2] / kv_.heads;
    tile_tokens_ = std::max<std::int64_t>(1, tile_rows / std::max<std::int64_t>(group_, 1));
    max_rows_ = std::max<std::int64_t>(1, tile_tokens_ * group_);
    q_pad_ = (max_rows_ + 7) / 8 * 8;
    const tensor* mask = extra();
    for (std::uint32_t i = 0; mask && !ragged_ && i < mask->rank; ++i)
        mask_stride_[4 - mask->rank + i] = mask->dim[i] == 1 ? 0 : mask->stride[i];
    map_.q = 0;
    const std::uint64_t query = act_row_bytes(act_form::bf16, kv_.dk);
    map_.scores =
        map_.q + std::max(static_cast<std::uint64_t>(max_rows_) * query, floats(kv_.dk * q_pad_));
    map_.mask = map_.scores + floats(max_rows_ * score_stride);
    map_.part = map_.mask + (mask ? floats(max_rows_ * score_stride) : 0);
    map_.acc = map_.part + floats(max_rows_ * kv_.dv);
    map_.row = map_.acc + floats(max_rows_ * kv_.dv);
    local_bytes = map_.row + floats(max_rows_ * 6);
    if (!kv_.narrow) return {};
    const char* reason = nullptr;
    (void)mm_layout(p.cfg.mm, {RLX_BF16, 1, chunk, kv_.dk}, &by_keys_, &reason);
    (void)mm_layout(p.cfg.mm, {RLX_BF16, 1, kv_.dv, chunk}, &by_values_, &reason);
    by_values_.panel_bytes = kv_.v_panel(); // those of all keys
    map_.weights = local_bytes;
    map_.space =
        map_.weights + static_cast<std::uint64_t>(max_rows_) * act_row_bytes(act_form::bf16, chunk);
    local_bytes = map_.space + align64(mm_workspace(by_keys_));
    return {};
}

// Rows in bf16, scaled before they are rounded; row order as in load_queries.
void dense_attention_step::narrow_queries(worker& w, const tile& t) const {
    const heads_view x(*in[0]);
    const std::uint64_t stride = act_row_bytes(act_form::bf16, kv_.dk);
    float* temp = local(w, map_.scores); // free until the first chunk
    for (std::int64_t r = 0; r < t.rows; ++r) {
        const float* row = x.row(t.b, t.first + r / group_, t.head * group_ + r % group_);
        for (std::int64_t d = 0; d < kv_.dk; ++d)
            temp[d] = row[d * x.stride[3]] * scale_;
        char* to = w.local() + map_.q + static_cast<std::uint64_t>(r) * stride;
        act_make(w.prog().cfg.mm, act_form::bf16, temp, kv_.dk, to);
    }
}

// c.m, c.l and c.acc of keys [at, at + c.n_keys) of the pack space.
void dense_attention_step::narrow_chunk(worker& w, const tile& t, attend_chunk& c, std::int64_t at)
    const {
    const auto pair = static_cast<std::uint64_t>(t.b * kv_.heads + t.head);
    char* packed = w.workspace() + w.prog().pack_at + pair * kv_.bytes();
    mm_packed keys = by_keys_, values = by_values_;
    keys.data = packed + static_cast<std::uint64_t>(at / key_block) * kv_.k_panel();
    values.data = packed + kv_.k_bytes() + static_cast<std::uint64_t>(at / 2) * 64;
    values.desc.cols = c.n_keys;
    mm_tile m;
    m.act = w.local() + map_.q;
    m.act_stride = act_row_bytes(act_form::bf16, kv_.dk);
    m.out = c.scores;
    m.out_stride = c.score_stride;
    m.n_rows = t.rows;
    m.n_cols = c.n_keys;
    m.workspace = w.local() + map_.space;
    mm_run(keys, m);
    c.only_softmax = true;
    w.k().attend(c);
    const std::uint64_t stride = act_row_bytes(act_form::bf16, chunk);
    char* weights = w.local() + map_.weights;
    for (std::int64_t r = 0; r < t.rows; ++r)
        act_make(
            w.prog().cfg.mm,
            act_form::bf16,
            c.scores + r * c.score_stride,
            c.n_keys,
            weights + static_cast<std::uint64_t>(r) * stride
        );
    m.act = weights;
    m.act_stride = stride;
    m.out = c.acc;
    m.out_stride = kv_.dv;
    m.n_cols = kv_.dv;
    mm_run(values, m);
}

// [dk][q_pad], scaled; row = token * group + head inside the group.
void dense_attention_step::load_queries(worker& w, const tile& t) const {
    const heads_view x(*in[0]);
    float* q = local(w, map_.q);
    if (x.stride[3] == 1) {
        constexpr std::int64_t some = 32;
        const float* rows[some];
        for (std::int64_t r0 = 0; r0 < t.rows; r0 += some) {
            const std::int64_t n = std::min(some, t.rows - r0);
            for (std::int64_t r = r0; r < r0 + n; ++r)
                rows[r - r0] = x.row(t.b, t.first + r / group_, t.head * group_ + r % group_);
            w.k().transpose(q + r0, q_pad_, rows, n, kv_.dk);
        }
        return w.k().affine(q, q, kv_.dk * q_pad_, scale_, 0.0f);
    }
    for (std::int64_t r = 0; r < t.rows; ++r) {
        const float* row = x.row(t.b, t.first + r / group_, t.head * group_ + r % group_);
        for (std::int64_t d = 0; d < kv_.dk; ++d)
            q[d * q_pad_ + r] = row[d * x.stride[3]] * scale_;
    }
}

void dense_attention_step::load_mask(worker& w, const tile& t, std::int64_t base, std::int64_t n)
    const {
    float* to = local(w, map_.mask);
    for (std::int64_t r = 0; r < t.rows; ++r) {
        const float* row = in[3]->f32() + t.b * mask_stride_[0] +
                           (t.head * group_ + r % group_) * mask_stride_[1] +
                           (t.first + r / group_) * mask_stride_[2] + base * mask_stride_[3];
        for (std::int64_t j = 0; j < n; ++j)
            to[r * score_stride + j] = row[j * mask_stride_[3]];
    }
}

void dense_attention_step::load_bias(worker& w, const tile& t, std::int64_t base, std::int64_t n)
    const {
    const tensor& bias = *in[4];
    const std::int64_t reach = bias.dim[1] / 2;
    float* to = local(w, map_.mask);
    for (std::int64_t r = 0; r < t.rows; ++r) {
        const float* row = bias.f32() + (t.head * group_ + r % group_) * bias.stride[0];
        const std::int64_t position = t.position + r / group_;
        for (std::int64_t j = 0; j < n; ++j) {
            const std::int64_t away = std::clamp(base + j - position, -reach, reach);
            to[r * score_stride + j] = row[(away + reach) * bias.stride[1]];
        }
    }
}

// The keys of the chunk each row sees; false when none does.
bool dense_attention_step::limits(worker& w, const tile& t, std::int64_t base, std::int64_t n)
    const {
    const row_state rows = rows_of(w);
    bool any = false;
    for (std::int64_t r = 0; r < t.rows; ++r) {
        const std::int64_t position = t.position + r / group_;
        const std::int64_t first = window_ > 0 ? position - window_ + 1 : 0;
        const std::int64_t stop = causal_ ? position + 1 : t.keys;
        rows.lo[r] = static_cast<std::int32_t>(std::clamp<std::int64_t>(first - base, 0, n));
        rows.hi[r] = static_cast<std::int32_t>(std::clamp<std::int64_t>(stop - base, 0, n));
        any = any || rows.lo[r] < rows.hi[r];
    }
    return any;
}

void dense_attention_step::run_chunk(worker& w, const tile& t, std::int64_t base) const {
    const row_state rows = rows_of(w);
    const std::int64_t n = std::min(chunk, t.keys - base);
    if (!limits(w, t, base, n)) return;
    const std::int64_t pair = t.b * kv_.heads + t.head;
    const char* packed =
        w.workspace() + w.prog().pack_at + static_cast<std::uint64_t>(pair) * kv_.bytes();
    const std::int64_t at = t.block * key_block + base;
    const char* k_page = packed + at * kv_.dk * 4;
    const char* v_page = packed + kv_.k_bytes() + at * kv_.dv * 4;
    attend_chunk c{};
    c.q = local(w, map_.q);
    c.n_rows = t.rows;
    c.q_pad = q_pad_;
    c.k_dim = kv_.dk;
    c.v_dim = kv_.dv;
    c.k_pages = &k_page;
    c.v_pages = &v_page;
    c.page_tokens = chunk;
    c.n_keys = n;
    c.lo = rows.lo;
    c.hi = rows.hi;
    c.softcap = softcap_;
    if (extra()) {
        if (ragged_)
            load_bias(w, t, base, n);
        else
            load_mask(w, t, base, n);
        c.mask = local(w, map_.mask);
    }
    c.scores = local(w, map_.scores);
    c.score_stride = score_stride;
    c.m = rows.m;
    c.l = rows.l;
    c.acc = local(w, map_.part);
    if (kv_.narrow)
        narrow_chunk(w, t, c, at);
    else
        w.k().attend(c);
    float* acc = local(w, map_.acc);
    for (std::int64_t r = 0; r < t.rows; ++r)
        w.k().merge(
            &rows.run_m[r],
            &rows.run_l[r],
            acc + r * kv_.dv,
            rows.m[r],
            rows.l[r],
            c.acc + r * kv_.dv,
            kv_.dv
        );
}

void dense_attention_step::run_tile(worker& w, const tile& t) const {
    const row_state rows = rows_of(w);
    float* acc = local(w, map_.acc);
    if (kv_.narrow)
        narrow_queries(w, t);
    else
        load_queries(w, t);
    std::fill(rows.run_m, rows.run_m + t.rows, -INFINITY);
    std::fill(rows.run_l, rows.run_l + t.rows, 0.0f);
    std::fill(acc, acc + t.rows * kv_.dv, 0.0f);
    for (std::int64_t base = 0; base < t.keys; base += chunk)
        run_chunk(w, t, base);
    for (std::int64_t r = 0; r < t.rows; ++r) {
        const std::int64_t token = t.b * q_.dim[1] + t.first + r / group_;
        const std::int64_t head = t.head * group_ + r % group_;
        float* to = out[0]->f32() + (token * q_.dim[2] + head) * kv_.dv;
        const float inverse = rows.run_l[r] == 0 ? 0.0f : 1.0f / rows.run_l[r];
        w.k().affine(to, acc + r * kv_.dv, kv_.dv, inverse, 0.0f);
    }
}

// 0 after an error.
std::int64_t dense_attention_step::count_tiles(worker& w) const {
    if (!ragged_) return q_.dim[0] * kv_.heads * tiles_of(q_.dim[1]);
    if (!sequences_.check(w)) return 0;
    std::int64_t tiles = 0;
    for (std::int64_t s = 0; s < sequences_.size(); ++s)
        tiles += tiles_of(sequences_.length(s));
    return tiles * kv_.heads;
}

// Causal tiles at the end of a sequence are the longest: they go first.
dense_attention_step::tile dense_attention_step::find_tile(std::int64_t index) const {
    tile t{};
    std::int64_t tokens = q_.dim[1], begin = 0, i = 0;
    if (!ragged_) {
        const std::int64_t per_head = tiles_of(tokens);
        i = index % per_head;
        t.head = index / per_head % kv_.heads;
        t.b = index / per_head / kv_.heads;
        t.keys = kv_.keys;
    } else {
        t.head = index % kv_.heads;
        i = index / kv_.heads;
        std::int64_t s = 0;
        for (; i >= tiles_of(sequences_.length(s)); ++s) {
            i -= tiles_of(sequences_.length(s));
            t.block += sequences_.blocks(s);
        }
        begin = sequences_.begin(s);
        t.keys = tokens = sequences_.length(s);
    }
    const std::int64_t at = (tiles_of(tokens) - 1 - i) * tile_tokens_;
    t.first = begin + at;
    t.position = t.keys - tokens + at;
    t.rows = std::min(tile_tokens_, tokens - at) * group_;
    return t;
}

void dense_attention_step::run(worker& w) {
    const std::int64_t tiles = count_tiles(w);
    // Several tiles to a ticket: taking one waits until all stores before it are done.
    const std::int64_t some = std::clamp<std::int64_t>(tiles / (16 * std::int64_t{w.n}), 1, 16);
    for (;;) {
        const std::int64_t first = w.take(ticket[0]);
        if (first >= (tiles + some - 1) / some) return;
        for (std::int64_t i = first * some; i < std::min(tiles, (first + 1) * some); ++i)
            run_tile(w, find_tile(i));
    }
}

void dense_attention_step::touches(
    const program& p, std::vector<range>& reads, std::vector<range>& writes
) const {
    step::touches(p, reads, writes);
    const auto pairs = static_cast<std::uint64_t>(q_.dim[0] * kv_.heads);
    reads.push_back({space_workspace, p.pack_at, p.pack_at + pairs * kv_.bytes(), 0});
}

} // namespace

std::vector<step_ptr> make_dense_attention(const node& n) {
    auto pack = std::make_unique<pack_kv_step>();
    pack->in = {n.in[1], n.in[2]};
    if (n.info.op == RLX_OP_RaggedAttention) pack->in.push_back(n.in[3]);
    pack->origin = n.info.origin;
    std::vector<step_ptr> steps;
    steps.push_back(std::move(pack));
    steps.push_back(with_tensors(std::make_unique<dense_attention_step>(n), n));
    return steps;
}

} // namespace rlx::cpu
