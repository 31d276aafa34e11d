// SPDX-License-Identifier: GPL-3.0-only
// Jinja decides while compiling where a name comes from. Where a block assigns a name before it
// reads it, blocks inside it see "undefined" until the assignment has run, even when an outer
// variable of that name exists. This pass finds those names; the interpreter hides them when it
// enters the block.
#pragma once

#include "jinja/ast.hpp"

namespace rlx::text::jinja {

void find_hidden_names(program& p);

} // namespace rlx::text::jinja
