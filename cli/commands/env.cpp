// SPDX-License-Identifier: GPL-3.0-only
// rlx-run env: every environment variable rlx reads, with its value.
#include "../commands.hpp"

#include "rlx/base/environment.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace rlx::cli {

namespace {

constexpr flag own[] = {{"json", 0, flag_kind::toggle, "", "", "print one JSON document"}};

result<int> run(const arguments& a) {
    nlohmann::ordered_json doc = nlohmann::json::array();
    for (const env_var& v : env_vars) {
        auto value = env_value(v);
        if (a.has("json")) {
            nlohmann::ordered_json row{
                {"name", v.name}, {"default", v.fallback}, {"doc", v.doc}, {"value", nullptr}};
            if (value) row["value"] = *value;
            doc.push_back(std::move(row));
        } else {
            RLX_CHECK(print(fmt::format(
                "{:<18} {}\n{:<18} {} [{}]\n", v.name, value ? *value : "-", "", v.doc, v.fallback
            )));
        }
    }
    if (a.has("json"))
        RLX_CHECK(print(doc.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n"));
    return exit_ok;
}

} // namespace

int cmd_env(arg_span args) {
    return run_command(
        "rlx-run env",
        {"env", "Shows the environment variables rlx reads.", "", {general_flags, {"Output", own}}},
        args,
        run
    );
}

} // namespace rlx::cli
