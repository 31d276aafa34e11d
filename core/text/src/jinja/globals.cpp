// SPDX-License-Identifier: GPL-3.0-only
// Functions that every template may call.
#include "jinja/interpreter.hpp"
#include "jinja/lexer.hpp"

#include <array>
#include <clocale>
#include <locale.h>

namespace rlx::text::jinja {
namespace {

using function = result<value> (*)(interpreter&, const call_args&);

constexpr std::int64_t max_range = 100'000;

result<value> range(interpreter& in, const call_args& args) {
    const bound_args b = RLX_TRY(bound_args::bind(args, {"start", "stop", "step"}));
    if (!b.get(0)) return error{RLX_INVALID_ARGUMENT, "one argument is needed"};
    std::int64_t first = RLX_TRY(b.integer(0, 0)), last = RLX_TRY(b.integer(1, 0));
    const std::int64_t step = RLX_TRY(b.integer(2, 1));
    if (!b.get(1)) last = std::exchange(first, 0);
    if (step == 0) return error{RLX_INVALID_ARGUMENT, "the step is zero"};
    std::vector<value> out;
    for (std::int64_t i = first; step > 0 ? i < last : i > last;) {
        if (static_cast<std::int64_t>(out.size()) >= max_range)
            return error{
                RLX_INVALID_ARGUMENT, "a range is longer than " + std::to_string(max_range)};
        out.emplace_back(i);
        if (__builtin_add_overflow(i, step, &i)) break;
    }
    RLX_CHECK(in.charge(out.size()));
    std::string name = "range(" + std::to_string(first) + ", " + std::to_string(last);
    if (step != 1) name += ", " + std::to_string(step);
    return make_list(std::move(out), sequence_kind::range, name + ")");
}

// namespace({..}, a=1) and dict({..}, a=1): an optional mapping, then keywords.
result<std::vector<std::pair<std::string, value>>> named_items(const call_args& args) {
    std::vector<std::pair<std::string, value>> out;
    if (args.positional.size() > 1)
        return error{RLX_INVALID_ARGUMENT, "at most one positional argument is taken"};
    if (!args.positional.empty()) {
        const dict_value* d = args.positional[0].dict();
        if (!d)
            return error{
                RLX_UNSUPPORTED,
                "a " + std::string(args.positional[0].type_name()) +
                    " as the argument is not supported, only a mapping is"};
        for (const auto& [k, v] : d->items) {
            if (!k.is_string())
                return error{RLX_UNSUPPORTED, "keys that are no strings are not supported"};
            out.emplace_back(k.string(), v);
        }
    }
    for (const auto& [k, v] : args.keywords) {
        std::erase_if(out, [&](const auto& item) { return item.first == k; });
        out.emplace_back(k, v);
    }
    return out;
}

result<value> make_namespace(interpreter& in, const call_args& args) {
    return in.new_namespace(RLX_TRY(named_items(args)));
}

result<value> make_dict_function(interpreter&, const call_args& args) {
    dict_value d;
    for (auto& [k, v] : RLX_TRY(named_items(args)))
        d.items.emplace_back(value(k), v);
    return make_dict(std::move(d));
}

result<value> raise_exception(interpreter&, const call_args& args) {
    const bound_args b = RLX_TRY(bound_args::bind(args, {"message"}));
    return error{
        RLX_INVALID_ARGUMENT,
        "the template refuses these messages: " + (b.get(0) ? to_text(*b.get(0)) : std::string())};
}

// The clock has neither a time zone nor microseconds.
std::string without_zone(std::string_view format) {
    std::string out;
    for (std::size_t i = 0; i < format.size(); ++i) {
        if (format[i] == '%' && i + 1 < format.size()) {
            const char c = format[++i];
            if (c == 'f')
                out += "000000";
            else if (c != 'z' && c != 'Z')
                (out += '%') += c;
        } else {
            out += format[i];
        }
    }
    return out;
}

result<value> strftime_now(interpreter& in, const call_args& args) {
    const bound_args b = RLX_TRY(bound_args::bind(args, {"format"}));
    if (!b.get(0)) return error{RLX_INVALID_ARGUMENT, "a format is needed"};
    const std::string format = without_zone(RLX_TRY(b.text(0, "")));
    if (format.empty()) return value(std::string());
    std::array<char, 1024> buffer;
    const locale_t c_locale = newlocale(LC_ALL_MASK, "C", nullptr);
    if (!c_locale) return error{RLX_OUT_OF_MEMORY, "no memory for a locale"};
    const std::size_t n =
        strftime_l(buffer.data(), buffer.size(), format.c_str(), &in.now(), c_locale);
    freelocale(c_locale);
    if (n == 0)
        return error{
            RLX_UNSUPPORTED,
            "the date format \"" + format + "\" gives no text or more than 1023 bytes"};
    return value(std::string(buffer.data(), n));
}

struct row {
    std::string_view name;
    function f;
};

constexpr row rows[] = {
    {"range", range},
    {"namespace", make_namespace},
    {"dict", make_dict_function},
    {"raise_exception", raise_exception},
    {"strftime_now", strftime_now},
};

} // namespace

result<value> find_global(std::string_view name) {
    if (name == "lipsum" || name == "cycler" || name == "joiner")
        return error{
            RLX_UNSUPPORTED, "the function \"" + std::string(name) + "\" is not supported"};
    for (const row& r : rows) {
        if (r.name != name) continue;
        auto c = std::make_shared<callable_value>();
        c->name = r.name;
        c->call = [f = r.f](interpreter& in, const call_args& args) { return f(in, args); };
        return value(std::shared_ptr<const callable_value>(std::move(c)));
    }
    return value();
}

} // namespace rlx::text::jinja
