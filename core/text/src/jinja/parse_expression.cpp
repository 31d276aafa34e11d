// SPDX-License-Identifier: GPL-3.0-only
#include "jinja/parser.hpp"

#include <algorithm>
#include <charconv>

namespace rlx::text::jinja {
namespace {

std::string describe(const token& t) {
    switch (t.kind) {
    case token_kind::data: return "text";
    case token_kind::print_begin: return "\"{{\"";
    case token_kind::print_end: return "\"}}\"";
    case token_kind::tag_begin: return "\"{%\"";
    case token_kind::tag_end: return "\"%}\"";
    case token_kind::string: return "a string";
    case token_kind::end: return "the end of the template";
    default: return "\"" + t.text + "\"";
    }
}

// Counts nesting while it lives.
struct deeper {
    int& depth;

    explicit deeper(int& d) : depth(d) { ++depth; }

    ~deeper() { --depth; }
};

result<value> integer_literal(const token& t) {
    int base = 10;
    std::string_view digits = t.text;
    if (digits.size() > 2 && digits[0] == '0') {
        const char mark = static_cast<char>(digits[1] | 0x20);
        base = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 10;
        if (base != 10) digits.remove_prefix(2);
    }
    std::int64_t v = 0;
    const auto r = std::from_chars(digits.data(), digits.data() + digits.size(), v, base);
    if (r.ec != std::errc() || r.ptr != digits.data() + digits.size())
        return at_line(t.line, RLX_CORRUPT_DATA, "bad number " + t.text);
    return value(v);
}

result<value> real_literal(const token& t) {
    double v = 0;
    const auto r = std::from_chars(t.text.data(), t.text.data() + t.text.size(), v);
    if (r.ec != std::errc()) return at_line(t.line, RLX_CORRUPT_DATA, "bad number " + t.text);
    return value(v);
}

} // namespace

error token_stream::unexpected() const {
    return at_line(peek().line, RLX_CORRUPT_DATA, "unexpected " + describe(peek()));
}

result<void> token_stream::expect_op(std::string_view op) {
    if (!skip_op(op))
        return at_line(
            peek().line,
            RLX_CORRUPT_DATA,
            "expected \"" + std::string(op) + "\", found " + describe(peek())
        );
    return {};
}

result<std::string> token_stream::expect_name() {
    if (peek().kind != token_kind::name)
        return at_line(peek().line, RLX_CORRUPT_DATA, "expected a name, found " + describe(peek()));
    return take().text;
}

expression_ptr expression_parser::make(expression_kind kind) const {
    auto e = std::make_unique<expression>();
    e->kind = kind;
    e->line = t_.peek().line;
    return e;
}

result<expression_ptr> expression_parser::finish(expression_ptr e) {
    for (const auto& a : e->args)
        if (a) e->height = std::max(e->height, a->height + 1);
    for (const auto& k : e->keywords)
        e->height = std::max(e->height, k.value->height + 1);
    if (e->height > max_height)
        return at_line(
            e->line,
            RLX_UNSUPPORTED,
            "an expression is nested deeper than " + std::to_string(max_height)
        );
    return e;
}

result<expression_ptr> expression_parser::tuple(bool with_conditional) {
    expression_ptr first = RLX_TRY(any(with_conditional));
    if (!t_.is_op(",")) return first;
    expression_ptr e = make(expression_kind::tuple);
    e->args.push_back(std::move(first));
    while (t_.skip_op(",")) {
        const token_kind k = t_.peek().kind;
        if (k == token_kind::print_end || k == token_kind::tag_end || t_.is_op(")") ||
            t_.is_op("]"))
            break;
        e->args.push_back(RLX_TRY(any(with_conditional)));
    }
    return finish(std::move(e));
}

result<expression_ptr> expression_parser::any(bool with_conditional) {
    const deeper guard(depth_);
    if (depth_ > max_nesting)
        return at_line(
            t_.peek().line,
            RLX_UNSUPPORTED,
            "an expression is nested deeper than " + std::to_string(max_nesting)
        );
    expression_ptr e = RLX_TRY(or_chain());
    while (with_conditional && t_.is_name("if")) {
        expression_ptr c = make(expression_kind::conditional);
        t_.take();
        c->args.push_back(std::move(e));
        c->args.push_back(RLX_TRY(or_chain()));
        c->args.push_back(t_.skip_name("else") ? RLX_TRY(any()) : nullptr);
        e = RLX_TRY(finish(std::move(c)));
    }
    return e;
}

result<expression_ptr> expression_parser::or_chain() {
    expression_ptr first = RLX_TRY(and_chain());
    if (!t_.is_name("or")) return first;
    expression_ptr e = make(expression_kind::any_of);
    e->args.push_back(std::move(first));
    while (t_.skip_name("or"))
        e->args.push_back(RLX_TRY(and_chain()));
    return finish(std::move(e));
}

result<expression_ptr> expression_parser::and_chain() {
    expression_ptr first = RLX_TRY(not_chain());
    if (!t_.is_name("and")) return first;
    expression_ptr e = make(expression_kind::all_of);
    e->args.push_back(std::move(first));
    while (t_.skip_name("and"))
        e->args.push_back(RLX_TRY(not_chain()));
    return finish(std::move(e));
}

result<expression_ptr> expression_parser::not_chain() {
    if (!t_.is_name("not")) return comparison();
    const deeper guard(depth_);
    if (depth_ > max_nesting) return t_.unexpected();
    expression_ptr e = make(expression_kind::logical_not);
    t_.take();
    e->args.push_back(RLX_TRY(not_chain()));
    return finish(std::move(e));
}

result<expression_ptr> expression_parser::comparison() {
    expression_ptr first = RLX_TRY(sum());
    expression_ptr e;
    for (;;) {
        static constexpr std::pair<std::string_view, compare_op> ops[] = {
            {"==", compare_op::eq},
            {"!=", compare_op::ne},
            {"<", compare_op::lt},
            {"<=", compare_op::le},
            {">", compare_op::gt},
            {">=", compare_op::ge}};
        const auto* op = std::find_if(std::begin(ops), std::end(ops), [&](auto& o) {
            return t_.is_op(o.first);
        });
        compare_op found = compare_op::in;
        if (op != std::end(ops)) {
            found = op->second;
            t_.take();
        } else if (t_.is_name("not") && t_.is_name("in", 1)) {
            found = compare_op::not_in;
            t_.take();
            t_.take();
        } else if (!t_.skip_name("in")) {
            break;
        }
        if (!e) {
            e = make(expression_kind::comparison);
            e->args.push_back(std::move(first));
        }
        e->compares.push_back(found);
        e->args.push_back(RLX_TRY(sum()));
    }
    if (!e) return first;
    return finish(std::move(e));
}

result<expression_ptr> expression_parser::sum() {
    expression_ptr first = RLX_TRY(concat());
    if (!t_.is_op("+") && !t_.is_op("-")) return first;
    expression_ptr e = make(expression_kind::arithmetic);
    e->args.push_back(std::move(first));
    while (t_.is_op("+") || t_.is_op("-")) {
        e->ops.push_back(t_.take().text == "+" ? binary_op::add : binary_op::sub);
        e->args.push_back(RLX_TRY(concat()));
    }
    return finish(std::move(e));
}

result<expression_ptr> expression_parser::concat() {
    expression_ptr first = RLX_TRY(product());
    if (!t_.is_op("~")) return first;
    expression_ptr e = make(expression_kind::concat);
    e->args.push_back(std::move(first));
    while (t_.skip_op("~"))
        e->args.push_back(RLX_TRY(product()));
    return finish(std::move(e));
}

result<expression_ptr> expression_parser::product() {
    static constexpr std::pair<std::string_view, binary_op> ops[] = {
        {"*", binary_op::mul},
        {"/", binary_op::div},
        {"//", binary_op::floor_div},
        {"%", binary_op::mod}};
    const auto next = [&] {
        return std::find_if(std::begin(ops), std::end(ops), [&](auto& o) {
            return t_.is_op(o.first);
        });
    };
    expression_ptr first = RLX_TRY(power());
    if (next() == std::end(ops)) return first;
    expression_ptr e = make(expression_kind::arithmetic);
    e->args.push_back(std::move(first));
    for (const auto* op = next(); op != std::end(ops); op = next()) {
        t_.take();
        e->ops.push_back(op->second);
        e->args.push_back(RLX_TRY(power()));
    }
    return finish(std::move(e));
}

result<expression_ptr> expression_parser::power() {
    expression_ptr first = RLX_TRY(unary(true));
    if (!t_.is_op("**")) return first;
    expression_ptr e = make(expression_kind::arithmetic);
    e->args.push_back(std::move(first));
    while (t_.skip_op("**")) {
        e->ops.push_back(binary_op::pow);
        e->args.push_back(RLX_TRY(unary(true)));
    }
    return finish(std::move(e));
}

result<expression_ptr> expression_parser::unary(bool with_filters) {
    expression_ptr e;
    if (t_.is_op("-") || t_.is_op("+")) {
        const deeper guard(depth_);
        if (depth_ > max_nesting) return t_.unexpected();
        e = make(t_.is_op("-") ? expression_kind::negate : expression_kind::plus);
        t_.take();
        e->args.push_back(RLX_TRY(unary(false)));
        e = RLX_TRY(finish(std::move(e)));
    } else {
        e = RLX_TRY(primary());
    }
    e = RLX_TRY(postfix(std::move(e)));
    return with_filters ? filters_and_tests(std::move(e)) : std::move(e);
}

result<expression_ptr> expression_parser::primary_with_postfix() {
    return postfix(RLX_TRY(primary()));
}

result<expression_ptr> expression_parser::primary() {
    const token& t = t_.peek();
    if (t_.is_op("(")) return group();
    if (t_.is_op("[")) return list();
    if (t_.is_op("{")) return dict();
    expression_ptr e = make(expression_kind::constant);
    if (t.kind == token_kind::string) {
        std::string text;
        while (t_.peek().kind == token_kind::string)
            text += t_.take().text; // "a" "b" is "ab"
        e->literal = value(std::move(text));
    } else if (t.kind == token_kind::integer) {
        e->literal = RLX_TRY(integer_literal(t_.take()));
    } else if (t.kind == token_kind::real) {
        e->literal = RLX_TRY(real_literal(t_.take()));
    } else if (t.kind == token_kind::name) {
        const std::string name = t_.take().text;
        if (name == "true" || name == "True")
            e->literal = value(true);
        else if (name == "false" || name == "False")
            e->literal = value(false);
        else if (name == "none" || name == "None")
            e->literal = value(none{});
        else if (name == "varargs" || name == "kwargs")
            return at_line(e->line, RLX_UNSUPPORTED, "\"" + name + "\" is not supported");
        else
            e->kind = expression_kind::name, e->text = name;
    } else {
        return t_.unexpected();
    }
    return e;
}

result<expression_ptr> expression_parser::group() {
    const int line = t_.take().line;
    if (t_.skip_op(")")) {
        expression_ptr e = make(expression_kind::tuple);
        e->line = line;
        return e;
    }
    expression_ptr e = RLX_TRY(tuple());
    RLX_CHECK(t_.expect_op(")"));
    return e;
}

result<expression_ptr> expression_parser::list() {
    expression_ptr e = make(expression_kind::list);
    t_.take();
    while (!t_.is_op("]")) {
        e->args.push_back(RLX_TRY(any()));
        if (!t_.is_op("]")) RLX_CHECK(t_.expect_op(","));
    }
    t_.take();
    return finish(std::move(e));
}

result<expression_ptr> expression_parser::dict() {
    expression_ptr e = make(expression_kind::dict);
    t_.take();
    while (!t_.is_op("}")) {
        e->args.push_back(RLX_TRY(any()));
        RLX_CHECK(t_.expect_op(":"));
        e->args.push_back(RLX_TRY(any()));
        if (!t_.is_op("}")) RLX_CHECK(t_.expect_op(","));
    }
    t_.take();
    return finish(std::move(e));
}

result<expression_ptr> expression_parser::postfix(expression_ptr e) {
    for (;;) {
        if (t_.is_op("[")) {
            e = RLX_TRY(subscript(std::move(e)));
        } else if (t_.is_op(".")) {
            t_.take();
            expression_ptr a = make(expression_kind::attribute);
            a->args.push_back(std::move(e));
            if (t_.peek().kind == token_kind::integer) {
                a->kind = expression_kind::item;
                expression_ptr index = make(expression_kind::constant);
                index->literal = RLX_TRY(integer_literal(t_.take()));
                a->args.push_back(std::move(index));
            } else {
                a->text = RLX_TRY(t_.expect_name());
            }
            e = RLX_TRY(finish(std::move(a)));
        } else if (t_.is_op("(")) {
            expression_ptr c = make(expression_kind::call);
            c->args.push_back(std::move(e));
            RLX_CHECK(arguments(*c));
            e = RLX_TRY(finish(std::move(c)));
        } else {
            return e;
        }
    }
}

result<expression_ptr> expression_parser::filters_and_tests(expression_ptr e) {
    for (;;) {
        if (t_.is_op("|")) {
            t_.take();
            e = RLX_TRY(filter(std::move(e)));
        } else if (t_.is_name("is")) {
            t_.take();
            e = RLX_TRY(test(std::move(e)));
        } else if (t_.is_op("(")) {
            expression_ptr c = make(expression_kind::call);
            c->args.push_back(std::move(e));
            RLX_CHECK(arguments(*c));
            e = RLX_TRY(finish(std::move(c)));
        } else {
            return e;
        }
    }
}

// v[i] or v[a:b:c]
result<expression_ptr> expression_parser::subscript(expression_ptr e) {
    expression_ptr s = make(expression_kind::item);
    t_.take();
    s->args.push_back(std::move(e));
    expression_ptr first;
    if (!t_.is_op(":")) first = RLX_TRY(any());
    if (!t_.is_op(":")) {
        if (t_.is_op(","))
            return at_line(
                s->line, RLX_UNSUPPORTED, "a subscript with several items is not supported"
            );
        s->args.push_back(std::move(first));
        RLX_CHECK(t_.expect_op("]"));
        return finish(std::move(s));
    }
    t_.take();
    s->kind = expression_kind::slice;
    expression_ptr end, step;
    if (!t_.is_op(":") && !t_.is_op("]")) end = RLX_TRY(any());
    if (t_.skip_op(":") && !t_.is_op("]")) step = RLX_TRY(any());
    RLX_CHECK(t_.expect_op("]"));
    s->args.push_back(std::move(first));
    s->args.push_back(std::move(end));
    s->args.push_back(std::move(step));
    return finish(std::move(s));
}

result<expression_ptr> expression_parser::filter(expression_ptr e) {
    expression_ptr f = make(expression_kind::filter);
    f->args.push_back(std::move(e));
    f->text = RLX_TRY(t_.expect_name());
    if (t_.is_op("."))
        return at_line(f->line, RLX_UNSUPPORTED, "filter names with dots are not supported");
    if (t_.is_op("(")) RLX_CHECK(arguments(*f));
    return finish(std::move(f));
}

result<expression_ptr> expression_parser::filter_chain() {
    expression_ptr e = RLX_TRY(filter(nullptr));
    while (t_.skip_op("|"))
        e = RLX_TRY(filter(std::move(e)));
    return e;
}

result<expression_ptr> expression_parser::test(expression_ptr e) {
    expression_ptr x = make(expression_kind::test);
    x->negated = t_.skip_name("not");
    x->args.push_back(std::move(e));
    x->text = RLX_TRY(t_.expect_name());
    const token& t = t_.peek();
    const bool argument_follows =
        t.kind == token_kind::string || t.kind == token_kind::integer ||
        t.kind == token_kind::real || t_.is_op("[") || t_.is_op("{") ||
        (t.kind == token_kind::name && t.text != "else" && t.text != "or" && t.text != "and");
    if (t_.is_op("("))
        RLX_CHECK(arguments(*x));
    else if (t_.is_name("is"))
        return at_line(t.line, RLX_CORRUPT_DATA, "tests cannot be chained with \"is\"");
    else if (argument_follows)
        x->args.push_back(RLX_TRY(primary_with_postfix()));
    return finish(std::move(x));
}

// (a, b, c=d)
result<void> expression_parser::arguments(expression& call) {
    RLX_CHECK(t_.expect_op("("));
    while (!t_.is_op(")")) {
        if (t_.is_op("*") || t_.is_op("**"))
            return at_line(
                t_.peek().line,
                RLX_UNSUPPORTED,
                "\"" + t_.peek().text + "\" arguments are not supported"
            );
        if (t_.peek().kind == token_kind::name && t_.is_op("=", 1)) {
            std::string name = t_.take().text;
            t_.take();
            call.keywords.push_back({std::move(name), RLX_TRY(any())});
        } else {
            if (!call.keywords.empty())
                return at_line(
                    t_.peek().line,
                    RLX_CORRUPT_DATA,
                    "a positional argument follows a keyword argument"
                );
            call.args.push_back(RLX_TRY(any()));
        }
        if (!t_.is_op(")")) RLX_CHECK(t_.expect_op(","));
    }
    t_.take();
    return {};
}

} // namespace rlx::text::jinja
