// SPDX-License-Identifier: GPL-3.0-only
// Private to core/formats: from the path a user gives to the files to open.
#pragma once

#include "rlx/base/result.hpp"
#include "rlx/formats/weights.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace rlx {

enum class checkpoint_kind { gguf, safetensors, safetensors_index, plugin };

struct checkpoint_location {
    checkpoint_kind kind;
    std::filesystem::path
        file; // the GGUF file (part 1 of a split one), the .safetensors file, or the index
    std::filesystem::path directory; // where config.json and the tokenizer lie
    weight_format format = {};       // kind plugin
};

// A file is itself (by its first bytes). In a directory: its .gguf files, model.safetensors,
// model.safetensors.index.json, a lone *.safetensors, a lone file of a plugin's format, .gguf files
// one level below; the first kind that is there. Several GGUF files left after options.prefer are
// RLX_INVALID_ARGUMENT with a numbered list.
result<checkpoint_location>
locate_checkpoint(const std::filesystem::path& path, const open_options& options);

// name-00002-of-00003.gguf: the names of all three, in order; empty for any other name.
std::vector<std::string> gguf_part_names(const std::string& file_name);

} // namespace rlx
