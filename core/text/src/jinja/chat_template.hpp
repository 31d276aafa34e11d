// SPDX-License-Identifier: GPL-3.0-only
// A checkpoint's chat template, compiled once and rendered any number of times.
#pragma once

#include "rlx/text/text.hpp"

namespace rlx::text::jinja {

// special_tokens become variables ("bos_token", ...). Errors name the line and the construct.
result<std::unique_ptr<chat_template>> compile_chat_template(
    std::string source, std::vector<std::pair<std::string, std::string>> special_tokens
);

} // namespace rlx::text::jinja
