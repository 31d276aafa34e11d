// SPDX-License-Identifier: GPL-3.0-only
// The graph layer of the SDK on the host's real graph: paths, the sticky error, optional operands.
#include "rlx/base/wall.hpp"
#include "rlx/graph/graph.hpp"
#include "rlx/sdk/lm.hpp"

#include <gtest/gtest.h>

#include <string>

namespace {

namespace sdk = rlx::sdk;

class sdk_graph : public testing::Test {
protected:
    // First of all members: the builder below asks the host for its tables.
    const rlx_host* host_table = sdk::detail::host_table = rlx::host();
    std::unique_ptr<rlx::graph> host_graph = rlx::graph::create(nullptr);
    sdk::sticky errors;
    sdk::graph_builder g{host_graph->handle(), errors};
    const sdk::scope root{g};

    sdk::tensor input(std::string_view name, std::initializer_list<sdk::dim> dims) {
        return g.input(name, RLX_F32, {dims.begin(), dims.size()});
    }

    std::uint32_t nodes() const { return rlx::graph_table()->node_count(host_graph->handle()); }

    std::string message() const { return errors.ok() ? "" : errors.done().error().message; }
};

TEST_F(sdk_graph, a_scope_spells_the_checkpoints_module_path) {
    EXPECT_EQ(root.path(), "");
    const sdk::scope m = root["model"]["layers"][3]["mlp"];
    EXPECT_EQ(m.path(), "model.layers.3.mlp");
    EXPECT_EQ(m["up_proj"].path(), "model.layers.3.mlp.up_proj");
    EXPECT_EQ(m.path(), "model.layers.3.mlp") << "a child changed its parent";
}

TEST_F(sdk_graph, an_empty_name_is_the_same_place) {
    EXPECT_EQ(root[""]["layer"][""][3][""]["fc1"].path(), "layer.3.fc1");
    EXPECT_TRUE(errors.ok());
}

TEST_F(sdk_graph, nodes_remember_the_module_that_made_them) {
    const sdk::tensor x = input("x", {2, 6});
    const sdk::scope m = root["model"]["layers"][0];
    g.output("y", add(m["a"], silu(m["b"], x), x));
    EXPECT_TRUE(errors.ok()) << message();
    const std::string dump = host_graph->dump();
    EXPECT_NE(dump.find("@model.layers.0.a"), std::string::npos) << dump;
    EXPECT_NE(dump.find("@model.layers.0.b"), std::string::npos) << dump;
}

TEST_F(sdk_graph, the_first_error_names_its_module_and_stops_everything_after_it) {
    const sdk::tensor x = input("x", {2, 6});
    const sdk::scope mlp = root["model"]["layers"][3]["mlp"];
    const sdk::tensor y = sdk::gated_mlp(mlp, x);
    EXPECT_FALSE(y);
    EXPECT_NE(message().find("model.layers.3.mlp.gate_proj.weight"), std::string::npos)
        << message();
    const std::string first = message();
    const std::uint32_t n = nodes();
    const sdk::tensor z = add(root["later"], rms_norm(root["other"], y, 1e-5), x);
    g.output("z", z);
    EXPECT_FALSE(z);
    EXPECT_EQ(nodes(), n);
    EXPECT_EQ(message(), first);
}

TEST_F(sdk_graph, a_complaint_of_the_graph_names_op_and_module) {
    const sdk::tensor a = input("a", {2, 6});
    const sdk::tensor b = input("b", {2, 5});
    add(root["model"]["norm"], a, b);
    EXPECT_NE(message().find("model.norm"), std::string::npos) << message();
    EXPECT_NE(message().find("Binary"), std::string::npos) << message();
}

TEST_F(sdk_graph, heads_that_do_not_divide_are_an_error) {
    const sdk::tensor x = input("x", {2, 6});
    EXPECT_FALSE(split_heads(root["model"]["self_attn"], x, 4));
    EXPECT_EQ(message(), "model.self_attn: 6 features do not split into 4 heads");
}

TEST_F(sdk_graph, splitting_and_merging_heads_restores_the_shape) {
    const sdk::dim t = g.symbol("T", 1, 16);
    const sdk::tensor x = input("x", {t, 6});
    const sdk::tensor heads = split_heads(root, x, 3);
    const sdk::shape split = g.shape_of(heads);
    ASSERT_EQ(split.rank, 3u);
    EXPECT_EQ(split.dims[0], t);
    EXPECT_EQ(split.dims[1], 3);
    EXPECT_EQ(split.dims[2], 2);
    const sdk::shape merged = g.shape_of(merge_heads(root, heads));
    ASSERT_EQ(merged.rank, 2u);
    EXPECT_EQ(merged.dims[0], t);
    EXPECT_EQ(merged.back(), 6);
    EXPECT_TRUE(errors.ok()) << message();
}

TEST_F(sdk_graph, an_absurd_path_is_an_error_and_not_an_overrun) {
    sdk::scope m = root;
    for (int i = 0; i < 50; ++i)
        m = m["module_with_a_long_name"];
    EXPECT_NE(message().find("too long"), std::string::npos) << message();
    EXPECT_LE(m.path().size(), 192u);
}

TEST_F(sdk_graph, an_undeclared_input_is_an_error_naming_it) {
    sdk::find_lm_inputs(g);
    EXPECT_NE(message().find("'tokens'"), std::string::npos) << message();
}

TEST_F(sdk_graph, too_many_operands_are_an_error) {
    std::array<sdk::tensor, 65> many;
    many.fill(input("x", {2, 6}));
    std::array<sdk::tensor, 1> out;
    g.add("model", RLX_OP_Concat, many, {}, out);
    EXPECT_NE(message().find("more than 64"), std::string::npos) << message();
}

TEST_F(sdk_graph, sliced_concatenated_and_permuted_shapes_are_known) {
    const sdk::tensor x = input("x", {4, 6});
    const sdk::tensor left = slice(root, x, 1, 0, 2);
    const sdk::tensor right = slice(root, x, 1, 2, 6);
    const sdk::tensor both = concat(root, {right, left}, 1);
    EXPECT_EQ(g.shape_of(both).back(), 6);
    EXPECT_EQ(g.shape_of(permute(root, x, {1, 0})).dims[0], 6);
    EXPECT_TRUE(errors.ok()) << message();
}

} // namespace
