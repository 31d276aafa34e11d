// SPDX-License-Identifier: GPL-3.0-only
#include "private_file.hpp"

#include "files.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>

namespace rlx::loader {

constexpr std::uint64_t max_bytes = 64 << 20;

result<std::string> read_private_file(const std::filesystem::path& file) {
    owned_fd fd(::open(file.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
    if (fd.get() < 0) return error{RLX_NOT_FOUND, std::strerror(errno)};

    struct stat st {};

    if (::fstat(fd.get(), &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid != ::geteuid() ||
        (st.st_mode & (S_IWOTH | S_IWGRP))) {
        return error{RLX_IO, "is not a private file of this user"};
    }
    const auto size = static_cast<std::uint64_t>(st.st_size);
    if (size > max_bytes) return error{RLX_CORRUPT_DATA, "is absurdly long"};
    return read_at(fd.get(), 0, size, "the file");
}

result<void> replace_private_file(const std::filesystem::path& file, const std::string& text) {
    std::error_code code;
    std::filesystem::create_directories(file.parent_path(), code);
    std::string temp = file.native() + ".XXXXXX";
    owned_fd fd(::mkostemp(temp.data(), O_CLOEXEC));
    if (fd.get() < 0) return error{RLX_IO, std::strerror(errno)};
    std::size_t done = 0;
    while (done < text.size()) {
        const ssize_t n = ::write(fd.get(), text.data() + done, text.size() - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        done += static_cast<std::size_t>(n);
    }
    if (done < text.size() || ::rename(temp.c_str(), file.c_str()) != 0) {
        const int reason = errno;
        ::unlink(temp.c_str());
        return error{RLX_IO, std::strerror(reason)};
    }
    return {};
}

} // namespace rlx::loader
