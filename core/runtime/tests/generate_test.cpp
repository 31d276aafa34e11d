// SPDX-License-Identifier: GPL-3.0-only
#include "fake_lm.hpp"

#include "../stop_text.hpp"
#include "rlx/runtime/generate.hpp"
#include "rlx/text/text.hpp"

#include <gtest/gtest.h>

namespace rlx::test {
namespace {

using ids = std::vector<std::int32_t>;

// Pieces by id; bytes of a cut UTF-8 character are held back as a real decoder does.
class fake_decoder final : public stream_decoder {
public:
    explicit fake_decoder(std::vector<std::string> pieces) : pieces_(std::move(pieces)) {}

    result<std::string> push(std::int32_t id) override {
        held_ += pieces_.at(static_cast<std::size_t>(id));
        const bool cut =
            !held_.empty() && (static_cast<unsigned char>(held_.back()) & 0xc0) == 0xc0;
        return cut ? std::string() : std::exchange(held_, {});
    }

    std::string finish() override { return std::exchange(held_, {}).empty() ? "" : "\xef\xbf\xbd"; }

private:
    std::vector<std::string> pieces_;
    std::string held_;
};

struct shown {
    ids tokens;
    std::vector<std::string> pieces;
    std::string text;
};

token_callback into(shown& s) {
    return [&s](std::int32_t id, std::string_view text) {
        s.tokens.push_back(id);
        s.pieces.emplace_back(text);
        s.text += text;
        return true;
    };
}

// A model that answers `script` to a prompt of one token.
class scripted {
public:
    explicit scripted(ids script, const lm_options& options = {}) {
        fake.script = std::move(script);
        auto opened = lm_model::open(fake.parts(), options);
        EXPECT_TRUE(opened) << (opened ? "" : opened.error().message);
        model = std::move(*opened);
    }

    generate_result
    run(const generate_options& options,
        stream_decoder* decoder,
        const token_callback& callback = {}) {
        auto out = generate(*model, decoder, ids{0}, options, callback);
        EXPECT_TRUE(out) << (out ? "" : out.error().message);
        return out ? std::move(*out) : generate_result{};
    }

    fake_lm fake;
    std::unique_ptr<lm_model> model;
};

const std::vector<std::string> letters{"a", "b", "c", "d", "e", "<eos>", "ab", "\xc3", "\xa9", ""};

// Everything a stop_text lets through when the text comes in the given pieces, and what matched.
std::pair<std::string, std::string>
through(const std::vector<std::string>& stops, const std::vector<std::string>& pieces) {
    stop_text s(stops);
    std::string out;
    for (const std::string& p : pieces)
        out += s.push(p);
    const std::string matched = s.matched() ? *s.matched() : "";
    return {out + s.finish(), matched};
}

} // namespace

TEST(stop_text, cuts_at_the_text_however_the_stream_is_cut) {
    const std::string text = "xxabxabcyy";
    for (std::size_t cut = 0; cut <= text.size(); ++cut)
        for (std::size_t again = cut; again <= text.size(); ++again)
            EXPECT_EQ(
                through(
                    {"abc"},
                    {text.substr(0, cut), text.substr(cut, again - cut), text.substr(again)}
                ),
                (std::pair<std::string, std::string>("xxabx", "abc"))
            ) << cut
              << " " << again;
}

TEST(stop_text, the_match_that_ends_first_wins_and_of_those_the_longest) {
    for (const std::vector<std::string>& pieces :
         {std::vector<std::string>{"abcd"}, {"a", "b", "c", "d"}, {"ab", "cd"}, {"abc", "d"}}) {
        EXPECT_EQ(through({"bcd", "c"}, pieces).first, "ab");
        EXPECT_EQ(through({"c", "bc"}, pieces).first, "a");
        EXPECT_EQ(through({"x", "bcd"}, pieces).first, "a");
    }
}

TEST(stop_text, what_is_held_back_comes_out_when_it_was_nothing) {
    EXPECT_EQ(through({"</end>"}, {"a</", "em>", "</en"}).first, "a</em></en");
    EXPECT_EQ(through({""}, {"abc"}).first, "abc");
    EXPECT_EQ(through({}, {"abc"}).first, "abc");
}

TEST(generate, greedy_tokens_stream_with_their_text) {
    scripted m({1, 2, 3, 4, 1, 2});
    fake_decoder decoder(letters);
    shown s;
    const generate_result out = m.run({.max_tokens = 4}, &decoder, into(s));
    EXPECT_EQ(out.tokens, (ids{1, 2, 3, 4}));
    EXPECT_EQ(out.text, "bcde");
    EXPECT_EQ(out.finish_reason, "length");
    EXPECT_EQ(s.tokens, out.tokens);
    EXPECT_EQ(s.pieces, (std::vector<std::string>{"b", "c", "d", "e"}));
    EXPECT_EQ(out.usage.prompt_tokens, 1);
    EXPECT_EQ(out.usage.completion_tokens, 4);
    EXPECT_EQ(out.timings.decode_steps, 3); // the fourth token was not fed
    EXPECT_GT(out.timings.prefill_s, 0);
}

TEST(generate, a_stop_id_ends_the_answer_and_is_no_text) {
    scripted m({1, 2, 5, 3});
    fake_decoder decoder(letters);
    shown s;
    const generate_result out = m.run({.stop_ids = {5}}, &decoder, into(s));
    EXPECT_EQ(out.tokens, (ids{1, 2, 5}));
    EXPECT_EQ(out.text, "bc");
    EXPECT_EQ(out.finish_reason, "stop");
    EXPECT_EQ(s.tokens, out.tokens);
}

TEST(generate, ignore_eos_goes_on) {
    scripted m({1, 5, 3});
    fake_decoder decoder(letters);
    const generate_result out =
        m.run({.max_tokens = 3, .stop_ids = {5}, .ignore_eos = true}, &decoder);
    EXPECT_EQ(out.tokens, (ids{1, 5, 3}));
    EXPECT_EQ(out.finish_reason, "length");
}

TEST(generate, a_stop_text_may_straddle_tokens_and_is_not_shown) {
    scripted m({0, 1, 2, 3, 4, 4});
    fake_decoder decoder(letters);
    shown s;
    const generate_result out = m.run({.max_tokens = 10, .stop = {"bcd", "zz"}}, &decoder, into(s));
    EXPECT_EQ(out.text, "a");
    EXPECT_EQ(s.text, "a");
    EXPECT_EQ(out.tokens, (ids{0, 1, 2, 3}));
    EXPECT_EQ(out.finish_reason, "stop");
    EXPECT_EQ(out.stop_text, "bcd");
}

TEST(generate, held_text_comes_with_the_last_token_when_no_stop_text_followed) {
    scripted m({0, 1, 2});
    fake_decoder decoder(letters);
    shown s;
    const generate_result out = m.run({.max_tokens = 3, .stop = {"bcd"}}, &decoder, into(s));
    EXPECT_EQ(out.text, "abc");
    EXPECT_EQ(s.pieces, (std::vector<std::string>{"a", "", "bc"}));
    EXPECT_EQ(out.finish_reason, "length");
}

TEST(generate, half_a_character_is_never_shown) {
    scripted m({7, 8, 7, 0});
    fake_decoder decoder(letters);
    shown s;
    EXPECT_EQ(m.run({.max_tokens = 2}, &decoder, into(s)).text, "\xc3\xa9");
    EXPECT_EQ(s.pieces, (std::vector<std::string>{"", "\xc3\xa9"}));
    EXPECT_EQ(m.run({.max_tokens = 3}, &decoder).text, "\xc3\xa9\xef\xbf\xbd");
}

TEST(generate, stops_with_length_when_max_seq_is_full) {
    scripted m({1, 1, 1, 1, 1, 1, 1, 1}, {.max_seq = 5});
    const generate_result out = m.run({}, nullptr);
    EXPECT_EQ(
        out.tokens.size(), 5U
    ); // 1 prompt token and 4 fed answers fill it; the fifth needs no place
    EXPECT_EQ(out.finish_reason, "length");
}

TEST(generate, a_prompt_that_fills_max_seq_still_gets_one_token) {
    scripted m({1, 1, 2, 3}, {.max_seq = 3});
    const auto out = generate(*m.model, nullptr, ids{0, 0, 0}, {});
    ASSERT_TRUE(out);
    EXPECT_EQ(out->tokens, (ids{2}));
    const auto longer = generate(*m.model, nullptr, ids{0, 0, 0, 0}, {});
    ASSERT_FALSE(longer);
    EXPECT_EQ(longer.error().code, RLX_INVALID_ARGUMENT);
    EXPECT_EQ(
        longer.error().message,
        "the prompt has 4 tokens, max_seq is 3; raise max_seq or shorten the prompt"
    );
}

TEST(generate, bad_requests_are_errors) {
    scripted m({1});
    EXPECT_EQ(generate(*m.model, nullptr, ids{}, {}).error().code, RLX_INVALID_ARGUMENT);
    EXPECT_EQ(
        generate(*m.model, nullptr, ids{99}, {}).error().message,
        "token 0 has id 99, the vocabulary has ids 0 to 31"
    );
    EXPECT_EQ(
        generate(*m.model, nullptr, ids{0}, {.stop = {"x"}}).error().code, RLX_INVALID_ARGUMENT
    );
    EXPECT_EQ(
        generate(*m.model, nullptr, ids{0}, {.stop_ids = {31, 32}}).error().message,
        "stop_ids has id 32, the vocabulary has ids 0 to 31"
    );
    EXPECT_FALSE(generate(*m.model, nullptr, ids{0}, {.stop_ids = {-1}}));
    EXPECT_EQ(
        generate(*m.model, nullptr, ids{0}, {.sample = {.top_p = -1}}).error().code,
        RLX_INVALID_ARGUMENT
    );
}

TEST(generate, zero_tokens_only_reads_the_prompt) {
    scripted m({1});
    const generate_result out = m.run({.max_tokens = 0}, nullptr);
    EXPECT_TRUE(out.tokens.empty());
    EXPECT_EQ(out.finish_reason, "length");
    EXPECT_EQ(m.fake.runs, 1);
}

TEST(generate, a_raised_cancel_flag_keeps_what_is_there) {
    scripted m({0, 1, 2, 3});
    m.fake.cancel_at_run = 3; // prefill, two steps, then inside the third
    fake_decoder decoder(letters);
    shown s;
    const generate_result out =
        m.run({.max_tokens = 10, .stop = {"cx"}, .cancel = &m.fake.cancel}, &decoder, into(s));
    EXPECT_EQ(out.finish_reason, "cancelled");
    EXPECT_EQ(out.tokens, (ids{0, 1, 2}));
    EXPECT_EQ(out.text, "abc");
    EXPECT_EQ(s.text, "abc");
    EXPECT_EQ(s.tokens.back(), -1); // the c was held back
}

TEST(generate, cancelling_the_prefill_is_a_result_without_tokens) {
    scripted m({0, 1});
    m.fake.cancel_at_run = 0;
    const generate_result out = m.run({.cancel = &m.fake.cancel}, nullptr);
    EXPECT_EQ(out.finish_reason, "cancelled");
    EXPECT_TRUE(out.tokens.empty());
}

TEST(generate, a_callback_can_end_it) {
    scripted m({0, 1, 2, 3});
    fake_decoder decoder(letters);
    const generate_result out =
        m.run({}, &decoder, [](std::int32_t id, std::string_view) { return id != 1; });
    EXPECT_EQ(out.finish_reason, "cancelled");
    EXPECT_EQ(out.tokens, (ids{0, 1}));
    EXPECT_EQ(out.text, "ab");
}

TEST(generate, a_failing_run_is_an_error) {
    scripted m({0, 1, 2, 3});
    m.fake.fail_at_run = 2;
    const auto out = generate(*m.model, nullptr, ids{0}, {});
    ASSERT_FALSE(out);
    EXPECT_EQ(out.error().code, RLX_DEVICE_LOST);
}

TEST(generate, sampling_is_repeatable_by_seed) {
    fake_lm fake;
    const auto model = lm_model::open(fake.parts(), {});
    ASSERT_TRUE(model);
    const auto run = [&](std::uint64_t seed) {
        return generate(
                   **model,
                   nullptr,
                   ids{3, 4},
                   {.sample = {.temperature = 5, .seed = seed}, .max_tokens = 30}
        )
            .value()
            .tokens;
    };
    EXPECT_EQ(run(1), run(1));
    EXPECT_NE(run(1), run(2));
}

TEST(generate, the_prompt_counts_for_the_penalties) {
    scripted m({1, 1, 1, 1});
    const auto out =
        generate(*m.model, nullptr, ids{1}, {.sample = {.presence_penalty = 20}, .max_tokens = 1});
    ASSERT_TRUE(out);
    EXPECT_EQ(out->tokens, (ids{0}));
}

TEST(generate, a_session_feeds_only_what_is_new) {
    fake_lm fake;
    const auto opened = lm_model::open(fake.parts(), {});
    ASSERT_TRUE(opened);
    lm_model& model = **opened;
    lm_session session;
    ids talk{1, 2, 3, 4};
    const auto first = generate(model, session, nullptr, talk, {.max_tokens = 5});
    ASSERT_TRUE(first);
    EXPECT_EQ(first->usage.cached_tokens, 0);
    talk.insert(talk.end(), first->tokens.begin(), first->tokens.end());
    for (const std::int32_t id : {9, 8, 7})
        talk.push_back(id);
    const auto again = generate(model, session, nullptr, talk, {.max_tokens = 5});
    ASSERT_TRUE(again);
    EXPECT_EQ(again->usage.cached_tokens, 8); // 4 and the 4 answers that were fed
    EXPECT_EQ(again->timings.prefill_tokens, 4);
    session = {};
    EXPECT_EQ(generate(model, nullptr, talk, {.max_tokens = 5})->tokens, again->tokens);
}

TEST(generate, a_session_whose_prompt_differs_rolls_back) {
    fake_lm fake;
    const auto opened = lm_model::open(fake.parts(), {.max_sequences = 2});
    ASSERT_TRUE(opened);
    lm_session session;
    const generate_options o{.max_tokens = 4};
    ASSERT_TRUE(generate(**opened, session, nullptr, ids{1, 2, 3, 4}, o));
    for (const ids& prompt : {ids{1, 2, 9}, ids{1, 2}, ids{5}, ids{5}}) {
        const auto got = generate(**opened, session, nullptr, prompt, o);
        const auto fresh = generate(**opened, nullptr, prompt, o);
        ASSERT_TRUE(got && fresh);
        EXPECT_EQ(got->tokens, fresh->tokens);
    }
    // After an error the session starts afresh.
    fake.fail_at_run = fake.runs + 1;
    EXPECT_FALSE(generate(**opened, session, nullptr, ids{5, 6}, o));
    EXPECT_FALSE(session.sequence);
    EXPECT_TRUE(generate(**opened, session, nullptr, ids{5, 6}, o));
}

TEST(generate, prefill_reports_progress) {
    fake_lm fake;
    const auto opened = lm_model::open(fake.parts(), {.max_batch = 4});
    ASSERT_TRUE(opened);
    std::vector<std::int64_t> seen;
    const ids prompt(10, 1);
    ASSERT_TRUE(generate(
        **opened,
        nullptr,
        prompt,
        {.max_tokens = 1,
         .prefill_progress = [&](std::int64_t done, std::int64_t) { seen.push_back(done); }}
    ));
    EXPECT_EQ(seen, (std::vector<std::int64_t>{4, 8, 10}));
}

TEST(generate, predict_logits_gives_the_row_of_the_last_id) {
    fake_lm fake;
    const auto opened = lm_model::open(fake.parts(), {});
    ASSERT_TRUE(opened);
    const ids prompt{4, 7, 1};
    EXPECT_EQ(predict_logits(**opened, prompt).value(), fake_logits(prompt));
    EXPECT_FALSE(predict_logits(**opened, ids{}));
}

} // namespace rlx::test
