// SPDX-License-Identifier: GPL-3.0-only
// `x is test`.
#include "jinja/interpreter.hpp"
#include "unicode/categories.hpp"
#include "unicode/utf8.hpp"

namespace rlx::text::jinja {
namespace {

error bad(std::string message) {
    return {RLX_INVALID_ARGUMENT, std::move(message)};
}

template <bool (*f)(const value&)>
result<bool> plain(interpreter&, const value& v, const call_args& args) {
    if (!args.positional.empty() || !args.keywords.empty())
        return bad("this test takes no argument");
    return f(v);
}

bool is_defined(const value& v) {
    return !v.is_undefined();
}

bool is_undefined(const value& v) {
    return v.is_undefined();
}

bool is_none(const value& v) {
    return v.is_none();
}

bool is_string(const value& v) {
    return v.is_string();
}

bool is_mapping(const value& v) {
    return v.dict() != nullptr;
}

bool is_sequence(const value& v) {
    return v.is_string() || v.list() || v.dict() || v.is_undefined();
}

bool is_iterable(const value& v) {
    return is_sequence(v) || v.collection();
}

bool is_boolean(const value& v) {
    return v.as<bool>() != nullptr;
}

bool is_true(const value& v) {
    return v.as<bool>() && *v.as<bool>();
}

bool is_false(const value& v) {
    return v.as<bool>() && !*v.as<bool>();
}

bool is_number(const value& v) {
    return v.is_number();
}

bool is_integer(const value& v) {
    return v.as<std::int64_t>() != nullptr;
}

bool is_float(const value& v) {
    return v.as<double>() != nullptr;
}

bool is_callable(const value& v) {
    return v.is_undefined() || v.as<std::shared_ptr<const callable_value>>() != nullptr;
}

// Any cased character, and none of the other case.
template <category wanted, category other>
bool is_case(const value& v) {
    const std::string s = to_text(v);
    bool any = false;
    for (std::size_t i = 0; i < s.size();) {
        const code_point c = decode_at(s, i);
        const category k = category_of(c.value);
        if (k == other || k == category::lt) return false;
        any |= k == wanted;
        i += c.size;
    }
    return any;
}

result<bool> needs_one(const call_args& args) {
    if (args.positional.size() != 1 || !args.keywords.empty())
        return bad("this test takes one argument");
    return true;
}

template <compare_op op>
result<bool> comparing(interpreter& in, const value& v, const call_args& args) {
    RLX_TRY(needs_one(args));
    const value& other = args.positional[0];
    RLX_CHECK(in.charge(v.weight() + other.weight()));
    if (op == compare_op::eq) return equal(v, other);
    if (op == compare_op::ne) return !equal(v, other);
    if (op == compare_op::in) return contains(other, v);
    const int c = RLX_TRY(compare(v, other));
    if (op == compare_op::lt) return c < 0;
    if (op == compare_op::le) return c <= 0;
    if (op == compare_op::gt) return c > 0;
    return c >= 0;
}

// v % divisor == rest, for floats too.
result<bool> leaves(const value& v, const value& divisor, std::int64_t rest) {
    return equal(RLX_TRY(arithmetic(binary_op::mod, v, divisor)), value(rest));
}

result<bool> odd(interpreter&, const value& v, const call_args&) {
    return leaves(v, value(std::int64_t{2}), 1);
}

result<bool> even(interpreter&, const value& v, const call_args&) {
    return leaves(v, value(std::int64_t{2}), 0);
}

result<bool> divisible_by(interpreter&, const value& v, const call_args& args) {
    RLX_TRY(needs_one(args));
    return leaves(v, args.positional[0], 0);
}

// Identity; for values without one (numbers, strings), type and value.
result<bool> same_as(interpreter&, const value& v, const call_args& args) {
    RLX_TRY(needs_one(args));
    const value& other = args.positional[0];
    if (v.raw().index() != other.raw().index()) return false;
    if (v.collection()) return v.collection() == other.collection();
    if (v.dict()) return v.dict() == other.dict();
    return equal(v, other);
}

struct row {
    std::string_view name;
    test_function f;
};

constexpr row rows[] = {
    {"defined", plain<is_defined>},
    {"undefined", plain<is_undefined>},
    {"none", plain<is_none>},
    {"string", plain<is_string>},
    {"mapping", plain<is_mapping>},
    {"sequence", plain<is_sequence>},
    {"iterable", plain<is_iterable>},
    {"boolean", plain<is_boolean>},
    {"true", plain<is_true>},
    {"false", plain<is_false>},
    {"number", plain<is_number>},
    {"integer", plain<is_integer>},
    {"float", plain<is_float>},
    {"callable", plain<is_callable>},
    {"lower", plain<is_case<category::ll, category::lu>>},
    {"upper", plain<is_case<category::lu, category::ll>>},
    {"odd", odd},
    {"even", even},
    {"divisibleby", divisible_by},
    {"sameas", same_as},
    {"in", comparing<compare_op::in>},
    {"eq", comparing<compare_op::eq>},
    {"equalto", comparing<compare_op::eq>},
    {"ne", comparing<compare_op::ne>},
    {"lt", comparing<compare_op::lt>},
    {"lessthan", comparing<compare_op::lt>},
    {"le", comparing<compare_op::le>},
    {"gt", comparing<compare_op::gt>},
    {"greaterthan", comparing<compare_op::gt>},
    {"ge", comparing<compare_op::ge>},
};

} // namespace

test_function find_test(std::string_view name) {
    for (const row& r : rows)
        if (r.name == name) return r.f;
    return nullptr;
}

} // namespace rlx::text::jinja
