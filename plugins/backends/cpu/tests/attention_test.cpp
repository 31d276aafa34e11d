// SPDX-License-Identifier: GPL-3.0-only
// KvAppend and AttentionState through the executor against the plain double sum: ragged batches
// over scattered pages of many sizes, grouped heads, windows, softcap, f16 pages, long contexts
// that are split between threads.
#include "net.hpp"

#include <algorithm>

using namespace rlx;
using namespace rlx::cpu_test;

namespace {

struct config {
    dim heads = 6, kv_heads = 2, k_dim = 16, v_dim = 16, page = 16;
    bool f16 = false;
    dim window = 0;
    double softcap = 0;
    dim max_pages = 80;
};

struct sequence {
    std::vector<float> k, v; // [tokens][kv_heads][dim], all of them from the start
    dim fed = 0;
};

class attention : public tier_test {};

// One layer of attention with its cache; feed() returns the worst error of a batch.
class layer {
public:
    layer(const config& config, const char* tier) : c(config) {
        const dim T = n.sym("T", 1024, 1), B = n.sym("B", 4, 1), P = n.sym("P", c.max_pages, 1);
        dim B1 = 0;
        if (rlx_error* e = n.api->dim_op(n.g->handle(), RLX_DIM_ADD, B, 1, &B1))
            ADD_FAILURE() << from_wall(e).message;
        q = n.in("q", RLX_F32, {T, c.heads, c.k_dim});
        k = n.in("k", RLX_F32, {T, c.kv_heads, c.k_dim});
        v = n.in("v", RLX_F32, {T, c.kv_heads, c.v_dim});
        slots = n.in("slots", RLX_I32, {T});
        cu = n.in("cu", RLX_I32, {B1});
        kv = n.in("kv", RLX_I32, {B});
        table = n.in("table", RLX_I32, {B, P});
        state = n.state("cache", c.kv_heads, c.k_dim, c.v_dim);
        const rlx_value cache = n.add(RLX_OP_KvAppend, {state, k, v, slots});
        out = n.output(
            "o",
            n.add(
                RLX_OP_AttentionState,
                {q, cache, cu, kv, table},
                {{RLX_ATTR_scale, 0.3}, {RLX_ATTR_window, c.window}, {RLX_ATTR_softcap, c.softcap}}
            )
        );
        x = std::make_unique<session>(
            n, setup{tier, true, "f32", c.f16 ? "f16" : "f32", static_cast<std::uint32_t>(c.page)}
        );
        EXPECT_EQ(x->error, "");
        x->pages(state, static_cast<std::uint64_t>(4 * c.max_pages));
        for (std::uint32_t s = 0; s < 4; ++s) {
            const auto tokens = static_cast<std::size_t>(c.max_pages * c.page);
            sequences.push_back(
                {numbers(tokens * static_cast<std::size_t>(c.kv_heads * c.k_dim), 100 + s, -2, 2),
                 numbers(tokens * static_cast<std::size_t>(c.kv_heads * c.v_dim), 200 + s, -2, 2)}
            );
        }
    }

    dim page_of(dim s, dim i) const { return i * 4 + (s + 3 * i) % 4; }

    // batch: (sequence, new tokens). Returns the output rows.
    std::vector<float>
    feed(const std::vector<std::pair<dim, dim>>& batch, std::vector<double>* want = nullptr) {
        std::vector<float> dq, dk, dv;
        std::vector<std::int32_t> ds, dcu{0}, dkv, dt;
        dim T = 0, P = 1;
        for (const auto& [s, count] : batch)
            P = std::max(
                P, (sequences[static_cast<std::size_t>(s)].fed + count + c.page - 1) / c.page
            );
        for (const auto& [s, count] : batch) {
            sequence& seq = sequences[static_cast<std::size_t>(s)];
            for (dim i = 0; i < count; ++i) {
                const dim at = seq.fed + i;
                append(dk, seq.k, at, c.kv_heads * c.k_dim);
                append(dv, seq.v, at, c.kv_heads * c.v_dim);
                const auto row = numbers(
                    static_cast<std::size_t>(c.heads * c.k_dim),
                    static_cast<std::uint32_t>(1000 * s + at),
                    -1,
                    1
                );
                dq.insert(dq.end(), row.begin(), row.end());
                ds.push_back(
                    static_cast<std::int32_t>(page_of(s, at / c.page) * c.page + at % c.page)
                );
                if (want) oracle(seq, row, at, *want);
            }
            seq.fed += count;
            T += count;
            dcu.push_back(static_cast<std::int32_t>(T));
            dkv.push_back(static_cast<std::int32_t>(seq.fed));
            for (dim i = 0; i < P; ++i)
                dt.push_back(static_cast<std::int32_t>(page_of(s, i)));
        }
        x->set(q, dq).set(k, dk).set(v, dv).set(slots, ds).set(cu, dcu).set(kv, dkv).set(table, dt);
        const std::string e = x->run(
            {{"T", T}, {"B", static_cast<dim>(batch.size())}, {"P", P}},
            {{out, static_cast<std::size_t>(T * c.heads * c.v_dim)}}
        );
        EXPECT_EQ(e, "");
        return x->f32(out);
    }

    double error(const std::vector<std::pair<dim, dim>>& batch) {
        std::vector<double> want;
        const auto got = feed(batch, &want);
        return distance(got, {want.begin(), want.end()});
    }

    config c;
    net n;
    rlx_value q, k, v, slots, cu, kv, table, state, out;
    std::vector<sequence> sequences;
    std::unique_ptr<session> x;

private:
    static void append(std::vector<float>& to, const std::vector<float>& from, dim row, dim width) {
        to.insert(to.end(), from.begin() + row * width, from.begin() + (row + 1) * width);
    }

    float stored(float f) const { return c.f16 ? static_cast<float>(static_cast<_Float16>(f)) : f; }

    // Attention of one token at position `at` over its sequence.
    void oracle(
        const sequence& seq, const std::vector<float>& row, dim at, std::vector<double>& want
    ) const {
        const dim lo = c.window > 0 ? std::max<dim>(0, at - c.window + 1) : 0;
        for (dim h = 0; h < c.heads; ++h) {
            const dim g = h / (c.heads / c.kv_heads);
            std::vector<double> p;
            double top = -INFINITY, sum = 0;
            for (dim j = lo; j <= at; ++j) {
                double s = 0;
                for (dim d = 0; d < c.k_dim; ++d) {
                    s +=
                        static_cast<double>(row[static_cast<std::size_t>(h * c.k_dim + d)]) *
                        stored(seq.k[static_cast<std::size_t>((j * c.kv_heads + g) * c.k_dim + d)]);
                }
                s *= 0.3;
                if (c.softcap > 0) s = c.softcap * std::tanh(s / c.softcap);
                p.push_back(s);
                top = std::max(top, s);
            }
            for (double& s : p)
                sum += s = std::exp(s - top);
            for (dim d = 0; d < c.v_dim; ++d) {
                double o = 0;
                for (dim j = lo; j <= at; ++j) {
                    o +=
                        p[static_cast<std::size_t>(j - lo)] / sum *
                        stored(seq.v[static_cast<std::size_t>((j * c.kv_heads + g) * c.v_dim + d)]);
                }
                want.push_back(o);
            }
        }
    }
};

} // namespace

TEST_P(attention, ragged_batches_over_scattered_pages_agree_with_the_plain_sum) {
    std::vector<config> cases;
    for (dim page : {1, 5, 16, 64, 300})
        cases.push_back({.page = page, .max_pages = 800 / page});
    cases.push_back(
        {.heads = 9,
         .kv_heads = 3,
         .k_dim = 64,
         .v_dim = 64,
         .page = 64,
         .f16 = true,
         .max_pages = 16}
    );
    cases.push_back({.heads = 4, .kv_heads = 4, .k_dim = 24, .v_dim = 40, .page = 20, .window = 9});
    cases.push_back(
        {.heads = 40, .kv_heads = 1, .k_dim = 8, .v_dim = 20, .page = 32, .softcap = 1.5}
    );
    cases.push_back(
        {.heads = 8,
         .kv_heads = 2,
         .k_dim = 33,
         .v_dim = 7,
         .page = 48,
         .f16 = true,
         .window = 300,
         .softcap = 4,
         .max_pages = 20}
    );
    for (const config& c : cases) {
        SCOPED_TRACE(
            testing::Message() << "pages of " << c.page << ", dims " << c.k_dim << "/" << c.v_dim
                               << ", window " << c.window
        );
        layer l(c, GetParam());
        EXPECT_LE(l.error({{2, 37}, {0, 1}, {3, 20}}), 1e-5);
        EXPECT_LE(l.error({{0, 1}, {1, 70}, {2, 1}}), 1e-5);
        EXPECT_LE(l.error({{3, 1}, {2, 1}, {1, 1}, {0, 1}}), 1e-5);
        EXPECT_LE(l.error({{1, 290}}), 1e-5);
        EXPECT_LE(l.error({{1, 1}}), 1e-5) << "one token over several chunks";
        EXPECT_LE(l.error({{3, 2}, {1, 3}}), 1e-5);
    }
}

TEST_P(attention, decoding_a_long_context_gives_the_same_bits_for_any_cut) {
    for (bool f16 : {false, true}) {
        const config c{
            .heads = 6,
            .kv_heads = 2,
            .k_dim = 64,
            .v_dim = 64,
            .page = 64,
            .f16 = f16,
            .max_pages = 16};
        const auto outputs = [&](std::uint32_t threads, bool at_once) {
            (void)set_threads(threads);
            layer l(c, GetParam());
            std::vector<float> got;
            if (at_once) return l.feed({{0, 800}});
            for (dim n : {300, 200, 250, 40, 1, 1, 8}) {
                const auto part = l.feed({{0, n}});
                got.insert(got.end(), part.begin(), part.end());
            }
            return got;
        };
        auto whole = outputs(1, true);
        const auto pieces = outputs(1, false);
        EXPECT_EQ(pieces, whole) << "rows of a tile differ";
        EXPECT_EQ(outputs(2, false), pieces);
        EXPECT_EQ(outputs(7, false), pieces);
    }
}

TEST_P(attention, lengths_and_pages_that_cannot_be_are_errors) {
    layer l({}, GetParam());
    l.feed({{0, 20}});
    const auto run = [&](std::vector<std::int32_t> cu,
                         std::vector<std::int32_t> kv,
                         std::vector<std::int32_t> table,
                         std::int32_t slot) {
        l.x->set(l.q, std::vector<float>(96))
            .set(l.k, std::vector<float>(32))
            .set(l.v, std::vector<float>(32));
        l.x->set(l.slots, std::vector<std::int32_t>{slot})
            .set(l.cu, cu)
            .set(l.kv, kv)
            .set(l.table, table);
        return l.x->run({{"T", 1}, {"B", 1}, {"P", 2}}, {{l.out, 96}});
    };
    EXPECT_EQ(run({0, 1}, {21}, {0, 4}, 20), "");
    EXPECT_NE(
        run({0, 1}, {33}, {0, 4}, 20).find("33 keys in a block table of 32"), std::string::npos
    );
    EXPECT_NE(run({0, 2}, {21}, {0, 4}, 20).find("tokens [0, 2) of 1"), std::string::npos);
    EXPECT_NE(run({0, 1}, {0}, {0, 4}, 20).find("0 keys"), std::string::npos);
    EXPECT_NE(
        run({0, 1}, {21}, {0, 320}, 20).find("page 320 of sequence 0 is outside [0, 320)"),
        std::string::npos
    );
    EXPECT_NE(run({0, 1}, {21}, {0, -1}, 20).find("page -1"), std::string::npos);
    EXPECT_NE(run({0, 1}, {21}, {0, 4}, 320 * 16).find("slot 5120"), std::string::npos);
    EXPECT_EQ(l.x->code, std::uint32_t{RLX_INVALID_ARGUMENT});
}

TEST_P(attention, a_key_in_the_wrong_place_is_noticed) {
    layer l({}, GetParam());
    l.sequences[0].k[5] += 0.5f;
    std::vector<double> want;
    l.feed({{0, 10}});
    l.sequences[0].k[5] -= 0.5f;
    const auto got = l.feed({{0, 10}}, &want);
    EXPECT_GT(distance(got, {want.begin(), want.end()}), 1e-3);
}

INSTANTIATE_TEST_SUITE_P(
    tiers,
    attention,
    testing::Values("baseline", "avx2", "avx512", "avx512_vnni", "amx"),
    [](const auto& p) { return std::string(p.param); }
);
