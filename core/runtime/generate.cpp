// SPDX-License-Identifier: GPL-3.0-only
#include "rlx/runtime/generate.hpp"

#include "rlx/text/text.hpp"
#include "stop_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace rlx {
namespace {

using clock = std::chrono::steady_clock;

double seconds_since(clock::time_point start) {
    return std::chrono::duration<double>(clock::now() - start).count();
}

bool raised(const std::atomic<std::uint32_t>* flag) {
    return flag && flag->load(std::memory_order_relaxed) != 0;
}

class generation {
public:
    generation(
        lm_model& model,
        lm_session& session,
        stream_decoder* decoder,
        const generate_options& options,
        const token_callback& callback,
        sampler&& chooser
    )
        : model_(model), session_(session), decoder_(decoder), options_(options),
          callback_(callback), sampler_(std::move(chooser)), stops_(options.stop) {}

    result<generate_result> run(std::span<const std::int32_t> prompt);

private:
    result<std::span<const float>> prefill(std::span<const std::int32_t> prompt);
    result<std::span<const float>> step(std::int32_t id);
    result<void> decode(std::span<const float> logits);
    result<void> take(std::int32_t id);

    void end(std::string reason) { out_.finish_reason = std::move(reason); }

    void flush();

    lm_model& model_;
    lm_session& session_;
    stream_decoder* decoder_;
    const generate_options& options_;
    const token_callback& callback_;
    sampler sampler_;
    stop_text stops_;
    generate_result out_;
};

// Feeds what the session does not hold yet; at least the last token, whose logits are wanted.
result<std::span<const float>> generation::prefill(std::span<const std::int32_t> prompt) {
    const auto common = std::ranges::mismatch(session_.tokens, prompt).in2 - prompt.begin();
    const auto keep = std::min<std::size_t>(static_cast<std::size_t>(common), prompt.size() - 1);
    RLX_CHECK(model_.rollback(*session_.sequence, static_cast<std::int64_t>(keep)));
    session_.tokens.resize(keep);
    out_.usage.cached_tokens = static_cast<std::int64_t>(keep);
    const lm_batch_item item{session_.sequence.get(), prompt.subspan(keep)};
    const eval_options how{.cancel = options_.cancel, .progress = &options_.prefill_progress};
    const auto logits = RLX_TRY(model_.eval({&item, 1}, how));
    session_.tokens.assign(prompt.begin(), prompt.end());
    out_.timings.prefill_tokens = static_cast<std::int64_t>(item.tokens.size());
    return logits;
}

result<std::span<const float>> generation::step(std::int32_t id) {
    const lm_batch_item item{session_.sequence.get(), {&id, 1}};
    const auto logits = RLX_TRY(model_.eval({&item, 1}, {.cancel = options_.cancel}));
    session_.tokens.push_back(id);
    ++out_.timings.decode_steps;
    return logits;
}

// Records a chosen token, decides whether it is the last and hands its text out.
result<void> generation::take(std::int32_t id) {
    out_.tokens.push_back(id);
    sampler_.accept(id);
    std::string text;
    if (!options_.ignore_eos &&
        std::ranges::find(options_.stop_ids, id) != options_.stop_ids.end()) {
        end("stop");
    } else if (decoder_) {
        text = stops_.push(RLX_TRY(decoder_->push(id)));
        if (stops_.matched()) {
            end("stop");
            out_.stop_text = *stops_.matched();
        }
    }
    // The last token sampled at a full cache could not be fed again.
    const bool full = session_.sequence->length() >= model_.max_seq();
    const auto count = static_cast<std::int64_t>(out_.tokens.size());
    if (out_.finish_reason.empty() && (full || count == options_.max_tokens)) end("length");
    if (!out_.finish_reason.empty() && decoder_) {
        text += stops_.push(decoder_->finish());
        text += stops_.finish();
    }
    out_.text += text;
    if (callback_ && !callback_(id, text) && out_.finish_reason.empty()) {
        end("cancelled");
        flush();
    }
    return {};
}

// Text held back by a run that ends between two tokens.
void generation::flush() {
    if (!decoder_) return;
    std::string text = stops_.push(decoder_->finish());
    text += stops_.finish();
    out_.text += text;
    if (callback_ && !text.empty()) callback_(-1, text);
}

result<void> generation::decode(std::span<const float> logits) {
    const auto start = clock::now();
    while (out_.finish_reason.empty()) {
        const std::int32_t id = RLX_TRY(sampler_.sample(logits));
        RLX_CHECK(take(id));
        if (!out_.finish_reason.empty()) break;
        auto next = raised(options_.cancel) ? error{RLX_CANCELLED, "cancelled"} : step(id);
        if (!next) {
            if (next.error().code != RLX_CANCELLED) return std::move(next.error());
            end("cancelled");
            flush();
            break;
        }
        logits = *next;
    }
    out_.timings.decode_s = seconds_since(start);
    return {};
}

result<generate_result> generation::run(std::span<const std::int32_t> prompt) {
    out_.usage.prompt_tokens = static_cast<std::int64_t>(prompt.size());
    const std::int64_t room = model_.max_seq() - out_.usage.prompt_tokens + 1;
    const std::int64_t most = options_.max_tokens < 0 ? room : std::min(room, options_.max_tokens);
    out_.tokens.reserve(static_cast<std::size_t>(most));
    session_.tokens.reserve(static_cast<std::size_t>(model_.max_seq()));
    for (const std::int32_t id : prompt)
        sampler_.accept(id);
    const auto start = clock::now();
    auto logits = prefill(prompt);
    out_.timings.prefill_s = seconds_since(start);
    if (!logits) {
        if (logits.error().code != RLX_CANCELLED) return std::move(logits.error());
        end("cancelled");
    } else if (options_.max_tokens == 0) {
        end("length");
    } else {
        RLX_CHECK(decode(*logits));
    }
    out_.usage.completion_tokens = static_cast<std::int64_t>(out_.tokens.size());
    return std::move(out_);
}

result<void> check_stop_ids(std::span<const std::int32_t> ids, std::int64_t vocab_size) {
    for (const std::int32_t id : ids)
        if (id < 0 || id >= vocab_size)
            return error{
                RLX_INVALID_ARGUMENT,
                fmt::format(
                    "stop_ids has id {}, the vocabulary has ids 0 to {}", id, vocab_size - 1
                )};
    return {};
}

result<void> check_prompt(const lm_model& model, std::span<const std::int32_t> prompt) {
    if (model.graph() != RLX_GRAPH_LM)
        return error{
            RLX_INVALID_ARGUMENT,
            fmt::format(
                "the model was opened for '{}' and has no logits; open it for '{}'",
                model.graph(),
                RLX_GRAPH_LM
            )};
    if (prompt.empty())
        return error{RLX_INVALID_ARGUMENT, "the prompt is empty: at least one token is needed"};
    if (static_cast<std::int64_t>(prompt.size()) > model.max_seq())
        return error{
            RLX_INVALID_ARGUMENT,
            fmt::format(
                "the prompt has {} tokens, max_seq is {}; raise max_seq or shorten the prompt",
                prompt.size(),
                model.max_seq()
            )};
    return {};
}

} // namespace

result<generate_result> generate(
    lm_model& model,
    lm_session& session,
    stream_decoder* decoder,
    std::span<const std::int32_t> prompt,
    const generate_options& options,
    const token_callback& callback
) {
    RLX_CHECK(check_prompt(model, prompt));
    if (!decoder && !options.stop.empty())
        return error{
            RLX_INVALID_ARGUMENT,
            "stop texts need a tokenizer, and the model has none; use stop ids"};
    RLX_CHECK(check_stop_ids(options.stop_ids, model.vocab_size()));
    sampler chooser = RLX_TRY(sampler::make(options.sample, model.vocab_size()));
    if (!session.sequence) {
        session.tokens.clear();
        session.sequence = RLX_TRY(model.new_sequence());
    }
    auto out =
        generation(model, session, decoder, options, callback, std::move(chooser)).run(prompt);
    if (!out) {
        // Who knows where it stopped: start afresh the next time.
        session.tokens.clear();
        session.sequence.reset();
    }
    return out;
}

result<generate_result> generate(
    lm_model& model,
    stream_decoder* decoder,
    std::span<const std::int32_t> prompt,
    const generate_options& options,
    const token_callback& callback
) {
    lm_session session;
    return generate(model, session, decoder, prompt, options, callback);
}

result<std::vector<float>> predict_logits(lm_model& model, std::span<const std::int32_t> ids) {
    RLX_CHECK(check_prompt(model, ids));
    const auto sequence = RLX_TRY(model.new_sequence());
    const lm_batch_item item{sequence.get(), ids};
    const auto logits = RLX_TRY(model.eval({&item, 1}));
    return std::vector<float>(logits.begin(), logits.end());
}

} // namespace rlx
