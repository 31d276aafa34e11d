// SPDX-License-Identifier: GPL-3.0-only
// One model, many ways of feeding it: whatever the chunks, batches, rollbacks and forks, a token's
// logits depend on its sequence only.
#include "fixture.hpp"

namespace rlx::test {
namespace {

// Kernels may sum in another order for another number of rows; nothing else may differ.
constexpr double limit = 2e-5;

class feeding : public testing::TestWithParam<std::string> {
protected:
    const fixture f{GetParam()};
    const std::span<const std::int32_t> ids = f.chunkable();
    std::unique_ptr<chain> c;
    std::vector<float> want; // [ids, vocab], fed at once

    void SetUp() override {
        chain_options o;
        o.lm.max_sequences = 4;
        o.lm.max_seq = 256;
        c = must(chain::open(f.hf(), o));
        want = prefill(c->model(), ids);
    }

    std::span<const float> rows(std::size_t first, std::size_t n) const {
        return std::span(want).subspan(first * f.vocab(), n * f.vocab());
    }

    std::vector<float> feed(lm_sequence& s, std::span<const std::int32_t> tokens) {
        const lm_batch_item item{&s, tokens, true};
        const auto got = must(c->model().eval({&item, 1}));
        return {got.begin(), got.end()};
    }
};

TEST_P(feeding, in_chunks_of_any_size_changes_nothing) {
    for (const std::size_t chunk : {1, 2, 3, 5, 8, 15, 16, 17, 31, 32, 33, 47}) {
        EXPECT_LE(distance(prefill(c->model(), ids, chunk), want), limit) << "chunk " << chunk;
    }
}

TEST_P(feeding, in_steps_shorter_than_the_prompt_changes_nothing) {
    chain_options o;
    o.lm.max_batch = 7;
    const auto small = must(chain::open(f.hf(), o));
    EXPECT_LE(distance(prefill(small->model(), ids), want), limit);
    o.lm.max_batch = 64;
    o.lm.max_rows = 5; // fewer logits per step than tokens
    const auto narrow = must(chain::open(f.hf(), o));
    EXPECT_LE(distance(prefill(narrow->model(), ids), want), limit);
}

// Three sequences at different positions, one of them decoding, in every step.
TEST_P(feeding, in_a_ragged_batch_changes_nothing) {
    struct lane {
        std::unique_ptr<lm_sequence> sequence;
        std::size_t fed;
        std::size_t step;
        std::vector<float> got;
    };

    std::vector<lane> lanes;
    for (const std::size_t step : {1, 3, 11}) {
        lanes.push_back({must(c->model().new_sequence()), 0, step, {}});
    }
    while (lanes[1].fed < ids.size()) {
        std::vector<lm_batch_item> items;
        for (lane& l : lanes) {
            const std::size_t n = std::min(l.step, ids.size() - l.fed);
            if (n > 0) items.push_back({l.sequence.get(), ids.subspan(l.fed, n), true});
        }
        std::span<const float> got = must(c->model().eval(items));
        for (lane& l : lanes) {
            const std::size_t n = std::min(l.step, ids.size() - l.fed);
            l.got.insert(l.got.end(), got.begin(), got.begin() + std::ptrdiff_t(n * f.vocab()));
            got = got.subspan(n * f.vocab());
            l.fed += n;
        }
    }
    for (const lane& l : lanes) {
        EXPECT_LE(distance(l.got, rows(0, l.fed)), limit) << "lane of " << l.step;
    }
}

TEST_P(feeding, again_after_a_rollback_changes_nothing) {
    const auto s = must(c->model().new_sequence());
    feed(*s, ids);
    for (const std::size_t keep :
         {ids.size() - 1, std::size_t{16}, std::size_t{5}, std::size_t{0}}) {
        // Other tokens first, so that what is rolled back really was something else.
        std::vector<std::int32_t> other(ids.begin() + std::ptrdiff_t(keep), ids.end());
        std::reverse(other.begin(), other.end());
        must(c->model().rollback(*s, std::int64_t(keep)));
        feed(*s, other);
        must(c->model().rollback(*s, std::int64_t(keep)));
        EXPECT_EQ(s->length(), std::int64_t(keep));
        const std::vector<float> got = feed(*s, ids.subspan(keep));
        EXPECT_LE(distance(got, rows(keep, ids.size() - keep)), limit) << "kept " << keep;
    }
}

TEST_P(feeding, a_fork_sees_its_own_history_only) {
    for (const std::size_t shared : {std::size_t{3}, std::size_t{16}, std::size_t{21}}) {
        const auto first = must(c->model().new_sequence());
        feed(*first, ids.first(shared));
        const auto second = must(c->model().fork(*first));
        const std::vector<std::int32_t> noise(ids.size() - shared, ids[0]);
        feed(*first, noise);
        const std::vector<float> got = feed(*second, ids.subspan(shared));
        EXPECT_LE(distance(got, rows(shared, ids.size() - shared)), limit) << "shared " << shared;
    }
}

INSTANTIATE_TEST_SUITE_P(lm, feeding, testing::ValuesIn(lm_cases()), [](const auto& p) {
    return test_name(p.param);
});

// What rlx does beyond the border (README of llama32): a call rotates its tokens for the length the
// sequence has after the call; cached keys keep theirs. So one call equals transformers, and the
// same tokens in two calls do not equal one call.
TEST(dynamic_rope, beyond_the_border_depends_on_the_call) {
    const fixture f("llama-dynamic");
    const auto c = must(chain::open(f.hf()));
    EXPECT_LE(distance(prefill(c->model(), f.ids), f.logits), 1e-4);
    const std::vector<float> split = prefill(c->model(), f.ids, 40);
    EXPECT_GT(distance(split, f.logits), 1e-2);
    // One call that the runtime cuts into steps is still one call.
    chain_options o;
    o.lm.max_batch = 7;
    const auto small = must(chain::open(f.hf(), o));
    EXPECT_LE(distance(prefill(small->model(), f.ids), f.logits), 1e-4);
}

} // namespace
} // namespace rlx::test
