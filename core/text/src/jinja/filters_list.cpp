// SPDX-License-Identifier: GPL-3.0-only
// Filters over lists and mappings.
#include "jinja/interpreter.hpp"
#include "unicode/normalize.hpp"
#include "unicode/utf8.hpp"

#include <algorithm>
#include <charconv>

namespace rlx::text::jinja {
namespace {

error bad(std::string message) {
    return {RLX_INVALID_ARGUMENT, std::move(message)};
}

// "a.b.0" of v.
result<value> attribute_path(interpreter& in, value v, const value& path) {
    if (!path.is_string()) return in.item(v, path);
    std::string_view rest = path.string();
    for (;;) {
        const std::size_t dot = rest.find('.');
        const std::string_view part = rest.substr(0, dot);
        std::int64_t index = 0;
        const auto r = std::from_chars(part.data(), part.data() + part.size(), index);
        const bool number = !part.empty() && part[0] != '-' && r.ec == std::errc() &&
                            r.ptr == part.data() + part.size();
        v = RLX_TRY(in.item(v, number ? value(index) : value(part)));
        if (dot == rest.npos) return v;
        rest.remove_prefix(dot + 1);
    }
}

// What items are ordered and compared by.
result<value>
sort_key(interpreter& in, const value& v, const value* attribute, bool case_sensitive) {
    value key = attribute && !attribute->is_none() ? RLX_TRY(attribute_path(in, v, *attribute)) : v;
    if (!case_sensitive && key.is_string()) return value(to_lower(key.string()));
    return key;
}

result<value> default_filter(interpreter&, const value& v, const call_args& args) {
    const bound_args b = RLX_TRY(bound_args::bind(args, {"default_value", "boolean"}));
    const bool missing = v.is_undefined() || (b.flag(1, false) && !v.truthy());
    return missing ? b.get_or(0, value(std::string())) : v;
}

result<value> length(interpreter&, const value& v, const call_args& args) {
    RLX_TRY(bound_args::bind(args, {}));
    return value(RLX_TRY(length_of(v)));
}

result<value> list(interpreter& in, const value& v, const call_args& args) {
    RLX_TRY(bound_args::bind(args, {}));
    return make_list(RLX_TRY(in.items_of(v)));
}

result<value> items(interpreter&, const value& v, const call_args& args) {
    RLX_TRY(bound_args::bind(args, {}));
    std::vector<value> out;
    if (v.is_undefined()) return make_generator({});
    if (!v.dict()) return bad("a " + std::string(v.type_name()) + " is no mapping");
    for (const auto& [k, item] : v.dict()->items)
        out.push_back(make_tuple({k, item}));
    return make_generator(std::move(out));
}

// Sorts by keys that are computed once; stable, also in reverse.
result<std::vector<value>>
sorted(interpreter& in, std::vector<value> items, const std::vector<value>& keys, bool reverse) {
    RLX_CHECK(in.charge(items.size() * 8));
    std::vector<std::size_t> order(items.size());
    for (std::size_t i = 0; i < order.size(); ++i)
        order[i] = i;
    std::optional<error> failed;
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        if (equal(keys[a], keys[b])) return false;
        auto c = reverse ? compare(keys[b], keys[a]) : compare(keys[a], keys[b]);
        if (!c.ok()) failed = c.error();
        return c.ok() && *c < 0;
    });
    if (failed) return *failed;
    std::vector<value> out;
    for (const std::size_t i : order)
        out.push_back(std::move(items[i]));
    return out;
}

result<value> dictsort(interpreter& in, const value& v, const call_args& args) {
    const bound_args b = RLX_TRY(bound_args::bind(args, {"case_sensitive", "by", "reverse"}));
    const std::string by = RLX_TRY(b.text(1, "key"));
    if (by != "key" && by != "value")
        return bad("\"by\" is \"" + by + "\", expected \"key\" or \"value\"");
    if (!v.dict()) return bad("a " + std::string(v.type_name()) + " is no mapping");
    std::vector<value> pairs, keys;
    for (const auto& [k, item] : v.dict()->items) {
        pairs.push_back(make_tuple({k, item}));
        keys.push_back(RLX_TRY(sort_key(in, by == "key" ? k : item, nullptr, b.flag(0, false))));
    }
    return make_list(RLX_TRY(sorted(in, std::move(pairs), keys, b.flag(2, false))));
}

result<value> sort(interpreter& in, const value& v, const call_args& args) {
    const bound_args b =
        RLX_TRY(bound_args::bind(args, {"reverse", "case_sensitive", "attribute"}));
    std::vector<value> all = RLX_TRY(in.items_of(v)), keys;
    if (b.get(2) && b.get(2)->is_string() && b.get(2)->string().find(',') != std::string::npos)
        return error{RLX_UNSUPPORTED, "sorting by several attributes is not supported"};
    for (const value& item : all)
        keys.push_back(RLX_TRY(sort_key(in, item, b.get(2), b.flag(1, false))));
    return make_list(RLX_TRY(sorted(in, std::move(all), keys, b.flag(0, false))));
}

result<value> unique(interpreter& in, const value& v, const call_args& args) {
    const bound_args b = RLX_TRY(bound_args::bind(args, {"case_sensitive", "attribute"}));
    std::vector<value> out, keys;
    for (const value& item : RLX_TRY(in.items_of(v))) {
        value key = RLX_TRY(sort_key(in, item, b.get(1), b.flag(0, false)));
        RLX_CHECK(in.charge(keys.size() * key.weight()));
        if (std::any_of(keys.begin(), keys.end(), [&](const value& k) { return equal(k, key); }))
            continue;
        keys.push_back(std::move(key));
        out.push_back(item);
    }
    return make_generator(std::move(out));
}

template <bool largest>
result<value> extreme(interpreter& in, const value& v, const call_args& args) {
    const bound_args b = RLX_TRY(bound_args::bind(args, {"case_sensitive", "attribute"}));
    const std::vector<value> all = RLX_TRY(in.items_of(v));
    if (all.empty()) return value::missing("an empty list has no extreme item, so it");
    std::size_t best = 0;
    value best_key = RLX_TRY(sort_key(in, all[0], b.get(1), b.flag(0, false)));
    for (std::size_t i = 1; i < all.size(); ++i) {
        value key = RLX_TRY(sort_key(in, all[i], b.get(1), b.flag(0, false)));
        const int c = RLX_TRY(compare(key, best_key));
        if (largest ? c > 0 : c < 0) best = i, best_key = std::move(key);
    }
    return all[best];
}

result<value> sum(interpreter& in, const value& v, const call_args& args) {
    const bound_args b = RLX_TRY(bound_args::bind(args, {"attribute", "start"}));
    value total = b.get_or(1, value(std::int64_t{0}));
    for (const value& item : RLX_TRY(in.items_of(v))) {
        const value part =
            b.get(0) && !b.get(0)->is_none() ? RLX_TRY(attribute_path(in, item, *b.get(0))) : item;
        RLX_CHECK(in.charge(total.weight()));
        total = RLX_TRY(in.checked(RLX_TRY(arithmetic(binary_op::add, total, part))));
    }
    return total;
}

result<value> first(interpreter& in, const value& v, const call_args& args) {
    RLX_TRY(bound_args::bind(args, {}));
    if (v.is_generator()) { // takes one item
        const list_value& l = *v.collection();
        if (*l.next < l.items.size()) return l.items[(*l.next)++];
        return value::missing("an empty list has no first item, so it");
    }
    const auto all = RLX_TRY(in.items_of(v));
    return all.empty() ? value::missing("an empty list has no first item, so it") : all.front();
}

result<value> last(interpreter& in, const value& v, const call_args& args) {
    RLX_TRY(bound_args::bind(args, {}));
    if (v.is_generator()) return bad("a generator cannot be reversed");
    const auto all = RLX_TRY(in.items_of(v));
    return all.empty() ? value::missing("an empty list has no last item, so it") : all.back();
}

result<value> reverse(interpreter& in, const value& v, const call_args& args) {
    RLX_TRY(bound_args::bind(args, {}));
    auto all = RLX_TRY(in.items_of(v));
    std::reverse(all.begin(), all.end());
    if (v.is_generator()) return make_list(std::move(all));
    if (!v.is_string()) return make_generator(std::move(all));
    std::string out;
    for (const value& c : all)
        out += c.string();
    return value(std::move(out));
}

result<value> join(interpreter& in, const value& v, const call_args& args) {
    const bound_args b = RLX_TRY(bound_args::bind(args, {"d", "attribute"}));
    const std::string separator = b.get(0) ? to_text(*b.get(0)) : std::string();
    std::string out;
    bool started = false;
    for (const value& item : RLX_TRY(in.items_of(v))) {
        const value part =
            b.get(1) && !b.get(1)->is_none() ? RLX_TRY(attribute_path(in, item, *b.get(1))) : item;
        if (std::exchange(started, true)) out += separator;
        RLX_CHECK(in.charge(part.weight()));
        out += to_text(part);
        if (out.size() > max_string_bytes) return bad("a string grows beyond 16 MiB");
    }
    return value(std::move(out));
}

result<value> map(interpreter& in, const value& v, const call_args& args) {
    std::vector<value> out;
    if (args.positional.empty()) {
        const bound_args b = RLX_TRY(bound_args::bind(args, {"attribute", "default"}));
        if (!b.get(0)) return bad("a filter or attribute= is needed");
        for (const value& item : RLX_TRY(in.items_of(v))) {
            value found = RLX_TRY(attribute_path(in, item, *b.get(0)));
            out.push_back(found.is_undefined() && b.get(1) ? *b.get(1) : std::move(found));
        }
        return make_generator(std::move(out));
    }
    if (!args.positional[0].is_string()) return bad("the name of a filter is needed");
    const std::string name = args.positional[0].string();
    const call_args rest{{args.positional.begin() + 1, args.positional.end()}, args.keywords};
    for (const value& item : RLX_TRY(in.items_of(v)))
        out.push_back(RLX_TRY(in.apply_filter(name, item, rest)));
    return make_generator(std::move(out));
}

// select, reject, selectattr, rejectattr
template <bool keep, bool by_attribute>
result<value> choose(interpreter& in, const value& v, const call_args& args) {
    call_args rest = args;
    value attribute;
    if (by_attribute) {
        if (rest.positional.empty()) return bad("the name of an attribute is needed");
        attribute = rest.positional.front();
        rest.positional.erase(rest.positional.begin());
    }
    std::string test;
    if (!rest.positional.empty()) {
        if (!rest.positional[0].is_string()) return bad("the name of a test is needed");
        test = rest.positional[0].string();
        rest.positional.erase(rest.positional.begin());
    }
    std::vector<value> out;
    for (const value& item : RLX_TRY(in.items_of(v))) {
        const value subject = by_attribute ? RLX_TRY(attribute_path(in, item, attribute)) : item;
        const bool passes =
            test.empty() ? subject.truthy() : RLX_TRY(in.apply_test(test, subject, rest));
        if (passes == keep) out.push_back(item);
    }
    return make_generator(std::move(out));
}

result<value> attr(interpreter& in, const value& v, const call_args& args) {
    const bound_args b = RLX_TRY(bound_args::bind(args, {"name"}));
    const std::string name = RLX_TRY(b.text(0, ""));
    // Only attributes, never items.
    if (v.dict()) {
        value method = find_method(v, name);
        return method.is_undefined() ? value::missing("attribute \"" + name + "\"") : method;
    }
    return in.attribute(v, name);
}

struct row {
    std::string_view name;
    filter_function f;
};

constexpr row rows[] = {
    {"default", default_filter},
    {"d", default_filter},
    {"length", length},
    {"count", length},
    {"list", list},
    {"items", items},
    {"dictsort", dictsort},
    {"sort", sort},
    {"unique", unique},
    {"min", extreme<false>},
    {"max", extreme<true>},
    {"sum", sum},
    {"first", first},
    {"last", last},
    {"reverse", reverse},
    {"join", join},
    {"map", map},
    {"select", choose<true, false>},
    {"reject", choose<false, false>},
    {"selectattr", choose<true, true>},
    {"rejectattr", choose<false, true>},
    {"attr", attr},
};

} // namespace

filter_function find_list_filter(std::string_view name) {
    for (const row& r : rows)
        if (r.name == name) return r.f;
    return nullptr;
}

} // namespace rlx::text::jinja
