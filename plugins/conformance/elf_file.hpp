// SPDX-License-Identifier: GPL-3.0-only
// The dynamic tables of a shared library, read from its segments as the system's loader reads them.
#pragma once

#include "rlx/base/result.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace conformance {

struct elf_file {
    std::vector<std::string> exported; // global symbols it defines, sorted
    std::vector<std::string> imported; // symbols it needs, sorted, without versions
    std::vector<std::string> needed;   // DT_NEEDED
    std::vector<std::string> search;   // DT_RPATH and DT_RUNPATH, split at colons
    bool executable_stack = false;
    bool text_relocations = false;

    static rlx::result<elf_file> read(const std::filesystem::path& file);
};

// The manifest in the ELF note; an error when the file is no rlx plugin at all.
rlx::result<std::string> read_note(const std::filesystem::path& file);

} // namespace conformance
