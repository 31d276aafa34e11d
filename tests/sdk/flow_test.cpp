// SPDX-License-Identifier: GPL-3.0-only
// Recipes on the host's real graph: streams, repeats, the escape hatch, parameters, errors. A whole
// family as a recipe: tests/parity/lm_recipe_test.cpp.
#include "rlx/base/wall.hpp"
#include "rlx/formats/weights.hpp"
#include "rlx/graph/graph.hpp"
#include "rlx/sdk.hpp"

#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <string>

namespace {

namespace sdk = rlx::sdk;
using sdk::emit;
using sdk::model_recipe;
using sdk::scope;
using sdk::tensor;

class sdk_flow : public testing::Test {
protected:
    const rlx_host* host_table = sdk::detail::host_table = rlx::host();
    std::unique_ptr<rlx::weights> file = std::move(
        rlx::weights::open(std::filesystem::path(RLX_GOLDENS_DIR) / "lm/llama-default/hf").value()
    );
    std::unique_ptr<rlx::graph> host_graph = rlx::graph::create(file.get());
    sdk::sticky errors;
    sdk::graph_builder g{host_graph->handle(), errors};

    std::uint32_t nodes() const { return rlx::graph_table()->node_count(host_graph->handle()); }

    std::string build_error(const model_recipe& r) {
        const sdk::status s = r.build(g);
        return s.ok() ? "" : s.error().message;
    }
};

TEST_F(sdk_flow, stages_map_the_main_stream_in_order) {
    model_recipe r;
    r.input("main", RLX_F32, {2, 4})
        .stage("a", [](scope m, tensor x) { return scale(m, x, 2); })
        .stage("b", [](scope m, tensor x) { return silu(m, x); })
        .output("y");
    EXPECT_EQ(build_error(r), "");
    EXPECT_EQ(nodes(), 2u);
    const std::string dump = host_graph->dump();
    EXPECT_LT(dump.find("Affine"), dump.find("Unary")) << dump;
}

TEST_F(sdk_flow, repeat_counts_layers_and_extends_the_path) {
    std::string paths;
    model_recipe r;
    r.input("main", RLX_F32, {4}).repeat("layers", 3, [&](scope m, tensor x, std::int64_t layer) {
        paths += sdk::format("{}@{} ", layer, m.path());
        return scale(m, x, static_cast<double>(layer + 1));
    });
    EXPECT_EQ(build_error(r), "");
    EXPECT_EQ(paths, "0@layers.0 1@layers.1 2@layers.2 ");
}

TEST_F(sdk_flow, a_recipe_can_be_a_stage_of_another) {
    std::string seen;
    model_recipe block;
    block.stage("inner", [&](const emit& e) {
        seen += sdk::format("{}#{} ", e.at().path(), e.layer());
    });
    model_recipe r;
    r.repeat("blocks", 2, block).stage("tail", block);
    EXPECT_EQ(build_error(r), "");
    EXPECT_EQ(seen, "blocks.0.inner#0 blocks.1.inner#1 tail.inner#-1 ");
}

TEST_F(sdk_flow, dual_stream_maps_img_and_txt_together) {
    model_recipe r;
    r.input("img", RLX_F32, {2, 4})
        .input("txt", RLX_F32, {2, 4})
        .dual_stream(
            "double_blocks.0",
            [](scope m, tensor img, tensor txt) {
                return std::pair(add(m, img, txt), mul(m, txt, img));
            }
        )
        .output("img_out", "img")
        .output("txt_out", "txt");
    EXPECT_EQ(build_error(r), "");
    EXPECT_EQ(nodes(), 2u);
}

TEST_F(sdk_flow, an_unknown_stream_is_an_error_that_lists_the_known_ones) {
    model_recipe r;
    r.input("img", RLX_F32, {4})
        .input("txt", RLX_F32, {4})
        .repeat("blocks", 2, [](scope m, tensor x) { return silu(m, x); });
    EXPECT_EQ(build_error(r), "blocks.0: no stream 'main' (known: img, txt)");
}

TEST_F(sdk_flow, after_an_error_no_stage_runs) {
    int runs = 0;
    model_recipe r;
    r.stage("a", [&](const emit& e) {
         e.at().fail(RLX_UNSUPPORTED, "not this {}", 7);
     }).repeat("b", 5, [&](const emit&) { ++runs; });
    EXPECT_EQ(build_error(r), "a: not this 7");
    EXPECT_EQ(runs, 0);
}

TEST_F(sdk_flow, a_parameter_is_made_once_and_can_be_transposed) {
    tensor plain, again, turned, turned_again;
    model_recipe r;
    r.stage("model.layers.0.mlp.up_proj", [&](const emit& e) {
        plain = e.load("weight", {sdk::any_size, sdk::any_size});
        again = e.load("weight", {sdk::any_size, sdk::any_size});
        turned = e.load("weight", {sdk::any_size, sdk::any_size}, {.transpose = true});
        turned_again = e.load("weight", {sdk::any_size, sdk::any_size}, {.transpose = true});
    });
    EXPECT_EQ(build_error(r), "");
    EXPECT_EQ(plain.id, again.id);
    EXPECT_EQ(turned.id, turned_again.id);
    ASSERT_NE(plain.id, turned.id);
    const sdk::shape a = g.shape_of(plain), b = g.shape_of(turned);
    EXPECT_EQ(a.dims[0], b.dims[1]);
    EXPECT_EQ(a.dims[1], b.dims[0]);
    EXPECT_NE(a.dims[0], a.dims[1]) << "the fixture must not be square";
}

TEST_F(sdk_flow, a_missing_parameter_is_named_unless_it_is_optional) {
    tensor none{1};
    model_recipe r;
    r.stage("model.norm", [&](const emit& e) { none = e.load("bias", {4}, {.optional = true}); });
    EXPECT_EQ(build_error(r), "");
    EXPECT_FALSE(none);
    r.stage("model.nowhere", [](const emit& e) { (void)e.load("weight", {4}); });
    EXPECT_NE(build_error(r).find("model.nowhere.weight"), std::string::npos);
}

TEST_F(sdk_flow, synthetic_constants_are_shared) {
    const std::array<float, 4> ramp{0, 1, 2, 3};
    std::array<tensor, 5> made;
    model_recipe r;
    r.stage("m", [&](const emit& e) {
        made = {
            e.zeros({2, 4}),
            e.zeros({2, 4}),
            e.zeros({4, 2}),
            e.constant("ramp", ramp, {4}),
            e.constant("ramp", ramp, {4})};
        e.output("y", add(e.at(), made[0], made[3]));
    });
    EXPECT_EQ(build_error(r), "");
    EXPECT_EQ(made[0].id, made[1].id);
    EXPECT_NE(made[0].id, made[2].id);
    EXPECT_EQ(made[3].id, made[4].id);
}

TEST_F(sdk_flow, the_same_recipe_builds_again_into_another_graph) {
    model_recipe r;
    r.input("main", RLX_F32, {4})
        .stage("m", [](const emit& e) { e.set("main", add(e.at(), e.get("main"), e.zeros({4}))); })
        .output("y");
    EXPECT_EQ(build_error(r), "");
    const auto other_graph = rlx::graph::create(nullptr);
    sdk::sticky other_errors;
    sdk::graph_builder other(other_graph->handle(), other_errors);
    EXPECT_TRUE(r.build(other).ok());
    EXPECT_EQ(other_graph->dump(), host_graph->dump());
}

TEST(sdk_options, a_plugin_can_own_a_bag) {
    sdk::detail::host_table = rlx::host();
    auto made = sdk::options::create();
    ASSERT_TRUE(made.ok());
    sdk::options bag = std::move(*made);
    ASSERT_TRUE(bag.write().set("answer", 42).set("name", "rlx").done().ok());
    EXPECT_EQ(bag.read().i64_or("answer", 0).value(), 42);
    EXPECT_EQ(bag.read().text_or("name", "").value(), "rlx");
    const auto wrong = bag.read().f64("name");
    ASSERT_FALSE(wrong.ok());
    EXPECT_NE(wrong.error().message.find("name"), std::string::npos);
}

} // namespace
