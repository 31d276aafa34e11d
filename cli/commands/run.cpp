// SPDX-License-Identifier: GPL-3.0-only
// rlx-run run, rlx-run <family>: generate text.
#include "../catalog.hpp"
#include "../lm.hpp"

#include <fmt/format.h>

namespace rlx::cli {

namespace {

constexpr flag own[] = {
    {"plan", 0, flag_kind::toggle, "", "", "print the memory plan and exit, loading nothing"},
};

command_spec spec_of(std::string name, std::string summary) {
    return {
        std::move(name),
        std::move(summary),
        {},
        {weights_flags,
         prompt_flags,
         generate_flags,
         output_flags,
         device_flags,
         {"Memory", own},
         plugin_flags,
         general_flags},
        "The text goes to standard output, everything else to standard error. Ctrl-C keeps what "
        "was\n"
        "generated and exits with 130."};
}

// The prompt as ids, from exactly one of --prompt, --prompt-ids, --messages-json.
result<std::vector<std::int32_t>> prompt_ids(const arguments& a, checkpoint& c) {
    const int given = a.has("prompt") + a.has("prompt-ids") + a.has("messages-json");
    if (given != 1)
        return error{
            RLX_INVALID_ARGUMENT,
            fmt::format(
                "{}: exactly one of --prompt, --prompt-ids and --messages-json is needed",
                given ? "conflicting prompts" : "no prompt"
            )};
    if (a.has("chat") && !a.has("prompt"))
        return error{
            RLX_INVALID_ARGUMENT,
            "--chat goes with --prompt; --messages-json uses the chat template anyway, "
            "--prompt-ids never does"};
    const bool templated = a.has("chat") || a.has("messages-json");
    for (std::string_view flag : {"no-think", "template-vars"})
        if (a.has(flag) && !templated)
            return error{
                RLX_INVALID_ARGUMENT,
                fmt::format(
                    "--{} needs --chat or --messages-json: nothing else goes through the chat "
                    "template",
                    flag
                )};
    if (a.has("prompt-ids")) return parse_ids(a.text("prompt-ids"));
    if (a.has("prompt") && !a.has("chat")) {
        if (a.has("system"))
            return error{
                RLX_INVALID_ARGUMENT,
                "--system needs --chat: a plain prompt has no system message"};
        const std::string text = a.text("prompt") == "-" ? RLX_TRY(read_stdin()) : a.text("prompt");
        if (text.empty()) return error{RLX_INVALID_ARGUMENT, "--prompt: the prompt is empty"};
        return c.tokenize(text, {.add_special = true, .parse_special = false});
    }
    std::string messages;
    if (a.has("messages-json")) {
        messages = RLX_TRY(read_text(a.text("messages-json")));
        RLX_CHECK(check_messages(messages));
    } else {
        const std::string text = a.text("prompt") == "-" ? RLX_TRY(read_stdin()) : a.text("prompt");
        if (text.empty()) return error{RLX_INVALID_ARGUMENT, "--prompt: the prompt is empty"};
        messages = messages_of(a.text("system"), text);
    }
    const std::string rendered = RLX_TRY(c.render_chat(messages, RLX_TRY(rendering_of(a))));
    return c.tokenize(rendered, {.add_special = false, .parse_special = true});
}

json document(const lm_runner& runner, const generate_result& r) {
    return {
        {"schema", 1},
        {"text", r.text},
        {"tokens", r.tokens},
        {"finish_reason", r.finish_reason},
        {"usage",
         {{"prompt_tokens", r.usage.prompt_tokens},
          {"completion_tokens", r.usage.completion_tokens}}},
        {"timings",
         {{"load_s", runner.load_seconds()},
          {"prefill_s", r.timings.prefill_s},
          {"prefill_tokens_per_s", r.timings.prefill_tokens_per_s()},
          {"decode_s", r.timings.decode_s},
          {"decode_tokens_per_s", r.timings.decode_tokens_per_s()}}},
        {"ran_on", facts_of(runner.ran_on())},
        {"fallbacks", fallbacks_of(runner.fallbacks())}};
}

// Streams while it generates; a failed write ends the run with that error.
result<generate_result> stream(
    lm_runner& runner,
    std::span<const std::int32_t> ids,
    const generate_options& o,
    const arguments& a
) {
    const bool jsonl = a.has("jsonl"), text = !jsonl && !a.has("json") && !a.has("no-stream");
    result<void> written;
    auto on_token = [&](std::int32_t id, std::string_view piece) {
        if (jsonl && (id >= 0 || !piece.empty()))
            written = print(dump({{"type", "token"}, {"id", id}, {"text", piece}}) + "\n");
        else if (text && !piece.empty())
            written = print(piece);
        if (written.ok() && (jsonl || text)) written = flush();
        return written.ok();
    };
    auto r = runner.generate(ids, o, on_token);
    if (!written.ok()) return written.error();
    return r;
}

result<int> generate(const arguments& a, plugin_catalog* catalog, const std::string& family) {
    catch_signals();
    if (a.has("json") && a.has("jsonl"))
        return error{RLX_INVALID_ARGUMENT, "--json and --jsonl exclude each other"};
    if (a.has("plan") && a.has("explain-partition"))
        return error{RLX_INVALID_ARGUMENT, "--plan and --explain-partition exclude each other"};
    generate_options options = RLX_TRY(generation_of(a, 32));
    auto c = RLX_TRY(open_checkpoint(a, *catalog));
    RLX_CHECK(require_language_model(c->weights(), *catalog));
    if (a.has("plan")) return show_plan(a, RLX_TRY(RLX_TRY(builder_of(a, catalog, family)).plan()));
    if (a.has("explain-partition"))
        return show_partition(a, RLX_TRY(RLX_TRY(builder_of(a, catalog, family)).plan()).partition);
    // Whether it can run at all, then the prompt: a mistake is reported before the model loads.
    RLX_CHECK(require_supported(
        RLX_TRY(check_weights(c->weights(), *catalog, family)), c->weights(), false
    ));
    const auto ids = RLX_TRY(prompt_ids(a, *c));
    if (ids.empty()) return error{RLX_INVALID_ARGUMENT, "the prompt is empty: it has no tokens"};
    auto runner = RLX_TRY(load_model(a, catalog, family));
    const generate_result r = RLX_TRY(stream(*runner, ids, options, a));
    if (a.has("json"))
        RLX_CHECK(print(dump(document(*runner, r)) + "\n"));
    else if (a.has("jsonl")) {
        json doc{{"type", "result"}};
        doc.update(document(*runner, r));
        RLX_CHECK(print(dump(doc) + "\n"));
    } else
        RLX_CHECK(print((a.has("no-stream") ? r.text : "") + "\n"));
    RLX_CHECK(flush());
    if (!a.has("quiet")) print_summary(*runner, r);
    return r.finish_reason == "cancelled" ? 128 + std::max(caught_signal(), 2) : exit_ok;
}

} // namespace

// What a plan that does not fit says goes to stderr, behind the numbers.
result<int> show_plan(const arguments& a, const lm_plan& p) {
    const auto line = [](std::string_view what, std::uint64_t bytes) {
        return fmt::format("{:<10}{:>12.1f} MB\n", what, static_cast<double>(bytes) / 1e6);
    };
    json devices = json::array();
    std::string lines; // of every device, where there are two
    for (const device_memory& d : p.devices) {
        devices.push_back(
            {{"device", d.device},
             {"weights_bytes", d.weights},
             {"mapped_bytes", d.mapped},
             {"state_bytes", d.state},
             {"scratch_bytes", d.scratch}}
        );
        if (p.devices.size() > 1) lines += line("on " + d.device, d.total());
    }
    if (a.has("json"))
        RLX_CHECK(print(
            dump(
                {{"schema", 1},
                 {"weights_bytes", p.weights},
                 {"mapped_bytes", p.mapped},
                 {"state_bytes", p.state},
                 {"scratch_bytes", p.scratch},
                 {"total_bytes", p.total()},
                 {"devices", std::move(devices)},
                 {"max_seq", p.max_seq},
                 {"fits", p.refused.empty()},
                 {"profile", p.profile}}
            ) +
            "\n"
        ));
    else
        RLX_CHECK(print(
            line("weights", p.weights) + line("mapped", p.mapped) + line("cache", p.state) +
            line("scratch", p.scratch) + line("total", p.total()) + lines +
            fmt::format("cache for {} tokens\nprofile   {}\n", p.max_seq, p.profile)
        ));
    if (p.refused.empty()) return exit_ok;
    return error{RLX_OUT_OF_MEMORY, p.refused};
}

int cmd_run(arg_span args) {
    return run_command(
        "rlx-run run",
        spec_of("run", "Generates text; finds the model's family by itself."),
        args,
        [](const arguments& a) -> result<int> {
            auto catalog = RLX_TRY(open_catalog(a));
            return generate(a, catalog.get(), "");
        }
    );
}

int cmd_family(std::string_view family, std::string_view program, arg_span args) {
    return run_command(
        program,
        spec_of(std::string(family), fmt::format("Generates text with a {} checkpoint.", family)),
        args,
        [&](const arguments& a) -> result<int> {
            auto catalog = RLX_TRY(open_catalog(a));
            return generate(a, catalog.get(), std::string(family));
        }
    );
}

} // namespace rlx::cli
