// SPDX-License-Identifier: GPL-3.0-only
// Stride arithmetic of view ops. Strides and offsets are dim handles, in elements.
#pragma once

#include "dims.hpp"

#include <optional>

namespace rlx::ir {

result<std::vector<dim>> contiguous_strides(dim_table& d, std::span<const dim> dims);

// Row-major without gaps. Axes of size 1 have any stride; a tensor with a zero axis is contiguous.
result<bool> is_contiguous(dim_table& d, std::span<const dim> dims, std::span<const dim> strides);

// Strides that show a strided tensor under new dims with the same number of elements; nullopt when
// no strides can (a copy is needed).
result<std::optional<std::vector<dim>>> reshape_strides(
    dim_table& d, std::span<const dim> dims, std::span<const dim> strides, std::span<const dim> to
);

} // namespace rlx::ir
