// SPDX-License-Identifier: GPL-3.0-only
// The C API's part with text and ids: tokens, chat, generating, logits.
#include "c_api.hpp"

#include <cstddef>

namespace rlx::c_api {
namespace {

using id_span = std::span<const std::int32_t>;

constexpr std::uint32_t tokenize_flags = RLX_TOKENIZE_ADD_SPECIAL | RLX_TOKENIZE_PARSE_SPECIAL;
constexpr std::uint32_t generate_flags =
    RLX_GENERATE_RENDERED | RLX_GENERATE_KEEP_CACHE | RLX_GENERATE_IGNORE_EOS;

void put_text(array_result<char>& out, std::string_view text) {
    out.put(text_out(text), text.size());
}

result<sample_options> read_sampling(const rlx_generate_options& o) {
    sample_options s;
    s.temperature = o.temperature;
    s.top_k = o.top_k;
    if (o.top_p != 0) s.top_p = o.top_p;
    s.min_p = o.min_p;
    if (o.repetition_penalty != 0) s.repetition_penalty = o.repetition_penalty;
    s.presence_penalty = o.presence_penalty;
    s.frequency_penalty = o.frequency_penalty;
    if (o.repetition_window != 0) s.repetition_window = o.repetition_window;
    s.seed = o.seed;
    for (const rlx_logit_bias& b :
         RLX_TRY(read_array(o.logit_bias, o.n_logit_bias, "logit_bias"))) {
        RLX_CHECK(check_reserved(b.reserved, "rlx_logit_bias"));
        s.logit_bias.emplace_back(b.id, b.bias);
    }
    return s;
}

result<generate_options> read_generate(const rlx_generate_options& o) {
    RLX_CHECK(check_flags(o.flags, generate_flags, "rlx_generate_options"));
    if (o.max_tokens < 0)
        return error{
            RLX_INVALID_ARGUMENT,
            fmt::format("max_tokens is {}, expected 0 or more", o.max_tokens)};
    generate_options out;
    out.sample = RLX_TRY(read_sampling(o));
    out.max_tokens = o.max_tokens == 0 ? -1 : o.max_tokens;
    for (const rlx_str& given : RLX_TRY(read_array(o.stop, o.n_stop, "stop"))) {
        const std::string_view text = RLX_TRY(read_text(given, "stop"));
        if (text.empty()) return error{RLX_INVALID_ARGUMENT, "stop: a text is empty"};
        out.stop.emplace_back(text);
    }
    const id_span stop_ids = RLX_TRY(read_array(o.stop_ids, o.n_stop_ids, "stop_ids"));
    out.stop_ids.assign(stop_ids.begin(), stop_ids.end());
    out.ignore_eos = (o.flags & RLX_GENERATE_IGNORE_EOS) != 0;
    out.cancel = watched(o.cancel);
    if (o.prefill)
        out.prefill_progress = [fn = o.prefill,
                                ctx = o.prefill_ctx](std::int64_t done, std::int64_t all) {
            fn(ctx, static_cast<std::uint64_t>(done), static_cast<std::uint64_t>(all));
        };
    return out;
}

std::uint32_t as_finish(std::string_view reason) {
    if (reason == "stop") return RLX_FINISH_STOP;
    if (reason == "length") return RLX_FINISH_LENGTH;
    return RLX_FINISH_CANCELLED;
}

void put_generated(
    const generate_result& made, const std::vector<std::string>& stops, rlx_generate_result* out
) {
    owned<char> text = text_out(made.text);
    owned<std::int32_t> tokens = copy_out(made.tokens.data(), made.tokens.size());
    rlx_generate_result r{};
    r.finish_reason = as_finish(made.finish_reason);
    r.n_text = made.text.size();
    r.n_tokens = made.tokens.size();
    const auto stop = std::ranges::find(stops, made.stop_text);
    r.stop_index = made.stop_text.empty() || stop == stops.end() ? -1 : stop - stops.begin();
    r.prompt_tokens = made.usage.prompt_tokens;
    r.cached_tokens = made.usage.cached_tokens;
    r.prefill_tokens = made.timings.prefill_tokens;
    r.decode_steps = made.timings.decode_steps;
    r.prefill_seconds = made.timings.prefill_s;
    r.decode_seconds = made.timings.decode_s;
    // A caller whose struct has no place for them gets nothing to free.
    if (out->size >= offsetof(rlx_generate_result, text) + sizeof r.text) r.text = text.release();
    if (out->size >= offsetof(rlx_generate_result, tokens) + sizeof r.tokens)
        r.tokens = tokens.release();
    write_result(out, r);
}

// `prompt`: (runner, flags) -> result<ids>.
template <class Prompt>
rlx_error* generate(
    rlx_model* model,
    const rlx_generate_options* options,
    rlx_token_fn on_token,
    void* ctx,
    rlx_generate_result* out,
    Prompt&& prompt
) {
    return guarded([&]() -> result<void> {
        if (out) RLX_CHECK(clear_result(out, "rlx_generate_result"));
        const use held = RLX_TRY(use::begin(model));
        const rlx_generate_options given = RLX_TRY(read_options(options, "rlx_generate_options"));
        const generate_options how = RLX_TRY(read_generate(given));
        token_callback callback;
        if (on_token)
            callback = [&](std::int32_t id, std::string_view text) {
                return on_token(ctx, id, str(text)) == 0;
            };
        lm_runner& runner = *RLX_TRY(held.runner());
        const auto ids = RLX_TRY(prompt(runner, given.flags));
        const bool keep = (given.flags & RLX_GENERATE_KEEP_CACHE) != 0;
        const generate_result made = RLX_TRY(runner.generate(id_span(ids), how, callback, keep));
        if (out) put_generated(made, how.stop, out);
        return {};
    });
}

result<std::vector<chat_message>> read_messages(const rlx_message* first, std::uint64_t n) {
    std::vector<chat_message> out;
    for (const rlx_message& m : RLX_TRY(read_array(first, n, "messages")))
        out.push_back(
            {std::string(RLX_TRY(read_text(m.role, "role"))),
             std::string(RLX_TRY(read_text(m.content, "content")))}
        );
    return out;
}

result<render_options> read_chat(const rlx_chat_options* given) {
    const rlx_chat_options o = RLX_TRY(read_options(given, "rlx_chat_options"));
    RLX_CHECK(check_flags(o.flags, RLX_CHAT_NO_GENERATION_PROMPT, "rlx_chat_options"));
    render_options out;
    out.add_generation_prompt = (o.flags & RLX_CHAT_NO_GENERATION_PROMPT) == 0;
    out.extra_json = RLX_TRY(read_text(o.extra_json, "extra_json"));
    out.now = RLX_TRY(read_text(o.now, "now"));
    return out;
}

// `messages`: () -> result of what lm_runner::render_chat takes.
template <class Messages>
rlx_error* render(
    rlx_model* model,
    const rlx_chat_options* options,
    char** text,
    std::uint64_t* n_text,
    Messages&& messages
) {
    return guarded([&]() -> result<void> {
        auto out = RLX_TRY(array_result<char>::begin(text, n_text, "text or n_text"));
        const use held = RLX_TRY(use::begin(model));
        const render_options how = RLX_TRY(read_chat(options));
        put_text(out, RLX_TRY(RLX_TRY(held.runner())->render_chat(RLX_TRY(messages()), how)));
        return {};
    });
}

} // namespace
} // namespace rlx::c_api

using namespace rlx::c_api;

rlx_error*
rlx_model_tokenize(rlx_model* model, rlx_str text, uint32_t flags, int32_t** ids, uint64_t* n_ids) {
    return guarded([&]() -> rlx::result<void> {
        auto out = RLX_TRY(array_result<int32_t>::begin(ids, n_ids, "ids or n_ids"));
        const use held = RLX_TRY(use::begin(model));
        RLX_CHECK(check_flags(flags, tokenize_flags, "rlx_model_tokenize"));
        const auto made = RLX_TRY(held.files().tokenize(
            RLX_TRY(read_text(text, "text")),
            {.add_special = (flags & RLX_TOKENIZE_ADD_SPECIAL) != 0,
             .parse_special = (flags & RLX_TOKENIZE_PARSE_SPECIAL) != 0}
        ));
        out.put(copy_out(made.data(), made.size()), made.size());
        return {};
    });
}

rlx_error* rlx_model_detokenize(
    rlx_model* model, const int32_t* ids, uint64_t n_ids, char** text, uint64_t* n_text
) {
    return guarded([&]() -> rlx::result<void> {
        auto out = RLX_TRY(array_result<char>::begin(text, n_text, "text or n_text"));
        const use held = RLX_TRY(use::begin(model));
        put_text(out, RLX_TRY(held.files().detokenize(RLX_TRY(read_array(ids, n_ids, "ids")))));
        return {};
    });
}

rlx_error* rlx_model_render_chat(
    rlx_model* model,
    const rlx_message* messages,
    uint64_t n_messages,
    const rlx_chat_options* options,
    char** text,
    uint64_t* n_text
) {
    return render(model, options, text, n_text, [&] {
        return read_messages(messages, n_messages);
    });
}

rlx_error* rlx_model_render_chat_json(
    rlx_model* model,
    rlx_str messages,
    const rlx_chat_options* options,
    char** text,
    uint64_t* n_text
) {
    return render(model, options, text, n_text, [&]() -> rlx::result<std::string_view> {
        return RLX_TRY(read_text(messages, "messages"));
    });
}

rlx_error* rlx_model_generate(
    rlx_model* model,
    rlx_str prompt,
    const rlx_generate_options* options,
    rlx_token_fn on_token,
    void* ctx,
    rlx_generate_result* result
) {
    const auto tokenize = [&](rlx::lm_runner& r,
                              uint32_t flags) -> rlx::result<std::vector<int32_t>> {
        const bool rendered = (flags & RLX_GENERATE_RENDERED) != 0;
        return r.tokenize(
            RLX_TRY(read_text(prompt, "prompt")),
            {.add_special = !rendered, .parse_special = rendered}
        );
    };
    return generate(model, options, on_token, ctx, result, tokenize);
}

rlx_error* rlx_model_generate_ids(
    rlx_model* model,
    const int32_t* ids,
    uint64_t n_ids,
    const rlx_generate_options* options,
    rlx_token_fn on_token,
    void* ctx,
    rlx_generate_result* result
) {
    return generate(model, options, on_token, ctx, result, [&](rlx::lm_runner&, uint32_t) {
        return read_array(ids, n_ids, "ids");
    });
}

rlx_error* rlx_model_logits(
    rlx_model* model, const int32_t* ids, uint64_t n_ids, float** logits, uint64_t* n_logits
) {
    return guarded([&]() -> rlx::result<void> {
        auto out = RLX_TRY(array_result<float>::begin(logits, n_logits, "logits or n_logits"));
        const use held = RLX_TRY(use::begin(model));
        const auto row =
            RLX_TRY(RLX_TRY(held.runner())->predict_logits(RLX_TRY(read_array(ids, n_ids, "ids"))));
        out.put(copy_out(row.data(), row.size()), row.size());
        return {};
    });
}

rlx_error* rlx_model_logits_each(
    rlx_model* model, const int32_t* ids, uint64_t n_ids, rlx_rows_fn on_rows, void* ctx
) {
    return guarded([&]() -> rlx::result<void> {
        if (!on_rows) return missing("on_rows");
        const use held = RLX_TRY(use::begin(model));
        rlx::lm_runner& runner = *RLX_TRY(held.runner());
        const int64_t width = runner.vocab_size();
        const auto forward = [&](int64_t first, std::span<const float> rows) -> rlx::result<void> {
            const auto n = static_cast<int64_t>(rows.size()) / width;
            if (on_rows(ctx, first, n, width, rows.data()) == 0) return {};
            return rlx::error{RLX_CANCELLED, "the rows callback said stop"};
        };
        return runner.logits(RLX_TRY(read_array(ids, n_ids, "ids")), 0, forward);
    });
}
