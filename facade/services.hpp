// SPDX-License-Identifier: GPL-3.0-only
// The host services a plugin may ask for when it is entered.
#pragma once

#include "rlx/abi/models.h"
#include "rlx/formats/weights.hpp"
#include "rlx/graph/graph.hpp"

namespace rlx {

// "rlx.models/1": the functions of rlx/rlx.h.
const rlx_models_v1* models_table();

// Offers all of them; to be called before a plugin is loaded. [any thread]
void offer_services();

} // namespace rlx
