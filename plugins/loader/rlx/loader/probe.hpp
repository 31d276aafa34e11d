// SPDX-License-Identifier: GPL-3.0-only
// Backends are tried in a process of their own before one is chosen for somebody who named none: a
// driver that crashes or hangs takes that process down, not the run.
#pragma once

#include "rlx/loader/loader.hpp"

#include <atomic>

namespace rlx {

struct probe_options {
    double seconds = 20;              // for loading the backend and opening its devices
    bool use_cache = true;            // answer with the verdict of an earlier probe
    std::filesystem::path cache = {}; // folder of the verdicts; empty: "probes" in cache_dir()
    const std::atomic<std::uint32_t>* cancel = nullptr; // nonzero ends it with RLX_CANCELLED
};

// Loads the backend of m and opens and closes each of its devices, in a child process (rlx-probe,
// beside librlx) with a time limit. RLX_DEVICE_LOST when that process crashed, hung or was ended by
// the plugin; whatever the backend reports itself is no matter of the probe. Verdicts are kept in
// the cache directory until the plugin, rlx or what is known of drivers changes (the system's
// libraries, the boot, variables such as VK_ICD_FILENAMES), those against a backend a day at most.
// Without rlx-probe nothing is tried, and the log says so. [any
// thread]
RLX_API result<void> probe_backend(const manifest& m, const probe_options& options = {});

// cache_dir(), made when it is missing, for backends to keep files in; empty when somebody else may
// change what lies there. [any thread]
RLX_API std::filesystem::path private_cache_dir();

} // namespace rlx
