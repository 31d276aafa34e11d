// SPDX-License-Identifier: GPL-3.0-only
#include "poly.hpp"

#include <algorithm>
#include <numeric>

namespace rlx::ir {

poly poly_constant(std::int64_t k) {
    if (k == 0) return {};
    return {term{{}, k}};
}

std::optional<std::int64_t> as_constant(const poly& p) {
    if (p.empty()) return 0;
    if (p.size() == 1 && p[0].atoms.empty()) return p[0].k;
    return std::nullopt;
}

namespace {

// Sorts, merges equal monomials and drops zeros.
std::optional<poly> normalise(poly p) {
    std::sort(p.begin(), p.end(), [](const term& a, const term& b) { return a.atoms < b.atoms; });
    poly out;
    for (term& t : p) {
        if (!out.empty() && out.back().atoms == t.atoms) {
            if (__builtin_add_overflow(out.back().k, t.k, &out.back().k)) return std::nullopt;
        } else {
            if (!out.empty() && out.back().k == 0) out.pop_back();
            out.push_back(std::move(t));
        }
    }
    if (!out.empty() && out.back().k == 0) out.pop_back();
    return out;
}

} // namespace

std::optional<poly> poly_add(const poly& a, const poly& b) {
    poly p = a;
    p.insert(p.end(), b.begin(), b.end());
    return normalise(std::move(p));
}

std::optional<poly> poly_sub(const poly& a, const poly& b) {
    poly p = a;
    for (term t : b) {
        if (__builtin_sub_overflow(std::int64_t{0}, t.k, &t.k)) return std::nullopt;
        p.push_back(std::move(t));
    }
    return normalise(std::move(p));
}

std::optional<poly> poly_mul(const poly& a, const poly& b) {
    poly p;
    for (const term& x : a) {
        for (const term& y : b) {
            term t;
            if (__builtin_mul_overflow(x.k, y.k, &t.k)) return std::nullopt;
            t.atoms.resize(x.atoms.size() + y.atoms.size());
            std::merge(
                x.atoms.begin(), x.atoms.end(), y.atoms.begin(), y.atoms.end(), t.atoms.begin()
            );
            p.push_back(std::move(t));
        }
    }
    return normalise(std::move(p));
}

std::optional<poly> poly_divide(const poly& a, const term& b) {
    poly p;
    for (const term& t : a) {
        if (b.k == 0 || t.k % b.k != 0) return std::nullopt;
        if (!std::includes(t.atoms.begin(), t.atoms.end(), b.atoms.begin(), b.atoms.end()))
            return std::nullopt;
        term q{{}, t.k / b.k};
        std::set_difference(
            t.atoms.begin(),
            t.atoms.end(),
            b.atoms.begin(),
            b.atoms.end(),
            std::back_inserter(q.atoms)
        );
        p.push_back(std::move(q));
    }
    return normalise(std::move(p));
}

poly_split poly_divide_rest(const poly& a, std::int64_t c) {
    poly_split s;
    for (const term& t : a) {
        std::int64_t q = t.k / c, r = t.k % c;
        if (r < 0) r += c, q -= 1;
        if (q != 0) s.quotient.push_back({t.atoms, q});
        if (r != 0) s.rest.push_back({t.atoms, r});
    }
    return s;
}

std::int64_t poly_content(const poly& p, std::int64_t c) {
    for (const term& t : p)
        c = std::gcd(c, t.k);
    return c;
}

} // namespace rlx::ir
