// SPDX-License-Identifier: GPL-3.0-only
// Flags of rlx-optest (tests/optest). They stand here because its manual page and completion are
// made where all others are.
#pragma once

#include "args.hpp"

namespace rlx::cli {

command_spec optest_spec();

} // namespace rlx::cli
