// SPDX-License-Identifier: GPL-3.0-only
// What rlx_buffer is in this backend: anonymous memory.
#pragma once

#include "store.hpp"

namespace rlx::cpu {

struct buffer {
    arena memory;
    std::uint64_t bytes = 0;
};

} // namespace rlx::cpu
