// SPDX-License-Identifier: GPL-3.0-only
// Memory as the plugin sees it: this program's malloc family replaces the C library's for
// everything that is loaded, so allocations of a plugin can be counted and made to fail, however
// its C++ runtime is linked.
#pragma once

#include <cstdint>

namespace conformance {

// The code that runs now on this thread is the plugin's, or (host_scope) the host's again. They
// nest.
class plugin_scope {
public:
    plugin_scope();
    ~plugin_scope();
    plugin_scope(const plugin_scope&) = delete;
    plugin_scope& operator=(const plugin_scope&) = delete;

private:
    bool before_;
};

class host_scope {
public:
    host_scope();
    ~host_scope();
    host_scope(const host_scope&) = delete;
    host_scope& operator=(const host_scope&) = delete;

private:
    bool before_;
};

bool in_plugin();

// False in builds with a sanitizer, which has a malloc of its own.
bool allocations_are_seen();

// From now on only what the library that `address` lies in asks for itself, directly or through the
// C++ runtime, counts as the plugin's and can fail; what a library that it has opened asks for does
// not. For plugins that open foreign libraries: those need not survive. False: no such library.
bool judge_callers(const void* address);

// Whatever is loaded now stays loaded: drivers that come and go with every life cost seconds.
void pin_libraries();

// Starts to count the plugin's allocations; the n-th (from 1) fails, with `onwards` all after it
// too. 0: none.
void count_allocations(std::uint64_t fail_at = 0, bool onwards = false);
std::uint64_t allocations_counted();
bool allocation_failed();

// Blocks the plugin allocated that are not freed yet, however long ago.
std::int64_t live_blocks();

} // namespace conformance
