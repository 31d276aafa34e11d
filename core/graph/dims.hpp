// SPDX-License-Identifier: GPL-3.0-only
// Dim handles: what a shape is made of. A handle >= 0 is that number; a handle < 0 names an
// expression over symbols. Handles are canonical: two handles are equal iff their expressions are
// the same polynomial.
#pragma once

#include "poly.hpp"
#include "rlx/base/result.hpp"

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <tuple>

namespace rlx::ir {

using dim = std::int64_t;

// Every value of an expression lies in [lo, hi] (not tight when a symbol occurs in several terms).
struct bounds {
    std::int64_t lo = 0, hi = 0;
};

struct symbol {
    std::string name;
    std::int64_t min, max, multiple;
    dim handle;
};

enum class answer { no, yes, maybe };

// A condition that could not be decided while building; checked for the extents of each run.
struct guard {
    enum kind_t { equal, less_equal, divisible } kind;

    dim a, b;
    std::string message;
};

// [one thread while building], const members [any thread].
class dim_table {
public:
    // The same name again returns the same dim, whatever the bounds.
    result<dim>
    add_symbol(std::string_view name, std::int64_t min, std::int64_t max, std::int64_t multiple);
    // op: RLX_DIM_*.
    result<dim> apply(std::uint32_t op, dim a, dim b);
    result<dim> add(dim a, dim b);
    result<dim> sub(dim a, dim b);
    result<dim> mul(dim a, dim b);
    result<dim> product(std::span<const dim> dims);

    bool valid(dim d) const { return d >= 0 || static_cast<std::size_t>(-(d + 1)) < exprs_.size(); }

    bounds range(dim d) const;
    answer equal(dim a, dim b) const;
    answer less_equal(dim a, dim b) const;

    std::string text(dim d) const;
    std::string text(std::span<const dim> dims) const; // "[T, 9, 64]"

    // Passes when proved, fails when impossible, else becomes a guard with this message. [building]
    result<void> require(guard g);

    std::span<const guard> guards() const { return guards_; }

    std::span<const symbol> symbols() const { return symbols_; }

    // Bounds and multiples of the symbols; the error names the symbol.
    result<void> check_bounds(std::span<const std::int64_t> extents) const;
    // The same, then the guards.
    result<void> check(std::span<const std::int64_t> extents) const;
    // Numbers for dims. A negative, inexact or overflowing one is an error naming the expression.
    result<void> evaluate(
        std::span<const std::int64_t> extents,
        std::span<const dim> dims,
        std::span<std::int64_t> out
    ) const;
    std::vector<std::int64_t> max_extents() const;
    std::vector<std::int64_t> min_extents() const;

private:
    // A symbol divided by its multiple, or an operation that is not a polynomial.
    struct atom {
        std::uint32_t op; // RLX_DIM_DIV, _CEIL_DIV, _MIN, _MAX; 0 = symbol
        dim a, b;         // operands; a = symbol index for symbols
        bounds range;
    };

    struct expr {
        poly p;
        bounds range;
    };

    struct atom_value {
        std::int64_t v = 0;
        bool ok = false;
    };

    poly poly_of(dim d) const;
    std::optional<bounds> poly_range(const poly& p) const;
    std::optional<poly> rewrite(poly p) const;
    result<dim> intern(poly p, std::string_view what);
    result<dim> intern_atom(std::uint32_t op, dim a, dim b, bounds range);
    result<dim> divide(std::uint32_t op, dim a, dim b);
    result<dim> opaque_divide(std::uint32_t op, dim a, dim b);
    result<dim> min_max(std::uint32_t op, dim a, dim b);
    std::string text(const poly& p) const;
    std::string text(const term& t) const;
    std::string text_atom(std::uint32_t index) const;
    std::vector<atom_value> eval_atoms(std::span<const std::int64_t> extents) const;
    std::optional<std::int64_t> eval(dim d, std::span<const atom_value> atoms) const;
    std::string at_extents(std::span<const std::int64_t> extents) const;
    static bool holds(const guard& g, std::int64_t a, std::int64_t b);

    std::vector<symbol> symbols_;
    std::vector<atom> atoms_;
    std::vector<expr> exprs_;
    std::map<poly, dim> by_poly_;
    std::map<std::tuple<std::uint32_t, dim, dim>, dim> by_atom_;
    std::vector<guard> guards_;
};

} // namespace rlx::ir
