// SPDX-License-Identifier: GPL-3.0-only
// Vulkan as a plugin: "rlx.backend/1", one device per usable card. Nothing of the driver outlives a
// device: its threads end with close().
#include "rlx/sdk/plugin.hpp"
#include "device.hpp"

namespace {

struct vulkan_plugin {
    using backend = rlx::vulkan::device;
};

} // namespace

RLX_PLUGIN(vulkan_plugin)
