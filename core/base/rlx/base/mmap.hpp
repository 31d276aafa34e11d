// SPDX-License-Identifier: GPL-3.0-only
// A whole file mapped read-only. The size is taken once, at open.
#pragma once

#include "rlx/base/api.hpp"
#include "rlx/base/result.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

namespace rlx {

// Move-only. Const members are [any thread].
class RLX_API mapped_file {
public:
    // RLX_NOT_FOUND, or RLX_IO with the system's reason; directories and devices are refused.
    static result<mapped_file> open(const std::filesystem::path& path);

    mapped_file() = default;
    mapped_file(mapped_file&& other) noexcept;
    mapped_file& operator=(mapped_file&& other) noexcept;
    ~mapped_file();

    std::span<const std::byte> bytes() const { return {data_, size_}; }

    const std::byte* data() const { return data_; }

    std::uint64_t size() const { return size_; }

    const std::filesystem::path& path() const { return path_; }

    // Hints about [offset, offset + n); out-of-range parts are ignored, failures too.
    void will_need(std::uint64_t offset, std::uint64_t n) const;
    // Drops the resident pages that lie wholly inside; they are read again from the file when
    // touched.
    void drop(std::uint64_t offset, std::uint64_t n) const;
    void sequential(std::uint64_t offset, std::uint64_t n) const;

private:
    void advise(std::uint64_t offset, std::uint64_t n, int advice) const;

    std::filesystem::path path_;
    const std::byte* data_ = nullptr; // [size_]
    std::uint64_t size_ = 0;
};

// The whole of a small file (configuration, templates). Larger than max_bytes is RLX_CORRUPT_DATA.
RLX_API result<std::string>
read_text_file(const std::filesystem::path& path, std::uint64_t max_bytes);
// The whole of a file under /proc or /sys, whose size is not known beforehand; at most 64 KiB.
RLX_API result<std::string> read_virtual_file(const std::filesystem::path& path);

} // namespace rlx
