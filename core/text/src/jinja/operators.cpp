// SPDX-License-Identifier: GPL-3.0-only
#include "jinja/operators.hpp"

#include "unicode/utf8.hpp"

#include <algorithm>
#include <cmath>

namespace rlx::text::jinja {
namespace {

error bad(std::string message) {
    return {RLX_INVALID_ARGUMENT, std::move(message)};
}

error no_operator(std::string_view op, const value& a, const value& b) {
    return bad(
        "\"" + std::string(op) + "\" does not work on " + std::string(a.type_name()) + " and " +
        std::string(b.type_name())
    );
}

error too_large() {
    return bad("a number is out of the range of 64 bits");
}

error undefined_used(const value& v) {
    return bad(undefined_name(v) + " is undefined");
}

constexpr std::string_view op_names[] = {"+", "-", "*", "/", "//", "%", "**"};

result<value> integer_power(std::int64_t base, std::int64_t exponent) {
    if (exponent < 0)
        return value(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
    std::int64_t out = 1;
    for (; exponent > 0; exponent >>= 1) {
        if ((exponent & 1) && __builtin_mul_overflow(out, base, &out)) return too_large();
        if (exponent > 1 && __builtin_mul_overflow(base, base, &base)) return too_large();
    }
    return value(out);
}

result<value> integer_arithmetic(binary_op op, std::int64_t a, std::int64_t b) {
    std::int64_t out = 0;
    switch (op) {
    case binary_op::add:
        return __builtin_add_overflow(a, b, &out) ? result<value>(too_large()) : value(out);
    case binary_op::sub:
        return __builtin_sub_overflow(a, b, &out) ? result<value>(too_large()) : value(out);
    case binary_op::mul:
        return __builtin_mul_overflow(a, b, &out) ? result<value>(too_large()) : value(out);
    case binary_op::pow: return integer_power(a, b);
    default: break;
    }
    if (b == 0) return bad("division by zero");
    if (op == binary_op::div) return value(static_cast<double>(a) / static_cast<double>(b));
    if (b == -1)
        return op == binary_op::mod ? result<value>(value(std::int64_t{0}))
                                    : integer_arithmetic(binary_op::sub, 0, a);
    // Python rounds towards minus infinity.
    std::int64_t quotient = a / b, rest = a % b;
    if (rest != 0 && (rest < 0) != (b < 0)) {
        --quotient;
        rest += b;
    }
    return value(op == binary_op::floor_div ? quotient : rest);
}

result<value> float_arithmetic(binary_op op, double a, double b) {
    switch (op) {
    case binary_op::add: return value(a + b);
    case binary_op::sub: return value(a - b);
    case binary_op::mul: return value(a * b);
    case binary_op::pow: return value(std::pow(a, b));
    default: break;
    }
    if (b == 0) return bad("division by zero");
    if (op == binary_op::div) return value(a / b);
    if (op == binary_op::floor_div) return value(std::floor(a / b));
    double rest = std::fmod(a, b);
    if (rest != 0 && (rest < 0) != (b < 0)) rest += b;
    return value(rest);
}

result<value> add_strings(const text_value& a, const text_value& b) {
    if (a.text->size() + b.text->size() > max_string_bytes)
        return bad("a string grows beyond 16 MiB");
    if (!a.safe && !b.safe) return value(*a.text + *b.text);
    // Markup escapes what it is joined to.
    return value(
        (a.safe ? *a.text : escape_markup(*a.text)) + (b.safe ? *b.text : escape_markup(*b.text)),
        true
    );
}

result<value> repeat(const value& v, std::int64_t times) {
    const std::size_t n = times < 0 ? 0 : static_cast<std::size_t>(times);
    if (v.is_string()) {
        const std::string& s = v.string();
        if (!s.empty() && n > max_string_bytes / s.size())
            return bad("a string grows beyond 16 MiB");
        std::string out;
        for (std::size_t i = 0; i < n && !s.empty(); ++i)
            out += s;
        return value(std::move(out));
    }
    const auto& items = v.list()->items;
    if (!items.empty() && n > 1'000'000 / items.size())
        return bad("a list grows beyond 1000000 items");
    std::vector<value> out;
    for (std::size_t i = 0; i < n && !items.empty(); ++i)
        out.insert(out.end(), items.begin(), items.end());
    return make_list(std::move(out), v.list()->kind);
}

bool is_plain(const value& v) {
    return v.list() && v.list()->kind != sequence_kind::range;
}

bool same_kind(const value& a, const value& b) {
    return is_plain(a) && is_plain(b) && a.list()->kind == b.list()->kind;
}

// Position of the code point with this index.
std::size_t byte_offset(std::string_view s, std::size_t index) {
    std::size_t pos = 0;
    for (; index > 0 && pos < s.size(); --index)
        pos += decode_at(s, pos).size;
    return pos;
}

// Start, end and step of a slice over n items, as Python clamps them.
struct slice_range {
    std::int64_t begin, end, step;
};

result<slice_range>
clamp_slice(const value& begin, const value& end, const value& step, std::int64_t n) {
    slice_range r{0, n, 1};
    if (!step.is_none()) {
        const auto s = as_integer(step);
        if (!s) return bad("a slice step must be a whole number");
        if (*s == 0) return bad("a slice step cannot be zero");
        r.step = *s;
    }
    const bool back = r.step < 0;
    if (back) r.begin = n - 1, r.end = -1;
    auto bound = [&](const value& v, std::int64_t& out) -> result<void> {
        if (v.is_none()) return {};
        const auto i = as_integer(v);
        if (!i) return bad("a slice bound must be a whole number");
        const std::int64_t at = *i < 0 ? (*i < -n ? -1 : *i + n) : *i;
        const std::int64_t low = back ? -1 : 0, high = back ? n - 1 : n;
        out = std::clamp(*i < -n ? low : at, low, high);
        return {};
    };
    RLX_CHECK(bound(begin, r.begin));
    RLX_CHECK(bound(end, r.end));
    return r;
}

template <class F>
void for_each_index(const slice_range& r, F f) {
    for (std::int64_t i = r.begin; r.step > 0 ? i < r.end : i > r.end;) {
        f(static_cast<std::size_t>(i));
        if (__builtin_add_overflow(i, r.step, &i)) break;
    }
}

} // namespace

std::string escape_markup(std::string_view text) {
    std::string out;
    for (char c : text) {
        switch (c) {
        case '&': out += "&amp;"; break;
        case '<': out += "&lt;"; break;
        case '>': out += "&gt;"; break;
        case '\'': out += "&#39;"; break;
        case '"': out += "&#34;"; break;
        default: out += c;
        }
    }
    return out;
}

bool equal(const value& a, const value& b) {
    if (const auto x = as_integer(a), y = as_integer(b); x && y) return *x == *y;
    if (const auto x = as_number(a), y = as_number(b); x && y) return *x == *y;
    if (a.raw().index() != b.raw().index()) return false;
    if (a.is_string()) return a.string() == b.string();
    if (a.is_none() || a.is_undefined()) return true;
    if (a.collection()) {
        const auto &x = *a.collection(), &y = *b.collection();
        if (&x == &y) return true;
        return x.kind == y.kind && x.kind != sequence_kind::generator &&
               std::equal(x.items.begin(), x.items.end(), y.items.begin(), y.items.end(), equal);
    }
    if (a.dict()) {
        const auto &x = *a.dict(), &y = *b.dict();
        if (&x == &y) return true;
        if (x.items.size() != y.items.size()) return false;
        for (const auto& [k, v] : x.items) {
            const value* other = y.find(k);
            if (!other || !equal(v, *other)) return false;
        }
        return true;
    }
    if (const auto* x = a.as<std::shared_ptr<namespace_value>>())
        return *x == *b.as<std::shared_ptr<namespace_value>>();
    if (const auto* x = a.as<std::shared_ptr<const callable_value>>())
        return *x == *b.as<std::shared_ptr<const callable_value>>();
    return false;
}

result<int> compare(const value& a, const value& b) {
    if (const auto x = as_integer(a), y = as_integer(b); x && y) return (*x > *y) - (*x < *y);
    if (const auto x = as_number(a), y = as_number(b); x && y) return (*x > *y) - (*x < *y);
    if (a.is_string() && b.is_string()) {
        // Byte order of UTF-8 is code point order.
        const int c = a.string().compare(b.string());
        return (c > 0) - (c < 0);
    }
    if (same_kind(a, b)) {
        const auto &x = a.list()->items, &y = b.list()->items;
        for (std::size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
            if (equal(x[i], y[i])) continue;
            return compare(x[i], y[i]);
        }
        return (x.size() > y.size()) - (x.size() < y.size());
    }
    if (a.is_undefined()) return undefined_used(a);
    if (b.is_undefined()) return undefined_used(b);
    return bad("cannot order " + std::string(a.type_name()) + " and " + std::string(b.type_name()));
}

result<value> arithmetic(binary_op op, const value& a, const value& b) {
    if (a.is_undefined()) return undefined_used(a);
    if (b.is_undefined()) return undefined_used(b);
    const auto i = as_integer(a), j = as_integer(b);
    if (i && j) return integer_arithmetic(op, *i, *j);
    if (const auto x = as_number(a), y = as_number(b); x && y) return float_arithmetic(op, *x, *y);
    if (op == binary_op::add && a.is_string() && b.is_string())
        return add_strings(*a.as<text_value>(), *b.as<text_value>());
    if (op == binary_op::add && same_kind(a, b)) {
        std::vector<value> items = a.list()->items;
        items.insert(items.end(), b.list()->items.begin(), b.list()->items.end());
        return make_list(std::move(items), a.list()->kind);
    }
    if (op == binary_op::mul && j && (a.is_string() || is_plain(a))) return repeat(a, *j);
    if (op == binary_op::mul && i && (b.is_string() || is_plain(b))) return repeat(b, *i);
    return no_operator(op_names[static_cast<std::size_t>(op)], a, b);
}

result<bool> contains(const value& container, const value& item) {
    if (container.is_string()) {
        if (item.is_undefined()) return undefined_used(item);
        if (!item.is_string()) return no_operator("in", item, container);
        return container.string().find(item.string()) != std::string::npos;
    }
    if (container.dict()) {
        const bool hashable =
            !item.dict() && !(item.list() && item.list()->kind == sequence_kind::list);
        if (!hashable) return bad("a " + std::string(item.type_name()) + " cannot be a key");
        return container.dict()->find(item) != nullptr;
    }
    if (const list_value* l = container.collection()) {
        std::size_t i = l->next ? *l->next : 0;
        while (i < l->items.size() && !equal(l->items[i], item))
            ++i;
        if (l->next)
            *l->next = std::min(i + 1, l->items.size()); // a generator has been run through so far
        return i < l->items.size();
    }
    if (container.is_undefined()) return false;
    return no_operator("in", item, container);
}

result<value> get_item(const value& v, const value& key) {
    if (v.is_undefined()) return undefined_used(v);
    const auto not_there = [&] {
        std::string what = "item ";
        append_repr(what, key);
        return value::missing(what + " of a " + std::string(v.type_name()));
    };
    if (v.dict()) {
        const value* found = v.dict()->find(key);
        return found ? *found : not_there();
    }
    const auto index = as_integer(key);
    if (!index) return not_there();
    if (v.list()) {
        const auto n = static_cast<std::int64_t>(v.list()->items.size());
        const std::int64_t i = *index < 0 ? *index + n : *index;
        return i < 0 || i >= n ? not_there() : v.list()->items[static_cast<std::size_t>(i)];
    }
    if (v.is_string()) {
        const std::string_view s = v.string();
        const auto n = static_cast<std::int64_t>(count_code_points(s));
        const std::int64_t i = *index < 0 ? *index + n : *index;
        if (i < 0 || i >= n) return not_there();
        const std::size_t pos = byte_offset(s, static_cast<std::size_t>(i));
        return value(s.substr(pos, decode_at(s, pos).size));
    }
    return not_there();
}

result<value> get_slice(const value& v, const value& begin, const value& end, const value& step) {
    if (v.is_undefined()) return undefined_used(v);
    if (v.list()) {
        const auto& items = v.list()->items;
        const slice_range r =
            RLX_TRY(clamp_slice(begin, end, step, static_cast<std::int64_t>(items.size())));
        std::vector<value> out;
        for_each_index(r, [&](std::size_t i) { out.push_back(items[i]); });
        return make_list(
            std::move(out),
            v.list()->kind == sequence_kind::tuple ? sequence_kind::tuple : sequence_kind::list
        );
    }
    if (v.is_string()) {
        const std::string_view s = v.string();
        std::vector<std::uint32_t> starts;
        for (std::size_t i = 0; i < s.size(); i += decode_at(s, i).size)
            starts.push_back(static_cast<std::uint32_t>(i));
        const slice_range r =
            RLX_TRY(clamp_slice(begin, end, step, static_cast<std::int64_t>(starts.size())));
        std::string out;
        for_each_index(r, [&](std::size_t i) {
            out += s.substr(starts[i], decode_at(s, starts[i]).size);
        });
        return value(std::move(out));
    }
    return bad("a " + std::string(v.type_name()) + " cannot be sliced");
}

result<std::vector<value>> iterate(const value& v) {
    if (const list_value* l = v.collection()) {
        if (!l->next) return l->items;
        const std::size_t first = std::exchange(*l->next, l->items.size());
        return std::vector<value>(
            l->items.begin() + static_cast<std::ptrdiff_t>(first), l->items.end()
        );
    }
    std::vector<value> out;
    if (v.is_undefined()) return out;
    if (v.dict()) {
        for (const auto& item : v.dict()->items)
            out.push_back(item.first);
        return out;
    }
    if (v.is_string()) {
        const std::string_view s = v.string();
        for (std::size_t i = 0; i < s.size();) {
            const std::size_t size = decode_at(s, i).size;
            out.emplace_back(s.substr(i, size));
            i += size;
        }
        return out;
    }
    return bad("a " + std::string(v.type_name()) + " is not iterable");
}

result<std::int64_t> length_of(const value& v) {
    if (v.is_string()) return static_cast<std::int64_t>(count_code_points(v.string()));
    if (v.collection() && !v.is_generator())
        return static_cast<std::int64_t>(v.collection()->items.size());
    if (v.dict()) return static_cast<std::int64_t>(v.dict()->items.size());
    if (v.is_undefined()) return 0;
    return bad("a " + std::string(v.type_name()) + " has no length");
}

} // namespace rlx::text::jinja
