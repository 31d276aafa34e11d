// SPDX-License-Identifier: GPL-3.0-only
// tokenizer.json files that are broken, odd or beyond what is supported.
#include "fake_weights.hpp"

#include "tokenizer/charsmap.hpp"

#include <nlohmann/json.hpp>

#include <cstring>

namespace rlx::text_test {
namespace {

using nlohmann::json;
using text::charsmap;

json tiny(const std::string& name = "tiny_bpe") {
    return json::parse(read_file(RLX_TEXT_FIXTURES "/" + name + ".json"));
}

fake_weights folder(const std::string& tokenizer) {
    fake_weights w;
    w.kind = "safetensors";
    w.files["tokenizer.json"] = tokenizer;
    return w;
}

void expect_error(const std::string& file, std::uint32_t code, const std::string& part) {
    const auto t = library().open_tokenizer(folder(file));
    ASSERT_FALSE(t.ok()) << "expected an error with \"" << part << "\"";
    EXPECT_EQ(t.error().code, code) << t.error().message;
    EXPECT_NE(t.error().message.find(part), std::string::npos) << t.error().message;
}

void expect_error(const json& file, std::uint32_t code, const std::string& part) {
    expect_error(file.dump(), code, part);
}

TEST(tokenizer_json_file, unsupported_components_are_named) {
    json j = tiny();
    j["normalizer"] = {{"type", "Nmt"}};
    expect_error(j, RLX_UNSUPPORTED, "normalizer \"Nmt\"");
    j = tiny();
    j["pre_tokenizer"]["pretokenizers"][0] = json::object({{"type", "UnicodeScripts"}});
    expect_error(j, RLX_UNSUPPORTED, "UnicodeScripts");
    j = tiny();
    j["decoder"] = {{"type", "CTC"}};
    expect_error(j, RLX_UNSUPPORTED, "CTC");
    j = tiny();
    j["post_processor"] = {{"type", "Sequence"}, {"processors", {{{"type", "Shuffle"}}}}};
    expect_error(j, RLX_UNSUPPORTED, "Shuffle");
    j = tiny();
    j["model"]["type"] = "WordLevel";
    expect_error(j, RLX_UNSUPPORTED, "WordLevel");
    j = tiny();
    j["model"]["dropout"] = 0.1;
    expect_error(j, RLX_UNSUPPORTED, "dropout");
}

TEST(tokenizer_json_file, broken_wordpiece_and_unigram_models_are_named) {
    json j = tiny("tiny_wordpiece");
    j["model"]["unk_token"] = "[NOPE]";
    expect_error(j, RLX_CORRUPT_DATA, "[NOPE]");
    j["model"].erase("unk_token");
    expect_error(j, RLX_CORRUPT_DATA, "unknown token");
    j["model"]["max_input_chars_per_word"] = -1;
    expect_error(j, RLX_CORRUPT_DATA, "max_input_chars_per_word");
    j["model"]["vocab"] = json::array();
    expect_error(j, RLX_CORRUPT_DATA, "\"vocab\" is missing or no object");
    j = tiny("tiny_unigram");
    j["model"]["unk_id"] = 1 << 20;
    expect_error(j, RLX_CORRUPT_DATA, "unk_id 1048576");
    j["model"]["vocab"][3][1] = "x";
    expect_error(j, RLX_CORRUPT_DATA, "the score");
    j["model"]["vocab"] = json::array();
    expect_error(j, RLX_CORRUPT_DATA, "\"vocab\" is empty");
    j["model"]["vocab"] = json::object();
    expect_error(j, RLX_CORRUPT_DATA, "no array");
}

TEST(tokenizer_json_file, broken_rules_of_normalisation_are_named_or_without_effect) {
    const auto with = [](const char* base64) {
        json j = tiny("tiny_unigram");
        j["normalizer"] = {{"type", "Precompiled"}, {"precompiled_charsmap", base64}};
        return j;
    };
    expect_error(with("!"), RLX_CORRUPT_DATA, "base64");
    expect_error(with("AAAA"), RLX_CORRUPT_DATA, "shorter than its header");
    expect_error(with("CAAAAAAAAAA="), RLX_CORRUPT_DATA, "a table of 8 bytes");
    expect_error(with("BAAAAAAAAABh"), RLX_CORRUPT_DATA, "no end");
    // A double array that leads out of itself: no rule is found.
    const auto t = library().open_tokenizer(folder(with("BAAAAP////8A").dump()));
    ASSERT_TRUE(t.ok()) << t.error().message;
    EXPECT_TRUE((*t)->encode("the quick fox").ok());
}

TEST(charsmap, rules_have_limits) {
    const auto blob = [](std::vector<std::uint32_t> nodes, const std::string& replacements) {
        std::string out(4 + nodes.size() * 4, '\0');
        const auto bytes = static_cast<std::uint32_t>(nodes.size() * 4);
        std::memcpy(out.data(), &bytes, 4);
        std::memcpy(out.data() + 4, nodes.data(), bytes);
        return out + replacements;
    };
    using unit = charsmap::unit;
    const auto large = charsmap::parse(blob({0}, std::string(257, 'x') + '\0'), unit::longest);
    ASSERT_FALSE(large.ok());
    EXPECT_NE(large.error().message.find("257 bytes"), std::string::npos) << large.error().message;
    EXPECT_TRUE(charsmap::parse(blob({0}, std::string(256, 'x') + '\0'), unit::longest).ok());
    // The second node follows itself for every 'a': without a limit this takes hours.
    const auto ring = charsmap::parse(blob({0x60 << 10, 0x61 << 10 | 'a'}, ""), unit::longest);
    ASSERT_TRUE(ring.ok()) << ring.error().message;
    const std::string text(1 << 20, 'a');
    EXPECT_EQ(ring->apply(text), text);
}

TEST(tokenizer_json_file, expressions_of_another_dialect_are_refused) {
    for (const char* pattern : {R"([a-z&&[^b]])", R"(\h+)", R"([[a]b])", R"(\Gx)"}) {
        json j = tiny();
        j["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = pattern;
        expect_error(j, RLX_UNSUPPORTED, "is not supported");
    }
    json j = tiny();
    j["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = "(";
    expect_error(j, RLX_UNSUPPORTED, "regular expression \"");
}

TEST(tokenizer_json_file, an_expression_that_backtracks_without_end_is_stopped) {
    json j = tiny();
    j["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = "(a|aa)+$";
    const auto t = library().open_tokenizer(folder(j.dump()));
    ASSERT_TRUE(t.ok()) << t.error().message;
    const auto ids = (*t)->encode(std::string(60, 'a') + "b");
    ASSERT_FALSE(ids.ok());
    EXPECT_NE(ids.error().message.find("(a|aa)+$"), std::string::npos) << ids.error().message;
}

TEST(tokenizer_json_file, broken_json_is_refused) {
    expect_error(std::string(), RLX_CORRUPT_DATA, "tokenizer.json");
    expect_error(std::string("{\"model\":"), RLX_CORRUPT_DATA, "bad JSON");
    expect_error(std::string("[]"), RLX_CORRUPT_DATA, "not an object");
    expect_error(std::string("{}"), RLX_CORRUPT_DATA, "\"model\"");
    expect_error(std::string(1'000'000, '['), RLX_CORRUPT_DATA, "nested deeper");
    expect_error(
        std::string("{\"model\": {\"vocab\": {\"\xff\": 0}}}"), RLX_CORRUPT_DATA, "bad JSON"
    );
}

TEST(tokenizer_json_file, bad_ids_and_merges_are_named) {
    for (const json& id :
         {json(-1), json(1.5), json("1"), json(1 << 24), json(1e30), json(nullptr)}) {
        json j = tiny();
        j["model"]["vocab"]["zzz"] = id;
        expect_error(j, RLX_CORRUPT_DATA, "zzz");
    }
    json j = tiny();
    j["model"]["vocab"]["zzz"] = 5;
    expect_error(j, RLX_CORRUPT_DATA, "id 5");
    j = tiny();
    j["model"]["vocab"]["zzz"] = 9'000'000;
    expect_error(j, RLX_CORRUPT_DATA, "9000000");
    for (const json& merge :
         {json("a"),
          json("a b c"),
          json(7),
          json::array({"a"}),
          json::array({"a", 1}),
          json("a qqq")}) {
        j = tiny();
        j["model"]["merges"] = json::array({merge});
        expect_error(j, RLX_CORRUPT_DATA, "merge 0");
    }
}

TEST(tokenizer_json_file, merges_may_be_strings_or_pairs) {
    json j = tiny();
    const auto pairs = library().open_tokenizer(folder(j.dump()));
    for (json& m : j["model"]["merges"])
        if (m.is_array()) m = m[0].get<std::string>() + " " + m[1].get<std::string>();
    const auto strings = library().open_tokenizer(folder(j.dump()));
    ASSERT_TRUE(pairs.ok() && strings.ok());
    EXPECT_EQ(*(*pairs)->encode("the quick brown fox"), *(*strings)->encode("the quick brown fox"));
}

TEST(tokenizer_json_file, added_tokens_that_contradict_the_vocabulary_are_refused) {
    json j = tiny();
    j["added_tokens"].push_back({{"id", 7}, {"content", "<new>"}, {"special", true}});
    expect_error(j, RLX_CORRUPT_DATA, "<new>");
    j = tiny();
    j["added_tokens"].push_back({{"id", -7}, {"content", "<new>"}, {"special", true}});
    expect_error(j, RLX_CORRUPT_DATA, "<new>");
    j = tiny();
    j["added_tokens"].push_back(
        {{"id", 500}, {"content", std::string(5000, 'x')}, {"special", true}}
    );
    expect_error(j, RLX_CORRUPT_DATA, "5000 bytes");
    j = tiny();
    j["post_processor"]["special_tokens"]["<|begin|>"]["ids"] = {99999};
    expect_error(j, RLX_CORRUPT_DATA, "99999");
}

TEST(tokenizer_json_file, side_files_give_bos_eos_and_stop_ids) {
    fake_weights w = folder(tiny().dump());
    w.files["tokenizer_config.json"] =
        R"({"bos_token": {"content": "<|begin|>"}, "pad_token": null})";
    w.files["special_tokens_map.json"] = R"({"eos_token": "<|end|>"})";
    w.files["generation_config.json"] = R"({"eos_token_id": [0, 1, 100000]})";
    const auto t = library().open_tokenizer(w);
    ASSERT_TRUE(t.ok()) << t.error().message;
    EXPECT_EQ((*t)->bos(), 1);
    EXPECT_EQ((*t)->eos(), 0);
    EXPECT_TRUE((*t)->adds_bos());
    EXPECT_EQ((*t)->stop_ids().size(), 2u);
    // Flags in tokenizer_config.json replace the post-processor.
    EXPECT_EQ((*t)->encode("", {.add_special = true})->size(), 2u);
    w.files["tokenizer_config.json"] = R"({"bos_token": "<|begin|>", "add_bos_token": true})";
    EXPECT_EQ(
        *(*library().open_tokenizer(w))->encode("", {.add_special = true}),
        (std::vector<std::int32_t>{1})
    );
    w.files["tokenizer_config.json"] = R"({"bos_token": "<|begin|>", "add_bos_token": false})";
    EXPECT_TRUE((*library().open_tokenizer(w))->encode("", {.add_special = true})->empty());
    w.files["tokenizer_config.json"] = R"({"bos_token": "<nowhere>"})";
    const auto bad = library().open_tokenizer(w);
    ASSERT_FALSE(bad.ok());
    EXPECT_NE(bad.error().message.find("<nowhere>"), std::string::npos);
}

} // namespace
} // namespace rlx::text_test
