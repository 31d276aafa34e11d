// SPDX-License-Identifier: GPL-3.0-only
// NumPy's .npy files, format 1.0 to 3.0 (numpy.lib.format): what arrays are exchanged with
// references in. Little-endian, row-major.
#pragma once

#include "rlx/base/api.hpp"
#include "rlx/base/result.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rlx {

struct npy_array {
    std::vector<std::int64_t> shape;
    std::vector<float> values; // [shape...]
};

// The bytes before the data. type: "<f4" float32, "|i1" int8, "|u1" uint8, "<i4" int32. At least
// min_bytes long (a multiple of 64 anyway): a writer that learns the number of rows last reserves
// room with it and writes the header again. [any thread]
RLX_API std::string
npy_header(std::string_view type, std::span<const std::int64_t> shape, std::size_t min_bytes = 0);

// A float32 array in C order. RLX_CORRUPT_DATA naming file, what is wrong and what to do: no .npy
// file, cut short, longer than its shape, another type or order, a shape whose size overflows. name
// stands in messages. [any thread]
RLX_API result<npy_array> parse_npy(std::span<const std::byte> file, std::string_view name);
// The same of a file: RLX_NOT_FOUND, RLX_IO besides. More than max_bytes is RLX_CORRUPT_DATA.
RLX_API result<npy_array>
read_npy(const std::filesystem::path& file, std::uint64_t max_bytes = std::uint64_t{8} << 30);

} // namespace rlx
