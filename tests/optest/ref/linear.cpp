// SPDX-License-Identifier: GPL-3.0-only
// MatMul, GroupedMatMul, MoeRoute, MoeCombine, BatchMatMul.
#include "ref.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace optest::ref {
namespace {

double dot(const double* a, const double* b, std::size_t n) {
    double sum = 0;
    for (std::size_t i = 0; i < n; ++i)
        sum += a[i] * b[i];
    return sum;
}

results matmul(const call& c) {
    const tensor &x = c.at(0), &w = c.at(1);
    const auto in = static_cast<std::size_t>(x.last()), out = static_cast<std::size_t>(w.dim(0));
    dims shape = x.shape;
    shape.back() = w.dim(0);
    tensor y(RLX_F32, shape);
    for (std::size_t r = 0; r < x.rows(); ++r)
        for (std::size_t o = 0; o < out; ++o)
            y.data[r * out + o] = dot(x.data.data() + r * in, w.data.data() + o * in, in) +
                                  (c.has(2) ? c.at(2).data[o] : 0);
    return {y};
}

results grouped_matmul(const call& c) {
    const tensor &x = c.at(0), &w = c.at(1), &ids = c.at(2);
    const auto t = static_cast<std::size_t>(ids.dim(0)), k = static_cast<std::size_t>(ids.dim(1));
    const auto in = static_cast<std::size_t>(x.last()), out = static_cast<std::size_t>(w.dim(1));
    tensor y(RLX_F32, {ids.dim(0), ids.dim(1), w.dim(1)});
    for (std::size_t r = 0; r < t * k; ++r) {
        const double id = ids.data[r];
        if (id < 0 || id >= static_cast<double>(w.dim(0)))
            throw bad_input("GroupedMatMul: no such expert");
        const double* row = x.data.data() + (x.rank() == 3 ? r : r / k) * in;
        const double* expert = w.data.data() + static_cast<std::size_t>(id) * out * in;
        for (std::size_t o = 0; o < out; ++o)
            y.data[r * out + o] = dot(row, expert + o * in, in);
    }
    return {y};
}

results moe_route(const call& c) {
    const tensor& x = c.at(0);
    const auto n = static_cast<std::size_t>(x.dim(1));
    const auto k = static_cast<std::size_t>(c.i64(RLX_ATTR_k));
    const double scale = c.f64(RLX_ATTR_scale, 1);
    tensor weights(RLX_F32, {x.dim(0), c.i64(RLX_ATTR_k)}), ids(RLX_I32, weights.shape);
    for (std::size_t t = 0; t < static_cast<std::size_t>(x.dim(0)); ++t) {
        const double* row = x.data.data() + t * n;
        constexpr double inf = std::numeric_limits<double>::infinity();
        double top = -inf, sum = 0;
        std::vector<double> p(n);
        for (std::size_t i = 0; i < n; ++i)
            top = std::max(top, row[i]);
        if (!std::all_of(row, row + n, [](double v) { return v == -inf; })) {
            for (std::size_t i = 0; i < n; ++i)
                sum += p[i] = std::exp(row[i] - top);
            for (double& v : p)
                v /= sum;
        }
        std::vector<std::size_t> order(n);
        std::iota(order.begin(), order.end(), 0);
        // A row of NaN, which compares with nothing, stays in its order.
        std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return p[a] > p[b]; });
        double chosen = 0;
        for (std::size_t i = 0; i < k; ++i)
            chosen += p[order[i]];
        for (std::size_t i = 0; i < k; ++i) {
            double v = p[order[i]];
            if (c.i64(RLX_ATTR_normalise)) v = chosen == 0 ? 0 : v / chosen;
            weights.data[t * k + i] = v * scale;
            ids.data[t * k + i] = static_cast<double>(order[i]);
        }
    }
    return {weights, ids};
}

results moe_combine(const call& c) {
    const tensor &y = c.at(0), &w = c.at(1);
    tensor out(RLX_F32, {y.dim(0), y.dim(2)});
    each(y.shape, [&](const dims& at) { out({at[0], at[2]}) += w({at[0], at[1]}) * y(at); });
    return {out};
}

results batch_matmul(const call& c) {
    const tensor &a = c.at(0), &b = c.at(1);
    const std::int64_t k = a.last();
    dims shape = broadcast(
        dims(a.shape.begin(), a.shape.end() - 2), dims(b.shape.begin(), b.shape.end() - 2)
    );
    shape.push_back(a.dim(a.rank() - 2));
    shape.push_back(b.dim(b.rank() - 2));
    tensor y(RLX_F32, shape);
    each(shape, [&](const dims& at) {
        dims of_a = at, of_b = at;
        of_b[of_b.size() - 2] = at.back();
        double sum = 0;
        for (std::int64_t i = 0; i < k; ++i) {
            of_a.back() = of_b.back() = i;
            // The last two axes never broadcast, but for an extent of 1, where index 0 is the only
            // one.
            sum += spread(a, of_a) * spread(b, of_b);
        }
        y(at) = sum;
    });
    return {y};
}

} // namespace

std::vector<entry> linear_ops() {
    return {
        {RLX_OP_MatMul, matmul},
        {RLX_OP_GroupedMatMul, grouped_matmul},
        {RLX_OP_MoeRoute, moe_route},
        {RLX_OP_MoeCombine, moe_combine},
        {RLX_OP_BatchMatMul, batch_matmul},
    };
}

} // namespace optest::ref
