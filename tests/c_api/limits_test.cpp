// SPDX-License-Identifier: GPL-3.0-only
// The C API with everything missing, short, absurd or wrong: each call says so and nothing breaks.
#include "c_api.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <dlfcn.h>
#include <fstream>
#include <functional>
#include <regex>
#include <set>

namespace rlx::test {
namespace {

const rlx_str hello = {"hello", 5};

template <class T>
T sized() {
    T out{};
    out.size = sizeof out;
    return out;
}

// Every call that takes a model, given this one and otherwise good arguments.
std::vector<std::function<rlx_error*(rlx_model*)>> calls_on_a_model() {
    static std::int32_t* ids;
    static float* floats;
    static char* text;
    static rlx_ranked* ranked;
    static std::uint64_t n;
    static rlx_model_info info;
    static rlx_memory_plan plan;
    static rlx_note note;
    static rlx_embed_result vector;
    info = sized<rlx_model_info>();
    plan = sized<rlx_memory_plan>();
    note = sized<rlx_note>();
    vector = sized<rlx_embed_result>();
    static constexpr std::int32_t one = 1;
    static const rlx_message message{hello, hello};
    static const auto ignore =
        [](void*, std::int64_t, std::int64_t, std::int64_t, const float*) -> std::uint32_t {
        return 0;
    };
    return {
        [](rlx_model* m) { return rlx_model_describe(m, &info); },
        [](rlx_model* m) { return rlx_model_memory(m, &plan); },
        [](rlx_model* m) { return rlx_model_note(m, 0, &note); },
        [](rlx_model* m) { return rlx_model_tokenize(m, hello, 0, &ids, &n); },
        [](rlx_model* m) { return rlx_model_detokenize(m, &one, 1, &text, &n); },
        [](rlx_model* m) { return rlx_model_render_chat(m, &message, 1, nullptr, &text, &n); },
        [](rlx_model* m) { return rlx_model_render_chat_json(m, hello, nullptr, &text, &n); },
        [](rlx_model* m) {
            return rlx_model_generate(m, hello, nullptr, nullptr, nullptr, nullptr);
        },
        [](rlx_model* m) {
            return rlx_model_generate_ids(m, &one, 1, nullptr, nullptr, nullptr, nullptr);
        },
        [](rlx_model* m) { return rlx_model_logits(m, &one, 1, &floats, &n); },
        [](rlx_model* m) { return rlx_model_logits_each(m, &one, 1, ignore, nullptr); },
        [](rlx_model* m) { return rlx_model_embed(m, hello, nullptr, &vector); },
        [](rlx_model* m) { return rlx_model_embed_ids(m, &one, 1, nullptr, &vector); },
        [](rlx_model* m) { return rlx_model_embed_texts(m, &hello, 1, nullptr, &vector); },
        [](rlx_model* m) { return rlx_model_rerank(m, hello, &hello, 1, nullptr, &ranked, &n); },
    };
}

TEST(c_api_limits, a_missing_model_is_said_by_every_call) {
    for (const auto& call : calls_on_a_model())
        EXPECT_FAILS(call(nullptr), RLX_INVALID_ARGUMENT, "model is NULL");
}

TEST(c_api_limits, missing_results_are_said_by_every_call) {
    rlx_model* const m = story();
    rlx_model* const e = story(RLX_MODEL_EMBED);
    std::uint64_t n = 7;
    std::int32_t* ids = nullptr;
    char* text = nullptr;
    float* floats = nullptr;
    const std::int32_t one = 1;
    const rlx_message message{hello, hello};
    const rlx_model_options o = story_options();
    rlx_model* none = nullptr;
    rlx_memory_plan plan = sized<rlx_memory_plan>();
    rlx_embed_result vector = sized<rlx_embed_result>();
    rlx_error* const failures[] = {
        rlx_model_open(&o, nullptr),
        rlx_model_open(nullptr, &none),
        rlx_model_plan(&o, nullptr),
        rlx_model_plan(nullptr, &plan),
        rlx_model_describe(m, nullptr),
        rlx_model_memory(m, nullptr),
        rlx_model_note(m, 0, nullptr),
        rlx_model_tokenize(m, hello, 0, nullptr, &n),
        rlx_model_tokenize(m, hello, 0, &ids, nullptr),
        rlx_model_tokenize(m, {nullptr, 3}, 0, &ids, &n),
        rlx_model_detokenize(m, &one, 1, nullptr, &n),
        rlx_model_detokenize(m, &one, 1, &text, nullptr),
        rlx_model_detokenize(m, nullptr, 1, &text, &n),
        rlx_model_render_chat(m, &message, 1, nullptr, nullptr, &n),
        rlx_model_render_chat(m, &message, 1, nullptr, &text, nullptr),
        rlx_model_render_chat(m, nullptr, 1, nullptr, &text, &n),
        rlx_model_render_chat_json(m, {nullptr, 3}, nullptr, &text, &n),
        rlx_model_generate(m, {nullptr, 3}, nullptr, nullptr, nullptr, nullptr),
        rlx_model_generate_ids(m, nullptr, 1, nullptr, nullptr, nullptr, nullptr),
        rlx_model_logits(m, &one, 1, nullptr, &n),
        rlx_model_logits(m, &one, 1, &floats, nullptr),
        rlx_model_logits(m, nullptr, 1, &floats, &n),
        rlx_model_logits_each(m, &one, 1, nullptr, nullptr),
        rlx_model_embed(e, hello, nullptr, nullptr),
        rlx_model_embed(e, {nullptr, 3}, nullptr, &vector),
        rlx_model_embed_ids(e, nullptr, 1, nullptr, &vector)};
    for (std::size_t i = 0; i < std::size(failures); ++i) {
        const outcome failed(failures[i]);
        EXPECT_EQ(failed.code, std::uint32_t{RLX_INVALID_ARGUMENT}) << i << failed.message;
        EXPECT_TRUE(failed.says("is NULL")) << i << failed.message;
    }
    EXPECT_EQ(n, 0U);
}

TEST(c_api_limits, nothing_to_do_is_an_error_with_a_reason) {
    const std::int32_t one = 1;
    float* floats = nullptr;
    char* text = nullptr;
    std::uint64_t n = 0;
    rlx_embed_result vector = sized<rlx_embed_result>();
    EXPECT_FAILS(
        rlx_model_generate_ids(story(), &one, 0, nullptr, nullptr, nullptr, nullptr),
        RLX_INVALID_ARGUMENT,
        "prompt is empty"
    );
    EXPECT_FAILS(rlx_model_logits(story(), &one, 0, &floats, &n), RLX_INVALID_ARGUMENT, "empty");
    EXPECT_FAILS(
        rlx_model_render_chat(story(), nullptr, 0, nullptr, &text, &n),
        RLX_INVALID_ARGUMENT,
        "no messages"
    );
    EXPECT_FAILS(
        rlx_model_embed_ids(story(RLX_MODEL_EMBED), &one, 0, nullptr, &vector),
        RLX_INVALID_ARGUMENT,
        "at least one token"
    );
}

TEST(c_api_limits, free_functions_take_null) {
    rlx_free(nullptr);
    rlx_error_free(nullptr);
    rlx_model_close(nullptr);
    rlx_cancel_raise(nullptr);
    rlx_cancel_clear(nullptr);
    rlx_log_set(nullptr, nullptr, 0);
    EXPECT_EQ(rlx_error_code(nullptr), std::uint32_t{RLX_OK});
    EXPECT_STREQ(rlx_error_message(nullptr), "");
    EXPECT_EQ(rlx_cstr(nullptr).n, 0U);
}

TEST(c_api_limits, every_status_has_a_name) {
    std::set<std::string> names;
    for (std::uint32_t code = RLX_OK; code <= RLX_NETWORK; ++code)
        names.insert(rlx_status_name(code));
    EXPECT_EQ(names.size(), std::size_t{RLX_NETWORK} + 1);
    EXPECT_STREQ(rlx_status_name(RLX_NOT_FOUND), "RLX_NOT_FOUND");
    EXPECT_STREQ(rlx_status_name(RLX_NETWORK), "RLX_NETWORK");
    EXPECT_STREQ(rlx_status_name(RLX_NETWORK + 1), "RLX_UNKNOWN");
}

// ---- structs of other sizes ----

TEST(c_api_limits, a_size_no_version_has_is_refused) {
    for (const std::uint32_t size : {0U, 4U, 12U, 0xffffffffU}) {
        rlx_model* model = nullptr;
        rlx_model_options o = story_options();
        o.size = size;
        EXPECT_FAILS(
            rlx_model_open(&o, &model), RLX_INVALID_ARGUMENT, "rlx_model_options: size is"
        );
        rlx_memory_plan plan{};
        plan.size = size;
        EXPECT_FAILS(rlx_model_memory(story(), &plan), RLX_INVALID_ARGUMENT, "rlx_memory_plan");
        rlx_generate_options how{};
        how.size = size;
        EXPECT_FAILS(
            rlx_model_generate(story(), hello, &how, nullptr, nullptr, nullptr),
            RLX_INVALID_ARGUMENT,
            "rlx_generate_options"
        );
        rlx_generate_result result{};
        result.size = size;
        EXPECT_FAILS(
            rlx_model_generate(story(), hello, nullptr, nullptr, nullptr, &result),
            RLX_INVALID_ARGUMENT,
            "rlx_generate_result"
        );
        rlx_embed_result vector{};
        vector.size = size;
        EXPECT_FAILS(
            rlx_model_embed(story(RLX_MODEL_EMBED), hello, nullptr, &vector),
            RLX_INVALID_ARGUMENT,
            "rlx_embed_result"
        );
        rlx_note note{};
        note.size = size;
        EXPECT_FAILS(rlx_model_note(story(), 0, &note), RLX_INVALID_ARGUMENT, "rlx_note");
    }
}

// A program built with an older header: its structs end earlier, the rest of its memory is its own.
TEST(c_api_limits, shorter_structs_are_filled_as_far_as_they_go) {
    struct {
        rlx_generate_result result;
        unsigned char beyond[16];
    } old{};

    const rlx_generate_options how = [] {
        auto o = sized<rlx_generate_options>();
        o.max_tokens = 2;
        return o;
    }();
    for (std::uint32_t size = 8; size <= sizeof old.result; size += 8) {
        std::memset(&old, 0xee, sizeof old);
        old.result.size = size;
        EXPECT_OK(rlx_model_generate(story(), hello, &how, nullptr, nullptr, &old.result));
        EXPECT_EQ(old.result.size, size);
        EXPECT_EQ(old.result.finish_reason, std::uint32_t{RLX_FINISH_LENGTH});
        const auto* bytes = reinterpret_cast<const unsigned char*>(&old);
        EXPECT_TRUE(std::all_of(bytes + size, bytes + sizeof old, [](unsigned char c) {
            return c == 0xee;
        })) << size;
        if (size >= 16) rlx_free(old.result.text);
        if (size >= 32) rlx_free(old.result.tokens);
    }
    // Options likewise: what an older header lacks is the default, whatever lies behind.
    for (std::uint32_t size = 8; size <= sizeof how; size += 8) {
        rlx_generate_options given;
        std::memset(&given, 0xee, sizeof given);
        std::memcpy(&given, &how, size);
        given.size = size;
        std::uint32_t count = 0;
        const auto stop_at_two = [](void* ctx, std::int32_t, rlx_str) -> std::uint32_t {
            return ++*static_cast<std::uint32_t*>(ctx) == 2;
        };
        EXPECT_OK(rlx_model_generate(story(), hello, &given, stop_at_two, &count, nullptr));
        EXPECT_EQ(count, 2U);
    }
}

TEST(c_api_limits, a_newer_programs_option_is_refused_only_when_it_is_set) {
    struct {
        rlx_generate_options options;
        std::uint64_t future;
    } newer{sized<rlx_generate_options>(), 0};

    newer.options.size = sizeof newer;
    newer.options.max_tokens = 1;
    EXPECT_OK(rlx_model_generate(story(), hello, &newer.options, nullptr, nullptr, nullptr));
    newer.future = 1;
    EXPECT_FAILS(
        rlx_model_generate(story(), hello, &newer.options, nullptr, nullptr, nullptr),
        RLX_UNSUPPORTED,
        "does not know"
    );

    struct {
        rlx_model_info info;
        std::uint64_t future;
    } info{{}, 0xeeeeeeee};

    info.info.size = sizeof info;
    EXPECT_OK(rlx_model_describe(story(), &info.info));
    EXPECT_EQ(info.future, 0U);
}

// ---- values out of range ----

TEST(c_api_limits, model_options_out_of_range_name_themselves) {
    const std::pair<std::function<void(rlx_model_options&)>, const char*> wrong[] = {
        {[](auto& o) {
             o.weights = {nullptr, 0};
         },
         "no weights"},
        {[](auto& o) {
             o.weights = {"a\0b", 3};
         },
         "weights has a NUL"},
        {[](auto& o) { o.task = 9; }, "task is 9"},
        {[](auto& o) { o.max_seq = -1; }, "max_seq is -1"},
        {[](auto& o) { o.max_batch = -1; }, "max_batch is -1"},
        {[](auto& o) { o.max_rows = -1; }, "max_rows is -1"},
        {[](auto& o) { o.max_seq = INT64_MAX; }, "max_seq"},
        {[](auto& o) { o.compute = rlx_cstr("f8"); }, "compute is 'f8'"},
        {[](auto& o) { o.kv = rlx_cstr("f8"); }, "kv is 'f8'"},
        {[](auto& o) { o.threads = 1u << 30; }, "threads"},
        {[](auto& o) { o.fallback = 7; }, "fallback is 7, expected one of RLX_FALLBACK_*"},
        {[](auto& o) { o.plugin_dirs = nullptr, o.n_plugin_dirs = 1; }, "plugin_dirs is NULL"}};
    for (const auto& [change, says] : wrong) {
        rlx_model_options o = story_options();
        change(o);
        rlx_model* model = nullptr;
        EXPECT_FAILS(rlx_model_open(&o, &model), RLX_INVALID_ARGUMENT, says);
        EXPECT_EQ(model, nullptr);
    }
    rlx_model_options o = story_options();
    o.weights = rlx_cstr("/nowhere/model.gguf");
    rlx_model* model = nullptr;
    EXPECT_FAILS(rlx_model_open(&o, &model), RLX_NOT_FOUND, "/nowhere/model.gguf");
    o = story_options();
    o.config = rlx_cstr("/nowhere/config.json");
    EXPECT_FAILS(rlx_model_open(&o, &model), RLX_NOT_FOUND, "/nowhere/config.json");
    o = story_options();
    o.tokenizer = rlx_cstr("/nowhere/tokenizer.json");
    EXPECT_FAILS(rlx_model_open(&o, &model), RLX_NOT_FOUND, "/nowhere/tokenizer.json: no such");
    o.tokenizer = rlx_cstr("/");
    EXPECT_FAILS(rlx_model_open(&o, &model), RLX_NOT_FOUND, "tokenizer /: a folder");
    o.tokenizer = rlx_cstr(RLX_HEADER); // read when the model is opened, and named
    EXPECT_FAILS(rlx_model_open(&o, &model), RLX_CORRUPT_DATA, "rlx.h: tokenizer.json: bad JSON");
    o = story_options();
    o.profile = rlx_cstr("/nowhere/qwen3.rlx.toml");
    EXPECT_FAILS(rlx_model_open(&o, &model), RLX_NOT_FOUND, "/nowhere/qwen3.rlx.toml");
    o = story_options();
    o.n_plugin_dirs = 1;
    const rlx_str relative = rlx_cstr("plugins"), nowhere = rlx_cstr("/nowhere/plugins");
    o.plugin_dirs = &relative;
    EXPECT_FAILS(
        rlx_model_open(&o, &model),
        RLX_INVALID_ARGUMENT,
        "plugin_dirs: 'plugins' is not an absolute path"
    );
    o.plugin_dirs = &nowhere;
    EXPECT_FAILS(rlx_model_open(&o, &model), RLX_NOT_FOUND, "/nowhere/plugins: no such directory");
    o = story_options();
    o.tier = rlx_cstr("avx9000");
    EXPECT_FAILS(rlx_model_open(&o, &model), RLX_INVALID_ARGUMENT, "avx9000");
    o = story_options();
    o.family = rlx_cstr("llama32");
    EXPECT_FAILS(rlx_model_open(&o, &model), RLX_UNSUPPORTED, "llama32");
}

TEST(c_api_limits, generate_options_out_of_range_name_themselves) {
    static const rlx_str empty_stop[] = {{"", 0}};
    static const std::int32_t below = -1, above = 5000;
    static const rlx_logit_bias foreign = {5000, 0, 1}, marked = {1, 7, 1};
    const std::pair<std::function<void(rlx_generate_options&)>, const char*> wrong[] = {
        {[](auto& o) { o.flags = 1u << 30; }, "flags"},
        {[](auto& o) { o.max_tokens = -1; }, "max_tokens is -1"},
        {[](auto& o) { o.temperature = 0.0 / 0.0; }, "temperature"},
        {[](auto& o) { o.temperature = -1; }, "temperature is -1, expected 0 or more"},
        {[](auto& o) { o.top_k = -1; }, "top_k"},
        {[](auto& o) { o.top_p = -1; }, "top_p is -1, expected 0 to 1"},
        {[](auto& o) { o.top_p = 1.5; }, "top_p is 1.5, expected 0 to 1"},
        {[](auto& o) { o.min_p = -1; }, "min_p is -1, expected 0 to 1"},
        {[](auto& o) { o.min_p = 1.5; }, "min_p is 1.5, expected 0 to 1"},
        {[](auto& o) { o.repetition_penalty = -1; }, "repetition_penalty"},
        {[](auto& o) { o.repetition_window = -1; }, "repetition_window"},
        {[](auto& o) { o.n_stop = 1; }, "stop is NULL"},
        {[](auto& o) { o.stop = empty_stop, o.n_stop = 1; }, "a text is empty"},
        {[](auto& o) { o.n_stop_ids = 1; }, "stop_ids is NULL"},
        {[](auto& o) { o.stop_ids = &below, o.n_stop_ids = 1; }, "stop_ids has id -1"},
        {[](auto& o) { o.stop_ids = &above, o.n_stop_ids = 1; }, "stop_ids has id 5000"},
        {[](auto& o) { o.logit_bias = &foreign, o.n_logit_bias = 1; }, "logit_bias has id 5000"},
        {[](auto& o) { o.logit_bias = &marked, o.n_logit_bias = 1; },
         "rlx_logit_bias: reserved is 7"},
        {[](auto& o) { o.n_logit_bias = UINT64_MAX; }, "logit_bias is NULL"}};
    for (const auto& [change, says] : wrong) {
        auto o = sized<rlx_generate_options>();
        change(o);
        auto result = sized<rlx_generate_result>();
        EXPECT_FAILS(
            rlx_model_generate(story(), hello, &o, nullptr, nullptr, &result),
            RLX_INVALID_ARGUMENT,
            says
        );
        EXPECT_EQ(result.text, nullptr);
        EXPECT_EQ(result.n_tokens, 0U);
    }
}

TEST(c_api_limits, other_arguments_out_of_range_name_themselves) {
    const std::int32_t bad_ids[] = {1, 5000};
    const std::vector<std::int32_t> many(300, 1);
    float* floats = nullptr;
    char* text = nullptr;
    std::int32_t* ids = nullptr;
    std::uint64_t n = 0;
    auto vector = sized<rlx_embed_result>();
    auto how = sized<rlx_embed_options>();
    how.pooling = 9;
    auto chat = sized<rlx_chat_options>();
    chat.flags = 2;
    const rlx_message message{hello, {"\xff", 1}}, fine{hello, hello};
    rlx_model* const e = story(RLX_MODEL_EMBED);
    EXPECT_FAILS(
        rlx_model_logits(story(), bad_ids, 2, &floats, &n), RLX_INVALID_ARGUMENT, "id 5000"
    );
    EXPECT_FAILS(
        rlx_model_logits(story(), many.data(), 300, &floats, &n),
        RLX_INVALID_ARGUMENT,
        "max_seq is 256"
    );
    EXPECT_FAILS(
        rlx_model_detokenize(story(), bad_ids, 2, &text, &n), RLX_INVALID_ARGUMENT, "5000"
    );
    EXPECT_FAILS(
        rlx_model_detokenize(story(), bad_ids, UINT64_MAX, &text, &n), RLX_INVALID_ARGUMENT, "ids"
    );
    EXPECT_FAILS(
        rlx_model_tokenize(story(), hello, 1u << 31, &ids, &n), RLX_INVALID_ARGUMENT, "flags"
    );
    EXPECT_FAILS(rlx_model_embed(e, hello, &how, &vector), RLX_INVALID_ARGUMENT, "pooling is 9");
    how.pooling = 0;
    how.role = 7;
    EXPECT_FAILS(rlx_model_embed(e, hello, &how, &vector), RLX_INVALID_ARGUMENT, "role is 7");
    EXPECT_FAILS(
        rlx_model_render_chat(story(), &fine, 1, &chat, &text, &n), RLX_INVALID_ARGUMENT, "flags"
    );
    EXPECT_FAILS(
        rlx_model_render_chat(story(), &message, 1, nullptr, &text, &n),
        RLX_INVALID_ARGUMENT,
        "UTF-8"
    );
}

TEST(c_api_limits, a_model_is_as_good_as_new_after_an_error) {
    const auto answer = [] {
        auto how = sized<rlx_generate_options>();
        how.max_tokens = 12;
        auto result = sized<rlx_generate_result>();
        EXPECT_OK(rlx_model_generate(story(), hello, &how, nullptr, nullptr, &result));
        const c_array<char> text(result.text);
        const c_array<std::int32_t> tokens(result.tokens);
        return std::string(text.get());
    };
    const std::string before = answer();
    for (const auto& call : calls_on_a_model())
        outcome ignored(call(nullptr));
    const std::vector<std::int32_t> wrong(10, 5000);
    auto how = sized<rlx_generate_options>();
    EXPECT_FAILS(
        rlx_model_generate_ids(story(), wrong.data(), 10, &how, nullptr, nullptr, nullptr),
        RLX_INVALID_ARGUMENT,
        "5000"
    );
    EXPECT_EQ(answer(), before);
}

// ---- the library's face ----

std::set<std::string> declared_functions() {
    std::ifstream in(RLX_HEADER);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    std::set<std::string> out;
    const std::regex declaration(R"(\nRLX_C_API [a-z0-9_ *]*[ *\n](rlx_[a-z_]+)\()");
    for (std::sregex_iterator it(text.begin(), text.end(), declaration), end; it != end; ++it)
        out.insert((*it)[1]);
    return out;
}

// What programs link against: a name that goes away breaks them.
TEST(c_api_limits, the_symbols_are_the_ones_of_this_list) {
    const std::set<std::string> pinned = {
        "rlx_abi_version",
        "rlx_cancel_clear",
        "rlx_cancel_raise",
        "rlx_devices",
        "rlx_error_code",
        "rlx_error_free",
        "rlx_error_message",
        "rlx_free",
        "rlx_log_set",
        "rlx_model_close",
        "rlx_model_describe",
        "rlx_model_detokenize",
        "rlx_model_embed",
        "rlx_model_embed_ids",
        "rlx_model_embed_texts",
        "rlx_model_generate",
        "rlx_model_generate_ids",
        "rlx_model_logits",
        "rlx_model_logits_each",
        "rlx_model_memory",
        "rlx_model_note",
        "rlx_model_open",
        "rlx_model_plan",
        "rlx_model_render_chat",
        "rlx_model_render_chat_json",
        "rlx_model_rerank",
        "rlx_model_tokenize",
        "rlx_status_name",
        "rlx_version",
        "rlx_version_number"};
    EXPECT_EQ(declared_functions(), pinned);
    for (const std::string& name : pinned)
        EXPECT_NE(dlvsym(RTLD_DEFAULT, name.c_str(), "RLX_0"), nullptr) << name;
}

TEST(c_api_limits, log_messages_reach_the_function_that_was_set) {
    std::string seen;
    const auto store = [](void* ctx, std::uint32_t level, rlx_str component, rlx_str message) {
        auto& out = *static_cast<std::string*>(ctx);
        out += std::to_string(level) + " " + std::string(component.p, component.n) + " " +
               std::string(message.p, message.n) + "\n";
    };
    rlx_model_options o = story_options();
    o.max_seq = 100000;
    rlx_log_set(store, &seen, RLX_LOG_WARN);
    rlx_model* model = nullptr;
    EXPECT_OK(rlx_model_open(&o, &model));
    rlx_log_set(nullptr, nullptr, 0);
    rlx_model_close(model);
    EXPECT_NE(seen.find("1 runtime max_seq 100000"), std::string::npos) << seen;
    const std::size_t length = seen.size();
    EXPECT_OK(rlx_model_open(&o, &model));
    rlx_model_close(model);
    EXPECT_EQ(seen.size(), length);
}

} // namespace
} // namespace rlx::test
