// SPDX-License-Identifier: GPL-3.0-only
// What a model is made of: a checkpoint, a family that knows it, a device that computes.
#pragma once

#include "rlx/abi/backend.h"
#include "rlx/abi/family.h"
#include "rlx/formats/weights.hpp"
#include "rlx/graph/graph.hpp"

#include <cstdint>

namespace rlx {

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
};

} // namespace rlx
