// SPDX-License-Identifier: GPL-3.0-only
// The parsed template: one node type for expressions, one for statements.
#pragma once

#include "jinja/operators.hpp"
#include "jinja/value.hpp"

#include <memory>
#include <string>
#include <vector>

namespace rlx::text::jinja {

struct expression;
using expression_ptr = std::unique_ptr<expression>;

struct keyword_argument {
    std::string name;
    expression_ptr value;
};

enum class expression_kind : std::uint8_t {
    constant,    // literal
    name,        // text
    list,        // args
    tuple,       // args
    dict,        // args: key, value, key, value, ...
    negate,      // args[0]
    plus,        // args[0]
    logical_not, // args[0]
    all_of,      // args: a and b and ...
    any_of,      // args: a or b or ...
    concat,      // args: a ~ b ~ ...
    arithmetic,  // args[0] ops[0] args[1] ops[1] args[2] ..., from the left
    comparison,  // args[0] compares[0] args[1] compares[1] args[2] ..., chained
    conditional, // args: then, condition, else (may be null)
    attribute,   // args[0].text
    item,        // args[0][args[1]]
    slice,       // args[0][args[1]:args[2]:args[3]], null where left out
    call,        // args[0](args[1...], keywords)
    filter,      // args[0] | text(args[1...], keywords); args[0] null in filter blocks
    test,        // args[0] is [not] text(args[1...])
};

struct expression {
    expression_kind kind;
    int line = 0;
    std::string text;
    value literal;
    bool negated = false;     // test: is not
    std::uint32_t height = 1; // of the tree below, which bounds recursion
    std::vector<expression_ptr> args;
    std::vector<keyword_argument> keywords;
    std::vector<binary_op> ops;
    std::vector<compare_op> compares;
};

struct statement;
using block = std::vector<statement>;

enum class statement_kind : std::uint8_t {
    text,         // text
    print,        // value
    conditional,  // branches
    loop,         // targets in value if condition: body else: otherwise
    assign,       // targets = value; an attribute of a namespace when text is set: targets[0].text
    assign_block, // targets[0]: body, with filters in value
    macro,        // text(parameters): body
    call_block,   // value is the call; parameters and body make `caller`
    filter_block, // value is the filter chain over body
    with,         // targets[i] = values[i]: body
    scope,        // body, e.g. {% generation %}
    break_loop,
    continue_loop,
};

struct branch {
    expression_ptr condition; // null: else
    block body;
};

struct parameter {
    std::string name;
    expression_ptr fallback; // null: none
};

struct statement {
    statement_kind kind;
    int line = 0;
    std::string text;
    expression_ptr value;
    expression_ptr condition;
    std::vector<std::string> targets;
    bool unpack = false; // targets take the items of the value
    std::vector<branch> branches;
    std::vector<parameter> parameters;
    std::vector<expression_ptr> values;
    block body, otherwise;
    bool has_otherwise = false;
    std::vector<std::string> hidden,
        hidden_otherwise; // names that body and otherwise hide (hidden_names.hpp)
};

struct program {
    block body;
    std::vector<std::string> hidden;
};

} // namespace rlx::text::jinja
