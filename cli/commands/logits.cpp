// SPDX-License-Identifier: GPL-3.0-only
// rlx-run logits: float32 [tokens, vocab] as .npy, for comparing with a reference.
#include "../catalog.hpp"
#include "../lm.hpp"

#include "rlx/formats/npy.hpp"

namespace rlx::cli {

namespace {

constexpr flag own[] = {
    {"prompt-ids", 0, flag_kind::text, "IDS", "", "token ids: 1,2,3"},
    {"chunk", 0, flag_kind::integer, "N", "as many as a step takes", "feed N tokens at a time"},
    {"out", 'o', flag_kind::text, "FILE", "", "the .npy file to write; - is standard output"},
};

result<int> logits(const arguments& a) {
    catch_signals();
    if (a.has("explain-partition")) {
        auto plugins = RLX_TRY(open_catalog(a));
        RLX_CHECK(require_language_model(RLX_TRY(open_checkpoint(a, *plugins))->weights(), *plugins)
        );
        const lm_plan plan = RLX_TRY(RLX_TRY(builder_of(a, plugins.get(), "")).plan());
        return show_partition(a, plan.partition);
    }
    if (!a.has("prompt-ids") || !a.has("out"))
        return error{RLX_INVALID_ARGUMENT, "--prompt-ids IDS and --out FILE are needed"};
    const auto ids = RLX_TRY(parse_ids(a.text("prompt-ids")));
    if (a.has("chunk") && a.integer("chunk", 0) == 0)
        return error{RLX_INVALID_ARGUMENT, "--chunk: at least 1 token at a time"};
    auto catalog = RLX_TRY(open_catalog(a));
    RLX_CHECK(require_language_model(RLX_TRY(open_checkpoint(a, *catalog))->weights(), *catalog));
    auto runner = RLX_TRY(load_model(a, catalog.get(), "", 64));
    const std::int64_t shape[] = {static_cast<std::int64_t>(ids.size()), runner->vocab_size()};
    std::string file = npy_header("<f4", shape);
    file.reserve(file.size() + ids.size() * static_cast<std::size_t>(runner->vocab_size()) * 4);
    RLX_CHECK(runner->logits(
        ids,
        a.integer("chunk", 0),
        [&](std::int64_t, std::span<const float> rows) -> result<void> {
            file.append(reinterpret_cast<const char*>(rows.data()), rows.size_bytes());
            return {};
        }
    ));
    RLX_CHECK(write_file(a.text("out"), file));
    return exit_ok;
}

} // namespace

int cmd_logits(arg_span args) {
    return run_command(
        "rlx-run logits",
        {"logits",
         "Writes the logits of every token as float32 [tokens, vocab].",
         "",
         {weights_flags, {"Logits", own}, device_flags, plugin_flags, general_flags}},
        args,
        logits
    );
}

} // namespace rlx::cli
