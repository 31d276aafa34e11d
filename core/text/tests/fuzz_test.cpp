// SPDX-License-Identifier: GPL-3.0-only
// Random input: nothing crashes or hangs, and bytes survive the way through a byte-level tokenizer.
#include "fake_weights.hpp"

#include <nlohmann/json.hpp>

#include <ctime>
#include <random>

namespace rlx::text_test {
namespace {

std::string random_bytes(std::mt19937& random, std::size_t n) {
    std::string out(n, '\0');
    for (char& c : out)
        c = static_cast<char>(random());
    return out;
}

std::string mutate(std::mt19937& random, std::string s) {
    static constexpr std::string_view pieces[] = {"{%",     "%}",
                                                  "{{",     "}}",
                                                  "{#",     "-",
                                                  "endfor", "endif",
                                                  " if ",   " for ",
                                                  "(",      ")",
                                                  "[",      "]",
                                                  "\"",     "'",
                                                  "|",      ".",
                                                  "~",      "loop",
                                                  "1e999",  "set",
                                                  "\\",     "\xff",
                                                  "-1",     "99999999999999999999",
                                                  "{",      "}",
                                                  ":",      ",",
                                                  "null",   "true"};
    for (std::size_t n = 1 + random() % 4; n > 0 && !s.empty(); --n) {
        const std::size_t at = random() % s.size();
        switch (random() % 5) {
        case 0: s.erase(at, 1 + random() % 6); break;
        case 1: s.insert(at, pieces[random() % std::size(pieces)]); break;
        case 2: s[at] = static_cast<char>(random()); break;
        case 3: s.insert(at, s.substr(random() % s.size(), random() % 40)); break;
        default: std::swap(s[at], s[random() % s.size()]); break;
        }
    }
    return s;
}

TEST(fuzz, bytes_survive_a_byte_level_tokenizer) {
    std::mt19937 random(7);
    auto w = byte_level_vocabulary({"h e", "t h", "Ġ t", "th e", "Ġt he", "Ã ©", "i n", "Ġ a"}, {});
    for (const char* pre :
         {"gpt-2",
          "smollm",
          "llama-bpe",
          "qwen35",
          "tekken",
          "gpt-4o",
          "minicpm5",
          "deepseek-coder",
          "deepseek-v3",
          "bailingmoe"}) {
        w.strings["tokenizer.ggml.pre"] = pre;
        const auto t = library().open_tokenizer(w);
        ASSERT_TRUE(t.ok()) << t.error().message;
        for (int round = 0; round < 400; ++round) {
            std::string text = random_bytes(random, random() % 40);
            if (round % 2) text = "the " + text + " in thé";
            const auto ids = (*t)->encode(text);
            ASSERT_TRUE(ids.ok()) << ids.error().message;
            std::string back;
            for (const auto id : *ids)
                back += *(*t)->piece(id);
            ASSERT_EQ(back, text) << pre;
        }
    }
}

TEST(fuzz, mutated_tokenizer_files_never_crash) {
    std::mt19937 random(8);
    for (const char* name :
         {"tiny_bpe", "tiny_spm", "tiny_clip", "tiny_wordpiece", "tiny_unigram"}) {
        const std::string good = read_file(std::string(RLX_TEXT_FIXTURES "/") + name + ".json");
        int opened = 0;
        for (int round = 0; round < 300; ++round) {
            fake_weights w;
            w.kind = "safetensors";
            w.files["tokenizer.json"] = mutate(random, good);
            const auto t = library().open_tokenizer(w);
            if (!t.ok()) continue;
            ++opened;
            const auto ids = (*t)->encode(
                "The quick  brown\n fox <|end|> 12 é", {.add_special = true, .parse_special = true}
            );
            if (ids.ok()) {
                EXPECT_TRUE((*t)->decode(*ids).ok());
            }
        }
        EXPECT_GT(opened, 0) << name;
    }
}

TEST(fuzz, mutated_templates_end_in_time) {
    std::mt19937 random(9);
    const std::string messages =
        R"([{"role":"system","content":"s"},{"role":"user","content":"u","tool_calls":[{"function":{"name":"f","arguments":{"a":1}}}]},{"role":"assistant","content":"a"}])";
    const std::string source =
        read_file(RLX_TEXT_FIXTURES "/smollm2.jinja") +
        R"({%- macro f(a, b=[1, 'x']) -%}{{ a ~ b[::-1] }}{% if a %}{{ f(a[1:]) }}{% endif %}{%- endmacro -%}
{% set ns = namespace(n=0, s='') %}{% for m in messages if m.role != 'system' %}{% set ns.n = ns.n + loop.index %}{{ m | tojson(indent=2) }}{{ m.content | default('?', true) | string | upper | trim }}
{%- for k, v in m | items %}{{ k }}={{ v if v is string else v | length }}{{ ',' if not loop.last }}{% else %}none{% endfor %}{% endfor %}{{ f('abc') }}{{ range(3) | map('string') | join('-') }}{{ ns.s.split('a')[-1].strip() }}{{ -2 ** 2 // 3 % 4 }})";
    const auto whole = library().parse_template(source, "<s>", "</s>");
    ASSERT_TRUE(whole.ok()) << whole.error().message;
    const auto unharmed = (*whole)->render(messages);
    ASSERT_TRUE(unharmed.ok()) << unharmed.error().message;
    const std::clock_t start = std::clock();
    int parsed = 0, rendered = 0;
    for (int round = 0; round < 6000; ++round) {
        const auto t = library().parse_template(mutate(random, source), "<s>", "</s>");
        if (!t.ok()) {
            EXPECT_NE(t.error().message.find("line "), std::string::npos) << t.error().message;
            continue;
        }
        ++parsed;
        const auto r = (*t)->render(messages);
        rendered += r.ok();
        if (!r.ok()) {
            EXPECT_NE(r.error().message.find("line "), std::string::npos) << r.error().message;
        }
    }
    EXPECT_GT(parsed, 500);
    EXPECT_GT(rendered, 100);
    EXPECT_LT(std::clock() - start, 60 * CLOCKS_PER_SEC);
}

} // namespace
} // namespace rlx::text_test
