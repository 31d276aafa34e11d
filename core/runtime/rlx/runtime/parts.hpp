// SPDX-License-Identifier: GPL-3.0-only
// What a model is made of: a checkpoint, a family that knows it, devices that compute.
#pragma once

#include "rlx/abi/backend.h"
#include "rlx/abi/family.h"
#include "rlx/formats/weights.hpp"
#include "rlx/graph/graph.hpp"
#include "rlx/runtime/partition.hpp"

#include <cstdint>
#include <functional>
#include <string>

namespace rlx {

// An opened device. Borrowed.
struct compute_device {
    const rlx_backend_v1* backend = nullptr; // null: none
    void* backend_self = nullptr;
    void* device = nullptr;
    std::uint32_t device_index = 0; // what device_info knows it by
    std::string name = {};          // "vulkan:0", for messages and results
};

// Borrowed: all of it outlives the model.
struct model_parts {
    weights* w;
    const rlx_family_v1* family;
    void* family_self;
    const rlx_backend_v1* backend;
    void* backend_self;
    void* device;
    std::uint32_t device_index = 0; // what device_info knows it by
    custom_op_finder find_op = {};  // ops of plugins
    std::string device_name = {};   // empty = "device"
    // Runs what the device above refuses; it computes in host memory. Without one such a node is an
    // error.
    compute_device second = {};
    fallback_policy fallback = fallback_policy::warn;
    // For tests, asked for every node that both can run: 0 = on the device, 1 = on the second one,
    // -1 = as it would be; islands stay where they are then.
    std::function<int(std::uint32_t node)> force = {};
};

} // namespace rlx
