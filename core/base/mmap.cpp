// SPDX-License-Identifier: GPL-3.0-only
#include "rlx/base/mmap.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace rlx {
namespace {

struct file_handle {
    int fd = -1;

    ~file_handle() {
        if (fd >= 0) ::close(fd);
    }
};

error system_error_of(const std::filesystem::path& path, const char* doing, int code) {
    const bool absent = code == ENOENT || code == ENOTDIR;
    const std::uint32_t kind = absent ? RLX_NOT_FOUND : code == ENOMEM ? RLX_OUT_OF_MEMORY : RLX_IO;
    return {
        kind,
        path.string() + ": " + doing + ": " + std::generic_category().message(code)};
}

result<std::uint64_t> open_regular(const std::filesystem::path& path, file_handle& file) {
    file.fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); // a FIFO must not block us
    if (file.fd < 0) return system_error_of(path, "cannot open", errno);

    struct stat st {};

    if (::fstat(file.fd, &st) != 0) return system_error_of(path, "cannot stat", errno);
    if (S_ISDIR(st.st_mode))
        return error{RLX_INVALID_ARGUMENT, path.string() + ": is a directory, expected a file"};
    if (!S_ISREG(st.st_mode))
        return error{RLX_INVALID_ARGUMENT, path.string() + ": is not a regular file"};
    return static_cast<std::uint64_t>(st.st_size);
}

result<std::size_t>
read_up_to(const std::filesystem::path& path, const file_handle& file, std::string& text) {
    std::size_t done = 0;
    while (done < text.size()) {
        ssize_t n = ::read(file.fd, text.data() + done, text.size() - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return system_error_of(path, "cannot read", errno);
        if (n == 0) break;
        done += static_cast<std::size_t>(n);
    }
    return done;
}

} // namespace

result<mapped_file> mapped_file::open(const std::filesystem::path& path) {
    file_handle file;
    std::uint64_t size = RLX_TRY(open_regular(path, file));
    mapped_file out;
    out.path_ = path;
    if (size == 0) return out;
    if (size > PTRDIFF_MAX) return error{RLX_IO, path.string() + ": too large to map"};
    void* p = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.fd, 0);
    if (p == MAP_FAILED) return system_error_of(path, "cannot map", errno);
    out.data_ = static_cast<const std::byte*>(p);
    out.size_ = size;
    return out;
}

mapped_file::mapped_file(mapped_file&& other) noexcept {
    *this = std::move(other);
}

mapped_file& mapped_file::operator=(mapped_file&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
}

mapped_file::~mapped_file() {
    if (data_) ::munmap(const_cast<std::byte*>(data_), size_);
}

void mapped_file::advise(std::uint64_t offset, std::uint64_t n, int advice) const {
    static const std::uint64_t page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    if (offset >= size_ || n == 0) return;
    std::uint64_t end = offset + std::min(n, size_ - offset);
    bool shrink = advice == MADV_DONTNEED; // neighbours on a shared page keep it
    std::uint64_t first = shrink ? (offset + page - 1) / page * page : offset / page * page;
    if (shrink && end != size_) end = end / page * page;
    if (first < end) ::madvise(const_cast<std::byte*>(data_) + first, end - first, advice);
}

void mapped_file::will_need(std::uint64_t offset, std::uint64_t n) const {
    advise(offset, n, MADV_WILLNEED);
}

void mapped_file::drop(std::uint64_t offset, std::uint64_t n) const {
    advise(offset, n, MADV_DONTNEED);
}

void mapped_file::sequential(std::uint64_t offset, std::uint64_t n) const {
    advise(offset, n, MADV_SEQUENTIAL);
}

result<std::string> read_text_file(const std::filesystem::path& path, std::uint64_t max_bytes) {
    file_handle file;
    std::uint64_t size = RLX_TRY(open_regular(path, file));
    if (size > max_bytes) {
        return error{
            RLX_CORRUPT_DATA,
            path.string() + ": " + std::to_string(size) + " bytes, the limit for such a file is " +
                std::to_string(max_bytes)};
    }
    std::string text(size, '\0');
    std::size_t done = RLX_TRY(read_up_to(path, file, text));
    text.resize(done);
    return text;
}

result<std::string> read_virtual_file(const std::filesystem::path& path) {
    file_handle file;
    RLX_TRY(open_regular(path, file));
    std::string text(64 * 1024, '\0');
    text.resize(RLX_TRY(read_up_to(path, file, text)));
    return text;
}

} // namespace rlx
