// SPDX-License-Identifier: GPL-3.0-only
#include "rlx/vision.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

namespace rlx {
namespace {

constexpr std::size_t colours = 3;
constexpr int most_rounds = 200;

// Rows minus their mean, in double.
struct centred {
    std::vector<double> values; // [rows, width]
    std::size_t rows, width;

    centred(std::span<const float> x, std::size_t w)
        : values(x.begin(), x.end()), rows(x.size() / w), width(w) {
        std::vector<double> mean(width);
        for (std::size_t i = 0; i < values.size(); ++i)
            mean[i % width] += values[i] / static_cast<double>(rows);
        for (std::size_t i = 0; i < values.size(); ++i)
            values[i] -= mean[i % width];
    }

    // [rows]: each row times v [width]
    std::vector<double> times(std::span<const double> v) const {
        std::vector<double> out(rows);
        for (std::size_t r = 0; r < rows; ++r)
            out[r] = std::inner_product(v.begin(), v.end(), values.begin() + offset(r), 0.0);
        return out;
    }

    // [width]: the rows' sum, weighted by u [rows]
    std::vector<double> transposed_times(std::span<const double> u) const {
        std::vector<double> out(width);
        for (std::size_t r = 0; r < rows; ++r)
            for (std::size_t i = 0; i < width; ++i)
                out[i] += u[r] * values[r * width + i];
        return out;
    }

    std::ptrdiff_t offset(std::size_t row) const {
        return static_cast<std::ptrdiff_t>(row * width);
    }
};

double dot(std::span<const double> a, std::span<const double> b) {
    return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

// Takes out of v what lies along the axes found before; false when nothing is left.
bool make_unit(std::vector<double>& v, std::span<const std::vector<double>> axes) {
    for (const auto& axis : axes) {
        const double along = dot(v, axis);
        for (std::size_t i = 0; i < v.size(); ++i)
            v[i] -= along * axis[i];
    }
    const double length = std::sqrt(dot(v, v));
    if (!(length > 1e-12)) return false;
    for (double& x : v)
        x /= length;
    return true;
}

// The axis of most variance that is at right angles to those before, by power iteration. Empty when
// there is no variance left.
std::vector<double> next_axis(const centred& x, std::span<const std::vector<double>> axes) {
    constexpr double close_enough = 1e-9;
    std::vector<double> v(x.width);
    for (std::size_t i = 0; i < v.size(); ++i) // any start with a part along the axis
        v[i] = std::cos(static_cast<double>(i * (axes.size() + 1)));
    if (!make_unit(v, axes)) return {};
    for (int round = 0; round < most_rounds; ++round) {
        std::vector<double> next = x.transposed_times(x.times(v));
        if (!make_unit(next, axes)) return {};
        const double same = std::abs(dot(next, v));
        v = std::move(next);
        if (1 - same < close_enough) break;
    }
    // An axis has no direction of its own: the largest part is positive, so pictures repeat.
    const auto largest = std::ranges::max_element(v, {}, [](double d) { return std::abs(d); });
    if (*largest < 0)
        for (double& d : v)
            d = -d;
    return v;
}

// The scores along one axis as 0..255, the least and the largest of them at the ends.
std::vector<std::uint8_t> shades(std::span<const double> scores) {
    const auto [low, high] = std::ranges::minmax_element(scores);
    std::vector<std::uint8_t> out;
    for (const double s : scores)
        out.push_back(static_cast<std::uint8_t>(std::lround((s - *low) / (*high - *low) * 255)));
    return out;
}

} // namespace

result<image>
feature_picture(std::span<const float> rows, std::int64_t width, extent grid, int scale) {
    const auto n = static_cast<std::size_t>(std::max(grid.height, 0)) *
                   static_cast<std::size_t>(std::max(grid.width, 0));
    if (n < 1 || width < 1 || scale < 1 || rows.size() != n * static_cast<std::size_t>(width))
        return error{
            RLX_INVALID_ARGUMENT,
            fmt::format(
                "{} numbers are not {} x {} rows of {}", rows.size(), grid.height, grid.width, width
            )};
    const centred x(rows, static_cast<std::size_t>(width));
    std::vector<std::vector<double>> axes;
    std::array<std::vector<std::uint8_t>, colours> planes;
    planes.fill(std::vector<std::uint8_t>(n, 128)); // grey where there are fewer axes than colours
    double most = 0;
    for (auto& plane : planes) {
        std::vector<double> axis = next_axis(x, axes);
        if (axis.empty()) break;
        const std::vector<double> scores = x.times(axis);
        const double variance = dot(scores, scores);
        most = std::max(most, variance);
        constexpr double rounding = 1e-20; // of the squares; what is below is no structure
        if (!(variance > rounding * most * static_cast<double>(n))) break;
        plane = shades(scores);
        axes.push_back(std::move(axis));
    }
    image out{grid.height * scale, grid.width * scale, static_cast<int>(colours), {}};
    for (int row = 0; row < out.height; ++row)
        for (int column = 0; column < out.width; ++column) {
            const auto at = static_cast<std::size_t>(row / scale * grid.width + column / scale);
            for (const auto& plane : planes)
                out.pixels.push_back(plane[at]);
        }
    return out;
}

} // namespace rlx
