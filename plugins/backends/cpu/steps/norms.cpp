// SPDX-License-Identifier: GPL-3.0-only
// Norms with a mean, snake and modulation.
#include "steps/steps.hpp"

#include <algorithm>
#include <cmath>

namespace rlx::cpu {

namespace {

const float* floats(const std::vector<const tensor*>& in, std::size_t i) {
    return i < in.size() && in[i] ? in[i]->f32() : nullptr;
}

class layer_norm_step final : public step {
public:
    float eps = 0;

    status resize(program&) override {
        row_units = in[0]->rows();
        return {};
    }

    void run(worker& w) override {
        const tensor& x = *in[0];
        const std::int64_t n = x.last();
        const worker::share mine = w.split(n > 0 ? row_units : 0);
        for (std::int64_t r = mine.begin; r < mine.end; ++r) {
            const float* row = x.f32() + row_offset(x, r);
            w.k().layer_norm(out[0]->f32() + r * n, row, floats(in, 1), floats(in, 2), eps, n);
        }
    }
};

// x [N, C, ...] in order: a group is one run of memory. One unit is a group of a sample.
class group_norm_step final : public step {
public:
    std::int64_t groups = 1;
    float eps = 0;

    void run(worker& w) override {
        const tensor& x = *in[0];
        if (x.count == 0) return;
        const std::int64_t channels = x.dim[1], run = channels / groups;
        const std::int64_t each = x.count / (x.dim[0] * channels);
        const float *weight = floats(in, 1), *bias = floats(in, 2);
        const worker::share mine = w.split(x.dim[0] * groups);
        for (std::int64_t u = mine.begin; u < mine.end; ++u) {
            const std::int64_t first = u % groups * run;
            const float* from = x.f32() + u * run * each;
            float* to = out[0]->f32() + u * run * each;
            float mean, var;
            w.k().moments(from, run * each, &mean, &var);
            const float r = 1.0f / std::sqrt(var + eps);
            for (std::int64_t c = 0; c < run; ++c) {
                const float scale = weight ? r * weight[first + c] : r;
                const float shift = (bias ? bias[first + c] : 0.0f) - mean * scale;
                w.k().affine(to + c * each, from + c * each, each, scale, shift);
            }
        }
    }
};

// One unit is a piece of a channel of a sample.
class snake_step final : public step {
public:
    bool log = false;
    float eps = 0;

    void run(worker& w) override {
        constexpr std::int64_t piece = 4096;
        const tensor& x = *in[0];
        if (x.count == 0) return;
        const std::int64_t channels = x.dim[1], each = x.count / (x.dim[0] * channels);
        const std::int64_t pieces = (each + piece - 1) / piece;
        const float *alpha = floats(in, 1), *beta = floats(in, 2) ? floats(in, 2) : alpha;
        const worker::share mine = w.split(x.dim[0] * channels * pieces);
        for (std::int64_t u = mine.begin; u < mine.end; ++u) {
            const std::int64_t row = u / pieces, at = u % pieces * piece, c = row % channels;
            const float a = log ? std::exp(alpha[c]) : alpha[c];
            const float b = log ? std::exp(beta[c]) : beta[c];
            const std::int64_t from = row * each + at;
            w.k().snake(
                out[0]->f32() + from,
                x.f32() + from,
                std::min(piece, each - at),
                a,
                1.0f / (b + eps)
            );
        }
    }
};

class modulate_step final : public step {
public:
    status resize(program&) override {
        row_units = in[0]->rows();
        return {};
    }

    void run(worker& w) override {
        const tensor& x = *in[0];
        const std::int64_t n = x.last();
        const worker::share mine = w.split(row_units);
        for (std::int64_t r = mine.begin; r < mine.end; ++r) {
            const modulation m{row(1, r), row(2, r), row(3, r), row(4, r)};
            w.k().modulate(out[0]->f32() + r * n, x.f32() + row_offset(x, r), m, n);
        }
    }

private:
    // The row of operand i that x's row r meets, or null.
    const float* row(std::size_t i, std::int64_t r) const {
        if (i >= in.size() || !in[i]) return nullptr;
        const tensor &x = *in[0], &t = *in[i];
        std::int64_t at = 0;
        for (std::uint32_t k = 1; k < x.rank; ++k) {
            const std::uint32_t axis = x.rank - 1 - k;
            if (k < t.rank && t.dim[t.rank - 1 - k] != 1)
                at += r % x.dim[axis] * t.stride[t.rank - 1 - k];
            r /= x.dim[axis];
        }
        return t.f32() + at;
    }
};

} // namespace

step_ptr make_layer_norm(const node& n) {
    auto s = std::make_unique<layer_norm_step>();
    s->eps = n.f32(RLX_ATTR_eps);
    return with_tensors(std::move(s), n);
}

step_ptr make_group_norm(const node& n) {
    auto s = std::make_unique<group_norm_step>();
    s->groups = n.i64(RLX_ATTR_groups, 1);
    s->eps = n.f32(RLX_ATTR_eps);
    return with_tensors(std::move(s), n);
}

step_ptr make_snake(const node& n) {
    auto s = std::make_unique<snake_step>();
    s->log = n.i64(RLX_ATTR_log) == 1;
    s->eps = n.f32(RLX_ATTR_eps, 1e-9);
    return with_tensors(std::move(s), n);
}

step_ptr make_modulate(const node& n) {
    return with_tensors(std::make_unique<modulate_step>(), n);
}

} // namespace rlx::cpu
