// SPDX-License-Identifier: GPL-3.0-only
#include "vk/files.hpp"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace rlx::vulkan {

namespace {

constexpr std::int64_t largest = std::int64_t{256} << 20;

// mkdir -p
void make_folders(const std::string& path) {
    for (std::size_t at = 1; at < path.size(); ++at)
        if (path[at] == '/') (void)::mkdir(path.substr(0, at).c_str(), 0700);
}

// As long for any data.
std::string seal_line(std::string_view data) {
    char text[32];
    std::snprintf(
        text, sizeof text, "rlx %016llx\n", static_cast<unsigned long long>(checksum(data))
    );
    return text;
}

} // namespace

std::string seal(std::string_view data) {
    return seal_line(data).append(data);
}

std::string_view unseal(std::string_view file) {
    const std::string_view data = file.substr(std::min(file.size(), seal_line({}).size()));
    return file.starts_with(seal_line(data)) ? data : std::string_view();
}

std::string read_own_file(const std::string& path) {
    std::string out;
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return out;

    struct stat s {};

    if (::fstat(fd, &s) == 0 && S_ISREG(s.st_mode) && s.st_uid == ::geteuid() &&
        !(s.st_mode & (S_IWGRP | S_IWOTH)) && s.st_size <= largest) {
        out.resize(static_cast<std::size_t>(s.st_size));
        std::size_t have = 0;
        while (have < out.size()) {
            const ssize_t n = ::read(fd, out.data() + have, out.size() - have);
            if (n <= 0) break;
            have += static_cast<std::size_t>(n);
        }
        if (have != out.size()) out.clear();
    }
    ::close(fd);
    return out;
}

void write_own_file(const std::string& path, std::string_view data) {
    make_folders(path);
    static std::atomic<unsigned> written{0}; // two devices of a process may write at once
    const std::string part =
        path + "." + std::to_string(::getpid()) + "." + std::to_string(++written);
    const int fd =
        ::open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return;
    std::size_t done = 0;
    while (done < data.size()) {
        const ssize_t n = ::write(fd, data.data() + done, data.size() - done);
        if (n <= 0) break;
        done += static_cast<std::size_t>(n);
    }
    const bool whole = done == data.size();
    if (::close(fd) != 0 || !whole || ::rename(part.c_str(), path.c_str()) != 0)
        (void)::unlink(part.c_str());
}

} // namespace rlx::vulkan
