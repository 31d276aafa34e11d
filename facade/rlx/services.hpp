// SPDX-License-Identifier: GPL-3.0-only
// The host services a plugin may ask for when it is entered: rlx.graph/1, rlx.weights/1,
// rlx.models/1.
#pragma once

#include "rlx/abi/models.h"
#include "rlx/base/api.hpp"
#include "rlx/formats/weights.hpp"
#include "rlx/graph/graph.hpp"

namespace rlx {

// "rlx.models/1": the functions of rlx/rlx.h. [any thread]
RLX_API const rlx_models_v1* models_table();

// Offers all of them. lm_runner and device do it; who loads plugins of other kinds from a catalog
// calls it first. [any thread]
RLX_API void offer_services();

} // namespace rlx
