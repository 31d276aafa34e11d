// SPDX-License-Identifier: GPL-3.0-only
// RaggedAttention through the executor against the plain double sum, sequence by sequence.
#include "net.hpp"

#include <cmath>

using namespace rlx;
using namespace rlx::cpu_test;

namespace {

struct config {
    dim heads = 6, kv_heads = 2, k_dim = 20, v_dim = 12;
    std::int64_t causal = 0, window = 0;
    double softcap = 0;
    dim reach = 0; // > 0: a bias by distance, up to this far
};

class ragged : public tier_test {};

class layer {
public:
    layer(const config& config, const char* tier) : c(config) {
        const dim T = n.sym("T", 700), B = n.sym("B", 8);
        dim bounds = 0;
        if (rlx_error* e = n.api->dim_op(n.g->handle(), RLX_DIM_ADD, B, 1, &bounds))
            ADD_FAILURE() << from_wall(e).message;
        q = n.in("q", RLX_F32, {T, c.heads, c.k_dim});
        k = n.in("k", RLX_F32, {T, c.kv_heads, c.k_dim});
        v = n.in("v", RLX_F32, {T, c.kv_heads, c.v_dim});
        cu = n.in("cu", RLX_I32, {bounds});
        std::vector<rlx_value> in{q, k, v, cu};
        if (c.reach > 0) in.push_back(bias = n.in("bias", RLX_F32, {c.heads, 2 * c.reach + 1}));
        out = n.output(
            "o",
            n.add(
                RLX_OP_RaggedAttention,
                in,
                {{RLX_ATTR_scale, 0.3},
                 {RLX_ATTR_causal, c.causal},
                 {RLX_ATTR_window, c.window},
                 {RLX_ATTR_softcap, c.softcap}}
            )
        );
        x = std::make_unique<session>(n, setup{.tier = tier});
        EXPECT_EQ(x->error, "");
    }

    std::string feed(std::vector<std::int32_t> bounds) {
        const dim tokens = bounds.back();
        std::mt19937 random(static_cast<unsigned>(tokens));
        std::normal_distribution<float> normal;
        const auto fill = [&](std::vector<float>& to, dim count) {
            to.resize(static_cast<std::size_t>(count));
            for (float& f : to)
                f = normal(random);
        };
        fill(qs, tokens * c.heads * c.k_dim);
        fill(ks, tokens * c.kv_heads * c.k_dim);
        fill(vs, tokens * c.kv_heads * c.v_dim);
        x->set(q, qs).set(k, ks).set(v, vs).set(cu, bounds);
        if (c.reach > 0) {
            fill(bs, c.heads * (2 * c.reach + 1));
            x->set(bias, bs);
        }
        return x->run(
            {{"T", tokens}, {"B", static_cast<dim>(bounds.size()) - 1}},
            {{out, static_cast<std::size_t>(tokens * c.heads * c.v_dim)}}
        );
    }

    // The worst error of the last run.
    double worst(const std::vector<std::int32_t>& bounds) {
        const std::vector<float> got = x->f32(out);
        double worst = 0;
        for (std::size_t s = 0; s + 1 < bounds.size(); ++s)
            for (dim i = bounds[s]; i < bounds[s + 1]; ++i)
                for (dim h = 0; h < c.heads; ++h) {
                    const auto want = row(i, h, bounds[s], bounds[s + 1]);
                    for (dim d = 0; d < c.v_dim; ++d)
                        worst = std::max(
                            worst,
                            std::abs(
                                want[static_cast<std::size_t>(d)] -
                                got[static_cast<std::size_t>((i * c.heads + h) * c.v_dim + d)]
                            )
                        );
                }
        return worst;
    }

private:
    std::vector<double> row(dim i, dim h, dim lo, dim hi) const {
        const dim g = h / (c.heads / c.kv_heads);
        if (c.causal) hi = i + 1;
        if (c.window > 0) lo = std::max(lo, i - c.window + 1);
        std::vector<double> s, sum_of(static_cast<std::size_t>(c.v_dim));
        double top = -INFINITY, sum = 0;
        for (dim j = lo; j < hi; ++j) {
            double dot = 0;
            for (dim d = 0; d < c.k_dim; ++d)
                dot += double{qs[static_cast<std::size_t>((i * c.heads + h) * c.k_dim + d)]} *
                       double{ks[static_cast<std::size_t>((j * c.kv_heads + g) * c.k_dim + d)]};
            dot *= 0.3;
            if (c.softcap > 0) dot = c.softcap * std::tanh(dot / c.softcap);
            if (c.reach > 0)
                dot += double{bs[static_cast<std::size_t>(
                    h * (2 * c.reach + 1) + std::clamp(j - i, -c.reach, c.reach) + c.reach
                )]};
            s.push_back(dot);
            top = std::max(top, dot);
        }
        for (double& p : s)
            sum += p = std::exp(p - top);
        for (dim j = lo; j < hi; ++j)
            for (dim d = 0; d < c.v_dim; ++d)
                sum_of[static_cast<std::size_t>(d)] +=
                    s[static_cast<std::size_t>(j - lo)] / sum *
                    double{vs[static_cast<std::size_t>((j * c.kv_heads + g) * c.v_dim + d)]};
        return sum_of;
    }

    config c;
    net n;
    rlx_value q = 0, k = 0, v = 0, cu = 0, bias = 0, out = 0;
    std::unique_ptr<session> x;
    std::vector<float> qs, ks, vs, bs;
};

TEST_P(ragged, sequences_see_their_own_tokens_only) {
    const config all[] = {
        {},
        {.heads = 4, .kv_heads = 4, .k_dim = 32, .v_dim = 32},
        {.heads = 3, .kv_heads = 1, .causal = 1},
        {.causal = 1, .window = 5, .softcap = 4},
        {.reach = 3},
        {.heads = 2, .kv_heads = 2, .causal = 1, .reach = 40},
    };
    for (const config& c : all) {
        layer l(c, GetParam());
        for (const std::vector<std::int32_t>& bounds :
             {std::vector<std::int32_t>{0, 1},
              {0, 0, 7, 7, 40, 41},
              {0, 17, 33, 48},
              {0, 300, 301, 620},
              {0, 0},
              {0, 511, 512}}) {
            ASSERT_EQ(l.feed(bounds), "");
            EXPECT_LT(l.worst(bounds), 3e-6) << bounds.back() << " tokens";
        }
    }
}

TEST_P(ragged, bounds_that_do_not_hold_the_tokens_are_errors) {
    layer l({}, GetParam());
    for (const std::vector<std::int32_t>& bounds :
         {std::vector<std::int32_t>{0, 9, 5, 12}, {1, 12}, {-1, 12}, {0, 20, 12}}) {
        const std::string e = l.feed(bounds);
        EXPECT_NE(e.find("cu_seqlens goes"), std::string::npos) << e;
    }
    ASSERT_EQ(l.feed({0, 12}), "");
}

INSTANTIATE_TEST_SUITE_P(
    tiers,
    ragged,
    testing::Values("baseline", "avx2", "avx512", "avx512_vnni", "amx"),
    [](const auto& i) { return std::string(i.param); }
);

} // namespace
