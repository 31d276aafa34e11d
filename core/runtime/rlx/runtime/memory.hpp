// SPDX-License-Identifier: GPL-3.0-only
// How much memory this process may still use.
#pragma once

#include "rlx/base/api.hpp"

#include <cstdint>
#include <filesystem>
#include <string>

namespace rlx {

struct available_memory {
    std::uint64_t bytes = UINT64_MAX; // UINT64_MAX: the system does not say
    std::string limited_by;           // "MemAvailable", or the cgroup file that holds the limit
};

// The smaller of MemAvailable and what every cgroup (v2 or v1) above this process leaves; file
// cache counts as available. `root` replaces "/" in tests. [any thread]
RLX_API available_memory memory_available(const std::filesystem::path& root = "/");

} // namespace rlx
