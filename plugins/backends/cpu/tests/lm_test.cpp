// SPDX-License-Identifier: GPL-3.0-only
// A small transformer through the whole backend: fused against unfused, prefill against decoding,
// any thread count, ragged batches, errors and cancellation.
#include "net.hpp"
#include "tier.hpp"

#include <array>

using namespace rlx;
using namespace rlx::cpu_test;

namespace {

struct shape {
    dim hidden = 96, heads = 6, kv_heads = 2, head_dim = 32, ffn = 160, vocab = 130, layers = 2;
    bool moe = false, qk_norm = true, bias = false;
    std::uint16_t dtype = RLX_F32;
    double softcap = 0;
    dim window = 0;
};

// The checkpoint and the "lm" graph of a Qwen-like model.
struct model {
    shape s;
    memory_weights w;
    std::unique_ptr<net> n;
    rlx_value tokens, positions, lengths, slots, cu, kv, table, rows, logits;
    std::vector<rlx_value> states;

    explicit model(const shape& sizes, dim max_t = 64, dim max_b = 4, dim max_p = 8) : s(sizes) {
        n = std::make_unique<net>(&w);
        const dim T = n->sym("T", max_t, 1), B = n->sym("B", max_b, 1), P = n->sym("P", max_p, 1),
                  R = n->sym("R", max_t, 0);
        dim B1 = 0;
        if (rlx_error* e = n->api->dim_op(n->g->handle(), RLX_DIM_ADD, B, 1, &B1))
            ADD_FAILURE() << from_wall(e).message;
        tokens = n->in("tokens", RLX_I32, {T});
        positions = n->in("positions", RLX_I32, {T});
        lengths = n->in("lengths", RLX_I32, {T});
        slots = n->in("slots", RLX_I32, {T});
        cu = n->in("cu_seqlens", RLX_I32, {B1});
        kv = n->in("kv_lengths", RLX_I32, {B});
        table = n->in("block_table", RLX_I32, {B, P});
        rows = n->in("rows", RLX_I32, {R});
        rlx_value x = n->add(RLX_OP_GatherRows, {matrix("embed", s.vocab, s.hidden, 1.0f), tokens});
        const rlx_value rope = n->add(
            RLX_OP_RopeTable, {positions}, {{RLX_ATTR_dim, s.head_dim}, {RLX_ATTR_base, 10000.0}}
        );
        for (dim l = 0; l < s.layers; ++l)
            x = layer("layers." + std::to_string(l) + ".", x, rope, T);
        x = norm("norm", x);
        x = n->add(RLX_OP_GatherRows, {x, rows});
        logits = n->output("logits", n->add(RLX_OP_MatMul, {x, n->weight("embed", {-1, -1})}));
    }

    rlx_value vector(const std::string& name, dim size, float lo, float hi) {
        w.f32(name, {size}, numbers(static_cast<std::size_t>(size), seed_++, lo, hi));
        return n->weight(name, {size});
    }

    rlx_value matrix(const std::string& name, dim out, dim in, float gain) {
        const float r = gain / std::sqrt(static_cast<float>(in)) * 1.7f;
        auto data = numbers(static_cast<std::size_t>(out * in), seed_++, -r, r);
        if (s.dtype == RLX_F32) w.f32(name, {out, in}, data);
        if (s.dtype == RLX_BF16) w.bf16(name, {out, in}, data);
        if (s.dtype == RLX_Q8_0) w.q8_0(name, {out, in}, data);
        return n->weight(name, {out, in});
    }

    rlx_value norm(const std::string& name, rlx_value x, dim size = 0) {
        return n->add(
            RLX_OP_RmsNorm,
            {x, vector(name, size ? size : s.hidden, 0.5f, 1.5f)},
            {{RLX_ATTR_eps, 1e-6}}
        );
    }

    rlx_value linear(const std::string& name, rlx_value x, dim out, dim in) {
        const rlx_value m = matrix(name, out, in, 1);
        if (!s.bias) return n->add(RLX_OP_MatMul, {x, m});
        return n->add(RLX_OP_MatMul, {x, m, vector(name + ".bias", out, -0.3f, 0.3f)});
    }

    rlx_value heads(rlx_value x, dim T, dim count) {
        return n->add(
            RLX_OP_Reshape, {x}, {{RLX_ATTR_dims, std::vector<dim>{T, count, s.head_dim}}}
        );
    }

    rlx_value experts(const std::string& name, rlx_value x, rlx_value ids, dim out, dim in) {
        const float r = 1.7f / std::sqrt(static_cast<float>(in));
        w.f32(name, {4, out, in}, numbers(static_cast<std::size_t>(4 * out * in), seed_++, -r, r));
        return n->add(RLX_OP_GroupedMatMul, {x, n->weight(name, {4, out, in}), ids});
    }

    rlx_value mlp(const std::string& p, rlx_value h) {
        const attr swiglu(RLX_ATTR_kind, RLX_GLU_SWIGLU);
        if (!s.moe) {
            const rlx_value gate = linear(p + "gate", h, s.ffn, s.hidden),
                            up = linear(p + "up", h, s.ffn, s.hidden);
            return linear(p + "down", n->add(RLX_OP_Glu, {gate, up}, {swiglu}), s.hidden, s.ffn);
        }
        rlx_value ids = 0;
        const rlx_value share = n->add(
            RLX_OP_MoeRoute,
            {linear(p + "router", h, 4, s.hidden)},
            {{RLX_ATTR_k, 2}, {RLX_ATTR_normalise, 1}},
            &ids
        );
        const rlx_value gate = experts(p + "gate", h, ids, s.ffn, s.hidden),
                        up = experts(p + "up", h, ids, s.ffn, s.hidden);
        const rlx_value down =
            experts(p + "down", n->add(RLX_OP_Glu, {gate, up}, {swiglu}), ids, s.hidden, s.ffn);
        return n->add(RLX_OP_MoeCombine, {down, share});
    }

    rlx_value layer(const std::string& p, rlx_value x, rlx_value rope, dim T) {
        const rlx_value h = norm(p + "input_norm", x);
        rlx_value q = heads(linear(p + "q", h, s.heads * s.head_dim, s.hidden), T, s.heads);
        rlx_value k = heads(linear(p + "k", h, s.kv_heads * s.head_dim, s.hidden), T, s.kv_heads);
        const rlx_value v =
            heads(linear(p + "v", h, s.kv_heads * s.head_dim, s.hidden), T, s.kv_heads);
        if (s.qk_norm) {
            q = norm(p + "q_norm", q, s.head_dim);
            k = norm(p + "k_norm", k, s.head_dim);
        }
        q = n->add(RLX_OP_Rope, {q, rope}, {{RLX_ATTR_pairing, 0}});
        k = n->add(RLX_OP_Rope, {k, rope}, {{RLX_ATTR_pairing, 0}});
        states.push_back(n->state(p + "kv", s.kv_heads, s.head_dim, s.head_dim));
        const rlx_value cache = n->add(RLX_OP_KvAppend, {states.back(), k, v, slots});
        rlx_value a = n->add(
            RLX_OP_AttentionState,
            {q, cache, cu, kv, table},
            {{RLX_ATTR_scale, 1 / std::sqrt(static_cast<double>(s.head_dim))},
             {RLX_ATTR_window, s.window},
             {RLX_ATTR_softcap, s.softcap}}
        );
        a = n->add(
            RLX_OP_Reshape, {a}, {{RLX_ATTR_dims, std::vector<dim>{T, s.heads * s.head_dim}}}
        );
        const attr sum(RLX_ATTR_kind, RLX_BINARY_ADD);
        x = n->add(RLX_OP_Binary, {x, linear(p + "o", a, s.hidden, s.heads * s.head_dim)}, {sum});
        return n->add(RLX_OP_Binary, {x, mlp(p, norm(p + "post_norm", x))}, {sum});
    }

private:
    std::uint32_t seed_ = 1;
};

// Feeds chunks of several sequences; pages are dealt out round robin so that a sequence's pages are
// scattered.
class runner {
public:
    runner(model& m, const setup& s, dim pages_per_sequence = 8)
        : m_(m), page_(s.page_tokens), per_sequence_(pages_per_sequence), x(*m.n, s) {
        for (rlx_value v : m.states)
            x.pages(v, static_cast<std::uint64_t>(pages_per_sequence * 4));
    }

    struct piece {
        int sequence;
        std::vector<std::int32_t> tokens;
    };

    // Logits of all tokens of the batch, or empty with `error` set.
    std::vector<float> feed_batch(const std::vector<piece>& batch) {
        std::vector<std::int32_t> tokens, positions, lengths, slots, cu{0}, kv, table, rows;
        for (const piece& p : batch) {
            dim& past = length_[static_cast<std::size_t>(p.sequence)];
            const dim total = past + static_cast<dim>(p.tokens.size());
            for (std::int32_t t : p.tokens) {
                const dim at = past++;
                rows.push_back(static_cast<std::int32_t>(tokens.size()));
                tokens.push_back(t);
                positions.push_back(static_cast<std::int32_t>(at));
                lengths.push_back(static_cast<std::int32_t>(total));
                slots.push_back(
                    static_cast<std::int32_t>(page_of(p.sequence, at / page_) * page_ + at % page_)
                );
            }
            cu.push_back(static_cast<std::int32_t>(tokens.size()));
            kv.push_back(static_cast<std::int32_t>(total));
            for (dim i = 0; i < per_sequence_; ++i)
                table.push_back(static_cast<std::int32_t>(page_of(p.sequence, i)));
        }
        const auto t = static_cast<dim>(tokens.size());
        x.set(m_.tokens, tokens)
            .set(m_.positions, positions)
            .set(m_.lengths, lengths)
            .set(m_.slots, slots);
        x.set(m_.cu, cu).set(m_.kv, kv).set(m_.table, table).set(m_.rows, rows);
        error = x.run(
            {{"T", t}, {"B", static_cast<dim>(batch.size())}, {"P", per_sequence_}, {"R", t}},
            {{m_.logits, static_cast<std::size_t>(t * m_.s.vocab)}},
            cancel
        );
        return error.empty() ? x.f32(m_.logits) : std::vector<float>();
    }

    std::vector<float> feed(const std::vector<std::int32_t>& tokens) {
        return feed_batch({{0, tokens}});
    }

    void rewind(int sequence, dim n) { length_[static_cast<std::size_t>(sequence)] = n; }

    dim page_of(int sequence, dim i) const { return i * 4 + (sequence + i) % 4; }

    std::string error;
    const volatile std::uint32_t* cancel = nullptr;

private:
    model& m_;
    dim page_, per_sequence_;
    std::array<dim, 4> length_{};

public:
    session x;
};

std::vector<std::int32_t> some_tokens(std::size_t n, std::int32_t vocab, std::int32_t seed = 5) {
    std::vector<std::int32_t> t(n);
    for (std::size_t i = 0; i < n; ++i)
        t[i] = static_cast<std::int32_t>(
            (i * 37 + static_cast<std::size_t>(seed) * 11) % static_cast<std::size_t>(vocab)
        );
    return t;
}

std::vector<float> slice(const std::vector<float>& v, std::size_t row, std::size_t width) {
    return {
        v.begin() + static_cast<std::ptrdiff_t>(row * width),
        v.begin() + static_cast<std::ptrdiff_t>((row + 1) * width)};
}

class lm : public tier_test {
protected:
    void SetUp() override {
        tier_test::SetUp();
        (void)set_threads(2);
    }

    setup with(
        bool fuse = true,
        const char* compute = "f32",
        const char* kv = "f32",
        std::uint32_t page = 16
    ) const {
        return {GetParam(), fuse, compute, kv, page};
    }

    static std::vector<float>
    logits(const shape& s, const setup& how, const std::vector<std::int32_t>& tokens) {
        model m(s);
        runner r(m, how);
        EXPECT_EQ(r.x.error, "");
        auto out = r.feed(tokens);
        EXPECT_EQ(r.error, "");
        return out;
    }
};

} // namespace

TEST_P(lm, fused_steps_give_what_single_steps_give) {
    for (int variant = 0; variant < 5; ++variant) {
        shape s;
        s.moe = variant == 1;
        s.qk_norm = variant != 2;
        s.bias = variant == 3;
        if (variant == 4) s.dtype = RLX_BF16;
        const auto tokens = some_tokens(23, 130);
        EXPECT_LE(distance(logits(s, with(true), tokens), logits(s, with(false), tokens)), 2e-6)
            << "variant " << variant;
    }
}

TEST_P(lm, fused_steps_give_what_single_steps_give_with_quantised_weights) {
    shape s;
    s.dtype = RLX_Q8_0;
    const auto tokens = some_tokens(19, 130);
    EXPECT_LE(distance(logits(s, with(true), tokens), logits(s, with(false), tokens)), 2e-6);
    const auto exact = logits(s, with(true), tokens);
    EXPECT_LE(distance(logits(s, with(true, "auto", "f16"), tokens), exact), 0.15)
        << "int8 activations stay close";
    EXPECT_EQ(logits(s, with(true, "auto"), tokens), logits(s, with(false, "auto"), tokens))
        << "the same integers either way";
}

TEST_P(lm, decoding_gives_what_prefill_gives) {
    for (const char* kv : {"f32", "f16"}) {
        const auto tokens = some_tokens(41, 130);
        model m{shape{}};
        runner whole(m, with(true, "f32", kv));
        const auto want = whole.feed(tokens);
        ASSERT_EQ(whole.error, "");
        model m2{shape{}};
        runner steps(m2, with(true, "f32", kv));
        auto got = steps.feed({tokens.begin(), tokens.begin() + 30});
        for (std::size_t i = 30; i < tokens.size(); ++i) {
            const auto one = steps.feed({tokens[i]});
            got.insert(got.end(), one.begin(), one.end());
        }
        EXPECT_LE(distance(got, want), 1e-5) << kv;
        // After going back, the same tokens give the same numbers again.
        steps.rewind(0, 30);
        const auto again = steps.feed({tokens.begin() + 30, tokens.end()});
        EXPECT_LE(distance(again, {want.begin() + 30 * 130, want.end()}), 1e-5) << kv;
    }
}

TEST_P(lm, results_do_not_depend_on_the_number_of_threads) {
    for (const char* compute : {"f32", "auto"}) {
        shape s;
        s.dtype = RLX_Q8_0;
        std::vector<float> want;
        for (std::uint32_t threads : {1u, 2u, 3u, 7u}) {
            ASSERT_TRUE(set_threads(threads));
            model m(s);
            runner r(m, with(true, compute, "f16"));
            auto got = r.feed(some_tokens(37, 130));
            for (std::int32_t t : {3, 9, 27}) {
                const auto one = r.feed({t});
                got.insert(got.end(), one.begin(), one.end());
            }
            ASSERT_EQ(r.error, "");
            if (want.empty()) want = got;
            EXPECT_EQ(got, want) << threads << " threads, " << compute;
        }
    }
    (void)set_threads(2);
}

TEST_P(lm, a_team_that_grew_after_compilation_still_works) {
    ASSERT_TRUE(set_threads(2));
    model m{shape{}};
    runner r(m, with());
    const auto want = r.feed(some_tokens(9, 130));
    ASSERT_TRUE(set_threads(5));
    r.rewind(0, 0);
    EXPECT_EQ(r.feed(some_tokens(9, 130)), want);
    EXPECT_EQ(r.error, "");
    ASSERT_TRUE(set_threads(1));
    r.rewind(0, 0);
    EXPECT_EQ(r.feed(some_tokens(9, 130)), want);
    (void)set_threads(2);
}

TEST_P(lm, a_ragged_batch_gives_what_single_sequences_give) {
    for (dim window : {0, 7}) {
        shape s;
        s.window = window;
        s.softcap = window ? 5 : 0;
        const auto a = some_tokens(33, 130, 1), b = some_tokens(18, 130, 2),
                   c = some_tokens(5, 130, 3);
        model m(s, 64, 4, 8);
        runner r(m, with(true, "f32", "f32", 5), 8);
        const auto first =
            r.feed_batch({{2, {a.begin(), a.begin() + 11}}, {0, {b.begin(), b.begin() + 17}}});
        const auto second = r.feed_batch({{0, {b[17]}}, {1, c}, {2, {a.begin() + 11, a.end()}}});
        ASSERT_EQ(r.error, "");
        const auto alone = [&](const std::vector<std::int32_t>& t) { return logits(s, with(), t); };
        const auto la = alone(a), lb = alone(b), lc = alone(c);
        EXPECT_LE(distance(slice(first, 10, 130), slice(la, 10, 130)), 1e-5);
        EXPECT_LE(distance(slice(first, 27, 130), slice(lb, 16, 130)), 1e-5);
        EXPECT_LE(distance(slice(second, 0, 130), slice(lb, 17, 130)), 1e-5);
        EXPECT_LE(distance(slice(second, 5, 130), slice(lc, 4, 130)), 1e-5);
        EXPECT_LE(distance(slice(second, 27, 130), slice(la, 32, 130)), 1e-5);
    }
}

TEST_P(lm, a_decoding_step_waits_only_where_data_is_handed_over) {
    for (bool qk_norm : {false, true}) {
        shape s;
        s.qk_norm = qk_norm;
        s.dtype = RLX_Q8_0;
        model m(s), m2(s);
        runner fused(m, with(true, "auto")), single(m2, with(false, "auto"));
        fused.feed({5});
        single.feed({5});
        // Per layer: q k v | append | attention | o + x | gate up glu | down + x; then norm | row |
        // head.
        EXPECT_LE(fused.x.count("barriers"), 6 * s.layers + 3);
        EXPECT_LE(fused.x.count("steps"), 10 * s.layers + 6);
        EXPECT_LT(fused.x.count("steps"), single.x.count("steps"));
        fused.feed(some_tokens(60, 130));
        EXPECT_LE(fused.x.count("barriers"), 10 * s.layers + 4)
            << "activations are shared out, too";
    }
}

TEST_P(lm, the_plan_counts_every_byte_and_weights_are_released) {
    shape s;
    s.dtype = RLX_Q8_0;
    model m(s);
    runner r(m, with(true, "auto"));
    ASSERT_EQ(r.x.error, "");
    EXPECT_GT(r.x.measured.weights, 0u);
    EXPECT_GE(r.x.measured.mapped, m.w.tensors_by_name["embed"].bytes.size());
    EXPECT_EQ(m.w.tensors_by_name["layers.0.q"].released, 1);
    EXPECT_EQ(r.x.info("tier"), GetParam());
    EXPECT_EQ(r.x.info("compute"), "int8 activations");
    EXPECT_EQ(r.x.info("kv"), "f32");
}

TEST_P(lm, weights_without_a_view_are_read_row_by_row) {
    shape s;
    s.dtype = RLX_BF16;
    model m(s), m2(s);
    for (auto& [name, t] : m2.w.tensors_by_name)
        t.in_place = false;
    runner a(m, with()), b(m2, with());
    EXPECT_EQ(a.feed(some_tokens(9, 130)), b.feed(some_tokens(9, 130)));
    EXPECT_EQ(b.error, "");
}

TEST_P(lm, bad_ids_and_slots_are_errors_with_numbers) {
    model m{shape{}};
    runner r(m, with());
    r.feed({5, 130});
    EXPECT_NE(r.error.find("id 130 at index 1 is outside the table's [0, 130)"), std::string::npos)
        << r.error;
    EXPECT_EQ(r.x.code, std::uint32_t{RLX_INVALID_ARGUMENT});
    r.feed({-1});
    EXPECT_NE(r.error.find("id -1"), std::string::npos) << r.error;
    r.rewind(0, 0);
    EXPECT_EQ(r.feed(some_tokens(4, 130)).size(), 4u * 130) << r.error;
    r.rewind(0, 8 * 16);
    r.feed({1});
    EXPECT_NE(r.error, "") << "a position behind the block table";
}

TEST_P(lm, a_raised_flag_stops_the_run) {
    model m{shape{}};
    runner r(m, with());
    const std::uint32_t raised = 1;
    r.cancel = &raised;
    EXPECT_TRUE(r.feed({1, 2, 3}).empty());
    EXPECT_EQ(r.x.code, std::uint32_t{RLX_CANCELLED});
    r.cancel = nullptr;
    r.rewind(0, 0);
    EXPECT_EQ(r.feed({1, 2, 3}).size(), 3u * 130);
}

TEST_P(lm, broken_weights_are_noticed) {
    model m{shape{}}, m2{shape{}};
    m2.w.tensors_by_name["layers.1.k"].bytes[402] ^= 0x40;
    runner a(m, with()), b(m2, with());
    EXPECT_GT(distance(a.feed(some_tokens(9, 130)), b.feed(some_tokens(9, 130))), 1e-4);
}

INSTANTIATE_TEST_SUITE_P(
    tiers,
    lm,
    testing::Values("baseline", "avx2", "avx512", "avx512_vnni", "amx"),
    [](const auto& p) { return std::string(p.param); }
);
