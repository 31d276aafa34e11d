// SPDX-License-Identifier: GPL-3.0-only
// rlx-run plugins: what is installed, where it was looked for, and why a file was not taken.
#include "../commands.hpp"

#include "../catalog.hpp"
#include "rlx/base/utf8.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace rlx::cli {

namespace {

using json = nlohmann::ordered_json;

constexpr flag own[] = {
    {"why",
     0,
     flag_kind::toggle,
     "",
     "",
     "also every directory tried and every file seen, with the reason"},
    {"json", 0, flag_kind::toggle, "", "", "print one JSON document"},
};

json document(const plugin_catalog& catalog, bool why) {
    json doc{{"schema", 1}, {"plugins", json::array()}};
    for (const manifest& m : catalog.manifests()) {
        json row{
            {"id", m.id},
            {"version", m.version},
            {"file", m.library.string()},
            {"provides", json::array()}};
        for (const provided& p : m.provides)
            row["provides"].push_back(json::parse(p.json, nullptr, false));
        doc["plugins"].push_back(std::move(row));
    }
    if (!why) return doc;
    doc["searched"] = json::array();
    for (const auto& dir : catalog.searched())
        doc["searched"].push_back(dir.string());
    doc["files"] = json::array();
    for (const candidate& c : catalog.candidates())
        doc["files"].push_back(
            {{"file", c.file.string()}, {"status", c.status}, {"reason", c.reason}, {"id", c.id}}
        );
    return doc;
}

std::string text(const plugin_catalog& catalog, bool why) {
    std::string out;
    for (const manifest& m : catalog.manifests()) {
        out += fmt::format("{} {}\n", m.id, m.version);
        for (const provided& p : m.provides)
            out += fmt::format("  {:<13} {:<12} {}\n", p.kind, p.name, p.summary);
    }
    if (catalog.manifests().empty()) out += "no plugins found; --why shows where rlx looked\n";
    if (!why) return out;
    out += "\nsearched:\n";
    for (const auto& dir : catalog.searched())
        out += fmt::format("  {}\n", dir.string());
    out += "\nfiles:\n";
    for (const candidate& c : catalog.candidates())
        out += fmt::format(
            "  {:<9} {}{}{}\n",
            c.status,
            printable(c.file.native(), 4096),
            c.reason.empty() ? "" : ": ",
            c.reason
        );
    return out;
}

result<int> run(const arguments& a) {
    auto catalog = RLX_TRY(open_catalog(a));
    const bool why = a.has("why");
    if (a.has("json"))
        RLX_CHECK(print(
            document(*catalog, why).dump(2, ' ', false, json::error_handler_t::replace) + "\n"
        ));
    else
        RLX_CHECK(print(text(*catalog, why)));
    return exit_ok;
}

} // namespace

int cmd_plugins(arg_span args) {
    return run_command(
        "rlx-run plugins",
        {"plugins",
         "Lists the plugins that were found.",
         "",
         {general_flags, {"Output", own}, plugin_flags}},
        args,
        run
    );
}

} // namespace rlx::cli
