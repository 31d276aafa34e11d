// SPDX-License-Identifier: GPL-3.0-only
// Defects written into a good graph behind the builder's back: the verifier finds each.
#include "net.hpp"

#include <functional>

namespace rlx::test {

namespace {

// q = norm(x W); y = softmax(slice(q)); state appended twice and read.
struct good : net {
    dim t = sym("T", 1, 16);
    rlx_value x = f32("x", {t, 8}), slots = i32("slots", {t}), w = weight("w", RLX_F32, {8, 8});
    rlx_value kv = state("kv", 2, 4, 4);
    rlx_value mm = op(RLX_OP_MatMul, {x, w});
    rlx_value norm = op(RLX_OP_RmsNorm, {mm}, {{RLX_ATTR_eps, 1e-6}});
    rlx_value part = slice(norm, 1, 2, 6);
    rlx_value soft = op(RLX_OP_Softmax, {part}, {{RLX_ATTR_axis, 1}});
    rlx_value heads = reshape(norm, {t, 2, 4});
    rlx_value kv1 = op(RLX_OP_KvAppend, {kv, heads, heads, slots});
    rlx_value kv2 = op(RLX_OP_KvAppend, {kv1, heads, heads, slots});

    good() {
        EXPECT_EQ(error, "");
        output("y", soft);
        EXPECT_TRUE(is_ok(g->verify()));
    }

    ir::node& node_of(rlx_value v) { return m().nodes[m().at(v).producer]; }

    void fails(std::string_view text) {
        const auto r = g->verify();
        ASSERT_FALSE(r.ok()) << "not found: " << text;
        EXPECT_TRUE(contains(r.error().message, text)) << r.error().message;
        EXPECT_TRUE(contains(r.error().message, "graph verifier: ")) << r.error().message;
    }
};

struct defect {
    const char* name;
    std::function<void(good&)> seed;
    const char* message;
};

const defect defects[] = {
    {"shape", [](good& n) { n.m().at(n.mm).dims[1] = 9; }, "should be f32 [T, 8]"},
    {"rank", [](good& n) { n.m().at(n.mm).dims.push_back(1); }, "should be f32 [T, 8]"},
    {"dtype", [](good& n) { n.m().at(n.mm).dtype = RLX_I32; }, "should be f32 [T, 8]"},
    {"stride", [](good& n) { n.m().at(n.part).strides[0] = 4; }, "wrong strides, offset or root"},
    {"offset", [](good& n) { n.m().at(n.part).offset = 3; }, "wrong strides, offset or root"},
    {"root", [](good& n) { n.m().at(n.part).root = n.mm; }, "wrong strides, offset or root"},
    {"not a view",
     [](good& n) { n.m().at(n.part).root = n.part; },
     "wrong strides, offset or root"},
    {"kind", [](good& n) { n.m().at(n.mm).kind = 9; }, "has kind 9"},
    {"dim handle", [](good& n) { n.m().at(n.x).dims[0] = -77; }, "unknown dim"},
    {"arity", [](good& n) { n.node_of(n.mm).in.pop_back(); }, "1 inputs, expected 2 to 3"},
    {"unknown input", [](good& n) { n.node_of(n.mm).in[0] = 500; }, "unknown value %500"},
    {"operand",
     [](good& n) { n.node_of(n.mm).in[1] = n.slots; },
     "expected floats or packed floats"},
    {"order",
     [](good& n) {
         std::swap(n.m().nodes[0], n.m().nodes[1]);
         n.m().renumber();
     },
     "before it is made"},
    {"made twice", [](good& n) { n.node_of(n.norm).out[0] = n.mm; }, "makes %5 f32 [T, 8] again"},
    {"producer", [](good& n) { n.m().at(n.norm).producer = 4; }, "has another producer"},
    {"source with a producer",
     [](good& n) { n.m().at(n.x).producer = 0; },
     "is a source but has a producer"},
    {"op", [](good& n) { n.node_of(n.mm).op = 9999; }, "unknown op"},
    {"version", [](good& n) { n.node_of(n.mm).version = 7; }, "version 7"},
    {"missing attribute",
     [](good& n) { n.node_of(n.soft).attrs.items.clear(); },
     "attribute axis is missing"},
    {"attribute kind",
     [](good& n) { n.node_of(n.soft).attrs.items[0].kind = RLX_ATTR_F64; },
     "has kind 2"},
    {"attribute value", [](good& n) { n.node_of(n.soft).attrs.items[0].i = 5; }, "axis 5 of"},
    {"outputs", [](good& n) { n.node_of(n.mm).out.push_back(n.x); }, "2 outputs, expected 1"},
    {"slice", [](good& n) { n.node_of(n.part).attrs.items[2].i = 99; }, "99 <= 8 needed"},
    {"stale state", [](good& n) { n.node_of(n.kv2).in[0] = n.kv; }, "after a later append"},
    {"output never made",
     [](good& n) {
         n.m().nodes.erase(n.m().nodes.begin() + 3);
         n.m().renumber();
     },
     "is never made"},
    {"output is a view",
     [](good& n) {
         n.m().outputs[0] = n.part;
         n.m().at(n.part).is_output = true;
         n.m().at(n.part).name = "p";
     },
     "has no memory of its own"},
    {"output flag",
     [](good& n) { n.m().at(n.soft).is_output = false; },
     "has no memory of its own"},
};

} // namespace

TEST(verifier, finds_seeded_defects) {
    for (const defect& d : defects) {
        SCOPED_TRACE(d.name);
        good n;
        d.seed(n);
        n.fails(d.message);
    }
}

TEST(verifier, names_the_node_and_its_module) {
    net n;
    n.at_module("model.norm");
    const rlx_value x = n.f32("x", {4});
    const rlx_value y = n.unary(RLX_UNARY_EXP, x);
    n.output("y", y);
    n.m().at(y).dims[0] = 5;
    EXPECT_EQ(
        n.g->verify().error().message,
        "graph verifier: node 0 Unary in model.norm: %2 'y' f32 [5] should be f32 [4]"
    );
}

TEST(verifier, reading_an_older_version_of_a_state_is_refused_at_finish) {
    net n;
    const dim t = n.sym("T", 1, 8), b = n.sym("B", 1, 2);
    const rlx_value q = n.f32("q", {t, 2, 4}), slots = n.i32("slots", {t});
    const rlx_value cu = n.i32("cu", {n.calc(RLX_DIM_ADD, b, 1)}), len = n.i32("len", {b}),
                    pages = n.i32("pages", {b, 3});
    const rlx_value kv = n.state("kv", 2, 4, 4);
    n.op(RLX_OP_KvAppend, {kv, q, q, slots});
    n.at_module("late");
    n.output("y", n.op(RLX_OP_AttentionState, {q, kv, cu, len, pages}, {{RLX_ATTR_scale, 1.0}}));
    ASSERT_EQ(n.error, "");
    const auto r = n.g->finish({});
    ASSERT_FALSE(r.ok());
    EXPECT_TRUE(contains(
        r.error().message,
        "AttentionState in late: uses %6 'kv' kv state 2 x (4 + 4) of 'kv' after a later append"
    )) << r.error().message;
}

TEST(verifier, finds_overlapping_scratch) {
    net n;
    const rlx_value x = n.f32("x", {64});
    const rlx_value a = n.unary(RLX_UNARY_EXP, x), b = n.unary(RLX_UNARY_SIN, x);
    n.output("y", n.op(RLX_OP_Concat, {a, b}, {{RLX_ATTR_axis, 0}}));
    ASSERT_TRUE(is_ok(n.g->finish({})));
    ASSERT_EQ(n.g->scratch_bytes(), 512u);
    ASSERT_TRUE(is_ok(n.g->verify()));
    const std::uint64_t was = n.at(b).scratch_offset;
    n.m().at(b).scratch_offset = n.at(a).scratch_offset;
    EXPECT_TRUE(contains(n.g->verify().error().message, "share scratch while both live"));
    n.m().at(b).scratch_offset = was + 64;
    n.m().at(a).scratch_offset = 0;
    EXPECT_FALSE(n.g->verify().ok()) << "overlap or outside the arena";
}

TEST(verifier, does_not_change_the_graph) {
    good n;
    const std::string before = n.g->dump();
    n.m().at(n.mm).dims[1] = 9;
    EXPECT_FALSE(n.g->verify().ok());
    n.m().at(n.mm).dims[1] = 8;
    EXPECT_EQ(n.g->dump(), before);
}

} // namespace rlx::test
