// SPDX-License-Identifier: GPL-3.0-only
// json.dumps as Python writes it.
#include "jinja/value.hpp"

#include "unicode/utf8.hpp"

#include <algorithm>
#include <cmath>

namespace rlx::text::jinja {
namespace {

void append_unit(std::string& out, std::uint32_t unit) {
    constexpr const char* digits = "0123456789abcdef";
    out += "\\u";
    for (int shift = 12; shift >= 0; shift -= 4)
        out += digits[(unit >> shift) & 15];
}

void append_string(std::string& out, std::string_view s, bool ascii) {
    out += '"';
    for (std::size_t i = 0; i < s.size();) {
        const code_point c = decode_at(s, i);
        switch (c.value) {
        case '"': out += "\\\""; break;
        case '\\': out += "\\\\"; break;
        case '\n': out += "\\n"; break;
        case '\r': out += "\\r"; break;
        case '\t': out += "\\t"; break;
        case '\b': out += "\\b"; break;
        case '\f': out += "\\f"; break;
        default:
            if (c.value < 0x20 || (ascii && c.value > 0x7E && c.value < 0x10000)) {
                append_unit(out, c.value);
            } else if (ascii && c.value >= 0x10000) {
                append_unit(out, 0xD800 + ((c.value - 0x10000) >> 10));
                append_unit(out, 0xDC00 + ((c.value - 0x10000) & 0x3FF));
            } else {
                out += s.substr(i, c.size);
            }
        }
        i += c.size;
    }
    out += '"';
}

class writer {
public:
    writer(const json_style& style) : style_(style) {}

    result<void> write(const value& v) {
        if (out.size() > max_bytes)
            return error{RLX_INVALID_ARGUMENT, "tojson gives more than 16 MiB"};
        if (v.is_string())
            append_string(out, v.string(), style_.ascii);
        else if (v.is_none())
            out += "null";
        else if (const bool* b = v.as<bool>())
            out += *b ? "true" : "false";
        else if (const auto* i = v.as<std::int64_t>())
            out += std::to_string(*i);
        else if (const auto* d = v.as<double>())
            out += number(*d);
        else if (v.list() && v.list()->kind != sequence_kind::range)
            return write_list(*v.list());
        else if (v.dict())
            return write_dict(*v.dict());
        else
            return error{
                RLX_INVALID_ARGUMENT,
                "a value of type " + std::string(v.type_name()) + " has no JSON form"};
        return {};
    }

    std::string out;

private:
    static constexpr std::size_t max_bytes = std::size_t{16} << 20;

    static std::string number(double d) {
        if (std::isnan(d)) return "NaN";
        if (std::isinf(d)) return d < 0 ? "-Infinity" : "Infinity";
        return float_text(d);
    }

    void new_line() {
        if (!style_.indent) return;
        out += '\n';
        for (std::size_t i = 0; i < level_; ++i)
            out += *style_.indent;
    }

    // With an indent the separator's trailing space is dropped by the default style; callers set
    // that.
    void separator(bool first) {
        if (!first) out += style_.item_separator;
        new_line();
    }

    result<void> write_list(const list_value& l) {
        if (l.items.empty()) {
            out += "[]";
            return {};
        }
        out += '[';
        ++level_;
        for (std::size_t i = 0; i < l.items.size(); ++i) {
            separator(i == 0);
            RLX_CHECK(write(l.items[i]));
        }
        --level_;
        new_line();
        out += ']';
        return {};
    }

    result<std::string> key_text(const value& k) const {
        if (k.is_string()) return k.string();
        if (k.is_none()) return std::string("null");
        if (const bool* b = k.as<bool>()) return std::string(*b ? "true" : "false");
        if (const auto* i = k.as<std::int64_t>()) return std::to_string(*i);
        if (const auto* d = k.as<double>()) return number(*d);
        return error{
            RLX_INVALID_ARGUMENT,
            "a key of type " + std::string(k.type_name()) + " has no JSON form"};
    }

    result<void> write_dict(const dict_value& d) {
        if (d.items.empty()) {
            out += "{}";
            return {};
        }
        std::vector<std::pair<std::string, const value*>> items;
        for (const auto& [k, v] : d.items)
            items.emplace_back(RLX_TRY(key_text(k)), &v);
        if (style_.sort_keys)
            std::stable_sort(items.begin(), items.end(), [](auto& a, auto& b) {
                return a.first < b.first;
            });
        out += '{';
        ++level_;
        bool first = true;
        for (const auto& [k, v] : items) {
            separator(std::exchange(first, false));
            append_string(out, k, style_.ascii);
            out += style_.key_separator;
            RLX_CHECK(write(*v));
        }
        --level_;
        new_line();
        out += '}';
        return {};
    }

    const json_style& style_;
    std::size_t level_ = 0;
};

} // namespace

result<std::string> to_json(const value& v, const json_style& style) {
    writer w(style);
    RLX_CHECK(w.write(v));
    return std::move(w.out);
}

} // namespace rlx::text::jinja
