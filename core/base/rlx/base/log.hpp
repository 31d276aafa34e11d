// SPDX-License-Identifier: GPL-3.0-only
// Log messages of the host and its plugins. The library has no sink of its own: without one
// installed by the application nothing is written anywhere.
#pragma once

#include "rlx/abi/abi.h"
#include "rlx/base/api.hpp"

#include <cstdint>
#include <string_view>

namespace rlx {

// level is an RLX_LOG_* of rlx/abi/abi.h. Calls are serialised; a sink that logs is ignored, not
// recursed into.
using log_sink =
    void (*)(void* ctx, std::uint32_t level, std::string_view component, std::string_view message);

// Installs the sink; nullptr removes it. ctx must live until another sink is installed. [any
// thread]
RLX_API void log_set_sink(log_sink sink, void* ctx);

// A sink for programs: one line "rlx: warning: component: message" on stderr. ctx is not used.
RLX_API void log_stderr_sink(
    void* ctx, std::uint32_t level, std::string_view component, std::string_view message
);

// Messages above this level are dropped before they reach the sink. Default RLX_LOG_WARN. [any
// thread]
RLX_API void log_set_level(std::uint32_t level);
RLX_API std::uint32_t log_level();

// True when a message of this level would reach a sink; ask before building a costly message. [any
// thread]
RLX_API bool log_enabled(std::uint32_t level);

// Never fails and never throws. [any thread]
RLX_API void
log_write(std::uint32_t level, std::string_view component, std::string_view message) noexcept;

inline void log_error(std::string_view component, std::string_view message) {
    log_write(RLX_LOG_ERROR, component, message);
}

inline void log_warn(std::string_view component, std::string_view message) {
    log_write(RLX_LOG_WARN, component, message);
}

inline void log_info(std::string_view component, std::string_view message) {
    log_write(RLX_LOG_INFO, component, message);
}

inline void log_debug(std::string_view component, std::string_view message) {
    log_write(RLX_LOG_DEBUG, component, message);
}

} // namespace rlx
