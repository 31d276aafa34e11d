// SPDX-License-Identifier: GPL-3.0-only
#include "case.hpp"

#include "rlx/abi/dtype.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>

namespace optest {
namespace {

constexpr std::pair<std::string_view, std::uint16_t> type_names[] = {
    {"f32", RLX_F32},   {"f16", RLX_F16},   {"bf16", RLX_BF16},       {"f64", RLX_F64},
    {"q4_0", RLX_Q4_0}, {"q4_1", RLX_Q4_1}, {"q5_0", RLX_Q5_0},       {"q5_1", RLX_Q5_1},
    {"q8_0", RLX_Q8_0}, {"q2_K", RLX_Q2_K}, {"q3_K", RLX_Q3_K},       {"q4_K", RLX_Q4_K},
    {"q5_K", RLX_Q5_K}, {"q6_K", RLX_Q6_K}, {"iq4_nl", RLX_IQ4_NL},   {"iq4_xs", RLX_IQ4_XS},
    {"i8", RLX_I8},     {"i16", RLX_I16},   {"i32", RLX_I32},         {"i64", RLX_I64},
    {"u8", RLX_U8},     {"bool", RLX_BOOL}, {"f8_e4m3", RLX_F8_E4M3}, {"f8_e5m2", RLX_F8_E5M2}};

template <class T>
T number(std::string_view key, std::string_view text) {
    T v{};
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), v);
    if (code != std::errc{} || end != text.data() + text.size())
        throw usage{fmt::format("'{}={}': expected a number", key, text)};
    return v;
}

std::vector<std::string_view> split(std::string_view text, char by) {
    std::vector<std::string_view> out;
    for (std::size_t at = 0, end; at <= text.size(); at = end + 1) {
        end = std::min(text.find(by, at), text.size());
        out.push_back(text.substr(at, end - at));
    }
    return out;
}

} // namespace

const std::string* test_case::find(std::string_view key) const {
    for (const auto& [k, v] : args)
        if (k == key) return &v;
    return nullptr;
}

std::int64_t test_case::num(std::string_view key, std::int64_t otherwise) const {
    const std::string* v = find(key);
    return v ? number<std::int64_t>(key, *v) : otherwise;
}

double test_case::real(std::string_view key, double otherwise) const {
    const std::string* v = find(key);
    return v ? number<double>(key, *v) : otherwise;
}

std::string test_case::text(std::string_view key, std::string_view otherwise) const {
    const std::string* v = find(key);
    return v ? *v : std::string(otherwise);
}

std::vector<std::int64_t>
test_case::list(std::string_view key, std::vector<std::int64_t> otherwise) const {
    const std::string* v = find(key);
    if (!v) return otherwise;
    std::vector<std::int64_t> out;
    if (*v == "-") return out;
    for (const auto part : split(*v, 'x'))
        out.push_back(number<std::int64_t>(key, part));
    return out;
}

std::uint16_t test_case::type(std::size_t i, std::uint16_t otherwise) const {
    return i < types.size() ? type_named(types[i]) : otherwise;
}

test_case& test_case::set(std::string_view key, std::string value) {
    for (auto& [k, v] : args)
        if (k == key) {
            v = std::move(value);
            return *this;
        }
    args.emplace_back(key, std::move(value));
    return *this;
}

test_case& test_case::set(std::string_view key, std::int64_t value) {
    return set(key, std::to_string(value));
}

std::string test_case::line() const {
    std::string out = op + "(";
    for (const auto& t : types)
        out += t + ",";
    for (const auto& [k, v] : args)
        out += k + "=" + v + ",";
    return out + fmt::format("seed={})", seed);
}

std::string list_text(std::span<const std::int64_t> numbers) {
    return numbers.empty() ? "-" : fmt::format("{}", fmt::join(numbers, "x"));
}

test_case parse_case(std::string_view line) {
    const std::size_t open = line.find('(');
    if (open == line.npos || open == 0 || line.back() != ')')
        throw usage{
            fmt::format("'{}' is no case: expected Op(type,..,name=value,..,seed=N)", line)};
    test_case c;
    c.op = line.substr(0, open);
    const std::string_view inside = line.substr(open + 1, line.size() - open - 2);
    if (inside.empty()) return c;
    for (const auto part : split(inside, ',')) {
        const std::size_t equals = part.find('=');
        if (equals == part.npos) {
            (void)type_named(part);
            c.types.emplace_back(part);
        } else if (part.substr(0, equals) == "seed") {
            c.seed = number<std::uint64_t>("seed", part.substr(equals + 1));
        } else {
            c.set(part.substr(0, equals), std::string(part.substr(equals + 1)));
        }
    }
    return c;
}

std::uint16_t type_named(std::string_view name) {
    for (const auto& [text, id] : type_names)
        if (text == name) return id;
    throw usage{fmt::format("'{}' is no element type (f32, f16, q4_K, i32, ...)", name)};
}

std::string type_name(std::uint16_t dtype) {
    for (const auto& [text, id] : type_names)
        if (id == dtype) return std::string(text);
    return fmt::format("type {}", dtype);
}

std::uint64_t random_numbers::bits() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

std::uint64_t hash_of(std::string_view text) {
    std::uint64_t h = 0xcbf29ce484222325u;
    for (const char c : text)
        h = (h ^ static_cast<std::uint8_t>(c)) * 0x100000001b3u;
    return h;
}

} // namespace optest
