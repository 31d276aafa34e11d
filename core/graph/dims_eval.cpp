// SPDX-License-Identifier: GPL-3.0-only
// Dims in a run (numbers at given extents) and in messages (text).
#include "dims.hpp"

#include "rlx/abi/graph.h"

#include <algorithm>
#include <fmt/format.h>
#include <numeric>

namespace rlx::ir {

std::vector<dim_table::atom_value> dim_table::eval_atoms(std::span<const std::int64_t> extents
) const {
    // Operands of an atom only contain older atoms, so one pass in order is enough.
    std::vector<atom_value> v(atoms_.size());
    for (std::size_t i = 0; i < atoms_.size(); i++) {
        const atom& at = atoms_[i];
        if (at.op == 0) {
            const auto s = static_cast<std::size_t>(at.a);
            v[i] = {extents[s] / symbols_[s].multiple, true};
            continue;
        }
        const auto a = eval(at.a, v), b = eval(at.b, v);
        if (!a || !b) continue;
        switch (at.op) {
        case RLX_DIM_MIN: v[i] = {std::min(*a, *b), true}; break;
        case RLX_DIM_MAX: v[i] = {std::max(*a, *b), true}; break;
        case RLX_DIM_DIV:
            if (*b > 0 && *a % *b == 0) v[i] = {*a / *b, true};
            break;
        default:
            if (*b > 0) v[i] = {*a / *b + (*a % *b > 0), true};
        }
    }
    return v;
}

std::optional<std::int64_t> dim_table::eval(dim d, std::span<const atom_value> atoms) const {
    if (d >= 0) return d;
    std::int64_t sum = 0;
    for (const term& t : exprs_[static_cast<std::size_t>(-(d + 1))].p) {
        std::int64_t k = t.k;
        for (std::uint32_t a : t.atoms)
            if (!atoms[a].ok || __builtin_mul_overflow(k, atoms[a].v, &k)) return std::nullopt;
        if (__builtin_add_overflow(sum, k, &sum)) return std::nullopt;
    }
    return sum;
}

result<void> dim_table::evaluate(
    std::span<const std::int64_t> extents, std::span<const dim> dims, std::span<std::int64_t> out
) const {
    if (extents.size() != symbols_.size())
        return error{
            RLX_INVALID_ARGUMENT,
            fmt::format(
                "{} extents given, the graph has {} symbols", extents.size(), symbols_.size()
            )};
    const std::vector<atom_value> atoms = eval_atoms(extents);
    for (std::size_t i = 0; i < dims.size(); i++) {
        if (!valid(dims[i]))
            return error{RLX_INVALID_ARGUMENT, fmt::format("unknown dim handle {}", dims[i])};
        const auto v = eval(dims[i], atoms);
        if (!v)
            return error{
                RLX_INVALID_ARGUMENT,
                fmt::format("dim {} has no value at {}", text(dims[i]), at_extents(extents))};
        if (*v < 0)
            return error{
                RLX_INVALID_ARGUMENT,
                fmt::format("dim {} is {} at {}", text(dims[i]), *v, at_extents(extents))};
        out[i] = *v;
    }
    return {};
}

bool dim_table::holds(const guard& g, std::int64_t a, std::int64_t b) {
    switch (g.kind) {
    case guard::equal: return a == b;
    case guard::less_equal: return a <= b;
    case guard::divisible: return b > 0 && a % b == 0;
    }
    return false;
}

result<void> dim_table::check_bounds(std::span<const std::int64_t> extents) const {
    if (extents.size() != symbols_.size())
        return error{
            RLX_INVALID_ARGUMENT,
            fmt::format(
                "{} extents given, the graph has {} symbols", extents.size(), symbols_.size()
            )};
    for (std::size_t i = 0; i < symbols_.size(); i++) {
        const symbol& s = symbols_[i];
        if (extents[i] < s.min || extents[i] > s.max)
            return error{
                RLX_INVALID_ARGUMENT,
                fmt::format(
                    "extent {} = {} is outside the planned [{}, {}]",
                    s.name,
                    extents[i],
                    s.min,
                    s.max
                )};
        if (extents[i] % s.multiple != 0)
            return error{
                RLX_INVALID_ARGUMENT,
                fmt::format(
                    "extent {} = {} is not a multiple of {}", s.name, extents[i], s.multiple
                )};
    }
    return {};
}

result<void> dim_table::check(std::span<const std::int64_t> extents) const {
    RLX_CHECK(check_bounds(extents));
    if (guards_.empty()) return {};
    const std::vector<atom_value> atoms = eval_atoms(extents);
    for (const guard& g : guards_) {
        const auto a = eval(g.a, atoms), b = eval(g.b, atoms);
        if (a && b && holds(g, *a, *b)) continue;
        return error{
            RLX_INVALID_ARGUMENT, fmt::format("{}; not so at {}", g.message, at_extents(extents))};
    }
    return {};
}

std::vector<std::int64_t> dim_table::max_extents() const {
    std::vector<std::int64_t> v;
    for (const symbol& s : symbols_)
        v.push_back(s.max / s.multiple * s.multiple);
    return v;
}

std::vector<std::int64_t> dim_table::min_extents() const {
    std::vector<std::int64_t> v;
    for (const symbol& s : symbols_)
        v.push_back((s.min + s.multiple - 1) / s.multiple * s.multiple);
    return v;
}

std::string dim_table::at_extents(std::span<const std::int64_t> extents) const {
    std::string s;
    for (std::size_t i = 0; i < symbols_.size(); i++)
        s += fmt::format("{}{} = {}", i ? ", " : "", symbols_[i].name, extents[i]);
    return s;
}

std::string dim_table::text_atom(std::uint32_t index) const {
    const atom& a = atoms_[index];
    switch (a.op) {
    case 0: return symbols_[static_cast<std::size_t>(a.a)].name;
    case RLX_DIM_MIN: return fmt::format("min({}, {})", text(a.a), text(a.b));
    case RLX_DIM_MAX: return fmt::format("max({}, {})", text(a.a), text(a.b));
    case RLX_DIM_DIV: return fmt::format("div({}, {})", text(a.a), text(a.b));
    default: return fmt::format("ceil({}, {})", text(a.a), text(a.b));
    }
}

// The magnitude of a term; an atom of a symbol stands for symbol / multiple.
std::string dim_table::text(const term& t) const {
    std::int64_t num = t.k < 0 ? -t.k : t.k, den = 1;
    std::string s;
    for (std::uint32_t a : t.atoms) {
        if (atoms_[a].op == 0) den *= symbols_[static_cast<std::size_t>(atoms_[a].a)].multiple;
        s += (s.empty() ? "" : "*") + text_atom(a);
    }
    const std::int64_t g = std::gcd(num, den);
    num /= g, den /= g;
    if (s.empty()) return fmt::format("{}", num);
    if (num != 1) s = fmt::format("{}*{}", num, s);
    if (den != 1) s += fmt::format("/{}", den);
    return s;
}

std::string dim_table::text(const poly& p) const {
    if (p.empty()) return "0";
    std::string s;
    const auto put = [&](const term& t) {
        s += s.empty() ? (t.k < 0 ? "-" : "") : (t.k < 0 ? " - " : " + ");
        s += text(t);
    };
    for (const term& t : p)
        if (!t.atoms.empty()) put(t);
    if (p[0].atoms.empty()) put(p[0]);
    return s;
}

std::string dim_table::text(dim d) const {
    if (d >= 0) return fmt::format("{}", d);
    return valid(d) ? text(poly_of(d)) : fmt::format("?{}", d);
}

std::string dim_table::text(std::span<const dim> dims) const {
    std::string s = "[";
    for (std::size_t i = 0; i < dims.size(); i++)
        s += (i ? ", " : "") + text(dims[i]);
    return s + "]";
}

} // namespace rlx::ir
