// SPDX-License-Identifier: GPL-3.0-only
// The "embed" graph: hidden states against transformers' AutoModel, in every kernel tier and
// format.
#include "fixture.hpp"

namespace rlx::test {
namespace {

constexpr double limit = 1e-4; // of the states' RMS

std::vector<float> states_of(const fixture& f) {
    return read_npy_f32(f.folder / "hidden.npy").data;
}

chain_options embedding(std::string tier = {}) {
    chain_options o;
    o.tier = std::move(tier);
    o.lm.graph = RLX_GRAPH_EMBED;
    return o;
}

class hidden : public testing::TestWithParam<std::tuple<std::string, std::string>> {};

TEST_P(hidden, states_equal_transformers) {
    const auto& [name, tier] = GetParam();
    const fixture f(name);
    auto opened = chain::open(f.hf(), embedding(tier));
    if (!opened.ok() && opened.error().code == RLX_UNSUPPORTED &&
        opened.error().message.find(tier) != std::string::npos)
        GTEST_SKIP() << opened.error().message;
    const auto c = must(std::move(opened));
    const std::vector<float> got = prefill(c->model(), f.ids);
    RecordProperty("distance", std::to_string(distance(got, states_of(f))));
    EXPECT_LE(distance(got, states_of(f)), limit);
    EXPECT_EQ(c->model().tier(), tier);
}

INSTANTIATE_TEST_SUITE_P(
    tiers,
    hidden,
    testing::Combine(
        testing::ValuesIn(lm_cases()),
        testing::Values("baseline", "avx2", "avx512", "avx512_vnni", "amx")
    ),
    [](const auto& p) { return test_name(std::get<0>(p.param)) + "_" + std::get<1>(p.param); }
);

class embed_graph : public testing::Test {
protected:
    const fixture f{"qwen3-dense"};
};

TEST_F(embed_graph, gguf_equals_safetensors) {
    const auto c = must(chain::open(f.gguf(), embedding()));
    EXPECT_LE(distance(prefill(c->model(), f.ids), states_of(f)), limit);
}

TEST_F(embed_graph, the_last_row_alone_is_the_last_of_all) {
    const auto c = must(chain::open(f.hf(), embedding()));
    const std::vector<float> all = prefill(c->model(), f.ids);
    const auto sequence = must(c->model().new_sequence());
    const lm_batch_item item{sequence.get(), f.ids};
    const auto row = must(c->model().eval({&item, 1}));
    const auto width = static_cast<std::size_t>(c->model().row_size());
    ASSERT_EQ(row.size(), width);
    EXPECT_EQ(c->model().hidden_size(), c->model().row_size());
    EXPECT_LE(distance(row, std::span(all).last(width)), 1e-5);
}

TEST_F(embed_graph, the_head_is_not_read_and_not_missed) {
    hf_checkpoint files = hf_checkpoint::read(f.hf());
    ASSERT_EQ(files.tensors.erase("lm_head.weight"), 1U);
    const scratch_dir scratch;
    files.write(scratch.path());
    const auto c = must(chain::open(scratch.path(), embedding()));
    EXPECT_LE(distance(prefill(c->model(), f.ids), states_of(f)), limit);
    EXPECT_FALSE(chain::open(scratch.path()).ok());
    // The file has a head: that it is left alone is no news.
    const auto whole = must(chain::open(f.hf(), embedding()));
    EXPECT_TRUE(whole->model().warnings().empty()) << whole->model().warnings().front();
    EXPECT_LT(whole->model().memory().weights, must(chain::open(f.hf()))->model().memory().weights);
}

// What AutoModel saves, and published embedding checkpoints hold.
TEST_F(embed_graph, names_without_the_prefix_of_the_model_are_found) {
    hf_checkpoint files = hf_checkpoint::read(f.hf());
    hf_checkpoint bare{files.config, {}};
    for (auto& [name, t] : files.tensors)
        if (name.starts_with("model.")) bare.tensors[name.substr(6)] = std::move(t);
    ASSERT_GT(bare.tensors.size(), 5U);
    const scratch_dir scratch;
    bare.write(scratch.path());
    const auto c = must(chain::open(scratch.path(), embedding()));
    EXPECT_LE(distance(prefill(c->model(), f.ids), states_of(f)), limit);
    bare.tensors.erase("layers.1.mlp.up_proj.weight");
    bare.write(scratch.path());
    const auto broken = chain::open(scratch.path(), embedding());
    ASSERT_FALSE(broken.ok());
    EXPECT_NE(broken.error().message.find("model.layers.1.mlp.up_proj.weight"), std::string::npos)
        << broken.error().message;
}

TEST_F(embed_graph, another_graph_is_refused_by_name) {
    chain_options o;
    o.lm.graph = "paint";
    const auto c = chain::open(f.hf(), o);
    ASSERT_FALSE(c.ok());
    EXPECT_EQ(c.error().code, RLX_INVALID_ARGUMENT);
    EXPECT_NE(c.error().message.find("'paint'"), std::string::npos) << c.error().message;
}

} // namespace
} // namespace rlx::test
