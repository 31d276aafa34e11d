// SPDX-License-Identifier: GPL-3.0-only
// The normaliser chain: text in, text out, before pre-tokenisation.
#pragma once

#include "rlx/base/result.hpp"
#include "tokenizer/charsmap.hpp"
#include "tokenizer/regex.hpp"
#include "unicode/normalize.hpp"

#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace rlx::text {

struct lowercase {};

struct strip_accents {};

struct prepend {
    std::string text; // put before any text that is not empty
};

struct strip_space {
    bool left = false, right = false;
};

// Runs of spaces become one, those at the ends go.
struct merge_spaces {};

// BertNormalizer: control characters away, white space to spaces, spaces around ideographs, accents
// away, lower case; in this order.
struct bert_clean {
    bool clean_text = true, space_ideographs = true, strip_accents = true, lowercase = true;
};

struct replace_literal {
    std::string from, to;
};

struct replace_regex {
    regex pattern;
    std::string to;
};

using normalizer_step = std::variant<
    normal_form,
    lowercase,
    strip_accents,
    prepend,
    strip_space,
    merge_spaces,
    bert_clean,
    charsmap,
    replace_literal,
    replace_regex>;

struct normalizer {
    std::vector<normalizer_step> steps;

    bool empty() const { return steps.empty(); }

    result<std::string> operator()(std::string_view text) const;
};

std::string replace_all(std::string_view text, std::string_view from, std::string_view to);

} // namespace rlx::text
