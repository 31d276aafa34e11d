// SPDX-License-Identifier: GPL-3.0-only
// Views, layout and creation: Reshape, Permute, Slice, Broadcast, Concat, Pad, Copy, Cast, Fill,
// Arange.
#include "ref.hpp"

#include <cmath>

namespace optest::ref {
namespace {

results reshape(const call& c) {
    tensor y = c.at(0);
    y.shape = c.list(RLX_ATTR_dims);
    if (count(y.shape) != y.data.size()) throw no_answer("Reshape changes the number of elements");
    return {y};
}

results permute(const call& c) {
    const tensor& x = c.at(0);
    const dims perm = c.list(RLX_ATTR_perm);
    dims shape(x.rank());
    for (std::size_t i = 0; i < shape.size(); ++i)
        shape[i] = x.dim(static_cast<std::size_t>(perm[i]));
    tensor y(x.dtype, shape);
    each(shape, [&](const dims& at) {
        dims from(x.rank());
        for (std::size_t i = 0; i < at.size(); ++i)
            from[static_cast<std::size_t>(perm[i])] = at[i];
        y(at) = x(from);
    });
    return {y};
}

results slice(const call& c) {
    const tensor& x = c.at(0);
    const std::size_t axis = c.axis();
    const std::int64_t start = c.i64(RLX_ATTR_start);
    dims shape = x.shape;
    shape[axis] = c.i64(RLX_ATTR_stop) - start;
    tensor y(x.dtype, shape);
    each(shape, [&](dims at) {
        const std::size_t to = y.place(at);
        at[axis] += start;
        y.data[to] = x(at);
    });
    return {y};
}

results broadcast_to(const call& c) {
    const tensor& x = c.at(0);
    tensor y(x.dtype, c.list(RLX_ATTR_dims));
    each(y.shape, [&](const dims& at) { y(at) = spread(x, at); });
    return {y};
}

results concat(const call& c) {
    const std::size_t axis = c.axis();
    dims shape = c.at(0).shape;
    shape[axis] = 0;
    for (const tensor* x : c.in)
        shape[axis] += x->dim(axis);
    tensor y(c.at(0).dtype, shape);
    std::int64_t first = 0;
    for (const tensor* x : c.in) {
        each(x->shape, [&](dims at) {
            const double v = (*x)(at);
            at[axis] += first;
            y(at) = v;
        });
        first += x->dim(axis);
    }
    return {y};
}

// Where element i of a padded axis comes from; -1: the constant.
std::int64_t padded(std::int64_t kind, std::int64_t i, std::int64_t n) {
    if (i >= 0 && i < n) return i;
    switch (kind) {
    case RLX_PAD_REFLECT: return i < 0 ? -i : 2 * (n - 1) - i;
    case RLX_PAD_REPLICATE: return n == 0 ? -1 : i < 0 ? 0 : n - 1;
    case RLX_PAD_CIRCULAR: return i < 0 ? i + n : i - n;
    default: return -1;
    }
}

results pad(const call& c) {
    const tensor& x = c.at(0);
    const dims lo = c.list(RLX_ATTR_pad_lo), hi = c.list(RLX_ATTR_pad_hi);
    const std::size_t first = x.rank() - lo.size();
    dims shape = x.shape;
    for (std::size_t i = 0; i < lo.size(); ++i)
        shape[first + i] += lo[i] + hi[i];
    tensor y(x.dtype, shape);
    each(shape, [&](const dims& at) {
        dims from = at;
        bool outside = false;
        for (std::size_t i = 0; i < lo.size(); ++i) {
            const std::size_t a = first + i;
            from[a] = padded(c.i64(RLX_ATTR_kind), at[a] - lo[i], x.dim(a));
            outside = outside || from[a] < 0;
        }
        y(at) = outside ? static_cast<float>(c.f64(RLX_ATTR_value)) : x(from);
    });
    return {y};
}

results copy(const call& c) {
    return {c.at(0)};
}

results cast(const call& c) {
    const tensor& x = c.at(0);
    const auto to = static_cast<std::uint16_t>(c.i64(RLX_ATTR_dtype));
    tensor y(to, x.shape);
    for (std::size_t i = 0; i < x.size(); ++i) {
        if (to == RLX_BOOL || !is_integer(x.dtype) || !is_integer(to)) {
            y.data[i] = round_to(to, x.data[i]);
            continue;
        }
        // Integers wrap: the low bits stay.
        const auto bits = static_cast<std::uint64_t>(static_cast<std::int64_t>(x.data[i]));
        switch (to) {
        case RLX_I8: y.data[i] = static_cast<std::int8_t>(bits); break;
        case RLX_U8: y.data[i] = static_cast<std::uint8_t>(bits); break;
        case RLX_I16: y.data[i] = static_cast<std::int16_t>(bits); break;
        case RLX_I32: y.data[i] = static_cast<std::int32_t>(bits); break;
        default: y.data[i] = static_cast<double>(static_cast<std::int64_t>(bits)); break;
        }
    }
    return {y};
}

results fill(const call& c) {
    const auto type = static_cast<std::uint16_t>(c.i64(RLX_ATTR_dtype));
    tensor y(type, c.list(RLX_ATTR_dims));
    const double v = c.f64(RLX_ATTR_value);
    for (double& e : y.data)
        e = round_to(type, v);
    return {y};
}

results arange(const call& c) {
    tensor y(RLX_I32, {c.i64(RLX_ATTR_n)});
    for (std::size_t i = 0; i < y.size(); ++i)
        y.data[i] = static_cast<double>(i);
    return {y};
}

} // namespace

std::vector<entry> view_ops() {
    return {
        {RLX_OP_Reshape, reshape},
        {RLX_OP_Permute, permute},
        {RLX_OP_Slice, slice},
        {RLX_OP_Broadcast, broadcast_to},
        {RLX_OP_Concat, concat},
        {RLX_OP_Pad, pad},
        {RLX_OP_Copy, copy},
        {RLX_OP_Cast, cast},
    };
}

std::vector<entry> create_ops() {
    return {{RLX_OP_Fill, fill}, {RLX_OP_Arange, arange}};
}

} // namespace optest::ref
