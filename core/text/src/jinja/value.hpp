// SPDX-License-Identifier: GPL-3.0-only
// Values of the template language, with Python's rules. Containers are immutable once built and
// shared, so copies are cheap; only namespaces change.
#pragma once

#include "json_access.hpp"
#include "rlx/base/result.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace rlx::text::jinja {

class value;
class interpreter;
struct call_args;

// What a look-up that found nothing gives: prints as nothing, but has no attributes.
struct undefined {
    std::shared_ptr<const std::string> what; // what was looked up, for messages
};

struct none {};

struct text_value {
    std::shared_ptr<const std::string> text;
    bool safe = false; // |safe: adding an unsafe string escapes that string, as markup does
};

enum class sequence_kind : std::uint8_t {
    list,
    tuple,
    range,     // indexable like a list, prints as range(..)
    view,      // items() and its like: has a length, no index
    generator, // what lazy filters give: true even when empty, and can be run through only once
};

struct list_value {
    std::vector<value> items;
    sequence_kind kind = sequence_kind::list;
    std::string name;                  // range: how it prints; view: dict_items etc.
    std::shared_ptr<std::size_t> next; // generator: the first item not handed out yet
    std::uint32_t depth = 1;
    std::uint64_t weight = 1;
};

// In insertion order. Keys are hashable values; nearly always strings.
class dict_value {
public:
    std::vector<std::pair<value, value>> items;
    std::uint32_t depth = 1;
    std::uint64_t weight = 1;

    const value* find(const value& key) const;
    const value* find(std::string_view key) const;
    void set(value key, value v); // replaces the value of an equal key
};

struct namespace_value {
    std::vector<std::pair<std::string, value>> items;
};

// A macro, a global function or a bound method. Compared by identity.
struct callable_value {
    std::string name;
    std::function<result<value>(interpreter&, const call_args&)> call;
};

// Attributes of `loop`, computed when asked for.
struct loop_value {
    std::shared_ptr<const list_value> items;
    std::size_t index0 = 0;
    std::shared_ptr<value> last_changed; // argument list of the last loop.changed()
};

class value {
public:
    using variant = std::variant<
        undefined,
        none,
        bool,
        std::int64_t,
        double,
        text_value,
        std::shared_ptr<const list_value>,
        std::shared_ptr<const dict_value>,
        std::shared_ptr<namespace_value>,
        std::shared_ptr<const callable_value>,
        std::shared_ptr<const loop_value>>;

    value() = default; // undefined

    value(none) : v_(none{}) {}

    value(bool b) : v_(b) {}

    value(std::int64_t i) : v_(i) {}

    value(double d) : v_(d) {}

    value(std::string s, bool safe = false)
        : v_(text_value{std::make_shared<const std::string>(std::move(s)), safe}) {}

    value(std::string_view s) : value(std::string(s)) {}

    value(const char*) = delete; // would become bool

    value(text_value t) : v_(std::move(t)) {}

    value(std::shared_ptr<const list_value> l) : v_(std::move(l)) {}

    value(std::shared_ptr<const dict_value> d) : v_(std::move(d)) {}

    value(std::shared_ptr<namespace_value> n) : v_(std::move(n)) {}

    value(std::shared_ptr<const callable_value> c) : v_(std::move(c)) {}

    value(std::shared_ptr<const loop_value> l) : v_(std::move(l)) {}

    static value missing(std::string what);

    template <class T>
    const T* as() const {
        return std::get_if<T>(&v_);
    }

    bool is_undefined() const { return as<undefined>() != nullptr; }

    bool is_none() const { return as<none>() != nullptr; }

    bool is_string() const { return as<text_value>() != nullptr; }

    bool is_number() const { return as<bool>() || as<std::int64_t>() || as<double>(); }

    const std::string& string() const { return *std::get<text_value>(v_).text; } // is_string() only

    const list_value* list() const;       // a list, tuple or range: what has an index
    const list_value* collection() const; // any kind of sequence

    bool is_generator() const {
        return collection() && collection()->kind == sequence_kind::generator;
    }

    const dict_value* dict() const;

    const variant& raw() const { return v_; }

    bool truthy() const;
    std::uint32_t depth() const;  // nesting of containers
    std::uint64_t weight() const; // work to walk the value: nodes, and strings at 64 bytes a node
    std::string_view type_name() const; // as Python calls it

private:
    variant v_;
};

// What an undefined value was looked up as.
std::string undefined_name(const value& v);

// bool counts as 0 or 1, as in Python; nullopt for other types and for floats.
std::optional<std::int64_t> as_integer(const value& v);
std::optional<double> as_number(const value& v);

value make_list(
    std::vector<value> items, sequence_kind kind = sequence_kind::list, std::string name = {}
);

inline value make_tuple(std::vector<value> items) {
    return make_list(std::move(items), sequence_kind::tuple);
}

inline value make_generator(std::vector<value> items) {
    return make_list(std::move(items), sequence_kind::generator);
}

value make_dict(dict_value d);

// str(v), repr(v) and Python's spelling of a float.
std::string to_text(const value& v);
void append_repr(std::string& out, const value& v);
std::string float_text(double d);

// json.dumps. Errors for values JSON has no word for.
struct json_style {
    bool ascii = false;
    std::optional<std::string> indent; // one level; nullopt: one line
    std::string item_separator = ", ", key_separator = ": ";
    bool sort_keys = false;
};

result<std::string> to_json(const value& v, const json_style& style);

result<value> from_json(const ordered_json& j);

} // namespace rlx::text::jinja
