// SPDX-License-Identifier: GPL-3.0-only
#pragma once

#include "args.hpp"
#include "rlx/extensions.hpp"
#include "rlx/loader/loader.hpp"

namespace rlx::cli {

// The plugin catalog with the --plugin-dir flags of this command.
inline result<std::unique_ptr<plugin_catalog>> open_catalog(const arguments& a) {
    search_options options;
    for (const std::string& dir : a.all("plugin-dir"))
        options.plugin_dirs.emplace_back(dir);
    return plugin_catalog::open(options);
}

} // namespace rlx::cli
