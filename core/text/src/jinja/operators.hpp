// SPDX-License-Identifier: GPL-3.0-only
// Operators on values, with Python's semantics.
#pragma once

#include "jinja/value.hpp"

namespace rlx::text::jinja {

enum class binary_op : std::uint8_t { add, sub, mul, div, floor_div, mod, pow };
enum class compare_op : std::uint8_t { eq, ne, lt, le, gt, ge, in, not_in };

bool equal(const value& a, const value& b);

// -1, 0, 1; an error for types without an order.
result<int> compare(const value& a, const value& b);

// Bytes that `a op b` would take are checked before they are made.
result<value> arithmetic(binary_op op, const value& a, const value& b);
result<bool> contains(const value& container, const value& item);

// v[key], v[begin:end:step] and v.name. What is not there is undefined, not an error.
result<value> get_item(const value& v, const value& key);
result<value> get_slice(const value& v, const value& begin, const value& end, const value& step);

// The items a `for` runs over. Errors for what is not iterable.
result<std::vector<value>> iterate(const value& v);
result<std::int64_t> length_of(const value& v);

std::string escape_markup(std::string_view text);

inline constexpr std::size_t max_string_bytes = std::size_t{16} << 20;

} // namespace rlx::text::jinja
