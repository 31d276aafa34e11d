// SPDX-License-Identifier: GPL-3.0-only
// Where a chat template comes from, and what happens when there is none.
#include "fake_weights.hpp"

namespace rlx::text_test {
namespace {

const char* one_user = R"([{"role": "user", "content": "Hi"}])";

fake_weights gguf_with(const std::string& source) {
    fake_weights w = byte_level_vocabulary({}, {"<s>", "</s>"});
    w.ints["tokenizer.ggml.bos_token_id"] = 256;
    w.ints["tokenizer.ggml.eos_token_id"] = 257;
    if (!source.empty()) w.strings["tokenizer.chat_template"] = source;
    return w;
}

result<std::string> rendered(const fake_weights& w, const render_options& o = {}) {
    const auto t = library().open_tokenizer(w);
    if (!t.ok()) return t.error();
    const auto c = library().open_template(w, **t);
    if (!c.ok()) return c.error();
    return (*c)->render(one_user, o);
}

TEST(chat_template, comes_from_the_gguf_with_its_special_tokens) {
    EXPECT_EQ(
        *rendered(gguf_with("{{ bos_token }}{{ messages[0].content }}{{ eos_token }}")), "<s>Hi</s>"
    );
}

TEST(chat_template, comes_from_the_folder) {
    fake_weights w;
    w.kind = "safetensors";
    w.files["tokenizer.json"] = read_file(RLX_TEXT_FIXTURES "/tiny_bpe.json");
    EXPECT_EQ(rendered(w).error().code, std::uint32_t{RLX_MISSING_METADATA});
    w.files["tokenizer_config.json"] =
        R"({"chat_template": "config {{ eos_token }}", "eos_token": "<|end|>"})";
    EXPECT_EQ(*rendered(w), "config <|end|>");
    w.files["tokenizer_config.json"] =
        R"({"chat_template": [{"name": "tool_use", "template": "no"}, {"name": "default", "template": "named"}]})";
    EXPECT_EQ(*rendered(w), "named");
    w.files["tokenizer_config.json"] =
        R"({"chat_template": [{"name": "tool_use", "template": "no"}]})";
    EXPECT_NE(rendered(w).error().message.find("tool_use"), std::string::npos);
    w.files["chat_template.jinja"] = "file";
    EXPECT_EQ(*rendered(w), "file");
}

TEST(chat_template, is_an_error_when_absent_or_unsupported_and_never_another_template) {
    EXPECT_EQ(rendered(gguf_with("")).error().code, std::uint32_t{RLX_MISSING_METADATA});
    const auto bad = rendered(gguf_with("\n{% include 'x' %}"));
    ASSERT_FALSE(bad.ok());
    EXPECT_EQ(bad.error().code, std::uint32_t{RLX_UNSUPPORTED});
    EXPECT_NE(
        bad.error().message.find("line 2: the tag \"include\" is not supported"), std::string::npos
    ) << bad.error().message;
}

TEST(chat_template, takes_variables_and_a_date) {
    render_options o;
    o.extra_json = R"({"enable_thinking": true, "tools": [{"b": 1, "a": 2}]})";
    o.now = "2024-07-26";
    EXPECT_EQ(
        *rendered(
            gguf_with("{{ enable_thinking }} {{ tools | tojson }} {{ strftime_now('%d %b %Y %A') }}"
            ),
            o
        ),
        "True [{\"b\": 1, \"a\": 2}] 26 Jul 2024 Friday"
    );
    o.now = "2024-02-30";
    EXPECT_FALSE(rendered(gguf_with("x"), o).ok());
    o.now = "";
    o.extra_json = "[1]";
    EXPECT_FALSE(rendered(gguf_with("x"), o).ok());
}

TEST(chat_template, messages_that_are_no_list_of_objects_are_refused) {
    const auto t = library().parse_template("{{ messages }}", "", "");
    ASSERT_TRUE(t.ok());
    for (const char* bad : {"", "{}", "[1]", "[[]]", "null", "[{]"}) {
        const auto r = (*t)->render(bad);
        ASSERT_FALSE(r.ok()) << bad;
        EXPECT_NE(r.error().message.find("message"), std::string::npos) << r.error().message;
    }
}

} // namespace
} // namespace rlx::text_test
