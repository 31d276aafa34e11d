// SPDX-License-Identifier: GPL-3.0-only
#include "private_file.hpp"

#include "files.hpp"
#include "rlx/base/environment.hpp"
#include "rlx/loader/probe.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>

namespace rlx::loader {

namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t max_bytes = 64 << 20;

fs::path whole(const fs::path& dir) {
    std::error_code code;
    return fs::absolute(dir, code).lexically_normal();
}

// Nothing is made in a place of somebody else's, who may have put a link there: root with the HOME
// of a user would write where that user likes, and leave folders the user cannot write to.
result<fs::path> make_folder(const fs::path& dir) {
    std::error_code code;
    fs::path there = dir;
    while (!fs::exists(there, code) && there.has_relative_path())
        there = there.parent_path();
    RLX_CHECK(check_way(there));
    RLX_TRY(open_trusted_dir(there));
    for (const auto& part : dir.lexically_relative(there)) {
        there /= part;
        if (part != "." && ::mkdir(there.c_str(), 0700) != 0 && errno != EEXIST)
            return error{RLX_IO, std::strerror(errno)};
    }
    return RLX_TRY(open_trusted_dir(dir)).path;
}

} // namespace

result<std::string> read_private_file(const std::filesystem::path& file) {
    RLX_CHECK(check_way(whole(file.parent_path())));
    RLX_TRY(open_trusted_dir(whole(file.parent_path())));
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
    const auto folder = RLX_TRY(make_folder(whole(file.parent_path())));
    std::string temp = (folder / file.filename()).native() + ".XXXXXX";
    owned_fd fd(::mkostemp(temp.data(), O_CLOEXEC));
    if (fd.get() < 0) return error{RLX_IO, std::strerror(errno)};
    std::size_t done = 0;
    while (done < text.size()) {
        const ssize_t n = ::write(fd.get(), text.data() + done, text.size() - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        done += static_cast<std::size_t>(n);
    }
    if (done < text.size() || ::rename(temp.c_str(), (folder / file.filename()).c_str()) != 0) {
        const int reason = errno;
        ::unlink(temp.c_str());
        return error{RLX_IO, std::strerror(reason)};
    }
    return {};
}

} // namespace rlx::loader

namespace rlx {

std::filesystem::path private_cache_dir() {
    const auto dir = cache_dir();
    if (dir.empty()) return {};
    auto made = loader::make_folder(loader::whole(dir));
    return made.ok() ? std::move(*made) : std::filesystem::path();
}

} // namespace rlx
