// SPDX-License-Identifier: GPL-3.0-only
#include "dims.hpp"

#include "rlx/abi/graph.h"

#include <algorithm>
#include <fmt/format.h>

namespace rlx::ir {

namespace {

// No axis of anything has more elements; leaves room for products.
constexpr std::int64_t max_extent = std::int64_t{1} << 40;

std::optional<bounds> add(bounds a, bounds b) {
    bounds r;
    if (__builtin_add_overflow(a.lo, b.lo, &r.lo) || __builtin_add_overflow(a.hi, b.hi, &r.hi))
        return std::nullopt;
    return r;
}

std::optional<bounds> mul(bounds a, bounds b) {
    std::int64_t c[4];
    if (__builtin_mul_overflow(a.lo, b.lo, &c[0]) || __builtin_mul_overflow(a.lo, b.hi, &c[1]) ||
        __builtin_mul_overflow(a.hi, b.lo, &c[2]) || __builtin_mul_overflow(a.hi, b.hi, &c[3]))
        return std::nullopt;
    const auto [lo, hi] = std::minmax_element(c, c + 4);
    return bounds{*lo, *hi};
}

std::int64_t floor_div(std::int64_t a, std::int64_t b) {
    return a / b - (a % b != 0 && a < 0);
}

std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
    return a / b + (a % b != 0 && a > 0);
}

error bad(std::string message) {
    return {RLX_INVALID_ARGUMENT, std::move(message)};
}

} // namespace

result<dim> dim_table::add_symbol(
    std::string_view name, std::int64_t min, std::int64_t max, std::int64_t multiple
) {
    for (const symbol& s : symbols_)
        if (s.name == name) return s.handle;
    if (name.empty()) return bad("symbol without a name");
    if (min < 0 || max < min || max > max_extent)
        return bad(fmt::format(
            "symbol {}: bounds [{}, {}], expected 0 <= min <= max <= 2^40", name, min, max
        ));
    if (multiple < 1)
        return bad(fmt::format("symbol {}: multiple {}, expected >= 1", name, multiple));
    const bounds unit{ceil_div(min, multiple), floor_div(max, multiple)};
    if (unit.hi < unit.lo)
        return bad(fmt::format("symbol {}: no multiple of {} in [{}, {}]", name, multiple, min, max)
        );
    // The atom is symbol / multiple, so that dividing by a factor of the multiple stays a
    // polynomial.
    const auto index = static_cast<dim>(symbols_.size());
    symbols_.push_back({std::string(name), min, max, multiple, 0});
    dim handle = unit.lo * multiple;
    if (unit.lo != unit.hi) {
        const auto atom_index = static_cast<std::uint32_t>(atoms_.size());
        atoms_.push_back({0, index, 0, unit});
        auto h = intern({term{{atom_index}, multiple}}, name);
        if (!h) return std::move(h.error());
        handle = *h;
    }
    symbols_.back().handle = handle;
    return handle;
}

poly dim_table::poly_of(dim d) const {
    return d >= 0 ? poly_constant(d) : exprs_[static_cast<std::size_t>(-(d + 1))].p;
}

bounds dim_table::range(dim d) const {
    if (d >= 0) return {d, d};
    return exprs_[static_cast<std::size_t>(-(d + 1))].range;
}

std::optional<bounds> dim_table::poly_range(const poly& p) const {
    bounds sum{0, 0};
    for (const term& t : p) {
        std::optional<bounds> r = bounds{t.k, t.k};
        for (std::uint32_t a : t.atoms)
            if (r) r = ir::mul(*r, atoms_[a].range);
        if (r) r = ir::add(sum, *r);
        if (!r) return std::nullopt;
        sum = *r;
    }
    return sum;
}

// (a / b) * b = a for exact divisions by a single term, so that undoing one gives the dim back.
std::optional<poly> dim_table::rewrite(poly p) const {
    for (std::size_t i = 0; i < p.size(); i++) {
        for (std::uint32_t index : p[i].atoms) {
            const atom& d = atoms_[index];
            if (d.op != RLX_DIM_DIV) continue;
            const poly b = poly_of(d.b);
            if (b.size() != 1) continue;
            term rest{p[i].atoms, p[i].k};
            rest.atoms.erase(std::find(rest.atoms.begin(), rest.atoms.end(), index));
            const auto others = poly_divide({rest}, b[0]);
            if (!others) continue;
            const auto replaced = poly_mul(*others, poly_of(d.a));
            const auto without = poly_sub(p, {p[i]});
            if (!replaced || !without) return std::nullopt;
            auto sum = poly_add(*without, *replaced);
            if (!sum) return std::nullopt;
            return rewrite(std::move(*sum));
        }
    }
    return p;
}

result<dim> dim_table::intern(poly p, std::string_view what) {
    auto canonical = rewrite(std::move(p));
    const auto r = canonical ? poly_range(*canonical) : std::nullopt;
    if (!r) return bad(fmt::format("dim {} overflows 64 bits", what));
    if (r->hi < 0)
        return bad(fmt::format("dim {} is negative (at most {})", text(*canonical), r->hi));
    if (const auto k = as_constant(*canonical)) return *k;
    if (const auto it = by_poly_.find(*canonical); it != by_poly_.end()) return it->second;
    const dim handle = -static_cast<dim>(exprs_.size()) - 1;
    by_poly_.emplace(*canonical, handle);
    exprs_.push_back({std::move(*canonical), *r});
    return handle;
}

result<dim> dim_table::apply(std::uint32_t op, dim a, dim b) {
    if (!valid(a) || !valid(b)) return bad(fmt::format("unknown dim handle {}", valid(a) ? b : a));
    std::optional<poly> p;
    switch (op) {
    case RLX_DIM_ADD: p = poly_add(poly_of(a), poly_of(b)); break;
    case RLX_DIM_SUB: p = poly_sub(poly_of(a), poly_of(b)); break;
    case RLX_DIM_MUL: p = poly_mul(poly_of(a), poly_of(b)); break;
    case RLX_DIM_DIV:
    case RLX_DIM_CEIL_DIV: return divide(op, a, b);
    case RLX_DIM_MIN:
    case RLX_DIM_MAX: return min_max(op, a, b);
    default: return bad(fmt::format("unknown dim operation {}", op));
    }
    const char* sign = op == RLX_DIM_ADD ? "+" : op == RLX_DIM_SUB ? "-" : "*";
    const std::string what = fmt::format("({}) {} ({})", text(a), sign, text(b));
    if (!p) return bad(fmt::format("dim {} overflows 64 bits", what));
    return intern(std::move(*p), what);
}

result<dim> dim_table::add(dim a, dim b) {
    return apply(RLX_DIM_ADD, a, b);
}

result<dim> dim_table::sub(dim a, dim b) {
    return apply(RLX_DIM_SUB, a, b);
}

result<dim> dim_table::mul(dim a, dim b) {
    return apply(RLX_DIM_MUL, a, b);
}

result<dim> dim_table::product(std::span<const dim> dims) {
    dim p = 1;
    for (dim d : dims)
        p = RLX_TRY(mul(p, d));
    return p;
}

result<dim> dim_table::intern_atom(std::uint32_t op, dim a, dim b, bounds r) {
    const auto key = std::tuple(op, a, b);
    if (const auto it = by_atom_.find(key); it != by_atom_.end()) return it->second;
    const auto index = static_cast<std::uint32_t>(atoms_.size());
    atoms_.push_back({op, a, b, r});
    const dim handle = RLX_TRY(intern({term{{index}, 1}}, "quotient"));
    by_atom_.emplace(key, handle);
    return handle;
}

result<dim> dim_table::divide(std::uint32_t op, dim a, dim b) {
    if (range(b).hi <= 0) return bad(fmt::format("dim {} divided by {}", text(a), text(b)));
    if (a == b) return dim{1};
    const poly pa = poly_of(a), pb = poly_of(b);
    if (pb.size() == 1)
        if (auto q = poly_divide(pa, pb[0])) return intern(std::move(*q), "quotient");
    if (b < 0) return opaque_divide(op, a, b);
    if (a >= 0) {
        if (op == RLX_DIM_DIV && a % b != 0)
            return bad(fmt::format("dim {} is not divisible by {}", a, b));
        return ceil_div(a, b);
    }
    // a = b * q + r: q leaves the quotient, and what r and b share is cancelled.
    auto [quotient, rest] = poly_divide_rest(pa, b);
    const std::int64_t g = poly_content(rest, b);
    dim r = RLX_TRY(intern(*poly_divide(rest, {{}, g}), "rest"));
    dim inner = 0;
    if (r >= 0 && op == RLX_DIM_DIV) // only a constant is left over: never exact
        return bad(fmt::format("dim {} is not divisible by {}", text(a), b));
    if (r >= 0)
        inner = ceil_div(r, b / g);
    else
        inner = RLX_TRY(opaque_divide(op, r, b / g));
    const auto sum = poly_add(quotient, poly_of(inner));
    if (!sum) return bad(fmt::format("dim {} / {} overflows 64 bits", text(a), text(b)));
    return intern(*sum, "quotient");
}

result<dim> dim_table::opaque_divide(std::uint32_t op, dim a, dim b) {
    const bounds x = range(a), y{std::max<std::int64_t>(range(b).lo, 1), range(b).hi};
    const auto up = op == RLX_DIM_DIV ? floor_div : ceil_div;
    const bounds r{
        std::min(ceil_div(x.lo, y.lo), ceil_div(x.lo, y.hi)),
        std::max(up(x.hi, y.lo), up(x.hi, y.hi))};
    if (r.hi < r.lo) return bad(fmt::format("dim {} is never divisible by {}", text(a), text(b)));
    if (op == RLX_DIM_DIV)
        RLX_CHECK(require(
            {guard::divisible, a, b, fmt::format("{} must be divisible by {}", text(a), text(b))}
        ));
    return intern_atom(op, a, b, r);
}

result<dim> dim_table::min_max(std::uint32_t op, dim a, dim b) {
    if (less_equal(a, b) == answer::yes) return op == RLX_DIM_MIN ? a : b;
    if (less_equal(b, a) == answer::yes) return op == RLX_DIM_MIN ? b : a;
    if (a > b) std::swap(a, b);
    const bounds x = range(a), y = range(b);
    const bounds r = op == RLX_DIM_MIN ? bounds{std::min(x.lo, y.lo), std::min(x.hi, y.hi)}
                                       : bounds{std::max(x.lo, y.lo), std::max(x.hi, y.hi)};
    return intern_atom(op, a, b, r);
}

answer dim_table::equal(dim a, dim b) const {
    if (a == b) return answer::yes;
    auto d = poly_sub(poly_of(a), poly_of(b));
    // What all terms share can only make both sides 0: 32 T and 36 T count as different although T
    // may be 0.
    if (d && !d->empty()) {
        std::vector<std::uint32_t> shared = (*d)[0].atoms, both;
        for (const term& t : *d) {
            both.clear();
            std::set_intersection(
                shared.begin(),
                shared.end(),
                t.atoms.begin(),
                t.atoms.end(),
                std::back_inserter(both)
            );
            shared = both;
        }
        d = poly_divide(*d, {shared, 1});
    }
    const auto r = d ? poly_range(*d) : std::nullopt;
    if (r && (r->lo > 0 || r->hi < 0)) return answer::no;
    // Equal modulo g only when the constant is a multiple of what the coefficients share.
    if (d && !d->empty() && (*d)[0].atoms.empty()) {
        const poly rest(d->begin() + 1, d->end());
        const std::int64_t g = poly_content(rest, 0);
        if (g != 0 && (*d)[0].k % g != 0) return answer::no;
    }
    return answer::maybe;
}

answer dim_table::less_equal(dim a, dim b) const {
    if (a == b) return answer::yes;
    const auto d = poly_sub(poly_of(b), poly_of(a));
    const auto r = d ? poly_range(*d) : std::nullopt;
    if (!r) return answer::maybe;
    if (r->lo >= 0) return answer::yes;
    return r->hi < 0 ? answer::no : answer::maybe;
}

result<void> dim_table::require(guard g) {
    answer known = answer::maybe;
    if (g.kind == guard::equal) known = equal(g.a, g.b);
    if (g.kind == guard::less_equal) known = less_equal(g.a, g.b);
    if (known == answer::yes) return {};
    if (known == answer::no) return bad(std::move(g.message));
    for (const guard& old : guards_)
        if (old.kind == g.kind && old.a == g.a && old.b == g.b) return {};
    guards_.push_back(std::move(g));
    return {};
}

} // namespace rlx::ir
