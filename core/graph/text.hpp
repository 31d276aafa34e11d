// SPDX-License-Identifier: GPL-3.0-only
// What dumps and the text form share.
#pragma once

#include <cstdint>

namespace rlx::ir {

// Whether an attribute's numbers are dim handles.
bool holds_dims(std::uint16_t op, std::uint16_t key);

} // namespace rlx::ir
