// SPDX-License-Identifier: GPL-3.0-only
// The hand-written matchers against the regular expressions that they replace.
#include "tokenizer/regex.hpp"
#include "tokenizer/split_patterns.hpp"
#include "unicode/categories.hpp"
#include "unicode/normalize.hpp"
#include "unicode/utf8.hpp"

#include <gtest/gtest.h>

#include <random>

namespace rlx::text {
namespace {

struct pattern_case {
    const char* name;
    const char* regex;
};

const pattern_case cases[] = {
    {"gpt2", R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)"},
    {"llama3",
     R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"},
    {"llama3_no_digits",
     R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"},
    {"qwen2",
     R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"},
    {"qwen35",
     R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"},
    {"tekken",
     R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)"},
    {"gpt4o",
     R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)"},
};

// Characters of every class that the patterns tell apart; none that is newer than PCRE2's tables.
constexpr std::u32string_view alphabet =
    U"aZéÅǅʰ漢й\u0301\u093e0٣½ \t\n\r\u00a0\u3000.,'/$+_§ſsStTmMdDrRevVlL🦙";

class split_pattern_test : public testing::TestWithParam<pattern_case> {};

TEST_P(split_pattern_test, cuts_where_the_regular_expression_cuts) {
    const auto known = known_pattern(GetParam().regex);
    ASSERT_TRUE(known.has_value());
    const auto expression = regex::compile(GetParam().regex);
    ASSERT_TRUE(expression.ok());
    std::mt19937 random(3);
    for (int round = 0; round < 20000; ++round) {
        std::string text;
        for (std::size_t n = 1 + random() % 12; n > 0; --n)
            append_utf8(text, alphabet[random() % alphabet.size()]);
        const auto expected = expression->matches(text);
        ASSERT_TRUE(expected.ok());
        std::size_t pos = 0;
        for (const match_range& m : *expected) {
            ASSERT_EQ(m.begin, pos) << testing::PrintToString(text);
            pos = piece_end(*known, text, pos);
            ASSERT_EQ(pos, m.end) << testing::PrintToString(text);
        }
        ASSERT_EQ(pos, text.size());
    }
}

INSTANTIATE_TEST_SUITE_P(all, split_pattern_test, testing::ValuesIn(cases), [](const auto& i) {
    return std::string(i.param.name);
});

TEST(split_pattern, covers_bytes_that_are_no_utf8) {
    std::mt19937 random(4);
    for (const auto& c : cases) {
        const auto pattern = *known_pattern(c.regex);
        for (int round = 0; round < 2000; ++round) {
            std::string bytes;
            for (std::size_t n = random() % 10; n > 0; --n)
                bytes += static_cast<char>(random());
            for (std::size_t pos = 0; pos < bytes.size();) {
                const std::size_t end = piece_end(pattern, bytes, pos);
                ASSERT_GT(end, pos);
                ASSERT_LE(end, bytes.size());
                pos = end;
            }
        }
    }
}

TEST(split_pattern, an_unknown_expression_has_no_matcher) {
    EXPECT_FALSE(known_pattern(R"(\p{L}+)").has_value());
}

TEST(unicode, categories_and_classes_agree_on_known_characters) {
    EXPECT_EQ(category_of('a'), category::ll);
    EXPECT_EQ(category_of(0x6F22), category::lo);
    EXPECT_EQ(category_of(0x301), category::mn);
    EXPECT_EQ(category_of(0x1F999), category::so);
    EXPECT_EQ(category_of(0xD800), category::cs);
    EXPECT_EQ(category_of(0x110000), category::cn);
    EXPECT_TRUE(is_white_space(0x85) && is_white_space(0x3000) && !is_white_space(0x200B));
    for (std::uint32_t c = 0; c < 128; ++c) {
        const category k = category_of(c);
        const bool letter = k == category::lu || k == category::ll;
        EXPECT_EQ(letter, (classes_of(c) & cls_letter) != 0) << c;
        EXPECT_EQ(k == category::nd, (classes_of(c) & cls_number) != 0) << c;
        EXPECT_EQ(k >= category::pc && k <= category::po, (classes_of(c) & cls_punct) != 0) << c;
    }
}

TEST(unicode, normalises_like_the_reference) {
    EXPECT_EQ(*normalize("e\u0301 \u0041\u030A", normal_form::nfc), "é Å");
    EXPECT_EQ(*normalize("éﬁ", normal_form::nfd), "e\u0301ﬁ");
    EXPECT_EQ(*normalize("ﬁ①", normal_form::nfkc), "fi1");
    EXPECT_EQ(*normalize("a\u0315\u0300", normal_form::nfc), "à\u0315"); // marks are ordered first
    // Newer than the reference's data: it neither moves nor composes.
    EXPECT_EQ(*normalize("a\U00011839\u0323", normal_form::nfd), "a\U00011839\u0323");
    EXPECT_EQ(
        *normalize(
            "a\xFF"
            "e\u0301",
            normal_form::nfc
        ),
        "a\xFF"
        "é"
    );
}

} // namespace
} // namespace rlx::text
