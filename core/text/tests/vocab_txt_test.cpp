// SPDX-License-Identifier: GPL-3.0-only
// BERT checkpoints whose vocabulary is a vocab.txt (Bio_ClinicalBERT): ids as transformers 5.23's
// BertTokenizer gives them for the same files.
#include "fake_weights.hpp"

namespace rlx::text_test {
namespace {

const char* vocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhello\nHello\n##s\nwor\n##ld\ncafe\n"
                         "café\n中\n!\nc\n##a\n中文\n";

fake_weights with(const std::string& config, const std::string& vocab = vocabulary) {
    fake_weights w;
    w.kind = "safetensors";
    w.files["vocab.txt"] = vocab;
    if (!config.empty()) w.files["tokenizer_config.json"] = config;
    return w;
}

std::vector<std::int32_t> ids(const std::string& config, std::string_view text) {
    const auto t = library().open_tokenizer(with(config));
    EXPECT_TRUE(t.ok()) << t.error().message;
    if (!t.ok()) return {};
    const auto out = (*t)->encode(text, {.add_special = true, .parse_special = true});
    EXPECT_TRUE(out.ok());
    return out.ok() ? *out : std::vector<std::int32_t>{};
}

using expected = std::vector<std::int32_t>;

TEST(vocab_txt, is_lower_cased_and_stripped_unless_the_config_says_otherwise) {
    EXPECT_EQ(ids("", "Hellos world!"), (expected{2, 5, 7, 8, 9, 13, 3}));
    EXPECT_EQ(ids("", "Café"), (expected{2, 10, 3}));
    EXPECT_EQ(
        ids(R"({"do_lower_case": false})", "Hellos world!"), (expected{2, 6, 7, 8, 9, 13, 3})
    );
    EXPECT_EQ(ids(R"({"do_lower_case": false})", "café Café"), (expected{2, 11, 1, 3}));
    EXPECT_EQ(ids(R"({"strip_accents": false})", "Café"), (expected{2, 11, 3}));
}

TEST(vocab_txt, takes_chinese_characters_apart_unless_the_config_says_otherwise) {
    EXPECT_EQ(ids("", "中文"), (expected{2, 12, 1, 3}));
    EXPECT_EQ(ids(R"({"tokenize_chinese_chars": false})", "中文"), (expected{2, 16, 3}));
}

TEST(vocab_txt, finds_special_tokens_in_text_and_reads_windows_lines) {
    EXPECT_EQ(ids("", "hello [MASK]!"), (expected{2, 5, 4, 13, 3}));
    const auto t =
        library().open_tokenizer(with("", "[PAD]\r\n[UNK]\r\n[CLS]\r\n[SEP]\r\nhello\r\n"));
    ASSERT_TRUE(t.ok()) << t.error().message;
    EXPECT_EQ(*(*t)->encode("hello"), (expected{4}));
}

TEST(vocab_txt, of_another_kind_is_refused_by_the_token_it_lacks) {
    const auto t = library().open_tokenizer(with("", "<s>\n<pad>\n</s>\n<unk>\nhello\n"));
    ASSERT_FALSE(t.ok());
    EXPECT_EQ(t.error().code, std::uint32_t{RLX_UNSUPPORTED});
    EXPECT_NE(t.error().message.find("no line \"[UNK]\""), std::string::npos) << t.error().message;
    EXPECT_FALSE(library().open_tokenizer(with("[1]")).ok());
}

} // namespace
} // namespace rlx::text_test
