// SPDX-License-Identifier: GPL-3.0-only
// text_embedder and text_reranker with the bert and cpu plugins, against sentence-transformers'
// formulas (tests/goldens/make_embedders.py).
#include "rlx/embedder.hpp"

#include "rlx/formats/npy.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <unistd.h>

namespace rlx::test {
namespace {

namespace fs = std::filesystem;
using json = nlohmann::json;
using floats = std::vector<float>;
using id_list = std::vector<std::int32_t>;

const fs::path goldens = RLX_GOLDENS_DIR "/embedders";

template <class T>
T must(result<T> r) {
    if (!r.ok()) throw std::runtime_error(r.error().message);
    return std::move(r.value());
}

double distance(const floats& got, const floats& want) {
    if (got.size() != want.size()) return INFINITY;
    double worst = 0;
    for (std::size_t i = 0; i < got.size(); ++i)
        worst = std::max(worst, std::abs(double{got[i]} - double{want[i]}));
    return worst;
}

class embedder : public testing::Test {
protected:
    static text_embedder::builder exact() {
        return text_embedder::builder().weights(goldens / "embedder").compute("f32");
    }

    void SetUp() override {
        std::ifstream in(goldens / "expected.json");
        expected = json::parse(in);
        texts = expected["texts"].get<std::vector<std::string>>();
        model = must(exact().build());
    }

    floats vector_of(const std::string& text, const embed_options& o = {}) {
        return must(model->embed(std::string_view(text), o)).values;
    }

    json expected;
    std::vector<std::string> texts;
    std::unique_ptr<text_embedder> model;
};

TEST_F(embedder, reads_texts_as_the_reference_does) {
    for (std::size_t i = 0; i < texts.size(); ++i)
        EXPECT_EQ(
            must(model->prepare(std::string_view(texts[i]))).ids, expected["ids"][i].get<id_list>()
        ) << texts[i];
}

TEST_F(embedder, gives_the_reference_vectors_through_dense_and_normalize) {
    EXPECT_EQ(model->dimensions(), 16);
    EXPECT_EQ(model->hidden_size(), 24);
    EXPECT_EQ(model->max_length(), 48);
    for (std::size_t i = 0; i < texts.size(); ++i) {
        const auto made = must(model->embed(std::string_view(texts[i])));
        EXPECT_LT(distance(made.values, expected["vectors"][i].get<floats>()), 1e-5) << texts[i];
        EXPECT_EQ(made.tokens, std::ssize(expected["ids"][i]));
        EXPECT_EQ(made.dropped, 0);
    }
}

// What a folder without Dense, with this pooling, gives.
TEST_F(embedder, pools_every_way_as_the_reference_does) {
    const fs::path copy = fs::path(testing::TempDir()) / ("rlx_pool_" + std::to_string(getpid()));
    fs::create_directories(copy);
    for (const char* file : {"config.json", "model.safetensors", "tokenizer.json"})
        fs::copy_file(
            goldens / "embedder" / file, copy / file, fs::copy_options::overwrite_existing
        );
    auto plain = must(text_embedder::builder().weights(copy).compute("f32").build());
    for (const auto& [name, vectors] : expected["pooled"].items()) {
        const embed_options o{
            .pooling = *pooling_named(name), .normalise = normalising::off, .truncate = false};
        const auto made = must(plain->embed(std::span<const std::string>(texts), o));
        for (std::size_t i = 0; i < texts.size(); ++i)
            EXPECT_LT(distance(made[i].values, vectors[i].get<floats>()), 2e-5) << name << i;
    }
    const auto rows = must(plain->embed(std::string_view(texts[0]), {.pooling = pooling::none}));
    EXPECT_EQ(rows.values.size(), 24U * static_cast<std::size_t>(rows.tokens));
    EXPECT_EQ(
        pool_rows(rows.values, 24, pooling::mean),
        must(plain->embed(std::string_view(texts[0]), {.normalise = normalising::off})).values
    );
    fs::remove_all(copy);
}

TEST_F(embedder, puts_the_prompts_of_the_checkpoint_before_the_text) {
    for (const auto& [name, role] :
         {std::pair("query", text_role::query), {"document", text_role::document}})
        for (std::size_t i = 0; i < texts.size(); ++i) {
            const embed_options o{.truncate = true, .role = role};
            const auto want = expected[name][i].get<floats>();
            const auto made = must(model->embed(std::string_view(texts[i]), o));
            if (made.dropped == 0) {
                EXPECT_LT(distance(made.values, want), 1e-5) << name << i;
            }
        }
    EXPECT_EQ(vector_of("x", {.prompt_name = "query"}), vector_of("query: x"));
    EXPECT_EQ(vector_of("x", {.prompt = "a: "}), vector_of("a: x"));
    const auto unknown = model->embed("x", {.prompt_name = "nothing"});
    ASSERT_FALSE(unknown);
    EXPECT_NE(unknown.error().message.find("document, query"), std::string::npos)
        << unknown.error().message;
}

TEST_F(embedder, cuts_vectors_and_scales_them_again) {
    for (std::size_t i = 0; i < texts.size(); ++i)
        EXPECT_LT(
            distance(vector_of(texts[i], {.dimensions = 8}), expected["cut_to_8"][i].get<floats>()),
            1e-5
        );
    EXPECT_EQ(vector_of("x", {.dimensions = 16}), vector_of("x"));
    for (const std::int64_t bad : {-1, 17})
        EXPECT_EQ(
            model->embed("x", {.dimensions = bad}).error().code, std::uint32_t{RLX_INVALID_ARGUMENT}
        );
    floats v = must(model->embed(std::string_view(texts[0]), {.pooling = pooling::none})).values;
    v = pool_rows(v, 24, pooling::mean);
    layer_norm(v);
    EXPECT_LT(distance(v, expected["layer_norm"].get<floats>()), 1e-5);
}

TEST_F(embedder, gives_a_text_the_same_vector_in_every_batch) {
    const auto all = must(model->embed(std::span<const std::string>(texts)));
    auto small = must(exact().max_tokens(50).build());
    const auto stepped = must(small->embed(std::span<const std::string>(texts)));
    for (std::size_t i = 0; i < texts.size(); ++i) {
        EXPECT_EQ(all[i].values, vector_of(texts[i]));
        EXPECT_EQ(all[i].values, stepped[i].values);
    }
}

TEST_F(embedder, refuses_long_texts_unless_it_may_cut_them) {
    const std::string text(60, '.');
    const auto refused = model->embed(std::string_view(text));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().message.find("62 tokens, max_length is 48"), 0U)
        << refused.error().message;
    const auto cut = must(model->embed(std::string_view(text), {.truncate = true}));
    EXPECT_EQ(cut.tokens, 48);
    EXPECT_EQ(cut.dropped, 14);
    EXPECT_EQ(cut.values, vector_of(std::string(46, '.')));
    // Ids are the caller's: as many as the model takes.
    const id_list ids(64, 50);
    EXPECT_TRUE(model->embed(std::span<const std::int32_t>(ids)));
    auto longer = must(exact().max_length(64).build());
    EXPECT_EQ(must(longer->embed(std::string_view(text))).tokens, 62);
    EXPECT_FALSE(exact().max_length(65).build());
}

TEST_F(embedder, is_read_by_the_family_asked_for_if_that_claims_it) {
    EXPECT_EQ(model->family(), "bert");
    auto clinical = must(exact().family("clinicalbert").build());
    EXPECT_EQ(clinical->family(), "clinicalbert");
    EXPECT_EQ(must(clinical->embed("the word")).values, must(model->embed("the word")).values);
    const auto other = exact().family("qwen3").build();
    ASSERT_FALSE(other);
    EXPECT_EQ(other.error().code, std::uint32_t{RLX_UNSUPPORTED});
    EXPECT_NE(
        other.error().message.find("belongs to family 'bert', not 'qwen3'"), std::string::npos
    ) << other.error().message;
}

TEST_F(embedder, names_the_text_at_fault) {
    const std::vector<std::string> bad{"a", std::string(60, '.')};
    const auto made = model->embed(std::span<const std::string>(bad));
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().message.find("text 1: "), 0U) << made.error().message;
    const embed_input wrong[] = {{.ids = {2, 3}, .types = {}}, {.ids = {2, 9999}, .types = {}}};
    const auto id = model->embed(std::span<const embed_input>(wrong));
    ASSERT_FALSE(id);
    EXPECT_EQ(id.error().message.find("text 1: id 9999"), 0U) << id.error().message;
    std::atomic<std::uint32_t> flag{1};
    EXPECT_EQ(model->embed("x", {.cancel = &flag}).error().code, std::uint32_t{RLX_CANCELLED});
}

TEST_F(embedder, quantises_as_the_reference_does) {
    const value_ranges ranges{
        expected["ranges"][0].get<floats>(), expected["ranges"][1].get<floats>()};
    auto vectors = expected["vectors"].get<std::vector<floats>>();
    for (const json& more : expected["more_vectors"])
        vectors.push_back(more.get<floats>());
    for (std::size_t i = 0; i < vectors.size(); ++i) {
        const floats& v = vectors[i];
        for (const char* name : {"int8", "uint8", "binary", "ubinary"}) {
            const auto bytes = must(quantise(v, *quantisation_named(name), ranges));
            std::vector<int> got;
            const bool with_sign = name[0] != 'u';
            for (const std::uint8_t b : bytes)
                got.push_back(with_sign ? int{static_cast<std::int8_t>(b)} : int{b});
            const auto want = expected[name][i].get<std::vector<int>>();
            EXPECT_EQ(got, want) << name << ", vector " << i;
        }
    }
}

TEST_F(embedder, says_where_its_recipe_comes_from) {
    for (const auto& [item, source] : model->recipe().sources)
        EXPECT_NE(source, "default") << item;
    EXPECT_EQ(model->recipe().prompts.size(), 2U);
    EXPECT_EQ(model->recipe().known_as, "");
    EXPECT_EQ(model->family(), "bert");
    EXPECT_GT(model->memory().scratch, 0U);
}

TEST_F(embedder, plans_what_it_will_use_and_refuses_more_than_the_limit) {
    EXPECT_EQ(must(exact().plan()).total(), model->memory().total());
    const auto refused = exact().max_memory_gb(1e-6).build();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, std::uint32_t{RLX_OUT_OF_MEMORY});
}

TEST(reranker, scores_pairs_as_the_reference_does) {
    std::ifstream in(goldens / "expected.json");
    const json expected = json::parse(in)["rerank"];
    std::ifstream again(goldens / "expected.json");
    const auto texts = json::parse(again)["texts"].get<std::vector<std::string>>();
    auto builder = text_embedder::builder().weights(goldens / "reranker").compute("f32");
    auto model = must(builder.build_reranker());
    const auto query = expected["query"].get<std::string>();
    const auto ranked = must(model->rerank(query, texts));
    ASSERT_EQ(ranked.size(), texts.size());
    for (std::size_t i = 0; i < ranked.size(); ++i) {
        const json& pair = expected["pairs"][ranked[i].index];
        EXPECT_NEAR(ranked[i].score, pair["score"].get<double>(), 1e-5);
        EXPECT_EQ(ranked[i].tokens, std::ssize(pair["ids"]));
        if (i > 0) {
            EXPECT_LE(ranked[i].score, ranked[i - 1].score);
        }
    }
    const auto one = must(model->rerank(query, texts, {.sigmoid = true, .sort = false}));
    for (std::size_t i = 0; i < one.size(); ++i) {
        EXPECT_EQ(one[i].index, i);
        const double logit = expected["pairs"][i]["score"].get<double>();
        EXPECT_NEAR(one[i].score, 1 / (1 + std::exp(-logit)), 1e-5);
    }
}

TEST(reranker, cuts_pairs_as_tokenizers_does) {
    std::ifstream in(goldens / "expected.json");
    const json cases = json::parse(in)["rerank"]["cut"];
    ASSERT_GE(cases.size(), 40U);
    for (const json& c : cases) {
        auto model = must(text_embedder::builder()
                              .weights(goldens / "reranker")
                              .compute("f32")
                              .max_length(c["max_length"].get<std::int64_t>())
                              .build_reranker());
        const std::vector<std::string> documents{c["document"].get<std::string>()};
        const auto got =
            must(model->rerank(c["query"].get<std::string>(), documents, {.truncate = true}));
        EXPECT_EQ(got[0].tokens, c["tokens"].get<std::int64_t>()) << c.dump();
        EXPECT_NEAR(got[0].score, c["score"].get<double>(), 1e-5) << c.dump();
    }
}

TEST(reranker, cuts_the_longer_text_only_when_asked_to) {
    auto builder =
        text_embedder::builder().weights(goldens / "reranker").compute("f32").max_length(20);
    auto model = must(builder.build_reranker());
    const std::vector<std::string> documents{"x", "the quick brown fox jumps over the lazy dog"};
    const auto refused = model->rerank("what was it?", documents);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().message.find("document 1: 42 tokens"), 0U) << refused.error().message;
    const auto cut =
        must(model->rerank("what was it?", documents, {.sort = false, .truncate = true}));
    EXPECT_EQ(cut[0].dropped, 0);
    EXPECT_EQ(cut[1].tokens, 20);
    EXPECT_EQ(cut[1].dropped, 22);
}

TEST(reranker, needs_a_classification_head) {
    const auto none = text_embedder::builder().weights(goldens / "embedder").build_reranker();
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().code, std::uint32_t{RLX_UNSUPPORTED}) << none.error().message;
}

// A language model, read below its head.
TEST(lm_embedder, has_the_same_interface) {
    auto model = must(text_embedder::builder().weights(RLX_STORIES).compute("f32").build());
    EXPECT_EQ(model->family(), "qwen3");
    const std::vector<std::string> texts{"a little cat", "Once upon a time there was a fox."};
    const auto both = must(model->embed(std::span<const std::string>(texts)));
    for (std::size_t i = 0; i < texts.size(); ++i) {
        EXPECT_EQ(std::ssize(both[i].values), model->hidden_size());
        EXPECT_EQ(both[i].values, must(model->embed(std::string_view(texts[i]))).values);
        EXPECT_NEAR(similar(both[i].values, both[i].values, similarity::dot), 1, 1e-5);
    }
    const auto last = must(model->embed(std::string_view(texts[1]), {.pooling = pooling::last}));
    const auto rows = must(model->embed(
        std::string_view(texts[1]), {.pooling = pooling::none, .normalise = normalising::on}
    ));
    const auto width = static_cast<std::size_t>(model->hidden_size());
    EXPECT_EQ(
        last.values,
        floats(rows.values.end() - static_cast<std::ptrdiff_t>(width), rows.values.end())
    );
}

// A checkpoint that says nothing of pooling: what is done is said, once, unless the caller chose.
TEST(lm_embedder, says_that_its_pooling_is_a_guess) {
    auto model = must(text_embedder::builder().weights(RLX_STORIES).compute("f32").build());
    const auto guesses = [&] {
        return std::ranges::count(model->fallbacks(), std::string("pooling"), &fallback::what);
    };
    must(model->embed("a little cat", {.pooling = pooling::last}));
    EXPECT_EQ(guesses(), 0);
    must(model->embed("a little cat"));
    must(model->embed("a little cat"));
    EXPECT_EQ(guesses(), 1);
}

// Its cache is for 4096 tokens unless more are asked for.
TEST(lm_embedder, says_when_it_takes_shorter_texts_than_the_checkpoint) {
    const fs::path folder =
        fs::path(testing::TempDir()) / ("rlx_long_lm_" + std::to_string(getpid()));
    const fs::path checkpoint = RLX_GOLDENS_DIR "/lm/qwen3-tied/hf";
    fs::create_directories(folder);
    fs::copy_file(checkpoint / "model.safetensors", folder / "model.safetensors");
    std::ifstream in(checkpoint / "config.json");
    json config = json::parse(in);
    config["max_position_embeddings"] = 5000;
    std::ofstream(folder / "config.json") << config;
    const auto said = [&](std::int64_t length) {
        const auto model =
            must(text_embedder::builder().weights(folder).compute("f32").max_length(length).build()
            );
        EXPECT_EQ(model->max_length(), length > 0 ? length : 4096);
        return std::ranges::any_of(model->warnings(), [](const std::string& w) {
            return w.find("at most 4096 tokens here, the checkpoint takes 5000") != w.npos;
        });
    };
    EXPECT_TRUE(said(0));
    EXPECT_FALSE(said(4096)) << "asked for";
    EXPECT_FALSE(said(5000));
    fs::remove_all(folder);
}

// all-MiniLM-L6-v2 (91 MB) from text to vector, against transformers. RLX_MINILM names its folder;
// without it this is skipped.
class minilm_embedder : public testing::TestWithParam<const char*> {};

TEST_P(minilm_embedder, gives_the_vectors_of_the_reference) {
    const char* folder = std::getenv("RLX_MINILM");
    if (!folder) GTEST_SKIP() << "RLX_MINILM does not name a folder with all-MiniLM-L6-v2";
    std::ifstream in(RLX_PARITY_DIR "/minilm-expected.json");
    const json cases = json::parse(in)["cases"];
    const auto want = must(read_npy(RLX_PARITY_DIR "/minilm-expected.npy"));
    auto model = must(text_embedder::builder().weights(folder).compute(GetParam()).build());
    EXPECT_EQ(model->max_length(), 256);
    std::vector<std::string> texts;
    for (const json& c : cases)
        texts.push_back(c["text"].get<std::string>());
    const auto made = must(model->embed(std::span<const std::string>(texts), {.truncate = true}));
    double worst = 0, least = 1;
    std::size_t cut = 0;
    for (std::size_t i = 0; i < made.size(); ++i) {
        ASSERT_EQ(made[i].values.size(), 384U);
        EXPECT_EQ(made[i].tokens, std::ssize(cases[i]["ids"])) << texts[i];
        const std::span<const float> row = std::span(want.values).subspan(i * 384, 384);
        worst = std::max(worst, distance(made[i].values, {row.begin(), row.end()}));
        least = std::min(least, similar(made[i].values, row, similarity::cosine));
        cut += made[i].dropped > 0;
        EXPECT_EQ(
            made[i].values,
            must(model->embed(std::string_view(texts[i]), {.truncate = true})).values
        ) << "in a batch and alone";
    }
    EXPECT_GE(cut, 1U) << "no text was long enough";
    std::printf(
        "%s: max-abs %.2e, cosine %.8f (%s)\n",
        GetParam(),
        worst,
        least,
        model->ran_on().compute.c_str()
    );
    const bool exact = std::string(GetParam()) == "f32";
    EXPECT_GE(least, exact ? 0.999999 : 0.9999);
    EXPECT_LE(worst, exact ? 1e-5 : 2e-3);
}

INSTANTIATE_TEST_SUITE_P(modes, minilm_embedder, testing::Values("f32", "auto"));

} // namespace
} // namespace rlx::test
