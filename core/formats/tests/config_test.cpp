// SPDX-License-Identifier: GPL-3.0-only
// Config keys as transformers 5 spells them, whatever the checkpoint's age or format.
#include "build_files.hpp"
#include "rlx/base/wall.hpp"
#include "rlx/formats/weights.hpp"

#include <cmath>
#include <gtest/gtest.h>

namespace {

using namespace rlx_test;

struct value {
    std::uint32_t kind = 0; // 0 = absent
    std::int64_t i = 0;
    double f = 0;
    std::string s;
};

value meta(rlx::weights& w, std::string_view key) {
    rlx_meta m{};
    m.size = sizeof m;
    std::uint32_t found = 0;
    rlx_error* e = rlx::weights_table()->meta(w.handle(), rlx::str(key), &m, &found);
    EXPECT_EQ(e, nullptr);
    return found ? value{m.kind, m.i, m.f, std::string(rlx::view(m.s))} : value{};
}

std::unique_ptr<rlx::weights> from_json(const temp_dir& d, std::string_view json) {
    d.write("model.safetensors", good_st().build());
    d.write("config.json", json);
    auto w = rlx::weights::open(d.path());
    EXPECT_TRUE(w.ok()) << w.error().message;
    return w.ok() ? std::move(*w) : nullptr;
}

std::unique_ptr<rlx::weights> from_gguf(const temp_dir& d, gguf_builder b) {
    auto w = rlx::weights::open(d.write("m.gguf", b.build()));
    EXPECT_TRUE(w.ok()) << w.error().message;
    return w.ok() ? std::move(*w) : nullptr;
}

TEST(Config, BothSpellingsAnswerToBothNames) {
    temp_dir d;
    const char* now =
        R"({"model_type":"qwen3_moe","rope_parameters":{"rope_type":"yarn","rope_theta":1e6,"factor":4.0,
        "original_max_position_embeddings":32768},"num_experts":8,"dtype":"bfloat16"})";
    const char* before =
        R"({"model_type":"qwen3_moe","rope_theta":1000000.0,"rope_scaling":{"type":"yarn","factor":4.0,
        "original_max_position_embeddings":32768},"num_local_experts":8,"torch_dtype":"bfloat16"})";
    for (const char* json : {now, before}) {
        auto w = from_json(d, json);
        for (const char* key : {"rope_parameters.rope_theta", "rope_theta"})
            EXPECT_EQ(meta(*w, key).f, 1e6) << json;
        for (const char* key :
             {"rope_parameters.rope_type", "rope_scaling.type", "rope_scaling.rope_type"}) {
            EXPECT_EQ(meta(*w, key).s, "yarn") << key << json;
        }
        EXPECT_EQ(meta(*w, "rope_parameters.factor").f, 4.0);
        EXPECT_EQ(meta(*w, "rope_parameters.original_max_position_embeddings").i, 32768);
        for (const char* key : {"num_experts", "num_local_experts"})
            EXPECT_EQ(meta(*w, key).i, 8) << key;
        for (const char* key : {"dtype", "torch_dtype"})
            EXPECT_EQ(meta(*w, key).s, "bfloat16") << key;
    }
}

TEST(Config, KindsAreKeptAndNullIsAbsent) {
    temp_dir d;
    auto w = from_json(
        d,
        R"({"i":-3,"f":0.5,"t":true,"n":null,"s":"x","a":[1,"two",3.5],"o":{"p":1},"rope_scaling":null})"
    );
    EXPECT_EQ(meta(*w, "i").kind, std::uint32_t{RLX_META_INT});
    EXPECT_EQ(meta(*w, "i").f, -3.0);
    EXPECT_EQ(meta(*w, "f").kind, std::uint32_t{RLX_META_FLOAT});
    EXPECT_EQ(meta(*w, "t").kind, std::uint32_t{RLX_META_BOOL});
    EXPECT_EQ(meta(*w, "t").i, 1);
    EXPECT_EQ(meta(*w, "a").kind, std::uint32_t{RLX_META_ARRAY});
    EXPECT_EQ(meta(*w, "a").i, 3);
    EXPECT_EQ(meta(*w, "a.1").s, "two");
    EXPECT_EQ(meta(*w, "o.p").i, 1);
    for (const char* key : {"n", "o", "nope", "a.3", "rope_parameters.factor", ""})
        EXPECT_EQ(meta(*w, key).kind, 0u) << key;
}

TEST(Config, TheLanguageModelsSectionOfAMultimodalConfigIsSearched) {
    temp_dir d;
    auto w = from_json(d, R"({"model_type":"gemma3","vision_config":{"hidden_size":7},
        "text_config":{"hidden_size":64,"rope_theta":5.0,"model_type":"gemma3_text"}})");
    EXPECT_EQ(meta(*w, "hidden_size").i, 64);
    EXPECT_EQ(meta(*w, "vision_config.hidden_size").i, 7);
    EXPECT_EQ(meta(*w, "rope_parameters.rope_theta").f, 5.0);
    EXPECT_EQ(meta(*w, "model_type").s, "gemma3");
    EXPECT_EQ(w->architecture(), "gemma3");
}

TEST(Config, WhatPythonWritesForInfinityIsUnderstood) {
    temp_dir d;
    auto w = from_json(
        d, R"({"a":Infinity,"b":-Infinity,"c":NaN,"d":{"__float__":"Infinity"},"e":[NaN,1],
        "text":"not NaN, \"Infinity\"","f":{"__float__":"x"}})"
    );
    EXPECT_TRUE(std::isinf(meta(*w, "a").f) && meta(*w, "a").f > 0);
    EXPECT_TRUE(std::isinf(meta(*w, "b").f) && meta(*w, "b").f < 0);
    EXPECT_TRUE(std::isnan(meta(*w, "c").f));
    EXPECT_TRUE(std::isinf(meta(*w, "d").f));
    EXPECT_TRUE(std::isnan(meta(*w, "e.0").f));
    EXPECT_EQ(meta(*w, "text").s, "not NaN, \"Infinity\"");
    EXPECT_EQ(meta(*w, "f.__float__").s, "x");
}

TEST(Config, BadConfigsAreErrorsThatSayWhere) {
    temp_dir d;
    d.write("model.safetensors", good_st().build());
    for (auto [json, part] :
         {std::pair<std::string, const char*>{"{", "byte"},
          {"[]", "expected an object"},
          {"", "byte"},
          {"{\"a\":1}x", "byte"},
          {"{\"a\":\"\xff\"}", "byte"},
          {"{'a':1}", "byte"},
          {"{\"a\":" + std::string(1000, '[') + std::string(1000, ']') + "}", "deeper"},
          {"{\"a\":" + std::string(100000, '{'), "byte"},
          {"{\"" + std::string(5000, 'k') + "\":1}", "longer than"}}) {
        d.write("config.json", json);
        auto w = rlx::weights::open(d.path());
        ASSERT_FALSE(w.ok()) << json.substr(0, 20);
        EXPECT_EQ(w.error().code, std::uint32_t{RLX_CORRUPT_DATA});
        EXPECT_NE(w.error().message.find("config.json"), std::string::npos) << w.error().message;
        EXPECT_NE(w.error().message.find(part), std::string::npos) << w.error().message;
    }
}

TEST(Config, AnotherConfigMayBeNamed) {
    temp_dir d;
    auto b = gguf_builder().text("general.architecture", "llama").u32("llama.embedding_length", 8);
    d.write("m.gguf", b.build());
    d.write("other.json", R"({"hidden_size":99})");
    auto w = rlx::weights::open(d.path(), {.config = d.path() / "other.json"});
    ASSERT_TRUE(w.ok());
    EXPECT_EQ(meta(**w, "hidden_size").i, 99);
    EXPECT_EQ(meta(**w, "model_type").s, "llama") << "what it lacks comes from the file";
    EXPECT_EQ(
        rlx::weights::open(d.path(), {.config = d.path() / "gone.json"}).error().code,
        std::uint32_t{RLX_NOT_FOUND}
    );
}

gguf_builder llama_gguf() {
    gguf_builder b;
    b.text("general.architecture", "llama")
        .u32("llama.embedding_length", 64)
        .u32("llama.block_count", 5);
    b.u32("llama.feed_forward_length", 128)
        .u32("llama.attention.head_count", 8)
        .u32("llama.attention.head_count_kv", 2);
    b.u32("llama.attention.key_length", 16).f32("llama.attention.layer_norm_rms_epsilon", 1e-5f);
    b.f32("llama.rope.freq_base", 5e5f)
        .u32("llama.context_length", 4096)
        .u32("llama.rope.dimension_count", 8);
    b.add(
        "tokenizer.ggml.tokens",
        9,
        gguf_array(8, 3, gguf_text("a") + gguf_text("b") + gguf_text("c"))
    );
    b.u32("tokenizer.ggml.eos_token_id", 2);
    return b;
}

TEST(Config, GgufMetadataAnswerToTheKeysOfConfigJson) {
    temp_dir d;
    auto w = from_gguf(d, llama_gguf());
    for (auto [key, want] :
         {std::pair("hidden_size", 64),
          {"num_hidden_layers", 5},
          {"intermediate_size", 128},
          {"num_attention_heads", 8},
          {"num_key_value_heads", 2},
          {"head_dim", 16},
          {"max_position_embeddings", 4096},
          {"vocab_size", 3},
          {"eos_token_id", 2},
          {"n_embd", 64}}) {
        EXPECT_EQ(meta(*w, key).i, want) << key;
    }
    EXPECT_EQ(static_cast<float>(meta(*w, "rms_norm_eps").f), 1e-5f);
    EXPECT_EQ(meta(*w, "rope_parameters.rope_theta").f, 5e5);
    EXPECT_EQ(meta(*w, "rope_theta").f, 5e5);
    EXPECT_EQ(meta(*w, "rope_parameters.partial_rotary_factor").f, 0.5);
    EXPECT_EQ(meta(*w, "model_type").s, "llama");
    EXPECT_EQ(meta(*w, "tie_word_embeddings").i, 1);
    EXPECT_EQ(meta(*w, "llama.rope.dimension_count").i, 8) << "verbatim";
    EXPECT_EQ(meta(*w, "rope.dimension_count").i, 8) << "without the architecture";
    EXPECT_EQ(meta(*w, "tokenizer.ggml.tokens.1").s, "b");
    for (const char* key :
         {"rope_parameters.rope_type", "num_experts", "rope_parameters.attention_factor"}) {
        EXPECT_EQ(meta(*w, key).kind, 0u) << key;
    }
}

TEST(Config, GgufValuesThatAreComputed) {
    temp_dir d;
    gguf_builder b = llama_gguf();
    b.u32("llama.nextn_predict_layers", 1).u32("llama.vocab_size", 7);
    b.tensor("output.weight", {4}, RLX_F32, floats({1, 2, 3, 4}));
    auto w = from_gguf(d, b);
    EXPECT_EQ(meta(*w, "num_hidden_layers").i, 4) << "draft heads are not layers";
    EXPECT_EQ(meta(*w, "vocab_size").i, 7);
    EXPECT_EQ(meta(*w, "tie_word_embeddings").i, 0);
    gguf_builder bare;
    bare.text("general.architecture", "llama")
        .tensor("token_embd.weight", {2, 3}, RLX_F32, floats({1, 2, 3, 4, 5, 6}));
    EXPECT_EQ(meta(*from_gguf(d, bare), "vocab_size").i, 3) << "rows of the embedding";
}

TEST(Config, GgufRopeScaling) {
    temp_dir d;
    gguf_builder b = llama_gguf();
    b.text("llama.rope.scaling.type", "yarn")
        .f32("llama.rope.scaling.factor", 4)
        .u32("llama.rope.scaling.original_context_length", 32768);
    b.f32("llama.rope.scaling.yarn_beta_fast", 32).f32("llama.rope.scaling.yarn_beta_slow", 1);
    auto plain = from_gguf(d, b);
    EXPECT_EQ(meta(*plain, "rope_parameters.rope_type").s, "yarn");
    EXPECT_EQ(meta(*plain, "rope_parameters.factor").f, 4);
    EXPECT_EQ(meta(*plain, "rope_parameters.original_max_position_embeddings").i, 32768);
    EXPECT_EQ(meta(*plain, "rope_parameters.beta_fast").f, 32);
    EXPECT_EQ(meta(*plain, "rope_parameters.attention_factor").kind, 0u)
        << "the default is the family's";
    gguf_builder net = b;
    net.f32("llama.rope.scaling.attn_factor", 0.5f);
    EXPECT_NEAR(
        meta(*from_gguf(d, net), "rope_parameters.attention_factor").f,
        0.5 * (1 + 0.1 * std::log(4.0)),
        1e-12
    );
    gguf_builder explicit_factor = b;
    explicit_factor.f32("llama.rope.scaling.yarn_attn_factor", 1.25f);
    EXPECT_EQ(meta(*from_gguf(d, explicit_factor), "rope_parameters.attention_factor").f, 1.25);
    gguf_builder longrope = llama_gguf();
    longrope.text("llama.rope.scaling.type", "longrope")
        .f32("llama.rope.scaling.attn_factor", 1.5f);
    EXPECT_EQ(meta(*from_gguf(d, longrope), "rope_parameters.attention_factor").f, 1.5);
    gguf_builder none = llama_gguf();
    none.text("llama.rope.scaling.type", "none");
    EXPECT_EQ(meta(*from_gguf(d, none), "rope_parameters.rope_type").s, "default");
    gguf_builder old = llama_gguf();
    old.f32("llama.rope.scale_linear", 8);
    auto w = from_gguf(d, old);
    EXPECT_EQ(meta(*w, "rope_parameters.rope_type").s, "linear");
    EXPECT_EQ(meta(*w, "rope_parameters.factor").f, 8);
}

TEST(Config, GgufPerLayerListsAreArraysWithElements) {
    temp_dir d;
    gguf_builder b;
    b.text("general.architecture", "x");
    b.add(
        "x.attention.head_count_kv",
        9,
        gguf_array(4, 2, raw<std::uint32_t>(4) + raw<std::uint32_t>(8))
    );
    auto w = from_gguf(d, b);
    EXPECT_EQ(meta(*w, "num_key_value_heads").kind, std::uint32_t{RLX_META_ARRAY});
    EXPECT_EQ(meta(*w, "num_key_value_heads").i, 2);
    EXPECT_EQ(meta(*w, "num_key_value_heads.1").i, 8);
    EXPECT_EQ(meta(*w, "num_key_value_heads.2").kind, 0u);
}

TEST(Config, RawMetadataOfBothFormats) {
    temp_dir d;
    auto g = from_gguf(d, good_gguf());
    EXPECT_EQ(g->meta_strings("words"), (std::vector<std::string_view>{"a", "", "ccc"}));
    EXPECT_EQ(g->meta_ints("ints"), (std::vector<std::int64_t>{7, -7}));
    EXPECT_EQ(g->meta_floats("ints"), (std::vector<double>{7, -7}));
    EXPECT_EQ(g->meta_bool("llama.flag"), true);
    EXPECT_EQ(g->meta_float("u8"), 200.0);
    EXPECT_EQ(g->meta_int("f64"), std::nullopt);
    EXPECT_EQ(g->meta_keys().size(), 16u);
    temp_dir h;
    auto s = from_json(h, R"({"a":["x","y"],"n":[1,2.5],"i":[1,2],"mixed":[1,"x"],"b":false})");
    EXPECT_EQ(s->meta_strings("a"), (std::vector<std::string_view>{"x", "y"}));
    EXPECT_EQ(s->meta_floats("n"), (std::vector<double>{1, 2.5}));
    EXPECT_EQ(s->meta_ints("i"), (std::vector<std::int64_t>{1, 2}));
    EXPECT_EQ(s->meta_ints("n"), std::nullopt);
    EXPECT_EQ(s->meta_strings("mixed"), std::nullopt);
    EXPECT_EQ(s->meta_bool("b"), false);
    EXPECT_EQ(s->meta_string("__metadata__.format"), "pt");
}

} // namespace
