// SPDX-License-Identifier: GPL-3.0-only
// Exit codes scripts rely on, and how an error becomes one.
#pragma once

#include "rlx/base/result.hpp"

#include <string_view>

namespace rlx::cli {

enum exit_code : int {
    exit_ok = 0,
    exit_failed = 1,
    exit_usage = 2,
    exit_bad_input = 3,
    exit_unsupported = 4,
    exit_memory = 5,
    exit_network = 6,
    exit_interrupted = 130,
    exit_terminated = 143,
};

struct exit_meaning {
    std::string_view codes, meaning;
};

inline constexpr exit_meaning exit_meanings[] = {
    {"0", "ok"},
    {"1", "failed"},
    {"2", "usage"},
    {"3", "bad input file"},
    {"4", "model or feature unsupported"},
    {"5", "not enough memory"},
    {"6", "network"},
    {"130 and 143", "interrupted"},
};

inline int exit_code_of(const error& e) {
    switch (e.code) {
    case RLX_OK: return exit_ok;
    case RLX_INVALID_ARGUMENT: return exit_usage;
    case RLX_NOT_FOUND:
    case RLX_CORRUPT_DATA:
    case RLX_MISSING_METADATA: return exit_bad_input;
    case RLX_UNSUPPORTED: return exit_unsupported;
    case RLX_OUT_OF_MEMORY: return exit_memory;
    case RLX_NETWORK: return exit_network;
    case RLX_CANCELLED: return exit_interrupted;
    default: return exit_failed;
    }
}

} // namespace rlx::cli
