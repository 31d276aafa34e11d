// SPDX-License-Identifier: GPL-3.0-only
// Reduce, Softmax and the norms.
#include "ref.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace optest::ref {
namespace {

constexpr double inf = std::numeric_limits<double>::infinity();

// f(line) for every line of x along an axis; what f leaves in the line goes to y (same shape), or
// one number per line when y is shorter.
void along(
    const tensor& x, std::size_t axis, const std::function<void(std::vector<double>&)>& f, tensor& y
) {
    std::size_t outer = 1, inner = 1;
    for (std::size_t i = 0; i < axis; ++i)
        outer *= static_cast<std::size_t>(x.dim(i));
    for (std::size_t i = axis + 1; i < x.rank(); ++i)
        inner *= static_cast<std::size_t>(x.dim(i));
    const auto n = static_cast<std::size_t>(x.dim(axis));
    for (std::size_t o = 0; o < outer; ++o)
        for (std::size_t k = 0; k < inner; ++k) {
            std::vector<double> line(n);
            for (std::size_t i = 0; i < n; ++i)
                line[i] = x.data[(o * n + i) * inner + k];
            f(line);
            for (std::size_t i = 0; i < line.size(); ++i)
                y.data[(o * line.size() + i) * inner + k] = line[i];
        }
}

double reduced(std::int64_t kind, const std::vector<double>& line) {
    double sum = 0, squares = 0, product = 1, top = -inf, low = inf;
    for (const double v : line) {
        sum += v;
        squares += v * v;
        product *= v;
        top = std::max(top, v);
        low = std::min(low, v);
    }
    switch (kind) {
    case RLX_REDUCE_SUM: return sum;
    case RLX_REDUCE_MEAN: return line.empty() ? 0 : sum / static_cast<double>(line.size());
    case RLX_REDUCE_MAX: return top;
    case RLX_REDUCE_MIN: return low;
    case RLX_REDUCE_PROD: return product;
    case RLX_REDUCE_L2: return std::sqrt(squares);
    default: throw no_answer("Reduce kind " + std::to_string(kind));
    }
}

results reduce(const call& c) {
    const tensor& x = c.at(0);
    dims shape = x.shape;
    shape[c.axis()] = 1;
    tensor y(RLX_F32, shape);
    along(
        x, c.axis(), [&](std::vector<double>& l) { l = {reduced(c.i64(RLX_ATTR_kind), l)}; }, y
    );
    if (!c.i64(RLX_ATTR_keep))
        y.shape.erase(y.shape.begin() + static_cast<std::ptrdiff_t>(c.axis()));
    return {y};
}

void softmax_line(std::vector<double>& line) {
    // Zeros for a row of -inf, which a NaN (not equal to anything) makes it no longer.
    if (std::all_of(line.begin(), line.end(), [](double v) { return v == -inf; })) {
        std::fill(line.begin(), line.end(), 0.0);
        return;
    }
    double top = -inf, sum = 0;
    for (const double v : line)
        top = std::max(top, v);
    for (double& v : line)
        sum += v = std::exp(v - top);
    for (double& v : line)
        v /= sum;
}

results softmax(const call& c) {
    tensor y(RLX_F32, c.at(0).shape);
    along(c.at(0), c.axis(), softmax_line, y);
    return {y};
}

results rms_norm(const call& c) {
    const tensor& x = c.at(0);
    tensor y(RLX_F32, x.shape);
    const double eps = c.f64(RLX_ATTR_eps), offset = c.f64(RLX_ATTR_weight_offset);
    along(
        x,
        x.rank() - 1,
        [&](std::vector<double>& line) {
            double squares = 0;
            for (const double v : line)
                squares += v * v;
            const double scale = 1 / std::sqrt(squares / static_cast<double>(line.size()) + eps);
            for (std::size_t i = 0; i < line.size(); ++i)
                line[i] *= scale * (c.has(1) ? c.at(1).data[i] + offset : 1);
        },
        y
    );
    return {y};
}

// (x - mean) / sqrt(var + eps)
void normalise(std::vector<double>& line, double eps) {
    double mean = 0, var = 0;
    for (const double v : line)
        mean += v / static_cast<double>(line.size());
    for (const double v : line)
        var += (v - mean) * (v - mean) / static_cast<double>(line.size());
    for (double& v : line)
        v = (v - mean) / std::sqrt(var + eps);
}

results layer_norm(const call& c) {
    const tensor& x = c.at(0);
    tensor y(RLX_F32, x.shape);
    along(
        x,
        x.rank() - 1,
        [&](std::vector<double>& line) {
            normalise(line, c.f64(RLX_ATTR_eps));
            for (std::size_t i = 0; i < line.size(); ++i) {
                if (c.has(1)) line[i] *= c.at(1).data[i];
                if (c.has(2)) line[i] += c.at(2).data[i];
            }
        },
        y
    );
    return {y};
}

results group_norm(const call& c) {
    const tensor& x = c.at(0);
    tensor y(RLX_F32, x.shape);
    const auto runs = static_cast<std::size_t>(x.dim(0) * c.i64(RLX_ATTR_groups));
    const std::size_t n = runs ? x.size() / runs : 0;
    for (std::size_t r = 0; r < runs; ++r) {
        const auto first = x.data.begin() + static_cast<std::ptrdiff_t>(r * n);
        std::vector<double> line(first, first + static_cast<std::ptrdiff_t>(n));
        normalise(line, c.f64(RLX_ATTR_eps));
        std::copy(line.begin(), line.end(), y.data.begin() + static_cast<std::ptrdiff_t>(r * n));
    }
    each(y.shape, [&](const dims& at) {
        double& v = y(at);
        if (c.has(1)) v *= c.at(1)({at[1]});
        if (c.has(2)) v += c.at(2)({at[1]});
    });
    return {y};
}

} // namespace

std::vector<entry> reduce_ops() {
    return {{RLX_OP_Reduce, reduce}, {RLX_OP_Softmax, softmax}};
}

std::vector<entry> norm_ops() {
    return {
        {RLX_OP_RmsNorm, rms_norm},
        {RLX_OP_LayerNorm, layer_norm},
        {RLX_OP_GroupNorm, group_norm},
    };
}

} // namespace optest::ref
