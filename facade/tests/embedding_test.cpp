// SPDX-License-Identifier: GPL-3.0-only
#include "fake_catalog.hpp"
#include "rlx/embedding.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <unistd.h>

namespace rlx::test {
namespace {

namespace fs = std::filesystem;
using ids = std::vector<std::int32_t>;

TEST(embedding_rows, pool_to_their_last_or_their_mean) {
    const std::vector<float> rows{1, 10, 2, 20, 6, 60};
    EXPECT_EQ(pool_rows(rows, 2, pooling::last), (std::vector<float>{6, 60}));
    EXPECT_EQ(pool_rows(rows, 2, pooling::mean), (std::vector<float>{3, 30}));
    EXPECT_EQ(pool_rows(rows, 6, pooling::mean), rows);
}

TEST(embedding_rows, are_scaled_to_length_one) {
    std::vector<float> v{3, 0, -4};
    scale_to_unit(v);
    EXPECT_FLOAT_EQ(v[0], 0.6F);
    EXPECT_FLOAT_EQ(v[2], -0.8F);
    std::vector<float> tiny{1e-30F, 0}, zero{0, 0};
    scale_to_unit(tiny);
    EXPECT_FLOAT_EQ(tiny[0], 1);
    scale_to_unit(zero);
    EXPECT_EQ(zero, (std::vector<float>{0, 0}));
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

// The pooling of a GGUF file with this number, or without one.
result<pooling> of_gguf(std::optional<std::uint32_t> type) {
    std::vector<std::pair<std::string, gguf_value>> meta{
        {"general.architecture", std::string("fake")}};
    if (type) meta.emplace_back("fake.pooling_type", *type);
    const gguf_file file(meta);
    return checkpoint_pooling(*RLX_TRY(weights::open(file.path())));
}

TEST(embedding_pooling, of_gguf_is_its_pooling_type) {
    EXPECT_EQ(*of_gguf(std::nullopt), pooling::mean);
    EXPECT_EQ(*of_gguf(1), pooling::mean);
    EXPECT_EQ(*of_gguf(3), pooling::last);
    for (const auto& [type, name] : {std::pair(2U, "'cls'"), {4U, "'rank'"}, {9U, "'9'"}}) {
        const auto other = of_gguf(type);
        ASSERT_FALSE(other) << name;
        EXPECT_EQ(other.error().code, std::uint32_t{RLX_UNSUPPORTED});
        EXPECT_NE(other.error().message.find(name), std::string::npos) << other.error().message;
    }
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

    result<pooling> read() const { return checkpoint_pooling(*RLX_TRY(weights::open(dir_))); }

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
        return checkpoint_pooling(*RLX_TRY(weights::open(at, options)));
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
        R"({"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": true})"
    );
    const auto both = read();
    ASSERT_FALSE(both);
    EXPECT_EQ(both.error().code, std::uint32_t{RLX_UNSUPPORTED});
    EXPECT_NE(both.error().message.find("cls_token + mean_tokens"), std::string::npos)
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
