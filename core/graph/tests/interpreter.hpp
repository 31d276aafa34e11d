// SPDX-License-Identifier: GPL-3.0-only
// Runs a graph in double precision, one scalar at a time, straight from the text of ops.def.
// Composites are computed from their definition, not from their decomposition. With use_arena,
// values live where the plan put them: one double per byte of arena, so that values that overlap
// destroy each other.
#pragma once

#include "net.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <numeric>

namespace rlx::test {

class interpreter {
public:
    interpreter(const ir::module& m, std::vector<std::int64_t> extents, bool use_arena = false)
        : m_(m), extents_(std::move(extents)), use_arena_(use_arena) {
        if (use_arena_) arena_.assign(m.scratch_bytes, poison);
    }

    static constexpr double poison = std::numeric_limits<double>::quiet_NaN();

    void set(rlx_value v, std::vector<double> data) { own_[v] = std::move(data); }

    // Row-major elements of any value that was computed or set.
    std::vector<double> get(rlx_value v) {
        const tensor t = open(v);
        std::vector<double> out;
        for (std::int64_t i = 0; i < t.count(); i++)
            out.push_back(t.at(i));
        return out;
    }

    void run() {
        for (const ir::node& n : m_.nodes)
            run_node(n);
    }

private:
    struct tensor {
        std::vector<std::int64_t> dims, strides;
        std::int64_t offset = 0;
        double* cells = nullptr;
        std::int64_t step = 1; // cells per element

        std::int64_t count() const {
            return std::accumulate(dims.begin(), dims.end(), std::int64_t{1}, std::multiplies<>());
        }

        std::vector<std::int64_t> index(std::int64_t i) const {
            std::vector<std::int64_t> at(dims.size());
            for (std::size_t k = dims.size(); k-- > 0; i /= dims[k])
                at[k] = i % dims[k];
            return at;
        }

        double& operator[](const std::vector<std::int64_t>& at) const {
            std::int64_t e = offset;
            for (std::size_t k = 0; k < at.size(); k++)
                e += at[k] * strides[k];
            return cells[e * step];
        }

        double& at(std::int64_t i) const { return (*this)[index(i)]; }

        // numpy broadcasting: `at` of the result, aligned at the end.
        double from(const std::vector<std::int64_t>& at) const {
            std::vector<std::int64_t> own(dims.size());
            for (std::size_t k = 0; k < own.size(); k++)
                own[k] = dims[k] == 1 ? 0 : at[at.size() - own.size() + k];
            return (*this)[own];
        }
    };

    std::vector<std::int64_t> eval(const std::vector<dim>& dims) const {
        std::vector<std::int64_t> v(dims.size());
        EXPECT_TRUE(is_ok(m_.dims.evaluate(extents_, dims, v)));
        return v;
    }

    tensor open(rlx_value id) {
        const ir::value& v = m_.at(id);
        const ir::value& root = m_.at(v.root);
        tensor t{eval(v.dims), eval(v.strides), eval({v.offset})[0], nullptr, 1};
        if (use_arena_ && root.kind == RLX_VALUE_TEMP && !root.is_output) {
            t.cells = arena_.data() + root.scratch_offset;
            t.step = root.dtype == RLX_BOOL ? 1 : 4;
            return t;
        }
        if (root.kind == RLX_VALUE_CONSTANT && own_.count(v.root) == 0)
            own_[v.root] = constant(root);
        std::vector<double>& memory = own_[v.root];
        if (memory.empty()) {
            const auto dims = eval(root.dims);
            memory.assign(
                static_cast<std::size_t>(
                    std::accumulate(dims.begin(), dims.end(), std::int64_t{1}, std::multiplies<>())
                ) + 1,
                poison
            );
        }
        t.cells = memory.data();
        return t;
    }

    static std::vector<double> constant(const ir::value& v) {
        std::vector<double> out(v.data.size() / 4);
        for (std::size_t i = 0; i < out.size(); i++) {
            float f = 0;
            std::int32_t n = 0;
            std::memcpy(v.dtype == RLX_F32 ? static_cast<void*>(&f) : &n, v.data.data() + i * 4, 4);
            out[i] = v.dtype == RLX_F32 ? static_cast<double>(f) : n;
        }
        return out;
    }

    template <class Fn>
    static void each(const tensor& out, Fn fn) {
        for (std::int64_t i = 0; i < out.count(); i++) {
            const auto at = out.index(i);
            out[at] = fn(at);
        }
    }

    static double unary(std::int64_t kind, double x) {
        switch (kind) {
        case RLX_UNARY_NEG: return -x;
        case RLX_UNARY_ABS: return std::fabs(x);
        case RLX_UNARY_EXP: return std::exp(x);
        case RLX_UNARY_LOG: return std::log(x);
        case RLX_UNARY_SQRT: return std::sqrt(x);
        case RLX_UNARY_RSQRT: return 1 / std::sqrt(x);
        case RLX_UNARY_RECIPROCAL: return 1 / x;
        case RLX_UNARY_SIN: return std::sin(x);
        case RLX_UNARY_COS: return std::cos(x);
        case RLX_UNARY_TANH: return std::tanh(x);
        case RLX_UNARY_SIGMOID: return 1 / (1 + std::exp(-x));
        case RLX_UNARY_SILU: return x / (1 + std::exp(-x));
        case RLX_UNARY_GELU: return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
        case RLX_UNARY_GELU_TANH:
            return 0.5 * x *
                   (1 + std::tanh(std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x)));
        default: return std::max(x, 0.0);
        }
    }

    static double binary(std::int64_t kind, double a, double b) {
        switch (kind) {
        case RLX_BINARY_ADD: return a + b;
        case RLX_BINARY_SUB: return a - b;
        case RLX_BINARY_MUL: return a * b;
        case RLX_BINARY_DIV: return a / b;
        case RLX_BINARY_MAX: return std::max(a, b);
        case RLX_BINARY_MIN: return std::min(a, b);
        default: return std::pow(a, b);
        }
    }

    static bool compare(std::int64_t kind, double a, double b) {
        switch (kind) {
        case RLX_COMPARE_EQ: return a == b;
        case RLX_COMPARE_NE: return a != b;
        case RLX_COMPARE_LT: return a < b;
        case RLX_COMPARE_LE: return a <= b;
        case RLX_COMPARE_GT: return a > b;
        default: return a >= b;
        }
    }

    static double glu(std::int64_t kind, double gate, double up) {
        switch (kind) {
        case RLX_GLU_SWIGLU: return gate / (1 + std::exp(-gate)) * up;
        case RLX_GLU_GEGLU_TANH: return unary(RLX_UNARY_GELU_TANH, gate) * up;
        case RLX_GLU_GEGLU_ERF: return gate * std::erfc(-gate / std::sqrt(2.0)) / 2 * up;
        case RLX_GLU_REGLU: return (gate > 0 ? gate : 0) * up;
        default: return up / (1 + std::exp(-gate));
        }
    }

    // The entries of x along `axis` through `at`.
    static std::vector<double>
    line(const tensor& x, std::vector<std::int64_t> at, std::size_t axis) {
        std::vector<double> v;
        for (at[axis] = 0; at[axis] < x.dims[axis]; at[axis]++)
            v.push_back(x[at]);
        return v;
    }

    static std::vector<double> softmax(std::vector<double> v) {
        double top = -HUGE_VAL, sum = 0;
        for (double x : v)
            top = std::max(top, x);
        for (double& x : v)
            sum += x = x == -HUGE_VAL ? 0 : std::exp(x - top);
        for (double& x : v)
            x = sum == 0 ? 0 : x / sum;
        return v;
    }

    // Indices of the k largest, ties by index.
    static std::vector<std::size_t> top(const std::vector<double>& v, std::size_t k) {
        std::vector<std::size_t> order(v.size());
        std::iota(order.begin(), order.end(), 0);
        std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
            return v[a] > v[b];
        });
        order.resize(k);
        return order;
    }

    static double reduce(std::int64_t kind, const std::vector<double>& v) {
        double r = kind == RLX_REDUCE_PROD  ? 1
                   : kind == RLX_REDUCE_MAX ? -HUGE_VAL
                   : kind == RLX_REDUCE_MIN ? HUGE_VAL
                                            : 0;
        for (double x : v) {
            if (kind == RLX_REDUCE_PROD)
                r *= x;
            else if (kind == RLX_REDUCE_MAX)
                r = std::max(r, x);
            else if (kind == RLX_REDUCE_MIN)
                r = std::min(r, x);
            else
                r += kind == RLX_REDUCE_L2 ? x * x : x;
        }
        if (kind == RLX_REDUCE_MEAN) return v.empty() ? 0 : r / static_cast<double>(v.size());
        return kind == RLX_REDUCE_L2 ? std::sqrt(r) : r;
    }

    static std::size_t size(std::int64_t i) { return static_cast<std::size_t>(i); }

    void run_node(const ir::node& n) {
        const op_desc& op = *op_info(n.op);
        if (op.kind == op_kind::view) return;
        std::vector<tensor> x;
        for (rlx_value v : n.in)
            x.push_back(v ? open(v) : tensor{});
        std::vector<tensor> y;
        for (rlx_value v : n.out)
            y.push_back(open(v));
        if (elementwise(n, x, y[0])) return;
        for (const tensor& t : y)
            each(t, [](const auto&) { return poison; });
        if (!structural(n, x, y) && !composite(n, x, y) && !block(n, x, y[0]))
            ADD_FAILURE() << "interpreter lacks " << op.name;
    }

    // Element i of the output from element i of the inputs, one after the other: what in-place
    // needs.
    bool elementwise(const ir::node& n, const std::vector<tensor>& x, const tensor& y) {
        const std::int64_t kind = n.attrs.i64(RLX_ATTR_kind);
        const auto f = [&](std::uint32_t key) { return n.attrs.f64(key); };
        switch (n.op) {
        case RLX_OP_Unary:
            each(y, [&](const auto& at) { return unary(kind, x[0].from(at)); });
            return true;
        case RLX_OP_Binary:
            each(y, [&](const auto& at) { return binary(kind, x[0].from(at), x[1].from(at)); });
            return true;
        case RLX_OP_Compare:
            each(y, [&](const auto& at) {
                return compare(kind, x[0].from(at), x[1].from(at)) ? 1.0 : 0.0;
            });
            return true;
        case RLX_OP_Select:
            each(y, [&](const auto& at) {
                return x[0].from(at) != 0 ? x[1].from(at) : x[2].from(at);
            });
            return true;
        case RLX_OP_Clamp:
            each(y, [&](const auto& at) {
                return std::min(std::max(x[0].from(at), f(RLX_ATTR_lo)), f(RLX_ATTR_hi));
            });
            return true;
        case RLX_OP_Affine:
            each(y, [&](const auto& at) {
                return x[0].from(at) * f(RLX_ATTR_scale) + f(RLX_ATTR_shift);
            });
            return true;
        case RLX_OP_Glu:
            each(y, [&](const auto& at) { return glu(kind, x[0].from(at), x[1].from(at)); });
            return true;
        default: return false;
        }
    }

    bool structural(const ir::node& n, const std::vector<tensor>& x, const std::vector<tensor>& y) {
        const std::size_t axis = size(n.attrs.i64(RLX_ATTR_axis));
        switch (n.op) {
        case RLX_OP_Copy:
        case RLX_OP_Cast: each(y[0], [&](const auto& at) { return x[0][at]; }); return true;
        case RLX_OP_Fill:
            each(y[0], [&](const auto&) { return n.attrs.f64(RLX_ATTR_value); });
            return true;
        case RLX_OP_Arange:
            each(y[0], [&](const auto& at) { return static_cast<double>(at[0]); });
            return true;
        case RLX_OP_Concat:
            each(y[0], [&](std::vector<std::int64_t> at) {
                std::size_t part = 0;
                while (at[axis] >= x[part].dims[axis])
                    at[axis] -= x[part++].dims[axis];
                return x[part][at];
            });
            return true;
        case RLX_OP_GatherRows:
            each(y[0], [&](const auto& at) {
                const auto split = at.begin() + static_cast<std::ptrdiff_t>(x[1].dims.size());
                std::vector<std::int64_t> row(split, at.end());
                row.insert(row.begin(), static_cast<std::int64_t>(x[1][{at.begin(), split}]));
                return x[0][row];
            });
            return true;
        case RLX_OP_TakeAlong:
            each(y[0], [&](std::vector<std::int64_t> at) {
                at[axis] = static_cast<std::int64_t>(x[1][at]);
                return x[0][at];
            });
            return true;
        case RLX_OP_Reduce:
            each(y[0], [&](std::vector<std::int64_t> at) {
                if (!n.attrs.i64(RLX_ATTR_keep))
                    at.insert(at.begin() + static_cast<std::ptrdiff_t>(axis), 0);
                return reduce(n.attrs.i64(RLX_ATTR_kind), line(x[0], at, axis));
            });
            return true;
        case RLX_OP_TopK: top_k(x[0], y[0], y[1]); return true;
        case RLX_OP_MatMul:
            each(y[0], [&](std::vector<std::int64_t> at) {
                const std::int64_t out = at.back();
                double sum = x.size() > 2 ? x[2][{out}] : 0;
                for (std::int64_t k = 0; k < x[1].dims[1]; k++) {
                    at.back() = k;
                    sum += x[0][at] * x[1][{out, k}];
                }
                return sum;
            });
            return true;
        case RLX_OP_GroupedMatMul:
            each(y[0], [&](const std::vector<std::int64_t>& at) {
                const auto e = static_cast<std::int64_t>(x[2][{at[0], at[1]}]);
                double sum = 0;
                for (std::int64_t k = 0; k < x[1].dims[2]; k++)
                    sum += (x[0].dims.size() == 3 ? x[0][{at[0], at[1], k}] : x[0][{at[0], k}]) *
                           x[1][{e, at[2], k}];
                return sum;
            });
            return true;
        default: return false;
        }
    }

    static void top_k(const tensor& x, const tensor& values, const tensor& ids) {
        const std::size_t k = size(values.dims.back());
        each(values, [&](const std::vector<std::int64_t>& at) {
            const std::vector<double> row = line(x, at, at.size() - 1);
            const std::size_t best = top(row, k)[size(at.back())];
            ids[at] = static_cast<double>(best);
            return row[best];
        });
    }

    bool composite(const ir::node& n, const std::vector<tensor>& x, const std::vector<tensor>& y) {
        const std::size_t axis = size(n.attrs.i64(RLX_ATTR_axis));
        switch (n.op) {
        case RLX_OP_Softmax:
            each(y[0], [&](const auto& at) {
                return softmax(line(x[0], at, axis))[size(at[axis])];
            });
            return true;
        case RLX_OP_RmsNorm:
            each(y[0], [&](const auto& at) {
                double sum = 0;
                for (double v : line(x[0], at, at.size() - 1))
                    sum += v * v;
                const double mean = sum / static_cast<double>(x[0].dims.back());
                const double w =
                    x.size() > 1 ? x[1][{at.back()}] + n.attrs.f64(RLX_ATTR_weight_offset) : 1;
                return x[0][at] / std::sqrt(mean + n.attrs.f64(RLX_ATTR_eps)) * w;
            });
            return true;
        case RLX_OP_MoeRoute: moe_route(n, x[0], y[0], y[1]); return true;
        case RLX_OP_MoeCombine:
            each(y[0], [&](const auto& at) {
                double sum = 0;
                for (std::int64_t k = 0; k < x[1].dims[1]; k++)
                    sum += x[1][{at[0], k}] * x[0][{at[0], k, at[1]}];
                return sum;
            });
            return true;
        case RLX_OP_Rope: rope(n, x[0], x[1], y[0]); return true;
        default: return false;
        }
    }

    static void
    moe_route(const ir::node& n, const tensor& x, const tensor& weights, const tensor& ids) {
        each(weights, [&](const std::vector<std::int64_t>& at) {
            const std::vector<double> p = softmax(line(x, at, 1));
            const std::vector<std::size_t> best = top(p, size(weights.dims[1]));
            double sum = 0;
            for (std::size_t i : best)
                sum += p[i];
            ids[at] = static_cast<double>(best[size(at[1])]);
            double w = p[best[size(at[1])]];
            if (n.attrs.i64(RLX_ATTR_normalise)) w = sum == 0 ? 0 : w / sum;
            return w * n.attrs.f64(RLX_ATTR_scale, 1);
        });
    }

    static void rope(const ir::node& n, const tensor& x, const tensor& table, const tensor& y) {
        const std::int64_t width = table.dims[1], half = width / 2;
        const bool interleaved = n.attrs.i64(RLX_ATTR_pairing) == 1;
        each(y, [&](std::vector<std::int64_t> at) {
            const std::int64_t i = at[2];
            if (i >= width) return x[at];
            const std::int64_t j = interleaved ? i / 2 : i % half;
            const bool second = interleaved ? i % 2 == 1 : i >= half;
            const double cos = table[{at[0], j}], sin = table[{at[0], half + j}];
            const double self = x[at];
            at[2] = interleaved ? i ^ 1 : (second ? i - half : i + half);
            return second ? self * cos + x[at] * sin : self * cos - x[at] * sin;
        });
    }

    using index = std::vector<std::int64_t>;

    // Ops of encoders, image decoders and codecs.
    static bool block(const ir::node& n, const std::vector<tensor>& x, const tensor& y) {
        switch (n.op) {
        case RLX_OP_BatchMatMul: batch_matmul(x[0], x[1], y); return true;
        case RLX_OP_LayerNorm:
            each(y, [&](const index& at) {
                const double v = normed(line(x[0], at, at.size() - 1), n, x[0][at]);
                return v * (given(x, 1) ? x[1][{at.back()}] : 1) +
                       (given(x, 2) ? x[2][{at.back()}] : 0);
            });
            return true;
        case RLX_OP_GroupNorm:
            each(y, [&](const index& at) {
                const double v = normed(group_of(n, x[0], at), n, x[0][at]);
                return v * (given(x, 1) ? x[1][{at[1]}] : 1) + (given(x, 2) ? x[2][{at[1]}] : 0);
            });
            return true;
        case RLX_OP_Snake:
            each(y, [&](const index& at) {
                const bool log = n.attrs.i64(RLX_ATTR_log) == 1;
                double a = x[1][{at[1]}], b = given(x, 2) ? x[2][{at[1]}] : a;
                if (log) a = std::exp(a), b = std::exp(b);
                const double s = std::sin(a * x[0][at]);
                return x[0][at] + s * s / (b + n.attrs.f64(RLX_ATTR_eps, 1e-9));
            });
            return true;
        case RLX_OP_Modulate:
            each(y, [&](const index& at) {
                double v = x[0][at];
                if (given(x, 1)) v *= 1 + x[1].from(at);
                if (given(x, 2)) v += x[2].from(at);
                if (given(x, 3)) v *= x[3].from(at);
                return v + (given(x, 4) ? x[4][at] : 0);
            });
            return true;
        case RLX_OP_Attention: attention(n, x, y); return true;
        default: return false;
        }
    }

    static bool given(const std::vector<tensor>& x, std::size_t i) {
        return i < x.size() && x[i].cells != nullptr;
    }

    static double normed(const std::vector<double>& row, const ir::node& n, double v) {
        double mean = 0, var = 0;
        for (double r : row)
            mean += r / static_cast<double>(row.size());
        for (double r : row)
            var += (r - mean) * (r - mean) / static_cast<double>(row.size());
        return (v - mean) / std::sqrt(var + n.attrs.f64(RLX_ATTR_eps));
    }

    static std::vector<double> group_of(const ir::node& n, const tensor& x, const index& at) {
        const std::int64_t run = x.dims[1] / n.attrs.i64(RLX_ATTR_groups);
        std::vector<double> v;
        for (std::int64_t i = 0; i < x.count(); i++) {
            const index j = x.index(i);
            if (j[0] == at[0] && j[1] / run == at[1] / run) v.push_back(x[j]);
        }
        return v;
    }

    static void batch_matmul(const tensor& a, const tensor& b, const tensor& y) {
        const auto row = [](const tensor& t, const index& at, std::int64_t r) {
            index own(t.dims.size());
            const std::size_t skip = at.size() - own.size();
            for (std::size_t k = 0; k + 2 < own.size(); k++)
                own[k] = t.dims[k] == 1 ? 0 : at[skip + k];
            own[own.size() - 2] = r;
            return line(t, own, own.size() - 1);
        };
        each(y, [&](const index& at) {
            const auto u = row(a, at, at[at.size() - 2]), v = row(b, at, at.back());
            return std::inner_product(u.begin(), u.end(), v.begin(), 0.0);
        });
    }

    static void attention(const ir::node& n, const std::vector<tensor>& x, const tensor& y) {
        const std::int64_t tq = x[0].dims[1], tk = x[1].dims[1],
                           group = x[0].dims[2] / x[1].dims[2];
        const std::int64_t window = n.attrs.i64(RLX_ATTR_window);
        const double cap = n.attrs.f64(RLX_ATTR_softcap);
        each(y, [&](const index& at) {
            const auto q = line(x[0], {at[0], at[1], at[2], 0}, 3);
            const std::int64_t position = at[1] + tk - tq;
            std::vector<double> s;
            for (std::int64_t j = 0; j < tk; j++) {
                const auto k = line(x[1], {at[0], j, at[2] / group, 0}, 3);
                double v = std::inner_product(q.begin(), q.end(), k.begin(), 0.0) *
                           n.attrs.f64(RLX_ATTR_scale);
                if (cap > 0) v = cap * std::tanh(v / cap);
                if (given(x, 3)) v += x[3].from({at[0], at[2], at[1], j});
                const bool hidden = j > position || (window > 0 && position - j >= window);
                s.push_back(n.attrs.i64(RLX_ATTR_causal) && hidden ? -HUGE_VAL : v);
            }
            s = softmax(s);
            double sum = 0;
            for (std::int64_t j = 0; j < tk; j++)
                sum += s[size(j)] * x[2][{at[0], j, at[2] / group, at[3]}];
            return sum;
        });
    }

    const ir::module& m_;
    std::vector<std::int64_t> extents_;
    bool use_arena_;
    std::vector<double> arena_;
    std::map<rlx_value, std::vector<double>> own_;
};

} // namespace rlx::test
