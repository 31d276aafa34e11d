// SPDX-License-Identifier: GPL-3.0-only
// rlx-inspect scan and rlx-inspect resolve.
#include "../catalog.hpp"
#include "../discover.hpp"
#include "../terminal.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace rlx::cli {

namespace {

using json = nlohmann::ordered_json;

constexpr flag own[] = {
    {"source",
     0,
     flag_kind::text,
     "rlx|lmstudio|lemonade|ollama|extra|mlx|vllm|hf",
     "all",
     "look only there (may be repeated)"},
    {"root", 0, flag_kind::text, "DIR", "", "look below DIR too (may be repeated)"},
    {"query", 'q', flag_kind::text, "TEXT", "", "only models whose name or path contains TEXT"},
    {"prefer",
     'p',
     flag_kind::text,
     "TEXT",
     "",
     "list models whose name or path contains TEXT first"},
    {"sniff", 0, flag_kind::toggle, "", "", "open each file and show its architecture"},
    {"max-depth", 0, flag_kind::integer, "N", "8", "how many folders deep to look"},
    {"json", 0, flag_kind::toggle, "", "", "print one JSON document"},
};

result<scan_options> options_of(const arguments& a, plugin_catalog& catalog) {
    scan_options o{
        .sources = a.all("source"),
        .extra_roots = {},
        .query = a.text("query"),
        .prefer = a.text("prefer"),
        .sniff = a.has("sniff"),
        .max_depth = static_cast<int>(std::min<std::int64_t>(a.integer("max-depth", 8), 64)),
        .formats = format_extensions(catalog),
        .open = with_plugins({}, catalog)};
    for (const std::string& root : a.all("root"))
        o.extra_roots.emplace_back(root);
    const auto known = model_sources();
    for (const std::string& s : o.sources)
        if (std::ranges::find(known, s) == known.end())
            return error{
                RLX_INVALID_ARGUMENT,
                fmt::format("--source: '{}' is none of {}", s, fmt::join(known, ", "))};
    return o;
}

json row(const found_model& m) {
    return {
        {"path", m.path.string()},
        {"sources", {m.source}},
        {"display_name", m.name},
        {"format", m.format},
        {"size_bytes", m.size_bytes},
        {"quant_hint", m.quant},
        {"arch_hint", m.arch}};
}

result<int> scan(const arguments& a) {
    auto catalog = RLX_TRY(open_catalog(a));
    const auto models = find_models(RLX_TRY(options_of(a, *catalog)));
    if (a.has("json")) {
        json doc = json::array();
        for (const found_model& m : models)
            doc.push_back(row(m));
        RLX_CHECK(print(doc.dump(2, ' ', false, json::error_handler_t::replace) + "\n"));
        return exit_ok;
    }
    for (const found_model& m : models)
        RLX_CHECK(print(fmt::format(
            "{:<9} {:>9.1f} MiB  {:<8} {:<10} {}\n",
            m.source,
            static_cast<double>(m.size_bytes) / 1048576.0,
            m.quant,
            m.arch,
            m.path.string()
        )));
    if (models.empty()) say("no model files found; --root DIR looks in another folder\n");
    return exit_ok;
}

result<int> resolve(const arguments& a) {
    if (a.positional().empty())
        return error{RLX_INVALID_ARGUMENT, "no query given; usage: rlx-inspect resolve <query>"};
    auto catalog = RLX_TRY(open_catalog(a));
    scan_options o = RLX_TRY(options_of(a, *catalog));
    o.query = a.positional()[0];
    const auto models = find_models(o);
    if (models.empty())
        return error{
            RLX_NOT_FOUND,
            fmt::format(
                "no model on this machine matches '{}'; rlx-inspect scan lists them", o.query
            )};
    if (a.has("json"))
        RLX_CHECK(print(json{{"query", o.query}, {"path", models[0].path.string()}}.dump() + "\n"));
    else
        RLX_CHECK(print(models[0].path.string() + "\n"));
    return exit_ok;
}

} // namespace

int cmd_scan(arg_span args) {
    return run_command(
        "rlx-inspect scan",
        {"scan", "Lists model files on this machine.", "", {general_flags, {"Scan", own}}},
        args,
        scan
    );
}

int cmd_resolve(arg_span args) {
    return run_command(
        "rlx-inspect resolve",
        {"resolve",
         "Prints the path of the model that matches.",
         "<query>",
         {general_flags, {"Scan", own}}},
        args,
        resolve
    );
}

} // namespace rlx::cli
