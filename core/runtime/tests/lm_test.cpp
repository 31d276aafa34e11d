// SPDX-License-Identifier: GPL-3.0-only
#include "fake_lm.hpp"

#include <gtest/gtest.h>

#include <random>

namespace rlx::test {
namespace {

using ids = std::vector<std::int32_t>;

ids some_ids(std::size_t n, int seed = 1) {
    std::mt19937 random(static_cast<unsigned>(seed));
    ids out(n);
    for (std::int32_t& id : out)
        id = static_cast<std::int32_t>(random() % fake_vocab);
    return out;
}

std::span<const std::int32_t> first(const ids& all, std::size_t n) {
    return std::span(all).first(n);
}

std::unique_ptr<lm_model> open_fake(fake_lm& fake, const lm_options& options = {}) {
    auto model = lm_model::open(fake.parts(), options);
    EXPECT_TRUE(model) << (model ? "" : model.error().message);
    return model ? std::move(*model) : nullptr;
}

std::unique_ptr<lm_sequence> sequence(lm_model& model) {
    auto s = model.new_sequence();
    EXPECT_TRUE(s) << (s ? "" : s.error().message);
    return s ? std::move(*s) : nullptr;
}

// Feeds and returns the logits, row after row.
std::vector<float>
feed(lm_model& model, lm_sequence& s, std::span<const std::int32_t> tokens, bool all_rows = false) {
    const lm_batch_item item{&s, tokens, all_rows};
    const auto out = model.eval({&item, 1});
    EXPECT_TRUE(out) << (out ? "" : out.error().message);
    return out ? std::vector<float>(out->begin(), out->end()) : std::vector<float>{};
}

error feed_error(lm_model& model, lm_sequence& s, std::span<const std::int32_t> tokens) {
    const lm_batch_item item{&s, tokens};
    const auto out = model.eval({&item, 1});
    EXPECT_FALSE(out);
    return out ? error{RLX_OK, "no error"} : out.error();
}

bool contains(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

} // namespace

TEST(lm, prefill_gives_the_logits_of_the_formula) {
    fake_lm fake;
    const auto model = open_fake(fake);
    const auto s = sequence(*model);
    const ids all = some_ids(200);
    EXPECT_EQ(feed(*model, *s, all), fake_logits(all));
    EXPECT_EQ(s->length(), 200);
    EXPECT_EQ(fake.steps.size(), 1U);
    EXPECT_EQ(fake.steps[0].pages, 4); // ceil(200 / 64)
}

TEST(lm, prefill_equals_token_by_token) {
    fake_lm fake;
    const auto model = open_fake(fake);
    const auto s = sequence(*model);
    const ids all = some_ids(150);
    for (std::size_t i = 0; i < all.size(); ++i)
        ASSERT_EQ(feed(*model, *s, {&all[i], 1}), fake_logits(first(all, i + 1)))
            << "after token " << i;
}

TEST(lm, any_chunking_gives_the_same_logits) {
    const ids all = some_ids(131);
    for (const std::int64_t batch : {1, 2, 7, 63, 64, 65, 130, 131, 500}) {
        fake_lm fake;
        const auto model = open_fake(fake, {.max_batch = batch});
        const auto s = sequence(*model);
        EXPECT_EQ(feed(*model, *s, all), fake_logits(all)) << "max_batch " << batch;
        EXPECT_EQ(static_cast<std::int64_t>(fake.steps.size()), (131 + batch - 1) / batch);
    }
}

TEST(lm, every_chunk_is_told_the_length_after_the_whole_call) {
    fake_lm fake;
    const auto model = open_fake(fake, {.max_batch = 4});
    const auto s = sequence(*model);
    feed(*model, *s, some_ids(10));
    ASSERT_EQ(fake.steps.size(), 3U);
    for (const fake_step& step : fake.steps)
        for (const std::int32_t length : step.lengths)
            EXPECT_EQ(length, 10);
    EXPECT_EQ(fake.steps[2].positions, (ids{8, 9}));
}

TEST(lm, all_rows_come_in_order_however_few_fit_a_step) {
    const ids all = some_ids(37);
    for (const std::int64_t rows : {1, 3, 36, 37, 64}) {
        fake_lm fake;
        const auto model = open_fake(fake, {.max_batch = 16, .max_rows = rows});
        const auto s = sequence(*model);
        const std::vector<float> got = feed(*model, *s, all, true);
        ASSERT_EQ(got.size(), all.size() * fake_vocab);
        for (std::size_t i = 0; i < all.size(); ++i)
            ASSERT_EQ(
                std::vector<float>(
                    got.begin() + static_cast<std::ptrdiff_t>(i) * fake_vocab,
                    got.begin() + static_cast<std::ptrdiff_t>(i + 1) * fake_vocab
                ),
                fake_logits(first(all, i + 1))
            ) << "row "
              << i << " with max_rows " << rows;
    }
}

TEST(lm, a_ragged_batch_equals_its_sequences_one_by_one) {
    for (const std::int64_t batch : {4, 5, 64, 512})
        for (const std::int64_t rows : {1, 2, 8}) {
            fake_lm fake;
            const auto model =
                open_fake(fake, {.max_batch = batch, .max_sequences = 4, .max_rows = rows});
            std::vector<std::unique_ptr<lm_sequence>> s;
            const std::size_t before[] = {70, 1, 0, 128}, added[] = {3, 60, 10, 1};
            std::vector<ids> history;
            std::vector<lm_batch_item> items;
            std::vector<float> expected;
            for (std::size_t i = 0; i < 4; ++i) {
                history.push_back(some_ids(before[i] + added[i], static_cast<int>(i)));
                s.push_back(sequence(*model));
                if (before[i] > 0) feed(*model, *s[i], first(history[i], before[i]));
                items.push_back({s[i].get(), std::span(history[i]).subspan(before[i]), i == 2});
                for (std::size_t n = i == 2 ? 1 : history[i].size(); n <= history[i].size(); ++n) {
                    const auto row = fake_logits(first(history[i], n));
                    expected.insert(expected.end(), row.begin(), row.end());
                }
            }
            const auto got = model->eval(items);
            ASSERT_TRUE(got) << got.error().message;
            EXPECT_EQ(std::vector<float>(got->begin(), got->end()), expected)
                << batch << " tokens, " << rows << " rows";
        }
}

TEST(lm, a_sequence_can_be_rolled_back_and_replayed) {
    fake_lm fake;
    const auto model = open_fake(fake);
    const auto s = sequence(*model);
    const ids all = some_ids(140), other = some_ids(90, 2);
    feed(*model, *s, all);
    for (const std::int64_t keep : {130, 128, 127, 64, 1, 0}) {
        ASSERT_TRUE(model->rollback(*s, keep));
        EXPECT_EQ(s->length(), keep);
        ids mixed(all.begin(), all.begin() + keep);
        mixed.insert(mixed.end(), other.begin(), other.end());
        EXPECT_EQ(feed(*model, *s, other), fake_logits(mixed)) << "kept " << keep;
        ASSERT_TRUE(model->rollback(*s, keep));
        EXPECT_EQ(
            feed(*model, *s, std::span(all).subspan(static_cast<std::size_t>(keep))),
            fake_logits(all)
        );
    }
    EXPECT_FALSE(model->rollback(*s, 141));
    EXPECT_FALSE(model->rollback(*s, -1));
}

TEST(lm, a_fork_shares_pages_and_copies_only_what_is_written) {
    fake_lm fake;
    const auto model = open_fake(fake, {.max_sequences = 3});
    const auto a = sequence(*model);
    const ids all = some_ids(100), left = some_ids(40, 2), right = some_ids(80, 3);
    feed(*model, *a, all);
    auto b = model->fork(*a);
    ASSERT_TRUE(b);
    EXPECT_EQ((*b)->length(), 100);
    EXPECT_EQ(fake.copies, 0);
    ids with_left = all, with_right = all;
    with_left.insert(with_left.end(), left.begin(), left.end());
    with_right.insert(with_right.end(), right.begin(), right.end());
    EXPECT_EQ(feed(*model, *a, left), fake_logits(with_left));
    EXPECT_EQ(fake.copies, 1); // the page that both would write, in the one state slot
    EXPECT_EQ(feed(*model, **b, right), fake_logits(with_right));
    EXPECT_EQ(fake.copies, 1); // a left it to b alone
}

TEST(lm, a_fork_that_rolls_back_into_a_shared_page_leaves_the_other_alone) {
    fake_lm fake;
    const auto model = open_fake(fake, {.max_sequences = 2});
    const auto a = sequence(*model);
    const ids all = some_ids(128), other = some_ids(30, 2);
    feed(*model, *a, all);
    auto b = model->fork(*a);
    ASSERT_TRUE(b && model->rollback(**b, 10));
    ids mixed(all.begin(), all.begin() + 10);
    mixed.insert(mixed.end(), other.begin(), other.end());
    EXPECT_EQ(feed(*model, **b, other), fake_logits(mixed));
    const ids more{7};
    ids longer = all;
    longer.push_back(7);
    EXPECT_EQ(feed(*model, *a, more), fake_logits(longer));
}

TEST(lm, random_feeding_forking_and_rolling_back_never_mixes_sequences) {
    fake_lm fake;
    fake.record = false;
    const auto model = open_fake(fake, {.max_seq = 200, .max_batch = 48, .max_sequences = 4});

    struct tracked {
        std::unique_ptr<lm_sequence> sequence;
        ids history;
    };

    std::vector<tracked> live;
    std::mt19937 random(20240601);
    const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
    for (int step = 0; step < 1500; ++step) {
        const std::size_t action = below(10);
        if (live.empty() || (action == 0 && live.size() < 4)) {
            live.push_back({sequence(*model), {}});
        } else if (action == 1 && live.size() < 4) {
            const tracked& from = live[below(live.size())];
            auto copy = model->fork(*from.sequence);
            ASSERT_TRUE(copy) << copy.error().message;
            live.push_back({std::move(*copy), from.history});
        } else if (action == 2) {
            live.erase(live.begin() + static_cast<std::ptrdiff_t>(below(live.size())));
        } else if (action <= 4) {
            tracked& t = live[below(live.size())];
            t.history.resize(below(t.history.size() + 1));
            ASSERT_TRUE(model->rollback(*t.sequence, static_cast<std::int64_t>(t.history.size())));
        } else {
            std::vector<ids> added(live.size());
            std::vector<lm_batch_item> items;
            std::vector<float> expected;
            for (std::size_t i = 0; i < live.size(); ++i) {
                const std::size_t room = 200 - live[i].history.size();
                if (room == 0 || below(3) == 0) continue;
                added[i] = some_ids(
                    1 + below(std::min<std::size_t>(room, 70)), static_cast<int>(random() % 1000)
                );
                live[i].history.insert(live[i].history.end(), added[i].begin(), added[i].end());
                items.push_back({live[i].sequence.get(), added[i]});
                const auto row = fake_logits(live[i].history);
                expected.insert(expected.end(), row.begin(), row.end());
            }
            if (items.empty()) continue;
            const auto got = model->eval(items);
            ASSERT_TRUE(got) << "step " << step << ": " << got.error().message;
            ASSERT_EQ(std::vector<float>(got->begin(), got->end()), expected) << "step " << step;
        }
    }
    EXPECT_GT(fake.copies, 0);
}

TEST(lm, an_id_outside_the_vocabulary_is_named_and_nothing_is_fed) {
    fake_lm fake;
    const auto model = open_fake(fake);
    const auto s = sequence(*model);
    const error high = feed_error(*model, *s, ids{1, 2, 32});
    EXPECT_EQ(high.code, RLX_INVALID_ARGUMENT);
    EXPECT_EQ(high.message, "token 2 has id 32, the vocabulary has ids 0 to 31");
    EXPECT_TRUE(contains(feed_error(*model, *s, ids{-1}).message, "token 0 has id -1"));
    EXPECT_EQ(s->length(), 0);
    EXPECT_EQ(fake.runs, 0);
}

TEST(lm, a_sequence_longer_than_max_seq_is_refused_with_the_counts) {
    fake_lm fake;
    const auto model = open_fake(fake, {.max_seq = 100});
    const auto s = sequence(*model);
    feed(*model, *s, some_ids(90));
    const error e = feed_error(*model, *s, some_ids(11));
    EXPECT_EQ(e.code, RLX_INVALID_ARGUMENT);
    EXPECT_EQ(e.message, "the sequence would have 101 tokens (90 there, 11 new), max_seq is 100");
    EXPECT_EQ(s->length(), 90);
    feed(*model, *s, some_ids(10));
    EXPECT_EQ(s->length(), 100);
}

TEST(lm, empty_and_repeated_items_are_errors) {
    fake_lm fake;
    const auto model = open_fake(fake);
    const auto s = sequence(*model);
    EXPECT_FALSE(model->eval({}));
    EXPECT_EQ(feed_error(*model, *s, {}).code, RLX_INVALID_ARGUMENT);
    const ids one{1};
    const lm_batch_item twice[] = {{s.get(), one}, {s.get(), one}};
    EXPECT_FALSE(model->eval(twice));
    EXPECT_EQ(s->length(), 0);
}

TEST(lm, a_run_that_fails_half_way_feeds_nothing) {
    fake_lm fake;
    const auto model = open_fake(fake, {.max_batch = 10});
    const auto s = sequence(*model);
    const ids all = some_ids(85);
    feed(*model, *s, first(all, 60));
    fake.fail_at_run = fake.runs + 1;
    const error e = feed_error(*model, *s, std::span(all).subspan(60));
    EXPECT_EQ(e.code, RLX_DEVICE_LOST);
    EXPECT_EQ(s->length(), 60);
    fake.fail_at_run = -1;
    EXPECT_EQ(feed(*model, *s, std::span(all).subspan(60)), fake_logits(all));
}

TEST(lm, a_condition_the_graph_left_open_is_checked_for_every_step) {
    fake_lm fake;
    fake.min_step = 3;
    const auto model = open_fake(fake);
    const auto s = sequence(*model);
    const ids all = some_ids(5);
    EXPECT_EQ(feed(*model, *s, first(all, 3)), fake_logits(first(all, 3)));
    const error e = feed_error(*model, *s, std::span(all).subspan(3));
    EXPECT_EQ(e.code, RLX_INVALID_ARGUMENT);
    EXPECT_TRUE(contains(e.message, "T = 2")) << e.message;
    EXPECT_EQ(s->length(), 3);
    EXPECT_EQ(fake.runs, 1);
}

TEST(lm, the_cancel_flag_stops_between_and_inside_steps) {
    fake_lm fake;
    std::atomic<std::uint32_t> stop{0};
    const auto model = open_fake(fake, {.max_batch = 10, .cancel = &stop});
    const auto s = sequence(*model);
    fake.cancel_at_run = 2; // raises fake.cancel in the third step
    const ids all = some_ids(50);
    const lm_batch_item item{s.get(), all};
    const auto inside = model->eval({&item, 1}, {.cancel = &fake.cancel});
    ASSERT_FALSE(inside);
    EXPECT_EQ(inside.error().code, RLX_CANCELLED);
    EXPECT_EQ(s->length(), 0);
    stop = 1;
    const int runs = fake.runs;
    EXPECT_EQ(feed_error(*model, *s, all).code, RLX_CANCELLED);
    EXPECT_EQ(fake.runs, runs);
    stop = 0;
    EXPECT_EQ(feed(*model, *s, all), fake_logits(all));
}

TEST(lm, progress_counts_tokens_after_every_step) {
    fake_lm fake;
    const auto model = open_fake(fake, {.max_batch = 20});
    const auto s = sequence(*model);
    std::vector<std::int64_t> seen;
    const std::function<void(std::int64_t, std::int64_t)> progress = [&](std::int64_t done,
                                                                         std::int64_t total) {
        EXPECT_EQ(total, 50);
        seen.push_back(done);
    };
    const ids all = some_ids(50);
    const lm_batch_item item{s.get(), all};
    ASSERT_TRUE(model->eval({&item, 1}, {.progress = &progress}));
    EXPECT_EQ(seen, (std::vector<std::int64_t>{20, 40, 50}));
}

TEST(lm, sequences_are_limited_and_give_their_place_back) {
    fake_lm fake;
    const auto model = open_fake(fake, {.max_sequences = 2});
    auto a = sequence(*model);
    const auto b = sequence(*model);
    const auto third = model->new_sequence();
    ASSERT_FALSE(third);
    EXPECT_TRUE(contains(third.error().message, "all 2 sequences"));
    EXPECT_FALSE(model->fork(*a));
    a.reset();
    EXPECT_TRUE(model->new_sequence());
}

TEST(lm, a_sequence_of_another_model_is_refused) {
    fake_lm fake, other;
    const auto model = open_fake(fake);
    const auto stranger_model = open_fake(other);
    const auto stranger = sequence(*stranger_model);
    EXPECT_TRUE(contains(feed_error(*model, *stranger, ids{1}).message, "another model"));
    EXPECT_FALSE(model->fork(*stranger));
    EXPECT_FALSE(model->rollback(*stranger, 0));
}

TEST(lm, closing_frees_everything_and_a_sequence_may_outlive_the_model) {
    fake_lm fake;
    {
        auto model = open_fake(fake);
        auto s = sequence(*model);
        feed(*model, *s, some_ids(3));
        model.reset();
        EXPECT_EQ(fake.programs, 0);
        EXPECT_EQ(fake.buffers, 0);
    }
    EXPECT_EQ(fake.open_models, 0);
}

} // namespace rlx::test
