// SPDX-License-Identifier: GPL-3.0-only
// rlx-run devices: what models can run on, and why the rest cannot be used.
#include "../commands.hpp"

#include "../catalog.hpp"
#include "rlx/devices.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace rlx::cli {

namespace {

using json = nlohmann::ordered_json;

constexpr flag own[] = {
    {"json", 0, flag_kind::toggle, "", "", "print one JSON document"},
};

json document(const std::vector<device_listing>& devices) {
    json doc{{"schema", 1}, {"devices", json::array()}};
    const auto known = [](const std::string& s) { return s.empty() ? json(nullptr) : json(s); };
    for (const device_listing& d : devices) {
        json row{{"name", d.name}, {"backend", d.backend}, {"available", d.available}};
        if (!d.available) row["reason"] = d.reason;
        if (!d.plugin.empty()) row["plugin"] = {{"id", d.plugin}, {"version", d.version}};
        if (d.available) {
            row["index"] = d.index;
            row["description"] = known(d.description);
            row["memory_bytes"] = d.memory ? json(d.memory) : json(nullptr);
            row["own_memory"] = d.own_memory;
            row["driver"] = known(d.driver);
            row["tier"] = known(d.tier);
            row["self_test"] = known(d.self_test);
        }
        doc["devices"].push_back(std::move(row));
    }
    return doc;
}

std::string text(const std::vector<device_listing>& devices) {
    std::string out;
    for (const device_listing& d : devices) {
        if (!d.available) {
            out += fmt::format("{:<10} not available: {}\n", d.name, d.reason);
            continue;
        }
        out += fmt::format("{:<10} {}\n", d.name, d.description);
        const auto line = [&](std::string_view what, const std::string& value) {
            if (!value.empty()) out += fmt::format("{:<10} {:<9} {}\n", "", what, value);
        };
        if (d.memory)
            line(
                "memory",
                fmt::format(
                    "{:.1f} GB{}",
                    static_cast<double>(d.memory) / 1e9,
                    d.own_memory ? "" : ", the machine's"
                )
            );
        line("driver", d.driver);
        line("tier", d.tier);
        line("self-test", d.self_test);
    }
    return out;
}

result<int> run(const arguments& a) {
    catch_signals();
    auto catalog = RLX_TRY(open_catalog(a));
    probe_options probe;
    probe.cancel = &cancel_flag();
    probe.use_cache = false; // what is listed is how it is now
    const auto devices = RLX_TRY(list_devices(*catalog, probe));
    RLX_CHECK(print(
        a.has("json") ? document(devices).dump(2, ' ', false, json::error_handler_t::replace) + "\n"
                      : text(devices)
    ));
    return exit_ok;
}

} // namespace

int cmd_devices(arg_span args) {
    return run_command(
        "rlx-run devices",
        {"devices",
         "Lists what models can run on.",
         "",
         {{"Output", own}, plugin_flags, general_flags},
         "A backend is tried in a process of its own first: one that crashes is listed with the "
         "reason."},
        args,
        run
    );
}

} // namespace rlx::cli
