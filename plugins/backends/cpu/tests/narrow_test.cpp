// SPDX-License-Identifier: GPL-3.0-only
// Attention whose products are bf16 tile products (compute bf16, tier amx, many keys) against the
// same graph in f32.
#include "net.hpp"

#include <cmath>

using namespace rlx;
using namespace rlx::cpu_test;

namespace {

struct shape {
    dim heads, kv_heads, k_dim, v_dim;
    std::int64_t causal;
};

class layer {
public:
    layer(const shape& of, const std::string& compute) : s(of) {
        const dim B = n.sym("B", 2), T = n.sym("T", 700);
        q = n.in("q", RLX_F32, {B, T, s.heads, s.k_dim});
        k = n.in("k", RLX_F32, {B, T, s.kv_heads, s.k_dim});
        v = n.in("v", RLX_F32, {B, T, s.kv_heads, s.v_dim});
        out = n.output(
            "o",
            n.add(RLX_OP_Attention, {q, k, v}, {{RLX_ATTR_scale, 0.3}, {RLX_ATTR_causal, s.causal}})
        );
        x = std::make_unique<session>(n, setup{.tier = "amx", .compute = compute});
    }

    // The last `images` of two; the same numbers for the same tokens every time.
    std::vector<float> run(dim images, dim tokens) {
        const auto part = [&](dim width, unsigned seed) {
            std::mt19937 random(seed);
            std::normal_distribution<float> normal;
            std::vector<float> all(static_cast<std::size_t>(2 * tokens * width));
            for (float& f : all)
                f = normal(random);
            all.erase(all.begin(), all.begin() + (2 - images) * tokens * width);
            return all;
        };
        x->set(q, part(s.heads * s.k_dim, 1)).set(k, part(s.kv_heads * s.k_dim, 2));
        x->set(v, part(s.kv_heads * s.v_dim, 3));
        const auto floats = static_cast<std::size_t>(images * tokens * s.heads * s.v_dim);
        EXPECT_EQ(x->run({{"B", images}, {"T", tokens}}, {{out, floats}}), "");
        return x->f32(out);
    }

    const std::string& error() const { return x->error; }

private:
    shape s;
    net n;
    rlx_value q = 0, k = 0, v = 0, out = 0;
    std::unique_ptr<session> x;
};

TEST(narrow_attention, is_near_f32_in_every_shape_and_the_same_in_every_batch) {
    for (const shape& s : {shape{2, 2, 64, 64, 0}, {6, 2, 20, 12, 0}, {3, 3, 33, 17, 1}}) {
        layer narrow(s, "bf16"), exact(s, "f32");
        if (narrow.error().find("needs") != std::string::npos) GTEST_SKIP() << narrow.error();
        ASSERT_EQ(narrow.error(), "");
        for (const dim tokens : {700, 513, 512}) {
            const auto got = narrow.run(2, tokens), want = exact.run(2, tokens);
            ASSERT_EQ(got.size(), want.size());
            double worst = 0;
            for (std::size_t i = 0; i < got.size(); ++i)
                worst = std::max(worst, std::abs(double{got[i]} - double{want[i]}));
            EXPECT_LT(worst, 0.05) << tokens << " tokens, width " << s.k_dim;
            EXPECT_GT(worst, 1e-4) << "this is f32";
            const auto alone = narrow.run(1, tokens);
            EXPECT_EQ(alone, std::vector<float>(got.end() - alone.size(), got.end()));
        }
    }
}

// The wider form of fewer keys fits the memory that was planned.
TEST(narrow_attention, of_few_keys_is_f32) {
    layer narrow({2, 2, 64, 4, 0}, "bf16"), exact({2, 2, 64, 4, 0}, "f32");
    if (narrow.error().find("needs") != std::string::npos) GTEST_SKIP() << narrow.error();
    EXPECT_NE(narrow.run(2, 600), exact.run(2, 600));
    EXPECT_EQ(narrow.run(2, 511), exact.run(2, 511));
}

} // namespace
