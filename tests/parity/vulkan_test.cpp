// SPDX-License-Identifier: GPL-3.0-only
// The goldens of language models on the Vulkan backend (encoders: vulkan_encoder_test.cpp). Skipped
// where it was not built or has no device. What it leaves to others runs on the CPU.
#include "fixture.hpp"
#include "rlx/base/environment.hpp"

#include <chrono>
#include <cstdlib>
#include <fstream>

namespace rlx::test {
namespace {

chain_options on_vulkan() {
    chain_options o;
    o.device = "vulkan:0";
    // Such small models would be islands on the cpu as a whole.
    o.adjust = [](model_parts& p) { p.force = [](std::uint32_t) { return -1; }; };
    return o;
}

// The chain, or null with the reason why this cannot run here.
std::unique_ptr<chain> open_or_skip(result<std::unique_ptr<chain>> c, std::string* why) {
    if (c.ok()) return std::move(c.value());
    if (c.error().code != RLX_NOT_FOUND) throw std::runtime_error(c.error().message);
    *why = c.error().message;
    return nullptr;
}

class vulkan_golden : public testing::TestWithParam<std::string> {};

TEST_P(vulkan_golden, prefill_and_steps_equal_transformers) {
    const fixture f(GetParam());
    std::string why;
    const auto c = open_or_skip(chain::open(f.hf(), on_vulkan()), &why);
    if (!c) GTEST_SKIP() << why;
    EXPECT_EQ(c->model().partition().elsewhere("vulkan:0"), "");
    const std::vector<float> whole = prefill(c->model(), f.ids);
    EXPECT_LE(distance(whole, f.logits), 1e-4);
    EXPECT_EQ(best_of_rows(whole, f.vocab()), best_of_rows(f.logits, f.vocab()));
    if (f.chunkable().size() != f.ids.size()) return; // rotated by the whole length
    const std::vector<float> steps = prefill(c->model(), f.chunkable(), 5);
    EXPECT_LE(distance(steps, std::span(f.logits).first(steps.size())), 1e-4);
}

INSTANTIATE_TEST_SUITE_P(lm, vulkan_golden, testing::ValuesIn(lm_cases()), [](const auto& p) {
    return test_name(p.param);
});

// Greedy ids of the demo's model in exact mode, and how long they take here and on the CPU.
TEST(vulkan_smollm2, exact_mode_gives_the_reference_ids) {
    const char* set = std::getenv("RLX_SMOLLM2");
    const std::filesystem::path file =
        set ? set : cache_dir() / "models" / "smollm2-135m-instruct-q4_1.gguf";
    if (!std::filesystem::exists(file)) GTEST_SKIP() << "no " << file;
    std::ifstream in(std::filesystem::path(RLX_PARITY_DIR) / "smollm2-expected.json");
    const auto one = nlohmann::json::parse(in).at("cases").at(0);
    const auto want = one.at("greedy").get<std::vector<std::int32_t>>();
    for (const char* backend : {"cpu", "vulkan"}) {
        chain_options o;
        if (std::string(backend) != "cpu") o.device = std::string(backend) + ":0";
        o.lm.max_rows = 1;
        std::string why;
        const auto c = open_or_skip(chain::open(file, o), &why);
        if (!c) GTEST_SKIP() << why;
        const auto sequence = must(c->model().new_sequence());
        auto feed = one.at("ids").get<std::vector<std::int32_t>>();
        std::vector<std::int32_t> got;
        using clock = std::chrono::steady_clock;
        double prefill_ms = 0, decode_ms = 0;
        while (got.size() < want.size()) {
            const auto start = clock::now();
            const lm_batch_item item{sequence.get(), feed, false};
            const std::span<const float> row = must(c->model().eval({&item, 1}));
            const double ms =
                std::chrono::duration<double, std::milli>(clock::now() - start).count();
            (got.empty() ? prefill_ms : decode_ms) += ms;
            feed = {
                static_cast<std::int32_t>(std::max_element(row.begin(), row.end()) - row.begin())};
            got.push_back(feed[0]);
        }
        EXPECT_EQ(got, want) << backend;
        std::printf(
            "%s: first step of 5 tokens %.0f ms, then %.1f ms per token\n",
            backend,
            prefill_ms,
            decode_ms / static_cast<double>(got.size() - 1)
        );
    }
}

} // namespace
} // namespace rlx::test
