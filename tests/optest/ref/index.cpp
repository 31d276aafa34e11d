// SPDX-License-Identifier: GPL-3.0-only
// GatherRows, TakeAlong, TopK.
#include "ref.hpp"

#include <algorithm>
#include <numeric>

namespace optest::ref {
namespace {

results gather_rows(const call& c) {
    const tensor &table = c.at(0), &ids = c.at(1);
    dims shape = ids.shape;
    shape.insert(shape.end(), table.shape.begin() + 1, table.shape.end());
    tensor y(RLX_F32, shape);
    const std::size_t row = count(dims(table.shape.begin() + 1, table.shape.end()));
    for (std::size_t i = 0; i < ids.size(); ++i) {
        const double id = ids.data[i];
        if (id < 0 || id >= static_cast<double>(table.dim(0)))
            throw bad_input("GatherRows: id outside the table");
        for (std::size_t k = 0; k < row; ++k)
            y.data[i * row + k] =
                round_to(RLX_F32, table.data[static_cast<std::size_t>(id) * row + k]);
    }
    return {y};
}

results take_along(const call& c) {
    const tensor &x = c.at(0), &idx = c.at(1);
    const std::size_t axis = c.axis();
    tensor y(x.dtype, idx.shape);
    each(idx.shape, [&](dims at) {
        const std::size_t to = y.place(at);
        at[axis] = static_cast<std::int64_t>(idx.data[to]);
        if (at[axis] < 0 || at[axis] >= x.dim(axis))
            throw bad_input("TakeAlong: index outside the axis");
        y.data[to] = x(at);
    });
    return {y};
}

results top_k(const call& c) {
    const tensor& x = c.at(0);
    const auto n = static_cast<std::size_t>(x.last());
    const auto k = static_cast<std::size_t>(c.i64(RLX_ATTR_k));
    dims shape = x.shape;
    shape.back() = static_cast<std::int64_t>(k);
    tensor values(RLX_F32, shape), indices(RLX_I32, shape);
    std::vector<std::size_t> order(n);
    for (std::size_t r = 0; r < x.rows(); ++r) {
        const double* row = x.data.data() + r * n;
        std::iota(order.begin(), order.end(), 0);
        std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
            return row[a] > row[b];
        });
        for (std::size_t i = 0; i < k; ++i) {
            values.data[r * k + i] = row[order[i]];
            indices.data[r * k + i] = static_cast<double>(order[i]);
        }
    }
    return {values, indices};
}

} // namespace

std::vector<entry> index_ops() {
    return {
        {RLX_OP_GatherRows, gather_rows},
        {RLX_OP_TakeAlong, take_along},
        {RLX_OP_TopK, top_k},
    };
}

} // namespace optest::ref
