// SPDX-License-Identifier: GPL-3.0-only
// Ops of plugins in a graph: found by name, shaped by their own rule, claimed, run, refused.
#include "net.hpp"

#include <cstring>

namespace rlx::test {

namespace {

constexpr std::uint16_t key_times = RLX_ATTR_CUSTOM, key_lie = RLX_ATTR_CUSTOM + 1;

// "test.repeat": x [n, ...] f32, bias? f32 [1] -> x + bias, `times` after another: [n * times,
// ...].
std::uint32_t one(void*) {
    return 1;
}

rlx_error* describe(void*, std::uint32_t, rlx_op_desc* out) {
    *out = {sizeof *out, 3, 1, 2, 1, 0, str("test.repeat"), str("repeats rows")};
    return nullptr;
}

std::int64_t attr_of(const rlx_attr* a, std::uint32_t n, std::uint16_t key) {
    for (std::uint32_t i = 0; i < n; i++)
        if (a[i].key == key) return a[i].i;
    return 0;
}

rlx_error* infer(void*, std::uint32_t, const rlx_op_infer* a) {
    const std::int64_t times = attr_of(a->attr, a->n_attr, key_times);
    const std::int64_t lie = attr_of(a->attr, a->n_attr, key_lie);
    if (times < 1) return to_wall({RLX_INVALID_ARGUMENT, "times must be at least 1"});
    a->out[0].dtype = lie == 1 ? RLX_Q4_0 : RLX_F32;
    a->out[0].rank = lie == 2 ? 9 : a->in[0].rank;
    std::memcpy(a->out[0].dim, a->in[0].dim, sizeof a->out[0].dim);
    if (lie == 3) a->out[0].dim[0] = -999;
    if (lie) return nullptr;
    return graph_table()->dim_op(a->graph, RLX_DIM_MUL, a->in[0].dim[0], times, &a->out[0].dim[0]);
}

rlx_error* run(void*, std::uint32_t, const rlx_op_run* a) {
    const auto* x = static_cast<const float*>(a->in[0].data);
    const bool biased = a->n_in > 1 && a->in[1].data;
    const float bias = biased ? *static_cast<const float*>(a->in[1].data) : 0;
    const std::uint64_t n = a->in[0].n_bytes / 4, all = a->out[0].n_bytes / 4;
    for (std::uint64_t i = 0; i < all; i++)
        static_cast<float*>(a->out[0].data)[i] = x[i % n] + bias;
    return nullptr;
}

const rlx_op_v1 repeat_table{{sizeof(rlx_op_v1), 1, 0}, one, describe, infer, run};

struct custom_net : net {
    int asked = 0;

    custom_net() {
        g = graph::create(nullptr, [this](std::string_view name) -> result<custom_op> {
            asked++;
            if (name == "test.repeat")
                return custom_op_of(&repeat_table, nullptr, name, "the test");
            return rlx::error{RLX_UNSUPPORTED, "no plugin provides it; searched: /plugins"};
        });
    }

    rlx_value custom(
        std::string_view name,
        std::vector<rlx_value> in,
        std::vector<attr> attrs,
        std::uint32_t version = 3
    ) {
        std::vector<rlx_attr> raw;
        for (attr& a : attrs) {
            a.a.list = a.list.data();
            raw.push_back(a.a);
        }
        rlx_value out = 0;
        check(api->add_custom(
            g->handle(),
            str(name),
            version,
            in.data(),
            static_cast<std::uint32_t>(in.size()),
            raw.data(),
            static_cast<std::uint32_t>(raw.size()),
            &out,
            1
        ));
        return out;
    }
};

} // namespace

TEST(custom, a_plugins_op_gets_its_shape_from_its_own_rule) {
    custom_net n;
    const dim t = n.sym("T", 0, 16);
    const rlx_value x = n.f32("x", {t, 4});
    n.at_module("layers.1");
    const rlx_value y = n.custom("test.repeat", {x, 0}, {{key_times, 3}});
    EXPECT_EQ(n.error, "");
    EXPECT_EQ(n.shape(y), "[3*T, 4]");
    n.custom("test.repeat", {y}, {{key_times, 2}});
    EXPECT_EQ(n.asked, 1);
    ASSERT_TRUE(n.output("y", y));
    ASSERT_TRUE(n.g->finish({}).ok());
    rlx_node_info info{};
    info.size = sizeof info;
    n.check(n.api->node(n.g->handle(), 0, &info));
    EXPECT_EQ(info.op, RLX_OP_Custom);
    EXPECT_EQ(info.version, 3);
    EXPECT_EQ(view(info.custom_name), "test.repeat");
    EXPECT_EQ(info.n_in, 1u);
    EXPECT_NE(n.g->dump().find("test.repeat(%1, 0x8000=3) @layers.1"), std::string::npos)
        << n.g->dump();
}

TEST(custom, an_op_nobody_provides_is_an_error_with_op_module_and_search) {
    custom_net n;
    const rlx_value x = n.f32("x", {4});
    n.at_module("layers.1.mlp");
    n.custom("org.example.swirl", {x}, {});
    EXPECT_EQ(n.code, static_cast<std::uint32_t>(RLX_UNSUPPORTED));
    EXPECT_EQ(
        n.error, "org.example.swirl in layers.1.mlp: no plugin provides it; searched: /plugins"
    );
    n.custom("test.repeat", {x}, {{key_times, 1}}, 4);
    EXPECT_EQ(n.error, "test.repeat in layers.1.mlp: version 4 is asked for, the plugin has 3");
    n.g = graph::create(nullptr);
    n.custom("test.repeat", {n.f32("x", {4})}, {});
    EXPECT_EQ(n.error, "test.repeat: this host looks for no ops of plugins");
}

TEST(custom, wrong_inputs_and_attributes_are_refused_before_the_plugin_sees_them) {
    custom_net n;
    const rlx_value x = n.f32("x", {4});
    const rlx_value packed = n.weight("w", RLX_Q4_0, {32, 32});
    const rlx_value kv = n.state("kv", 1, 2, 2);
    const auto refused = [&](std::vector<rlx_value> in, std::vector<attr> attrs, const char* why) {
        n.custom("test.repeat", std::move(in), std::move(attrs));
        EXPECT_EQ(n.error, std::string("test.repeat: ") + why);
    };
    refused({}, {}, "0 inputs, expected 1 to 2");
    refused({x, x, x}, {}, "3 inputs, expected 1 to 2");
    refused({77}, {}, "input 0 is the unknown value %77");
    refused({packed}, {}, "input 0 is %2 'w' q4_0 [32, 32], expected a tensor of a plain type");
    refused({kv}, {}, "input 0 is %3 'kv' kv state 1 x (2 + 2), expected a tensor of a plain type");
    refused(
        {x}, {{RLX_ATTR_axis, 1}}, "attribute 3, expected keys from RLX_ATTR_CUSTOM (32768) on"
    );
    refused({x}, {{key_times, 1}, {key_times, 1}}, "attribute 32768 given twice");
    refused({x}, {{key_times, 0}}, "times must be at least 1");
}

TEST(custom, a_rule_that_answers_nonsense_is_the_plugins_error) {
    custom_net n;
    const rlx_value x = n.f32("x", {4});
    const auto refused = [&](int lie, const char* why) {
        n.custom("test.repeat", {x}, {{key_times, 1}, {key_lie, lie}});
        EXPECT_EQ(n.code, static_cast<std::uint32_t>(RLX_INTERNAL));
        EXPECT_EQ(n.error, std::string("test.repeat: its shape rule gives output 0 ") + why);
    };
    refused(1, "the type q4_0");
    refused(2, "rank 9");
    refused(3, "the unknown dim -999");
}

TEST(custom, add_does_not_make_custom_nodes) {
    custom_net n;
    const rlx_value x = n.f32("x", {4});
    n.op(RLX_OP_Custom, {x});
    EXPECT_EQ(n.error, "Custom: made by add_custom, not by add");
}

TEST(custom, a_backend_that_refuses_a_strided_input_is_offered_a_copy) {
    custom_net n;
    const rlx_value x = n.f32("x", {2, 3});
    const rlx_value y = n.permute(x, {1, 0});
    ASSERT_TRUE(n.output("y", n.custom("test.repeat", {y}, {{key_times, 1}})));
    const auto contiguous_only = [&](std::span<const std::uint32_t> nodes,
                                     std::span<std::uint8_t> verdict,
                                     std::span<std::string> reason) -> result<void> {
        for (std::size_t i = 0; i < nodes.size(); i++) {
            const ir::node& node = n.m().nodes[nodes[i]];
            verdict[i] = !node.custom || n.m().at(node.in[0]).root == node.in[0];
            reason[i] = "strided";
        }
        return {};
    };
    ASSERT_TRUE(n.g->finish(contiguous_only).ok());
    EXPECT_NE(n.g->dump().find("Copy("), std::string::npos) << n.g->dump();
}

TEST(custom, a_backend_without_custom_nodes_is_named_with_the_op) {
    custom_net n;
    ASSERT_TRUE(n.output("y", n.custom("test.repeat", {n.f32("x", {3})}, {{key_times, 1}})));
    const auto none = [](auto, std::span<std::uint8_t> verdict, std::span<std::string> reason
                      ) -> result<void> {
        verdict[0] = 0;
        reason[0] = "no plugins' ops here";
        return {};
    };
    const auto done = n.g->finish(none);
    ASSERT_FALSE(done.ok());
    EXPECT_EQ(done.error().code, static_cast<std::uint32_t>(RLX_UNSUPPORTED));
    EXPECT_EQ(
        done.error().message,
        "the backend has no kernel for test.repeat (%1 'x' f32 [3]): no plugins' ops here"
    );
}

TEST(custom, run_custom_checks_what_the_backend_hands_over) {
    custom_net n;
    const dim t = n.sym("T", 0, 16);
    const rlx_value x = n.f32("x", {t, 2}), b = n.f32("b", {1});
    ASSERT_TRUE(n.output("y", n.custom("test.repeat", {x, b}, {{key_times, 2}})));
    float in[4] = {1, 2, 3, 4}, bias = 0.5F, out[8] = {};
    rlx_tensor ins[2] = {
        {sizeof(rlx_tensor), RLX_F32, 2, {2, 2}, in, 16},
        {sizeof(rlx_tensor), RLX_F32, 1, {1}, &bias, 4}};
    rlx_tensor y{sizeof(rlx_tensor), RLX_F32, 2, {4, 2}, out, 32};
    const auto go = [&] {
        return n.check(n.api->run_custom(n.g->handle(), 0, ins, 2, &y, 1, sizeof(rlx_tensor)));
    };
    EXPECT_FALSE(go());
    EXPECT_EQ(n.error, "run_custom: the graph is not finished");
    ASSERT_TRUE(n.g->finish({}).ok());
    ASSERT_TRUE(go()) << n.error;
    for (int i = 0; i < 8; i++)
        EXPECT_EQ(out[i], in[i % 4] + 0.5F);
    ins[0].dtype = RLX_F16;
    EXPECT_FALSE(go());
    EXPECT_EQ(n.error, "test.repeat: input 0 is f16 of rank 2, expected %1 'x' f32 [T, 2]");
    ins[0] = {sizeof(rlx_tensor), RLX_F32, 2, {2, 3}, in, 24};
    EXPECT_FALSE(go());
    EXPECT_EQ(n.error, "test.repeat: input 0 has extent 3 on axis 1, expected %1 'x' f32 [T, 2]");
    ins[0] = {sizeof(rlx_tensor), RLX_F32, 2, {2, 2}, in, 8};
    EXPECT_FALSE(go());
    EXPECT_EQ(n.error, "test.repeat: input 0 has 8 bytes, its shape needs 16");
    EXPECT_FALSE(n.check(n.api->run_custom(n.g->handle(), 7, ins, 2, &y, 1, sizeof(rlx_tensor))));
    EXPECT_EQ(n.error, "run_custom: node 7 is no Custom node");
}

TEST(custom, a_table_that_lacks_members_or_makes_no_sense_is_refused) {
    rlx_op_v1 old = repeat_table;
    old.hdr.size = offsetof(rlx_op_v1, run);
    const auto lacks = custom_op_of(&old, nullptr, "test.repeat", "plugin old");
    ASSERT_FALSE(lacks.ok());
    EXPECT_EQ(
        lacks.error().message, "plugin old: its rlx.op/1 lacks count, describe, infer or run"
    );
    EXPECT_EQ(
        custom_op_of(&repeat_table, nullptr, "test.other", "plugin new").error().message,
        "plugin new: its code has no op 'test.other'"
    );
    rlx_op_v1 absurd = repeat_table;
    absurd.describe = [](void*, std::uint32_t, rlx_op_desc* out) -> rlx_error* {
        *out = {sizeof *out, 0, 5, 2, 9, 0, str("test.repeat"), {}};
        return nullptr;
    };
    EXPECT_FALSE(custom_op_of(&absurd, nullptr, "test.repeat", "plugin absurd").ok());
}

} // namespace rlx::test
