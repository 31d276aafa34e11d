// SPDX-License-Identifier: GPL-3.0-only
// Vocabularies in GGUF that are broken on purpose: a clear error, never a crash, never a guess.
#include "fake_weights.hpp"

#include <cmath>

namespace rlx::text_test {
namespace {

void expect_error(const fake_weights& w, std::uint32_t code, const std::string& part) {
    const auto t = library().open_tokenizer(w);
    ASSERT_FALSE(t.ok()) << "expected an error with \"" << part << "\"";
    EXPECT_EQ(t.error().code, code) << t.error().message;
    EXPECT_NE(t.error().message.find(part), std::string::npos) << t.error().message;
}

fake_weights good() {
    return byte_level_vocabulary({"a b", "ab c"}, {"<|end|>"});
}

TEST(gguf_tokenizer, the_vocabulary_of_these_tests_is_good) {
    const auto t = library().open_tokenizer(good());
    ASSERT_TRUE(t.ok()) << t.error().message;
    EXPECT_EQ((*t)->kind(), "bpe/gpt-2");
    EXPECT_EQ((*t)->source(), "gguf");
    EXPECT_EQ(*(*t)->encode("abcab"), (std::vector<std::int32_t>{257, 256}));
    EXPECT_EQ(
        *(*t)->encode("a<|end|>", {.parse_special = true}), (std::vector<std::int32_t>{'a', 258})
    );
    EXPECT_EQ((*t)->encode("<|end|>")->size(), 7u);
}

TEST(gguf_tokenizer, a_missing_pre_tokenizer_is_named_and_not_guessed) {
    auto w = good();
    w.strings.erase("tokenizer.ggml.pre");
    expect_error(w, RLX_MISSING_METADATA, "tokenizer.ggml.pre");
    for (const char* name : {"default", "", "gpt-5", "Qwen2"}) {
        w.strings["tokenizer.ggml.pre"] = name;
        expect_error(w, RLX_UNSUPPORTED, std::string("\"") + name + "\"");
    }
}

TEST(gguf_tokenizer, missing_parts_are_named) {
    for (const char* key : {"tokens", "merges"}) {
        auto w = good();
        w.string_lists.erase(std::string("tokenizer.ggml.") + key);
        expect_error(w, RLX_MISSING_METADATA, std::string("tokenizer.ggml.") + key);
    }
    auto w = sentencepiece_vocabulary({"a"});
    w.float_lists.clear();
    expect_error(w, RLX_MISSING_METADATA, "tokenizer.ggml.scores");
    w = good();
    w.strings["tokenizer.ggml.model"] = "plamo2";
    expect_error(w, RLX_UNSUPPORTED, "plamo2");
    w.string_lists["tokenizer.ggml.tokens"].clear();
    w.strings["tokenizer.ggml.model"] = "gpt2";
    expect_error(w, RLX_MISSING_METADATA, "tokenizer.ggml.tokens");
}

TEST(gguf_tokenizer, merges_of_tokens_that_are_not_there_are_named) {
    for (const char* merge : {"a bb", "bb a", "a a", "\u4e00 \u4e8c"}) {
        auto w = good();
        w.string_lists["tokenizer.ggml.merges"].push_back(merge);
        expect_error(w, RLX_CORRUPT_DATA, "merge 2");
    }
    for (const char* merge : {"", "ab", " "}) {
        auto w = good();
        w.string_lists["tokenizer.ggml.merges"].push_back(merge);
        expect_error(w, RLX_CORRUPT_DATA, "merge 2");
    }
}

TEST(gguf_tokenizer, ids_outside_the_vocabulary_are_refused) {
    for (const char* key :
         {"bos_token_id",
          "eos_token_id",
          "eot_token_id",
          "eom_token_id",
          "unknown_token_id",
          "padding_token_id"}) {
        for (const std::int64_t id : {std::int64_t{-1}, std::int64_t{259}, std::int64_t{1} << 40}) {
            auto w = good();
            w.ints[std::string("tokenizer.ggml.") + key] = id;
            expect_error(w, RLX_CORRUPT_DATA, key);
        }
    }
}

TEST(gguf_tokenizer, lists_of_the_wrong_length_or_kind_are_refused) {
    auto w = good();
    w.int_lists["tokenizer.ggml.token_type"].pop_back();
    expect_error(w, RLX_CORRUPT_DATA, "258");
    w = good();
    w.int_lists["tokenizer.ggml.token_type"][5] = 7;
    expect_error(w, RLX_CORRUPT_DATA, "token 5");
    w = sentencepiece_vocabulary({"a"});
    w.float_lists["tokenizer.ggml.scores"].pop_back();
    expect_error(w, RLX_CORRUPT_DATA, "scores");
    w = sentencepiece_vocabulary({"a"});
    w.float_lists["tokenizer.ggml.scores"][9] = std::nan("");
    expect_error(w, RLX_CORRUPT_DATA, "token 9");
}

TEST(gguf_tokenizer, byte_tokens_that_name_no_byte_are_refused) {
    for (const char* name : {"<0x-1>", "<0x1>", "<0xGG>", "<0x000>", "x", ""}) {
        auto w = sentencepiece_vocabulary({"a"});
        w.string_lists["tokenizer.ggml.tokens"][3] = name;
        expect_error(w, RLX_CORRUPT_DATA, "byte token 3");
    }
}

TEST(gguf_tokenizer, flags_that_need_an_id_demand_it) {
    auto w = good();
    w.bools["tokenizer.ggml.add_bos_token"] = true;
    expect_error(w, RLX_MISSING_METADATA, "bos_token_id");
    w = good();
    w.bools["tokenizer.ggml.add_eos_token"] = true;
    expect_error(w, RLX_MISSING_METADATA, "eos_token_id");
}

TEST(gguf_tokenizer, odd_vocabularies_still_work) {
    auto w = good();
    auto& tokens = w.string_lists["tokenizer.ggml.tokens"];
    tokens[256] = "\xFF\xFE"; // no UTF-8, and the merge's result is gone
    expect_error(w, RLX_CORRUPT_DATA, "merge 0");
    w = good();
    w.string_lists["tokenizer.ggml.tokens"].push_back("");  // an empty token
    w.string_lists["tokenizer.ggml.tokens"].push_back("a"); // one twice
    w.string_lists["tokenizer.ggml.tokens"].push_back("\xF0\x9F");
    w.int_lists["tokenizer.ggml.token_type"].insert(
        w.int_lists["tokenizer.ggml.token_type"].end(), {4, 1, 1}
    );
    const auto t = library().open_tokenizer(w);
    ASSERT_TRUE(t.ok()) << t.error().message;
    EXPECT_EQ(*(*t)->decode(*(*t)->encode("abc abc")), "abc abc");
    EXPECT_TRUE((*t)->decode(std::vector<std::int32_t>{259, 260, 261}).ok());
}

TEST(gguf_tokenizer, a_byte_without_a_token_is_an_error_when_it_is_met) {
    auto w = good();
    w.string_lists["tokenizer.ggml.tokens"]['z'] = "zz";
    const auto t = library().open_tokenizer(w);
    ASSERT_TRUE(t.ok()) << t.error().message;
    EXPECT_TRUE((*t)->encode("abc").ok());
    const auto ids = (*t)->encode("xyz");
    ASSERT_FALSE(ids.ok());
    EXPECT_NE(ids.error().message.find("\"z\""), std::string::npos) << ids.error().message;
}

TEST(gguf_tokenizer, merges_may_form_a_cycle_of_meaning) {
    // "ab" = "a"+"b" and again "a"+"b" with another rank, and a merge of a token with itself.
    auto w = byte_level_vocabulary({"a b", "ab ab", "a b"}, {});
    const auto t = library().open_tokenizer(w);
    ASSERT_TRUE(t.ok()) << t.error().message;
    EXPECT_EQ(
        *(*t)->decode(*(*t)->encode(std::string(1000, 'a') + std::string(1000, 'b'))),
        std::string(1000, 'a') + std::string(1000, 'b')
    );
}

TEST(gguf_tokenizer, stop_ids_gather_every_end_of_turn) {
    auto w = byte_level_vocabulary({}, {"<|im_end|>", "<|endoftext|>", "<|other|>", "<turn>"});
    w.ints["tokenizer.ggml.eos_token_id"] = 256;
    w.ints["tokenizer.ggml.eot_token_id"] = 259;
    const auto t = library().open_tokenizer(w);
    ASSERT_TRUE(t.ok());
    const auto stops = (*t)->stop_ids();
    EXPECT_EQ(
        std::vector<std::int32_t>(stops.begin(), stops.end()),
        (std::vector<std::int32_t>{256, 259, 257})
    );
    EXPECT_EQ((*t)->eos(), 256);
    EXPECT_FALSE((*t)->bos().has_value());
}

TEST(gguf_tokenizer, sentencepiece_adds_its_space_and_start_token) {
    auto w = sentencepiece_vocabulary({"▁", "a", "▁a"});
    auto t = library().open_tokenizer(w);
    ASSERT_TRUE(t.ok()) << t.error().message;
    const auto word = *(*t)->id_of("▁a");
    EXPECT_EQ(*(*t)->encode("a a"), (std::vector<std::int32_t>{word, word}));
    EXPECT_EQ(*(*t)->encode("a", {.add_special = true}), (std::vector<std::int32_t>{1, word}));
    EXPECT_TRUE((*t)->adds_bos());
    EXPECT_EQ(*(*t)->encode("z"), (std::vector<std::int32_t>{*(*t)->id_of("▁"), 3 + 'z'}));
    w.bools["tokenizer.ggml.add_space_prefix"] = false;
    w.bools["tokenizer.ggml.add_bos_token"] = false;
    t = library().open_tokenizer(w);
    EXPECT_EQ(
        *(*t)->encode("a", {.add_special = true}), (std::vector<std::int32_t>{*(*t)->id_of("a")})
    );
    EXPECT_FALSE((*t)->adds_bos());
}

} // namespace
} // namespace rlx::text_test
