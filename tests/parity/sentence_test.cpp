// SPDX-License-Identifier: GPL-3.0-only
// Folders that sentence-transformers saved, and the vectors it makes of them itself
// (tests/goldens/make_sentence_models.py).
#include "rlx/embedder.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <fstream>
#include <unistd.h>

namespace rlx::test {
namespace {

namespace fs = std::filesystem;
using json = nlohmann::json;
using floats = std::vector<float>;

const fs::path goldens = RLX_GOLDENS_DIR "/embedders";
constexpr double limit = 1e-5;

json read_json(const fs::path& file) {
    std::ifstream in(file);
    return json::parse(in);
}

const json& expected() {
    static const json j = read_json(goldens / "sentence" / "expected.json");
    return j;
}

double distance(const floats& got, const floats& want) {
    if (got.size() != want.size()) return INFINITY;
    double worst = 0;
    for (std::size_t i = 0; i < got.size(); ++i)
        worst = std::max(worst, std::abs(double{got[i]} - double{want[i]}));
    return worst;
}

class sentence_folder : public testing::TestWithParam<const char*> {
protected:
    void SetUp() override {
        folder_ = fs::path(testing::TempDir()) /
                  ("rlx_sentence_" + std::string(GetParam()) + std::to_string(getpid()));
        fs::copy(goldens / "sentence" / GetParam(), folder_, fs::copy_options::recursive);
        const fs::path below = folder_ / "0_Transformer";
        for (const char* file : {"config.json", "model.safetensors", "tokenizer.json"})
            fs::copy_file(
                goldens / "embedder" / file, (fs::exists(below) ? below : folder_) / file
            );
        texts_ = expected()["texts"].get<std::vector<std::string>>();
    }

    void TearDown() override { fs::remove_all(folder_); }

    void open() {
        auto made = text_embedder::builder().weights(folder_).compute("f32").build();
        ASSERT_TRUE(made.ok()) << made.error().message;
        model_ = std::move(*made);
    }

    // The library cuts without a word; here it must be asked for.
    void expect_vectors(const json& want, embed_options o, const std::string& what) {
        o.truncate = true;
        const auto made = model_->embed(std::span<const std::string>(texts_), o);
        ASSERT_TRUE(made.ok()) << made.error().message;
        for (std::size_t i = 0; i < texts_.size(); ++i)
            EXPECT_LT(distance((*made)[i].values, want[i].get<floats>()), limit)
                << what << ", text " << texts_[i];
    }

    fs::path folder_;
    std::vector<std::string> texts_;
    std::unique_ptr<text_embedder> model_;
};

TEST_P(sentence_folder, gives_the_vectors_of_sentence_transformers) {
    open();
    if (HasFatalFailure()) return;
    const json& want = expected()["cases"][GetParam()];
    EXPECT_EQ(model_->max_length(), want["max_length"].get<std::int64_t>());
    EXPECT_EQ(model_->dimensions(), std::ssize(want["vectors"][0]));
    expect_vectors(want["vectors"], {}, "plain");
    if (want.contains("named")) {
        for (const auto& [name, vectors] : want["named"].items())
            expect_vectors(vectors, {.prompt_name = name}, "prompt " + name);
        expect_vectors(want["query"], {.role = text_role::query}, "query");
        expect_vectors(want["document"], {.role = text_role::document}, "document");
    }
    const auto& scores = want["similarity"];
    const auto vector = [&](std::size_t i) { return want["vectors"][i].get<floats>(); };
    for (std::size_t a = 0; a < scores.size(); ++a)
        for (std::size_t b = 0; b < texts_.size(); ++b)
            EXPECT_NEAR(
                similar(vector(a), vector(b), model_->recipe().similarity),
                scores[a][b].get<double>(),
                // float32 of the reference: the distance of a vector from itself
                model_->recipe().similarity == similarity::euclidean && a == b ? 1e-3 : 2e-5
            );
}

INSTANTIATE_TEST_SUITE_P(
    saved,
    sentence_folder,
    testing::Values(
        "pooling-cls",
        "pooling-max",
        "pooling-mean",
        "pooling-mean_sqrt_len_tokens",
        "pooling-weightedmean",
        "pooling-lasttoken",
        "several",
        "legacy-several",
        "legacy-max",
        "dense-several",
        "dense-residual",
        "dense-chain",
        "layer-norm",
        "prompts",
        "prompts-not-pooled-mean",
        "prompts-not-pooled-cls",
        "prompts-not-pooled-weightedmean",
        "prompts-not-pooled-max",
        "truncated-to-8",
        "euclidean",
        "manhattan",
        "dot",
        "subfolder"
    ),
    [](const auto& i) {
        std::string name = i.param;
        std::ranges::replace(name, '-', '_');
        return name;
    }
);

// What the cases above must not do.
class changed_folder : public sentence_folder {
protected:
    void change(const fs::path& file, const std::function<void(json&)>& edit) {
        json j = read_json(folder_ / file);
        edit(j);
        std::ofstream(folder_ / file) << j;
    }

    void expect_refused(std::uint32_t code, const std::string& said) {
        const auto made = text_embedder::builder().weights(folder_).build();
        ASSERT_FALSE(made.ok());
        EXPECT_EQ(made.error().code, code) << made.error().message;
        EXPECT_NE(made.error().message.find(said), std::string::npos) << made.error().message;
    }
};

TEST_P(changed_folder, with_modules_that_are_not_done_is_refused_by_name) {
    const auto type_of = [](int i, const char* type) {
        return [i, type](json& j) { j[i]["type"] = type; };
    };
    change("modules.json", type_of(2, "sentence_transformers.models.WordWeights"));
    expect_refused(RLX_UNSUPPORTED, "module 2 is WordWeights");
    change("modules.json", type_of(2, "my.own.Pooling"));
    expect_refused(RLX_UNSUPPORTED, "module 2 is Pooling");
    change("modules.json", type_of(0, "sentence_transformers.models.BoW"));
    expect_refused(RLX_UNSUPPORTED, "module 0 is BoW");
}

TEST_P(changed_folder, with_numbers_that_do_not_fit_is_refused) {
    change("1_Pooling/config.json", [](json& j) { j["pooling_mode"] = "mean"; });
    expect_refused(RLX_CORRUPT_DATA, "the Dense module takes 48 values, the pooled vector has 24");
    change("2_Dense/config.json", [](json& j) { j["module_input_name"] = "token_embeddings"; });
    expect_refused(RLX_UNSUPPORTED, "module_input_name");
    change("2_Dense/config.json", [](json& j) { j["activation_function"] = "my.own.Snake"; });
    expect_refused(RLX_UNSUPPORTED, "token_embeddings");
    change("2_Dense/config.json", [](json& j) { j["module_input_name"] = "sentence_embedding"; });
    expect_refused(RLX_UNSUPPORTED, "activation 'Snake'");
    change("config_sentence_transformers.json", [](json& j) {
        j["similarity_fn_name"] = "hamming";
    });
    change("2_Dense/config.json", [](json& j) {
        j["activation_function"] = "torch.nn.modules.activation.GELU";
    });
    expect_refused(RLX_CORRUPT_DATA, "similarity_fn_name");
}

TEST_P(changed_folder, with_a_pooling_of_the_callers_uses_that_alone) {
    open();
    if (HasFatalFailure()) return;
    const auto made = model_->embed("x", {.pooling = pooling::mean});
    ASSERT_FALSE(made.ok()); // its Dense takes both
    EXPECT_NE(made.error().message.find("takes 48 values"), std::string::npos)
        << made.error().message;
}

INSTANTIATE_TEST_SUITE_P(saved, changed_folder, testing::Values("dense-several"), [](const auto&) {
    return std::string("dense_several");
});

TEST(cross_encoder, gives_the_scores_of_sentence_transformers) {
    auto model =
        text_embedder::builder().weights(goldens / "reranker").compute("f32").build_reranker();
    ASSERT_TRUE(model.ok()) << model.error().message;
    const json& want = expected()["rerank"];
    const auto texts = expected()["texts"].get<std::vector<std::string>>();
    for (const bool sigmoid : {false, true}) {
        const auto made = (*model)->rerank(
            want["query"].get<std::string>(), texts, {.sigmoid = sigmoid, .sort = false}
        );
        ASSERT_TRUE(made.ok()) << made.error().message;
        for (std::size_t i = 0; i < texts.size(); ++i)
            EXPECT_NEAR(
                (*made)[i].score, want[sigmoid ? "sigmoid" : "logits"][i].get<double>(), limit
            ) << texts[i];
    }
}

} // namespace
} // namespace rlx::test
