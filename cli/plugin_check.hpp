// SPDX-License-Identifier: GPL-3.0-only
// Flags of rlx-plugin-check (plugins/conformance). They stand here because its manual page and
// completion are made where all others are.
#pragma once

#include "args.hpp"

namespace rlx::cli {

command_spec plugin_check_spec();

} // namespace rlx::cli
