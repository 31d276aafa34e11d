// SPDX-License-Identifier: GPL-3.0-only
// Image files named on a command line.
#pragma once

#include "rlx/base/result.hpp"

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace rlx::cli {

// The files as given (- too, standard input), and for a folder its .png, .jpg and .jpeg files (any
// case) in order of name, without hidden ones and those of folders in it. RLX_INVALID_ARGUMENT for
// nothing given, RLX_NOT_FOUND for a path that is not there and a folder without images.
result<std::vector<std::filesystem::path>> image_files(std::span<const std::string> given);

// A file named as the above.
bool is_image_name(const std::filesystem::path& file);
// Whose name begins with a dot: nobody means it by naming its folder.
bool is_hidden(const std::filesystem::path& file);
// The path itself, or some file below it that is not hidden, named so.
std::optional<std::filesystem::path> picture_at(const std::filesystem::path& path);

} // namespace rlx::cli
