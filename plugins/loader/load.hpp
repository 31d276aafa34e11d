// SPDX-License-Identifier: GPL-3.0-only
// Loads one plugin file: the file that was checked is the file that is mapped, and it stays for the
// life of the process.
#pragma once

#include "rlx/loader/loader.hpp"

namespace rlx::loader {

// The process-wide plugin object for m; the same file again gives the same object. [any thread]
result<plugin*> load_plugin(const manifest& m);

} // namespace rlx::loader
