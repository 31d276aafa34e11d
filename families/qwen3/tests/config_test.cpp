// SPDX-License-Identifier: GPL-3.0-only
#include "family_case.hpp"

#include <gtest/gtest.h>

extern "C" rlx_error* rlx_plugin_entry_v1_rlx_qwen3(const rlx_host* host, rlx_plugin* out);

namespace rlx::test {
namespace {

const std::filesystem::path goldens =
    std::filesystem::path(RLX_FAMILY_DIR).parent_path().parent_path() / "tests" / "goldens";

const family_plugin& family() {
    static const family_plugin p(rlx_plugin_entry_v1_rlx_qwen3);
    return p;
}

TEST(qwen3, builds_a_verified_graph_for_every_fixture) {
    for (const char* name :
         {"qwen3-dense",
          "qwen3-sliding",
          "qwen3-tied",
          "qwen3-yarn",
          "qwen3moe-normalised",
          "qwen3moe-raw"}) {
        const auto built = family().build(goldens / "lm" / name / "hf", RLX_GRAPH_LM);
        ASSERT_TRUE(built.ok()) << name << ": " << built.error().message;
    }
}

TEST(qwen3, builds_the_same_graph_from_gguf) {
    for (const char* name : {"qwen3-dense", "qwen3-tied", "qwen3-yarn", "qwen3moe-normalised"}) {
        const auto folder = goldens / "lm" / name;
        const auto gguf = family().build(folder / "gguf" / "model.gguf", RLX_GRAPH_LM);
        const auto hf = family().build(folder / "hf", RLX_GRAPH_LM);
        ASSERT_TRUE(gguf.ok()) << name << ": " << gguf.error().message;
        ASSERT_TRUE(hf.ok()) << name << ": " << hf.error().message;
        EXPECT_EQ(*gguf, *hf) << name;
    }
}

TEST(qwen3, has_no_other_graph) {
    const auto built = family().build(goldens / "lm" / "qwen3-dense" / "hf", "encoder");
    ASSERT_FALSE(built.ok());
    EXPECT_EQ(built.error().code, RLX_UNSUPPORTED);
    EXPECT_NE(built.error().message.find("'encoder'"), std::string::npos);
}

std::size_t count(std::string_view text, std::string_view what) {
    std::size_t n = 0;
    for (auto at = text.find(what); at != text.npos; at = text.find(what, at + 1))
        ++n;
    return n;
}

TEST(qwen3, mixes_dense_and_expert_layers_by_config) {
    // 4 layers, every second one sparse, layer 3 listed as dense: only layer 1 has experts.
    const auto built = family().build(goldens / "lm" / "qwen3moe-raw" / "hf", RLX_GRAPH_LM);
    ASSERT_TRUE(built.ok()) << built.error().message;
    EXPECT_EQ(count(*built, "MoeRoute"), 1u);
    EXPECT_EQ(count(*built, "GroupedMatMul"), 3u);
}

TEST(qwen3, survives_hostile_config_values) {
    EXPECT_GT(build_hostile(family(), goldens, "qwen3moe-raw"), 50u);
}

class refuses : public testing::TestWithParam<bad_config> {};

TEST_P(refuses, the_config_naming_the_key) {
    const bad_config& b = GetParam();
    const auto built = build_patched(family(), goldens, b);
    ASSERT_FALSE(built.ok()) << "accepted " << b.patch;
    EXPECT_EQ(built.error().code, b.code) << built.error().message;
    for (const std::string& part : b.says) {
        EXPECT_NE(built.error().message.find(part), std::string::npos)
            << "no '" << part << "' in: " << built.error().message;
    }
}

const bad_config wrong[] = {
    {"no_hidden_size",
     "qwen3-dense",
     R"({"hidden_size": null})",
     RLX_MISSING_METADATA,
     {"hidden_size"}},
    {"no_layers",
     "qwen3-dense",
     R"({"num_hidden_layers": null})",
     RLX_MISSING_METADATA,
     {"num_hidden_layers"}},
    {"no_heads",
     "qwen3-dense",
     R"({"num_attention_heads": null})",
     RLX_MISSING_METADATA,
     {"num_attention_heads"}},
    {"no_eps", "qwen3-dense", R"({"rms_norm_eps": null})", RLX_MISSING_METADATA, {"rms_norm_eps"}},
    {"no_context",
     "qwen3-dense",
     R"({"max_position_embeddings": null})",
     RLX_MISSING_METADATA,
     {"max_position_embeddings"}},
    {"layers_as_text",
     "qwen3-dense",
     R"({"num_hidden_layers": "2"})",
     RLX_CORRUPT_DATA,
     {"num_hidden_layers", "a string", "an integer"}},
    {"zero_layers",
     "qwen3-dense",
     R"({"num_hidden_layers": 0})",
     RLX_CORRUPT_DATA,
     {"num_hidden_layers", "0"}},
    {"absurd_layers",
     "qwen3-dense",
     R"({"num_hidden_layers": 100000000})",
     RLX_CORRUPT_DATA,
     {"num_hidden_layers"}},
    {"too_many_layers",
     "qwen3-dense",
     R"({"num_hidden_layers": 3, "layer_types": null})",
     RLX_NOT_FOUND,
     {"model.layers.2."}},
    {"negative_eps",
     "qwen3-dense",
     R"({"rms_norm_eps": -1})",
     RLX_CORRUPT_DATA,
     {"rms_norm_eps", "-1"}},
    {"wrong_hidden_size",
     "qwen3-dense",
     R"({"hidden_size": 48})",
     RLX_CORRUPT_DATA,
     {"model.embed_tokens.weight", "[96, 40]", "[96, 48]"}},
    {"wrong_vocab_size",
     "qwen3-dense",
     R"({"vocab_size": 100})",
     RLX_CORRUPT_DATA,
     {"model.embed_tokens.weight", "[96, 40]", "[100, 40]"}},
    {"wrong_head_dim",
     "qwen3-dense",
     R"({"head_dim": 8})",
     RLX_CORRUPT_DATA,
     {"q_proj.weight", "64", "32", "head_dim 8"}},
    {"wrong_kv_heads",
     "qwen3-dense",
     R"({"num_key_value_heads": 4})",
     RLX_CORRUPT_DATA,
     {"k_proj.weight", "[32, 40]", "[64, 40]"}},
    {"heads_do_not_divide",
     "qwen3-dense",
     R"({"num_key_value_heads": 3})",
     RLX_CORRUPT_DATA,
     {"num_key_value_heads 3", "num_attention_heads 4"}},
    {"wrong_inner",
     "qwen3-dense",
     R"({"intermediate_size": 64})",
     RLX_CORRUPT_DATA,
     {"gate_proj.weight", "[56, 40]", "[64, 40]"}},
    {"unknown_act",
     "qwen3-dense",
     R"({"hidden_act": "mish"})",
     RLX_UNSUPPORTED,
     {"hidden_act", "mish", "silu"}},
    {"unknown_rope",
     "qwen3-dense",
     R"({"rope_parameters": {"rope_type": "longrope"}})",
     RLX_UNSUPPORTED,
     {"rope_type", "longrope"}},
    {"partial_rotary",
     "qwen3-dense",
     R"({"rope_parameters": {"partial_rotary_factor": 0.5}})",
     RLX_UNSUPPORTED,
     {"partial_rotary_factor"}},
    {"bad_theta",
     "qwen3-dense",
     R"({"rope_parameters": {"rope_theta": 0}})",
     RLX_CORRUPT_DATA,
     {"rope_theta"}},
    {"yarn_bad_factor",
     "qwen3-yarn",
     R"({"rope_parameters": {"factor": -2}})",
     RLX_CORRUPT_DATA,
     {"rope_parameters.factor", "-2"}},
    {"yarn_bad_truncate",
     "qwen3-yarn",
     R"({"rope_parameters": {"truncate": "no"}})",
     RLX_CORRUPT_DATA,
     {"truncate", "true or false"}},
    {"bias_missing", "qwen3-dense", R"({"attention_bias": true})", RLX_NOT_FOUND, {"q_proj.bias"}},
    {"head_missing",
     "qwen3-tied",
     R"({"tie_word_embeddings": false})",
     RLX_NOT_FOUND,
     {"lm_head.weight"}},
    {"layer_types_short",
     "qwen3-sliding",
     R"({"layer_types": ["full_attention"]})",
     RLX_CORRUPT_DATA,
     {"layer_types", "1", "2"}},
    {"layer_types_unknown",
     "qwen3-sliding",
     R"({"layer_types": ["full_attention", "chunked_attention"]})",
     RLX_UNSUPPORTED,
     {"layer_types.1", "chunked_attention"}},
    {"sliding_without_window",
     "qwen3-sliding",
     R"({"use_sliding_window": false})",
     RLX_CORRUPT_DATA,
     {"layer_types.1", "use_sliding_window"}},
    {"window_missing",
     "qwen3-sliding",
     R"({"sliding_window": null})",
     RLX_MISSING_METADATA,
     {"sliding_window"}},
    {"no_experts_key",
     "qwen3moe-raw",
     R"({"num_local_experts": null})",
     RLX_MISSING_METADATA,
     {"num_experts"}},
    {"wrong_expert_count",
     "qwen3moe-raw",
     R"({"num_local_experts": 6})",
     RLX_CORRUPT_DATA,
     {"mlp.gate.weight", "[8, 40]", "[6, 40]"}},
    {"too_many_used",
     "qwen3moe-raw",
     R"({"num_experts_per_tok": 9})",
     RLX_CORRUPT_DATA,
     {"num_experts_per_tok", "9"}},
    {"wrong_expert_width",
     "qwen3moe-raw",
     R"({"moe_intermediate_size": 16})",
     RLX_CORRUPT_DATA,
     {"experts", "12", "16"}},
    {"zero_step",
     "qwen3moe-raw",
     R"({"decoder_sparse_step": 0})",
     RLX_CORRUPT_DATA,
     {"decoder_sparse_step"}},
    {"dense_layer_out_of_range",
     "qwen3moe-raw",
     R"({"mlp_only_layers": [4]})",
     RLX_CORRUPT_DATA,
     {"mlp_only_layers.0", "4"}},
    {"quantised_checkpoint",
     "qwen3-dense",
     R"({"quantization_config": {"quant_method": "fp8"}})",
     RLX_UNSUPPORTED,
     {"quant_method", "fp8"}},
    {"another_family", "llama-default", R"({})", RLX_UNSUPPORTED, {"'llama'", "qwen3"}},
};

INSTANTIATE_TEST_SUITE_P(qwen3, refuses, testing::ValuesIn(wrong), [](const auto& p) {
    return p.param.name;
});

} // namespace
} // namespace rlx::test
