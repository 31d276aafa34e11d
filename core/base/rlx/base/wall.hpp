// SPDX-License-Identifier: GPL-3.0-only
// The host's side of the wall: the rlx_host table, and rlx::error <-> rlx_error*.
#pragma once

#include "rlx/abi/abi.h"
#include "rlx/base/api.hpp"
#include "rlx/base/result.hpp"

#include <string_view>

namespace rlx {

inline std::string_view view(rlx_str s) { return {s.p ? s.p : "", static_cast<std::size_t>(s.n)}; }
inline rlx_str str(std::string_view s) { return {s.data(), s.size()}; }

// The table every plugin receives. Services are added by the libraries that provide them. [any thread]
RLX_API const rlx_host* host();

// Makes `table` answer host()->iface(name, minor <= its minor). Called once per service at start-up.
RLX_API void host_provide(std::string_view name, const void* table);

// A new rlx_error with the same code and message; never null.
RLX_API rlx_error* to_wall(const error& e);
// Takes ownership of e (not null).
RLX_API error from_wall(rlx_error* e);

inline result<void> check_wall(rlx_error* e) {
    if (e) return from_wall(e);
    return {};
}

}  // namespace rlx
