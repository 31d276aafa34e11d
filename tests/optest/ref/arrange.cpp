// SPDX-License-Identifier: GPL-3.0-only
// Flip, Random, Gather, ScatterRows, ScatterAlong, Sort, ArgReduce, CumSum, LogSumExp, L2Norm,
// VqNearest.
#include "ref.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

namespace optest::ref {
namespace {

constexpr double inf = std::numeric_limits<double>::infinity();

results flip(const call& c) {
    const tensor& x = c.at(0);
    tensor y(x.dtype, x.shape);
    each(x.shape, [&](dims at) {
        const double v = x(at);
        at[c.axis()] = x.dim(c.axis()) - 1 - at[c.axis()];
        y(at) = v;
    });
    return {y};
}

// Philox 4x32, ten rounds.
std::array<std::uint32_t, 4> philox(std::uint64_t key, std::uint64_t counter) {
    std::array<std::uint32_t, 4> x{
        static_cast<std::uint32_t>(counter), static_cast<std::uint32_t>(counter >> 32), 0, 0};
    auto k0 = static_cast<std::uint32_t>(key), k1 = static_cast<std::uint32_t>(key >> 32);
    for (int round = 0; round < 10; ++round) {
        const std::uint64_t p0 = 0xD2511F53ull * x[0], p1 = 0xCD9E8D57ull * x[2];
        x = {
            static_cast<std::uint32_t>(p1 >> 32) ^ x[1] ^ k0,
            static_cast<std::uint32_t>(p1),
            static_cast<std::uint32_t>(p0 >> 32) ^ x[3] ^ k1,
            static_cast<std::uint32_t>(p0)};
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return x;
}

std::uint64_t words(const tensor& t) {
    const auto low = static_cast<std::uint32_t>(static_cast<std::int64_t>(t.data[0]));
    const auto high = static_cast<std::uint32_t>(static_cast<std::int64_t>(t.data[1]));
    return static_cast<std::uint64_t>(high) << 32 | low;
}

results random(const call& c) {
    tensor y(RLX_F32, c.list(RLX_ATTR_dims));
    const std::uint64_t seed = words(c.at(0)), offset = words(c.at(1));
    const bool normal = c.i64(RLX_ATTR_kind) == RLX_RANDOM_NORMAL;
    for (std::size_t i = 0; i < y.size(); ++i) {
        const auto w = philox(seed, offset + i / 4);
        if (!normal) {
            y.data[i] = (w[i % 4] >> 8) * 0x1p-24;
            continue;
        }
        const std::size_t pair = i % 4 / 2 * 2;
        const double r = std::sqrt(-2 * std::log(((w[pair] >> 8) + 1.0) * 0x1p-24));
        const double t = 2 * std::numbers::pi * (w[pair + 1] >> 8) * 0x1p-24;
        y.data[i] = i % 2 ? r * std::sin(t) : r * std::cos(t);
    }
    return {y};
}

std::int64_t index_in(double i, std::int64_t n, const char* op) {
    if (i < 0 || i >= static_cast<double>(n))
        throw bad_input(std::string(op) + ": index outside the axis");
    return static_cast<std::int64_t>(i);
}

results gather(const call& c) {
    const tensor &x = c.at(0), &idx = c.at(1);
    const auto axis = static_cast<std::ptrdiff_t>(c.axis());
    dims shape(x.shape.begin(), x.shape.begin() + axis);
    shape.insert(shape.end(), idx.shape.begin(), idx.shape.end());
    shape.insert(shape.end(), x.shape.begin() + axis + 1, x.shape.end());
    for (const double i : idx.data)
        index_in(i, x.dim(c.axis()), "Gather");
    tensor y(x.dtype, shape);
    each(shape, [&](const dims& at) {
        const auto middle = at.begin() + axis;
        const auto behind = middle + static_cast<std::ptrdiff_t>(idx.rank());
        dims from(at.begin(), middle);
        from.push_back(static_cast<std::int64_t>(idx(dims(middle, behind))));
        from.insert(from.end(), behind, at.end());
        y(at) = x(from);
    });
    return {y};
}

void put(tensor& y, std::size_t at, double v, bool add) {
    if (!add)
        y.data[at] = v;
    else if (y.dtype == RLX_I32)
        y.data[at] = static_cast<std::int32_t>(
            static_cast<std::uint32_t>(static_cast<std::int64_t>(y.data[at] + v))
        );
    else
        y.data[at] += v;
}

results scatter_rows(const call& c) {
    tensor y = c.at(0);
    const tensor &ids = c.at(1), &rows = c.at(2);
    const std::size_t row = count(dims(y.shape.begin() + 1, y.shape.end()));
    for (std::size_t t = 0; t < ids.size(); ++t) {
        const auto id = static_cast<std::size_t>(index_in(ids.data[t], y.dim(0), "ScatterRows"));
        for (std::size_t k = 0; k < row; ++k)
            put(y, id * row + k, rows.data[t * row + k], c.i64(RLX_ATTR_accumulate) == 1);
    }
    return {y};
}

results scatter_along(const call& c) {
    tensor y = c.at(0);
    const tensor &idx = c.at(1), &src = c.at(2);
    each(idx.shape, [&](dims at) {
        const double v = src(at);
        at[c.axis()] = index_in(idx(at), y.dim(c.axis()), "ScatterAlong");
        put(y, y.place(at), v, c.i64(RLX_ATTR_accumulate) == 1);
    });
    return {y};
}

results sort(const call& c) {
    const tensor& x = c.at(0);
    const auto n = static_cast<std::size_t>(x.last());
    const bool falling = c.i64(RLX_ATTR_descending) == 1;
    tensor values = x, indices(RLX_I32, x.shape);
    std::vector<std::size_t> order(n);
    for (std::size_t r = 0; r < x.rows(); ++r) {
        const double* row = x.data.data() + r * n;
        std::iota(order.begin(), order.end(), 0);
        std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
            return falling ? row[a] > row[b] : row[a] < row[b];
        });
        for (std::size_t i = 0; i < n; ++i) {
            values.data[r * n + i] = row[order[i]];
            indices.data[r * n + i] = static_cast<double>(order[i]);
        }
    }
    return {values, indices};
}

results arg_reduce(const call& c) {
    const tensor& x = c.at(0);
    const std::size_t axis = c.axis();
    const bool largest = c.i64(RLX_ATTR_kind) == RLX_REDUCE_MAX;
    dims shape = x.shape;
    shape[axis] = 1;
    tensor y(RLX_I32, shape);
    each(shape, [&](const dims& at) {
        std::int64_t best = -1;
        for (std::int64_t i = 0; i < x.dim(axis); ++i) {
            dims here = at, there = at;
            here[axis] = i;
            there[axis] = best;
            if (best < 0 || (largest ? x(here) > x(there) : x(here) < x(there))) best = i;
        }
        y(at) = static_cast<double>(best);
    });
    if (!c.i64(RLX_ATTR_keep)) y.shape.erase(y.shape.begin() + static_cast<std::ptrdiff_t>(axis));
    return {y};
}

results cum_sum(const call& c) {
    const tensor& x = c.at(0);
    const std::size_t axis = c.axis();
    const bool exclusive = c.i64(RLX_ATTR_exclusive) == 1, reverse = c.i64(RLX_ATTR_reverse) == 1;
    tensor y(x.dtype, x.shape);
    each(x.shape, [&](const dims& at) {
        const std::int64_t i = at[axis], n = x.dim(axis);
        const std::int64_t first = reverse ? i + exclusive : 0, last = reverse ? n : i + !exclusive;
        double sum = 0;
        dims from = at;
        for (from[axis] = first; from[axis] < last; ++from[axis])
            sum += x(from);
        if (x.dtype == RLX_I32)
            sum =
                static_cast<std::int32_t>(static_cast<std::uint32_t>(static_cast<std::int64_t>(sum))
                );
        y(at) = sum;
    });
    return {y};
}

results log_sum_exp(const call& c) {
    const tensor& x = c.at(0);
    const std::size_t axis = c.axis();
    dims shape = x.shape;
    shape[axis] = 1;
    tensor y(RLX_F32, shape);
    each(shape, [&](const dims& at) {
        double top = -inf, sum = 0;
        dims from = at;
        for (from[axis] = 0; from[axis] < x.dim(axis); ++from[axis])
            top = std::max(top, x(from));
        for (from[axis] = 0; from[axis] < x.dim(axis); ++from[axis])
            sum += std::isinf(top) ? 0 : std::exp(x(from) - top);
        y(at) = std::isinf(top) ? top : top + std::log(sum);
    });
    if (!c.i64(RLX_ATTR_keep)) y.shape.erase(y.shape.begin() + static_cast<std::ptrdiff_t>(axis));
    return {y};
}

results l2_norm(const call& c) {
    tensor y = c.at(0);
    const auto n = static_cast<std::size_t>(y.last());
    const double eps = c.f64(RLX_ATTR_eps);
    for (std::size_t r = 0; r < y.rows(); ++r) {
        double squares = 0;
        for (std::size_t i = 0; i < n; ++i)
            squares += y.data[r * n + i] * y.data[r * n + i];
        const double by = c.i64(RLX_ATTR_kind, RLX_L2_MAX) == RLX_L2_ADD
                              ? std::sqrt(squares + eps)
                              : std::max(std::sqrt(squares), eps);
        for (std::size_t i = 0; i < n; ++i)
            y.data[r * n + i] /= by;
    }
    return {y};
}

results vq_nearest(const call& c) {
    const tensor &x = c.at(0), &book = c.at(1);
    const auto d = static_cast<std::size_t>(x.last());
    tensor y(RLX_I32, dims(x.shape.begin(), x.shape.end() - 1));
    for (std::size_t r = 0; r < y.size(); ++r) {
        double best = -inf, at = -1;
        for (std::size_t k = 0; k < static_cast<std::size_t>(book.dim(0)); ++k) {
            double near = 0;
            for (std::size_t i = 0; i < d; ++i) {
                const double b = book.data[k * d + i];
                near += b * (x.data[r * d + i] - b / 2);
            }
            if (at < 0 || near > best) best = near, at = static_cast<double>(k);
        }
        y.data[r] = at;
    }
    return {y};
}

} // namespace

std::vector<entry> arrange_ops() {
    return {
        {RLX_OP_Flip, flip},
        {RLX_OP_Random, random},
        {RLX_OP_Gather, gather},
        {RLX_OP_ScatterRows, scatter_rows},
        {RLX_OP_ScatterAlong, scatter_along},
        {RLX_OP_Sort, sort},
        {RLX_OP_ArgReduce, arg_reduce},
        {RLX_OP_CumSum, cum_sum},
        {RLX_OP_LogSumExp, log_sum_exp},
        {RLX_OP_L2Norm, l2_norm},
        {RLX_OP_VqNearest, vq_nearest},
    };
}

} // namespace optest::ref
