// SPDX-License-Identifier: GPL-3.0-only
// The whole SDK in one include. Header-only, C++20 and the standard library, works with
// -fno-exceptions and -fno-rtti; compiled into the plugin, links nothing.
//
// What a plugin holds, and who owns it:
//   checkpoint      view of the host's weights      valid as long as the call that passed them
//   graph_builder   view of the host's graph        valid during build()
//   tensor, dim     a value of the graph, a number  plain ids, die with the graph
//   kv_state        a cache slot of the graph       plain ids, die with the graph
//   graph_reader    view of a finished graph        as compile's arguments; programs may keep it
//   host_buffer     host memory of a backend        owned by whoever called alloc()
//   options_view    view of a host's key/value bag  valid during the call
//   hosted_model    an opened model (rlx.models/1)  owned, move-only
//   options         a bag of the plugin's own       owned, move-only
//   sticky          the first error of some work    owned, a plain value
// Threads: a builder, a bag and a sticky error are [one thread per object]; readers are [any
// thread].
#pragma once

#include "rlx/sdk/backend.hpp"
#include "rlx/sdk/blocks.hpp"
#include "rlx/sdk/cli.hpp"
#include "rlx/sdk/codec.hpp"
#include "rlx/sdk/conv.hpp"
#include "rlx/sdk/dit.hpp"
#include "rlx/sdk/error.hpp"
#include "rlx/sdk/flow.hpp"
#include "rlx/sdk/formats.hpp"
#include "rlx/sdk/graph.hpp"
#include "rlx/sdk/host.hpp"
#include "rlx/sdk/image.hpp"
#include "rlx/sdk/lm.hpp"
#include "rlx/sdk/models.hpp"
#include "rlx/sdk/op.hpp"
#include "rlx/sdk/plugin.hpp"
#include "rlx/sdk/signal.hpp"
#include "rlx/sdk/state.hpp"
#include "rlx/sdk/table.hpp"
#include "rlx/sdk/text.hpp"
#include "rlx/sdk/vit.hpp"
#include "rlx/sdk/weights.hpp"
