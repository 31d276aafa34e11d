// SPDX-License-Identifier: GPL-3.0-only
// Every op through the executor against plain loops written here: strided views, broadcasting, zero
// sizes, ties, every tier.
#include "net.hpp"

#include <cmath>
#include <functional>
#include <numeric>

using namespace rlx;
using namespace rlx::cpu_test;

namespace {

using shape = std::vector<dim>;

std::size_t count(const shape& s) {
    return static_cast<std::size_t>(std::accumulate(s.begin(), s.end(), dim{1}, std::multiplies<>())
    );
}

// Index of element i of shape s along each axis.
shape unravel(std::size_t i, const shape& s) {
    shape at(s.size());
    for (std::size_t a = s.size(); a-- > 0;) {
        at[a] = static_cast<dim>(i) % s[a];
        i /= static_cast<std::size_t>(s[a]);
    }
    return at;
}

std::size_t ravel(const shape& at, const shape& s) {
    std::size_t i = 0;
    for (std::size_t a = 0; a < s.size(); ++a)
        i = i * static_cast<std::size_t>(s[a]) + static_cast<std::size_t>(at[a]);
    return i;
}

struct array {
    shape dims;
    std::vector<float> v;

    float operator()(const shape& at) const { return v[ravel(at, dims)]; }

    array permuted(const shape& perm) const {
        array r;
        for (dim p : perm)
            r.dims.push_back(dims[static_cast<std::size_t>(p)]);
        for (std::size_t i = 0; i < v.size(); ++i) {
            const shape to = unravel(i, r.dims);
            shape from(dims.size());
            for (std::size_t a = 0; a < perm.size(); ++a)
                from[static_cast<std::size_t>(perm[a])] = to[a];
            r.v.push_back((*this)(from));
        }
        return r;
    }

    array sliced(std::size_t axis, dim start, dim stop) const {
        array r{dims, {}};
        r.dims[axis] = stop - start;
        for (std::size_t i = 0; i < count(r.dims); ++i) {
            shape at = unravel(i, r.dims);
            at[axis] += start;
            r.v.push_back((*this)(at));
        }
        return r;
    }

    // Numpy broadcasting to a larger shape.
    array spread(const shape& to) const {
        array r{to, {}};
        for (std::size_t i = 0; i < count(to); ++i) {
            const shape at = unravel(i, to);
            shape from(dims.size());
            for (std::size_t a = 0; a < dims.size(); ++a) {
                from[a] = dims[a] == 1 ? 0 : at[a + to.size() - dims.size()];
            }
            r.v.push_back((*this)(from));
        }
        return r;
    }
};

array random_array(const shape& s, std::uint32_t seed, float lo = -2, float hi = 2) {
    return {s, numbers(count(s), seed, lo, hi)};
}

class ops : public tier_test {
protected:
    setup how() const { return {GetParam(), true, "f32", "f32", 16}; }

    rlx_value in(net& n, const array& a) {
        const rlx_value v = n.in("in" + std::to_string(inputs_.size()), RLX_F32, a.dims);
        inputs_.emplace_back(v, a.v);
        return v;
    }

    rlx_value in_i32(net& n, const shape& s, const std::vector<std::int32_t>& data) {
        const rlx_value v = n.in("ids" + std::to_string(ids_.size()), RLX_I32, s);
        ids_.emplace_back(v, data);
        return v;
    }

    // Runs a graph without symbols; the error's text, or empty.
    std::string run(net& n, const std::map<rlx_value, std::size_t>& outputs) {
        x_ = std::make_unique<session>(n, how());
        if (!x_->error.empty()) return x_->error;
        for (auto& [v, data] : inputs_)
            x_->set(v, data);
        for (auto& [v, data] : ids_)
            x_->set(v, data);
        inputs_.clear();
        ids_.clear();
        return x_->run({}, outputs);
    }

    // The one f32 output of a graph.
    std::vector<float> result_of(net& n, rlx_value v, std::size_t size) {
        n.output("out", v);
        const std::string e = run(n, {{v, size}});
        EXPECT_EQ(e, "");
        return e.empty() ? x_->f32(v) : std::vector<float>();
    }

    void expect_near(
        const std::vector<float>& got, const std::vector<float>& want, double limit = 2e-6
    ) {
        EXPECT_LE(distance(got, want), limit);
    }

    session& x() { return *x_; }

private:
    std::unique_ptr<session> x_;
    std::vector<std::pair<rlx_value, std::vector<float>>> inputs_;
    std::vector<std::pair<rlx_value, std::vector<std::int32_t>>> ids_;
};

attr kind(int k) {
    return {RLX_ATTR_kind, k};
}

attr axis(int a) {
    return {RLX_ATTR_axis, a};
}

} // namespace

TEST_P(ops, elementwise_ops_follow_strided_views) {
    const array x = random_array({3, 5, 70}, 1);
    for (const shape& perm : {shape{0, 1, 2}, shape{2, 1, 0}, shape{1, 0, 2}, shape{0, 2, 1}}) {
        net n;
        const rlx_value v = n.add(RLX_OP_Permute, {in(n, x)}, {{RLX_ATTR_perm, perm}});
        array want = x.permuted(perm);
        for (float& f : want.v)
            f = f * 1.5f + 0.25f;
        const rlx_value y =
            n.add(RLX_OP_Affine, {v}, {{RLX_ATTR_scale, 1.5}, {RLX_ATTR_shift, 0.25}});
        expect_near(result_of(n, y, want.v.size()), want.v);
    }
    net n;
    const rlx_value v =
        n.add(RLX_OP_Slice, {in(n, x)}, {axis(2), {RLX_ATTR_start, 3}, {RLX_ATTR_stop, 69}});
    array want = x.sliced(2, 3, 69);
    for (float& f : want.v)
        f = std::max(f, 0.0f);
    expect_near(
        result_of(n, n.add(RLX_OP_Unary, {v}, {kind(RLX_UNARY_RELU)}), want.v.size()), want.v
    );
    net m;
    const array row = random_array({1, 5, 1}, 2);
    const rlx_value wide = m.add(RLX_OP_Broadcast, {in(m, row)}, {{RLX_ATTR_dims, shape{4, 5, 6}}});
    want = row.spread({4, 5, 6});
    for (float& f : want.v)
        f = std::clamp(f, -1.0f, 0.5f);
    const rlx_value y = m.add(RLX_OP_Clamp, {wide}, {{RLX_ATTR_lo, -1.0}, {RLX_ATTR_hi, 0.5}});
    expect_near(result_of(m, y, want.v.size()), want.v, 0);
}

TEST_P(ops, binary_broadcasts_like_numpy) {
    const std::pair<shape, shape> cases[] = {
        {{2, 3, 5}, {5}},
        {{2, 1, 5}, {1, 3, 1}},
        {{7}, {1}},
        {{1}, {4, 2}},
        {{2, 3000}, {2, 1}},
        {{3, 1}, {1, 33}},
        {{6, 4}, {6, 4}},
    };
    for (const auto& [sa, sb] : cases) {
        const array a = random_array(sa, 3, 0.5f, 2), b = random_array(sb, 4, 0.5f, 2);
        shape out(std::max(sa.size(), sb.size()), 1);
        for (const shape& s : {sa, sb}) {
            for (std::size_t i = 0; i < s.size(); ++i) {
                dim& d = out[i + out.size() - s.size()];
                d = std::max(d, s[i]);
            }
        }
        const array wa = a.spread(out), wb = b.spread(out);
        for (int k : {RLX_BINARY_SUB, RLX_BINARY_DIV, RLX_BINARY_POW}) {
            net n;
            std::vector<float> want;
            for (std::size_t i = 0; i < wa.v.size(); ++i) {
                want.push_back(
                    k == RLX_BINARY_SUB   ? wa.v[i] - wb.v[i]
                    : k == RLX_BINARY_DIV ? wa.v[i] / wb.v[i]
                                          : std::pow(wa.v[i], wb.v[i])
                );
            }
            expect_near(
                result_of(n, n.add(RLX_OP_Binary, {in(n, a), in(n, b)}, {kind(k)}), want.size()),
                want
            );
        }
    }
}

TEST_P(ops, integers_compare_and_select) {
    const std::vector<std::int32_t> a{7, -7, 2147483647, 5, 0, -3}, b{2, 2, 1, 0, 4, -3};
    const std::vector<std::int32_t> quotient{3, -3, 2147483647, 0, 0, 1},
        sum{9, -5, INT32_MIN, 5, 4, -6};
    net n;
    const rlx_value x = in_i32(n, {6}, a), y = in_i32(n, {6}, b);
    const rlx_value q = n.output("q", n.add(RLX_OP_Binary, {x, y}, {kind(RLX_BINARY_DIV)}));
    const rlx_value s = n.output("s", n.add(RLX_OP_Binary, {x, y}, {kind(RLX_BINARY_ADD)}));
    const rlx_value less = n.add(RLX_OP_Compare, {x, y}, {kind(RLX_COMPARE_LE)});
    const rlx_value pick = n.output("p", n.add(RLX_OP_Select, {less, x, y}));
    ASSERT_EQ(run(n, {{q, 6}, {s, 6}, {pick, 6}}), "");
    EXPECT_EQ(this->x().i32(q), quotient);
    EXPECT_EQ(this->x().i32(s), sum);
    EXPECT_EQ(this->x().i32(pick), (std::vector<std::int32_t>{2, -7, 1, 0, 0, -3}));
}

TEST_P(ops, casts_truncate_saturate_and_round) {
    const std::vector<float> f{1.9f, -1.9f, 3e9f, -3e9f, NAN, 0.0f, 65520.0f, 1e-8f};
    net n;
    const rlx_value x = in(n, {{8}, f});
    const auto cast = [&](rlx_value v, std::uint16_t to) {
        return n.add(RLX_OP_Cast, {v}, {{RLX_ATTR_dtype, int{to}}});
    };
    const rlx_value i = n.output("i", cast(x, RLX_I32));
    const rlx_value h = n.output("h", cast(cast(x, RLX_F16), RLX_F32));
    const rlx_value b = n.output("b", cast(cast(x, RLX_BF16), RLX_F32));
    const rlx_value t = n.output("t", cast(cast(x, RLX_BOOL), RLX_I32));
    const rlx_value u = n.output("u", cast(cast(x, RLX_U8), RLX_F32));
    ASSERT_EQ(run(n, {{i, 8}, {h, 8}, {b, 8}, {t, 8}, {u, 8}}), "");
    EXPECT_EQ(
        this->x().i32(i), (std::vector<std::int32_t>{1, -1, INT32_MAX, INT32_MIN, 0, 0, 65520, 0})
    );
    EXPECT_EQ(this->x().f32(h)[6], INFINITY);
    EXPECT_EQ(this->x().f32(h)[0], static_cast<float>(static_cast<_Float16>(1.9f)));
    EXPECT_NEAR(this->x().f32(b)[0], 1.9, 1.9 / 256);
    EXPECT_TRUE(std::isnan(this->x().f32(b)[4]));
    EXPECT_EQ(this->x().i32(t), (std::vector<std::int32_t>{1, 1, 1, 1, 1, 0, 1, 1}));
    EXPECT_EQ(this->x().f32(u), (std::vector<float>{1, 0, 255, 0, 0, 0, 255, 0}));
}

TEST_P(ops, copy_and_concat_take_views_on_every_axis) {
    const array x = random_array({4, 3, 6}, 5), y = random_array({4, 3, 6}, 6);
    for (int a = 0; a < 3; ++a) {
        net n;
        const array px = x.permuted({2, 1, 0}),
                    sy = y.permuted({2, 1, 0}).sliced(static_cast<std::size_t>(a), 1, 3);
        const rlx_value vx = n.add(RLX_OP_Permute, {in(n, x)}, {{RLX_ATTR_perm, shape{2, 1, 0}}});
        rlx_value vy = n.add(RLX_OP_Permute, {in(n, y)}, {{RLX_ATTR_perm, shape{2, 1, 0}}});
        vy = n.add(RLX_OP_Slice, {vy}, {axis(a), {RLX_ATTR_start, 1}, {RLX_ATTR_stop, 3}});
        shape out = px.dims;
        out[static_cast<std::size_t>(a)] += 2;
        std::vector<float> want;
        for (std::size_t i = 0; i < count(out); ++i) {
            shape at = unravel(i, out);
            dim& c = at[static_cast<std::size_t>(a)];
            const dim first = px.dims[static_cast<std::size_t>(a)];
            if (c < first) {
                want.push_back(px(at));
            } else {
                c -= first;
                want.push_back(sy(at));
            }
        }
        EXPECT_EQ(result_of(n, n.add(RLX_OP_Concat, {vx, vy}, {axis(a)}), want.size()), want)
            << "axis " << a;
    }
    net n;
    const rlx_value v = n.add(RLX_OP_Permute, {in(n, x)}, {{RLX_ATTR_perm, shape{1, 2, 0}}});
    EXPECT_EQ(result_of(n, n.add(RLX_OP_Copy, {v}), x.v.size()), x.permuted({1, 2, 0}).v);
}

TEST_P(ops, fill_arange_gather_and_take_along) {
    net n;
    const array table = random_array({9, 4}, 7);
    const std::vector<std::int32_t> ids{8, 0, 3, 3, 1, 7};
    const rlx_value filled = n.add(
        RLX_OP_Fill,
        {},
        {{RLX_ATTR_dims, shape{2, 3}}, {RLX_ATTR_dtype, int{RLX_F32}}, {RLX_ATTR_value, 0.5}}
    );
    const rlx_value f = n.output(
        "f", n.add(RLX_OP_Affine, {filled}, {{RLX_ATTR_scale, 2.0}, {RLX_ATTR_shift, 0.0}})
    );
    const rlx_value r = n.output("r", n.add(RLX_OP_Arange, {}, {{RLX_ATTR_n, 5}}));
    const rlx_value t = in(n, table);
    const rlx_value doubled =
        n.add(RLX_OP_Affine, {t}, {{RLX_ATTR_scale, 2.0}, {RLX_ATTR_shift, 0.0}});
    const rlx_value g = n.output("g", n.add(RLX_OP_GatherRows, {doubled, in_i32(n, {2, 3}, ids)}));
    const rlx_value columns = in_i32(
        n, {9, 2}, std::vector<std::int32_t>{0, 1, 1, 1, 2, 3, 3, 0, 0, 0, 1, 2, 3, 3, 2, 1, 0, 3}
    );
    const rlx_value k = n.output("k", n.add(RLX_OP_TakeAlong, {t, columns}, {axis(1)}));
    ASSERT_EQ(run(n, {{f, 6}, {r, 5}, {g, 24}, {k, 18}}), "");
    EXPECT_EQ(x().f32(f), std::vector<float>(6, 1.0f));
    EXPECT_EQ(x().i32(r), (std::vector<std::int32_t>{0, 1, 2, 3, 4}));
    for (std::size_t i = 0; i < 24; ++i)
        EXPECT_EQ(x().f32(g)[i], 2 * table.v[static_cast<std::size_t>(ids[i / 4]) * 4 + i % 4]);
    EXPECT_EQ(x().f32(k)[5], table.v[2 * 4 + 3]);
    EXPECT_EQ(x().f32(k)[17], table.v[8 * 4 + 3]);
}

TEST_P(ops, an_index_out_of_range_is_named) {
    net n;
    const rlx_value t = in(n, random_array({3, 4}, 7));
    const rlx_value k =
        n.output("k", n.add(RLX_OP_TakeAlong, {t, in_i32(n, {3, 1}, {0, 4, 1})}, {axis(1)}));
    EXPECT_NE(run(n, {{k, 3}}).find("index 4 is outside [0, 4)"), std::string::npos);
}

TEST_P(ops, rows_of_checkpoint_tables_in_every_storage) {
    for (int storage = 0; storage < 4; ++storage) {
        memory_weights w;
        const auto data = numbers(10 * 64, 8);
        stored_tensor& t = storage == 0   ? w.f32("t", {10, 64}, data)
                           : storage == 1 ? w.bf16("t", {10, 64}, data)
                                          : w.q8_0("t", {10, 64}, data);
        t.in_place = storage != 3;
        net n(&w);
        const std::vector<std::int32_t> ids{9, 0, 4};
        const rlx_value v =
            n.output("o", n.add(RLX_OP_GatherRows, {n.weight("t", {10, 64}), in_i32(n, {3}, ids)}));
        ASSERT_EQ(run(n, {{v, 3 * 64}}), "");
        for (std::size_t i = 0; i < 3 * 64; ++i) {
            ASSERT_EQ(x().f32(v)[i], t.f32[static_cast<std::size_t>(ids[i / 64]) * 64 + i % 64])
                << "storage " << storage;
        }
    }
}

TEST_P(ops, top_k_orders_ties_by_index_and_minus_infinity_last) {
    net n;
    const array a{
        {2, 6},
        {1, 3, 3, -INFINITY, 2, 3, -INFINITY, -INFINITY, -5, -INFINITY, -INFINITY, -INFINITY}};
    rlx_value ids = 0;
    const rlx_value v = n.output("v", n.add(RLX_OP_TopK, {in(n, a)}, {{RLX_ATTR_k, 4}}, &ids));
    n.output("i", ids);
    ASSERT_EQ(run(n, {{v, 8}, {ids, 8}}), "");
    EXPECT_EQ(x().f32(v), (std::vector<float>{3, 3, 3, 2, -5, -INFINITY, -INFINITY, -INFINITY}));
    EXPECT_EQ(x().i32(ids), (std::vector<std::int32_t>{1, 2, 5, 4, 2, 0, 1, 3}));
}

TEST_P(ops, reductions_and_softmax_on_every_axis) {
    const array a = random_array({4, 7, 33}, 9, 0.2f, 1.3f);
    for (std::size_t ax = 0; ax < 3; ++ax) {
        const shape perm = ax == 0 ? shape{1, 2, 0} : ax == 1 ? shape{0, 2, 1} : shape{0, 1, 2};
        const array lines = a.permuted(perm);
        const auto len = static_cast<std::size_t>(lines.dims[2]);
        for (int k = RLX_REDUCE_SUM; k <= RLX_REDUCE_L2; ++k) {
            std::vector<float> want;
            for (std::size_t i = 0; i < lines.v.size(); i += len) {
                double s = 0, p = 1, q = 0, hi = -1e9, lo = 1e9;
                for (std::size_t j = 0; j < len; ++j) {
                    const double f = lines.v[i + j];
                    s += f;
                    p *= f;
                    q += f * f;
                    hi = std::max(hi, f);
                    lo = std::min(lo, f);
                }
                const double all[] = {0, s, s / static_cast<double>(len), hi, lo, p, std::sqrt(q)};
                want.push_back(static_cast<float>(all[k]));
            }
            net n;
            const rlx_value v = n.add(
                RLX_OP_Reduce,
                {in(n, a)},
                {kind(k), axis(static_cast<int>(ax)), {RLX_ATTR_keep, k % 2}}
            );
            expect_near(result_of(n, v, want.size()), want, 1e-5);
        }
        array soft = lines;
        for (std::size_t i = 0; i < lines.v.size(); i += len) {
            double s = 0;
            for (std::size_t j = 0; j < len; ++j)
                s += std::exp(lines.v[i + j]);
            for (std::size_t j = 0; j < len; ++j)
                soft.v[i + j] = static_cast<float>(std::exp(lines.v[i + j]) / s);
        }
        const shape back = ax == 0 ? shape{2, 0, 1} : ax == 1 ? shape{0, 2, 1} : shape{0, 1, 2};
        net n;
        const rlx_value v = n.add(RLX_OP_Softmax, {in(n, a)}, {axis(static_cast<int>(ax))});
        expect_near(result_of(n, v, a.v.size()), soft.permuted(back).v);
    }
}

TEST_P(ops, rms_norm_of_a_strided_view_with_offset) {
    const array a = random_array({5, 3, 40}, 10), w = random_array({40}, 11);
    net n;
    const rlx_value v = n.add(RLX_OP_Permute, {in(n, a)}, {{RLX_ATTR_perm, shape{1, 0, 2}}});
    const rlx_value y =
        n.add(RLX_OP_RmsNorm, {v, in(n, w)}, {{RLX_ATTR_eps, 1e-5}, {RLX_ATTR_weight_offset, 1.0}});
    array want = a.permuted({1, 0, 2});
    for (std::size_t r = 0; r < 15; ++r) {
        double s = 0;
        for (std::size_t i = 0; i < 40; ++i)
            s += static_cast<double>(want.v[r * 40 + i]) * want.v[r * 40 + i];
        for (std::size_t i = 0; i < 40; ++i) {
            want.v[r * 40 + i] =
                static_cast<float>(want.v[r * 40 + i] / std::sqrt(s / 40 + 1e-5) * (w.v[i] + 1));
        }
    }
    expect_near(result_of(n, y, 600), want.v);
}

namespace {

std::vector<float>
product_oracle(const array& x, const array& w, const std::vector<float>& bias = {}) {
    const auto in = static_cast<std::size_t>(w.dims.back()),
               out = static_cast<std::size_t>(w.dims[w.dims.size() - 2]);
    std::vector<float> y;
    for (std::size_t r = 0; r < x.v.size() / in; ++r) {
        for (std::size_t c = 0; c < out; ++c) {
            double s = bias.empty() ? 0 : bias[c];
            for (std::size_t i = 0; i < in; ++i)
                s += static_cast<double>(x.v[r * in + i]) * w.v[c * in + i];
            y.push_back(static_cast<float>(s));
        }
    }
    return y;
}

} // namespace

TEST_P(ops, products_with_operands_made_at_run_time_and_with_constants) {
    const array x = random_array({2, 3, 37}, 12), w = random_array({37, 11}, 13),
                bias = random_array({11}, 14);
    const array wt = w.permuted({1, 0});
    net n;
    const rlx_value right = n.add(RLX_OP_Permute, {in(n, w)}, {{RLX_ATTR_perm, shape{1, 0}}});
    expect_near(
        result_of(n, n.add(RLX_OP_MatMul, {in(n, x), right, in(n, bias)}), 66),
        product_oracle(x, wt, bias.v)
    );
    net m;
    const array xp = x.permuted({1, 0, 2});
    const rlx_value left = m.add(RLX_OP_Permute, {in(m, x)}, {{RLX_ATTR_perm, shape{1, 0, 2}}});
    expect_near(
        result_of(m, m.add(RLX_OP_MatMul, {left, m.constant({11, 37}, wt.v)}), 66),
        product_oracle(xp, wt)
    );
}

TEST_P(ops, products_with_rows_of_a_stored_weight) {
    memory_weights mem;
    const auto& all = mem.bf16("w", {96, 64}, numbers(96 * 64, 15));
    const array x = random_array({5, 64}, 16);
    for (const auto& [lo, hi] : {std::pair<dim, dim>{0, 96}, {32, 64}, {48, 96}, {5, 31}}) {
        net n(&mem);
        const rlx_value w = n.add(
            RLX_OP_Slice,
            {n.weight("w", {96, 64})},
            {axis(0), {RLX_ATTR_start, lo}, {RLX_ATTR_stop, hi}}
        );
        const array part{{hi - lo, 64}, {all.f32.begin() + lo * 64, all.f32.begin() + hi * 64}};
        expect_near(
            result_of(
                n, n.add(RLX_OP_MatMul, {in(n, x), w}), static_cast<std::size_t>(5 * (hi - lo))
            ),
            product_oracle(x, part)
        );
    }
}

TEST_P(ops, grouped_products_use_each_rows_expert) {
    memory_weights mem;
    const auto& w = mem.f32("w", {4, 24, 32}, numbers(4 * 24 * 32, 17));
    const std::vector<std::int32_t> ids{
        3, 0, 0, 3, 1, 3, 0, 1, 3, 1, 0, 3, 3, 0}; // expert 2 is idle
    for (bool per_pair : {false, true}) {
        net n(&mem);
        const array x = random_array(per_pair ? shape{7, 2, 32} : shape{7, 32}, 18);
        const rlx_value v = n.add(
            RLX_OP_GroupedMatMul, {in(n, x), n.weight("w", {4, 24, 32}), in_i32(n, {7, 2}, ids)}
        );
        std::vector<float> want;
        for (std::size_t p = 0; p < 14; ++p) {
            const std::size_t row = per_pair ? p : p / 2;
            const array one{
                {1, 32},
                {x.v.begin() + static_cast<std::ptrdiff_t>(row * 32),
                 x.v.begin() + static_cast<std::ptrdiff_t>(row * 32 + 32)}};
            const auto* e = w.f32.data() + ids[p] * 24 * 32;
            const auto y = product_oracle(one, {{24, 32}, {e, e + 24 * 32}});
            want.insert(want.end(), y.begin(), y.end());
        }
        expect_near(result_of(n, v, want.size()), want);
    }
    net n(&mem);
    const rlx_value v = n.output(
        "o",
        n.add(
            RLX_OP_GroupedMatMul,
            {in(n, random_array({1, 32}, 1)), n.weight("w", {4, 24, 32}), in_i32(n, {1, 2}, {1, 4})}
        )
    );
    EXPECT_NE(run(n, {{v, 48}}).find("expert id 4 is outside [0, 4)"), std::string::npos);
}

TEST_P(ops, routing_and_combining_experts) {
    const array logits = random_array({6, 9}, 19, -3, 3), y = random_array({6, 3, 20}, 20);
    for (int normalise : {0, 1}) {
        net n;
        rlx_value ids = 0;
        const rlx_value share = n.add(
            RLX_OP_MoeRoute,
            {in(n, logits)},
            {{RLX_ATTR_k, 3}, {RLX_ATTR_normalise, normalise}, {RLX_ATTR_scale, 2.5}},
            &ids
        );
        const rlx_value c = n.output("c", n.add(RLX_OP_MoeCombine, {in(n, y), share}));
        n.output("s", share);
        n.output("i", ids);
        ASSERT_EQ(run(n, {{c, 120}, {share, 18}, {ids, 18}}), "");
        std::vector<float> want(120, 0.0f);
        for (std::size_t t = 0; t < 6; ++t) {
            std::vector<double> p(9);
            double sum = 0, chosen = 0;
            for (std::size_t e = 0; e < 9; ++e)
                sum += p[e] = std::exp(logits.v[t * 9 + e]);
            std::vector<std::size_t> order(9);
            std::iota(order.begin(), order.end(), 0u);
            std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
                return p[a] > p[b];
            });
            for (std::size_t k = 0; k < 3; ++k)
                chosen += p[order[k]];
            for (std::size_t k = 0; k < 3; ++k) {
                EXPECT_EQ(x().i32(ids)[t * 3 + k], static_cast<std::int32_t>(order[k]));
                const double s = 2.5 * p[order[k]] / (normalise ? chosen : sum);
                EXPECT_NEAR(x().f32(share)[t * 3 + k], s, 1e-6);
                for (std::size_t i = 0; i < 20; ++i)
                    want[t * 20 + i] += static_cast<float>(s) * y.v[(t * 3 + k) * 20 + i];
            }
        }
        expect_near(x().f32(c), want);
    }
}

TEST_P(ops, rope_rotates_part_of_a_head_in_both_pairings) {
    const array a = random_array({4, 3, 20}, 21);
    const array table = random_array({4, 12}, 22, -1, 1);
    for (int pairing : {0, 1}) {
        net n;
        const rlx_value v =
            n.add(RLX_OP_Rope, {in(n, a), in(n, table)}, {{RLX_ATTR_pairing, pairing}});
        std::vector<float> want = a.v;
        for (std::size_t r = 0; r < 12; ++r) {
            for (std::size_t j = 0; j < 6; ++j) {
                const std::size_t p = pairing ? 2 * j : j, q = pairing ? 2 * j + 1 : j + 6;
                const float c = table.v[r / 3 * 12 + j], s = table.v[r / 3 * 12 + 6 + j];
                want[r * 20 + p] = a.v[r * 20 + p] * c - a.v[r * 20 + q] * s;
                want[r * 20 + q] = a.v[r * 20 + q] * c + a.v[r * 20 + p] * s;
            }
        }
        expect_near(result_of(n, v, want.size()), want);
    }
}

TEST_P(ops, rope_tables_follow_the_published_scalings) {
    const std::vector<std::int32_t> positions{0, 1, 7, 100, 5000}, lengths{1, 2, 8, 101, 5001};
    const double base = 10000, factor = 4, old = 64, pi = std::acos(-1.0);
    const dim d = 16;
    for (int scaling = RLX_ROPE_NONE; scaling <= RLX_ROPE_DYNAMIC; ++scaling) {
        net n;
        const rlx_value v = n.add(
            RLX_OP_RopeTable,
            {in_i32(n, {5}, positions), 0, in_i32(n, {5}, lengths)},
            {{RLX_ATTR_dim, d},
             {RLX_ATTR_base, base},
             {RLX_ATTR_scaling, scaling},
             {RLX_ATTR_factor, factor},
             {RLX_ATTR_original_max, 64},
             {RLX_ATTR_low_freq_factor, 1.0},
             {RLX_ATTR_high_freq_factor, 4.0},
             {RLX_ATTR_beta_fast, 8.0},
             {RLX_ATTR_beta_slow, 1.0}}
        );
        const auto got = result_of(n, v, 5 * 16);
        const double gain = scaling == RLX_ROPE_YARN ? 0.1 * std::log(factor) + 1 : 1;
        for (std::size_t t = 0; t < 5; ++t) {
            for (std::size_t j = 0; j < 8; ++j) {
                double inv = std::pow(base, -2.0 * static_cast<double>(j) / 16);
                const double wave = 2 * pi / inv;
                if (scaling == RLX_ROPE_LINEAR) inv /= factor;
                if (scaling == RLX_ROPE_LLAMA3) {
                    const double smooth = std::clamp((old / wave - 1) / (4 - 1.0), 0.0, 1.0);
                    inv = (1 - smooth) * inv / factor + smooth * inv;
                }
                if (scaling == RLX_ROPE_YARN) {
                    const auto turn = [&](double r) {
                        return 16 * std::log(old / (r * 2 * pi)) / (2 * std::log(base));
                    };
                    const double lo = std::max(std::floor(turn(8)), 0.0),
                                 hi = std::min(std::ceil(turn(1)), 15.0);
                    const double ramp =
                        std::clamp((static_cast<double>(j) - lo) / (hi - lo), 0.0, 1.0);
                    inv = inv / factor * ramp + inv * (1 - ramp);
                }
                if (scaling == RLX_ROPE_DYNAMIC) {
                    const double seen = std::max<double>(lengths[t], old);
                    const double b = base * std::pow(factor * seen / old - (factor - 1), 16.0 / 14);
                    inv = std::pow(b, -2.0 * static_cast<double>(j) / 16);
                }
                // An angle of 5000 rad is only known to some 1e-3 in f32.
                const double angle = positions[t] * inv, limit = 2e-6 + 3e-7 * angle;
                EXPECT_NEAR(got[t * 16 + j], gain * std::cos(angle), limit)
                    << "scaling " << scaling;
                EXPECT_NEAR(got[t * 16 + 8 + j], gain * std::sin(angle), limit)
                    << "scaling " << scaling;
            }
        }
    }
}

TEST_P(ops, empty_tensors_are_fine) {
    net n;
    const dim T = n.sym("T", 8, 0);
    const rlx_value a = n.in("a", RLX_F32, {T, 4});
    const rlx_value s =
        n.add(RLX_OP_Softmax, {n.add(RLX_OP_Binary, {a, a}, {kind(RLX_BINARY_ADD)})}, {axis(1)});
    const rlx_value r = n.add(RLX_OP_RmsNorm, {s}, {{RLX_ATTR_eps, 1e-5}});
    const rlx_value v = n.output("o", n.add(RLX_OP_Reduce, {r}, {kind(RLX_REDUCE_SUM), axis(0)}));
    session x(n, how());
    ASSERT_EQ(x.error, "");
    x.set(a, std::vector<float>());
    ASSERT_EQ(x.run({{"T", 0}}, {{v, 4}}), "");
    EXPECT_EQ(x.f32(v), std::vector<float>(4, 0.0f)) << "an empty sum is zero";
    x.set(a, std::vector<float>(8, 1.0f));
    ASSERT_EQ(x.run({{"T", 2}}, {{v, 4}}), "") << "the same program at another size";
    EXPECT_NEAR(x.f32(v)[0], 2, 1e-3);
}

TEST_P(ops, missing_or_short_bindings_are_named) {
    net n;
    const rlx_value a = n.in("gate", RLX_F32, {4});
    const rlx_value v = n.output("o", n.add(RLX_OP_Unary, {a}, {kind(RLX_UNARY_NEG)}));
    session x(n, how());
    ASSERT_EQ(x.error, "");
    EXPECT_NE(x.run({}, {{v, 4}}).find("'gate' is not bound"), std::string::npos);
    x.set(a, std::vector<float>(3));
    EXPECT_NE(
        x.run({}, {{v, 4}}).find("'gate' is bound to 12 bytes, 16 are needed"), std::string::npos
    );
    x.set(a, std::vector<float>(4));
    EXPECT_NE(x.run({}, {}).find("'o' is not bound"), std::string::npos);
    EXPECT_EQ(x.run({}, {{v, 4}}), "");
}

INSTANTIATE_TEST_SUITE_P(
    tiers,
    ops,
    testing::Values("baseline", "avx2", "avx512", "avx512_vnni", "amx"),
    [](const auto& p) { return std::string(p.param); }
);
