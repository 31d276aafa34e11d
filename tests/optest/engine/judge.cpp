// SPDX-License-Identifier: GPL-3.0-only
#include "judge.hpp"

#include "../ref/ref.hpp"

#include <cmath>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace optest {
namespace {

// Below this, f32 has lost digits to denormals or may have flushed them to 0.
constexpr double smallest = 0x1p-126;

std::string where(const ref::tensor& t, std::size_t i) {
    ref::dims at(t.rank());
    for (std::size_t k = t.rank(); k-- > 0;) {
        const auto n = static_cast<std::size_t>(t.shape[k]);
        at[k] = static_cast<std::int64_t>(i % n);
        i /= n;
    }
    return fmt::format("[{}] of [{}]", fmt::join(at, ", "), fmt::join(t.shape, ", "));
}

// Numbers that no distance is for: NaN, infinities, results too large for f32.
bool special(double x) {
    return !std::isfinite(x);
}

bool same_special(double got, double want, const limit& l) {
    if (std::isnan(want)) return std::isnan(got);
    return got == want || (l.nan_for_infinity && std::isinf(want) && std::isnan(got));
}

double rms(const double* x, std::size_t n) {
    double squares = 0;
    std::size_t finite = 0;
    for (std::size_t i = 0; i < n; ++i)
        if (std::isfinite(x[i])) squares += x[i] * x[i], ++finite;
    return finite ? std::sqrt(squares / static_cast<double>(finite)) : 0;
}

} // namespace

distance judge(const ref::tensor& got, const ref::tensor& want, const limit& l, double noise) {
    distance d;
    if (got.shape != want.shape || got.dtype != want.dtype) {
        d.why = fmt::format(
            "shape [{}], expected [{}]", fmt::join(got.shape, ", "), fmt::join(want.shape, ", ")
        );
        return d;
    }
    const bool exact = ref::is_integer(want.dtype) || l.max == 0;
    std::vector<double> expected = want.data;
    for (double& v : expected)
        if (!ref::is_integer(want.dtype)) {
            const double r = ref::round_to(want.dtype, v);
            if (exact || special(r)) v = r;
        }
    const double all = rms(expected.data(), expected.size());
    const std::size_t row =
        l.element ? 1 : static_cast<std::size_t>(std::max<std::int64_t>(want.last(), 1));
    double squares = 0, differences = 0, scale = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
        if (i % row == 0) scale = std::max(rms(expected.data() + i, row), l.floor * all);
        const double g = got.data[i], w = expected[i];
        const bool odd = special(g) || special(w);
        if (odd ? !same_special(g, w, l) : exact && g != w) {
            d.why = fmt::format("{:.9g} at {}, expected {:.9g}", g, where(want, i), w);
            d.nmse = d.max = INFINITY;
            return d;
        }
        if (odd || exact) continue;
        const double e = std::abs(g - w) <= noise ? 0 : std::abs(g - w);
        squares += w * w;
        differences += e * e;
        const double off = e <= smallest ? 0 : e / std::max(scale, smallest);
        if (off > d.max) {
            d.max = off;
            if (off > l.max && d.why.empty())
                d.why = fmt::format("{:.9g} at {}, expected {:.9g}", g, where(want, i), w);
        }
    }
    if (exact) return d;
    d.nmse = squares > 0 ? differences / squares : differences > smallest ? INFINITY : 0;
    if (d.max > l.max) d.why += fmt::format("; max {:.2g} of the row, limit {:.2g}", d.max, l.max);
    if (d.nmse > l.nmse && std::sqrt(differences) > smallest)
        d.why +=
            fmt::format("{}nmse {:.2g}, limit {:.2g}", d.why.empty() ? "" : "; ", d.nmse, l.nmse);
    return d;
}

} // namespace optest
