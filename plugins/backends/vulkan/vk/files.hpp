// SPDX-License-Identifier: GPL-3.0-only
// Small files of this backend's own in the cache directory. A directory that is absent, foreign or
// full is as good as an empty one.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace rlx::vulkan {

// Empty when there is no such file, it belongs to somebody else, others may write to it, or it is
// larger than 256 MiB.
std::string read_own_file(const std::string& path);

// Replaces the file as a whole or leaves it as it was.
void write_own_file(const std::string& path, std::string_view data);

// FNV-1a over 64 bits: tells damage and change, not malice.
constexpr std::uint64_t checksum(std::string_view data, std::uint64_t from = 0xcbf29ce484222325u) {
    for (const char c : data)
        from = (from ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
    return from;
}

// Data with a first line that has its checksum, and what was sealed; empty when it is damaged.
std::string seal(std::string_view data);
std::string_view unseal(std::string_view file);

template <std::size_t N>
std::string hex(const std::array<std::uint8_t, N>& bytes) {
    constexpr const char* digits = "0123456789abcdef";
    std::string out;
    for (const std::uint8_t b : bytes) {
        out += digits[b >> 4];
        out += digits[b & 15];
    }
    return out;
}

} // namespace rlx::vulkan
