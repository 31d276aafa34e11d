// SPDX-License-Identifier: GPL-3.0-only
// An entry without the SDK's trampoline that lets an exception out.
#include "rlx/abi/abi.h"

#include <stdexcept>

extern "C" rlx_error* rlx_plugin_entry_v1(const rlx_host*, rlx_plugin*);

extern "C" rlx_error* rlx_plugin_entry_v1(const rlx_host*, rlx_plugin*) {
    throw std::runtime_error("out of the entry");
}
