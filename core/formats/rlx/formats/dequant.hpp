// SPDX-License-Identifier: GPL-3.0-only
// Element types: sizes, names, and packed blocks to float32. Reference quality and exact; the fast
// paths are the backends'.
#pragma once

#include "rlx/abi/dtype.h"
#include "rlx/base/api.hpp"
#include "rlx/base/result.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace rlx {

struct dtype_traits {
    std::uint16_t dtype; // RLX_F32, ... or the id of a GGUF type we can measure but not read
    std::uint16_t block; // elements per block along the innermost axis
    std::uint16_t block_bytes;
    bool readable;                // dequantize() knows it
    std::string_view name;        // "Q4_K", "BF16"
    std::string_view safetensors; // its name in safetensors files, empty when it cannot occur there
};

// nullptr for an unknown id. [any thread]
RLX_API const dtype_traits* dtype_find(std::uint32_t dtype);
RLX_API const dtype_traits* dtype_find_safetensors(std::string_view name);
// "Q4_K"; "type 77" when unknown.
RLX_API std::string dtype_name(std::uint32_t dtype);

// Bytes of n elements along the innermost axis; nullopt when n is no whole number of blocks or too
// large.
RLX_API std::optional<std::uint64_t> dtype_bytes(const dtype_traits& t, std::uint64_t n);

// Writes n float32 values. n must be a whole number of blocks and src hold dtype_bytes(n); src
// needs no alignment. I64 and F64 are rounded to the nearest float. RLX_UNSUPPORTED when the type
// cannot be read. [any thread]
RLX_API result<void> dequantize(std::uint32_t dtype, const void* src, std::uint64_t n, float* dst);

RLX_API float half_to_float(std::uint16_t h);
RLX_API float f8_e4m3_to_float(std::uint8_t v);
RLX_API float f8_e5m2_to_float(std::uint8_t v);

} // namespace rlx
