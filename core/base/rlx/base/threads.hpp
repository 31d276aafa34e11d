// SPDX-License-Identifier: GPL-3.0-only
// The process-wide thread team: the C++ face of "rlx.par/1" (rlx/abi/services.h states its
// semantics).
#pragma once

#include "rlx/abi/services.h"
#include "rlx/base/api.hpp"
#include "rlx/base/result.hpp"

#include <cstdint>
#include <filesystem>
#include <span>
#include <type_traits>
#include <vector>

namespace rlx {

// What bounds the number of useful threads; 0 = unknown or unlimited.
struct cpu_limits {
    std::uint32_t affinity = 0; // CPUs this process may run on
    std::uint32_t cores = 0;    // physical cores among them (SMT siblings count once)
    std::uint32_t quota = 0;    // cgroup v1 or v2 CPU quota, rounded up

    // The smallest of the known ones, at least 1.
    std::uint32_t threads() const;
};

RLX_API cpu_limits detect_cpus();
// The same with /proc and /sys under another root and a given set of CPUs, for tests.
RLX_API cpu_limits
detect_cpus(const std::filesystem::path& root, std::span<const std::uint32_t> cpus);

inline constexpr std::uint32_t max_threads = 1024;

// Size of the team from the next region on; 0 = RLX_THREADS, else detect_cpus().threads().
// RLX_INVALID_ARGUMENT above max_threads. [any thread]
RLX_API result<void> set_threads(std::uint32_t n);
// Size the next region will have (fewer when the system refuses threads). [any thread]
RLX_API std::uint32_t threads();

// Ends the workers; the next region starts them again. Not from inside a region. [any thread]
RLX_API void stop_threads();

// "rlx.par/1", part of host() from the start.
RLX_API const rlx_par_v1* par_table();

// Runs body(thread, n_threads) on every thread of the team, the caller being thread 0. body must
// not throw.
template <class F>
void parallel(F&& body) {
    using body_type = std::remove_reference_t<F>;
    const rlx_par_v1* par = par_table();
    auto call = [](void* arg, std::uint32_t thread, std::uint32_t n_threads, void*) noexcept {
        (*static_cast<body_type*>(arg))(thread, n_threads);
    };
    par->run(par->ctx, call, const_cast<void*>(static_cast<const void*>(&body)));
}

} // namespace rlx
