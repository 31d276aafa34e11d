// SPDX-License-Identifier: GPL-3.0-only
// The scratch plan: values that live at the same time never share bytes, at any extents, and memory
// is reused.
#include "../passes.hpp"
#include "interpreter.hpp"

#include <random>
#include <thread>

namespace rlx::test {

namespace {

class random_graph : public net {
public:
    explicit random_graph(unsigned seed) : rng_(seed) {
        t = sym("T", 0, 12);
        x = f32("x", {t, 6});
        w = weight("w", RLX_F32, {6, 6});
        pool_ = {x};
        for (int i = 0; i < 40; i++) {
            const rlx_value v = make();
            EXPECT_EQ(error, "");
            if (v) pool_.push_back(v);
        }
        for (int i = 0; i < 3; i++)
            output("y" + std::to_string(i), pick());
        EXPECT_EQ(error, "");
    }

    dim t = 0;
    rlx_value x = 0, w = 0;

private:
    // Mostly recent values, so that others die.
    rlx_value pick() {
        const std::size_t back = std::min<std::size_t>(pool_.size(), rng_() % 4 == 0 ? 20 : 4);
        return pool_[pool_.size() - 1 - rng_() % back];
    }

    // Every value is f32 [T, 6], contiguous or not.
    rlx_value make() {
        const rlx_value a = pick(), b = pick();
        const dim half = 3;
        switch (rng_() % 12) {
        case 0: return unary(RLX_UNARY_TANH, a);
        case 1: return add(a, b);
        case 2: return op(RLX_OP_Glu, {a, b}, {{RLX_ATTR_kind, RLX_GLU_SIGMOID}});
        case 3: return op(RLX_OP_Softmax, {a}, {{RLX_ATTR_axis, 1}});
        case 4: return op(RLX_OP_RmsNorm, {a}, {{RLX_ATTR_eps, 1e-5}});
        case 5: return op(RLX_OP_MatMul, {a, w});
        case 6:
            return op(
                RLX_OP_Concat, {slice(a, 1, half, 6), slice(b, 1, 0, half)}, {{RLX_ATTR_axis, 1}}
            );
        case 7: {
            const auto top = ops(RLX_OP_TopK, {a}, {{RLX_ATTR_k, 6}});
            return op(RLX_OP_TakeAlong, {b, top[1]}, {{RLX_ATTR_axis, 1}});
        }
        case 8: return permute(reshape(permute(a, {1, 0}), {6, t}), {1, 0});
        case 9: {
            const rlx_value row =
                op(RLX_OP_Reduce,
                   {a},
                   {{RLX_ATTR_kind, RLX_REDUCE_MEAN}, {RLX_ATTR_axis, 1}, {RLX_ATTR_keep, 1}});
            return add(b, row);
        }
        case 10: {
            const rlx_value less = op(RLX_OP_Compare, {a, b}, {{RLX_ATTR_kind, RLX_COMPARE_LT}});
            return op(RLX_OP_Select, {less, a, b});
        }
        default: return op(RLX_OP_Affine, {a}, {{RLX_ATTR_scale, 0.5}, {RLX_ATTR_shift, 0.25}});
        }
    }

    std::mt19937 rng_;
    std::vector<rlx_value> pool_;
};

std::vector<std::vector<double>> compute(random_graph& n, std::int64_t t, bool arena) {
    interpreter in(n.m(), {t}, arena);
    std::mt19937 rng(99);
    std::normal_distribution<double> d(0, 1);
    std::vector<double> x(static_cast<std::size_t>(t * 6 + 1)), w(36);
    for (double& v : x)
        v = d(rng);
    for (double& v : w)
        v = d(rng) / 3;
    in.set(n.x, x);
    in.set(n.w, w);
    in.run();
    std::vector<std::vector<double>> out;
    for (rlx_value v : n.m().outputs)
        out.push_back(in.get(v));
    return out;
}

// Independent of the planner's own lifetimes: marks every byte with its owner, node by node.
void expect_no_overlap(net& n) {
    const ir::module& m = n.m();
    std::vector<std::uint32_t> last(m.values.size() + 1, 0);
    for (std::uint32_t i = 0; i < m.nodes.size(); i++) {
        for (rlx_value v : m.nodes[i].in)
            if (v) last[m.at(v).root] = i;
        for (rlx_value v : m.nodes[i].out)
            last[m.at(v).root] = std::max(last[m.at(v).root], i);
    }
    std::map<std::uint64_t, rlx_value> owner; // by 64-byte line
    for (std::uint32_t i = 0; i < m.nodes.size(); i++) {
        const ir::node& node = m.nodes[i];
        for (rlx_value v : node.in) {
            if (!v) continue;
            const ir::value& root = m.at(m.at(v).root);
            if (root.kind != RLX_VALUE_TEMP || root.is_output) continue;
            for (std::uint64_t at = 0; at < root.scratch_bytes; at += 64)
                ASSERT_EQ(owner[(root.scratch_offset + at) / 64], m.at(v).root)
                    << "step " << i << "\n"
                    << n.g->dump();
        }
        for (rlx_value v : node.out) {
            const ir::value& x = m.at(v);
            if (x.kind != RLX_VALUE_TEMP || x.root != v || x.is_output) continue;
            ASSERT_LE(x.scratch_offset + x.scratch_bytes, m.scratch_bytes);
            for (std::uint64_t at = 0; at < x.scratch_bytes; at += 64) {
                rlx_value& o = owner[(x.scratch_offset + at) / 64];
                const bool in_place = x.scratch_offset == m.at(o ? o : v).scratch_offset &&
                                      (node.op == RLX_OP_Unary || node.op == RLX_OP_Binary ||
                                       node.op == RLX_OP_Select || node.op == RLX_OP_Clamp ||
                                       node.op == RLX_OP_Affine || node.op == RLX_OP_Glu);
                if (o != 0) {
                    ASSERT_LE(last[o] + (in_place ? 0 : 1), i)
                        << "step " << i << " writes over a live value\n"
                        << n.g->dump();
                }
                o = v;
            }
        }
    }
}

} // namespace

TEST(plan, random_graphs_compute_the_same_inside_the_arena_at_every_extent) {
    for (unsigned seed = 0; seed < 60; seed++) {
        random_graph n(seed);
        const auto want = compute(n, 7, false);
        const std::vector<std::uint16_t> refused[] = {
            {}, {RLX_OP_Softmax, RLX_OP_Glu}, {RLX_OP_Softmax, RLX_OP_RmsNorm, RLX_OP_Glu}};
        ASSERT_TRUE(is_ok(n.g->finish(n.refuse(refused[seed % 3])))) << n.g->dump();
        expect_no_overlap(n);
        const auto have = compute(n, 7, true);
        ASSERT_EQ(want.size(), have.size());
        for (std::size_t k = 0; k < want.size(); k++)
            for (std::size_t i = 0; i < want[k].size(); i++) {
                ASSERT_NEAR(want[k][i], have[k][i], 1e-9) << "seed " << seed << "\n" << n.g->dump();
            }
        for (std::int64_t t : {0, 1, 3, 12}) {
            const auto inside = compute(n, t, true), outside = compute(n, t, false);
            ASSERT_EQ(inside, outside) << "seed " << seed << " T " << t;
        }
    }
}

TEST(plan, sizes_are_those_of_the_upper_bounds) {
    net n;
    const dim t = n.sym("T", 1, 100), p = n.sym("P", 1, 7);
    const rlx_value x = n.f32("x", {t, p, 3});
    const rlx_value y = n.unary(RLX_UNARY_EXP, x);
    n.output("y", n.op(RLX_OP_Softmax, {y}, {{RLX_ATTR_axis, 2}}));
    ASSERT_TRUE(is_ok(n.g->finish({})));
    EXPECT_EQ(n.at(y).scratch_bytes, 100u * 7 * 3 * 4);
    EXPECT_EQ(n.g->scratch_bytes(), 8448u) << "rounded to 64";
}

TEST(plan, a_chain_of_layers_needs_the_memory_of_one) {
    for (int layers : {1, 12}) {
        net n;
        const dim t = n.sym("T", 1, 64);
        const rlx_value up = n.weight("up", RLX_F32, {128, 32}),
                        down = n.weight("down", RLX_F32, {32, 128});
        rlx_value x = n.op(
            RLX_OP_Affine, {n.f32("x", {t, 32})}, {{RLX_ATTR_scale, 1.0}, {RLX_ATTR_shift, 0.0}}
        );
        for (int i = 0; i < layers; i++) {
            const rlx_value h = n.op(RLX_OP_RmsNorm, {x}, {{RLX_ATTR_eps, 1e-6}});
            const rlx_value gate = n.op(RLX_OP_MatMul, {h, up}),
                            value = n.op(RLX_OP_MatMul, {h, up});
            const rlx_value glu =
                n.op(RLX_OP_Glu, {gate, value}, {{RLX_ATTR_kind, RLX_GLU_SWIGLU}});
            x = n.add(x, n.op(RLX_OP_MatMul, {glu, down}));
        }
        n.output("y", n.op(RLX_OP_RmsNorm, {x}, {{RLX_ATTR_eps, 1e-6}}));
        ASSERT_EQ(n.error, "");
        ASSERT_TRUE(is_ok(n.g->finish({})));
        expect_no_overlap(n);
        // Gate, up, the residual and the norm's result; gate * up goes over the gate.
        EXPECT_EQ(n.g->scratch_bytes(), 64u * (128 + 128 + 32 + 32) * 4);
        const plan_report r = n.g->report();
        EXPECT_EQ(r.peak, n.g->scratch_bytes());
        EXPECT_GT(r.reuse(), layers == 1 ? 1.4 : 15.0);
        EXPECT_EQ(r.values, 1u + 6u * static_cast<unsigned>(layers));
        EXPECT_TRUE(contains(r.text(), "MatMul")) << r.text();
    }
}

TEST(plan, elementwise_results_go_over_a_dying_input_of_the_same_layout) {
    net n;
    const rlx_value x = n.f32("x", {4, 32});
    const rlx_value a = n.op(RLX_OP_RmsNorm, {x}, {{RLX_ATTR_eps, 1e-6}});
    const rlx_value b = n.unary(RLX_UNARY_EXP, a); // over a
    const rlx_value c = n.add(
        b, n.permute(n.reshape(b, {32, 4}), {1, 0})
    );                               // not over b: it is read in another order
    const rlx_value d = n.add(c, x); // over c
    n.output("y", n.op(RLX_OP_Softmax, {d}, {{RLX_ATTR_axis, 1}}));
    ASSERT_EQ(n.error, "");
    ASSERT_TRUE(is_ok(n.g->finish({})));
    EXPECT_EQ(n.at(a).scratch_offset, n.at(b).scratch_offset);
    EXPECT_NE(n.at(b).scratch_offset, n.at(c).scratch_offset);
    EXPECT_EQ(n.at(c).scratch_offset, n.at(d).scratch_offset);
    EXPECT_EQ(n.g->scratch_bytes(), 2u * 4 * 32 * 4);
}

TEST(plan, an_input_that_is_used_later_is_not_written_over) {
    net n;
    const rlx_value x = n.f32("x", {4, 32});
    const rlx_value a = n.op(RLX_OP_RmsNorm, {x}, {{RLX_ATTR_eps, 1e-6}});
    const rlx_value view = n.slice(a, 0, 1, 3);
    const rlx_value b = n.unary(RLX_UNARY_EXP, a);
    n.output("y", n.op(RLX_OP_Concat, {b, view}, {{RLX_ATTR_axis, 0}}));
    ASSERT_TRUE(is_ok(n.g->finish({})));
    EXPECT_NE(n.at(a).scratch_offset, n.at(b).scratch_offset);
}

TEST(plan, unused_results_of_a_node_have_memory_too) {
    net n;
    const rlx_value x = n.f32("x", {4, 32});
    const auto top = n.ops(RLX_OP_TopK, {x}, {{RLX_ATTR_k, 32}});
    n.output("y", n.op(RLX_OP_TakeAlong, {x, top[1]}, {{RLX_ATTR_axis, 1}}));
    ASSERT_TRUE(is_ok(n.g->finish({})));
    EXPECT_NE(n.at(top[0]).scratch_offset, n.at(top[1]).scratch_offset);
    expect_no_overlap(n);
}

TEST(plan, several_threads_read_one_finished_graph) {
    random_graph n(3);
    ASSERT_TRUE(is_ok(n.g->finish({})));
    const auto want = compute(n, 5, true);
    const std::string dump = n.g->dump();
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; i++)
        threads.emplace_back([&] {
            for (int k = 0; k < 5; k++) {
                EXPECT_EQ(compute(n, 5, true), want);
                EXPECT_EQ(n.g->dump(), dump);
                EXPECT_TRUE(is_ok(n.g->verify()));
                const std::pair<std::string_view, std::int64_t> named[] = {{"T", 5}};
                EXPECT_TRUE(is_ok(n.g->extents(named)));
                EXPECT_GT(n.g->report().peak, 0u);
            }
        });
    for (std::thread& t : threads)
        t.join();
}

} // namespace rlx::test
