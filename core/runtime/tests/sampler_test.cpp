// SPDX-License-Identifier: GPL-3.0-only
#include "rlx/runtime/sampler.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

namespace rlx::test {
namespace {

constexpr float inf = std::numeric_limits<float>::infinity();
using logits = std::vector<float>;

sampler make(const sample_options& options, const logits& x) {
    auto s = sampler::make(options, static_cast<std::int64_t>(x.size()));
    EXPECT_TRUE(s) << (s ? "" : s.error().message);
    return std::move(s.value());
}

std::int32_t one(sampler& s, const logits& x) {
    const auto id = s.sample(x);
    EXPECT_TRUE(id) << (id ? "" : id.error().message);
    return id ? *id : -1;
}

// How often each token is drawn.
std::map<std::int32_t, int> draw(const sample_options& options, const logits& x, int n) {
    sampler s = make(options, x);
    std::map<std::int32_t, int> out;
    for (int i = 0; i < n; ++i)
        out[one(s, x)]++;
    return out;
}

std::vector<std::int32_t> candidates(sample_options options, const logits& x, int n = 4000) {
    if (options.temperature == 0) options.temperature = 1;
    std::vector<std::int32_t> out;
    for (const auto& [id, count] : draw(options, x, n))
        out.push_back(id);
    return out;
}

using id_list = std::vector<std::int32_t>;

// Pearson's statistic of counts against probabilities.
double chi_square(const std::map<std::int32_t, int>& counts, const std::vector<double>& p, int n) {
    double sum = 0;
    for (std::size_t i = 0; i < p.size(); ++i) {
        const auto at = counts.find(static_cast<std::int32_t>(i));
        const double seen = at == counts.end() ? 0 : at->second, expected = p[i] * n;
        sum += (seen - expected) * (seen - expected) / expected;
    }
    return sum;
}

logits logs(const std::vector<double>& p) {
    logits out;
    for (const double x : p)
        out.push_back(static_cast<float>(std::log(x)));
    return out;
}

} // namespace

// Vectors published with Random123 (kat_vectors, philox4x32 10).
TEST(philox, known_answers) {
    using block = std::array<std::uint32_t, 4>;
    EXPECT_EQ(philox4x32(0, 0, 0), (block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
    EXPECT_EQ(
        philox4x32(~std::uint64_t{0}, ~std::uint64_t{0}, ~std::uint64_t{0}),
        (block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd})
    );
    EXPECT_EQ(
        philox4x32(0x299f31d0a4093822, 0x85a308d3243f6a88, 0x0370734413198a2e),
        (block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1})
    );
}

TEST(sampler, temperature_zero_takes_the_best_and_the_first_of_equals) {
    const logits x{1, 5, 5, -2};
    sampler s = make({.temperature = 0}, x);
    EXPECT_EQ(one(s, x), 1);
}

TEST(sampler, draws_follow_the_softmax) {
    const std::vector<double> p{0.4, 0.3, 0.2, 0.05, 0.04, 0.01};
    const int n = 20000;
    // 5 degrees of freedom: 20.5 is the 99.9 % point.
    EXPECT_LT(chi_square(draw({.temperature = 1, .seed = 7}, logs(p), n), p, n), 20.5);
    // The truncated path draws from the same distribution when it keeps everything.
    EXPECT_LT(
        chi_square(draw({.temperature = 1, .min_p = 1e-9, .seed = 8}, logs(p), n), p, n), 20.5
    );
}

TEST(sampler, the_chi_square_test_can_fail) {
    const std::vector<double> p{0.4, 0.3, 0.2, 0.05, 0.04, 0.01},
        wrong{0.4, 0.3, 0.18, 0.07, 0.04, 0.01};
    EXPECT_GT(chi_square(draw({.temperature = 1, .seed = 7}, logs(p), 20000), wrong, 20000), 20.5);
}

TEST(sampler, temperature_divides_the_logits_after_truncation) {
    const std::vector<double> p{0.5, 0.3, 0.2};
    const int n = 20000;
    // T = 2: p^(1/2), normalised.
    double sum = 0;
    std::vector<double> hot;
    for (const double x : p)
        sum += std::sqrt(x);
    for (const double x : p)
        hot.push_back(std::sqrt(x) / sum);
    EXPECT_LT(chi_square(draw({.temperature = 2, .seed = 3}, logs(p), n), hot, n), 13.8);
    // 0.5 reaches top_p 0.45 alone. Were temperature first, it would have 0.42 and a second token
    // were kept.
    EXPECT_EQ(candidates({.temperature = 2, .top_p = 0.45}, logs(p)), (id_list{0}));
}

TEST(sampler, a_tiny_temperature_is_greedy_without_overflow) {
    const logits x{0, 3, 2.9F, 3};
    for (const double t : {1e-3, 1e-30, 1e-300}) {
        const auto counts = draw({.temperature = t}, x, 500);
        EXPECT_EQ(counts.count(0) + counts.count(2), 0U) << t;
    }
}

TEST(sampler, top_k_keeps_the_k_best_and_breaks_ties_by_id) {
    const logits x{1, 3, 2, 3, 2, 2};
    EXPECT_EQ(candidates({.top_k = 1}, x), (id_list{1}));
    EXPECT_EQ(candidates({.top_k = 2}, x), (id_list{1, 3}));
    EXPECT_EQ(candidates({.top_k = 3}, x), (id_list{1, 2, 3}));
    EXPECT_EQ(candidates({.top_k = 4}, x), (id_list{1, 2, 3, 4}));
    EXPECT_EQ(candidates({.top_k = 6}, x).size(), 6U);
    EXPECT_EQ(candidates({.top_k = 100}, x).size(), 6U);
    EXPECT_EQ(candidates({.top_k = 0}, x).size(), 6U);
}

TEST(sampler, top_p_keeps_the_best_until_their_sum_reaches_p) {
    const logits x = logs({0.1, 0.4, 0.2, 0.3});
    EXPECT_EQ(candidates({.top_p = 0}, x), (id_list{1}));
    EXPECT_EQ(candidates({.top_p = 0.39}, x), (id_list{1}));
    EXPECT_EQ(candidates({.top_p = 0.41}, x), (id_list{1, 3}));
    EXPECT_EQ(candidates({.top_p = 0.69}, x), (id_list{1, 3}));
    EXPECT_EQ(candidates({.top_p = 0.71}, x), (id_list{1, 2, 3}));
    EXPECT_EQ(candidates({.top_p = 0.95}, x).size(), 4U);
    EXPECT_EQ(candidates({.top_p = 1}, x).size(), 4U);
}

TEST(sampler, a_large_k_selects_like_a_small_one) {
    logits x(6000);
    for (std::size_t i = 0; i < x.size(); ++i)
        x[i] = static_cast<float>((i * 7919) % 97) / 10;
    sampler s = make({.temperature = 1, .top_k = 3000}, x);
    std::vector<std::pair<float, std::int32_t>> order;
    for (std::size_t i = 0; i < x.size(); ++i)
        order.emplace_back(-x[i], static_cast<std::int32_t>(i));
    std::sort(order.begin(), order.end());
    for (int i = 0; i < 2000; ++i) {
        const std::int32_t id = one(s, x);
        EXPECT_LE((std::pair{-x[static_cast<std::size_t>(id)], id}), order[2999]);
    }
}

TEST(sampler, top_p_counts_the_survivors_of_top_k_only) {
    const logits x = logs({0.4, 0.3, 0.2, 0.1});
    // Of the two best, 0.4 has 0.571.
    EXPECT_EQ(candidates({.top_k = 2, .top_p = 0.56}, x), (id_list{0}));
    EXPECT_EQ(candidates({.top_k = 2, .top_p = 0.58}, x), (id_list{0, 1}));
}

TEST(sampler, min_p_is_relative_to_the_best) {
    const logits x = logs({0.1, 0.5, 0.15, 0.25});
    EXPECT_EQ(candidates({.min_p = 0.49}, x), (id_list{1, 3}));
    EXPECT_EQ(candidates({.min_p = 0.29}, x), (id_list{1, 2, 3}));
    EXPECT_EQ(candidates({.min_p = 1}, x), (id_list{1}));
    EXPECT_EQ(candidates({.min_p = 0}, x).size(), 4U);
}

TEST(sampler, top_p_looks_as_far_down_a_flat_distribution_as_it_must) {
    const logits x(5000, 1.5F);
    sampler s = make({.temperature = 1, .top_p = 0.9}, x);
    std::int32_t highest = 0;
    for (int i = 0; i < 1000; ++i)
        highest = std::max(highest, one(s, x));
    EXPECT_LT(highest, 4501); // ids below 0.9 * 5000, in order of id
    EXPECT_GT(highest, 4400);
}

TEST(sampler, penalties_change_each_token_of_the_window_once) {
    const logits x{2, 2, -2, 2};
    const sample_options o{
        .repetition_penalty = 2,
        .presence_penalty = 0.25,
        .frequency_penalty = 0.5,
        .repetition_window = 8};
    sampler s = make(o, x);
    for (const std::int32_t id : {0, 0, 2})
        s.accept(id);
    // 0: (2 - 0.25 - 2 * 0.5) / 2 = 0.375; 2: (-2 - 0.75) * 2 = -5.5. Bias moves each to the top in
    // turn to see it.
    const auto wins = [&](std::int32_t id, double bias) {
        sample_options with = o;
        with.logit_bias = {{1, -100}, {3, -100}, {id == 0 ? 2 : 0, bias}};
        sampler t = make(with, x);
        for (const std::int32_t seen : {0, 0, 2})
            t.accept(seen);
        return one(t, x) == id;
    };
    EXPECT_EQ(one(s, x), 1);
    // Bias comes first, so token 2 gets ((-2 + b) - 0.75), halved when positive: 0.375 at b = 3.5.
    EXPECT_TRUE(wins(0, 3.49));
    EXPECT_FALSE(wins(0, 3.51));
}

TEST(sampler, the_penalty_window_forgets) {
    const logits x{2, 1};
    sampler s = make({.repetition_penalty = 4, .repetition_window = 3}, x);
    s.accept(0);
    EXPECT_EQ(one(s, x), 1);
    for (int i = 0; i < 2; ++i)
        s.accept(1);
    EXPECT_EQ(one(s, x), 0); // 0.5 against 0.25
    s.accept(1);             // the 0 leaves the window
    EXPECT_EQ(one(s, x), 0); // 2 against 0.25
    sampler off = make({.repetition_penalty = 4, .repetition_window = 0}, x);
    off.accept(0);
    EXPECT_EQ(one(off, x), 0);
}

TEST(sampler, frequency_counts_occurrences_in_the_window) {
    const logits x{2, 1.1F};
    sampler s = make({.frequency_penalty = 0.3, .repetition_window = 4}, x);
    for (int i = 0; i < 2; ++i)
        s.accept(0);
    EXPECT_EQ(one(s, x), 0); // 1.4
    s.accept(0);
    EXPECT_EQ(one(s, x), 0); // 1.1: equal, the lower id
    s.accept(0);
    EXPECT_EQ(one(s, x), 1); // 0.8
}

TEST(sampler, logit_bias_adds_and_bans) {
    const logits x{2, 1, 0};
    sampler s = make({.logit_bias = {{0, -inf}, {2, 1.5}}}, x);
    EXPECT_EQ(one(s, x), 2);
}

TEST(sampler, the_same_seed_gives_the_same_tokens_and_another_does_not) {
    const logits x(1000, 0.0F);
    const auto run = [&](std::uint64_t seed) {
        sampler s = make({.temperature = 1, .seed = seed}, x);
        id_list out;
        for (int i = 0; i < 50; ++i)
            out.push_back(one(s, x));
        return out;
    };
    EXPECT_EQ(run(5), run(5));
    EXPECT_NE(run(5), run(6));
    EXPECT_NE(run(5), run(5 + (std::uint64_t{1} << 32))); // all 64 bits count
}

TEST(sampler, the_random_state_belongs_to_the_sampler_and_copies_with_it) {
    const logits x(1000, 0.0F);
    sampler a = make({.temperature = 1, .seed = 5}, x),
            other = make({.temperature = 1, .seed = 9}, x);
    const std::int32_t first = one(a, x);
    sampler b = a;
    const std::int32_t second = one(a, x);
    one(other, x);
    EXPECT_EQ(one(b, x), second);
    EXPECT_NE(first, second);
}

TEST(sampler, minus_infinity_is_never_drawn) {
    const logits x{-inf, 0, -inf, 0, -inf};
    for (const sample_options& o :
         {sample_options{.temperature = 1},
          {.temperature = 1, .top_k = 4},
          {.temperature = 1, .top_p = 0.999},
          {.temperature = 5, .min_p = 1e-6}})
        EXPECT_EQ(candidates(o, x), (id_list{1, 3}));
}

TEST(sampler, broken_logits_are_errors) {
    const auto message = [](const logits& x, double temperature) {
        sampler s = make({.temperature = temperature}, x);
        const auto id = s.sample(x);
        return id ? std::string("none") : id.error().message;
    };
    for (const double t : {0.0, 1.0}) {
        EXPECT_EQ(message({-inf, -inf}, t), "every logit is -inf: there is no token to choose");
        EXPECT_EQ(
            message({0, NAN, 1}, t), "the logit of token 1 is nan: the model's output is broken"
        );
        EXPECT_EQ(
            message({0, 1, inf}, t), "the logit of token 2 is inf: the model's output is broken"
        );
        EXPECT_EQ(message({0, -inf}, t), "none");
    }
    sampler s = make({}, {1, 2, 3});
    EXPECT_FALSE(s.sample(logits{1, 2}));
}

TEST(sampler, options_that_make_no_sense_are_named) {
    const auto message = [](const sample_options& o) {
        const auto s = sampler::make(o, 10);
        return s ? std::string("none") : s.error().message;
    };
    EXPECT_EQ(message({.temperature = NAN}), "temperature is nan, expected a finite number");
    EXPECT_EQ(message({.top_k = -3}), "top_k is -3, expected 0 or more");
    EXPECT_EQ(message({.temperature = -1}), "temperature is -1, expected 0 or more");
    EXPECT_EQ(message({.top_p = -0.5}), "top_p is -0.5, expected 0 to 1");
    EXPECT_EQ(message({.top_p = 1.5}), "top_p is 1.5, expected 0 to 1");
    EXPECT_EQ(message({.min_p = -0.5}), "min_p is -0.5, expected 0 to 1");
    EXPECT_EQ(message({.min_p = 1.5}), "min_p is 1.5, expected 0 to 1");
    EXPECT_EQ(
        message({.logit_bias = {{10, 1}}}), "logit_bias has id 10, the vocabulary has ids 0 to 9"
    );
    EXPECT_EQ(
        message({.logit_bias = {{-4, 1}}}), "logit_bias has id -4, the vocabulary has ids 0 to 9"
    );
    EXPECT_EQ(message({.top_p = 0, .min_p = 1, .logit_bias = {{0, 1}, {9, 1}}}), "none");
    EXPECT_EQ(message({.repetition_penalty = 0}), "repetition_penalty is 0, expected more than 0");
    EXPECT_EQ(
        message({.repetition_window = -1}), "repetition_window is -1, expected 0 to 16777216"
    );
    EXPECT_EQ(
        message({.logit_bias = {{3, NAN}}}),
        "logit_bias of token 3 is nan, expected a number below +inf"
    );
    EXPECT_EQ(message({}), "none");
}

} // namespace rlx::test
