// SPDX-License-Identifier: GPL-3.0-only
// Filters that make or change text and numbers.
#include "jinja/interpreter.hpp"
#include "unicode/categories.hpp"
#include "unicode/normalize.hpp"
#include "unicode/utf8.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace rlx::text::jinja {
namespace {

error bad(std::string message) {
    return {RLX_INVALID_ARGUMENT, std::move(message)};
}

result<void> no_arguments(const call_args& args) {
    auto b = bound_args::bind(args, {});
    if (!b.ok()) return std::move(b.error());
    return {};
}

result<value> trim(interpreter&, const value& v, const call_args& args) {
    const bound_args b = RLX_TRY(bound_args::bind(args, {"chars"}));
    const value* chars = b.get(0);
    if (chars && !chars->is_string() && !chars->is_none()) return bad("\"chars\" is no string");
    return value(
        strip_text(to_text(v), chars && chars->is_string() ? &chars->string() : nullptr, true, true)
    );
}

result<value> tojson(interpreter&, const value& v, const call_args& args) {
    const bound_args b =
        RLX_TRY(bound_args::bind(args, {"ensure_ascii", "indent", "separators", "sort_keys"}));
    json_style style;
    style.ascii = b.flag(0, false);
    style.sort_keys = b.flag(3, false);
    if (const value* indent = b.get(1); indent && !indent->is_none()) {
        if (indent->is_string())
            style.indent = indent->string();
        else
            style.indent = std::string(
                static_cast<std::size_t>(std::clamp<std::int64_t>(RLX_TRY(b.integer(1, 0)), 0, 100)
                ),
                ' '
            );
        style.item_separator = ",";
    }
    if (const value* separators = b.get(2); separators && !separators->is_none()) {
        const list_value* l = separators->list();
        if (!l || l->items.size() != 2 || !l->items[0].is_string() || !l->items[1].is_string())
            return bad("\"separators\" is no pair of strings");
        style.item_separator = l->items[0].string();
        style.key_separator = l->items[1].string();
    }
    return value(RLX_TRY(to_json(v, style)));
}

template <std::string (*f)(std::string_view)>
result<value> map_text(interpreter&, const value& v, const call_args& args) {
    RLX_CHECK(no_arguments(args));
    return value(f(to_text(v)));
}

// Words start behind white space, - ( [ { <
std::string title_text(std::string_view s) {
    std::string out;
    std::size_t begin = 0;
    auto word = [&](std::size_t end) {
        out += capitalize_text(s.substr(begin, end - begin));
        begin = end;
    };
    for (std::size_t i = 0; i < s.size();) {
        const code_point c = decode_at(s, i);
        const bool separator = is_python_space(c.value) || c.value == '-' || c.value == '(' ||
                               c.value == '[' || c.value == '{' || c.value == '<';
        if (separator) {
            word(i);
            out += s.substr(i, c.size);
            begin = i + c.size;
        }
        i += c.size;
    }
    word(s.size());
    return out;
}

result<value> string_filter(interpreter&, const value& v, const call_args& args) {
    RLX_CHECK(no_arguments(args));
    return v.is_string() ? v : value(to_text(v));
}

result<value> safe(interpreter&, const value& v, const call_args& args) {
    RLX_CHECK(no_arguments(args));
    return value(to_text(v), true);
}

result<value> escape(interpreter&, const value& v, const call_args& args) {
    RLX_CHECK(no_arguments(args));
    const auto* t = v.as<text_value>();
    return t && t->safe ? v : value(escape_markup(to_text(v)), true);
}

result<value> replace(interpreter& in, const value& v, const call_args& args) {
    const bound_args b = RLX_TRY(bound_args::bind(args, {"old", "new", "count"}));
    if (!b.get(0) || !b.get(1)) return bad("\"old\" and \"new\" are needed");
    const std::string from = to_text(*b.get(0)), to = to_text(*b.get(1)), s = to_text(v);
    if (from.empty()) return error{RLX_UNSUPPORTED, "replacing an empty string is not supported"};
    const value* count = b.get(2);
    RLX_CHECK(in.charge((s.size() / 64 + 1) * (from.size() / 64 + 1)));
    if (s.size() / from.size() > max_string_bytes / (to.size() + 1))
        return bad("a string grows beyond 16 MiB");
    return value(
        replace_text(s, from, to, count && !count->is_none() ? RLX_TRY(b.integer(2, -1)) : -1)
    );
}

result<value> indent(interpreter&, const value& v, const call_args& args) {
    const bound_args b = RLX_TRY(bound_args::bind(args, {"width", "first", "blank"}));
    if (!v.is_string()) return bad("a " + std::string(v.type_name()) + " is no string");
    std::string space;
    if (b.get(0) && b.get(0)->is_string())
        space = b.get(0)->string();
    else
        space.assign(
            static_cast<std::size_t>(std::clamp<std::int64_t>(RLX_TRY(b.integer(0, 4)), 0, 1000)),
            ' '
        );
    const bool blank = b.flag(2, false);
    const auto lines = split_lines(v.string() + "\n", false);
    if (space.size() > max_string_bytes / (lines.size() + 1))
        return bad("a string grows beyond 16 MiB");
    std::string out = b.flag(1, false) ? space : std::string();
    for (std::size_t i = 0; i < lines.size(); ++i) {
        if (i) out += '\n';
        if (i && (blank || !lines[i].empty())) out += space;
        out += lines[i];
    }
    return value(std::move(out));
}

result<value> wordcount(interpreter&, const value& v, const call_args& args) {
    RLX_CHECK(no_arguments(args));
    const std::string s = to_text(v);
    std::int64_t n = 0;
    bool inside = false;
    for (std::size_t i = 0; i < s.size();) {
        const code_point c = decode_at(s, i);
        const bool word = !is_python_space(c.value) &&
                          (classes_of(c.value) & (cls_letter | cls_number | cls_mark));
        n += word && !inside;
        inside = word;
        i += c.size;
    }
    return value(n);
}

std::optional<double> parse_float(const std::string& text) {
    const std::string s = strip_text(text, nullptr, true, true);
    double d = 0;
    const char* begin = s.data() + (s.starts_with('+') ? 1 : 0);
    const auto r = std::from_chars(begin, s.data() + s.size(), d);
    if (s.empty() || r.ec != std::errc() || r.ptr != s.data() + s.size()) return std::nullopt;
    return d;
}

result<value> float_filter(interpreter&, const value& v, const call_args& args) {
    const bound_args b = RLX_TRY(bound_args::bind(args, {"default"}));
    if (v.is_undefined()) return bad(undefined_name(v) + " is undefined");
    if (const auto d = as_number(v)) return value(*d);
    if (v.is_string())
        if (const auto d = parse_float(v.string())) return value(*d);
    return b.get_or(0, value(0.0));
}

result<value> int_filter(interpreter&, const value& v, const call_args& args) {
    const bound_args b = RLX_TRY(bound_args::bind(args, {"default", "base"}));
    if (v.is_undefined()) return bad(undefined_name(v) + " is undefined");
    const std::int64_t base = RLX_TRY(b.integer(1, 10));
    if (base != 10) return error{RLX_UNSUPPORTED, "a base other than 10 is not supported"};
    const value fallback = b.get_or(0, value(std::int64_t{0}));
    if (const auto i = as_integer(v)) return value(*i);
    std::optional<double> d = as_number(v);
    if (v.is_string()) {
        const std::string s = strip_text(v.string(), nullptr, true, true);
        std::int64_t i = 0;
        const auto r =
            std::from_chars(s.data() + (s.starts_with('+') ? 1 : 0), s.data() + s.size(), i);
        if (!s.empty() && r.ec == std::errc() && r.ptr == s.data() + s.size()) return value(i);
        d = parse_float(v.string());
    }
    if (!d || !(std::fabs(*d) < 9.2e18)) return fallback;
    return value(static_cast<std::int64_t>(*d));
}

result<value> round_filter(interpreter&, const value& v, const call_args& args) {
    const bound_args b = RLX_TRY(bound_args::bind(args, {"precision", "method"}));
    const std::int64_t precision = RLX_TRY(b.integer(0, 0));
    const std::string method = RLX_TRY(b.text(1, "common"));
    const auto d = as_number(v);
    if (!d) return bad("a " + std::string(v.type_name()) + " cannot be rounded");
    if (precision < 0 || precision > 15)
        return error{RLX_UNSUPPORTED, "a precision outside 0 to 15 is not supported"};
    if (method == "common" && as_integer(v)) return value(*as_integer(v));
    if (method == "common") {
        std::array<char, 512> buffer;
        const auto r = std::to_chars(
            buffer.data(),
            buffer.data() + buffer.size(),
            *d,
            std::chars_format::fixed,
            static_cast<int>(precision)
        );
        double out = *d;
        if (r.ec == std::errc()) std::from_chars(buffer.data(), r.ptr, out);
        return value(out);
    }
    const double scale = std::pow(10.0, static_cast<double>(precision));
    if (method == "ceil") return value(std::ceil(*d * scale) / scale);
    if (method == "floor") return value(std::floor(*d * scale) / scale);
    return bad("unknown rounding method \"" + method + "\"");
}

result<value> abs_filter(interpreter&, const value& v, const call_args& args) {
    RLX_CHECK(no_arguments(args));
    if (const auto i = as_integer(v))
        return *i < 0 ? arithmetic(binary_op::sub, value(std::int64_t{0}), v) : value(*i);
    if (const auto d = as_number(v)) return value(std::fabs(*d));
    return bad("a " + std::string(v.type_name()) + " has no absolute value");
}

struct row {
    std::string_view name;
    filter_function f;
};

constexpr row rows[] = {
    {"trim", trim},
    {"tojson", tojson},
    {"upper", map_text<to_upper>},
    {"lower", map_text<to_lower>},
    {"capitalize", map_text<capitalize_text>},
    {"title", map_text<title_text>},
    {"string", string_filter},
    {"safe", safe},
    {"escape", escape},
    {"e", escape},
    {"replace", replace},
    {"indent", indent},
    {"wordcount", wordcount},
    {"int", int_filter},
    {"float", float_filter},
    {"round", round_filter},
    {"abs", abs_filter},
};

} // namespace

filter_function find_text_filter(std::string_view name) {
    for (const row& r : rows)
        if (r.name == name) return r.f;
    return nullptr;
}

} // namespace rlx::text::jinja
