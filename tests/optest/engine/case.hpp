// SPDX-License-Identifier: GPL-3.0-only
// One test case: an op (or a pattern of ops) with element types, named numbers and a seed. Printed
// and parsed as one line, MatMul(q4_K,f32,m=7,k=256,n=31,seed=7), which is all that a replay needs.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace optest {

// What the command line or a line of text got wrong.
struct usage {
    std::string why;
};

struct test_case {
    std::string op;
    std::vector<std::string> types;
    std::vector<std::pair<std::string, std::string>> args;
    std::uint64_t seed = 0;

    const std::string* find(std::string_view key) const;

    bool has(std::string_view key) const { return find(key) != nullptr; }

    std::int64_t num(std::string_view key, std::int64_t otherwise = 0) const;
    double real(std::string_view key, double otherwise = 0) const;
    std::string text(std::string_view key, std::string_view otherwise = {}) const;
    // "3x5x7"; "-" is the list without entries.
    std::vector<std::int64_t>
    list(std::string_view key, std::vector<std::int64_t> otherwise = {}) const;
    std::uint16_t type(std::size_t i, std::uint16_t otherwise) const;

    test_case& set(std::string_view key, std::int64_t value);
    test_case& set(std::string_view key, std::string value);

    std::string line() const;
};

std::string list_text(std::span<const std::int64_t> numbers);

// Throws usage naming what is wrong with the line.
test_case parse_case(std::string_view line);

// "q4_K" <-> RLX_Q4_K; throws usage for an unknown name.
std::uint16_t type_named(std::string_view name);
std::string type_name(std::uint16_t dtype);

// Small, fixed generator, the same on every machine.
class random_numbers {
public:
    explicit random_numbers(std::uint64_t seed)
        : state_(seed * 0x9e3779b97f4a7c15u + 0x632be59bd9b4e019u) {}

    std::uint64_t bits();

    // In [0, 1).
    double unit() { return static_cast<double>(bits() >> 11) * 0x1p-53; }

    double in(double lo, double hi) { return lo + (hi - lo) * unit(); }

    // In [0, n); 0 for n = 0.
    std::int64_t below(std::int64_t n) {
        return n > 0 ? static_cast<std::int64_t>(bits() % static_cast<std::uint64_t>(n)) : 0;
    }

private:
    std::uint64_t state_;
};

std::uint64_t hash_of(std::string_view text);

} // namespace optest
