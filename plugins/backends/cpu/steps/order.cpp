// SPDX-License-Identifier: GPL-3.0-only
// Sort, ArgReduce, CumSum and Random. Operands are contiguous.
#include "steps/steps.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace rlx::cpu {

namespace {

// Sorts indices in the output's own memory; ties by index make the order total. NaN comes last.
class sort_step final : public step {
public:
    bool descending = false;

    void run(worker& w) override {
        const tensor& x = *in[0];
        const std::int64_t n = x.last();
        const worker::share mine = w.split(n > 0 ? x.count / n : 0);
        for (std::int64_t r = mine.begin; r < mine.end; ++r) {
            const float* row = x.f32() + r * n;
            std::int32_t* id = out[1]->i32() + r * n;
            std::iota(id, id + n, 0);
            std::sort(id, id + n, [&](std::int32_t a, std::int32_t b) {
                const float va = row[a], vb = row[b];
                if (std::isnan(va) || std::isnan(vb))
                    return std::isnan(va) != std::isnan(vb) ? std::isnan(vb) : a < b;
                if (va != vb) return descending ? va > vb : va < vb;
                return a < b;
            });
            for (std::int64_t i = 0; i < n; ++i)
                out[0]->f32()[r * n + i] = row[id[i]];
        }
    }
};

// [outer][n][inner]
struct cut {
    std::int64_t outer = 1, n = 1, inner = 1;
};

cut cut_of(const tensor& t, std::uint32_t axis) {
    cut c;
    c.n = t.dim[axis];
    for (std::uint32_t i = 0; i < t.rank; ++i)
        (i < axis ? c.outer : i > axis ? c.inner : c.n) *= i == axis ? 1 : t.dim[i];
    return c;
}

std::uint32_t axis_of(const node& n) {
    const std::int64_t axis = n.i64(RLX_ATTR_axis);
    return static_cast<std::uint32_t>(axis < 0 ? axis + n.in[0]->rank : axis);
}

class arg_reduce_step final : public step {
public:
    std::uint32_t axis = 0;
    bool smallest = false;

    void run(worker& w) override {
        const tensor& x = *in[0];
        const cut c = cut_of(x, axis);
        const worker::share mine = w.split(out[0]->count);
        for (std::int64_t u = mine.begin; u < mine.end; ++u) {
            const float* p = x.f32() + u / c.inner * c.n * c.inner + u % c.inner;
            std::int64_t best = c.n > 0 ? 0 : -1;
            for (std::int64_t i = 1; i < c.n; ++i) {
                const float a = p[i * c.inner], b = p[best * c.inner];
                if (smallest ? a < b : a > b) best = i;
            }
            out[0]->i32()[u] = static_cast<std::int32_t>(best);
        }
    }
};

// Sums of floats run in double: phases of audio are sums of millions. One unit is a block of lanes.
class cum_sum_step final : public step {
public:
    std::uint32_t axis = 0;
    bool exclusive = false, reverse = false;

    void run(worker& w) override {
        const cut c = cut_of(*in[0], axis);
        const std::int64_t blocks = (c.inner + lanes - 1) / lanes;
        const worker::share mine = w.split(c.outer * blocks);
        for (std::int64_t u = mine.begin; u < mine.end; ++u) {
            const std::int64_t at = u % blocks * lanes;
            const std::int64_t first = u / blocks * c.n * c.inner + at;
            const std::int64_t wide = std::min(lanes, c.inner - at);
            if (in[0]->dtype == RLX_F32)
                sum<double>(in[0]->f32() + first, out[0]->f32() + first, c, wide);
            else
                sum<std::uint32_t>(in[0]->i32() + first, out[0]->i32() + first, c, wide);
        }
    }

private:
    static constexpr std::int64_t lanes = 64;

    template <class Sum, class T>
    void sum(const T* x, T* y, const cut& c, std::int64_t wide) const {
        Sum total[lanes] = {};
        for (std::int64_t k = 0; k < c.n; ++k) {
            const std::int64_t row = (reverse ? c.n - 1 - k : k) * c.inner;
            for (std::int64_t i = 0; i < wide; ++i) {
                const Sum before = total[i];
                total[i] += static_cast<Sum>(x[row + i]);
                y[row + i] = static_cast<T>(exclusive ? before : total[i]);
            }
        }
    }
};

// ---- Random
// ----------------------------------------------------------------------------------------

struct block {
    std::uint32_t w[4];
};

// Philox 4x32-10.
block philox(block counter, std::uint32_t k0, std::uint32_t k1) {
    for (int round = 0; round < 10; ++round) {
        const std::uint64_t a = std::uint64_t{0xD2511F53u} * counter.w[0];
        const std::uint64_t b = std::uint64_t{0xCD9E8D57u} * counter.w[2];
        counter = {
            {static_cast<std::uint32_t>(b >> 32) ^ counter.w[1] ^ k0,
             static_cast<std::uint32_t>(b),
             static_cast<std::uint32_t>(a >> 32) ^ counter.w[3] ^ k1,
             static_cast<std::uint32_t>(a)}};
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return counter;
}

class random_step final : public step {
public:
    bool normal = false;

    void run(worker& w) override {
        const std::uint64_t seed = wide(*in[0]), offset = wide(*in[1]);
        const tensor& y = *out[0];
        const worker::share mine = w.split((y.count + 3) / 4);
        for (std::int64_t b = mine.begin; b < mine.end; ++b) {
            const std::uint64_t at = offset + static_cast<std::uint64_t>(b);
            const block words = philox(
                {{static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(at >> 32), 0, 0}},
                static_cast<std::uint32_t>(seed),
                static_cast<std::uint32_t>(seed >> 32)
            );
            float v[4];
            for (int i = 0; i < 4; ++i)
                v[i] = static_cast<float>(words.w[i] >> 8) * 0x1p-24f;
            if (normal) {
                pair(words.w[0], v[1], v);
                pair(words.w[2], v[3], v + 2);
            }
            const std::int64_t n = std::min<std::int64_t>(4, y.count - 4 * b);
            std::copy(v, v + n, y.f32() + 4 * b);
        }
    }

private:
    static std::uint64_t wide(const tensor& t) {
        return static_cast<std::uint32_t>(t.i32()[0]) |
               std::uint64_t{static_cast<std::uint32_t>(t.i32()[1])} << 32;
    }

    static void pair(std::uint32_t word, float turn, float* to) {
        const double u = (static_cast<double>(word >> 8) + 1.0) * 0x1p-24;
        const double r = std::sqrt(-2.0 * std::log(u));
        const double t = 6.283185307179586477 * static_cast<double>(turn);
        to[0] = static_cast<float>(r * std::cos(t));
        to[1] = static_cast<float>(r * std::sin(t));
    }
};

} // namespace

step_ptr make_sort(const node& n) {
    auto s = std::make_unique<sort_step>();
    s->descending = n.i64(RLX_ATTR_descending) == 1;
    return with_tensors(std::move(s), n);
}

step_ptr make_arg_reduce(const node& n) {
    auto s = std::make_unique<arg_reduce_step>();
    s->axis = axis_of(n);
    s->smallest = n.i64(RLX_ATTR_kind) == RLX_REDUCE_MIN;
    return with_tensors(std::move(s), n);
}

step_ptr make_cum_sum(const node& n) {
    auto s = std::make_unique<cum_sum_step>();
    s->axis = axis_of(n);
    s->exclusive = n.i64(RLX_ATTR_exclusive) == 1;
    s->reverse = n.i64(RLX_ATTR_reverse) == 1;
    return with_tensors(std::move(s), n);
}

step_ptr make_random(const node& n) {
    auto s = std::make_unique<random_step>();
    s->normal = n.i64(RLX_ATTR_kind) == RLX_RANDOM_NORMAL;
    return with_tensors(std::move(s), n);
}

} // namespace rlx::cpu
