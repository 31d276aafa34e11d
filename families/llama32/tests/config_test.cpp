// SPDX-License-Identifier: GPL-3.0-only
#include "family_case.hpp"

#include <gtest/gtest.h>

extern "C" rlx_error* rlx_plugin_entry_v1_rlx_llama32(const rlx_host* host, rlx_plugin* out);

namespace rlx::test {
namespace {

const std::filesystem::path goldens =
    std::filesystem::path(RLX_FAMILY_DIR).parent_path().parent_path() / "tests" / "goldens";

const family_plugin& family() {
    static const family_plugin p(rlx_plugin_entry_v1_rlx_llama32);
    return p;
}

TEST(llama32, builds_a_verified_graph_for_every_fixture) {
    for (const char* name :
         {"llama-bias",
          "llama-default",
          "llama-dynamic",
          "llama-gelu",
          "llama-linear",
          "llama-llama3",
          "llama-yarn",
          "qwen2-tied",
          "qwen2-untied"}) {
        const auto built = family().build(goldens / "lm" / name / "hf", RLX_GRAPH_LM);
        ASSERT_TRUE(built.ok()) << name << ": " << built.error().message;
    }
}

TEST(llama32, builds_the_same_graph_from_gguf) {
    for (const char* name :
         {"llama-bias", "llama-default", "llama-linear", "llama-yarn", "qwen2-tied"}) {
        const auto folder = goldens / "lm" / name;
        const auto gguf = family().build(folder / "gguf" / "model.gguf", RLX_GRAPH_LM);
        const auto hf = family().build(folder / "hf", RLX_GRAPH_LM);
        ASSERT_TRUE(gguf.ok()) << name << ": " << gguf.error().message;
        ASSERT_TRUE(hf.ok()) << name << ": " << hf.error().message;
        EXPECT_EQ(*gguf, *hf) << name;
    }
}

TEST(llama32, takes_sizes_from_the_tensors_when_the_config_does_not_say) {
    const bad_config lean{"", "llama-default", R"({"head_dim": null, "vocab_size": null})", 0, {}};
    const auto built = build_patched(family(), goldens, lean);
    EXPECT_TRUE(built.ok()) << built.error().message;
}

TEST(llama32, survives_hostile_config_values) {
    EXPECT_GT(build_hostile(family(), goldens, "llama-llama3"), 50u);
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
     "llama-default",
     R"({"hidden_size": null})",
     RLX_MISSING_METADATA,
     {"hidden_size"}},
    {"wrong_head_dim",
     "llama-bias",
     R"({"head_dim": 10})",
     RLX_CORRUPT_DATA,
     {"q_proj.weight", "48", "40"}},
    {"wrong_kv_heads",
     "llama-bias",
     R"({"num_key_value_heads": 2})",
     RLX_CORRUPT_DATA,
     {"k_proj.weight", "[12, 40]", "[24, 40]"}},
    {"heads_do_not_fit_rows",
     "llama-default",
     R"({"num_attention_heads": 7, "num_key_value_heads": 7})",
     RLX_CORRUPT_DATA,
     {"q_proj.weight", "64", "7"}},
    {"attention_bias_missing",
     "llama-default",
     R"({"attention_bias": true})",
     RLX_NOT_FOUND,
     {"q_proj.bias"}},
    {"mlp_bias_missing",
     "llama-default",
     R"({"mlp_bias": true})",
     RLX_NOT_FOUND,
     {"gate_proj.bias"}},
    {"bias_flag_as_number",
     "llama-default",
     R"({"attention_bias": 1})",
     RLX_CORRUPT_DATA,
     {"attention_bias", "true or false"}},
    {"linear_without_factor",
     "llama-linear",
     R"({"rope_parameters": {"factor": null}})",
     RLX_MISSING_METADATA,
     {"rope_parameters.factor"}},
    {"dynamic_without_factor",
     "llama-dynamic",
     R"({"rope_parameters": {"factor": null}})",
     RLX_MISSING_METADATA,
     {"rope_parameters.factor"}},
    {"llama3_without_low",
     "llama-llama3",
     R"({"rope_parameters": {"low_freq_factor": null}})",
     RLX_MISSING_METADATA,
     {"low_freq_factor"}},
    {"llama3_bands_swapped",
     "llama-llama3",
     R"({"rope_parameters": {"low_freq_factor": 8}})",
     RLX_CORRUPT_DATA,
     {"high_freq_factor", "low_freq_factor"}},
    {"llama3_no_original",
     "llama-llama3",
     R"({"rope_parameters": {"original_max_position_embeddings": 0}})",
     RLX_CORRUPT_DATA,
     {"original_max_position_embeddings"}},
    {"unknown_rope",
     "llama-default",
     R"({"rope_parameters": {"rope_type": "su"}})",
     RLX_UNSUPPORTED,
     {"rope_type", "longrope"}},
    {"unknown_act",
     "llama-default",
     R"({"hidden_act": "relu2"})",
     RLX_UNSUPPORTED,
     {"hidden_act", "relu2"}},
    {"experts", "llama-default", R"({"num_local_experts": 8})", RLX_UNSUPPORTED, {"8 experts"}},
    {"qwen2_sliding_without_window",
     "qwen2-untied",
     R"({"layer_types": ["sliding_attention", "full_attention"]})",
     RLX_CORRUPT_DATA,
     {"layer_types.0", "use_sliding_window"}},
    {"quantised_checkpoint",
     "llama-default",
     R"({"quantization_config": {"quant_method": "fp8"}})",
     RLX_UNSUPPORTED,
     {"quant_method", "fp8"}},
    {"another_family", "qwen3-dense", R"({})", RLX_UNSUPPORTED, {"'qwen3'", "llama"}},
};

INSTANTIATE_TEST_SUITE_P(llama32, refuses, testing::ValuesIn(wrong), [](const auto& p) {
    return p.param.name;
});

} // namespace
} // namespace rlx::test
