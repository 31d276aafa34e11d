// SPDX-License-Identifier: GPL-3.0-only
#include "image_files.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>

namespace rlx::cli {

namespace fs = std::filesystem;

bool is_image_name(const fs::path& file) {
    constexpr std::array<std::string_view, 3> known{".png", ".jpg", ".jpeg"};
    std::string end = file.extension().string();
    for (char& c : end)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return std::ranges::find(known, end) != known.end();
}

bool is_hidden(const fs::path& file) {
    return file.filename().native().starts_with('.');
}

std::optional<fs::path> picture_at(const fs::path& path) {
    if (is_image_name(path)) return path;
    std::error_code failed;
    for (fs::recursive_directory_iterator at(path, failed), end; !failed && at != end;
         at.increment(failed)) {
        if (is_hidden(at->path()))
            at.disable_recursion_pending();
        else if (is_image_name(at->path()))
            return at->path();
    }
    return std::nullopt;
}

namespace {

result<std::vector<fs::path>> images_in(const fs::path& folder) {
    std::vector<fs::path> out;
    std::error_code failed;
    for (fs::directory_iterator it(folder, failed), end; !failed && it != end;
         it.increment(failed)) {
        std::error_code ignored;
        if (!is_hidden(it->path()) && is_image_name(it->path()) && it->is_regular_file(ignored))
            out.push_back(it->path());
    }
    if (failed) return error{RLX_IO, fmt::format("{}: {}", folder.string(), failed.message())};
    if (out.empty())
        return error{
            RLX_NOT_FOUND,
            fmt::format("{}: no .png, .jpg or .jpeg file in this folder", folder.string())};
    std::ranges::sort(out);
    return out;
}

} // namespace

result<std::vector<fs::path>> image_files(std::span<const std::string> given) {
    if (given.empty())
        return error{
            RLX_INVALID_ARGUMENT, "no image given: name PNG or JPEG files, or folders of them"};
    std::vector<fs::path> out;
    for (const fs::path path : given) {
        std::error_code ignored;
        if (!fs::is_directory(path, ignored)) {
            if (path != "-" && !fs::exists(path, ignored))
                return error{RLX_NOT_FOUND, fmt::format("{}: no such file", path.string())};
            out.push_back(path);
            continue;
        }
        const auto found = RLX_TRY(images_in(path));
        out.insert(out.end(), found.begin(), found.end());
    }
    return out;
}

} // namespace rlx::cli
