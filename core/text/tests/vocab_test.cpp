// SPDX-License-Identifier: GPL-3.0-only
// Real vocabularies in GGUF: ids equal the published .out files and `tokenizers`. Needs data beside
// the checkout.
#include "fake_weights.hpp"
#include "shared_vocab.hpp"

#include <nlohmann/json.hpp>

namespace rlx::text_test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::vector<std::string> split_text(const std::string& text, const std::string& separator) {
    std::vector<std::string> out;
    std::size_t begin = 0;
    for (std::size_t at = text.find(separator); at != text.npos; at = text.find(separator, begin)) {
        out.push_back(text.substr(begin, at - begin));
        begin = at + separator.size();
    }
    out.push_back(text.substr(begin));
    return out;
}

class gguf_vocabulary : public testing::TestWithParam<const char*> {
protected:
    void SetUp() override {
        const fs::path file = shared_vocabulary(GetParam());
        if (file.empty())
            GTEST_SKIP() << GetParam() << ".gguf is not in " << vocab_dir << " (or xz is missing)";
        auto w = weights::open(file);
        ASSERT_TRUE(w.ok()) << w.error().message;
        auto t = library().open_tokenizer(**w);
        ASSERT_TRUE(t.ok()) << t.error().message;
        tokenizer_ = std::move(*t);
    }

    std::unique_ptr<tokenizer> tokenizer_;
};

TEST_P(gguf_vocabulary, gives_the_ids_of_the_published_file) {
    const std::string base = (vocab_dir / GetParam()).string() + ".gguf";
    const auto texts = split_text(read_file(base + ".inp"), "\n__ggml_vocab_test__\n");
    const auto lines = split_text(read_file(base + ".out"), "\n");
    ASSERT_LE(texts.size(), lines.size());
    ASSERT_GE(texts.size(), 40u);
    for (std::size_t i = 0; i < texts.size(); ++i) {
        std::vector<std::int32_t> expected;
        std::istringstream in(lines[i]);
        for (std::int32_t id = 0; in >> id;)
            expected.push_back(id);
        const auto ids = tokenizer_->encode(texts[i]);
        ASSERT_TRUE(ids.ok()) << ids.error().message;
        EXPECT_EQ(*ids, expected) << json(texts[i]).dump();
    }
}

TEST_P(gguf_vocabulary, gives_the_ids_of_the_reference_for_random_texts) {
    const json all = json::parse(read_file(RLX_TEXT_FIXTURES "/tokenizers.golden.json"))["gguf"];
    if (!all.contains(GetParam())) GTEST_SKIP() << "no goldens for " << GetParam();
    const json& g = all[GetParam()];
    for (const auto& [mode, rows] : g["ids"].items()) {
        for (std::size_t i = 0; i < rows.size(); ++i) {
            const std::string text = g["texts"][i];
            const auto ids = tokenizer_->encode(text, {.parse_special = mode == "parse"});
            ASSERT_TRUE(ids.ok()) << ids.error().message;
            EXPECT_EQ(*ids, rows[i].get<std::vector<std::int32_t>>()) << json(text).dump();
        }
    }
}

// BERT and the SentencePiece of nomic-bert-moe keep neither case nor spaces.
class lossless_vocabulary : public gguf_vocabulary {};

TEST_P(lossless_vocabulary, decodes_what_it_encodes) {
    const std::string text = "Hello  world,\n it's 12345 naïve — 你好 🦙 tests\t!";
    const auto ids = tokenizer_->encode(text);
    ASSERT_TRUE(ids.ok());
    const auto back = tokenizer_->decode(*ids);
    ASSERT_TRUE(back.ok());
    EXPECT_EQ(*back, text);
}

std::string test_name(const testing::TestParamInfo<const char*>& i) {
    std::string name = i.param;
    std::replace(name.begin(), name.end(), '-', '_');
    return name;
}

#define LOSSLESS                                                                                   \
    "gpt-2", "llama-bpe", "qwen2", "qwen35", "llama-spm", "starcoder", "command-r",                \
        "deepseek-coder", "gemma-4"

INSTANTIATE_TEST_SUITE_P(
    shared, gguf_vocabulary, testing::Values(LOSSLESS, "bert-bge", "nomic-bert-moe"), test_name
);
INSTANTIATE_TEST_SUITE_P(shared, lossless_vocabulary, testing::Values(LOSSLESS), test_name);

} // namespace
} // namespace rlx::text_test
