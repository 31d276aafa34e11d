// SPDX-License-Identifier: GPL-3.0-only
// librlx for applications: open a language model and generate text.
//
//   auto runner = rlx::lm_runner::builder().weights("SmolLM2-135M-Instruct.Q4_1.gguf").build();
//   if (!runner) { ... runner.error().message ... }
//   auto answer = (*runner)->generate("The capital of France is", {.max_tokens = 32});
//
// Vectors of texts: rlx/embedder.hpp. From C: rlx/rlx.h. Nothing here throws on bad input; a
// failure is an rlx::error with an RLX_* code and one line that says what to do.
#pragma once

#if __cplusplus < 202002L
#error "the C++ API of rlx needs C++20 (-std=c++20); the C API, rlx/rlx.h, does not"
#endif

#include "rlx/checkpoint.hpp"
#include "rlx/devices.hpp"
#include "rlx/model_builder.hpp"
#include "rlx/profile.hpp"
#include "rlx/runtime/generate.hpp"
#include "rlx/runtime/lm.hpp"

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace rlx {

// What a process loaded and what computes.
struct run_facts {
    std::string family, family_plugin, family_version;
    std::string backend_plugin, backend_version;
    std::string second_plugin;              // of the CPU behind another device; else empty
    std::string device, device_description; // "cpu", "vulkan:0": the one that was asked for
    std::string tier, compute, kv;
    std::string profile; // "preset lm", or the path of the <family>.rlx.toml that was used
    std::uint32_t threads = 0;
    std::vector<device_facts> devices; // those that run something, the one asked for first
};

// One turn of a conversation.
struct chat_message {
    std::string role; // "system" | "user" | "assistant" | "tool"
    std::string content;
};

// A loaded language model. May move between threads, used by one at a time.
class RLX_API lm_runner {
public:
    class builder;
    // Rows [first, first + n) of the logits, [n, vocab_size], borrowed for the call.
    using rows_callback =
        std::function<result<void>(std::int64_t first, std::span<const float> rows)>;

    ~lm_runner();
    lm_runner(const lm_runner&) = delete;
    lm_runner& operator=(const lm_runner&) = delete;

    std::string_view family() const;
    std::int64_t vocab_size() const;
    std::int64_t hidden_size() const; // 0 when the family does not say
    std::int64_t max_seq() const;
    std::int64_t context_length() const;
    const lm_plan& memory() const;
    const run_facts& ran_on() const; // its devices, with the times of ops so far, are read anew
    std::span<const fallback> fallbacks() const;
    // Which device runs which node, and why.
    const partition_report& partition() const;
    std::span<const std::string> warnings() const;
    double load_seconds() const;

    lm_model& model();
    rlx::checkpoint& checkpoint();

    // Logits [vocab_size] after the last id.
    result<std::vector<float>> predict_logits(std::span<const std::int32_t> ids);
    // Logits of every id in order, feeding `chunk` ids at a time (0 = as many as a step takes).
    result<void>
    logits(std::span<const std::int32_t> ids, std::int64_t chunk, const rows_callback& rows);

    // The checkpoint's own stop ids are added to options.stop_ids. With `keep_cache` the next
    // prompt that begins like this one is only fed from where it differs (conversations); results
    // may then differ in the last bits from a fresh run.
    result<generate_result> generate(
        std::span<const std::int32_t> prompt,
        const generate_options& options,
        const token_callback& callback = {},
        bool keep_cache = false
    );
    // Tokenises the text as the checkpoint's flags say (BOS and the like added).
    result<generate_result> generate(
        std::string_view prompt,
        const generate_options& options,
        const token_callback& callback = {},
        bool keep_cache = false
    );

    result<std::vector<std::int32_t>>
    tokenize(std::string_view text, const encode_options& options = {});
    result<std::string> detokenize(std::span<const std::int32_t> ids);
    // The conversation as the prompt the model was trained on, by the checkpoint's own template;
    // tokenise it with {.parse_special = true}. RLX_INVALID_ARGUMENT for no messages or text that
    // is not UTF-8, RLX_MISSING_METADATA when the checkpoint has no template.
    result<std::string>
    render_chat(std::span<const chat_message> messages, const render_options& options = {});
    // The same from JSON, for what templates know beyond role and content.
    result<std::string>
    render_chat(std::string_view messages_json, const render_options& options = {});

private:
    struct state;
    explicit lm_runner(std::unique_ptr<state> s);

    std::unique_ptr<state> state_;
};

// Collects what a runner needs. build() and plan() load exactly one family plugin and one backend
// plugin.
class RLX_API lm_runner::builder : public model_builder<lm_runner::builder> {
public:
    builder& compute(std::string mode);      // "auto" | "f32" | "f16" | "bf16"
    builder& kv(std::string type);           // "auto" | "f16" | "f32"
    builder& max_seq(std::int64_t tokens);   // 0 = min(context, 4096)
    builder& max_batch(std::int64_t tokens); // tokens per step
    builder& max_rows(std::int64_t rows);    // rows of logits per step, for logits()
    builder& max_sequences(std::int64_t n);  // at the same time; generate() needs one
    builder& max_memory_gb(double gb);       // refuse when the plan is larger
    builder& progress(std::function<void(std::uint64_t done, std::uint64_t total)> report
    );                                                       // bytes of weights
    builder& cancel(const std::atomic<std::uint32_t>* flag); // nonzero stops build() and every step

    // Loads the model. Errors of every kind name the file, key, tensor, plugin or number at fault.
    result<std::unique_ptr<lm_runner>> build() const;
    // What build() would need, reading no weights.
    result<lm_plan> plan() const;

private:
    friend class lm_runner;

    lm_options lm_;
    explicit_choices given_;
};

} // namespace rlx
