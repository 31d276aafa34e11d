// SPDX-License-Identifier: GPL-3.0-only
// Template text -> tokens, with trim_blocks and lstrip_blocks on (as chat templates are written
// for).
#pragma once

#include "rlx/base/result.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace rlx::text::jinja {

enum class token_kind : std::uint8_t {
    data,
    print_begin,
    print_end,
    tag_begin,
    tag_end,
    name,
    integer,
    real,
    string,
    op,
    end
};

struct token {
    token_kind kind;
    std::string text; // data and string: the content; op: the operator
    int line;
};

// Errors name the line. The result ends with an `end` token.
result<std::vector<token>> tokenize(std::string_view source);

// "line 12: what", the form of all messages about templates.
error at_line(int line, std::uint32_t code, const std::string& what);

} // namespace rlx::text::jinja
