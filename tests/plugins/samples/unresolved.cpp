// SPDX-License-Identifier: GPL-3.0-only
// Calls a C library function whose name the test spoils.
#include "rlx/sdk/plugin.hpp"

#include <cstring>

namespace {

struct unresolved {
    rlx::sdk::status init() {
        if (::strverscmp(RLX_PLUGIN_ID, RLX_PLUGIN_VERSION) != 0) return {};
        return rlx::sdk::fail(RLX_INTERNAL, "unreachable");
    }
};

} // namespace

RLX_PLUGIN(unresolved)
