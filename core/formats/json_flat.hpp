// SPDX-License-Identifier: GPL-3.0-only
// Private to core/formats: a JSON document as a flat table "rope_parameters.rope_theta" -> value.
// Keeps the JSON library out of every other file.
#pragma once

#include "rlx/base/result.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace rlx {

enum class json_kind : std::uint8_t { null, boolean, integer, number, string, array, object };

struct json_scalar {
    json_kind kind = json_kind::null;
    std::int64_t i = 0; // boolean, integer; array and object: number of members
    double f = 0;       // number; integer converted
    std::string s;      // string
};

// Array elements have their index as last part ("layer_types.3"); arrays and objects have an entry
// of their own.
using json_flat = std::map<std::string, json_scalar, std::less<>>;

struct json_flat_options {
    bool refuse_duplicates = false; // else the last one counts, as in Python
};

// `name` is for messages. Besides JSON it takes what Python writes: NaN, Infinity, -Infinity, and
// {"__float__": "Infinity"}. RLX_CORRUPT_DATA with the byte offset; nesting deeper than 64 is
// refused.
result<json_flat>
json_flatten(std::string_view text, const std::string& name, const json_flat_options& = {});

} // namespace rlx
