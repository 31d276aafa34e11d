// SPDX-License-Identifier: GPL-3.0-only
// The ops of language models and text encoders against the CPU backend in exact mode.
#include "twin.hpp"

using namespace rlx;
using namespace rlx::vulkan_test;

namespace {

TEST_F(vulkan, rows_are_gathered_from_stored_and_computed_tables) {
    twin t;
    t.weights.f32("f", {40, 33}, numbers(40 * 33, 1));
    t.weights.bf16("h", {40, 33}, numbers(40 * 33, 2));
    t.weights.q8_0("q", {40, 96}, numbers(40 * 96, 3));
    const rlx_value ids = t.ids({2, 3}, {0, 39, 31, 32, 7, 0});
    t.limit = 1e-6;
    t.out(t.n.add(RLX_OP_GatherRows, {t.n.weight("f", {40, 33}), ids}), 6 * 33);
    t.out(t.n.add(RLX_OP_GatherRows, {t.n.weight("h", {40, 33}), ids}), 6 * 33);
    t.out(t.n.add(RLX_OP_GatherRows, {t.n.weight("q", {40, 96}), ids}), 6 * 96);
    t.out(t.n.add(RLX_OP_GatherRows, {t.in({40, 5}), ids}), 30);
    t.same();
}

// 300 rows of 1 KiB lie in groups of 32 KiB: five parts, and experts that begin inside of one.
TEST_F(vulkan, weights_larger_than_a_binding_are_split) {
    twin t;
    t.max_binding = 81920;
    t.weights.f32("w", {300, 256}, numbers(300 * 256, 1));
    t.weights.f32("e", {3, 100, 256}, numbers(300 * 256, 2));
    t.weights.f32("b", {300}, numbers(300, 3));
    const rlx_value w = t.n.weight("w", {300, 256}), x = t.in({9, 256});
    t.out(t.n.add(RLX_OP_MatMul, {x, w, t.n.weight("b", {300})}), 9 * 300);
    t.out(t.n.add(RLX_OP_GatherRows, {w, t.ids({4}, {299, 0, 64, 63})}), 4 * 256);
    const rlx_value ids = t.ids({9, 2}, {0, 1, 2, 0, 1, 2, 0, 0, 1, 1, 2, 2, 0, 2, 1, 0, 2, 1});
    t.out(t.n.add(RLX_OP_GroupedMatMul, {x, t.n.weight("e", {3, 100, 256}), ids}), 9 * 2 * 100);
    t.same();
}

TEST_F(vulkan, an_id_outside_the_table_is_an_error_that_names_it) {
    twin t;
    t.weights.f32("f", {40, 33}, numbers(40 * 33, 1));
    const rlx_value ids = t.ids({3}, {0, 40, 1});
    t.out(t.n.add(RLX_OP_GatherRows, {t.n.weight("f", {40, 33}), ids}), 99);
    t.run();
    EXPECT_NE(t.mine_error.find("index 40 is not below 40"), std::string::npos) << t.mine_error;
    t.data(ids, std::vector<std::int32_t>{0, 39, 1});
    t.same(); // the program still works
}

TEST_F(vulkan, rotations_are_exact_at_far_positions) {
    for (const int scaling : {RLX_ROPE_NONE, RLX_ROPE_LINEAR, RLX_ROPE_LLAMA3, RLX_ROPE_YARN}) {
        SCOPED_TRACE(scaling);
        for (const int pairing : {0, 1}) {
            twin t;
            t.limit = 2e-6;
            const rlx_value positions = t.ids({6}, {0, 1, 1000, 32767, 131071, 1000003});
            std::vector<attr> how{
                {RLX_ATTR_dim, 48}, {RLX_ATTR_base, 10000.0}, {RLX_ATTR_scaling, scaling}};
            if (scaling != RLX_ROPE_NONE) how.emplace_back(RLX_ATTR_factor, 8.0);
            if (scaling >= RLX_ROPE_LLAMA3) how.emplace_back(RLX_ATTR_original_max, 4096);
            if (scaling == RLX_ROPE_LLAMA3) {
                how.emplace_back(RLX_ATTR_low_freq_factor, 1.0);
                how.emplace_back(RLX_ATTR_high_freq_factor, 4.0);
            }
            const rlx_value table = t.n.add(RLX_OP_RopeTable, {positions}, how);
            t.out(
                t.n.add(RLX_OP_Rope, {t.in({6, 3, 64}), table}, {{RLX_ATTR_pairing, pairing}}),
                6 * 3 * 64
            );
            t.out(table, 6 * 48);
            t.same();
        }
    }
}

TEST_F(vulkan, rotations_follow_the_length_of_their_sequence) {
    twin t;
    t.limit = 2e-6;
    const rlx_value positions = t.ids({5}, {0, 17, 4095, 9000, 131071});
    const rlx_value lengths = t.ids({5}, {18, 18, 4096, 9001, 131072});
    const rlx_value divisors = t.in({24}, 0.5f, 2);
    for (const rlx_value d : {rlx_value{0}, divisors})
        t.out(
            t.n.add(
                RLX_OP_RopeTable,
                {positions, d, lengths},
                {{RLX_ATTR_dim, 48},
                 {RLX_ATTR_base, 10000.0},
                 {RLX_ATTR_scaling, +RLX_ROPE_DYNAMIC},
                 {RLX_ATTR_factor, 2.5},
                 {RLX_ATTR_original_max, 4096}}
            ),
            5 * 48
        );
    t.same();
}

// Two sequences of different lengths in pages out of order; a second run appends one token to each.
void cached_attention(const std::string& kv, dim window, double softcap) {
    SCOPED_TRACE(kv);
    constexpr dim heads = 6, kv_heads = 2, k = 34, v = 66;
    twin t;
    t.kv = kv;
    t.page_tokens = 4;
    t.limit = kv == "f16" ? 3e-3 : 2e-5;
    const dim T = t.n.sym("T", 40);
    const rlx_value q = t.fed({T, heads, k}, {}), keys = t.fed({T, kv_heads, k}, {});
    const rlx_value values = t.fed({T, kv_heads, v}, {}), slots = t.ids({T}, {});
    const rlx_value cu = t.ids({3}, {0, 5, 18}), lengths = t.ids({2}, {5, 13});
    const rlx_value table = t.ids({2, 4}, {6, 2, -1, -1, 0, 7, 1, 3});
    const rlx_value s = t.state(kv_heads, k, v, 8);
    const rlx_value after = t.n.add(RLX_OP_KvAppend, {s, keys, values, slots});
    const rlx_value y = t.n.add(
        RLX_OP_AttentionState,
        {q, after, cu, lengths, table},
        {{RLX_ATTR_scale, 0.17}, {RLX_ATTR_window, window}, {RLX_ATTR_softcap, softcap}}
    );
    t.out(y, 0);
    const auto feed = [&](dim tokens, std::vector<std::int32_t> where) {
        const auto n = static_cast<std::size_t>(tokens);
        t.extents = {{"T", tokens}};
        t.data(q, numbers(n * heads * k, static_cast<std::uint32_t>(tokens), -3, 3));
        t.data(keys, numbers(n * kv_heads * k, 77, -3, 3));
        t.data(values, numbers(n * kv_heads * v, 78));
        t.data(slots, std::move(where));
        t.resize(y, n * heads * v);
    };
    feed(18, {24, 25, 26, 27, 8, 0, 1, 2, 3, 28, 29, 30, 31, 4, 5, 6, 7, 12});
    t.same();
    t.data(cu, std::vector<std::int32_t>{0, 1, 2});
    t.data(lengths, std::vector<std::int32_t>{6, 14});
    feed(2, {9, 13});
    t.same();
}

TEST_F(vulkan, attention_over_pages_agrees_with_the_cpu) {
    cached_attention("f32", 0, 0);
    cached_attention("f32", 3, 20);
    cached_attention("f16", 0, 0);
}

TEST_F(vulkan, a_page_outside_the_state_is_an_error) {
    twin t;
    t.page_tokens = 4;
    const rlx_value q = t.in({1, 2, 8}), k = t.in({1, 2, 8}), v = t.in({1, 2, 8});
    const rlx_value slots = t.ids({1}, {8}), cu = t.ids({2}, {0, 1}), lengths = t.ids({1}, {1});
    const rlx_value table = t.ids({1, 1}, {0}), s = t.state(2, 8, 8, 2);
    const rlx_value after = t.n.add(RLX_OP_KvAppend, {s, k, v, slots});
    t.out(
        t.n.add(RLX_OP_AttentionState, {q, after, cu, lengths, table}, {{RLX_ATTR_scale, 1.0}}), 16
    );
    t.run();
    EXPECT_NE(t.mine_error.find("cache position 8 is not below 8"), std::string::npos)
        << t.mine_error;
    t.data(slots, std::vector<std::int32_t>{0});
    t.data(table, std::vector<std::int32_t>{2});
    t.run();
    EXPECT_NE(t.mine_error.find("table entry"), std::string::npos) << t.mine_error;
}

TEST_F(vulkan, a_cache_larger_than_a_binding_is_refused_with_the_length_that_fits) {
    twin t;
    t.page_tokens = 4;
    t.max_binding = 81920;
    const rlx_value k = t.in({1, 2, 8}), v = t.in({1, 2, 8}), q = t.in({1, 2, 8});
    const rlx_value slots = t.ids({1}, {8}), cu = t.ids({2}, {0, 1}), lengths = t.ids({1}, {1});
    const rlx_value table = t.ids({1, 1}, {2}), s = t.state(2, 8, 8, 200); // of 512 bytes
    const rlx_value after = t.n.add(RLX_OP_KvAppend, {s, k, v, slots});
    t.out(
        t.n.add(RLX_OP_AttentionState, {q, after, cu, lengths, table}, {{RLX_ATTR_scale, 1.0}}), 16
    );
    t.run();
    for (const char* part : {"102400 bytes", "at most 81920", "640 tokens", "--max-seq"})
        EXPECT_NE(t.mine_error.find(part), std::string::npos) << t.mine_error;
}

TEST_F(vulkan, ragged_attention_stays_inside_its_sequences) {
    for (const dim causal : {0, 1}) {
        SCOPED_TRACE(causal);
        twin t;
        const rlx_value q = t.in({150, 4, 32}), k = t.in({150, 2, 32}), v = t.in({150, 2, 32});
        const rlx_value cu = t.ids({5}, {0, 1, 1, 100, 150}), bias = t.in({4, 9});
        t.out(
            t.n.add(
                RLX_OP_RaggedAttention,
                {q, k, v, cu},
                {{RLX_ATTR_scale, 0.2}, {RLX_ATTR_causal, causal}}
            ),
            150 * 4 * 32
        );
        t.out(
            t.n.add(
                RLX_OP_RaggedAttention,
                {q, k, v, cu, bias},
                {{RLX_ATTR_scale, 0.2}, {RLX_ATTR_causal, causal}}
            ),
            150 * 4 * 32
        );
        t.same();
    }
}

TEST_F(vulkan, attention_takes_masks_that_broadcast) {
    twin t;
    const rlx_value q = t.in({2, 7, 4, 24}), k = t.in({2, 70, 2, 24}), v = t.in({2, 70, 2, 40});
    const rlx_value mask = t.in({2, 1, 7, 70}, -4, 0);
    t.out(t.n.add(RLX_OP_Attention, {q, k, v, mask}, {{RLX_ATTR_scale, 0.2}}), 2 * 7 * 4 * 40);
    t.out(
        t.n.add(
            RLX_OP_Attention,
            {q, k, v},
            {{RLX_ATTR_scale, 0.2}, {RLX_ATTR_causal, 1}, {RLX_ATTR_window, 5}}
        ),
        2 * 7 * 4 * 40
    );
    t.same();
}

} // namespace
