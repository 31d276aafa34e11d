// SPDX-License-Identifier: GPL-3.0-only
// Why a backend sees no device, for lists of devices and for errors.
#pragma once

#include "rlx/abi/backend.h"
#include "rlx/base/options.hpp"
#include "rlx/base/wall.hpp"
#include "rlx/loader/loader.hpp"

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace rlx {

// What it says when the first one is opened all the same.
inline std::string why_none(const rlx_backend_v1* t, void* self, std::string_view plugin) {
    void* handle = nullptr;
    const options none;
    if (rlx_error* e = t->open(self, 0, none.handle(), &handle)) {
        const error why = from_wall(e);
        if (!why.message.empty()) return why.message;
    } else {
        t->close(self, handle);
    }
    return fmt::format("plugin {} sees no device", plugin);
}

// An error when another backend is what the name of this one means: one of higher priority, or
// nobody because two have the same.
result<void> usable(const plugin_catalog& catalog, const plugin_catalog::match& m);

} // namespace rlx
