// SPDX-License-Identifier: GPL-3.0-only
// Reading JSON that somebody else wrote: every access says what was expected and where.
#pragma once

#include "rlx/base/result.hpp"

#include <nlohmann/json.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace rlx::text {

using json = nlohmann::json;
using ordered_json = nlohmann::ordered_json;

inline constexpr std::size_t max_json_depth = 64;

// Refuses nesting deeper than max_json_depth before anything is built.
result<void> check_json_depth(std::string_view text);

template <class J>
result<J> parse_json_as(std::string_view text) {
    RLX_CHECK(check_json_depth(text));
    try {
        return J::parse(text);
    } catch (const nlohmann::json::exception& e) {
        std::string what = e.what();
        const std::size_t after_tag = what.find("] ");
        if (after_tag != what.npos) what.erase(0, after_tag + 2);
        return error{RLX_CORRUPT_DATA, "bad JSON: " + what};
    }
}

inline result<json> parse_json(std::string_view text) {
    return parse_json_as<json>(text);
}

// Typed members of an object. Absent and null are the same; another type is an error that names the
// key.
result<std::optional<std::string>> get_string(const json& object, const char* key);
result<std::string> need_string(const json& object, const char* key);
result<bool> get_bool(const json& object, const char* key, bool fallback);
result<std::optional<std::int64_t>> get_int(const json& object, const char* key);
const json* get(const json& object, const char* key); // nullptr when absent or null

} // namespace rlx::text
