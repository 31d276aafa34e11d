// SPDX-License-Identifier: GPL-3.0-only
// KvAppend: shaders/kv_append.comp. AttentionState, RaggedAttention, Attention: attention.comp.
#include "kv.hpp"
#include "ops/list.hpp"

#include <algorithm>

namespace rlx::vulkan {

namespace {

constexpr std::int64_t largest_head = 512; // query_ of attention.comp

std::uint32_t pages_of(const root& state, const kv_layout& kv) {
    return static_cast<std::uint32_t>(state.bound_bytes / (kv.page_words() * 4));
}

struct kv_append_step final : step {
    struct constants {
        std::uint32_t tokens, heads, k_dim, v_dim, k_words, v_words, page_rows, page_words, limit;
        std::uint32_t k0, v0, s0, c0, k_token, k_head, v_token, v_head, s_stride, step;
    };

    status prepare(program& p) override { return want_plain(p, n); }

    status record(recorder& r) override {
        program& p = r.prog();
        const tensor &state = *n.in[0], &k = *n.in[1], &v = *n.in[2], &slots = *n.in[3];
        if (slots.count == 0) return {};
        const root& memory = p.roots[state.root];
        const kv_layout kv = kv_layout::of(memory.slot, p.cfg);
        const slice sk = RLX_TRY(p.at(k)), sv = RLX_TRY(p.at(v)), ss = RLX_TRY(p.at(slots));
        const slice sc = RLX_TRY(p.at(state));
        const operand flags = RLX_TRY(r.flags());
        constants c{};
        c.tokens = u32(slots.count);
        c.heads = static_cast<std::uint32_t>(kv.heads);
        c.k_dim = u32(k.last());
        c.v_dim = u32(v.last());
        c.k_words = static_cast<std::uint32_t>(kv.k_words);
        c.v_words = static_cast<std::uint32_t>(kv.v_words);
        c.page_rows = p.cfg.page_tokens;
        c.page_words = static_cast<std::uint32_t>(kv.page_words());
        c.limit = pages_of(memory, kv) * p.cfg.page_tokens;
        c.k0 = sk.first;
        c.v0 = sv.first;
        c.s0 = ss.first;
        c.c0 = sc.first;
        c.k_token = u32(k.stride[0]);
        c.k_head = u32(k.stride[1]);
        c.v_token = u32(v.stride[0]);
        c.v_head = u32(v.stride[1]);
        c.s_stride = u32(slots.stride[0]);
        c.step = r.step_number();
        const std::int64_t words =
            slots.count * static_cast<std::int64_t>(kv.heads * (kv.k_words + kv.v_words));
        return r.dispatch(
            p.cfg.kv_f16 ? "kv_append_f16" : "kv_append_f32",
            {},
            {reads(sk), reads(sv), reads(ss), writes(sc), flags},
            c,
            {groups_of(words)}
        );
    }
};

// In front of the constants of every kind of attention.
struct common {
    std::uint32_t tokens, q_heads, kv_heads, k_dim, v_dim, batch, window, step;
    float scale, softcap;
    std::uint32_t q0, y0, q_token, q_head, cu0;
};

common common_of(const node& n, const tensor& q, const tensor& y, const recorder& r) {
    common c{};
    const std::uint32_t heads = q.rank - 2;
    c.tokens = u32(q.dim[heads - 1]);
    c.q_heads = u32(q.dim[heads]);
    c.k_dim = u32(q.last());
    c.v_dim = u32(y.last());
    c.window = u32(n.view.i64(RLX_ATTR_window));
    c.step = r.step_number();
    c.scale = static_cast<float>(n.view.real(RLX_ATTR_scale, 1));
    c.softcap = static_cast<float>(n.view.real(RLX_ATTR_softcap));
    c.q_token = u32(q.stride[heads - 1]);
    c.q_head = u32(q.stride[heads]);
    return c;
}

// Invocations per query and head. A processor has one subgroup at a time and pays for each barrier
// between several.
std::uint32_t attention_size(const recorder& r) {
    return r.prog().g.facts().narrow_group(64);
}

std::uint32_t per_invocation(const tensor& y, std::uint32_t size) {
    return u32((y.last() + size - 1) / size);
}

struct attention_state_step final : step {
    struct constants {
        common c;
        std::uint32_t k_words, v_words, page_rows, page_words, pages, table_cols, length0, table0,
            table_row;
    };

    // Known before anything is loaded: the block table names every page that there can be.
    status prepare(program& p) override {
        const root& memory = p.roots[n.in[1]->root];
        const std::uint64_t page = kv_layout::of(memory.slot, p.cfg).page_words() * 4;
        const auto pages = static_cast<std::uint64_t>(n.in[4]->count);
        std::uint64_t all = 0;
        if (__builtin_mul_overflow(pages, page, &all)) all = UINT64_MAX;
        return kv_layout::check_bytes(all, page, p);
    }

    status record(recorder& r) override {
        program& p = r.prog();
        const tensor &q = *n.in[0], &state = *n.in[1], &cu = *n.in[2], &lengths = *n.in[3];
        const tensor &table = *n.in[4], &y = *n.out[0];
        if (y.count == 0) return {};
        const root& memory = p.roots[state.root];
        const kv_layout kv = kv_layout::of(memory.slot, p.cfg);
        const slice sq = RLX_TRY(p.at(q)), sy = RLX_TRY(p.at(y)), sc = RLX_TRY(p.at(state));
        const slice su = RLX_TRY(p.at(cu)), sl = RLX_TRY(p.at(lengths)), st = RLX_TRY(p.at(table));
        const operand flags = RLX_TRY(r.flags());
        constants c{};
        c.c = common_of(n, q, y, r);
        c.c.kv_heads = static_cast<std::uint32_t>(kv.heads);
        c.c.batch = u32(lengths.count);
        c.c.q0 = sq.first;
        c.c.y0 = sy.first;
        c.c.cu0 = su.first;
        c.k_words = static_cast<std::uint32_t>(kv.k_words);
        c.v_words = static_cast<std::uint32_t>(kv.v_words);
        c.page_rows = p.cfg.page_tokens;
        c.page_words = static_cast<std::uint32_t>(kv.page_words());
        c.pages = pages_of(memory, kv);
        c.table_cols = u32(table.dim[1]);
        c.length0 = sl.first;
        c.table0 = st.first;
        c.table_row = u32(table.stride[0]);
        return r.dispatch(
            p.cfg.kv_f16 ? "attention_state_f16" : "attention_state_f32",
            {attention_size(r), per_invocation(y, attention_size(r))},
            {reads(sq), writes(sy), flags, reads(sc), reads(su), reads(sl), reads(st)},
            c,
            {static_cast<std::uint64_t>(y.rows())},
            static_cast<double>(y.count) * c.table_cols * c.page_rows
        );
    }
};

struct ragged_step final : step {
    struct constants {
        common c;
        std::uint32_t k0, v0, m0, k_token, k_head, v_token, v_head, causal, reach;
    };

    status prepare(program& p) override { return want_plain(p, n); }

    status record(recorder& r) override {
        program& p = r.prog();
        const tensor &q = *n.in[0], &k = *n.in[1], &v = *n.in[2], &cu = *n.in[3], &y = *n.out[0];
        if (y.count == 0) return {};
        const slice sq = RLX_TRY(p.at(q)), sk = RLX_TRY(p.at(k)), sv = RLX_TRY(p.at(v));
        const slice su = RLX_TRY(p.at(cu)), sy = RLX_TRY(p.at(y));
        slice sm;
        if (n.input(4)) sm = RLX_TRY(p.at(*n.input(4)));
        const operand flags = RLX_TRY(r.flags());
        constants c{};
        c.c = common_of(n, q, y, r);
        c.c.kv_heads = u32(k.dim[1]);
        c.c.batch = u32(cu.count - 1);
        c.c.q0 = sq.first;
        c.c.y0 = sy.first;
        c.c.cu0 = su.first;
        c.k0 = sk.first;
        c.v0 = sv.first;
        c.m0 = sm.first;
        c.k_token = u32(k.stride[0]);
        c.k_head = u32(k.stride[1]);
        c.v_token = u32(v.stride[0]);
        c.v_head = u32(v.stride[1]);
        c.causal = u32(n.view.i64(RLX_ATTR_causal));
        c.reach = n.input(4) ? u32((n.input(4)->dim[1] + 1) / 2) : 0;
        return r.dispatch(
            "attention_ragged",
            {attention_size(r), per_invocation(y, attention_size(r))},
            {reads(sq), writes(sy), flags, reads(sk), reads(sv), reads(su), reads(sm)},
            c,
            {static_cast<std::uint64_t>(y.rows())},
            static_cast<double>(y.count) * 512
        );
    }
};

struct dense_step final : step {
    struct constants {
        common c;
        std::uint32_t k0, v0, m0, k_token, k_head, v_token, v_head, causal, reach;
        std::uint32_t keys, q_batch, k_batch, v_batch, m_batch, m_head, m_query, m_key;
    };

    status prepare(program& p) override { return want_plain(p, n); }

    status record(recorder& r) override {
        program& p = r.prog();
        const tensor &q = *n.in[0], &k = *n.in[1], &v = *n.in[2], &y = *n.out[0];
        if (y.count == 0) return {};
        const slice sq = RLX_TRY(p.at(q)), sk = RLX_TRY(p.at(k)), sv = RLX_TRY(p.at(v));
        const slice sy = RLX_TRY(p.at(y));
        const operand flags = RLX_TRY(r.flags());
        constants c{};
        c.c = common_of(n, q, y, r);
        c.c.kv_heads = u32(k.dim[2]);
        c.c.batch = u32(q.dim[0]);
        c.c.q0 = sq.first;
        c.c.y0 = sy.first;
        c.k0 = sk.first;
        c.v0 = sv.first;
        c.k_token = u32(k.stride[1]);
        c.k_head = u32(k.stride[2]);
        c.v_token = u32(v.stride[1]);
        c.v_head = u32(v.stride[2]);
        c.causal = u32(n.view.i64(RLX_ATTR_causal));
        c.keys = u32(k.dim[1]);
        c.q_batch = u32(q.stride[0]);
        c.k_batch = u32(k.stride[0]);
        c.v_batch = u32(v.stride[0]);
        slice sm;
        if (const tensor* m = n.input(3)) {
            sm = RLX_TRY(p.at(*m));
            c.m0 = sm.first;
            c.reach = 1;
            std::uint32_t* to[] = {&c.m_batch, &c.m_head, &c.m_query, &c.m_key};
            for (std::uint32_t a = 0; a < m->rank; ++a)
                *to[4 - m->rank + a] = m->dim[a] == 1 ? 0 : u32(m->stride[a]);
        }
        return r.dispatch(
            "attention_dense",
            {attention_size(r), per_invocation(y, attention_size(r))},
            {reads(sq), writes(sy), flags, reads(sk), reads(sv), {}, reads(sm)},
            c,
            {static_cast<std::uint64_t>(y.rows())},
            static_cast<double>(y.count) * c.keys
        );
    }
};

const char* head_size(const tensor& q, const tensor& y) {
    if (q.last() > largest_head || y.last() > largest_head) return "heads of more than 512 numbers";
    return nullptr;
}

} // namespace

status kv_layout::check_bytes(std::uint64_t bytes, std::uint64_t page_bytes, const program& p) {
    const std::uint64_t most = p.g.facts().limits.maxStorageBufferRange;
    if (bytes <= most) return {};
    return fail(
        RLX_UNSUPPORTED,
        "vulkan: the cache of one layer takes {} bytes, {} binds at most {} at once; that is {} "
        "tokens in all sequences: use a shorter one (--max-seq), fewer sequences, a cache in f16, "
        "or --device cpu",
        bytes,
        p.g.facts().name,
        most,
        page_bytes ? most / page_bytes * p.cfg.page_tokens : 0
    );
}

const char* why_KvAppend(const node& n, const program& p) {
    if (n.in[3]->dtype != RLX_I32) return "slots must be i32";
    if (!f32_like(p, n.in[1]) || !f32_like(p, n.in[2])) return "keys and values must be f32";
    return n.in[1]->straight() && n.in[2]->straight() ? nullptr : "heads must be contiguous";
}

const char* why_AttentionState(const node& n, const program&) {
    for (std::size_t i = 2; i < 5; ++i)
        if (n.in[i]->dtype != RLX_I32 || !n.in[i]->straight())
            return "lengths and block table must be i32 with contiguous rows";
    if (n.in[0]->dtype != RLX_F32 || !n.in[0]->straight())
        return "q must be f32 with contiguous heads";
    return head_size(*n.in[0], *n.out[0]);
}

const char* why_RaggedAttention(const node& n, const program& p) {
    for (std::size_t i = 0; i < n.in.size(); ++i) {
        if (!n.in[i]) continue;
        if (i == 3 ? n.in[i]->dtype != RLX_I32 : !f32_like(p, n.in[i]))
            return "operands must be f32";
        if (!n.in[i]->straight()) return "heads must be contiguous";
    }
    if (n.input(4) && !n.input(4)->contiguous) return "the bias must be contiguous";
    return head_size(*n.in[0], *n.out[0]);
}

const char* why_Attention(const node& n, const program& p) {
    for (std::size_t i = 0; i < 3; ++i)
        if (!n.in[i]->straight()) return "heads must be contiguous";
    if (const char* why = all_f32(n, p)) return why;
    return head_size(*n.in[0], *n.out[0]);
}

std::unique_ptr<step> make_KvAppend() {
    return make_step<kv_append_step>();
}

std::unique_ptr<step> make_AttentionState() {
    return make_step<attention_state_step>();
}

std::unique_ptr<step> make_RaggedAttention() {
    return make_step<ragged_step>();
}

std::unique_ptr<step> make_Attention() {
    return make_step<dense_step>();
}

} // namespace rlx::vulkan
