// SPDX-License-Identifier: GPL-3.0-only
// Names and sizes of element types, as the graph needs them (rlx/abi/dtype.h).
#pragma once

#include <cstdint>
#include <string>

namespace rlx::ir {

// `bytes` hold `elements` consecutive elements of the innermost axis; elements > 1 = packed. bytes
// = 0: no such type.
struct dtype_layout {
    std::uint32_t bytes, elements;

    bool packed() const { return elements > 1; }
};

dtype_layout layout_of(std::uint32_t dtype);
std::string dtype_name(std::uint32_t dtype); // "f32", "q4_K"
bool is_plain_float(std::uint32_t dtype);    // f32, f16, bf16, f64

} // namespace rlx::ir
