// SPDX-License-Identifier: GPL-3.0-only
// Commands of plugins ("rlx.cli/1") and the streams they get ("rlx.io/1").
#pragma once

#include "commands.hpp"
#include "rlx/loader/loader.hpp"

namespace rlx::cli {

// Loads the plugin and runs its command; gives the exit code. program is what help and errors call
// it.
int run_plugin_command(
    plugin_catalog& catalog, const plugin_catalog::match& m, std::string_view program, arg_span args
);

} // namespace rlx::cli
