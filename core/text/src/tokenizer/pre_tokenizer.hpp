// SPDX-License-Identifier: GPL-3.0-only
// The pre-tokeniser chain: cuts normalised text into words, each of which the model encodes alone.
#pragma once

#include "rlx/base/result.hpp"
#include "tokenizer/regex.hpp"
#include "tokenizer/split_patterns.hpp"

#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace rlx::text {

// What becomes of the separator that a split finds.
enum class split_behavior : std::uint8_t {
    removed,
    isolated,
    merged_with_previous,
    merged_with_next,
    contiguous
};

struct split_known {
    split_pattern pattern;
};

struct split_regex {
    regex pattern;
    split_behavior behavior = split_behavior::isolated;
    bool invert = false; // the pattern finds the words, not the separators
};

struct split_literal {
    std::string separator;
    split_behavior behavior = split_behavior::isolated;
    bool invert = false;
};

// Characters of any of `classes`.
struct split_class {
    std::uint8_t classes;
    bool ascii_symbols = false; // with punctuation: ASCII symbols such as + count as well
    split_behavior behavior = split_behavior::isolated;
};

// BertPreTokenizer: white space separates, every mark of punctuation is a word.
struct split_bert {};

// Cuts every run of digits into groups of `size` from its start and isolates them.
struct split_digit_groups {
    std::size_t size;
};

// Cuts before every run of `text`. Not a step of any tokenizer: an optimisation where no merge can
// cross such a cut.
struct split_before_run {
    std::string text;
};

struct add_prefix_space {};

enum class prepend_scheme : std::uint8_t { never, first, always };

struct metaspace {
    std::string replacement;
    prepend_scheme prepend = prepend_scheme::always;
    bool split = true;
};

using pre_step = std::variant<
    split_known,
    split_regex,
    split_literal,
    split_class,
    split_bert,
    split_digit_groups,
    split_before_run,
    add_prefix_space,
    metaspace>;

// Takes one word; an error ends the walk.
struct word_sink {
    virtual ~word_sink() = default;
    virtual result<void> word(std::string_view text) = 0;
};

struct pre_tokenizer {
    std::vector<pre_step> steps;

    // `first`: the text starts where the whole input starts.
    result<void> operator()(std::string_view text, bool first, word_sink& sink) const;
};

} // namespace rlx::text
