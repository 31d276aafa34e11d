// SPDX-License-Identifier: GPL-3.0-only
// The host services a plugin may ask for when it is entered.
#pragma once

#include "rlx/formats/weights.hpp"
#include "rlx/graph/graph.hpp"

namespace rlx {

// Each library offers its table when it is first asked for; a plugin must not depend on who was
// first.
inline void offer_services() {
    graph_table();
    weights_table();
}

} // namespace rlx
