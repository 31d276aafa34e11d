// SPDX-License-Identifier: GPL-3.0-only
#include "plugin_check.hpp"

namespace rlx::cli {

namespace {

constexpr flag own[] = {
    {"only", 0, flag_kind::text, "NAME[,NAME...]", "", "these checks only"},
    {"list", 0, flag_kind::toggle, "", "", "the checks and what they are about"},
    {"weights",
     0,
     flag_kind::text,
     "PATH",
     "",
     "checkpoint for a family whose tensors the built-in ones lack"},
    {"with",
     0,
     flag_kind::text,
     "PLUGIN",
     "",
     "another plugin whose ops the checked one uses (may be repeated)"},
    {"timeout", 0, flag_kind::number, "SECONDS", "60", "for each check"},
    {"json", 0, flag_kind::toggle, "", "", "one JSON document"},
    {"version", 0, flag_kind::toggle, "", "", "print the version"},
    {"help", 'h', flag_kind::toggle, "", "", "this text"},
};

} // namespace

command_spec plugin_check_spec() {
    return {
        "plugin-check",
        "Drives one plugin through hosts of other ages, wrong arguments, failing calls and failing "
        "allocations,\neach check in a process of its own.",
        "<plugin.so>",
        {{"Flags", own}},
        "Exit status: 0 every check passed or was skipped, 1 a check failed, 2 wrong usage, 3 a "
        "file is no rlx\nplugin or of no use for --with."};
}

} // namespace rlx::cli
