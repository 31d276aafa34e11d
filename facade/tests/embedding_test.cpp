// SPDX-License-Identifier: GPL-3.0-only
#include "fake_catalog.hpp"
#include "rlx/embedder.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <unistd.h>

namespace rlx::test {
namespace {

namespace fs = std::filesystem;
using ids = std::vector<std::int32_t>;

TEST(embedding_rows, pool_as_each_kind_is_defined) {
    const std::vector<float> rows{1, 60, 2, 20, 6, 10};
    const std::pair<pooling, std::vector<float>> cases[] = {
        {pooling::last, {6, 10}},
        {pooling::cls, {1, 60}},
        {pooling::mean, {3, 30}},
        {pooling::max, {6, 60}},
        {pooling::weighted_mean, {(1 + 4 + 18) / 6.0F, (60 + 40 + 30) / 6.0F}},
        {pooling::mean_sqrt_len, {9 / std::sqrt(3.0F), 90 / std::sqrt(3.0F)}},
        {pooling::none, rows}};
    for (const auto& [kind, want] : cases) {
        const auto got = pool_rows(rows, 2, kind);
        ASSERT_EQ(got.size(), want.size()) << pooling_name(kind);
        for (std::size_t i = 0; i < want.size(); ++i)
            EXPECT_FLOAT_EQ(got[i], want[i]) << pooling_name(kind);
        EXPECT_EQ(pooling_named(pooling_name(kind)), kind);
    }
    EXPECT_EQ(pool_rows(rows, 6, pooling::mean), rows);
    EXPECT_EQ(pooling_named("average"), std::nullopt);
}

TEST(embedding_rows, are_scaled_to_length_one) {
    std::vector<float> v{3, 0, -4};
    scale_to_unit(v);
    EXPECT_FLOAT_EQ(v[0], 0.6F);
    EXPECT_FLOAT_EQ(v[2], -0.8F);
    // torch divides by max(length, 1e-12).
    std::vector<float> tiny{1e-15F, 0}, zero{0, 0};
    scale_to_unit(tiny);
    EXPECT_FLOAT_EQ(tiny[0], 1e-3F);
    scale_to_unit(zero);
    EXPECT_EQ(zero, (std::vector<float>{0, 0}));
}

TEST(embedding_rows, compare_by_cosine_and_by_product) {
    const std::vector<float> a{3, 4}, b{6, 8}, zero{0, 0};
    EXPECT_DOUBLE_EQ(similar(a, b, similarity::cosine), 1);
    EXPECT_DOUBLE_EQ(similar(a, b, similarity::dot), 50);
    EXPECT_DOUBLE_EQ(
        similar(a, zero, similarity::euclidean), -std::sqrt(similar(a, a, similarity::dot))
    );
    EXPECT_LT(similar(a, b, similarity::manhattan), similar(a, a, similarity::manhattan));
    EXPECT_DOUBLE_EQ(similar(a, zero, similarity::cosine), 0);
}

TEST(embedding_ids, are_cut_between_their_special_tokens) {
    const ids plain{5, 6, 7, 8}, whole{1, 5, 6, 7, 8, 2, 3};
    EXPECT_EQ(*truncate_ids(whole, plain, 7), whole);
    EXPECT_EQ(*truncate_ids(whole, plain, 5), (ids{1, 5, 6, 2, 3}));
    EXPECT_EQ(*truncate_ids(whole, plain, 4), (ids{1, 5, 2, 3}));
    EXPECT_EQ(*truncate_ids(plain, plain, 2), (ids{5, 6}));
    EXPECT_FALSE(truncate_ids(whole, plain, 3));
    EXPECT_FALSE(truncate_ids(whole, ids{6, 5}, 5));
    EXPECT_FALSE(truncate_ids(whole, ids{}, 5));
}

TEST(quantised, refuses_what_it_cannot_store) {
    const std::vector<float> nine(9), eight(8), broken{NAN, 0, 0, 0, 0, 0, 0, 0};
    EXPECT_FALSE(quantise(nine, quantisation::ubinary));
    EXPECT_FALSE(quantise(eight, quantisation::int8));
    EXPECT_FALSE(quantise(broken, quantisation::ubinary));
    EXPECT_EQ(quantise(eight, quantisation::binary)->front(), 128);
    value_ranges r{{-1}, {1}};
    const float outside[] = {7}, below[] = {-7};
    EXPECT_EQ(quantise(outside, quantisation::uint8, r)->front(), 255);
    EXPECT_EQ(static_cast<std::int8_t>(quantise(below, quantisation::int8, r)->front()), -128);
    constexpr float far = std::numeric_limits<float>::max(), endless = INFINITY;
    for (const auto& [low, high] :
         {std::pair(NAN, 1.0F),
          {0.0F, NAN},
          {-endless, 1.0F},
          {0.0F, endless},
          {-far, far},
          {1.0F, 0.0F}}) {
        const auto bad = quantise(outside, quantisation::int8, {{low}, {high}});
        ASSERT_FALSE(bad) << low << " to " << high;
        EXPECT_NE(bad.error().message.find("the range of dimension 0"), std::string::npos);
    }
}

// The recipe of a GGUF file with this pooling number, or without one, of this name.
result<embedding_recipe> of_gguf(std::optional<std::uint32_t> type, std::string name = "x") {
    std::vector<std::pair<std::string, gguf_value>> meta{
        {"general.architecture", std::string("fake")}, {"general.name", std::move(name)}};
    if (type) meta.emplace_back("fake.pooling_type", *type);
    const gguf_file file(meta);
    return read_recipe(*RLX_TRY(weights::open(file.path())));
}

TEST(embedding_recipe, of_gguf_has_its_pooling_type) {
    EXPECT_EQ(of_gguf(std::nullopt)->pooling, pooling::mean);
    EXPECT_EQ(of_gguf(0)->pooling, pooling::none);
    EXPECT_EQ(of_gguf(1)->pooling, pooling::mean);
    EXPECT_EQ(of_gguf(2)->pooling, pooling::cls);
    EXPECT_EQ(of_gguf(3)->pooling, pooling::last);
    for (const auto& [type, name] : {std::pair(4U, "'rank'"), {9U, "'9'"}}) {
        const auto other = of_gguf(type);
        ASSERT_TRUE(other) << name;
        EXPECT_NE(other->unsupported_pooling.find(name), std::string::npos)
            << other->unsupported_pooling;
    }
}

TEST(embedding_recipe, takes_from_the_table_only_what_the_checkpoint_does_not_say) {
    const auto known = of_gguf(std::nullopt, "Nomic Embed Text v1.5");
    EXPECT_EQ(known->known_as, "nomic-ai/nomic-embed-text-v1.5");
    EXPECT_EQ(known->max_length, 8192);
    EXPECT_TRUE(known->norm_before_cut);
    ASSERT_EQ(known->prompts.size(), 2U);
    EXPECT_EQ(known->prompts[0].second, "search_query: ");
    const auto says = of_gguf(2, "Nomic Embed Text v1.5");
    EXPECT_EQ(says->pooling, pooling::cls) << "the file's own word wins";
    EXPECT_EQ(of_gguf(std::nullopt, "something else")->known_as, "");
}

TEST(hub_snapshot, looks_in_the_cache_and_says_what_to_do) {
    const fs::path cache = fs::path(testing::TempDir()) / ("rlx_hub_" + std::to_string(getpid()));
    const fs::path model = cache / "models--sentence-transformers--all-MiniLM-L6-v2";
    fs::create_directories(model / "snapshots" / "abc123");
    fs::create_directories(model / "refs");
    std::ofstream(model / "refs" / "main") << "abc123\n";
    ASSERT_EQ(setenv("HF_HUB_CACHE", cache.c_str(), 1), 0);
    const fs::path want = model / "snapshots" / "abc123";
    EXPECT_EQ(*hub_snapshot("sentence-transformers/all-MiniLM-L6-v2"), want);
    EXPECT_EQ(*hub_snapshot("all-MiniLM-L6-v2"), want) << "a known model by its bare name";
    EXPECT_EQ(*hub_snapshot("sentence-transformers/all-MiniLM-L6-v2@abc123"), want);
    fs::create_directories(model / "refs" / "refs" / "pr");
    std::ofstream(model / "refs" / "refs" / "pr" / "1") << "abc123";
    EXPECT_EQ(*hub_snapshot("all-MiniLM-L6-v2@refs/pr/1"), want);
    for (const char* absent :
         {"org/none", "all-MiniLM-L6-v2@other", "all-MiniLM-L6-v2@refs/pr/2"}) {
        const auto none = hub_snapshot(absent);
        ASSERT_FALSE(none) << absent;
        EXPECT_EQ(none.error().code, std::uint32_t{RLX_NOT_FOUND});
        EXPECT_NE(none.error().message.find("huggingface-cli download"), std::string::npos);
    }
    for (const char* bad :
         {"../x", "a/../b", "", "a/b/c", "a/b@../../x", "a/b@x/../../y", "a/b@/x", "a/b@x/"}) {
        const auto none = hub_snapshot(bad);
        ASSERT_FALSE(none) << bad;
        EXPECT_EQ(none.error().code, std::uint32_t{RLX_INVALID_ARGUMENT}) << bad;
    }
    unsetenv("HF_HUB_CACHE");
    fs::remove_all(cache);
}

int opened = 0; // what a toy file is

class pooling_config : public testing::Test {
protected:
    void SetUp() override {
        fs::create_directories(dir_ / "1_Pooling");
        write("config.json", R"({"model_type": "fake"})");
        const std::string header = R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
        const std::uint64_t n = header.size();
        write(
            "model.safetensors",
            std::string(reinterpret_cast<const char*>(&n), 8) + header + std::string(4, '\0')
        );
    }

    void TearDown() override {
        std::error_code ignored;
        fs::remove_all(dir_, ignored);
    }

    void write(const fs::path& name, const std::string& text) const {
        std::ofstream(dir_ / name, std::ios::binary) << text;
    }

    result<embedding_recipe> recipe() const { return read_recipe(*RLX_TRY(weights::open(dir_))); }

    result<pooling> read() const {
        const auto r = RLX_TRY(recipe());
        if (!r.unsupported_pooling.empty()) return error{RLX_UNSUPPORTED, r.unsupported_pooling};
        return r.pooling;
    }

    const fs::path dir_ =
        fs::path(testing::TempDir()) / ("rlx_pooling_" + std::to_string(getpid()));
};

TEST_F(pooling_config, of_sentence_transformers_is_read) {
    EXPECT_EQ(*read(), pooling::mean);
    write(
        "1_Pooling/config.json",
        R"({"word_embedding_dimension": 8, "pooling_mode_mean_tokens": false,
            "pooling_mode_lasttoken": true})"
    );
    EXPECT_EQ(*read(), pooling::last);
    write("1_Pooling/config.json", R"({"pooling_mode_mean_tokens": true})");
    EXPECT_EQ(*read(), pooling::mean);
    for (const auto& [text, want] :
         {std::pair(R"({"pooling_mode_cls_token": true})", pooling::cls),
          {R"({"pooling_mode_max_tokens": true})", pooling::max},
          {R"({"pooling_mode_weightedmean_tokens": true})", pooling::weighted_mean},
          {R"({"pooling_mode_mean_sqrt_len_tokens": true})", pooling::mean_sqrt_len},
          {R"({"pooling_mode": "lasttoken"})", pooling::last},
          {R"({"pooling_mode": ["cls"]})", pooling::cls}}) {
        write("1_Pooling/config.json", text);
        EXPECT_EQ(*read(), want) << text;
    }
}

TEST_F(pooling_config, modules_say_whether_vectors_are_scaled) {
    EXPECT_TRUE(recipe()->normalise) << "the default";
    write("1_Pooling/config.json", R"({"pooling_mode": "cls"})");
    write(
        "modules.json",
        R"([{"type": "a.Transformer", "path": ""}, {"type": "a.Pooling", "path": "1_Pooling"}])"
    );
    EXPECT_FALSE(recipe()->normalise);
    write(
        "modules.json",
        R"([{"type": "Transformer", "path": ""}, {"type": "Pooling", "path": "1_Pooling"}, {"type": "a.b.Normalize", "path": "2"}])"
    );
    EXPECT_TRUE(recipe()->normalise);
    for (const auto& [text, code] :
         {std::pair(
              R"([{"type": "Transformer", "path": ""}, {"type": "CNN", "path": "1"}])",
              RLX_UNSUPPORTED
          ),
          {R"([{"type": "WordEmbeddings", "path": ""}])", RLX_UNSUPPORTED},
          {R"([{"type": "Transformer", "path": ""}, {"type": "Pooling", "path": "../x"}])",
           RLX_CORRUPT_DATA},
          {R"({})", RLX_CORRUPT_DATA},
          {R"([1])", RLX_CORRUPT_DATA}}) {
        write("modules.json", text);
        const auto bad = recipe();
        ASSERT_FALSE(bad) << text;
        EXPECT_EQ(bad.error().code, static_cast<std::uint32_t>(code)) << bad.error().message;
        EXPECT_NE(bad.error().message.find("modules.json"), std::string::npos);
    }
}

TEST_F(pooling_config, is_there_when_modules_say_so) {
    const std::string transformer = R"({"type": "Transformer", "path": ""})";
    write("modules.json", "[" + transformer + R"(, {"type": "Pooling", "path": "1_Pooling"}])");
    for (const std::string& text : {std::string(), std::string("[]")}) {
        if (!text.empty()) write("modules.json", text);
        const auto bad = recipe();
        ASSERT_FALSE(bad) << text;
        EXPECT_EQ(bad.error().code, std::uint32_t{RLX_CORRUPT_DATA}) << bad.error().message;
        const std::string_view file =
            text.empty() ? "1_Pooling/config.json: missing" : "no modules";
        EXPECT_NE(bad.error().message.find(file), std::string::npos) << bad.error().message;
    }
    write("modules.json", "[" + transformer + "]");
    EXPECT_NE(recipe()->unsupported_pooling.find("no Pooling module"), std::string::npos);
}

TEST_F(pooling_config, prompts_and_lengths_are_read) {
    write("sentence_bert_config.json", R"({"max_seq_length": 77})");
    write(
        "config_sentence_transformers.json",
        R"({"prompts": {"query": "q: ", "passage": "p: "}, "default_prompt_name": "query",
              "similarity_fn_name": "dot", "truncate_dim": 5})"
    );
    const auto r = recipe();
    ASSERT_TRUE(r) << r.error().message;
    EXPECT_EQ(r->max_length, 77);
    EXPECT_EQ(r->default_prompt, "query");
    EXPECT_EQ(r->prompts.size(), 2U);
    EXPECT_EQ(r->similarity, similarity::dot);
    EXPECT_EQ(r->dimensions, 5);
    write("config_sentence_transformers.json", R"({"prompts": {"query": 1}})");
    EXPECT_EQ(recipe().error().code, std::uint32_t{RLX_CORRUPT_DATA});
    write("config_sentence_transformers.json", "{}");
    write("sentence_bert_config.json", R"({"max_seq_length": -1})");
    EXPECT_EQ(recipe().error().code, std::uint32_t{RLX_CORRUPT_DATA});
}

// The checkpoint is a file then, not a folder.
TEST_F(pooling_config, lies_beside_the_file_of_a_plugins_format) {
    rlx_weight_format_v1 table{};
    table.hdr = {sizeof table, 1, 0};
    table.open = [](void*, std::uint32_t, const rlx_format_file*, void** out) -> rlx_error* {
        return *out = &opened, nullptr;
    };
    table.close = [](void*, void*) {};
    table.tensor_count = [](void*, void*, std::uint64_t* n) -> rlx_error* {
        return *n = 1, nullptr;
    };
    table.tensor = [](void*, void*, std::uint64_t, rlx_format_tensor* out) -> rlx_error* {
        *out = {sizeof *out, RLX_F32, 1, {1}, RLX_FORMAT_IN_FILE, 0, 4, 4, {"w", 1}};
        return nullptr;
    };
    fs::remove(dir_ / "model.safetensors");
    write("model.toy", "TOY1....");
    open_options options;
    options.find_format = [&](const fs::path& file, std::span<const std::byte>) {
        using found = std::optional<weight_format>;
        return result<found>(
            file.extension() == ".toy" ? found({"toy", &table, nullptr, 0}) : found()
        );
    };
    const auto read = [&](const fs::path& at) -> result<pooling> {
        const auto r = RLX_TRY(read_recipe(*RLX_TRY(weights::open(at, options))));
        if (!r.unsupported_pooling.empty()) return error{RLX_UNSUPPORTED, r.unsupported_pooling};
        return r.pooling;
    };
    const auto none = read(dir_ / "model.toy");
    ASSERT_TRUE(none) << none.error().message;
    EXPECT_EQ(*none, pooling::mean);
    write("1_Pooling/config.json", R"({"pooling_mode_lasttoken": true})");
    EXPECT_EQ(*read(dir_ / "model.toy"), pooling::last);
    EXPECT_EQ(*read(dir_), pooling::last) << "the only file of a folder";
    write("1_Pooling/config.json", "{\"pooling_mode_\\u001b[2J\": true}");
    const auto other = read(dir_ / "model.toy");
    ASSERT_FALSE(other);
    EXPECT_NE(other.error().message.find("pooling '\\x1b[2J'"), std::string::npos)
        << other.error().message;
}

TEST_F(pooling_config, of_another_kind_is_named_and_never_replaced) {
    write(
        "1_Pooling/config.json",
        R"({"pooling_mode_attention": true, "pooling_mode_mean_tokens": true})"
    );
    const auto both = read();
    ASSERT_FALSE(both);
    EXPECT_EQ(both.error().code, std::uint32_t{RLX_UNSUPPORTED});
    EXPECT_NE(both.error().message.find("mean_tokens + attention"), std::string::npos)
        << both.error().message;
    for (const char* broken : {"", "[]", "{", "nonsense"}) {
        write("1_Pooling/config.json", broken);
        const auto bad = read();
        ASSERT_FALSE(bad) << broken;
        EXPECT_EQ(bad.error().code, std::uint32_t{RLX_CORRUPT_DATA});
        EXPECT_NE(bad.error().message.find("1_Pooling/config.json"), std::string::npos);
    }
}

} // namespace
} // namespace rlx::test
