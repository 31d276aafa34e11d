// SPDX-License-Identifier: GPL-3.0-only
// The CPU as a plugin: "rlx.backend/1" with one device.
#include "rlx/sdk/plugin.hpp"
#include "device.hpp"

namespace {

struct cpu_plugin {
    using backend = rlx::cpu::device;
};

} // namespace

RLX_PLUGIN(cpu_plugin)
