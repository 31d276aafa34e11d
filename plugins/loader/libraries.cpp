// SPDX-License-Identifier: GPL-3.0-only
#include "libraries.hpp"

#include "elf_note.hpp"
#include "rlx/base/environment.hpp"

#include <algorithm>
#include <dlfcn.h>
#include <fmt/format.h>
#include <link.h>

namespace rlx::loader {
namespace {

constexpr int max_depth = 8; // of private libraries that need others

result<void> check_entries(const library_needs& needs) {
    if (!needs.extra.empty()) {
        return error{
            RLX_UNSUPPORTED,
            fmt::format(
                "it asks for {}: filters and auditors are not allowed; link it without -f, -F, "
                "--audit and --depaudit",
                needs.extra[0]
            )};
    }
    for (const auto& path : needs.search) {
        if (path == "$ORIGIN" || path == "${ORIGIN}") continue;
        return error{
            RLX_UNSUPPORTED,
            fmt::format(
                "it looks for libraries in '{}' (RPATH or RUNPATH), only $ORIGIN is allowed; link "
                "it "
                "without -rpath or with -rpath '$ORIGIN'",
                path
            )};
    }
    return {};
}

// The library loaded under this name, if any: its handle is never closed.
const link_map* loaded_as(const std::string& name) {
    void* handle = ::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD);
    link_map* map = nullptr;
    if (!handle || ::dlinfo(handle, RTLD_DI_LINKMAP, &map) != 0) return nullptr;
    return map;
}

// Two libraries of one name cannot be in a process; the second plugin would get the first one's.
result<bool> is_loaded(const std::string& name, const struct stat& ours) {
    const link_map* map = loaded_as(name);
    if (!map) return false;

    struct stat st {};

    if (::stat(map->l_name, &st) == 0 && st.st_ino == ours.st_ino && st.st_dev == ours.st_dev)
        return true;
    return error{
        RLX_UNSUPPORTED,
        fmt::format(
            "it ships {}, but another library of that name is loaded already ({}); give it a name "
            "of "
            "its own",
            name,
            map->l_name
        )};
}

result<void> load_needs(int fd, std::uint64_t size, const trusted_dir& dir, int depth);

result<void> load_one(const std::string& name, const trusted_dir& dir, int depth) {
    owned_fd fd = RLX_TRY(open_file(dir, name).within("its library " + name));

    struct stat st {};

    if (::fstat(fd.get(), &st) != 0)
        return error{RLX_IO, "its library " + name + " cannot be read"};
    if (RLX_TRY(is_loaded(name, st))) return {};
    RLX_CHECK(load_needs(fd.get(), static_cast<std::uint64_t>(st.st_size), dir, depth + 1)
                  .within("its library " + name));
    const std::string path = fmt::format("/proc/self/fd/{}", fd.get());
    if (!::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) {
        std::string why = ::dlerror();
        if (auto at = why.find(path); at != why.npos)
            why.replace(at, path.size(), (dir.path / name).native());
        return error{RLX_UNSUPPORTED, "its library " + name + " does not load: " + why};
    }
    fd.release(); // glibc remembers the path
    if (loaded_as(name)) return {};
    return error{
        RLX_UNSUPPORTED,
        "its library " + name + " has another SONAME, link it with -soname " + name};
}

// A library of the system's, not one that happens to be loaded because another plugin ships it.
result<void> check_foreign(const std::string& name) {
    const link_map* map = loaded_as(name);
    if (!map || !std::string_view(map->l_name).starts_with("/proc/self/fd/")) return {};
    return error{
        RLX_NOT_FOUND,
        fmt::format(
            "it needs the library {}, which is not beside it; another plugin's is not taken", name
        )};
}

result<void> load_needs(int fd, std::uint64_t size, const trusted_dir& dir, int depth) {
    const library_needs needs = RLX_TRY(read_library_needs(fd, size));
    RLX_CHECK(check_entries(needs));
    if (depth > max_depth)
        return error{RLX_UNSUPPORTED, "its libraries need each other too deeply"};
    for (const auto& name : needs.needed) {
        if (name.find('/') != name.npos) {
            return error{
                RLX_UNSUPPORTED,
                "it needs the library " + name + " by its path; link it by its name"};
        }
        const auto found = check_file(dir, name);
        const bool is_private =
            !needs.search.empty() && (found.ok() || found.error().code != RLX_NOT_FOUND);
        RLX_CHECK(is_private ? load_one(name, dir, depth) : check_foreign(name));
    }
    return {};
}

result<void> check_library_entry(std::string_view folder) {
    const auto wrong = [](std::string_view why) {
        return error{RLX_INVALID_ARGUMENT, std::string(why)};
    };
    if (folder.empty()) return wrong("an empty entry is the working directory");
    if (folder[0] != '/') return wrong("it is relative to the working directory");
    if (folder.find('$') != folder.npos) return wrong("what it stands for is up to each library");
    return check_library_folder(folder);
}

} // namespace

result<void> check_library_path() {
    const auto list = env_string("LD_LIBRARY_PATH");
    if (!list) return {};
    for (std::size_t at = 0, end; at <= list->size(); at = end + 1) {
        end = std::min(list->find_first_of(":;", at), list->size());
        const auto folder = list->substr(at, end - at);
        const auto done = check_library_entry(folder);
        if (done.ok() || done.error().code == RLX_NOT_FOUND) continue;
        return error{
            RLX_UNSUPPORTED,
            fmt::format(
                "LD_LIBRARY_PATH holds '{}', so code of others could be loaded with it: {}; "
                "make that a folder only you can change or take it out of LD_LIBRARY_PATH",
                folder,
                done.error().message
            )};
    }
    return {};
}

result<void> load_private_libraries(int fd, std::uint64_t size, const trusted_dir& dir) {
    return load_needs(fd, size, dir, 0);
}

} // namespace rlx::loader
