// SPDX-License-Identifier: GPL-3.0-only
// What rlx_buffer is in this backend: a block of device memory.
#pragma once

#include "rlx/abi/backend.h"
#include "vk/gpu.hpp"

namespace rlx::vulkan {

struct device_buffer {
    std::unique_ptr<memory_block> memory;

    static device_buffer& of(rlx_buffer* b) { return *reinterpret_cast<device_buffer*>(b); }
};

} // namespace rlx::vulkan
