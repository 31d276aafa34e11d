// SPDX-License-Identifier: GPL-3.0-only
// The pebble family: a decoder whose attention and feed-forward read the same normed input, side by
// side, and whose feed-forward is down(relu(up(x))^2).
#pragma once

#include <rlx/sdk.hpp>

namespace pebble {

namespace sdk = rlx::sdk;

// Everything the forward needs to know; sizes come from read_decoder().
using config = sdk::decoder_config;

// Errors are left in c.errors() and name the key or the tensor.
config read_config(const sdk::checkpoint& c);

// Adds the "lm" graph.
void build_lm(sdk::graph_builder& g, const config& c);

} // namespace pebble
