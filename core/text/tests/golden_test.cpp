// SPDX-License-Identifier: GPL-3.0-only
// Ids and decoded text equal `tokenizers` for the small tokenizer.json files
// (goldens/tokenizer_goldens.py).
#include "fake_weights.hpp"

#include <nlohmann/json.hpp>

namespace rlx::text_test {
namespace {

using nlohmann::json;

const json& golden() {
    static const json j = json::parse(read_file(RLX_TEXT_FIXTURES "/tokenizers.golden.json"));
    return j;
}

class tokenizer_json : public testing::TestWithParam<const char*> {
protected:
    void SetUp() override {
        auto t = library().open_tokenizer(
            fake_weights{}, std::string(RLX_TEXT_FIXTURES "/") + GetParam() + ".json"
        );
        ASSERT_TRUE(t.ok()) << t.error().message;
        tokenizer_ = std::move(*t);
    }

    const json& cases() const { return golden()["files"][GetParam()]; }

    std::unique_ptr<tokenizer> tokenizer_;
};

TEST_P(tokenizer_json, encodes_to_the_ids_of_the_reference) {
    EXPECT_EQ(tokenizer_->source(), "tokenizer.json");
    for (const auto& [mode, rows] : cases()["ids"].items()) {
        encode_options o;
        o.add_special = mode.find("add") != mode.npos;
        o.parse_special = mode.find("parse") != mode.npos;
        for (std::size_t i = 0; i < rows.size(); ++i) {
            const std::string text = cases()["texts"][i];
            const auto ids = tokenizer_->encode(text, o);
            ASSERT_TRUE(ids.ok()) << ids.error().message;
            EXPECT_EQ(*ids, rows[i].get<std::vector<std::int32_t>>())
                << "mode \"" << mode << "\", text " << json(text).dump();
        }
    }
}

TEST_P(tokenizer_json, decodes_to_the_text_of_the_reference) {
    for (const json& row : cases()["decode"]) {
        const auto ids = row[0].get<std::vector<std::int32_t>>();
        const auto plain = tokenizer_->decode(ids), with_special = tokenizer_->decode(ids, true);
        ASSERT_TRUE(plain.ok() && with_special.ok());
        EXPECT_EQ(*plain, row[1].get<std::string>()) << row[0];
        EXPECT_EQ(*with_special, row[2].get<std::string>()) << row[0];
    }
}

INSTANTIATE_TEST_SUITE_P(
    fixtures,
    tokenizer_json,
    testing::Values("tiny_bpe", "tiny_spm", "tiny_clip", "tiny_wordpiece", "tiny_unigram"),
    [](const auto& i) { return std::string(i.param); }
);

} // namespace
} // namespace rlx::text_test
