// SPDX-License-Identifier: GPL-3.0-only
#include "json_access.hpp"

namespace rlx::text {
namespace {

error wrong_type(const char* key, const char* expected, const json& found) {
    return {
        RLX_CORRUPT_DATA,
        std::string("\"") + key + "\" is a " + found.type_name() + ", expected a " + expected};
}

} // namespace

result<void> check_json_depth(std::string_view text) {
    std::size_t depth = 0;
    bool in_string = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (in_string) {
            if (c == '\\')
                ++i;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            if (++depth > max_json_depth)
                return error{
                    RLX_CORRUPT_DATA,
                    "bad JSON: nested deeper than " + std::to_string(max_json_depth) + " at byte " +
                        std::to_string(i)};
        } else if ((c == ']' || c == '}') && depth > 0) {
            --depth;
        }
    }
    return {};
}

const json* get(const json& object, const char* key) {
    if (!object.is_object()) return nullptr;
    const auto it = object.find(key);
    return it == object.end() || it->is_null() ? nullptr : &*it;
}

result<std::optional<std::string>> get_string(const json& object, const char* key) {
    const json* v = get(object, key);
    if (!v) return std::optional<std::string>();
    if (!v->is_string()) return wrong_type(key, "string", *v);
    return std::optional(v->get<std::string>());
}

result<std::string> need_string(const json& object, const char* key) {
    auto v = RLX_TRY(get_string(object, key));
    if (!v) return error{RLX_CORRUPT_DATA, std::string("\"") + key + "\" is missing"};
    return std::move(*v);
}

result<bool> get_bool(const json& object, const char* key, bool fallback) {
    const json* v = get(object, key);
    if (!v) return fallback;
    if (!v->is_boolean()) return wrong_type(key, "boolean", *v);
    return v->get<bool>();
}

result<std::optional<std::int64_t>> get_int(const json& object, const char* key) {
    const json* v = get(object, key);
    if (!v) return std::optional<std::int64_t>();
    if (!v->is_number_integer()) return wrong_type(key, "whole number", *v);
    return std::optional(v->get<std::int64_t>());
}

} // namespace rlx::text
