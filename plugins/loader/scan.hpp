// SPDX-License-Identifier: GPL-3.0-only
// One pass over the plugin directories: which files are plugins, which are refused and why.
#pragma once

#include "index.hpp"

#include <vector>

namespace rlx::loader {

struct scan_result {
    std::vector<manifest> manifests; // in search order, one per id
    std::vector<candidate> candidates;
    std::vector<std::filesystem::path> searched;
};

scan_result scan(const search_options& options);

// Folder of the library this code is linked into, or empty. Part of the program itself, it has the
// name the program was started by: relative to who knows what, so not a place to load code from.
std::filesystem::path own_folder();

// Reads the manifest of an open plugin file and compares it with the sidecar, if there is one.
result<std::string>
read_manifest(int fd, std::uint64_t size, const trusted_dir& dir, const std::string& name);

} // namespace rlx::loader
