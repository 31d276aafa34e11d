// SPDX-License-Identifier: GPL-3.0-only
// Small files of this user's cache: read whole, replaced whole.
#pragma once

#include "rlx/base/result.hpp"

#include <filesystem>
#include <string>

namespace rlx::loader {

// A cache names no code, but a forged one could hide a plugin: only a regular file of this user
// that nobody else may write to counts, RLX_IO otherwise. RLX_NOT_FOUND when it cannot be opened.
result<std::string> read_private_file(const std::filesystem::path& file);

// Writes text to a new file beside `file` and renames it over: readers see the old or the new one.
result<void> replace_private_file(const std::filesystem::path& file, const std::string& text);

} // namespace rlx::loader
