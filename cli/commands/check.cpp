// SPDX-License-Identifier: GPL-3.0-only
// rlx-run check: can this checkpoint be run, and if not, why. Loads no plugin.
#include "../catalog.hpp"
#include "../discover.hpp"
#include "../lm.hpp"

#include "rlx/base/environment.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace rlx::cli {

namespace {

constexpr flag own[] = {
    {"prefer",
     'p',
     flag_kind::text,
     "TEXT",
     "",
     "of several GGUF files take the one whose name contains TEXT"},
    {"gguf-index",
     0,
     flag_kind::integer,
     "N",
     "",
     "of several GGUF files take number N of the sorted list, from 0"},
    {"profile",
     0,
     flag_kind::text,
     "FILE",
     "<family>.rlx.toml beside the weights",
     "compile profile to check; none: the family's built-in preset"},
    {"json", 0, flag_kind::toggle, "", "", "print one JSON document"},
};

// org/name, as the hub spells repositories, and no path.
bool is_repository(std::string_view s) {
    return std::ranges::count(s, '/') == 1 && s.find_first_of("/.~") != 0 && !s.ends_with("/") &&
           !s.ends_with(".gguf") && !s.ends_with(".safetensors");
}

result<std::filesystem::path> path_of(const std::string& given) {
    std::error_code ec;
    if (std::filesystem::exists(given, ec) || !is_repository(given))
        return std::filesystem::path(given);
    auto snapshot = find_in_hub_cache(given);
    if (snapshot.empty())
        return error{
            RLX_NOT_FOUND,
            fmt::format(
                "{} is neither a path here nor a repository in the hub cache {}",
                given,
                hf_hub_cache().string()
            )};
    return snapshot;
}

json detail_of(const check_report& r) {
    using enum check_report::state;
    switch (r.status) {
    case supported: return {{"runner", r.family.entry->name}, {"task", r.family.entry->task}};
    case missing_metadata: return {{"missing", r.missing}};
    case known_unimplemented:
        return {{"family", r.family.entry->name}, {"milestone", r.milestone}, {"note", r.note}};
    case unknown: break;
    }
    return nullptr;
}

std::string_view status_of(const check_report& r) {
    constexpr std::string_view names[] = {
        "supported", "missing_metadata", "known_unimplemented", "unknown"};
    return names[static_cast<std::size_t>(r.status)];
}

json gguf_fields(const weights& w) {
    if (w.format() != "gguf") return nullptr;
    json out = json::object();
    for (const char* key : {"context_length", "embedding_length", "block_count"}) {
        const auto value = w.meta_int(fmt::format("{}.{}", w.stored_architecture(), key));
        out[key] = value ? json(*value) : json(nullptr);
    }
    const auto model = w.meta_string("tokenizer.ggml.model");
    out["tokenizer_model"] = model ? json(*model) : json(nullptr);
    out["has_tokens"] = w.meta_strings("tokenizer.ggml.tokens").has_value();
    return out;
}

result<int> check(const arguments& a) {
    if (a.positional().empty())
        return error{RLX_INVALID_ARGUMENT, "no path given; usage: rlx-run check <path>"};
    open_options options{.prefer = a.text("prefer"), .gguf_index = {}, .config = {}};
    if (a.has("gguf-index"))
        options.gguf_index = static_cast<std::size_t>(a.integer("gguf-index", 0));
    auto catalog = RLX_TRY(open_catalog(a));
    auto w =
        RLX_TRY(weights::open(RLX_TRY(path_of(a.positional()[0])), with_plugins(options, *catalog))
        );
    const check_report r = RLX_TRY(check_weights(*w, *catalog));
    const bool runnable = r.status == check_report::state::supported;
    // A profile that a run would stumble over is a finding, too.
    std::string profile;
    if (runnable)
        profile =
            RLX_TRY(find_profile(*r.family.entry, w->path(), a.text("profile"), *catalog)).source;
    if (a.has("json")) {
        const json doc{
            {"path", w->path().string()},
            {"source", w->format() == "gguf" ? "gguf" : "safetensors_config"},
            {"arch", r.architecture},
            {"status", status_of(r)},
            {"profile", runnable ? json(profile) : json(nullptr)},
            {"detail", detail_of(r)},
            {"gguf_fields", gguf_fields(*w)}};
        RLX_CHECK(print(doc.dump(2, ' ', false, json::error_handler_t::replace) + "\n"));
    } else if (runnable) {
        const provided& family = *r.family.entry;
        const bool command = std::ranges::any_of(family_commands(), [&](const family_command& c) {
            return c.task == family.task;
        });
        const std::string how =
            command
                ? fmt::format("runs with rlx-{}", family.name)
                : fmt::format(
                      "is for task '{}' of family {}, which programs can run and no command yet",
                      family.task,
                      family.name
                  );
        RLX_CHECK(print(fmt::format(
            "SUPPORTED  {} {} ({}), profile: {}\n", w->path().string(), how, r.architecture, profile
        )));
    } else {
        constexpr std::string_view labels[] = {
            "SUPPORTED", "MissingMetadata", "KnownUnimplemented", "Unknown"};
        RLX_CHECK(print(fmt::format(
            "{}  {}: {}\n", labels[static_cast<std::size_t>(r.status)], w->path().string(), r.reason
        )));
    }
    if (runnable) return exit_ok;
    return r.status == check_report::state::missing_metadata ? exit_bad_input : exit_unsupported;
}

} // namespace

int cmd_check(arg_span args) {
    return run_command(
        "rlx-run check",
        {"check",
         "Says whether a checkpoint can be run, from its headers alone.",
         "<path>",
         {{"Check", own}, plugin_flags, general_flags}},
        args,
        check
    );
}

} // namespace rlx::cli
