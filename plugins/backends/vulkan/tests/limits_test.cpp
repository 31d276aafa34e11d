// SPDX-License-Identifier: GPL-3.0-only
// What is decided before anything is loaded, what a program remembers of its bindings, and the
// small files it keeps.
#include "ops/ops.hpp"
#include "transfer.hpp"
#include "twin.hpp"
#include "vk/files.hpp"

using namespace rlx;
using namespace rlx::vulkan_test;

namespace {

TEST_F(vulkan, a_product_of_activations_larger_than_a_binding_is_cut_by_rows) {
    twin t;
    t.max_binding = 81920;
    t.weights.f32("w", {40, 256}, numbers(40 * 256, 1));
    const rlx_value x = t.in({300, 256}); // 300 KiB
    t.out(t.n.add(RLX_OP_MatMul, {x, t.n.weight("w", {40, 256})}), 300 * 40);
    t.same();
}

TEST_F(vulkan, a_tensor_too_large_to_number_is_refused_alone) {
    memory_weights w;
    net n(&w);
    const dim a = n.sym("A", 1 << 20), b = n.sym("B", 1 << 20);
    const rlx_value x = n.in("x", RLX_F32, {a, 1}), y = n.in("y", RLX_F32, {1, b});
    const rlx_value small = n.add(RLX_OP_Unary, {x}, {{RLX_ATTR_kind, RLX_UNARY_NEG}});
    const rlx_value large = n.add(RLX_OP_Binary, {small, y}, {{RLX_ATTR_kind, RLX_BINARY_ADD}});
    n.output("z", large);
    setup s;
    s.api = &vulkan_backend();
    session run(n, s);
    // The node is named, not the whole graph refused.
    EXPECT_NE(run.error.find("no kernel for Binary"), std::string::npos) << run.error;
    EXPECT_NE(run.error.find("2^31 elements"), std::string::npos) << run.error;
}

TEST_F(vulkan, a_cache_that_will_not_fit_is_an_error_before_loading) {
    memory_weights w;
    net n(&w);
    const dim P = n.sym("P", 4), one = 1;
    const rlx_value k = n.in("k", RLX_F32, {one, 2, 8}), v = n.in("v", RLX_F32, {one, 2, 8});
    const rlx_value q = n.in("q", RLX_F32, {one, 2, 8}), slots = n.in("slots", RLX_I32, {one});
    const rlx_value cu = n.in("cu", RLX_I32, {2}), lengths = n.in("lengths", RLX_I32, {1});
    const rlx_value table = n.in("table", RLX_I32, {1, P}), s = n.state("kv", 2, 8, 8);
    const rlx_value after = n.add(RLX_OP_KvAppend, {s, k, v, slots});
    n.output(
        "y", n.add(RLX_OP_AttentionState, {q, after, cu, lengths, table}, {{RLX_ATTR_scale, 1.0}})
    );
    setup how;
    how.api = &vulkan_backend();
    how.page_tokens = 4; // pages of 512 bytes
    how.kv = "f32";
    how.max_binding = 1024;
    session run(n, how);
    for (const char* part : {"2048 bytes", "at most 1024", "8 tokens", "--max-seq"})
        EXPECT_NE(run.error.find(part), std::string::npos) << run.error;
}

TEST_F(vulkan, the_plan_counts_staging_memory_at_the_upper_bounds) {
    memory_weights w;
    net n(&w);
    const rlx_value x = n.in("x", RLX_F32, {n.sym("N", 1000), 64});
    n.output("y", n.add(RLX_OP_Unary, {x}, {{RLX_ATTR_kind, RLX_UNARY_NEG}}));
    setup s;
    s.api = &vulkan_backend();
    session run(n, s);
    ASSERT_EQ(run.error, "");
    // In and out, on the host and on the device.
    EXPECT_GE(run.measured.weights, 4u * 256000u);
    EXPECT_LE(run.measured.weights, 4u * 256000u + 4096u);
}

TEST_F(vulkan, a_divisor_that_repeats_is_read_where_it_is) {
    for (const int scaling : {+RLX_ROPE_NONE, +RLX_ROPE_LINEAR}) {
        twin t;
        t.limit = 2e-6;
        const rlx_value positions = t.ids({3}, {0, 17, 4095}), one = t.fed({2}, {3.5f, 100.0f});
        const rlx_value first = t.n.add(
            RLX_OP_Slice, {one}, {{RLX_ATTR_axis, 0}, {RLX_ATTR_start, 0}, {RLX_ATTR_stop, 1}}
        );
        const rlx_value divisors =
            t.n.add(RLX_OP_Broadcast, {first}, {{RLX_ATTR_dims, std::vector<dim>{24}}});
        t.out(
            t.n.add(
                RLX_OP_RopeTable,
                {positions, divisors},
                {{RLX_ATTR_dim, 48},
                 {RLX_ATTR_base, 10000.0},
                 {RLX_ATTR_scaling, scaling},
                 {RLX_ATTR_factor, 2.0}}
            ),
            3 * 48
        );
        t.same();
    }
}

// The same buffer with fewer bytes, and a new buffer where a freed one was: neither may run what
// was recorded for the old one.
TEST_F(vulkan, commands_are_recorded_anew_for_other_bytes_and_other_buffers) {
    twin t;
    t.page_tokens = 4;
    const rlx_value k = t.in({1, 2, 8}), v = t.in({1, 2, 8}), q = t.in({1, 2, 8});
    const rlx_value slots = t.ids({1}, {12}), cu = t.ids({2}, {0, 1}), lengths = t.ids({1}, {1});
    const rlx_value table = t.ids({1, 1}, {3}), s = t.state(2, 8, 8, 4);
    const rlx_value after = t.n.add(RLX_OP_KvAppend, {s, k, v, slots});
    t.out(
        t.n.add(RLX_OP_AttentionState, {q, after, cu, lengths, table}, {{RLX_ATTR_scale, 1.0}}), 16
    );
    t.same();
    t.mine().bind_pages(s, 2);
    t.run();
    EXPECT_NE(t.mine_error.find("is not below 8"), std::string::npos) << t.mine_error;
    t.mine().bind_pages(s, 4);
    t.same();
    for (int i = 0; i < 4; ++i) {
        t.mine().free_pages(s);
        t.mine().pages(s, 4);
        t.same();
    }
}

TEST_F(vulkan, every_block_of_memory_has_a_number_of_its_own) {
    auto g = rlx::vulkan::gpu::open(0, rlx::vulkan::validation::none);
    ASSERT_TRUE(g.ok());
    const auto block = [&] {
        return std::move(
            rlx::vulkan::memory_block::make(**g, 64, rlx::vulkan::placement::device).value()
        );
    };
    auto a = block();
    const std::uint64_t first = a->serial();
    a.reset();
    EXPECT_NE(block()->serial(), first);

    rlx::vulkan::transfers moves(**g);
    const auto target = block();
    char data[64] = "staging memory is made once", back[64] = {};
    const auto both = [&] {
        EXPECT_TRUE(moves.upload(target->handle(), 0, data, sizeof data).ok());
        EXPECT_TRUE(moves.download(target->handle(), 0, back, sizeof back).ok());
    };
    both();
    EXPECT_STREQ(back, data);
    const std::uint64_t before = block()->serial();
    both();
    EXPECT_EQ(block()->serial(), before + 1);
}

TEST(vulkan_files, a_sealed_file_is_believed_whole_or_not_at_all) {
    using rlx::vulkan::seal;
    using rlx::vulkan::unseal;
    const std::string data("a\0b\n c", 6), file = seal(data);
    EXPECT_EQ(unseal(file), data);
    for (std::size_t i = 0; i < file.size(); ++i) {
        std::string bad = file;
        bad[i] = static_cast<char>(bad[i] ^ 1);
        EXPECT_EQ(unseal(bad), "") << i;
    }
    EXPECT_EQ(unseal(file.substr(0, file.size() - 1)), "");
    EXPECT_EQ(unseal(""), "");
}

TEST(vulkan_files, the_hash_of_shaders_follows_every_word_and_name) {
    const auto all = rlx::vulkan::all_shaders();
    const std::uint64_t now = rlx::vulkan::shader_hash(all);
    EXPECT_EQ(now, rlx::vulkan::shader_hash(all));
    std::vector<std::uint32_t> words(all[0].words, all[0].words + all[0].count);
    std::vector<rlx::vulkan::shader_code> copy(all.begin(), all.end());
    copy[0].words = words.data();
    EXPECT_EQ(now, rlx::vulkan::shader_hash(copy));
    words.back() ^= 1;
    EXPECT_NE(now, rlx::vulkan::shader_hash(copy));
    words.back() ^= 1;
    copy[0].name = "other";
    EXPECT_NE(now, rlx::vulkan::shader_hash(copy));
}

} // namespace
