// SPDX-License-Identifier: GPL-3.0-only
#include "side_library.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include <filesystem>

namespace rlx {
namespace {

result<std::filesystem::path> own_folder() {
    Dl_info info{};
    const void* here = reinterpret_cast<const void*>(&side_library_entry);
    if (dladdr(here, &info) == 0 || !info.dli_fname)
        return error{RLX_INTERNAL, "cannot find the file this library was loaded from"};
    std::error_code failed;
    const auto file = std::filesystem::canonical(info.dli_fname, failed);
    if (failed) return error{RLX_IO, fmt::format("{}: {}", info.dli_fname, failed.message())};
    return file.parent_path();
}

} // namespace

result<void*> side_library_entry(std::string_view name, const char* symbol, std::string_view need) {
    const std::filesystem::path folder = RLX_TRY(own_folder());
    // A program that holds the library statically lies in bin, its libraries in lib.
    std::filesystem::path file = folder / name;
    std::error_code ignored;
    if (!std::filesystem::exists(file, ignored)) file = folder.parent_path() / "lib" / name;
    if (!std::filesystem::exists(file, ignored))
        return error{
            RLX_NOT_FOUND,
            fmt::format(
                "{} is not in {} or {}; {}",
                name,
                folder.string(),
                file.parent_path().string(),
                need
            )};
    void* library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        const char* why = dlerror();
        return error{
            RLX_IO,
            fmt::format("cannot load {}: {}", file.string(), why ? why : "no reason given")};
    }
    void* entry = dlsym(library, symbol);
    if (!entry)
        return error{RLX_VERSION_MISMATCH, fmt::format("{} has no {}", file.string(), symbol)};
    return entry;
}

} // namespace rlx
