// SPDX-License-Identifier: GPL-3.0-only
// What run, chat, logits and the text commands share: flags -> library calls, results -> text and
// JSON.
#pragma once

#include "commands.hpp"

#include "rlx/embedder.hpp"
#include "rlx/rlx.hpp"

#include <nlohmann/json.hpp>

namespace rlx::cli {

using json = nlohmann::ordered_json;

// --weights and its companions, checked.
struct weights_choice {
    std::filesystem::path path;
    open_options options;
    std::string tokenizer;
};

result<weights_choice> weights_of(const arguments& a);
// Flag, then environment, then the built-in default.
std::string device_of(const arguments& a);
result<std::uint32_t> threads_of(const arguments& a);
result<std::unique_ptr<checkpoint>> open_checkpoint(const arguments& a, plugin_catalog& catalog);

// RLX_UNSUPPORTED for the checkpoint of an encoder, naming the command for it.
result<void> require_language_model(const weights& w, const plugin_catalog& catalog);

// A builder with everything the flags say but progress. family: refuse any other, empty = detect.
result<lm_runner::builder>
builder_of(const arguments& a, plugin_catalog* catalog, const std::string& family);
// The same for vectors; --pretrained instead of --weights, --max-length, --batch-tokens.
result<text_embedder::builder>
embedder_of(const arguments& a, plugin_catalog* catalog, const std::string& family);
// builder_of + progress on stderr + build.
result<std::unique_ptr<lm_runner>> load_model(
    const arguments& a,
    plugin_catalog* catalog,
    const std::string& family,
    std::int64_t max_rows = 0
);

result<generate_options> generation_of(const arguments& a, std::int64_t default_max_tokens);
// Token ids of "1,2,3"; every error names the flag and the piece at fault.
result<std::vector<std::int32_t>> parse_ids(std::string_view list);
// --template-vars and --no-think.
result<render_options> rendering_of(const arguments& a);
// [{"role": ..., "content": ...}] for a user message, with an optional system message before it.
std::string messages_of(std::string_view system, std::string_view user);
// RLX_INVALID_ARGUMENT unless the text is a JSON array of messages with a role each.
result<void> check_messages(std::string_view text);

// --plan: what a model would need, as text or --json. RLX_OUT_OF_MEMORY behind the numbers when
// that is too much.
result<int> show_plan(const arguments& a, const lm_plan& p);

std::string dump(const json& doc); // one line, invalid UTF-8 replaced
json facts_of(const run_facts& f);
// --time-ops: a line per device and op on stderr; nothing without times.
void print_op_times(const run_facts& f);
json fallbacks_of(std::span<const fallback> fallbacks);
// What --explain-partition prints.
result<int> show_partition(const arguments& a, const partition_report& report);
// --fallback.
result<fallback_policy> fallback_of(const arguments& a);
// "load 0.20 s | prefill 5 tokens, 310 tok/s | decode 31 tokens, 180 tok/s | cpu avx2 ..." on
// stderr.
void print_summary(const lm_runner& runner, const generate_result& r);

} // namespace rlx::cli
