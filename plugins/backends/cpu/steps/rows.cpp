// SPDX-License-Identifier: GPL-3.0-only
// Ops along one axis: norm, softmax, reduce, top-k, rope. Work is shared by rows, so that a chain
// of them over the same rows needs no barrier (step::row_units).
#include "steps/steps.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace rlx::cpu {

step_ptr with_tensors(step_ptr s, const node& n) {
    for (const tensor* t : n.in)
        s->in.push_back(t);
    for (const tensor* t : n.out)
        s->out.push_back(t);
    s->origin = n.info.origin;
    return s;
}

std::int64_t row_offset(const tensor& t, std::int64_t r) {
    std::int64_t at = 0;
    for (std::uint32_t i = t.rank > 0 ? t.rank - 1 : 0; i-- > 0;) {
        at += r % t.dim[i] * t.stride[i];
        r /= t.dim[i];
    }
    return at;
}

namespace {

// A line of elements along one axis of a view: all other axes are numbered by `line`.
struct lines {
    std::int64_t n = 1;      // elements of a line
    std::int64_t stride = 1; // between them
    std::int64_t count = 0;  // lines
};

lines lines_of(const tensor& t, std::uint32_t axis) {
    lines l;
    l.n = t.rank ? t.dim[axis] : 1;
    l.stride = t.rank ? t.stride[axis] : 1;
    l.count = 1;
    for (std::uint32_t i = 0; i < t.rank; ++i)
        l.count *= i == axis ? 1 : t.dim[i];
    return l;
}

std::int64_t line_offset(const tensor& t, std::uint32_t axis, std::int64_t line) {
    std::int64_t at = 0;
    for (std::uint32_t i = t.rank; i-- > 0;) {
        if (i == axis) continue;
        at += line % t.dim[i] * t.stride[i];
        line /= t.dim[i];
    }
    return at;
}

std::uint32_t axis_of(const node& n) {
    const std::int64_t axis = n.i64(RLX_ATTR_axis, -1);
    const std::int64_t rank = n.in[0]->rank;
    return static_cast<std::uint32_t>(axis < 0 ? axis + rank : axis);
}

const float* line_floats(const float* p, const lines& l, float* temp) {
    if (l.stride == 1 || l.n == 1) return p;
    for (std::int64_t i = 0; i < l.n; ++i)
        temp[i] = p[i * l.stride];
    return temp;
}

class norm_step final : public step {
public:
    float eps = 0, offset = 0;

    status resize(program&) override {
        row_units = in[0]->rows();
        local_bytes = align64(static_cast<std::uint64_t>(in[0]->last()) * 4);
        return {};
    }

    void run(worker& w) override {
        const tensor& x = *in[0];
        const lines l{x.last(), x.rank ? x.stride[x.rank - 1] : 1, row_units};
        const float* weight = in.size() > 1 && in[1] ? in[1]->f32() : nullptr;
        const worker::share mine = w.split(row_units);
        for (std::int64_t r = mine.begin; r < mine.end; ++r) {
            const float* row =
                line_floats(x.f32() + row_offset(x, r), l, reinterpret_cast<float*>(w.local()));
            w.k().rms_norm(out[0]->f32() + r * l.n, row, weight, offset, eps, l.n);
        }
    }
};

class softmax_step final : public step {
public:
    std::uint32_t axis = 0;

    status resize(program&) override {
        row_units = axis + 1 == in[0]->rank ? in[0]->rows() : 0;
        local_bytes = 2 * align64(static_cast<std::uint64_t>(lines_of(*in[0], axis).n) * 4);
        return {};
    }

    void run(worker& w) override {
        const lines from = lines_of(*in[0], axis);
        const lines to = lines_of(*out[0], axis);
        auto* temp = reinterpret_cast<float*>(w.local());
        float* result = temp + align64(static_cast<std::uint64_t>(from.n) * 4) / 4;
        const worker::share mine = w.split(from.count);
        if (from.n == 0) return;
        for (std::int64_t i = mine.begin; i < mine.end; ++i) {
            const float* x = line_floats(in[0]->f32() + line_offset(*in[0], axis, i), from, temp);
            float* y = out[0]->f32() + line_offset(*out[0], axis, i);
            if (to.stride == 1) {
                w.k().softmax(y, x, from.n);
                continue;
            }
            w.k().softmax(result, x, from.n);
            for (std::int64_t j = 0; j < from.n; ++j)
                y[j * to.stride] = result[j];
        }
    }
};

class reduce_step final : public step {
public:
    std::uint32_t axis = 0;
    std::uint32_t kind = 0;

    status resize(program&) override {
        const lines l = lines_of(*in[0], axis);
        local_bytes = align64(static_cast<std::uint64_t>(l.n) * 4);
        return {};
    }

    void run(worker& w) override {
        const lines l = lines_of(*in[0], axis);
        auto* temp = reinterpret_cast<float*>(w.local());
        const worker::share mine = w.split(l.count);
        for (std::int64_t i = mine.begin; i < mine.end; ++i) {
            float v = of_nothing();
            if (l.n > 0) {
                const float* x = line_floats(in[0]->f32() + line_offset(*in[0], axis, i), l, temp);
                v = w.k().reduce(kind, x, l.n);
                if (kind == RLX_REDUCE_MEAN) v /= static_cast<float>(l.n);
                if (kind == RLX_REDUCE_L2) v = std::sqrt(v);
            }
            out[0]->f32()[i] = v;
        }
    }

private:
    float of_nothing() const {
        constexpr float inf = std::numeric_limits<float>::infinity();
        switch (kind) {
        case RLX_REDUCE_PROD: return 1;
        case RLX_REDUCE_MAX: return -inf;
        case RLX_REDUCE_MIN: return inf;
        default: return 0;
        }
    }
};

class top_k_step final : public step {
public:
    status resize(program&) override {
        row_units = in[0]->rows();
        local_bytes = align64(static_cast<std::uint64_t>(in[0]->last()) * 4);
        return {};
    }

    void run(worker& w) override {
        const tensor& x = *in[0];
        const lines l{x.last(), x.rank ? x.stride[x.rank - 1] : 1, row_units};
        const std::int64_t k = out[0]->last();
        if (k == 0) return;
        const worker::share mine = w.split(row_units);
        for (std::int64_t r = mine.begin; r < mine.end; ++r) {
            const float* row =
                line_floats(x.f32() + row_offset(x, r), l, reinterpret_cast<float*>(w.local()));
            pick(row, l.n, k, out[0]->f32() + r * k, out[1]->i32() + r * k);
        }
    }

private:
    // Insertion into the k best so far: k is small, and equal values keep the lowest index first.
    static void
    pick(const float* x, std::int64_t n, std::int64_t k, float* value, std::int32_t* index) {
        std::int64_t have = 0;
        for (std::int64_t i = 0; i < n; ++i) {
            if (have == k && !(x[i] > value[k - 1])) continue;
            std::int64_t at = have < k ? have++ : k - 1;
            for (; at > 0 && x[i] > value[at - 1]; --at) {
                value[at] = value[at - 1];
                index[at] = index[at - 1];
            }
            value[at] = x[i];
            index[at] = static_cast<std::int32_t>(i);
        }
    }
};

// x [T, H, hd], table [T, dim]: row (t, h) rotates its first dim elements.
class rope_step final : public step {
public:
    std::int64_t pairing = 0;

    status resize(program&) override {
        row_units = in[0]->rows();
        local_bytes = align64(static_cast<std::uint64_t>(in[0]->last()) * 4);
        return {};
    }

    void run(worker& w) override {
        const tensor& x = *in[0];
        const tensor& table = *in[1];
        const std::int64_t width = x.last(), dim = table.last(), heads = x.dim[1];
        const lines l{width, x.stride[2], row_units};
        const worker::share mine = w.split(row_units);
        for (std::int64_t r = mine.begin; r < mine.end; ++r) {
            const float* row =
                line_floats(x.f32() + row_offset(x, r), l, reinterpret_cast<float*>(w.local()));
            const float* cos = table.f32() + r / heads * table.stride[0];
            float* y = out[0]->f32() + r * width;
            w.k().rope(y, row, cos, cos + dim / 2, dim / 2, pairing);
            if (dim < width)
                std::memcpy(y + dim, row + dim, static_cast<std::size_t>(width - dim) * 4);
        }
    }

    void touches(const program& p, std::vector<range>& reads, std::vector<range>& writes)
        const override {
        step::touches(p, reads, writes);
        reads[1].rows = 0; // the table has one row per token, not per head
    }
};

} // namespace

step_ptr make_rms_norm(const node& n) {
    auto s = std::make_unique<norm_step>();
    s->eps = n.f32(RLX_ATTR_eps);
    s->offset = n.f32(RLX_ATTR_weight_offset);
    return with_tensors(std::move(s), n);
}

step_ptr make_softmax(const node& n) {
    auto s = std::make_unique<softmax_step>();
    s->axis = axis_of(n);
    return with_tensors(std::move(s), n);
}

step_ptr make_reduce(const node& n) {
    auto s = std::make_unique<reduce_step>();
    s->axis = axis_of(n);
    s->kind = static_cast<std::uint32_t>(n.i64(RLX_ATTR_kind));
    return with_tensors(std::move(s), n);
}

step_ptr make_top_k(const node& n) {
    return with_tensors(std::make_unique<top_k_step>(), n);
}

step_ptr make_rope(const node& n) {
    auto s = std::make_unique<rope_step>();
    s->pairing = n.i64(RLX_ATTR_pairing);
    return with_tensors(std::move(s), n);
}

} // namespace rlx::cpu
