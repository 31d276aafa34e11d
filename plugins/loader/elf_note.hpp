// SPDX-License-Identifier: GPL-3.0-only
// Reads the manifest of a plugin file, and which libraries it asks for, without running any of it.
// The file may be hostile: every offset is checked against the file's size.
#pragma once

#include "rlx/base/result.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace rlx::loader {

inline constexpr std::uint64_t max_manifest_bytes = 1 << 20;

// The text of the one RLX note. Also makes sure that the file is a complete shared object for this
// machine: mapping a cut one would kill the process.
result<std::string> read_manifest_note(int fd, std::uint64_t file_size);

// What the system's loader will look for, and where.
struct library_needs {
    std::vector<std::string> needed; // DT_NEEDED
    std::vector<std::string> search; // DT_RPATH and DT_RUNPATH, split at colons
    // "DT_FILTER libz.so.1": what is loaded beyond what is needed, also DT_AUXILIARY, DT_AUDIT and
    // DT_DEPAUDIT
    std::vector<std::string> extra;
};

result<library_needs> read_library_needs(int fd, std::uint64_t file_size);

} // namespace rlx::loader
