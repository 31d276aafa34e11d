// SPDX-License-Identifier: GPL-3.0-only
// What --version prints, for every program.
#pragma once

#include <string>

namespace rlx::cli {

// "rlx 0.1.0 ..." with what this build is made for.
std::string version_text();

} // namespace rlx::cli
