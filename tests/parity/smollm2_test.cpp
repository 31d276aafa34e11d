// SPDX-License-Identifier: GPL-3.0-only
// SmolLM2-135M-Instruct Q4_1, the demo's model: exact mode against transformers (ids and logits),
// fast mode against exact. bootstrap.sh fetches the file; without it these tests are skipped.
#include "fixture.hpp"
#include "rlx/base/environment.hpp"

#include <cstdlib>
#include <fstream>
#include <iterator>

namespace rlx::test {
namespace {

using nlohmann::json;

// RLX_SMOLLM2, else where bootstrap.sh puts it.
std::filesystem::path model_file() {
    const char* set = std::getenv("RLX_SMOLLM2");
    return set ? set : cache_dir() / "models" / "smollm2-135m-instruct-q4_1.gguf";
}

class smollm2 : public testing::Test {
protected:
    const std::filesystem::path file = model_file();

    void SetUp() override {
        if (!std::filesystem::exists(file)) {
            GTEST_SKIP() << "no " << file << "; run ./bootstrap.sh demo or set RLX_SMOLLM2";
        }
    }

    chain_options with(const std::string& compute, const std::string& tier = "") const {
        chain_options o;
        o.tier = tier;
        o.lm.compute = compute;
        o.lm.max_seq = 1024;
        o.lm.max_rows = 256;
        return o;
    }

    std::unique_ptr<chain> open(const std::string& compute) const {
        return must(chain::open(file, with(compute)));
    }
};

json read_json(const std::filesystem::path& path) {
    std::ifstream in(path);
    return json::parse(in);
}

std::size_t argmax(std::span<const float> row) {
    return static_cast<std::size_t>(std::max_element(row.begin(), row.end()) - row.begin());
}

// Greedy continuation of ids, and the logits after the prompt.
struct continuation {
    std::vector<float> after_prompt;
    std::vector<std::int32_t> ids;
};

continuation greedy(lm_model& m, const std::vector<std::int32_t>& prompt, std::size_t n) {
    continuation out;
    const auto sequence = must(m.new_sequence());
    std::vector<std::int32_t> feed = prompt;
    while (out.ids.size() < n) {
        const lm_batch_item item{sequence.get(), feed, false};
        const std::span<const float> row = must(m.eval({&item, 1}));
        if (out.ids.empty()) out.after_prompt.assign(row.begin(), row.end());
        feed = {static_cast<std::int32_t>(argmax(row))};
        out.ids.push_back(feed[0]);
    }
    return out;
}

TEST_F(smollm2, exact_mode_gives_the_reference_ids_and_logits) {
    const auto c = open("f32");
    const json expected =
        read_json(std::filesystem::path(RLX_PARITY_DIR) / "smollm2-expected.json");
    for (const json& one : expected.at("cases")) {
        const std::string prompt = one.at("prompt");
        const auto want = one.at("greedy").get<std::vector<std::int32_t>>();
        const auto got = greedy(c->model(), one.at("ids"), want.size());
        EXPECT_EQ(got.ids, want) << prompt;
        const auto first = one.at("last_logits_first16").get<std::vector<double>>();
        for (std::size_t i = 0; i < first.size(); ++i) {
            EXPECT_NEAR(got.after_prompt.at(i), first[i], 1e-3) << prompt << ", logit " << i;
        }
        for (const json& best : one.at("last_logits_top5")) {
            const std::size_t id = best.at(0);
            EXPECT_NEAR(got.after_prompt.at(id), best.at(1).get<double>(), 1e-3)
                << prompt << ", id " << id;
        }
    }
    EXPECT_TRUE(c->checkpoint().unused().empty());
}

// Ids of kl-text.txt, made by tests/goldens/make_kl_ids.py: this suite does not depend on the
// tokenizer.
TEST_F(smollm2, fast_mode_diverges_little_from_exact_in_every_tier) {
    const auto ids = read_npy_i32(std::filesystem::path(RLX_PARITY_DIR) / "kl-ids.npy").data;
    auto exact = open("f32");
    const std::vector<float> want = prefill(exact->model(), ids);
    const auto vocab = static_cast<std::size_t>(exact->model().vocab_size());
    const auto best = best_of_rows(want, vocab);
    exact.reset();
    for (const char* tier : {"baseline", "avx2", "avx512", "avx512_vnni", "amx"}) {
        auto fast = chain::open(file, with("auto", tier));
        if (!fast.ok() && fast.error().code == RLX_UNSUPPORTED) {
            std::printf("%s: not on this machine\n", tier);
            continue;
        }
        ASSERT_TRUE(fast.ok()) << fast.error().message;
        const std::vector<float> got = prefill((*fast)->model(), ids);
        const double kl = mean_kl(want, got, vocab);
        const auto chosen = best_of_rows(got, vocab);
        std::size_t agree = 0;
        for (std::size_t i = 0; i < best.size(); ++i)
            agree += best[i] == chosen[i] ? 1u : 0u;
        const double agreement = double(agree) / double(best.size());
        const std::string how = (*fast)->model().compute();
        std::printf(
            "%s, %s: %zu tokens, mean KL %.5f, top-1 %.4f\n",
            tier,
            how.c_str(),
            ids.size(),
            kl,
            agreement
        );
        EXPECT_LE(kl, 0.01) << tier;
        EXPECT_GE(agreement, 0.93) << tier;
    }
}

TEST_F(smollm2, decoding_equals_prefill_in_fast_mode) {
    const auto ids = read_npy_i32(std::filesystem::path(RLX_PARITY_DIR) / "kl-ids.npy").data;
    const auto c = open("auto");
    const std::span<const std::int32_t> some = std::span(ids).first(64);
    const std::vector<float> want = prefill(c->model(), some);
    const std::vector<float> got = prefill(c->model(), some, 1);
    // int8 activations round on the other side of a step when a sum differs in its last bit.
    EXPECT_LE(mean_kl(want, got, static_cast<std::size_t>(c->model().vocab_size())), 1e-3);
}

} // namespace
} // namespace rlx::test
