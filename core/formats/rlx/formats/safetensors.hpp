// SPDX-License-Identifier: GPL-3.0-only
// One .safetensors file: the header, strictly checked. Borrows nothing.
#pragma once

#include "rlx/base/api.hpp"
#include "rlx/base/result.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace rlx {

struct safetensors_tensor {
    std::string name;
    std::uint16_t dtype;
    std::vector<std::int64_t> dims; // outermost first
    std::uint64_t offset;           // in the file
    std::uint64_t n_bytes;
};

struct safetensors_header {
    std::vector<safetensors_tensor> tensors; // by offset
    std::vector<std::pair<std::string, std::string>> metadata;
    std::uint64_t data_offset = 0;
};

struct safetensors_options {
    std::uint64_t max_header = 100'000'000; // as in the format's reference reader
};

// `name` is for messages. RLX_CORRUPT_DATA names file, tensor and byte offset; RLX_UNSUPPORTED for
// element types this project does not know. Duplicate names, holes and overlaps are refused.
RLX_API result<safetensors_header> safetensors_parse(
    std::span<const std::byte> bytes, const std::string& name, const safetensors_options& = {}
);

} // namespace rlx
