// SPDX-License-Identifier: GPL-3.0-only
// For programs that print with <cstdio>.
#pragma once

#include <string_view>

namespace rlx::cli {

// The exit status of a program that has printed all it had to say: `status`, and 1 instead of 0
// with a message when standard output did not take it (a full disk, a closed descriptor).
int status_when_written(std::string_view program, int status);

} // namespace rlx::cli
