// SPDX-License-Identifier: GPL-3.0-only
// Fails in init(): the first time by throwing, the second time with an error, then it works.
#include "rlx/sdk/plugin.hpp"

#include <stdexcept>

namespace {

constinit int attempts = 0;

struct fails {
    rlx::sdk::status init() {
        attempts++;
        if (attempts == 1) throw std::runtime_error("first attempt");
        if (attempts == 2) return rlx::sdk::fail(RLX_IO, "attempt {}", attempts);
        return {};
    }
};

} // namespace

RLX_PLUGIN(fails)
