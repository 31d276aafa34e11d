// SPDX-License-Identifier: GPL-3.0-only
// Logits against transformers, in every kernel tier, format and config spelling.
#include "fixture.hpp"

namespace rlx::test {
namespace {

constexpr double limit = 1e-4; // of the logits' RMS

class golden : public testing::TestWithParam<std::tuple<std::string, std::string>> {
protected:
    const fixture f{std::get<0>(GetParam())};

    // A tier this machine lacks is a skip, never another tier.
    std::unique_ptr<chain> open(const std::filesystem::path& path, chain_options o = {}) {
        o.tier = std::get<1>(GetParam());
        auto c = chain::open(path, o);
        if (!c.ok() && c.error().code == RLX_UNSUPPORTED && !o.tier.empty() &&
            c.error().message.find(o.tier) != std::string::npos) {
            skipped = c.error().message;
            return nullptr;
        }
        return must(std::move(c));
    }

    std::string skipped;
};

TEST_P(golden, prefill_equals_transformers) {
    const auto c = open(f.hf());
    if (!c) GTEST_SKIP() << skipped;
    const std::vector<float> got = prefill(c->model(), f.ids);
    RecordProperty("distance", std::to_string(distance(got, f.logits)));
    EXPECT_LE(distance(got, f.logits), limit);
    EXPECT_EQ(best_of_rows(got, f.vocab()), best_of_rows(f.logits, f.vocab()));
    if (!std::get<1>(GetParam()).empty()) {
        EXPECT_EQ(c->model().tier(), std::get<1>(GetParam()));
    }
}

TEST_P(golden, fast_mode_stays_close) {
    chain_options o;
    o.lm.compute = "auto";
    const auto c = open(f.hf(), o);
    if (!c) GTEST_SKIP() << skipped;
    const std::vector<float> got = prefill(c->model(), f.ids);
    EXPECT_LE(distance(got, f.logits), 0.1);
    EXPECT_LE(mean_kl(f.logits, got, f.vocab()), 0.01);
}

INSTANTIATE_TEST_SUITE_P(
    tiers,
    golden,
    testing::Combine(
        testing::ValuesIn(lm_cases()),
        testing::Values("baseline", "avx2", "avx512", "avx512_vnni", "amx")
    ),
    [](const auto& p) { return test_name(std::get<0>(p.param)) + "_" + std::get<1>(p.param); }
);

// Dynamic RoPE, another activation, sliding layers and a mix of dense and expert layers have no
// GGUF key.
class converted : public testing::TestWithParam<std::string> {
protected:
    const fixture f{GetParam()};
};

TEST_P(converted, gguf_equals_safetensors) {
    const auto hf = must(chain::open(f.hf()));
    const auto gguf = must(chain::open(f.gguf()));
    const std::vector<float> want = prefill(hf->model(), f.ids);
    const std::vector<float> got = prefill(gguf->model(), f.ids);
    EXPECT_LE(distance(got, want), 1e-5);
    EXPECT_TRUE(gguf->checkpoint().unused().empty()) << gguf->checkpoint().unused().front();
    EXPECT_TRUE(hf->checkpoint().unused().empty()) << hf->checkpoint().unused().front();
}

INSTANTIATE_TEST_SUITE_P(
    lm,
    converted,
    testing::Values(
        "llama-bias",
        "llama-default",
        "llama-linear",
        "llama-llama3",
        "llama-yarn",
        "qwen2-tied",
        "qwen2-untied",
        "qwen3-dense",
        "qwen3-tied",
        "qwen3-yarn",
        "qwen3moe-normalised"
    ),
    [](const auto& p) { return test_name(p.param); }
);

class spelling : public testing::TestWithParam<std::string> {
protected:
    const fixture f{GetParam()};
};

TEST_P(spelling, version_4_config_means_the_same) {
    const auto v5 = must(chain::open(f.hf()));
    chain_options o;
    o.files.config = f.folder / "config.v4.json";
    const auto v4 = must(chain::open(f.hf(), o));
    EXPECT_EQ(distance(prefill(v4->model(), f.ids), prefill(v5->model(), f.ids)), 0);
}

INSTANTIATE_TEST_SUITE_P(lm, spelling, testing::ValuesIn(lm_cases()), [](const auto& p) {
    return test_name(p.param);
});

} // namespace
} // namespace rlx::test
