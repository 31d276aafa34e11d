// SPDX-License-Identifier: GPL-3.0-only
// What plugins of a catalog add to the core, which knows none of them: weight formats, names of
// tensors, ops. A plugin is loaded when a file or a graph needs it, not before.
#pragma once

#include "rlx/formats/weights.hpp"
#include "rlx/graph/graph.hpp"
#include "rlx/loader/loader.hpp"

#include <string>
#include <utility>
#include <vector>

namespace rlx {

// The options with the catalog's formats and names behind them. Several plugins of equal priority
// for one file or architecture are RLX_INVALID_ARGUMENT naming both. The catalog must outlive the
// call that the options are passed to.
RLX_API open_options with_plugins(open_options options, plugin_catalog& catalog);

// Ops by name: RLX_UNSUPPORTED lists the known ones and where was searched. The catalog must
// outlive the graphs' building.
RLX_API custom_op_finder op_finder(plugin_catalog& catalog);

// Extensions (".toy") of the catalog's weight formats, with the format's name. Loads nothing.
RLX_API std::vector<std::pair<std::string, std::string>>
format_extensions(const plugin_catalog& catalog);

} // namespace rlx
