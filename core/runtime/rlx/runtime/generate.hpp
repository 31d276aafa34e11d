// SPDX-License-Identifier: GPL-3.0-only
// The decoding loop: prefill, sample, stop, stream. One sequence; the model may serve others
// between steps.
#pragma once

#include "rlx/runtime/lm.hpp"
#include "rlx/runtime/sampler.hpp"

#include <string_view>

namespace rlx {

class stream_decoder; // rlx/text/text.hpp

struct generate_options {
    sample_options sample = sample_options();
    std::int64_t max_tokens = -1;       // new tokens; < 0: until a stop or max_seq; 0: prefill only
    std::vector<std::string> stop = {}; // texts that end the answer; they are not part of it
    std::vector<std::int32_t> stop_ids =
        {};                  // of the vocabulary; they end it and are in `tokens`, not in `text`
    bool ignore_eos = false; // stop_ids do not end it
    const std::atomic<std::uint32_t>* cancel = nullptr; // nonzero ends it with what is there
    std::function<void(std::int64_t done, std::int64_t total)> prefill_progress = {}; // tokens
};

// Called once per generated token with the text that is complete now (often empty: a character or a
// possible stop text is not finished). id is -1 for text that was held back when the run was
// cancelled. Returning false ends the run as "cancelled".
using token_callback = std::function<bool(std::int32_t id, std::string_view text)>;

struct generate_usage {
    std::int64_t prompt_tokens = 0, completion_tokens = 0;
    std::int64_t cached_tokens = 0; // of the prompt, found in the session
};

struct generate_timings {
    double prefill_s = 0, decode_s = 0;
    std::int64_t prefill_tokens = 0, decode_steps = 0; // what was computed in that time

    double prefill_tokens_per_s() const {
        return prefill_s > 0 ? static_cast<double>(prefill_tokens) / prefill_s : 0;
    }

    double decode_tokens_per_s() const {
        return decode_s > 0 ? static_cast<double>(decode_steps) / decode_s : 0;
    }
};

struct generate_result {
    std::string text; // empty without a decoder
    std::vector<std::int32_t> tokens;
    std::string finish_reason; // "stop" | "length" (max_tokens or max_seq) | "cancelled"
    std::string stop_text;     // the stop text that was met, else empty
    generate_usage usage;
    generate_timings timings;
};

// A sequence and the tokens in it, kept between calls so that a prompt which begins like the last
// one is only fed from where it differs. [one thread]
struct lm_session {
    std::unique_ptr<lm_sequence> sequence; // made on first use
    std::vector<std::int32_t> tokens;      // what the sequence holds
};

// decoder may be null: ids only, and stop texts are RLX_INVALID_ARGUMENT. An empty prompt, an id
// outside the vocabulary and a prompt longer than max_seq are RLX_INVALID_ARGUMENT with the
// numbers. A cancelled run is a result, not an error. After any error the session is empty.
RLX_API result<generate_result> generate(
    lm_model& model,
    lm_session& session,
    stream_decoder* decoder,
    std::span<const std::int32_t> prompt,
    const generate_options& options,
    const token_callback& callback = {}
);

// The same on a sequence of its own.
RLX_API result<generate_result> generate(
    lm_model& model,
    stream_decoder* decoder,
    std::span<const std::int32_t> prompt,
    const generate_options& options,
    const token_callback& callback = {}
);

// Logits [vocab] after the last of the ids.
RLX_API result<std::vector<float>>
predict_logits(lm_model& model, std::span<const std::int32_t> ids);

} // namespace rlx
