// SPDX-License-Identifier: GPL-3.0-only
// Methods of strings, lists and mappings.
#include "jinja/interpreter.hpp"
#include "unicode/categories.hpp"
#include "unicode/normalize.hpp"
#include "unicode/utf8.hpp"

#include <algorithm>
#include <span>

namespace rlx::text::jinja {
namespace {

using method_function = result<value> (*)(interpreter&, const value&, const call_args&);

error bad(std::string message) {
    return {RLX_INVALID_ARGUMENT, std::move(message)};
}

result<void> no_arguments(const call_args& args) {
    auto b = bound_args::bind(args, {});
    if (!b.ok()) return std::move(b.error());
    return {};
}

// str.strip and its halves.
template <bool left, bool right>
result<value> strip(interpreter&, const value& v, const call_args& args) {
    const bound_args b = RLX_TRY(bound_args::bind(args, {"chars"}));
    const value* chars = b.get(0);
    if (chars && !chars->is_string() && !chars->is_none()) return bad("\"chars\" is no string");
    return value(strip_text(
        v.string(), chars && chars->is_string() ? &chars->string() : nullptr, left, right
    ));
}

// Pieces between runs of white space, from the left or from the right.
std::vector<value> split_space(std::string_view s, std::int64_t limit, bool from_right) {
    struct range {
        std::size_t begin, end;
    };

    std::vector<range> words;
    bool inside = false;
    for (std::size_t i = 0; i < s.size();) {
        const code_point c = decode_at(s, i);
        if (is_python_space(c.value)) {
            inside = false;
        } else {
            if (!std::exchange(inside, true)) words.push_back({i, i});
            words.back().end = i + c.size;
        }
        i += c.size;
    }
    const std::size_t n = words.size();
    std::vector<value> out;
    if (limit >= 0 && n > static_cast<std::size_t>(limit) + 1) {
        const auto keep = static_cast<std::size_t>(limit);
        if (from_right) { // the first pieces stay together, their trailing space dropped
            out.emplace_back(s.substr(0, words[n - keep - 1].end));
            for (std::size_t i = n - keep; i < n; ++i)
                out.emplace_back(s.substr(words[i].begin, words[i].end - words[i].begin));
            out.front() = value(strip_text(out.front().string(), nullptr, false, true));
        } else {
            for (std::size_t i = 0; i < keep; ++i)
                out.emplace_back(s.substr(words[i].begin, words[i].end - words[i].begin));
            out.emplace_back(s.substr(words[keep].begin));
        }
        return out;
    }
    for (const range& w : words)
        out.emplace_back(s.substr(w.begin, w.end - w.begin));
    return out;
}

template <bool from_right>
result<value> split(interpreter& in, const value& v, const call_args& args) {
    const bound_args b = RLX_TRY(bound_args::bind(args, {"sep", "maxsplit"}));
    std::int64_t limit = RLX_TRY(b.integer(1, -1));
    const value* separator = b.get(0);
    const std::string_view s = v.string();
    if (!separator || separator->is_none()) return make_list(split_space(s, limit, from_right));
    if (!separator->is_string()) return bad("the separator is no string");
    const std::string_view sep = separator->string();
    if (sep.empty()) return bad("the separator is empty");
    RLX_CHECK(in.charge((s.size() / 64 + 1) * (sep.size() / 64 + 1)));
    std::vector<value> out;
    if (from_right) {
        std::size_t end = s.size();
        for (; limit != 0; --limit) {
            const std::size_t at = end < sep.size() ? s.npos : s.rfind(sep, end - sep.size());
            if (at == s.npos) break;
            out.emplace_back(s.substr(at + sep.size(), end - at - sep.size()));
            end = at;
        }
        out.emplace_back(s.substr(0, end));
        std::reverse(out.begin(), out.end());
    } else {
        std::size_t begin = 0;
        for (std::size_t at = s.find(sep); at != s.npos && limit != 0;
             at = s.find(sep, begin), --limit) {
            out.emplace_back(s.substr(begin, at - begin));
            begin = at + sep.size();
        }
        out.emplace_back(s.substr(begin));
    }
    RLX_CHECK(in.charge(out.size()));
    return make_list(std::move(out));
}

// Splits at the first or last separator into three.
template <bool from_right>
result<value> partition(interpreter&, const value& v, const call_args& args) {
    const bound_args b = RLX_TRY(bound_args::bind(args, {"sep"}));
    const std::string sep = RLX_TRY(b.text(0, ""));
    if (sep.empty()) return bad("the separator is empty");
    const std::string_view s = v.string();
    const std::size_t at = from_right ? s.rfind(sep) : s.find(sep);
    const value empty{std::string()};
    if (at == s.npos)
        return from_right ? make_tuple({empty, empty, v}) : make_tuple({v, empty, empty});
    return make_tuple({value(s.substr(0, at)), value(sep), value(s.substr(at + sep.size()))});
}

// The part of s that optional start and end arguments (in code points) leave.
result<std::string> window(const value& v, const bound_args& b) {
    if (!b.get(1) && !b.get(2)) return v.string();
    const value part = RLX_TRY(get_slice(v, b.get_or(1, none{}), b.get_or(2, none{}), none{}));
    return part.string();
}

template <bool at_end>
result<value> starts_or_ends(interpreter&, const value& v, const call_args& args) {
    const bound_args b = RLX_TRY(bound_args::bind(args, {"prefix", "start", "end"}));
    if (!b.get(0)) return bad("one argument is needed");
    const std::string s = RLX_TRY(window(v, b));
    const auto matches = [&](const value& affix) -> result<bool> {
        if (!affix.is_string())
            return bad(
                "the argument is a " + std::string(affix.type_name()) +
                ", expected a string or a tuple of strings"
            );
        return at_end ? s.ends_with(affix.string()) : s.starts_with(affix.string());
    };
    const list_value* list = b.get(0)->list();
    if (!list || list->kind != sequence_kind::tuple) return value(RLX_TRY(matches(*b.get(0))));
    for (const value& affix : list->items)
        if (RLX_TRY(matches(affix))) return value(true);
    return value(false);
}

template <bool last, bool must_exist>
result<value> find(interpreter& in, const value& v, const call_args& args) {
    const bound_args b = RLX_TRY(bound_args::bind(args, {"sub", "start", "end"}));
    const std::string sub = RLX_TRY(b.text(0, ""));
    if (b.get(1) || b.get(2)) return error{RLX_UNSUPPORTED, "start and end are not supported"};
    const std::string_view s = v.string();
    RLX_CHECK(in.charge((s.size() / 64 + 1) * (sub.size() / 64 + 1)));
    const std::size_t at = last ? s.rfind(sub) : s.find(sub);
    if (at == s.npos)
        return must_exist ? result<value>(bad("the substring is not there"))
                          : value(std::int64_t{-1});
    return value(static_cast<std::int64_t>(count_code_points(s.substr(0, at))));
}

result<value> count_text(interpreter& in, const value& v, const call_args& args) {
    const bound_args b = RLX_TRY(bound_args::bind(args, {"sub"}));
    const std::string sub = RLX_TRY(b.text(0, ""));
    const std::string_view s = v.string();
    if (sub.empty()) return value(static_cast<std::int64_t>(count_code_points(s)) + 1);
    RLX_CHECK(in.charge((s.size() / 64 + 1) * (sub.size() / 64 + 1)));
    std::int64_t n = 0;
    for (std::size_t at = s.find(sub); at != s.npos; at = s.find(sub, at + sub.size()))
        ++n;
    return value(n);
}

result<value> replace(interpreter& in, const value& v, const call_args& args) {
    const bound_args b = RLX_TRY(bound_args::bind(args, {"old", "new", "count"}));
    if (!b.get(0) || !b.get(1)) return bad("\"old\" and \"new\" are needed");
    const std::string from = RLX_TRY(b.text(0, "")), to = RLX_TRY(b.text(1, ""));
    if (from.empty()) return error{RLX_UNSUPPORTED, "replacing an empty string is not supported"};
    const std::string& s = v.string();
    RLX_CHECK(in.charge((s.size() / 64 + 1) * (from.size() / 64 + 1)));
    if (s.size() / from.size() > max_string_bytes / (to.size() + 1))
        return bad("a string grows beyond 16 MiB");
    return value(replace_text(s, from, to, RLX_TRY(b.integer(2, -1))));
}

template <std::string (*f)(std::string_view)>
result<value> map_text(interpreter&, const value& v, const call_args& args) {
    RLX_CHECK(no_arguments(args));
    return value(f(v.string()));
}

// Words are runs of letters.
std::string title_case(std::string_view s) {
    std::string out;
    bool inside = false;
    for (std::size_t i = 0; i < s.size();) {
        const code_point c = decode_at(s, i);
        const bool letter = c.valid && (classes_of(c.value) & cls_letter);
        out += inside ? to_lower(s.substr(i, c.size)) : to_title(s.substr(i, c.size));
        inside = letter;
        i += c.size;
    }
    return out;
}

template <bool prefix>
result<value> remove_affix(interpreter&, const value& v, const call_args& args) {
    const bound_args b = RLX_TRY(bound_args::bind(args, {"affix"}));
    const std::string affix = RLX_TRY(b.text(0, ""));
    std::string_view s = v.string();
    if (prefix && s.starts_with(affix)) s.remove_prefix(affix.size());
    if (!prefix && s.ends_with(affix)) s.remove_suffix(affix.size());
    return value(s);
}

result<value> join(interpreter& in, const value& v, const call_args& args) {
    const bound_args b = RLX_TRY(bound_args::bind(args, {"iterable"}));
    if (!b.get(0)) return bad("one argument is needed");
    std::string out;
    bool started = false;
    for (const value& item : RLX_TRY(in.items_of(*b.get(0)))) {
        if (!item.is_string())
            return bad("an item is a " + std::string(item.type_name()) + ", expected a string");
        if (std::exchange(started, true)) out += v.string();
        RLX_CHECK(in.charge(item.weight()));
        out += item.string();
        if (out.size() > max_string_bytes) return bad("a string grows beyond 16 MiB");
    }
    return value(std::move(out));
}

result<value> splitlines(interpreter& in, const value& v, const call_args& args) {
    const bound_args b = RLX_TRY(bound_args::bind(args, {"keepends"}));
    std::vector<value> out;
    for (auto& line : split_lines(v.string(), b.flag(0, false)))
        out.emplace_back(std::move(line));
    RLX_CHECK(in.charge(out.size()));
    return make_list(std::move(out));
}

// Every character passes, and there is one.
template <bool (*f)(std::uint32_t)>
result<value> all_chars(interpreter&, const value& v, const call_args& args) {
    RLX_CHECK(no_arguments(args));
    const std::string_view s = v.string();
    for (std::size_t i = 0; i < s.size();) {
        const code_point c = decode_at(s, i);
        if (!f(c.value)) return value(false);
        i += c.size;
    }
    return value(!s.empty());
}

bool is_decimal(std::uint32_t c) {
    return category_of(c) == category::nd;
}

bool is_letter(std::uint32_t c) {
    return classes_of(c) & cls_letter;
}

bool is_letter_or_digit(std::uint32_t c) {
    return classes_of(c) & (cls_letter | cls_number);
}

template <bool upper>
result<value> is_case(interpreter& in, const value& v, const call_args& args) {
    RLX_CHECK(no_arguments(args));
    return value(RLX_TRY(in.apply_test(upper ? "upper" : "lower", v, {})));
}

result<value> dict_get(interpreter&, const value& v, const call_args& args) {
    const bound_args b = RLX_TRY(bound_args::bind(args, {"key", "default"}));
    if (!b.get(0)) return bad("a key is needed");
    const value* found = v.dict()->find(*b.get(0));
    return found ? *found : b.get_or(1, none{});
}

result<value> dict_items(interpreter&, const value& v, const call_args& args) {
    RLX_CHECK(no_arguments(args));
    std::vector<value> out;
    for (const auto& [k, item] : v.dict()->items)
        out.push_back(make_tuple({k, item}));
    return make_list(std::move(out), sequence_kind::view, "dict_items");
}

result<value> dict_keys(interpreter&, const value& v, const call_args& args) {
    RLX_CHECK(no_arguments(args));
    return make_list(RLX_TRY(iterate(v)), sequence_kind::view, "dict_keys");
}

result<value> dict_values(interpreter&, const value& v, const call_args& args) {
    RLX_CHECK(no_arguments(args));
    std::vector<value> out;
    for (const auto& entry : v.dict()->items)
        out.push_back(entry.second);
    return make_list(std::move(out), sequence_kind::view, "dict_values");
}

result<value> copy(interpreter&, const value& v, const call_args& args) {
    RLX_CHECK(no_arguments(args));
    return v; // containers never change
}

result<value> list_index(interpreter& in, const value& v, const call_args& args) {
    const bound_args b = RLX_TRY(bound_args::bind(args, {"value"}));
    if (!b.get(0)) return bad("one argument is needed");
    RLX_CHECK(in.charge(v.weight()));
    const auto& items = v.list()->items;
    for (std::size_t i = 0; i < items.size(); ++i)
        if (equal(items[i], *b.get(0))) return value(static_cast<std::int64_t>(i));
    return bad("the value is not in the list");
}

result<value> list_count(interpreter& in, const value& v, const call_args& args) {
    const bound_args b = RLX_TRY(bound_args::bind(args, {"value"}));
    if (!b.get(0)) return bad("one argument is needed");
    RLX_CHECK(in.charge(v.weight()));
    std::int64_t n = 0;
    for (const value& item : v.list()->items)
        n += equal(item, *b.get(0));
    return value(n);
}

result<value> changes_value(interpreter&, const value&, const call_args&) {
    return error{RLX_UNSUPPORTED, "a template may not change a list or mapping in place"};
}

result<value> unsupported(interpreter&, const value&, const call_args&) {
    return error{RLX_UNSUPPORTED, "this method is not supported"};
}

result<value> loop_cycle(interpreter&, const value& v, const call_args& args) {
    if (args.positional.empty()) return bad("one argument is needed");
    const auto& l = **v.as<std::shared_ptr<const loop_value>>();
    return args.positional[l.index0 % args.positional.size()];
}

result<value> loop_changed(interpreter& in, const value& v, const call_args& args) {
    const auto& l = **v.as<std::shared_ptr<const loop_value>>();
    value now = make_tuple(args.positional);
    RLX_CHECK(in.charge(now.weight()));
    if (equal(*l.last_changed, now)) return value(false);
    *l.last_changed = std::move(now);
    return value(true);
}

struct row {
    std::string_view name;
    method_function f;
};

constexpr row string_methods[] = {
    {"strip", strip<true, true>},
    {"lstrip", strip<true, false>},
    {"rstrip", strip<false, true>},
    {"split", split<false>},
    {"rsplit", split<true>},
    {"partition", partition<false>},
    {"rpartition", partition<true>},
    {"startswith", starts_or_ends<false>},
    {"endswith", starts_or_ends<true>},
    {"find", find<false, false>},
    {"rfind", find<true, false>},
    {"index", find<false, true>},
    {"rindex", find<true, true>},
    {"count", count_text},
    {"replace", replace},
    {"upper", map_text<to_upper>},
    {"lower", map_text<to_lower>},
    {"capitalize", map_text<capitalize_text>},
    {"title", map_text<title_case>},
    {"join", join},
    {"splitlines", splitlines},
    {"removeprefix", remove_affix<true>},
    {"removesuffix", remove_affix<false>},
    {"isdigit", all_chars<is_decimal>},
    {"isdecimal", all_chars<is_decimal>},
    {"isalpha", all_chars<is_letter>},
    {"isalnum", all_chars<is_letter_or_digit>},
    {"isspace", all_chars<is_python_space>},
    {"isupper", is_case<true>},
    {"islower", is_case<false>},
    {"format", unsupported},
    {"format_map", unsupported},
    {"encode", unsupported},
    {"zfill", unsupported},
    {"center", unsupported},
    {"ljust", unsupported},
    {"rjust", unsupported},
    {"swapcase", unsupported},
    {"casefold", unsupported},
    {"translate", unsupported},
    {"maketrans", unsupported},
    {"expandtabs", unsupported},
    {"isnumeric", unsupported},
    {"istitle", unsupported},
    {"isascii", unsupported},
    {"isidentifier", unsupported},
    {"isprintable", unsupported},
};

constexpr row dict_methods[] = {
    {"get", dict_get},
    {"items", dict_items},
    {"keys", dict_keys},
    {"values", dict_values},
    {"copy", copy},
    {"pop", changes_value},
    {"popitem", changes_value},
    {"clear", changes_value},
    {"update", changes_value},
    {"setdefault", changes_value},
    {"fromkeys", unsupported},
};

constexpr row list_methods[] = {
    {"index", list_index},
    {"count", list_count},
    {"copy", copy},
    {"append", changes_value},
    {"extend", changes_value},
    {"insert", changes_value},
    {"pop", changes_value},
    {"remove", changes_value},
    {"clear", changes_value},
    {"sort", changes_value},
    {"reverse", changes_value},
};

constexpr row tuple_methods[] = {{"index", list_index}, {"count", list_count}};

constexpr row loop_methods[] = {{"cycle", loop_cycle}, {"changed", loop_changed}};

std::span<const row> methods_of(const value& v) {
    if (v.is_string()) return string_methods;
    if (v.dict()) return dict_methods;
    if (v.list())
        return v.list()->kind == sequence_kind::list ? std::span<const row>(list_methods)
                                                     : tuple_methods;
    if (v.as<std::shared_ptr<const loop_value>>()) return loop_methods;
    return {};
}

} // namespace

value find_method(const value& v, std::string_view name) {
    for (const row& r : methods_of(v)) {
        if (r.name != name) continue;
        auto c = std::make_shared<callable_value>();
        c->name = r.name;
        c->call = [self = v, f = r.f](interpreter& in, const call_args& args) -> result<value> {
            RLX_CHECK(in.charge(self.weight()));
            return f(in, self, args);
        };
        return value(std::shared_ptr<const callable_value>(std::move(c)));
    }
    return value();
}

} // namespace rlx::text::jinja
