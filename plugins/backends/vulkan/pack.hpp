// SPDX-License-Identifier: GPL-3.0-only
// Rows of a file into the words that shaders read (weights.hpp: matrix_format).
#pragma once

#include "weights.hpp"

namespace rlx::vulkan {

// Up to 32 rows of `cols` columns -> one group. rows: the file's bytes, row_bytes apart (f64:
// already f32); out: group_bytes() bytes. Missing rows and columns become zeros.
void pack_group(
    const matrix_format& f,
    const char* rows,
    std::uint64_t row_bytes,
    std::int64_t n_rows,
    std::int64_t cols,
    std::uint32_t* out
);

} // namespace rlx::vulkan
