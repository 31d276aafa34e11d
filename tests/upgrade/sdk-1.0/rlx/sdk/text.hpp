// SPDX-License-Identifier: GPL-3.0-only
// Text for plugins: rlx_str <-> std::string_view, and "{}" formatting without a third-party
// library. Part of the header-only SDK that is compiled into every plugin.
#pragma once

#include "rlx/abi/abi.h"

#include <charconv>
#include <concepts>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

namespace rlx::sdk {
inline namespace sdk_v1 {

inline std::string_view view(rlx_str s) {
    return {s.p ? s.p : "", static_cast<std::size_t>(s.n)};
}

// Borrows: valid as long as the text is.
inline rlx_str str(std::string_view s) {
    return {s.data(), s.size()};
}

namespace detail {

inline void append(std::string& out, std::string_view s) {
    out.append(s);
}

inline void append(std::string& out, rlx_str s) {
    out.append(view(s));
}

template <class T>
requires std::is_arithmetic_v<T>

void append(std::string& out, T value) {
    if constexpr (std::same_as<T, bool>) {
        out.append(value ? "true" : "false");
    } else if constexpr (std::same_as<T, char>) {
        out.push_back(value);
    } else {
        char buffer[64];
        const auto end = std::to_chars(buffer, buffer + sizeof buffer, value);
        out.append(buffer, end.ptr);
    }
}

// Shapes and lists: [2, 3, 4].
template <class T>

requires requires(const T& list) {
    std::span{list};
    requires !std::convertible_to<const T&, std::string_view>;
}

void append(std::string& out, const T& list) {
    out.push_back('[');
    bool first = true;
    for (const auto& item : std::span{list}) {
        if (!first) out.append(", ");
        first = false;
        append(out, item);
    }
    out.push_back(']');
}

// Copies the pattern up to the next "{}" and drops it; the rest of the pattern stays.
inline void append_literal(std::string& out, std::string_view& pattern) {
    const auto hole = pattern.find("{}");
    out.append(pattern.substr(0, hole));
    pattern.remove_prefix(hole == std::string_view::npos ? pattern.size() : hole + 2);
}

} // namespace detail

// The pattern with each "{}" replaced by the next argument: numbers, bool, char, text, spans of
// those. Arguments without a hole are dropped; holes without an argument stay as they are.
template <class... Args>
std::string format(std::string_view pattern, const Args&... args) {
    std::string out;
    (
        [&] {
            if (pattern.empty()) return;
            const bool has_hole = pattern.find("{}") != std::string_view::npos;
            detail::append_literal(out, pattern);
            if (has_hole) detail::append(out, args);
        }(),
        ...
    );
    out.append(pattern);
    return out;
}

} // namespace sdk_v1
} // namespace rlx::sdk
