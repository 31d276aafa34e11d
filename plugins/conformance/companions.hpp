// SPDX-License-Identifier: GPL-3.0-only
// The plugins of --with, whose ops the checked one uses.
#pragma once

#include "rlx/loader/loader.hpp"

namespace conformance {

// A catalog of exactly these files, found and judged as the loader does it; nothing is loaded.
// An error names the file that the loader refuses, that provides no op, or that is the plugin
// `checked` itself.
rlx::result<std::unique_ptr<rlx::plugin_catalog>>
open_companions(const std::vector<std::filesystem::path>& files, const rlx::manifest& checked);

} // namespace conformance
