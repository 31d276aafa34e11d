// SPDX-License-Identifier: GPL-3.0-only
// Template text -> program. A construct that is not supported is an error with its line.
#pragma once

#include "jinja/ast.hpp"
#include "jinja/lexer.hpp"

namespace rlx::text::jinja {

inline constexpr std::size_t max_template_bytes = std::size_t{1} << 20;
inline constexpr int max_nesting = 64; // blocks in blocks, parentheses in parentheses
inline constexpr std::uint32_t max_height =
    200; // operators applied to operators without parentheses

result<program> parse_template(std::string_view source);

// Used by the statement parser: reads expressions from a token stream.
class token_stream {
public:
    explicit token_stream(std::vector<token> tokens) : tokens_(std::move(tokens)) {}

    const token& peek(std::size_t ahead = 0) const {
        return tokens_[std::min(next_ + ahead, tokens_.size() - 1)];
    }

    token take() {
        token t = peek();
        if (next_ + 1 < tokens_.size()) ++next_;
        return t;
    }

    bool is_op(std::string_view op, std::size_t ahead = 0) const {
        return peek(ahead).kind == token_kind::op && peek(ahead).text == op;
    }

    bool is_name(std::string_view name, std::size_t ahead = 0) const {
        return peek(ahead).kind == token_kind::name && peek(ahead).text == name;
    }

    bool skip_op(std::string_view op) {
        if (!is_op(op)) return false;
        take();
        return true;
    }

    bool skip_name(std::string_view name) {
        if (!is_name(name)) return false;
        take();
        return true;
    }

    result<void> expect_op(std::string_view op);
    result<std::string> expect_name();
    error unexpected() const; // names the next token

private:
    std::vector<token> tokens_;
    std::size_t next_ = 0;
};

class expression_parser {
public:
    explicit expression_parser(token_stream& tokens) : t_(tokens) {}

    // a, b: a tuple; otherwise a single expression. Without conditionals an `if` ends the
    // expression.
    result<expression_ptr> tuple(bool with_conditional = true);
    result<expression_ptr> any(bool with_conditional = true);
    // The filters behind `|`, applied to a null operand.
    result<expression_ptr> filter_chain();
    result<expression_ptr> primary_with_postfix();

private:
    result<expression_ptr> or_chain();
    result<expression_ptr> and_chain();
    result<expression_ptr> not_chain();
    result<expression_ptr> comparison();
    result<expression_ptr> sum();
    result<expression_ptr> concat();
    result<expression_ptr> product();
    result<expression_ptr> power();
    result<expression_ptr> unary(bool with_filters);
    result<expression_ptr> primary();
    result<expression_ptr> group();
    result<expression_ptr> list();
    result<expression_ptr> dict();
    result<expression_ptr> postfix(expression_ptr e);
    result<expression_ptr> filters_and_tests(expression_ptr e);
    result<expression_ptr> subscript(expression_ptr e);
    result<expression_ptr> filter(expression_ptr e);
    result<expression_ptr> test(expression_ptr e);
    result<void> arguments(expression& call);

    expression_ptr make(expression_kind kind) const;
    static result<expression_ptr> finish(expression_ptr e);

    token_stream& t_;
    int depth_ = 0;
};

} // namespace rlx::text::jinja
