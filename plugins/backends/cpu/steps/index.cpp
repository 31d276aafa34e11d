// SPDX-License-Identifier: GPL-3.0-only
// Gather, Flip and the scatters. Operands are contiguous: an axis cuts a tensor into
// [outer][axis][inner].
#include "steps/steps.hpp"

#include <cstring>

namespace rlx::cpu {

namespace {

struct cut {
    std::int64_t outer = 1, n = 1, inner = 1;

    cut(const tensor& t, std::uint32_t axis) : n(t.dim[axis]) {
        for (std::uint32_t i = 0; i < axis; ++i)
            outer *= t.dim[i];
        for (std::uint32_t i = axis + 1; i < t.rank; ++i)
            inner *= t.dim[i];
    }
};

std::uint32_t axis_of(const node& n) {
    const std::int64_t axis = n.i64(RLX_ATTR_axis);
    return static_cast<std::uint32_t>(axis < 0 ? axis + n.in[0]->rank : axis);
}

bool outside(worker& w, std::int32_t id, std::int64_t n) {
    if (id >= 0 && id < n) return false;
    w.fail(RLX_INVALID_ARGUMENT, "index %d is outside [0, %lld)", id, static_cast<long long>(n));
    return true;
}

class gather_step final : public step {
public:
    std::uint32_t axis = 0;

    void run(worker& w) override {
        const tensor &x = *in[0], &idx = *in[1];
        const cut c(x, axis);
        const std::int64_t bytes = c.inner * element_size(x.dtype);
        const worker::share mine = w.split(c.outer * idx.count);
        for (std::int64_t u = mine.begin; u < mine.end; ++u) {
            const std::int32_t id = idx.i32()[u % idx.count];
            if (outside(w, id, c.n)) continue;
            const std::int64_t row = u / idx.count * c.n + id;
            std::memcpy(
                out[0]->data + u * bytes, x.data + row * bytes, static_cast<std::size_t>(bytes)
            );
        }
    }
};

class flip_step final : public step {
public:
    std::uint32_t axis = 0;

    void run(worker& w) override {
        const tensor& x = *in[0];
        const cut c(x, axis);
        const std::int64_t bytes = c.inner * element_size(x.dtype);
        const worker::share mine = w.split(c.outer * c.n);
        for (std::int64_t u = mine.begin; u < mine.end; ++u) {
            const std::int64_t from = u / c.n * c.n + (c.n - 1 - u % c.n);
            std::memcpy(
                out[0]->data + u * bytes, x.data + from * bytes, static_cast<std::size_t>(bytes)
            );
        }
    }
};

void put(const tensor& y, std::int64_t at, const tensor& x, std::int64_t from, bool add) {
    if (!add)
        y.i32()[at] = x.i32()[from];
    else if (y.dtype == RLX_F32)
        y.f32()[at] += x.f32()[from];
    else
        y.i32()[at] = static_cast<std::int32_t>(
            static_cast<std::uint32_t>(y.i32()[at]) + static_cast<std::uint32_t>(x.i32()[from])
        );
}

// Every thread owns a run of x's rows and walks all ids, so that equal ids are met in order.
class scatter_rows_step final : public step {
public:
    bool add = false;

    void run(worker& w) override {
        const tensor &x = *in[0], &ids = *in[1], &rows = *in[2], &y = *out[0];
        const cut c(x, 0);
        const worker::share mine = w.split(c.n);
        std::memcpy(
            y.data + mine.begin * c.inner * 4,
            x.data + mine.begin * c.inner * 4,
            static_cast<std::size_t>((mine.end - mine.begin) * c.inner * 4)
        );
        for (std::int64_t t = 0; t < ids.count; ++t) {
            const std::int32_t id = ids.i32()[t];
            if (outside(w, id, c.n) || id < mine.begin || id >= mine.end) continue;
            for (std::int64_t i = 0; i < c.inner; ++i)
                put(y, id * c.inner + i, rows, t * c.inner + i, add);
        }
    }
};

// One unit is a column [n] of x: everything that can meet it is in one column of idx.
class scatter_along_step final : public step {
public:
    std::uint32_t axis = 0;
    bool add = false;

    void run(worker& w) override {
        const tensor &x = *in[0], &idx = *in[1], &src = *in[2], &y = *out[0];
        const cut c(x, axis);
        const std::int64_t m = idx.dim[axis];
        const worker::share mine = w.split(c.outer * c.inner);
        for (std::int64_t u = mine.begin; u < mine.end; ++u) {
            const std::int64_t o = u / c.inner, i = u % c.inner;
            for (std::int64_t k = 0; k < c.n; ++k)
                y.i32()[(o * c.n + k) * c.inner + i] = x.i32()[(o * c.n + k) * c.inner + i];
            for (std::int64_t k = 0; k < m; ++k) {
                const std::int64_t from = (o * m + k) * c.inner + i;
                const std::int32_t id = idx.i32()[from];
                if (!outside(w, id, c.n)) put(y, (o * c.n + id) * c.inner + i, src, from, add);
            }
        }
    }
};

} // namespace

step_ptr make_gather(const node& n) {
    auto s = std::make_unique<gather_step>();
    s->axis = axis_of(n);
    return with_tensors(std::move(s), n);
}

step_ptr make_flip(const node& n) {
    auto s = std::make_unique<flip_step>();
    s->axis = axis_of(n);
    return with_tensors(std::move(s), n);
}

step_ptr make_scatter_rows(const node& n) {
    auto s = std::make_unique<scatter_rows_step>();
    s->add = n.i64(RLX_ATTR_accumulate) == 1;
    return with_tensors(std::move(s), n);
}

step_ptr make_scatter_along(const node& n) {
    auto s = std::make_unique<scatter_along_step>();
    s->axis = axis_of(n);
    s->add = n.i64(RLX_ATTR_accumulate) == 1;
    return with_tensors(std::move(s), n);
}

} // namespace rlx::cpu
