// SPDX-License-Identifier: GPL-3.0-only
// The libraries a plugin links. Those it ships lie in its own folder and are found through $ORIGIN;
// they are opened, checked and mapped before the plugin, like the plugin itself. All others are the
// system's.
#pragma once

#include "files.hpp"

#include <string>

namespace rlx::loader {

// Loads the private libraries of an open plugin file. The plugin is mapped from a descriptor, where
// $ORIGIN means nothing, so what it stands for is done here: a library that is loaded already,
// under its SONAME, is not searched for again. Errors name the library and the rule: a search path
// other than $ORIGIN, a filter or an auditor, a library that others may write to, a namesake that
// is loaded already. Call with the registry's lock held.
result<void> load_private_libraries(int fd, std::uint64_t size, const trusted_dir& dir);

// An error while LD_LIBRARY_PATH holds a folder that others may write to, or one that depends on
// the working directory: what a system library needs itself would come from there, too, and only
// the system's loader knows what that is. Folders that do not exist are passed over.
result<void> check_library_path();

} // namespace rlx::loader
