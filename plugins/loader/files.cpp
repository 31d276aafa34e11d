// SPDX-License-Identifier: GPL-3.0-only
#include "files.hpp"

#include "rlx/base/environment.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/xattr.h>

namespace rlx::loader {
namespace {

error io_error(std::string_view what, int code) {
    const std::uint32_t status = code == ENOENT || code == ENOTDIR ? RLX_NOT_FOUND : RLX_IO;
    return {status, fmt::format("{}: {}", what, std::strerror(code))};
}

// Who starts a program with set-group-id or capabilities keeps the user id, and would hand it code
// to run with them.
bool is_callers_own(uid_t owner) {
    return env_is_secure() && owner == ::getuid();
}

// Trusted are root, we, and the owner of the running program: their code runs in this process
// already.
bool trusted_owner(uid_t owner) {
    static const uid_t program_owner = [] {
        struct stat st {};
        return ::stat("/proc/self/exe", &st) == 0 ? st.st_uid : uid_t{0};
    }();
    if (owner == 0 || owner == program_owner) return true;
    return owner == ::geteuid() && !is_callers_own(owner);
}

// Write permission of a group is harmless when the group is root's or the user's private one (group
// id == user id, the usual set-up with umask 002).
bool harmless_group(gid_t group) {
    return group == 0 || (group == ::getegid() && group == ::geteuid() && !env_is_secure());
}

// An access control list shows as write permission of the group, whomever it gives it to.
bool has_access_list(const std::string& path) {
    return ::getxattr(path.c_str(), "system.posix_acl_access", nullptr, 0) >= 0 ||
           (errno != ENODATA && errno != EOPNOTSUPP);
}

// The file or directory behind a descriptor, O_PATH or not.
std::string path_of(int fd) {
    return fmt::format("/proc/self/fd/{}", fd);
}

// Empty, or who could change the file behind our back. `path` leads to what st is about.
std::string distrust(const struct stat& st, const std::string& path) {
    if (!trusted_owner(st.st_uid)) {
        return fmt::format(
            "is owned by user {}, expected root{}",
            st.st_uid,
            is_callers_own(st.st_uid) ? ": this program has privileges its user lacks"
                                      : fmt::format(" or user {}", ::geteuid())
        );
    }
    if (st.st_mode & S_IWOTH) return "is writable by every user; run chmod o-w on it";
    if (!(st.st_mode & S_IWGRP)) return {};
    if (!harmless_group(st.st_gid)) {
        return fmt::format("is writable by group {}; run chmod g-w on it", st.st_gid);
    }
    if (has_access_list(path))
        return "is writable by others through an access control list; run setfacl -b on it";
    return {};
}

// On the way to the directory a sticky one (/tmp) will do: others cannot replace what is ours in
// it.
std::string distrust_parent(struct stat st, const std::string& path) {
    if (st.st_mode & S_ISVTX) st.st_mode &= ~static_cast<mode_t>(S_IWOTH | S_IWGRP);
    return distrust(st, path);
}

result<std::filesystem::path> resolved(const std::filesystem::path& dir) {
    if (dir.is_relative()) {
        return error{
            RLX_INVALID_ARGUMENT, "relative directories are not searched; give an absolute path"};
    }
    if (std::ranges::find(dir, "..") != dir.end()) {
        return error{RLX_INVALID_ARGUMENT, "the path contains '..'; give it without"};
    }
    std::error_code code;
    auto path = std::filesystem::canonical(dir, code);
    if (code) return io_error("cannot open the directory", code.value());
    return path;
}

} // namespace

file_stamp stamp_of(const struct stat& st) {
    const auto ns = [](const timespec& t) {
        return static_cast<std::int64_t>(t.tv_sec) * 1'000'000'000 + t.tv_nsec;
    };
    return {ns(st.st_mtim), ns(st.st_ctim), static_cast<std::uint64_t>(st.st_size), st.st_ino};
}

result<trusted_dir> open_trusted_dir(const std::filesystem::path& dir) {
    const auto path = RLX_TRY(resolved(dir));
    owned_fd here(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
    std::filesystem::path so_far = "/";
    for (auto part = path.begin(); part != path.end();) {
        if (*part != "/") {
            // Component by component: a link put in place after resolved() is refused by
            // O_NOFOLLOW.
            const bool last = std::next(part) == path.end();
            const int flags = O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | (last ? O_RDONLY : O_PATH);
            here = owned_fd(::openat(here.get(), part->c_str(), flags));
            so_far /= *part;
        }
        if (here.get() < 0) return io_error(fmt::format("cannot open {}", so_far.native()), errno);

        struct stat st {};

        if (::fstat(here.get(), &st) != 0) return io_error(so_far.native(), errno);
        const bool is_target = ++part == path.end();
        const std::string self = path_of(here.get());
        if (auto why = is_target ? distrust(st, self) : distrust_parent(st, self); !why.empty()) {
            return error{RLX_IO, fmt::format("directory {} {}", so_far.native(), why)};
        }
    }
    return trusted_dir{std::move(here), path};
}

namespace {

constexpr int max_links = 40;

result<void> check_links(const std::filesystem::path& path, int links) {
    if (links > max_links) return io_error(path.native(), ELOOP);
    std::filesystem::path so_far;
    for (const auto& part : path) {
        so_far /= part;

        struct stat st {};

        if (::lstat(so_far.c_str(), &st) != 0) return io_error(so_far.native(), errno);
        // The mode of a link means nothing.
        if (S_ISLNK(st.st_mode)) st.st_mode &= ~static_cast<mode_t>(S_IWOTH | S_IWGRP);
        const auto why = S_ISDIR(st.st_mode) ? distrust_parent(st, so_far) : distrust(st, so_far);
        if (!why.empty()) return error{RLX_IO, fmt::format("{} {}", so_far.native(), why)};
        if (!S_ISLNK(st.st_mode)) continue;
        std::error_code code;
        const auto target = std::filesystem::read_symlink(so_far, code);
        if (code) return io_error(so_far.native(), code.value());
        RLX_CHECK(check_links(so_far.parent_path() / target, links + 1));
    }
    return {};
}

// Names of subfolders that glibc prefers on some processors; below glibc-hwcaps it is any name, and
// before glibc 2.37 the others nest in any order.
bool is_for_processors(const std::filesystem::path& dir) {
    constexpr std::string_view names[] = {
        "glibc-hwcaps", "tls", "x86_64", "haswell", "xeon_phi", "avx512_1", "aarch64", "atomics"};
    return dir.parent_path().filename() == names[0] ||
           std::ranges::find(names, std::string_view(dir.filename().native())) != std::end(names);
}

constexpr int max_subfolders = 5; // in each other

result<void> check_library_tree(const std::filesystem::path& dir, int depth) {
    if (depth > max_subfolders) return io_error(dir.native(), ELOOP);
    RLX_CHECK(check_way(dir));
    std::error_code code, unknown;
    const auto path = std::filesystem::canonical(dir, code);
    if (code) return io_error("cannot open the directory", code.value());
    RLX_TRY(open_trusted_dir(path));
    std::filesystem::directory_iterator entries(path, code);
    if (code) return io_error("cannot read the directory", code.value());
    for (; entries != std::filesystem::directory_iterator(); entries.increment(code)) {
        const auto& entry = entries->path();
        const bool is_dir = std::filesystem::is_directory(entry, unknown);
        if (!is_dir && entry.native().find(".so", path.native().size()) == std::string::npos)
            continue;
        if (is_dir && !is_for_processors(entry)) continue;
        const auto done = is_dir ? check_library_tree(entry, depth + 1) : check_way(entry);
        if (!done.ok() && done.error().code != RLX_NOT_FOUND) return done.error();
    }
    if (code) return io_error("cannot read the directory", code.value());
    return {};
}

result<void> check_stat(const struct stat& st, const std::string& path) {
    if (S_ISLNK(st.st_mode)) {
        return error{RLX_IO, "is a symbolic link; plugins must be regular files"};
    }
    if (!S_ISREG(st.st_mode)) return error{RLX_IO, "is not a regular file"};
    if (auto why = distrust(st, path); !why.empty()) return error{RLX_IO, why};
    return {};
}

} // namespace

result<void> check_way(const std::filesystem::path& path) {
    return check_links(path, 0);
}

result<void> check_library_folder(const std::filesystem::path& dir) {
    return check_library_tree(dir, 0);
}

result<struct stat> check_file(const trusted_dir& dir, const std::string& name) {
    struct stat st {};

    if (::fstatat(dir.fd.get(), name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return io_error("cannot read", errno);
    }
    RLX_CHECK(check_stat(st, path_of(dir.fd.get()) + "/" + name));
    return st;
}

result<owned_fd> open_file(const trusted_dir& dir, const std::string& name) {
    // O_NONBLOCK: a FIFO must not hang the search.
    const int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
    owned_fd fd(::openat(dir.fd.get(), name.c_str(), flags));
    // It stays open for the life of the process: never in the place of a closed standard stream.
    if (fd.get() >= 0 && fd.get() <= STDERR_FILENO)
        fd = owned_fd(::fcntl(fd.get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
    if (fd.get() < 0) {
        if (errno == ELOOP)
            return error{RLX_IO, "is a symbolic link; plugins must be regular files"};
        return io_error("cannot open", errno);
    }

    struct stat st {};

    if (::fstat(fd.get(), &st) != 0) return io_error("cannot read", errno);
    RLX_CHECK(check_stat(st, path_of(fd.get())));
    return fd;
}

result<std::string> read_at(int fd, std::uint64_t offset, std::uint64_t n, std::string_view what) {
    std::string out(n, '\0');
    std::uint64_t have = 0;
    while (have < n) {
        const ssize_t got =
            ::pread(fd, out.data() + have, n - have, static_cast<off_t>(offset + have));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return io_error(fmt::format("cannot read {}", what), errno);
        if (got == 0) {
            return error{
                RLX_CORRUPT_DATA,
                fmt::format("truncated: {} needs {} bytes at offset {}", what, n, offset)};
        }
        have += static_cast<std::uint64_t>(got);
    }
    return out;
}

} // namespace rlx::loader
