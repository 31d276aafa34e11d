// SPDX-License-Identifier: GPL-3.0-only
#include "rlx/base/log.hpp"

#include <atomic>
#include <mutex>
#include <sys/uio.h>
#include <unistd.h>

namespace rlx {
namespace {

struct log_state {
    std::mutex mutex;
    log_sink sink = nullptr;
    void* ctx = nullptr;
};

constinit log_state state;
constinit std::atomic<std::uint32_t> max_level{RLX_LOG_WARN};
constinit std::atomic<bool> has_sink{false};
constinit thread_local bool inside_sink = false;

} // namespace

void log_set_sink(log_sink sink, void* ctx) {
    std::lock_guard lock(state.mutex);
    state.sink = sink;
    state.ctx = ctx;
    has_sink.store(sink != nullptr, std::memory_order_relaxed);
}

void log_set_level(std::uint32_t level) {
    max_level.store(level, std::memory_order_relaxed);
}

std::uint32_t log_level() {
    return max_level.load(std::memory_order_relaxed);
}

bool log_enabled(std::uint32_t level) {
    return level <= log_level() && has_sink.load(std::memory_order_relaxed);
}

void log_write(std::uint32_t level, std::string_view component, std::string_view message) noexcept {
    if (!log_enabled(level) || inside_sink) return;
    inside_sink = true;
    try {
        std::lock_guard lock(state.mutex);
        if (state.sink) state.sink(state.ctx, level, component, message);
    } catch (...) {
        // A message is not worth a failure.
    }
    inside_sink = false;
}

void log_stderr_sink(
    void*, std::uint32_t level, std::string_view component, std::string_view message
) {
    static constexpr std::string_view names[] = {"error", "warning", "info", "debug"};
    std::string_view name = names[level < 4 ? level : 3];
    auto part = [](std::string_view s) { return iovec{const_cast<char*>(s.data()), s.size()}; };
    iovec line[] = {
        part("rlx: "),
        part(name),
        part(": "),
        part(component),
        part(component.empty() ? "" : ": "),
        part(message),
        part("\n")};
    // One system call per line, so that lines of several processes do not mix.
    if (::writev(STDERR_FILENO, line, 7) < 0) return;
}

} // namespace rlx
