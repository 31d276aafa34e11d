// SPDX-License-Identifier: GPL-3.0-only
// The C API as a program uses it: opening, generating, chat, cancelling, what is reported.
#include "c_api.hpp"

#include <atomic>
#include <chrono>
#include <cmath>
#include <csignal>
#include <thread>

namespace rlx::test {
namespace {

const std::string opening = "Once upon a time";

std::uint32_t record(void* ctx, std::int32_t id, rlx_str text) {
    auto& run = *static_cast<story_run*>(ctx);
    run.called.push_back(id);
    run.streamed.append(text.p, text.n);
    return 0;
}

story_run tell(rlx_model* model, const rlx_generate_options& how) {
    story_run run;
    rlx_generate_result_init(&run.result);
    EXPECT_OK(rlx_model_generate(model, s(opening), &how, record, &run, &run.result));
    const c_array<char> text(run.result.text);
    const c_array<std::int32_t> tokens(run.result.tokens);
    if (text) run.text = text.get();
    run.ids.assign(tokens.get(), tokens.get() + run.result.n_tokens);
    return run;
}

rlx_generate_options most(std::int64_t tokens) {
    rlx_generate_options how;
    rlx_generate_options_init(&how);
    how.max_tokens = tokens;
    return how;
}

TEST(c_api, versions_agree_with_the_header) {
    EXPECT_EQ(rlx_version_number(), std::uint32_t{RLX_VERSION_NUMBER});
    EXPECT_EQ(
        std::string(rlx_version()),
        std::to_string(RLX_VERSION_NUMBER / 1000000) + "." +
            std::to_string(RLX_VERSION_NUMBER / 1000 % 1000) + "." +
            std::to_string(RLX_VERSION_NUMBER % 1000)
    );
    EXPECT_EQ(rlx_abi_version(), std::uint32_t{RLX_ABI_MAJOR * 65536 + RLX_ABI_MINOR});
}

TEST(c_api, a_callback_sees_every_token_and_the_text_of_the_result) {
    const story_run run = tell(story(), most(24));
    EXPECT_EQ(run.result.finish_reason, std::uint32_t{RLX_FINISH_LENGTH});
    EXPECT_EQ(run.ids.size(), 24U);
    EXPECT_EQ(run.called, run.ids);
    EXPECT_EQ(run.streamed, run.text);
    EXPECT_EQ(run.result.n_text, run.text.size());
    EXPECT_GT(run.text.size(), 24U);
    EXPECT_GT(run.result.prompt_tokens, 1);
    EXPECT_EQ(run.result.stop_index, -1);
    EXPECT_GT(run.result.prefill_seconds, 0);
    EXPECT_EQ(tell(story(), most(24)).text, run.text) << "greedy, so the same again";
}

TEST(c_api, text_goes_to_ids_and_back) {
    std::int32_t* ids = nullptr;
    std::uint64_t n_ids = 0, n_text = 0;
    EXPECT_OK(rlx_model_tokenize(story(), s(opening), 0, &ids, &n_ids));
    const c_array<std::int32_t> held(ids);
    ASSERT_GT(n_ids, 0U);
    char* text = nullptr;
    EXPECT_OK(rlx_model_detokenize(story(), ids, n_ids, &text, &n_text));
    const c_array<char> held_text(text);
    EXPECT_EQ(std::string(text), opening);
    EXPECT_EQ(n_text, opening.size());

    story_run from_ids;
    const rlx_generate_options how = most(8);
    rlx_generate_result_init(&from_ids.result);
    EXPECT_OK(rlx_model_generate_ids(story(), ids, n_ids, &how, record, &from_ids, nullptr));
    EXPECT_EQ(from_ids.called, tell(story(), how).ids);

    EXPECT_OK(rlx_model_tokenize(story(), {nullptr, 0}, 0, &ids, &n_ids));
    EXPECT_EQ(ids, nullptr);
    EXPECT_EQ(n_ids, 0U);
    EXPECT_OK(rlx_model_detokenize(story(), nullptr, 0, &text, &n_text));
    const c_array<char> empty(text);
    EXPECT_STREQ(text, "");
}

TEST(c_api, a_callback_that_returns_nonzero_stops_the_answer) {
    int left = 3;
    rlx_generate_result result;
    rlx_generate_result_init(&result);
    const auto stop_at_third = [](void* ctx, std::int32_t, rlx_str) -> std::uint32_t {
        return --*static_cast<int*>(ctx) == 0 ? 1 : 0;
    };
    EXPECT_OK(rlx_model_generate(story(), s(opening), nullptr, stop_at_third, &left, &result));
    EXPECT_EQ(result.finish_reason, std::uint32_t{RLX_FINISH_CANCELLED});
    EXPECT_EQ(result.n_tokens, 3U);
    rlx_free(result.text);
    rlx_free(result.tokens);
}

TEST(c_api, a_stop_text_ends_the_answer_and_is_named) {
    const std::string whole = tell(story(), most(24)).text;
    const std::string never = "\x01", word = whole.substr(whole.size() / 2, 4);
    const rlx_str stops[] = {s(never), s(word)};
    rlx_generate_options how = most(24);
    how.stop = stops;
    how.n_stop = 2;
    const story_run run = tell(story(), how);
    EXPECT_EQ(run.result.finish_reason, std::uint32_t{RLX_FINISH_STOP});
    EXPECT_EQ(run.result.stop_index, 1);
    EXPECT_EQ(run.text, whole.substr(0, whole.find(word)));
}

TEST(c_api, sampling_obeys_its_seed) {
    rlx_generate_options how = most(32);
    how.temperature = 1.5;
    how.seed = 7;
    const std::string first = tell(story(), how).text;
    EXPECT_EQ(tell(story(), how).text, first);
    how.seed = 8;
    EXPECT_NE(tell(story(), how).text, first);
    rlx_logit_bias ban{tell(story(), most(1)).ids.at(0), 0, -INFINITY};
    how = most(1);
    how.logit_bias = &ban;
    how.n_logit_bias = 1;
    EXPECT_NE(tell(story(), how).ids.at(0), ban.id);
}

TEST(c_api, a_kept_cache_is_used_by_the_next_prompt) {
    const c_model model = open_story();
    rlx_generate_options how = most(4);
    how.flags = RLX_GENERATE_KEEP_CACHE;
    EXPECT_EQ(tell(model.get(), how).result.cached_tokens, 0);
    EXPECT_GT(tell(model.get(), how).result.cached_tokens, 0);
}

TEST(c_api, chat_is_rendered_by_the_checkpoints_template) {
    const rlx_message message{rlx_cstr("user"), rlx_cstr("Tell me a \"story\"")};
    char *text = nullptr, *from_json = nullptr;
    std::uint64_t n = 0;
    EXPECT_OK(rlx_model_render_chat(story(), &message, 1, nullptr, &text, &n));
    const c_array<char> held(text);
    ASSERT_NE(text, nullptr);
    EXPECT_NE(std::string(text).find("Tell me a \"story\""), std::string::npos);
    EXPECT_TRUE(std::string(text).ends_with("assistant\n")) << text;
    const std::string json = R"([{"role": "user", "content": "Tell me a \"story\""}])";
    EXPECT_OK(rlx_model_render_chat_json(story(), s(json), nullptr, &from_json, &n));
    EXPECT_STREQ(from_json, text);
    rlx_free(from_json);
    rlx_chat_options closed;
    rlx_chat_options_init(&closed);
    closed.flags = RLX_CHAT_NO_GENERATION_PROMPT;
    EXPECT_OK(rlx_model_render_chat(story(), &message, 1, &closed, &from_json, &n));
    EXPECT_LT(n, std::string(text).size());
    rlx_free(from_json);

    // Rendered text is read with its control tokens, and nothing is added to it.
    std::int32_t* ids = nullptr;
    std::uint64_t n_ids = 0;
    EXPECT_OK(rlx_model_tokenize(story(), rlx_cstr(text), RLX_TOKENIZE_PARSE_SPECIAL, &ids, &n_ids)
    );
    rlx_free(ids);
    rlx_generate_options how = most(4);
    how.flags = RLX_GENERATE_RENDERED;
    rlx_generate_result result;
    rlx_generate_result_init(&result);
    EXPECT_OK(rlx_model_generate(story(), rlx_cstr(text), &how, nullptr, nullptr, &result));
    EXPECT_EQ(result.prompt_tokens, static_cast<std::int64_t>(n_ids));
    rlx_free(result.text);
    rlx_free(result.tokens);
}

TEST(c_api, logits_are_those_of_the_next_token) {
    std::int32_t* ids = nullptr;
    std::uint64_t n_ids = 0, n = 0;
    EXPECT_OK(rlx_model_tokenize(story(), s(opening), RLX_TOKENIZE_ADD_SPECIAL, &ids, &n_ids));
    const c_array<std::int32_t> held(ids);
    float* logits = nullptr;
    EXPECT_OK(rlx_model_logits(story(), ids, n_ids, &logits, &n));
    const c_array<float> held_logits(logits);
    const std::vector<float> last(logits, logits + n);
    const auto best = std::max_element(last.begin(), last.end()) - last.begin();
    EXPECT_EQ(tell(story(), most(1)).ids.at(0), best);

    std::vector<float> all;
    const auto append =
        [](void* ctx, std::int64_t, std::int64_t rows, std::int64_t width, const float* p
        ) -> std::uint32_t {
        auto& out = *static_cast<std::vector<float>*>(ctx);
        out.insert(out.end(), p, p + rows * width);
        return 0;
    };
    EXPECT_OK(rlx_model_logits_each(story(), ids, n_ids, append, &all));
    ASSERT_EQ(all.size(), n_ids * n);
    for (std::size_t i = 0; i < n; ++i)
        ASSERT_NEAR(all[all.size() - n + i], last[i], 1e-2) << i;
    const auto stop =
        [](void*, std::int64_t, std::int64_t, std::int64_t, const float*) -> std::uint32_t {
        return 1;
    };
    EXPECT_FAILS(
        rlx_model_logits_each(story(), ids, n_ids, stop, nullptr), RLX_CANCELLED, "callback"
    );
}

TEST(c_api, facts_plan_and_notes_describe_the_model) {
    rlx_model_info info;
    rlx_model_info_init(&info);
    EXPECT_OK(rlx_model_describe(story(), &info));
    EXPECT_EQ(std::string(info.family.p, info.family.n), "qwen3");
    EXPECT_EQ(std::string(info.backend_plugin.p, info.backend_plugin.n), "org.rlx.cpu");
    EXPECT_EQ(std::string(info.device.p, info.device.n), "cpu");
    EXPECT_GT(info.tier.n, 0U);
    EXPECT_EQ(info.vocab_size, 1024);
    EXPECT_EQ(info.max_seq, 256);
    EXPECT_GT(info.hidden_size, 0);
    EXPECT_GE(info.threads, 1U);
    EXPECT_GT(info.load_seconds, 0);
    rlx_memory_plan plan, before;
    rlx_memory_plan_init(&plan);
    rlx_memory_plan_init(&before);
    EXPECT_OK(rlx_model_memory(story(), &plan));
    const rlx_model_options o = story_options();
    EXPECT_OK(rlx_model_plan(&o, &before));
    EXPECT_EQ(plan.total, plan.weights + plan.mapped + plan.state + plan.scratch);
    EXPECT_EQ(before.total, plan.total);
    EXPECT_EQ(before.fits, 1U);
    EXPECT_EQ(plan.state, plan.state_per_token * 256);
    rlx_note note;
    rlx_note_init(&note);
    EXPECT_FAILS(rlx_model_note(story(), info.n_notes, &note), RLX_NOT_FOUND, "note");
}

TEST(c_api, a_plan_over_the_limit_says_what_would_fit) {
    rlx_model_options o = story_options();
    o.max_memory = 1000000;
    rlx_model* model = nullptr;
    EXPECT_FAILS(rlx_model_open(&o, &model), RLX_OUT_OF_MEMORY, "the plan needs");
    EXPECT_EQ(model, nullptr);
    rlx_memory_plan plan;
    rlx_memory_plan_init(&plan);
    EXPECT_OK(rlx_model_plan(&o, &plan));
    EXPECT_EQ(plan.fits, 0U);
    EXPECT_GT(plan.total, o.max_memory);
}

TEST(c_api, an_unknown_device_gets_the_list_of_what_there_is) {
    rlx_model_options o = story_options();
    rlx_model* model = nullptr;
    o.device = rlx_cstr("abacus");
    EXPECT_FAILS(
        rlx_model_open(&o, &model),
        RLX_INVALID_ARGUMENT,
        "cpu ('rlx-run devices' tries them); not available: "
    );
    o.device = rlx_cstr("metal");
    EXPECT_FAILS(rlx_model_open(&o, &model), RLX_UNSUPPORTED, "metal");
}

TEST(c_api, notes_say_what_was_done_differently) {
    rlx_model_options o = story_options();
    o.max_seq = 100000;
    rlx_model* raw = nullptr;
    EXPECT_OK(rlx_model_open(&o, &raw));
    const c_model model(raw);
    rlx_model_info info;
    rlx_model_info_init(&info);
    EXPECT_OK(rlx_model_describe(raw, &info));
    ASSERT_GE(info.n_notes, 1U);
    rlx_note note;
    rlx_note_init(&note);
    EXPECT_OK(rlx_model_note(raw, 0, &note));
    EXPECT_EQ(note.kind, std::uint32_t{RLX_NOTE_WARNING});
    EXPECT_NE(std::string(note.text.p, note.text.n).find("max_seq 100000"), std::string::npos);
}

TEST(c_api, progress_reaches_the_end) {
    struct seen {
        std::uint64_t done = 0, total = 0;
    } last;

    const rlx_progress_fn store = [](void* ctx, std::uint64_t done, std::uint64_t total) {
        *static_cast<seen*>(ctx) = {done, total};
    };
    rlx_model_options o = story_options();
    o.progress = store;
    o.progress_ctx = &last;
    rlx_model* raw = nullptr;
    EXPECT_OK(rlx_model_open(&o, &raw));
    const c_model model(raw);
    EXPECT_GT(last.total, 0U);
    EXPECT_EQ(last.done, last.total);
    last = {};
    rlx_generate_options how = most(1);
    how.prefill = store;
    how.prefill_ctx = &last;
    EXPECT_EQ(static_cast<std::uint64_t>(tell(raw, how).result.prompt_tokens), last.done);
}

// ---- cancelling ----

std::uint32_t flag = 0;

TEST(c_api, another_thread_cancels_within_a_step) {
    rlx_generate_options how = most(0);
    how.flags = RLX_GENERATE_IGNORE_EOS;
    how.cancel = &flag;

    struct state {
        std::atomic<int> tokens{0};
        std::atomic<int> when_raised{-1};
    } seen;

    std::thread other([&] {
        while (seen.tokens < 5)
            std::this_thread::yield();
        rlx_cancel_raise(&flag);
        seen.when_raised = seen.tokens.load();
    });
    const auto count = [](void* ctx, std::int32_t id, rlx_str) -> std::uint32_t {
        auto& at = static_cast<state*>(ctx)->tokens;
        if (id >= 0) ++at;
        // Tokens are fast here; let the other thread have its turn.
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
        return 0;
    };
    rlx_generate_result result;
    rlx_generate_result_init(&result);
    EXPECT_OK(rlx_model_generate(story(), s(opening), &how, count, &seen, &result));
    other.join();
    rlx_cancel_clear(&flag);
    EXPECT_EQ(result.finish_reason, std::uint32_t{RLX_FINISH_CANCELLED});
    EXPECT_LE(static_cast<int>(result.n_tokens), seen.when_raised + 1);
    rlx_free(result.text);
    rlx_free(result.tokens);
}

TEST(c_api, a_signal_handler_cancels) {
    const auto previous = std::signal(SIGUSR1, [](int) { rlx_cancel_raise(&flag); });
    rlx_generate_options how = most(0);
    how.cancel = &flag;
    rlx_generate_result result;
    rlx_generate_result_init(&result);
    int left = 2;
    const auto raise_later = [](void* ctx, std::int32_t, rlx_str) -> std::uint32_t {
        if (--*static_cast<int*>(ctx) == 0) std::raise(SIGUSR1);
        return 0;
    };
    EXPECT_OK(rlx_model_generate(story(), s(opening), &how, raise_later, &left, &result));
    std::signal(SIGUSR1, previous);
    EXPECT_EQ(flag, 1U);
    EXPECT_EQ(result.finish_reason, std::uint32_t{RLX_FINISH_CANCELLED});
    EXPECT_EQ(result.n_tokens, 2U);
    rlx_free(result.text);
    rlx_free(result.tokens);
    EXPECT_EQ(tell(story(), most(3)).ids.size(), 3U) << "other calls do not watch it";
    how.max_tokens = 3;
    EXPECT_EQ(tell(story(), how).ids.size(), 0U) << "raised before: nothing is generated";
    rlx_cancel_clear(&flag);
    EXPECT_EQ(tell(story(), how).ids.size(), 3U);
}

TEST(c_api, opening_can_be_cancelled) {
    std::uint32_t stop = 1;
    rlx_model_options o = story_options();
    o.cancel = &stop;
    rlx_model* model = nullptr;
    EXPECT_FAILS(rlx_model_open(&o, &model), RLX_CANCELLED, "cancel");
    EXPECT_EQ(model, nullptr);
}

// ---- threads ----

TEST(c_api, two_models_run_in_two_threads) {
    const std::string expected = tell(story(), most(40)).text;
    std::string told[2];
    std::thread threads[2];
    for (int i = 0; i < 2; ++i)
        threads[i] = std::thread([&told, i] {
            const c_model model = open_story();
            for (int round = 0; round < 3; ++round)
                told[i] = tell(model.get(), most(40)).text;
        });
    for (std::thread& t : threads)
        t.join();
    EXPECT_EQ(told[0], expected);
    EXPECT_EQ(told[1], expected);
}

TEST(c_api, a_second_call_on_a_busy_model_is_refused_and_the_first_goes_on) {
    std::string message;
    const auto again = [](void* ctx, std::int32_t, rlx_str) -> std::uint32_t {
        const outcome inner(
            rlx_model_generate(story(), s(opening), nullptr, nullptr, nullptr, nullptr)
        );
        EXPECT_EQ(inner.code, std::uint32_t{RLX_INVALID_ARGUMENT});
        *static_cast<std::string*>(ctx) = inner.message;
        rlx_model_info info;
        rlx_model_info_init(&info);
        EXPECT_OK(rlx_model_describe(story(), &info));
        return 0;
    };
    const rlx_generate_options how = most(2);
    EXPECT_OK(rlx_model_generate(story(), s(opening), &how, again, &message, nullptr));
    EXPECT_NE(message.find("in use"), std::string::npos) << message;
}

// ---- embedding ----

std::vector<float> vector_of(const std::string& text, const rlx_embed_options* how = nullptr) {
    rlx_embed_result result;
    rlx_embed_result_init(&result);
    EXPECT_OK(rlx_model_embed(story(RLX_MODEL_EMBED), s(text), how, &result));
    const c_array<float> held(result.values);
    return {result.values, result.values + result.n_values};
}

double dot(const std::vector<float>& a, const std::vector<float>& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i)
        sum += double(a[i]) * double(b[i]);
    return sum;
}

TEST(c_api, a_text_becomes_a_unit_vector_near_to_its_kin) {
    const auto cat = vector_of("Once upon a time there was a little cat."),
               kitten = vector_of("Once upon a time there was a small cat."),
               ship = vector_of("The ship sailed far away over the sea.");
    rlx_model_info info;
    rlx_model_info_init(&info);
    EXPECT_OK(rlx_model_describe(story(RLX_MODEL_EMBED), &info));
    EXPECT_EQ(cat.size(), static_cast<std::size_t>(info.hidden_size));
    EXPECT_EQ(info.pooling, std::uint32_t{RLX_POOL_MEAN});
    EXPECT_NEAR(dot(cat, cat), 1, 1e-5);
    EXPECT_GT(dot(cat, kitten), dot(cat, ship));
}

TEST(c_api, pooling_and_scaling_are_the_callers_choice) {
    rlx_embed_options how;
    rlx_embed_options_init(&how);
    const std::string text = "a little cat";
    how.pooling = RLX_POOL_LAST;
    const auto last = vector_of(text, &how);
    how.pooling = RLX_POOL_MEAN;
    const auto mean = vector_of(text, &how);
    EXPECT_LT(dot(last, mean), 0.9999);
    how.flags = RLX_EMBED_RAW;
    const auto raw = vector_of(text, &how);
    const double length = std::sqrt(dot(raw, raw));
    EXPECT_GT(std::fabs(length - 1), 1e-3);
    EXPECT_NEAR(dot(raw, mean), length, 1e-3 * length);
}

TEST(c_api, a_long_text_is_refused_with_the_limit_or_cut_on_request) {
    std::string text;
    for (int i = 0; i < 300; ++i)
        text += "cat ";
    rlx_embed_result result;
    rlx_embed_result_init(&result);
    rlx_model* model = story(RLX_MODEL_EMBED);
    EXPECT_FAILS(
        rlx_model_embed(model, s(text), nullptr, &result), RLX_INVALID_ARGUMENT, "max_length is 256"
    );
    EXPECT_EQ(result.values, nullptr);
    rlx_embed_options how;
    rlx_embed_options_init(&how);
    how.flags = RLX_EMBED_TRUNCATE;
    EXPECT_OK(rlx_model_embed(model, s(text), &how, &result));
    EXPECT_EQ(result.n_tokens, 256);
    EXPECT_GT(result.n_dropped, 0);
    rlx_free(result.values);
}

TEST(c_api, each_task_refuses_the_other_by_name) {
    rlx_embed_result result;
    rlx_embed_result_init(&result);
    EXPECT_FAILS(
        rlx_model_embed(story(), s(opening), nullptr, &result),
        RLX_INVALID_ARGUMENT,
        "open it to embed"
    );
    EXPECT_FAILS(
        rlx_model_generate(story(RLX_MODEL_EMBED), s(opening), nullptr, nullptr, nullptr, nullptr),
        RLX_INVALID_ARGUMENT,
        "opened to embed"
    );
}

} // namespace

// A text encoder and a cross-encoder with random weights (tests/goldens/make_embedders.py).
c_model open_golden(const std::string& name, std::uint32_t task) {
    const std::string path = std::string(RLX_SOURCE_DIR "/tests/goldens/embedders/") + name;
    rlx_model_options o;
    rlx_model_options_init(&o);
    o.weights = s(path);
    o.task = task;
    o.compute = rlx_cstr("f32");
    rlx_model* model = nullptr;
    EXPECT_OK(rlx_model_open(&o, &model));
    return c_model(model);
}

TEST(c_api, a_text_encoder_embeds_many_texts_as_it_embeds_each) {
    const c_model model = open_golden("embedder", RLX_MODEL_EMBED);
    const std::vector<std::string> texts{"the word", "", "what was it, and for whom?"};
    std::vector<rlx_str> given;
    for (const std::string& text : texts)
        given.push_back(s(text));
    rlx_embed_result all;
    rlx_embed_result_init(&all);
    EXPECT_OK(rlx_model_embed_texts(model.get(), given.data(), given.size(), nullptr, &all));
    const c_array<float> held(all.values);
    ASSERT_EQ(all.n_values, 3u * 16);
    EXPECT_EQ(all.pooling, std::uint32_t{RLX_POOL_MEAN});
    std::int64_t tokens = 0;
    for (std::size_t i = 0; i < texts.size(); ++i) {
        rlx_embed_result one;
        rlx_embed_result_init(&one);
        EXPECT_OK(rlx_model_embed(model.get(), given[i], nullptr, &one));
        const c_array<float> values(one.values);
        EXPECT_TRUE(std::equal(one.values, one.values + 16, all.values + 16 * i)) << texts[i];
        tokens += one.n_tokens;
    }
    EXPECT_EQ(tokens, all.n_tokens);
    rlx_embed_options how;
    rlx_embed_options_init(&how);
    how.dimensions = 17;
    EXPECT_FAILS(
        rlx_model_embed(model.get(), given[0], &how, &all), RLX_INVALID_ARGUMENT, "have 16"
    );
    how.dimensions = 0;
    how.pooling = RLX_POOL_NONE;
    EXPECT_FAILS(
        rlx_model_embed_texts(model.get(), given.data(), 1, &how, &all),
        RLX_INVALID_ARGUMENT,
        "RLX_POOL_NONE"
    );
    how.pooling = 0;
    how.prompt_name = rlx_cstr("nothing");
    EXPECT_FAILS(
        rlx_model_embed(model.get(), given[0], &how, &all), RLX_INVALID_ARGUMENT, "document, query"
    );
    // An empty prompt is one: nothing before the text, whatever the role wants.
    how.prompt_name = {};
    how.role = RLX_TEXT_QUERY;
    const auto tokens_of = [&](rlx_str prompt) {
        how.prompt = prompt;
        rlx_embed_result one;
        rlx_embed_result_init(&one);
        EXPECT_OK(rlx_model_embed(model.get(), given[0], &how, &one));
        rlx_free(one.values);
        return one.n_tokens;
    };
    how.pooling = 0;
    EXPECT_EQ(tokens_of({}), tokens_of(rlx_cstr("query: ")));
    EXPECT_LT(tokens_of(rlx_cstr("")), tokens_of({}));
    how.prompt = {};
    how.role = 0;
    how.flags = RLX_EMBED_RAW | RLX_EMBED_UNIT;
    EXPECT_FAILS(rlx_model_embed(model.get(), given[0], &how, &all), RLX_INVALID_ARGUMENT, "UNIT");
}

TEST(c_api, a_family_is_chosen_among_those_that_claim_the_checkpoint) {
    const std::string path = RLX_SOURCE_DIR "/tests/goldens/embedders/embedder";
    rlx_model_options o;
    rlx_model_options_init(&o);
    o.weights = s(path);
    o.task = RLX_MODEL_EMBED;
    o.family = rlx_cstr("clinicalbert");
    rlx_model* opened = nullptr;
    EXPECT_OK(rlx_model_open(&o, &opened));
    const c_model model(opened);
    rlx_model_info info;
    rlx_model_info_init(&info);
    EXPECT_OK(rlx_model_describe(opened, &info));
    EXPECT_EQ(std::string(info.family.p, info.family.n), "clinicalbert");
    o.family = rlx_cstr("qwen3");
    rlx_model* none = nullptr;
    EXPECT_FAILS(rlx_model_open(&o, &none), RLX_UNSUPPORTED, "belongs to family 'bert'");
}

TEST(c_api, a_cross_encoder_ranks_documents) {
    const c_model model = open_golden("reranker", RLX_MODEL_RERANK);
    const rlx_str documents[] = {
        rlx_cstr("x"), rlx_cstr("what was it, and for whom?"), rlx_cstr("word")};
    rlx_ranked* ranked = nullptr;
    std::uint64_t n = 0;
    EXPECT_OK(
        rlx_model_rerank(model.get(), rlx_cstr("what was it?"), documents, 3, nullptr, &ranked, &n)
    );
    const c_array<rlx_ranked> held(ranked);
    ASSERT_EQ(n, 3u);
    EXPECT_EQ(ranked[0].index, 1u);
    EXPECT_GE(ranked[0].score, ranked[1].score);
    EXPECT_GE(ranked[1].score, ranked[2].score);
    EXPECT_GT(ranked[0].n_tokens, 5);
    rlx_rerank_options how;
    rlx_rerank_options_init(&how);
    how.flags = 64;
    rlx_ranked* none = nullptr;
    EXPECT_FAILS(
        rlx_model_rerank(model.get(), rlx_cstr("q"), documents, 3, &how, &none, &n),
        RLX_INVALID_ARGUMENT,
        "flags"
    );
    EXPECT_EQ(none, nullptr);
    rlx_embed_result vector;
    rlx_embed_result_init(&vector);
    EXPECT_FAILS(
        rlx_model_embed(model.get(), documents[0], nullptr, &vector),
        RLX_INVALID_ARGUMENT,
        "opened to rank"
    );
    EXPECT_FAILS(
        rlx_model_rerank(story(), rlx_cstr("q"), documents, 3, nullptr, &none, &n),
        RLX_INVALID_ARGUMENT,
        "open it to rank"
    );
}

} // namespace rlx::test
