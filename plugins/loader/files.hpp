// SPDX-License-Identifier: GPL-3.0-only
// Files a plugin may be loaded from: opened without following links, owned by someone we trust, not
// writable by others, in directories of which the same is true up to the root.
#pragma once

#include "rlx/base/result.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>

namespace rlx::loader {

class owned_fd {
public:
    explicit owned_fd(int fd = -1) : fd_(fd) {}

    owned_fd(owned_fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

    owned_fd& operator=(owned_fd&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }

    ~owned_fd() {
        if (fd_ >= 0) ::close(fd_);
    }

    int get() const { return fd_; }

    int release() { return std::exchange(fd_, -1); }

private:
    int fd_;
};

// What identifies one state of a file; any difference means "read it again". The time of change is
// what nobody can set: files that are replaced in place may keep the time of modification and the
// size.
struct file_stamp {
    std::int64_t mtime_ns = 0;
    std::int64_t ctime_ns = 0;
    std::uint64_t size = 0;
    std::uint64_t inode = 0;

    bool operator==(const file_stamp&) const = default;
};

file_stamp stamp_of(const struct stat& st);

// A directory whose whole path is trusted, open for openat().
struct trusted_dir {
    owned_fd fd;
    std::filesystem::path path; // canonical
};

// Relative paths and paths with ".." are RLX_INVALID_ARGUMENT, absent ones RLX_NOT_FOUND, the rest
// RLX_IO saying which directory is owned or writable by whom.
result<trusted_dir> open_trusted_dir(const std::filesystem::path& dir);

// Nobody else can change where the path leads, by another link or another directory on its way.
// Errors as above; ".." is followed.
result<void> check_way(const std::filesystem::path& path);

// A folder in which the system's loader itself will look for libraries: it and its subfolders for
// particular processors are trusted directories, so is every one on the way to it (links are
// followed by whoever opens the path again), and nobody else may write to a library in it. Errors
// as above; ".." is followed.
result<void> check_library_folder(const std::filesystem::path& dir);

// Regular file, trusted owner, not writable by others; what is its status. No link is followed.
result<struct stat> check_file(const trusted_dir& dir, const std::string& name);

// The same, opened for reading; the checks are made on the open file.
result<owned_fd> open_file(const trusted_dir& dir, const std::string& name);

// Bytes [offset, offset + n) of a file; too few is RLX_CORRUPT_DATA.
result<std::string> read_at(int fd, std::uint64_t offset, std::uint64_t n, std::string_view what);

} // namespace rlx::loader
