// SPDX-License-Identifier: GPL-3.0-only
#include "jinja/value.hpp"

#include "jinja/operators.hpp"
#include "unicode/categories.hpp"
#include "unicode/utf8.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace rlx::text::jinja {
namespace {

constexpr const char* hex_digits = "0123456789abcdef";

void append_hex(std::string& out, std::uint32_t v, int digits) {
    for (int shift = (digits - 1) * 4; shift >= 0; shift -= 4)
        out += hex_digits[(v >> shift) & 15];
}

bool is_printable(std::uint32_t cp) {
    if (cp == ' ') return true;
    switch (category_of(cp)) {
    case category::cc:
    case category::cf:
    case category::cs:
    case category::co:
    case category::cn:
    case category::zl:
    case category::zp:
    case category::zs: return false;
    default: return true;
    }
}

void append_string_repr(std::string& out, std::string_view s) {
    const bool has_single = s.find('\'') != s.npos, has_double = s.find('"') != s.npos;
    const char quote = has_single && !has_double ? '"' : '\'';
    out += quote;
    for (std::size_t i = 0; i < s.size();) {
        const code_point c = decode_at(s, i);
        if (c.value == static_cast<unsigned char>(quote) || c.value == '\\') {
            out += '\\';
            out += static_cast<char>(c.value);
        } else if (c.value == '\n') {
            out += "\\n";
        } else if (c.value == '\r') {
            out += "\\r";
        } else if (c.value == '\t') {
            out += "\\t";
        } else if (is_printable(c.value)) {
            out += s.substr(i, c.size);
        } else if (c.value < 0x100) {
            out += "\\x";
            append_hex(out, c.value, 2);
        } else {
            out += c.value < 0x10000 ? "\\u" : "\\U";
            append_hex(out, c.value, c.value < 0x10000 ? 4 : 8);
        }
        i += c.size;
    }
    out += quote;
}

void append_list_repr(std::string& out, const list_value& l) {
    if (l.kind == sequence_kind::range) {
        out += l.name;
        return;
    }
    if (l.kind == sequence_kind::generator) {
        out += "<generator>";
        return;
    }
    const bool tuple = l.kind == sequence_kind::tuple, view = l.kind == sequence_kind::view;
    if (view) out += l.name + '(';
    out += tuple ? '(' : '[';
    for (std::size_t i = 0; i < l.items.size(); ++i) {
        if (i) out += ", ";
        append_repr(out, l.items[i]);
    }
    if (tuple && l.items.size() == 1) out += ',';
    out += tuple ? ')' : ']';
    if (view) out += ')';
}

} // namespace

value value::missing(std::string what) {
    value v;
    v.v_ = undefined{std::make_shared<const std::string>(std::move(what))};
    return v;
}

const list_value* value::collection() const {
    const auto* l = as<std::shared_ptr<const list_value>>();
    return l ? l->get() : nullptr;
}

const list_value* value::list() const {
    const list_value* l = collection();
    return l && l->kind <= sequence_kind::range ? l : nullptr;
}

const dict_value* value::dict() const {
    const auto* d = as<std::shared_ptr<const dict_value>>();
    return d ? d->get() : nullptr;
}

bool value::truthy() const {
    if (is_undefined() || is_none()) return false;
    if (const bool* b = as<bool>()) return *b;
    if (const auto* i = as<std::int64_t>()) return *i != 0;
    if (const auto* d = as<double>()) return *d != 0;
    if (is_string()) return !string().empty();
    if (collection()) return is_generator() || !collection()->items.empty();
    if (dict()) return !dict()->items.empty();
    return true;
}

std::uint32_t value::depth() const {
    if (collection()) return collection()->depth;
    if (dict()) return dict()->depth;
    return 0;
}

std::uint64_t value::weight() const {
    if (collection()) return collection()->weight;
    if (dict()) return dict()->weight;
    return is_string() ? 1 + string().size() / 64 : 1;
}

std::string_view value::type_name() const {
    static constexpr std::array<std::string_view, 11> names = {
        "undefined",
        "NoneType",
        "bool",
        "int",
        "float",
        "str",
        "list",
        "dict",
        "namespace",
        "function",
        "loop"};
    static constexpr std::array<std::string_view, 5> kinds = {
        "list", "tuple", "range", "dict view", "generator"};
    return collection() ? kinds[static_cast<std::size_t>(collection()->kind)] : names[v_.index()];
}

const value* dict_value::find(const value& key) const {
    if (key.is_string()) return find(std::string_view(key.string()));
    for (const auto& [k, v] : items)
        if (!k.is_string() && equal(k, key)) return &v;
    return nullptr;
}

const value* dict_value::find(std::string_view key) const {
    for (const auto& [k, v] : items)
        if (k.is_string() && k.string() == key) return &v;
    return nullptr;
}

void dict_value::set(value key, value v) {
    if (const value* old = find(key))
        const_cast<value&>(*old) = std::move(v);
    else
        items.emplace_back(std::move(key), std::move(v));
}

std::string undefined_name(const value& v) {
    const auto* u = v.as<undefined>();
    return u && u->what ? *u->what : "a value";
}

std::optional<std::int64_t> as_integer(const value& v) {
    if (const auto* i = v.as<std::int64_t>()) return *i;
    if (const bool* b = v.as<bool>()) return *b ? 1 : 0;
    return std::nullopt;
}

std::optional<double> as_number(const value& v) {
    if (const auto* d = v.as<double>()) return *d;
    if (const auto i = as_integer(v)) return static_cast<double>(*i);
    return std::nullopt;
}

value make_list(std::vector<value> items, sequence_kind kind, std::string name) {
    auto l = std::make_shared<list_value>();
    l->kind = kind;
    l->name = std::move(name);
    if (kind == sequence_kind::generator) l->next = std::make_shared<std::size_t>(0);
    for (const value& v : items) {
        l->depth = std::max(l->depth, v.depth() + 1);
        l->weight += v.weight();
    }
    l->items = std::move(items);
    return std::shared_ptr<const list_value>(std::move(l));
}

value make_dict(dict_value d) {
    d.depth = d.weight = 1;
    for (const auto& [k, v] : d.items) {
        d.depth = std::max(d.depth, v.depth() + 1);
        d.weight += k.weight() + v.weight();
    }
    return std::shared_ptr<const dict_value>(std::make_shared<dict_value>(std::move(d)));
}

std::string float_text(double d) {
    if (std::isnan(d)) return "nan";
    if (std::isinf(d)) return d < 0 ? "-inf" : "inf";
    char buffer[64];
    const double magnitude = std::fabs(d);
    const bool plain = magnitude == 0 || (magnitude >= 1e-4 && magnitude < 1e16);
    const auto format = plain ? std::chars_format::fixed : std::chars_format::scientific;
    const auto r = std::to_chars(buffer, buffer + sizeof buffer, d, format);
    std::string text(buffer, r.ptr);
    if (plain && text.find('.') == text.npos) text += ".0";
    return text;
}

std::string to_text(const value& v) {
    if (v.is_string()) return v.string();
    if (v.is_undefined()) return {};
    std::string out;
    append_repr(out, v);
    return out;
}

void append_repr(std::string& out, const value& v) {
    if (v.is_string()) return append_string_repr(out, v.string());
    if (v.is_undefined())
        out += "Undefined";
    else if (v.is_none())
        out += "None";
    else if (const bool* b = v.as<bool>())
        out += *b ? "True" : "False";
    else if (const auto* i = v.as<std::int64_t>())
        out += std::to_string(*i);
    else if (const auto* d = v.as<double>())
        out += float_text(*d);
    else if (v.collection())
        append_list_repr(out, *v.collection());
    else if (v.dict()) {
        out += '{';
        bool first = true;
        for (const auto& [k, item] : v.dict()->items) {
            if (!std::exchange(first, false)) out += ", ";
            append_repr(out, k);
            out += ": ";
            append_repr(out, item);
        }
        out += '}';
    } else {
        out += '<';
        out += v.type_name();
        out += '>';
    }
}

result<value> from_json(const ordered_json& j) {
    switch (j.type()) {
    case ordered_json::value_t::null: return value(none{});
    case ordered_json::value_t::boolean: return value(j.get<bool>());
    case ordered_json::value_t::number_integer: return value(j.get<std::int64_t>());
    case ordered_json::value_t::number_unsigned:
        if (j.get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX))
            return error{
                RLX_INVALID_ARGUMENT, "the number " + j.dump() + " does not fit into 64 bits"};
        return value(j.get<std::int64_t>());
    case ordered_json::value_t::number_float: return value(j.get<double>());
    case ordered_json::value_t::string: return value(j.get_ref<const std::string&>());
    case ordered_json::value_t::array: {
        std::vector<value> items;
        for (const auto& item : j)
            items.push_back(RLX_TRY(from_json(item)));
        return make_list(std::move(items));
    }
    case ordered_json::value_t::object: {
        dict_value d; // keys are different already
        for (const auto& [k, item] : j.items())
            d.items.emplace_back(value(k), RLX_TRY(from_json(item)));
        return make_dict(std::move(d));
    }
    default: return error{RLX_INVALID_ARGUMENT, "unexpected kind of JSON value"};
    }
}

} // namespace rlx::text::jinja
