// SPDX-License-Identifier: GPL-3.0-only
// Ops of plugins through the executor: every tier, between other nodes, strided inputs, errors.
#include "net.hpp"
#include "tier.hpp"

using namespace rlx;
using namespace rlx::cpu_test;

namespace {

// test.twice: 2 x of x [...] f32; a value above 1e6 is an error.
rlx_error* describe(void*, std::uint32_t, rlx_op_desc* out) {
    *out = {sizeof *out, 1, 1, 1, 1, 0, str("test.twice"), str("")};
    return nullptr;
}

rlx_error* infer(void*, std::uint32_t, const rlx_op_infer* a) {
    a->out[0] = a->in[0];
    return nullptr;
}

rlx_error* run(void*, std::uint32_t, const rlx_op_run* a) {
    const auto* x = static_cast<const float*>(a->in[0].data);
    for (std::uint64_t i = 0; i < a->out[0].n_bytes / 4; i++) {
        if (x[i] > 1e6F) return to_wall({RLX_INVALID_ARGUMENT, "a value above a million"});
        static_cast<float*>(a->out[0].data)[i] = 2 * x[i];
    }
    return nullptr;
}

const rlx_op_v1 table{
    {sizeof table, 1, 0}, [](void*) -> std::uint32_t { return 1; }, describe, infer, run};

rlx_value twice(net& n, rlx_value x) {
    rlx_value out = 0;
    if (rlx_error* e =
            n.api->add_custom(n.g->handle(), str("test.twice"), 1, &x, 1, nullptr, 0, &out, 1))
        ADD_FAILURE() << from_wall(e).message;
    return out;
}

void with_ops(net& n) {
    n.g = graph::create(nullptr, [](std::string_view name) {
        return custom_op_of(&table, nullptr, name, "the test");
    });
}

} // namespace

TEST(custom_ops, run_in_every_tier_between_other_nodes) {
    for (const char* tier : {"baseline", "avx2", "avx512"}) {
        net n;
        with_ops(n);
        const dim t = n.sym("T", 8);
        const rlx_value x = n.in("x", RLX_F32, {t, 3});
        const rlx_value sum = n.add(RLX_OP_Binary, {x, x}, {{RLX_ATTR_kind, RLX_BINARY_ADD}});
        const rlx_value turned =
            n.add(RLX_OP_Permute, {twice(n, sum)}, {{RLX_ATTR_perm, std::vector<dim>{1, 0}}});
        const rlx_value y = n.output(
            "y", n.add(RLX_OP_Unary, {twice(n, turned)}, {{RLX_ATTR_kind, RLX_UNARY_NEG}})
        );
        session s(n, {.tier = tier});
        if (s.code == RLX_UNSUPPORTED && s.error.find("tier") != std::string::npos) continue;
        ASSERT_EQ(s.error, "") << tier;
        s.set<float>(x, {1, 2, 3, 4, 5, 6});
        ASSERT_EQ(s.run({{"T", 2}}, {{y, 6}}), "") << tier;
        EXPECT_EQ(s.f32(y), (std::vector<float>{-8, -32, -16, -40, -24, -48})) << tier;
        EXPECT_EQ(s.run({{"T", 0}}, {{y, 0}}), "");
    }
}

TEST(custom_ops, an_error_of_the_op_is_the_runs_error) {
    net n;
    with_ops(n);
    const rlx_value x = n.in("x", RLX_F32, {2});
    const rlx_value y = n.output("y", twice(n, x));
    session s(n, {});
    ASSERT_EQ(s.error, "");
    s.set<float>(x, {1, 2e6F});
    EXPECT_EQ(s.run({}, {{y, 2}}), "test.twice: a value above a million");
    EXPECT_EQ(s.code, static_cast<std::uint32_t>(RLX_INVALID_ARGUMENT));
    s.set<float>(x, {1, 2});
    EXPECT_EQ(s.run({}, {{y, 2}}), "");
    EXPECT_EQ(s.f32(y), (std::vector<float>{2, 4}));
}
