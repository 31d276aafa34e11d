// SPDX-License-Identifier: GPL-3.0-only
// Model files that are already on this machine: rlx-inspect scan and resolve.
#pragma once

#include "commands.hpp"
#include "rlx/formats/weights.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace rlx::cli {

struct found_model {
    std::filesystem::path path; // GGUF file, or safetensors directory
    std::string source;         // "rlx", "lmstudio", ...
    std::string name;
    std::string format;
    std::uint64_t size_bytes = 0;
    std::string quant; // "Q4_K_M" when the name says so
    std::string arch;  // only when sniffed
};

struct scan_options {
    std::vector<std::string> sources; // empty = all
    std::vector<std::filesystem::path> extra_roots;
    std::string query;
    std::string prefer; // matches come first
    bool sniff = false; // open each file for its architecture
    int max_depth = 8;
    // Extensions of plugins' formats with the format's name, and how to open such a file.
    std::vector<std::pair<std::string, std::string>> formats = {};
    open_options open = {};
};

// By source priority, then name. Folders that cannot be read are skipped.
std::vector<found_model> find_models(const scan_options& options);
// Names scan_options.sources may have.
std::vector<std::string> model_sources();
// A snapshot in the Hugging Face cache for "org/name", empty when there is none.
std::filesystem::path find_in_hub_cache(std::string_view repo);

int cmd_scan(arg_span args);
int cmd_resolve(arg_span args);

} // namespace rlx::cli
