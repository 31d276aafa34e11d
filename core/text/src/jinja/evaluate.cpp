// SPDX-License-Identifier: GPL-3.0-only
// Expressions.
#include "jinja/interpreter.hpp"

#include "jinja/lexer.hpp"

namespace rlx::text::jinja {
namespace {

value loop_attribute(const loop_value& l, std::string_view name) {
    const auto n = static_cast<std::int64_t>(l.items->items.size());
    const auto i = static_cast<std::int64_t>(l.index0);
    if (name == "index") return value(i + 1);
    if (name == "index0") return value(i);
    if (name == "revindex") return value(n - i);
    if (name == "revindex0") return value(n - i - 1);
    if (name == "first") return value(i == 0);
    if (name == "last") return value(i == n - 1);
    if (name == "length") return value(n);
    if (name == "depth") return value(std::int64_t{1}); // only recursive loops count further
    if (name == "depth0") return value(std::int64_t{0});
    if (name == "previtem")
        return i > 0 ? l.items->items[l.index0 - 1]
                     : value::missing("there is no previous item, so loop.previtem");
    if (name == "nextitem")
        return i + 1 < n ? l.items->items[l.index0 + 1]
                         : value::missing("there is no next item, so loop.nextitem");
    return value();
}

} // namespace

// Errors from below get the line of the expression that they happened in, once.
result<value> interpreter::eval(const expression& e) {
    ++depth_;
    result<value> v =
        depth_ > limits_.depth
            ? result<value>(error{
                  RLX_CORRUPT_DATA,
                  "expressions and macros are nested deeper than " + std::to_string(limits_.depth)})
            : eval_kind(e);
    --depth_;
    if (!v.ok() && !v.error().message.starts_with("line "))
        return at_line(e.line, v.error().code, v.error().message);
    return v;
}

result<value> interpreter::eval_kind(const expression& e) {
    RLX_CHECK(charge(1));
    switch (e.kind) {
    case expression_kind::constant: return e.literal;
    case expression_kind::name: return eval_name(e);
    case expression_kind::list:
    case expression_kind::tuple: return eval_list(e);
    case expression_kind::dict: return eval_dict(e);
    case expression_kind::negate:
    case expression_kind::plus:
    case expression_kind::logical_not: return eval_unary(e);
    case expression_kind::all_of:
    case expression_kind::any_of: return eval_logic(e);
    case expression_kind::concat: return eval_concat(e);
    case expression_kind::arithmetic: return eval_arithmetic(e);
    case expression_kind::comparison: return eval_comparison(e);
    case expression_kind::conditional: return eval_conditional(e);
    case expression_kind::attribute: return attribute(RLX_TRY(eval(*e.args[0])), e.text);
    case expression_kind::item: {
        const value v = RLX_TRY(eval(*e.args[0]));
        return item(v, RLX_TRY(eval(*e.args[1])));
    }
    case expression_kind::slice: return eval_slice(e);
    case expression_kind::call: return eval_call(e);
    case expression_kind::filter: return eval_filter(e, nullptr);
    case expression_kind::test: return eval_test(e);
    }
    return error{RLX_INTERNAL, "unknown kind of expression"};
}

result<value> interpreter::eval_name(const expression& e) {
    for (const scope* s = scope_.get(); s; s = s->parent.get())
        if (const value* v = s->find(e.text)) return *v;
    value v = RLX_TRY(find_global(e.text));
    return v.is_undefined() ? value::missing("\"" + e.text + "\"") : v;
}

result<value> interpreter::eval_list(const expression& e) {
    std::vector<value> items;
    for (const auto& a : e.args)
        items.push_back(RLX_TRY(eval(*a)));
    const bool tuple = e.kind == expression_kind::tuple;
    return checked(make_list(std::move(items), tuple ? sequence_kind::tuple : sequence_kind::list));
}

result<value> interpreter::eval_dict(const expression& e) {
    dict_value d;
    for (std::size_t i = 0; i < e.args.size(); i += 2) {
        value key = RLX_TRY(eval(*e.args[i]));
        if (key.depth() > 0)
            return error{
                RLX_INVALID_ARGUMENT, "a " + std::string(key.type_name()) + " cannot be a key"};
        d.set(std::move(key), RLX_TRY(eval(*e.args[i + 1])));
    }
    return checked(make_dict(std::move(d)));
}

result<value> interpreter::eval_unary(const expression& e) {
    const value v = RLX_TRY(eval(*e.args[0]));
    if (e.kind == expression_kind::logical_not) return value(!v.truthy());
    if (!v.is_number())
        return error{RLX_INVALID_ARGUMENT, "a sign before a " + std::string(v.type_name())};
    return arithmetic(
        e.kind == expression_kind::negate ? binary_op::sub : binary_op::add,
        value(std::int64_t{0}),
        v
    );
}

// Gives the deciding operand, as Python does.
result<value> interpreter::eval_logic(const expression& e) {
    value v;
    for (const auto& a : e.args) {
        v = RLX_TRY(eval(*a));
        if (v.truthy() == (e.kind == expression_kind::any_of)) break;
    }
    return v;
}

result<value> interpreter::eval_concat(const expression& e) {
    std::string out;
    for (const auto& a : e.args) {
        const value v = RLX_TRY(eval(*a));
        RLX_CHECK(charge(v.weight()));
        if (v.is_generator()) return error{RLX_UNSUPPORTED, "a generator as text is not supported"};
        out += to_text(v);
        if (out.size() > max_string_bytes)
            return error{RLX_CORRUPT_DATA, "a string grows beyond 16 MiB"};
    }
    return value(std::move(out));
}

result<value> interpreter::eval_arithmetic(const expression& e) {
    value left = RLX_TRY(eval(*e.args[0]));
    for (std::size_t i = 0; i < e.ops.size(); ++i) {
        const value right = RLX_TRY(eval(*e.args[i + 1]));
        RLX_CHECK(charge(left.weight() + right.weight()));
        left = RLX_TRY(checked(RLX_TRY(arithmetic(e.ops[i], left, right))));
        RLX_CHECK(charge(left.weight()));
    }
    return left;
}

result<value> interpreter::eval_comparison(const expression& e) {
    value left = RLX_TRY(eval(*e.args[0]));
    for (std::size_t i = 0; i < e.compares.size(); ++i) {
        value right = RLX_TRY(eval(*e.args[i + 1]));
        const compare_op op = e.compares[i];
        // Searching a string for a string may take the product of their lengths.
        const bool search = left.is_string() && right.is_string() &&
                            (op == compare_op::in || op == compare_op::not_in);
        RLX_CHECK(charge(search ? left.weight() * right.weight() : left.weight() + right.weight()));
        bool holds = false;
        switch (op) {
        case compare_op::eq: holds = equal(left, right); break;
        case compare_op::ne: holds = !equal(left, right); break;
        case compare_op::lt: holds = RLX_TRY(compare(left, right)) < 0; break;
        case compare_op::le: holds = RLX_TRY(compare(left, right)) <= 0; break;
        case compare_op::gt: holds = RLX_TRY(compare(left, right)) > 0; break;
        case compare_op::ge: holds = RLX_TRY(compare(left, right)) >= 0; break;
        case compare_op::in: holds = RLX_TRY(contains(right, left)); break;
        case compare_op::not_in: holds = !RLX_TRY(contains(right, left)); break;
        }
        if (!holds) return value(false);
        left = std::move(right);
    }
    return value(true);
}

result<value> interpreter::eval_conditional(const expression& e) {
    if (RLX_TRY(eval(*e.args[1])).truthy()) return eval(*e.args[0]);
    if (e.args[2]) return eval(*e.args[2]);
    return value::missing("a conditional expression without else is false and");
}

result<value> interpreter::eval_slice(const expression& e) {
    const value v = RLX_TRY(eval(*e.args[0]));
    value bounds[3] = {none{}, none{}, none{}};
    for (std::size_t i = 0; i < 3; ++i)
        if (e.args[i + 1]) bounds[i] = RLX_TRY(eval(*e.args[i + 1]));
    RLX_CHECK(charge(v.is_string() ? v.weight() : v.list() ? v.list()->items.size() : 1));
    return get_slice(v, bounds[0], bounds[1], bounds[2]);
}

result<call_args> interpreter::eval_args(const expression& e) {
    call_args args;
    for (std::size_t i = 1; i < e.args.size(); ++i)
        args.positional.push_back(RLX_TRY(eval(*e.args[i])));
    for (const auto& k : e.keywords)
        args.keywords.emplace_back(k.name, RLX_TRY(eval(*k.value)));
    return args;
}

result<value> interpreter::eval_call(const expression& e) {
    const value callee = RLX_TRY(eval(*e.args[0]));
    return call(callee, RLX_TRY(eval_args(e)));
}

result<value> interpreter::eval_filter(const expression& e, const value* subject) {
    const value v = e.args[0] ? e.args[0]->kind == expression_kind::filter
                                    ? RLX_TRY(eval_filter(*e.args[0], subject))
                                    : RLX_TRY(eval(*e.args[0]))
                              : *subject;
    const call_args args = RLX_TRY(eval_args(e));
    auto out = apply_filter(e.text, v, args);
    if (!out.ok() && !out.error().message.starts_with("line "))
        return at_line(e.line, out.error().code, out.error().message);
    return out;
}

result<value> interpreter::eval_test(const expression& e) {
    const value v = RLX_TRY(eval(*e.args[0]));
    const call_args args = RLX_TRY(eval_args(e));
    return value(RLX_TRY(apply_test(e.text, v, args)) != e.negated);
}

result<value> interpreter::call(const value& callee, const call_args& args) {
    const auto* c = callee.as<std::shared_ptr<const callable_value>>();
    if (callee.is_undefined())
        return error{
            RLX_INVALID_ARGUMENT, undefined_name(callee) + " is undefined and cannot be called"};
    if (!c)
        return error{
            RLX_INVALID_ARGUMENT, "a " + std::string(callee.type_name()) + " cannot be called"};
    RLX_CHECK(charge(16));
    auto v = (*c)->call(*this, args);
    if (!v.ok()) {
        const bool told = v.error().message.starts_with("line ") || (*c)->name == "raise_exception";
        return told ? std::move(v) : std::move(v).within((*c)->name + "()");
    }
    return checked(std::move(*v));
}

result<value>
interpreter::apply_filter(std::string_view name, const value& v, const call_args& args) {
    filter_function f = find_text_filter(name);
    if (!f) f = find_list_filter(name);
    if (!f)
        return error{RLX_UNSUPPORTED, "the filter \"" + std::string(name) + "\" is not supported"};
    RLX_CHECK(charge(v.weight()));
    auto out = f(*this, v, args);
    if (!out.ok())
        return out.error().message.starts_with("line ")
                   ? std::move(out)
                   : std::move(out).within("filter " + std::string(name));
    RLX_CHECK(charge(out->weight()));
    return checked(std::move(*out));
}

result<bool> interpreter::apply_test(std::string_view name, const value& v, const call_args& args) {
    const test_function f = find_test(name);
    if (!f)
        return error{RLX_UNSUPPORTED, "the test \"" + std::string(name) + "\" is not supported"};
    return f(*this, v, args);
}

result<value> interpreter::attribute(const value& v, std::string_view name) {
    if (v.is_undefined())
        return error{
            RLX_INVALID_ARGUMENT,
            undefined_name(v) + " is undefined, so it has no \"" + std::string(name) + "\""};
    value found = find_method(v, name);
    if (!found.is_undefined()) return found;
    if (v.dict()) {
        if (const value* member = v.dict()->find(name)) return *member;
    } else if (const auto* ns = v.as<std::shared_ptr<namespace_value>>()) {
        for (const auto& [key, member] : (*ns)->items)
            if (key == name) return member;
    } else if (const auto* l = v.as<std::shared_ptr<const loop_value>>()) {
        found = loop_attribute(**l, name);
        if (!found.is_undefined()) return found;
    }
    return value::missing("\"" + std::string(name) + "\" of a " + std::string(v.type_name()));
}

result<value> interpreter::item(const value& v, const value& key) {
    RLX_CHECK(charge(v.is_string() ? v.weight() : 1));
    value found = RLX_TRY(get_item(v, key));
    if (!found.is_undefined() || !key.is_string()) return found;
    if (!v.dict()) return attribute(v, key.string());
    // A key that is not there may still be a method's name, as in Jinja.
    value method = find_method(v, key.string());
    return method.is_undefined() ? found : method;
}

} // namespace rlx::text::jinja
