// SPDX-License-Identifier: GPL-3.0-only
// Polynomials with integer coefficients over numbered atoms: the canonical form behind dim
// equality. Every operation reports 64-bit overflow instead of wrapping.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <vector>

namespace rlx::ir {

struct term {
    std::vector<std::uint32_t> atoms; // sorted, repeated for powers; empty for the constant term
    std::int64_t k = 0;               // never 0 inside a poly

    auto operator<=>(const term&) const = default;
};

// Sorted by atoms, one term per monomial; empty = 0. Equal polynomials compare equal.
using poly = std::vector<term>;

poly poly_constant(std::int64_t k);
// The value when the polynomial has no atoms.
std::optional<std::int64_t> as_constant(const poly& p);

// nullopt: a coefficient overflows.
std::optional<poly> poly_add(const poly& a, const poly& b);
std::optional<poly> poly_sub(const poly& a, const poly& b);
std::optional<poly> poly_mul(const poly& a, const poly& b);

// a / b when every term of a is a multiple of the single term b.
std::optional<poly> poly_divide(const poly& a, const term& b);

// a = c * quotient + rest with every coefficient of rest in [0, c); c > 0.
struct poly_split {
    poly quotient, rest;
};

poly_split poly_divide_rest(const poly& a, std::int64_t c);

// Greatest common divisor of c and all coefficients.
std::int64_t poly_content(const poly& p, std::int64_t c);

} // namespace rlx::ir
