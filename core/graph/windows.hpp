// SPDX-License-Identifier: GPL-3.0-only
// Windows that slide over spatial axes: what Conv, Pool, Im2Col and Col2Im share.
#pragma once

#include "rules.hpp"

#include <array>

namespace rlx::ir {

struct window_numbers {
    std::size_t n = 0; // spatial axes, at most 3
    std::array<std::int64_t, 3> kernel{}, stride{}, lo{}, hi{}, dilation{};
};

// A list attribute with one number >= least per spatial axis; absent: all `absent`.
result<std::array<std::int64_t, 3>> read_numbers(
    rule_context& c, std::uint32_t key, std::size_t n, std::int64_t least, std::int64_t absent
);

// Attributes kernel, stride, pad_lo, pad_hi, dilation for n axes.
result<window_numbers> read_windows(rule_context& c, std::size_t n);

// floor((length - kernel) / stride) + 1, 0 when none fits.
result<dim> whole_windows(dim_table& d, dim length, dim kernel, std::int64_t stride);

// Number of windows on an axis of `length` elements; up: an overhanging one counts (Pool's ceil).
result<dim>
window_count(dim_table& d, const window_numbers& w, std::size_t axis, dim length, bool up);

} // namespace rlx::ir
