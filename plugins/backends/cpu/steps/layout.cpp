// SPDX-License-Identifier: GPL-3.0-only
// Ops that move or make elements: Concat, Fill, Arange, GatherRows, TakeAlong; and the
// mixture-of-experts routing.
#include "steps/steps.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace rlx::cpu {

namespace {

class concat_step final : public step {
public:
    std::uint32_t axis = 0;

    // Rows of the inputs, one input after the other, are the units of work.
    void run(worker& w) override {
        std::int64_t total = 0;
        for (const tensor* t : in)
            total += t->count ? t->rows() : 0;
        const worker::share mine = w.split(total);
        std::int64_t first = 0, start = 0;
        for (const tensor* t : in) {
            const std::int64_t n = t->count ? t->rows() : 0;
            const std::int64_t lo = std::max(mine.begin - first, std::int64_t{0});
            const std::int64_t hi = std::min(mine.end - first, n);
            for (std::int64_t r = lo; r < hi; ++r)
                copy_row(*t, r, start);
            first += n;
            start += t->dim[axis];
        }
    }

private:
    void copy_row(const tensor& t, std::int64_t r, std::int64_t start) const {
        const tensor& o = *out[0];
        const std::uint32_t size = element_size(o.dtype);
        const char* from = t.data + row_offset(t, r) * size;
        // The same row in the output: one mixed-radix step per axis.
        std::int64_t to = start * o.stride[axis], rest = r;
        for (std::uint32_t i = t.rank - 1; i-- > 0;) {
            to += rest % t.dim[i] * o.stride[i];
            rest /= t.dim[i];
        }
        const std::int64_t n = t.last(), stride = t.stride[t.rank - 1];
        char* dst = o.data + to * size;
        if (stride == 1) {
            std::memcpy(dst, from, static_cast<std::size_t>(n) * size);
            return;
        }
        for (std::int64_t i = 0; i < n; ++i)
            std::memcpy(dst + i * size, from + i * stride * size, size);
    }
};

class fill_step final : public step {
public:
    double value = 0;

    void run(worker& w) override {
        const tensor& o = *out[0];
        const worker::share mine = w.split(o.count);
        for (std::int64_t i = mine.begin; i < mine.end; ++i) {
            if (o.dtype == RLX_F32) {
                o.f32()[i] = static_cast<float>(value);
            } else if (o.dtype == RLX_I32) {
                o.i32()[i] = static_cast<std::int32_t>(value);
            } else {
                o.data[i] = value != 0 ? 1 : 0;
            }
        }
    }
};

class arange_step final : public step {
public:
    void run(worker& w) override {
        const worker::share mine = w.split(out[0]->count);
        for (std::int64_t i = mine.begin; i < mine.end; ++i)
            out[0]->i32()[i] = static_cast<std::int32_t>(i);
    }
};

class gather_rows_step final : public step {
public:
    gather_source source;

    void run(worker& w) override {
        const tensor& ids = *in[1];
        const tensor& table = *in[0];
        const std::int64_t n = table.dim[0];
        const std::int64_t width = ids.count ? out[0]->count / ids.count : 0;
        const worker::share mine = w.split(ids.count);
        for (std::int64_t i = mine.begin; i < mine.end; ++i) {
            const std::int64_t at = ids.rank ? row_offset(ids, i / ids.last()) +
                                                   i % ids.last() * ids.stride[ids.rank - 1]
                                             : 0;
            const std::int32_t id = ids.i32()[at];
            float* row = out[0]->f32() + i * width;
            if (id < 0 || id >= n) {
                w.fail(
                    RLX_INVALID_ARGUMENT,
                    "id %d at index %lld is outside the table's [0, %lld)",
                    id,
                    static_cast<long long>(i),
                    static_cast<long long>(n)
                );
                std::memset(row, 0, static_cast<std::size_t>(width) * 4);
            } else if (source.name.n) {
                from_checkpoint(w, id, row);
            } else {
                from_memory(table, id, width, row);
            }
        }
    }

private:
    void from_checkpoint(worker& w, std::int64_t id, float* row) const {
        const std::int64_t n = source.row * source.rows_per_id;
        const char* p = source.view + id * n * element_size(source.dtype);
        if (source.view && source.dtype == RLX_F32) {
            std::memcpy(row, p, static_cast<std::size_t>(n) * 4);
        } else if (source.view && source.dtype == RLX_F16) {
            w.k().f16_to_f32(row, reinterpret_cast<const std::uint16_t*>(p), n);
        } else if (source.view && source.dtype == RLX_BF16) {
            w.k().bf16_to_f32(row, reinterpret_cast<const std::uint16_t*>(p), n);
        } else {
            const auto* api = sdk::service<rlx_weights_v1>();
            const auto rows = static_cast<std::uint64_t>(source.rows_per_id);
            rlx_error* e = api->read_f32(
                source.checkpoint, source.name, static_cast<std::uint64_t>(id) * rows, rows, row
            );
            if (!e) return;
            const rlx_str text = sdk::host()->error_message(e);
            w.fail(sdk::host()->error_code(e), "%.*s", static_cast<int>(text.n), text.p);
            sdk::host()->error_free(e);
        }
    }

    static void from_memory(const tensor& table, std::int64_t id, std::int64_t width, float* row) {
        const float* base = table.f32() + id * table.stride[0];
        for (std::int64_t i = 0; i < width; ++i) {
            std::int64_t at = 0, rest = i;
            for (std::uint32_t d = table.rank; d-- > 1;) {
                at += rest % table.dim[d] * table.stride[d];
                rest /= table.dim[d];
            }
            row[i] = base[at];
        }
    }
};

class take_along_step final : public step {
public:
    std::uint32_t axis = 0;

    void run(worker& w) override {
        const tensor& x = *in[0];
        const tensor& idx = *in[1];
        const std::uint32_t size = element_size(x.dtype);
        const worker::share mine = w.split(idx.count);
        for (std::int64_t i = mine.begin; i < mine.end; ++i) {
            std::int64_t rest = i, at = 0, where = 0;
            for (std::uint32_t d = idx.rank; d-- > 0;) {
                const std::int64_t c = rest % idx.dim[d];
                rest /= idx.dim[d];
                where += c * idx.stride[d];
                if (d != axis) at += c * x.stride[d];
            }
            const std::int32_t id = idx.i32()[where];
            if (id < 0 || id >= x.dim[axis]) {
                w.fail(
                    RLX_INVALID_ARGUMENT,
                    "index %d is outside [0, %lld)",
                    id,
                    static_cast<long long>(x.dim[axis])
                );
                continue;
            }
            std::memcpy(out[0]->data + i * size, x.data + (at + id * x.stride[axis]) * size, size);
        }
    }
};

// Softmax over all experts, the k largest in descending order (ties: lowest id), optionally
// rescaled to sum 1.
class moe_route_step final : public step {
public:
    bool normalise = false;
    float scale = 1;

    status resize(program&) override {
        row_units = in[0]->rows();
        local_bytes = align64(static_cast<std::uint64_t>(in[0]->last()) * 4);
        return {};
    }

    void run(worker& w) override {
        const tensor& x = *in[0];
        const std::int64_t n = x.last(), k = out[0]->last();
        auto* p = reinterpret_cast<float*>(w.local());
        constexpr float taken = -1.0f; // below every probability
        const worker::share mine = w.split(row_units);
        for (std::int64_t r = mine.begin; r < mine.end; ++r) {
            const float* row = x.f32() + row_offset(x, r);
            for (std::int64_t i = 0; i < n; ++i)
                p[i] = row[i * x.stride[x.rank - 1]];
            w.k().softmax(p, p, n);
            float* share = out[0]->f32() + r * k;
            std::int32_t* id = out[1]->i32() + r * k;
            float sum = 0;
            for (std::int64_t j = 0; j < k; ++j) {
                std::int64_t best = 0;
                while (p[best] == taken) // NaN is larger than nothing
                    ++best;
                for (std::int64_t i = best + 1; i < n; ++i)
                    best = p[i] > p[best] ? i : best;
                share[j] = p[best];
                id[j] = static_cast<std::int32_t>(best);
                sum += p[best];
                p[best] = taken;
            }
            for (std::int64_t j = 0; j < k; ++j)
                share[j] = (normalise && sum > 0 ? share[j] / sum : share[j]) * scale;
        }
    }
};

// y [T, K, h], weights [T, K] -> [T, h], the choices in order.
class moe_combine_step final : public step {
public:
    status resize(program&) override {
        row_units = out[0]->rows();
        return {};
    }

    void run(worker& w) override {
        const tensor& y = *in[0];
        const tensor& share = *in[1];
        const std::int64_t k = y.dim[1], h = y.dim[2];
        const worker::share mine = w.split(row_units);
        for (std::int64_t t = mine.begin; t < mine.end; ++t) {
            float* o = out[0]->f32() + t * h;
            std::memset(o, 0, static_cast<std::size_t>(h) * 4);
            for (std::int64_t j = 0; j < k; ++j) {
                const float s = share.f32()[t * share.stride[0] + j * share.stride[1]];
                const float* row = y.f32() + t * y.stride[0] + j * y.stride[1];
                if (y.stride[2] == 1) {
                    w.k().axpy(o, row, s, h);
                } else {
                    for (std::int64_t i = 0; i < h; ++i)
                        o[i] += s * row[i * y.stride[2]];
                }
            }
        }
    }

    void touches(const program& p, std::vector<range>& reads, std::vector<range>& writes)
        const override {
        step::touches(p, reads, writes);
        for (range& r : reads)
            r.rows = 0;
    }
};

std::uint32_t axis_of(const node& n) {
    const std::int64_t axis = n.i64(RLX_ATTR_axis);
    return static_cast<std::uint32_t>(axis < 0 ? axis + n.in[0]->rank : axis);
}

} // namespace

step_ptr make_concat(const node& n) {
    auto s = std::make_unique<concat_step>();
    s->axis = axis_of(n);
    return with_tensors(std::move(s), n);
}

step_ptr make_fill(const node& n) {
    auto s = std::make_unique<fill_step>();
    s->value = n.f64(RLX_ATTR_value);
    return with_tensors(std::move(s), n);
}

step_ptr make_arange(const node& n) {
    return with_tensors(std::make_unique<arange_step>(), n);
}

step_ptr make_gather_rows(const node& n, const gather_source& source) {
    auto s = std::make_unique<gather_rows_step>();
    s->source = source;
    return with_tensors(std::move(s), n);
}

step_ptr make_take_along(const node& n) {
    auto s = std::make_unique<take_along_step>();
    s->axis = axis_of(n);
    return with_tensors(std::move(s), n);
}

step_ptr make_moe_route(const node& n) {
    auto s = std::make_unique<moe_route_step>();
    s->normalise = n.i64(RLX_ATTR_normalise) != 0;
    s->scale = n.f32(RLX_ATTR_scale, 1);
    return with_tensors(std::move(s), n);
}

step_ptr make_moe_combine(const node& n) {
    return with_tensors(std::make_unique<moe_combine_step>(), n);
}

} // namespace rlx::cpu
