// SPDX-License-Identifier: GPL-3.0-only
// Opens librlx-text.so when the first text is met, from the folder this library lies in and nowhere
// else.
#include "rlx/checkpoint.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include <mutex>

namespace rlx {
namespace {

constexpr std::string_view library_name = "librlx-text.so.0"; // the version librlx has

result<std::filesystem::path> own_folder() {
    Dl_info info{};
    const void* here = reinterpret_cast<const void*>(&text_services);
    if (dladdr(here, &info) == 0 || !info.dli_fname)
        return error{RLX_INTERNAL, "cannot find the file this library was loaded from"};
    std::error_code failed;
    const auto file = std::filesystem::canonical(info.dli_fname, failed);
    if (failed) return error{RLX_IO, fmt::format("{}: {}", info.dli_fname, failed.message())};
    return file.parent_path();
}

result<const text_library*> load() {
    const std::filesystem::path folder = RLX_TRY(own_folder());
    // A program that holds the library statically lies in bin, its libraries in lib.
    std::filesystem::path file = folder / library_name;
    std::error_code ignored;
    if (!std::filesystem::exists(file, ignored)) file = folder.parent_path() / "lib" / library_name;
    if (!std::filesystem::exists(file, ignored))
        return error{
            RLX_NOT_FOUND,
            fmt::format(
                "{} is not in {} or {}; text needs it, ids work without",
                library_name,
                folder.string(),
                file.parent_path().string()
            )};
    void* library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        const char* why = dlerror();
        return error{
            RLX_IO,
            fmt::format("cannot load {}: {}", file.string(), why ? why : "no reason given")};
    }
    auto* entry =
        reinterpret_cast<decltype(&rlx_text_entry_v1)>(dlsym(library, "rlx_text_entry_v1"));
    if (!entry)
        return error{
            RLX_VERSION_MISMATCH, fmt::format("{} has no rlx_text_entry_v1", file.string())};
    return entry();
}

} // namespace

result<const text_library*> text_services() {
    // Only success is kept: a library installed later is found by the next call.
    static std::mutex lock;
    static const text_library* loaded = nullptr;
    const std::lock_guard guard(lock);
    if (!loaded) loaded = RLX_TRY(load());
    return loaded;
}

} // namespace rlx
