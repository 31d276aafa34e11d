// SPDX-License-Identifier: GPL-3.0-only
// What rlx_buffer is in this backend: anonymous memory.
#pragma once

#include "rlx/sdk/backend.hpp"
#include "store.hpp"

namespace rlx::cpu {

using buffer = sdk::host_buffer<arena>;

} // namespace rlx::cpu
