// SPDX-License-Identifier: GPL-3.0-only
// Libraries of ours that are opened when they are needed.
#pragma once

#include "rlx/base/result.hpp"

#include <string_view>

namespace rlx {

// The address of `symbol` in the library `file`, which lies in the folder this library was loaded
// from and is looked for nowhere else. It stays loaded. `need` ends the message of RLX_NOT_FOUND:
// what needs the library, what works without. [any thread]
result<void*> side_library_entry(std::string_view file, const char* symbol, std::string_view need);

} // namespace rlx
