// SPDX-License-Identifier: GPL-3.0-only
// Manifest text -> rlx::manifest, and whether this host and machine can run what it describes.
#pragma once

#include "rlx/loader/loader.hpp"

#include <nlohmann/json_fwd.hpp>
#include <string_view>

namespace rlx::loader {

// RLX_CORRUPT_DATA with the byte when the text is no JSON or nests absurdly deep (writing such a
// document would overflow the stack).
result<nlohmann::json> parse_json(std::string_view text);
// RLX_CORRUPT_DATA naming the key.
result<manifest> manifest_from_json(const nlohmann::json& json);
result<manifest> manifest_from_text(std::string_view text);

// RLX_VERSION_MISMATCH or RLX_UNSUPPORTED with both sides' numbers.
result<void> check_compatible(const manifest& m);

} // namespace rlx::loader
