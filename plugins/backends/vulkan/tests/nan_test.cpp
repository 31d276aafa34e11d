// SPDX-License-Identifier: GPL-3.0-only
// NaN and infinities: what has no finite value is never a number that looks right.
#include "twin.hpp"

#include <cmath>
#include <limits>

using namespace rlx;
using namespace rlx::vulkan_test;

namespace {

constexpr float inf = std::numeric_limits<float>::infinity();
const float nan_value = std::numeric_limits<float>::quiet_NaN();

// Finite numbers agree within `limit`, everything else is the same kind of thing.
void same_kinds(const std::vector<float>& mine, const std::vector<float>& theirs) {
    ASSERT_EQ(mine.size(), theirs.size());
    for (std::size_t i = 0; i < mine.size(); ++i) {
        if (std::isnan(theirs[i]))
            EXPECT_TRUE(std::isnan(mine[i])) << "element " << i << " is " << mine[i] << ", not NaN";
        else if (std::isinf(theirs[i]))
            EXPECT_EQ(mine[i], theirs[i]) << "element " << i;
        else
            EXPECT_NEAR(mine[i], theirs[i], 1e-4 + 1e-4 * std::abs(theirs[i])) << "element " << i;
    }
}

void agree(twin& t, const std::vector<rlx_value>& outs) {
    t.run();
    ASSERT_EQ(t.mine_error, "");
    ASSERT_EQ(t.theirs_error, "");
    for (const rlx_value v : outs)
        same_kinds(t.mine().f32(v), t.theirs().f32(v));
}

// Five rows: one NaN, one +inf, nothing but NaN, nothing but -inf, nothing wrong.
std::vector<float> spoilt_rows(std::size_t n) {
    std::vector<float> x = numbers(5 * n, 3);
    x[n / 2] = nan_value;
    x[n + 1] = inf;
    std::fill_n(x.begin() + static_cast<std::ptrdiff_t>(2 * n), n, nan_value);
    std::fill_n(x.begin() + static_cast<std::ptrdiff_t>(3 * n), n, -inf);
    return x;
}

TEST_F(vulkan, a_softmax_is_zero_for_rows_of_minus_infinity_alone) {
    for (const dim n : {dim{7}, dim{300}}) {
        twin t;
        const auto row = static_cast<std::size_t>(n);
        const rlx_value x = t.fed({5, n}, spoilt_rows(row));
        const rlx_value y = t.n.add(RLX_OP_Softmax, {x}, {{RLX_ATTR_axis, 1}});
        t.out(y, 5 * row);
        t.run();
        ASSERT_EQ(t.mine_error, "");
        const std::vector<float> got = t.mine().f32(y);
        for (std::size_t i = 0; i < got.size(); ++i) {
            if (i / row < 3)
                EXPECT_TRUE(std::isnan(got[i])) << i;
            else if (i / row == 3)
                EXPECT_EQ(got[i], 0) << i;
            else
                EXPECT_GT(got[i], 0) << i;
        }
    }
}

TEST_F(vulkan, shares_of_a_spoilt_row_are_no_numbers) {
    for (const int normalise : {0, 1}) {
        twin t;
        const rlx_value x = t.fed({5, 9}, spoilt_rows(9));
        const auto out = t.n.add_all(
            RLX_OP_MoeRoute, {x}, {{RLX_ATTR_k, 2}, {RLX_ATTR_normalise, normalise}}, 2
        );
        t.out(out[0], 10);
        t.run();
        ASSERT_EQ(t.mine_error, "");
        const std::vector<float> got = t.mine().f32(out[0]);
        for (std::size_t i = 0; i < got.size(); ++i)
            EXPECT_EQ(std::isnan(got[i]), i < 6) << i << " is " << got[i];
    }
}

TEST_F(vulkan, unary_functions_keep_nan_and_infinities) {
    for (int kind = RLX_UNARY_NEG; kind <= RLX_UNARY_RELU; ++kind) {
        SCOPED_TRACE(kind);
        twin t;
        const rlx_value x = t.fed({7}, {nan_value, 1, inf, -inf, -nan_value, 0, 100});
        const rlx_value y = t.n.add(RLX_OP_Unary, {x}, {{RLX_ATTR_kind, kind}});
        t.out(y, 7);
        agree(t, {y});
    }
}

TEST_F(vulkan, pairs_keep_nan_and_infinities) {
    for (int kind = RLX_BINARY_ADD; kind <= RLX_BINARY_POW; ++kind) {
        if (kind == RLX_BINARY_MAX || kind == RLX_BINARY_MIN) continue; // may do as they like
        SCOPED_TRACE(kind);
        twin t;
        const rlx_value a = t.fed({6}, {nan_value, 1, inf, -inf, nan_value, 2});
        const rlx_value b = t.fed({6}, {1, nan_value, 2, 3, nan_value, inf});
        const rlx_value y = t.n.add(RLX_OP_Binary, {a, b}, {{RLX_ATTR_kind, kind}});
        t.out(y, 6);
        agree(t, {y});
    }
    for (int kind = RLX_GLU_SWIGLU; kind <= RLX_GLU_SIGMOID; ++kind) {
        SCOPED_TRACE(kind);
        twin t;
        const rlx_value a = t.fed({5}, {nan_value, 1, inf, nan_value, 2});
        const rlx_value b = t.fed({5}, {1, nan_value, 2, nan_value, inf});
        const rlx_value y = t.n.add(RLX_OP_Glu, {a, b}, {{RLX_ATTR_kind, kind}});
        t.out(y, 5);
        agree(t, {y});
    }
}

TEST_F(vulkan, rows_with_nan_or_infinity_are_no_numbers) {
    for (const dim n : {dim{7}, dim{300}}) {
        SCOPED_TRACE(n);
        twin t;
        const auto count = static_cast<std::size_t>(5 * n);
        const rlx_value x = t.fed({5, n}, spoilt_rows(static_cast<std::size_t>(n)));
        std::vector<rlx_value> outs;
        outs.push_back(t.n.add(RLX_OP_RmsNorm, {x}, {{RLX_ATTR_eps, 1e-5}}));
        const rlx_value w = t.in({n});
        outs.push_back(t.n.add(RLX_OP_LayerNorm, {x, w}, {{RLX_ATTR_eps, 1e-5}}));
        for (const rlx_value y : outs)
            t.out(y, count);
        for (const int kind : {RLX_REDUCE_SUM, RLX_REDUCE_MEAN, RLX_REDUCE_L2}) {
            outs.push_back(t.n.add(RLX_OP_Reduce, {x}, {{RLX_ATTR_axis, 1}, {RLX_ATTR_kind, kind}})
            );
            t.out(outs.back(), 5);
        }
        agree(t, outs);
    }
}

// Query 0 is NaN, query 1 meets a score of +inf, key 3 is NaN: queries 3 and later see it.
TEST_F(vulkan, attention_passes_on_nan_and_infinite_scores) {
    for (const double softcap : {0.0, 5.0}) {
        SCOPED_TRACE(softcap);
        constexpr dim T = 6, heads = 2, size = 8;
        std::vector<float> q = numbers(T * heads * size, 1), k = numbers(T * size, 2);
        q[3] = nan_value;
        q[heads * size] = inf;
        std::fill_n(k.begin(), 2 * size, 0.5f);
        k[3 * size + 2] = nan_value;
        twin t;
        t.page_tokens = 4;
        const rlx_value vq = t.fed({T, heads, size}, q), vk = t.fed({T, 1, size}, k);
        const rlx_value vv = t.in({T, 1, size}), cu = t.ids({2}, {0, T});
        const std::vector<attr> how{
            {RLX_ATTR_scale, 0.3}, {RLX_ATTR_softcap, softcap}, {RLX_ATTR_causal, 1}};
        std::vector<rlx_value> outs;
        outs.push_back(t.n.add(RLX_OP_RaggedAttention, {vq, vk, vv, cu}, how));
        const rlx_value s = t.state(1, size, size, 2), slots = t.ids({T}, {4, 5, 6, 7, 0, 1});
        const rlx_value after = t.n.add(RLX_OP_KvAppend, {s, vk, vv, slots});
        const rlx_value lengths = t.ids({1}, {T}), table = t.ids({1, 2}, {1, 0});
        outs.push_back(t.n.add(
            RLX_OP_AttentionState,
            {vq, after, cu, lengths, table},
            {{RLX_ATTR_scale, 0.3}, {RLX_ATTR_softcap, softcap}}
        ));
        for (const rlx_value y : outs)
            t.out(y, T * heads * size);
        agree(t, outs);
        for (const rlx_value y : outs) {
            EXPECT_TRUE(std::isnan(t.mine().f32(y)[0]));
            EXPECT_TRUE(std::isnan(t.mine().f32(y)[T * heads * size - 1]));
        }
    }
}

TEST_F(vulkan, dense_attention_is_zero_for_masked_rows_alone) {
    constexpr dim T = 4, size = 8;
    std::vector<float> q = numbers(T * size, 1), mask(T * T, 0);
    q[0] = nan_value;
    std::fill_n(mask.begin() + T, T, -inf);
    mask[2 * T + 1] = nan_value;
    twin t;
    const rlx_value vq = t.fed({1, T, 1, size}, q), vk = t.in({1, T, 1, size});
    const rlx_value vv = t.in({1, T, 1, size}), m = t.fed({T, T}, mask);
    const rlx_value y = t.n.add(RLX_OP_Attention, {vq, vk, vv, m}, {{RLX_ATTR_scale, 0.3}});
    t.out(y, T * size);
    agree(t, {y});
    const std::vector<float> got = t.mine().f32(y);
    EXPECT_TRUE(std::isnan(got[0]));
    EXPECT_EQ(got[size], 0);
    EXPECT_TRUE(std::isnan(got[2 * size]));
    EXPECT_TRUE(std::isfinite(got[3 * size]));
}

} // namespace
