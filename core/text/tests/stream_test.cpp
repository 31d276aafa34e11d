// SPDX-License-Identifier: GPL-3.0-only
// Streaming: never half a character, and the pieces joined are decode().
#include "fake_weights.hpp"

#include "unicode/utf8.hpp"

#include <algorithm>
#include <random>

namespace rlx::text_test {
namespace {

std::unique_ptr<tokenizer> open(const fake_weights& w, const std::string& file = {}) {
    auto t = library().open_tokenizer(w, file);
    EXPECT_TRUE(t.ok()) << (t.ok() ? "" : t.error().message);
    return t.ok() ? std::move(*t) : nullptr;
}

std::vector<std::unique_ptr<tokenizer>> all_kinds() {
    std::vector<std::unique_ptr<tokenizer>> out;
    for (const char* name : {"tiny_bpe", "tiny_spm", "tiny_clip"})
        out.push_back(open(fake_weights{}, std::string(RLX_TEXT_FIXTURES "/") + name + ".json"));
    out.push_back(open(byte_level_vocabulary({"h e", "he l", "Ġ he", "ð Ł"}, {"<|end|>"})));
    out.push_back(open(sentencepiece_vocabulary({"▁", "a", "b", "▁a", "é", "ab"})));
    return out;
}

TEST(stream_decoder, joined_pieces_equal_decode_for_any_ids) {
    std::mt19937 random(1);
    for (const auto& t : all_kinds()) {
        ASSERT_NE(t, nullptr);
        for (int round = 0; round < 3000; ++round) {
            std::vector<std::int32_t> ids(random() % 12);
            for (auto& id : ids) {
                // Byte tokens are the interesting ones, so half of the ids come from the low end.
                const auto range = static_cast<std::uint32_t>(
                    round % 2 ? t->vocab_size() : std::min<std::int64_t>(t->vocab_size(), 260)
                );
                id = static_cast<std::int32_t>(random() % range);
            }
            const auto s = t->stream();
            std::string joined;
            for (const auto id : ids) {
                const auto piece = s->push(id);
                ASSERT_TRUE(piece.ok());
                EXPECT_TRUE(text::is_valid_utf8(*piece));
                joined += *piece;
            }
            joined += s->finish();
            const auto whole = t->decode(ids);
            ASSERT_TRUE(whole.ok());
            EXPECT_EQ(joined, *whole) << t->kind();
        }
    }
}

TEST(stream_decoder, holds_back_a_character_until_its_last_byte) {
    const auto t = open(byte_level_vocabulary({}, {}));
    const auto s = t->stream();
    EXPECT_EQ(*s->push(0xF0), "");
    EXPECT_EQ(*s->push(0x9F), "");
    EXPECT_EQ(*s->push(0xA6), "");
    EXPECT_EQ(*s->push(0x99), "🦙");
    EXPECT_EQ(*s->push('!'), "!");
    EXPECT_EQ(*s->push(0xE2), "");
    EXPECT_EQ(*s->push(0x82), "");
    EXPECT_EQ(s->finish(), "\uFFFD");
}

TEST(stream_decoder, an_invalid_byte_becomes_a_replacement_character_at_once) {
    const auto t = open(byte_level_vocabulary({}, {}));
    const auto s = t->stream();
    EXPECT_EQ(*s->push(0xE2), "");
    EXPECT_EQ(*s->push('a'), "\uFFFDa");
    EXPECT_EQ(*s->push(0xFF), "\uFFFD");
}

TEST(stream_decoder, a_run_of_byte_tokens_is_judged_as_a_whole) {
    const auto t = open(sentencepiece_vocabulary({"▁", "a"}));
    const auto byte = [](int b) { return 3 + b; };
    const auto a = *t->id_of("a");
    const auto s = t->stream();
    EXPECT_EQ(*s->push(byte(0xC3)), "");
    EXPECT_EQ(*s->push(byte(0xA9)), "");
    EXPECT_EQ(*s->push(a), "éa");
    EXPECT_EQ(*s->push(byte(0xC3)), "");
    EXPECT_EQ(*s->push(byte(0xA9)), "");
    EXPECT_EQ(*s->push(byte(0xFF)), "");
    EXPECT_EQ(*s->push(a), "\uFFFD\uFFFD\uFFFDa");
}

TEST(stream_decoder, only_the_first_space_of_a_sentencepiece_text_is_dropped) {
    const auto t = open(sentencepiece_vocabulary({"▁", "a", "▁a"}));
    const auto word = *t->id_of("▁a");
    const auto s = t->stream();
    EXPECT_EQ(*s->push(1), ""); // <s>
    EXPECT_EQ(*s->push(word), "a");
    EXPECT_EQ(*s->push(word), " a");
    EXPECT_EQ(s->finish(), "");
    EXPECT_EQ(*s->push(word), "a"); // a new text
}

TEST(stream_decoder, refuses_an_id_outside_the_vocabulary) {
    const auto t = open(byte_level_vocabulary({}, {}));
    const auto s = t->stream();
    EXPECT_FALSE(s->push(256).ok());
    EXPECT_FALSE(s->push(-1).ok());
    EXPECT_FALSE(t->decode(std::vector<std::int32_t>{1 << 30}).ok());
    EXPECT_NE(s->push(256).error().message.find("256"), std::string::npos);
}

TEST(tokenizer, control_tokens_give_text_only_when_asked_for) {
    const auto t = open(byte_level_vocabulary({}, {"<|end|>"}));
    const auto end = *t->id_of("<|end|>");
    EXPECT_EQ(*t->piece(end), "");
    EXPECT_EQ(*t->piece(end, true), "<|end|>");
    EXPECT_EQ(*t->decode(std::vector<std::int32_t>{'a', end, 'b'}), "ab");
    EXPECT_EQ(*t->decode(std::vector<std::int32_t>{'a', end, 'b'}, true), "a<|end|>b");
}

} // namespace
} // namespace rlx::text_test
