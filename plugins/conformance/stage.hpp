// SPDX-License-Identifier: GPL-3.0-only
// How a check talks: what it does now, that it failed, that it cannot be made here.
#pragma once

#include <string>

namespace conformance {

// Thrown by checks; never from inside a call of the plugin.
struct failed {
    std::string why;
};

struct skipped {
    std::string why;
};

// What is being done, for the report of a crash or a time-out. Survives the process. [any thread]
void stage(const std::string& what);

inline constexpr const char* loading_stage = "loading the library";

} // namespace conformance
