// SPDX-License-Identifier: GPL-3.0-only
// Reads the manifest out of a plugin file without running any of it. The file may be hostile: only
// the ELF header and the program headers are believed, and those only within the file's size.
#pragma once

#include "rlx/base/result.hpp"

#include <cstdint>
#include <string>

namespace rlx::loader {

inline constexpr std::uint64_t max_manifest_bytes = 1 << 20;

// The text of the one RLX note. Also makes sure that the file is a complete shared object for this
// machine: mapping a cut one would kill the process.
result<std::string> read_manifest_note(int fd, std::uint64_t file_size);

} // namespace rlx::loader
