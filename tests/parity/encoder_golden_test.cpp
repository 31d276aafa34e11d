// SPDX-License-Identifier: GPL-3.0-only
// Text encoders against transformers (tests/goldens/make_encoders.py): every text alone, all of
// them in one step, every tier; bad texts are errors that name them.
#include "text_case.hpp"

#include <gtest/gtest.h>

namespace rlx::test {
namespace {

encoder_options exact(encoder_head head = encoder_head::hidden) {
    encoder_options o;
    o.head = head;
    o.max_tokens = 512;
    o.compute = "f32";
    return o;
}

class encoders : public testing::TestWithParam<const char*> {};

class encoder_tiers : public testing::TestWithParam<std::tuple<const char*, const char*>> {};

TEST_P(encoder_tiers, equal_the_reference_text_by_text) {
    const auto [name, tier] = GetParam();
    const auto texts = text_cases(name);
    ASSERT_GE(texts.size(), 4u);
    for (const auto& [head, rows] : texts[0].expected) {
        auto c = chain::open_encoder(text_folder(name), exact(head), {.tier = tier});
        if (!c &&
            c.error().message.find("tier '" + std::string(tier) + "' needs") != std::string::npos)
            GTEST_SKIP() << c.error().message;
        ASSERT_TRUE(c.ok()) << c.error().message;
        encoder_model& m = (*c)->encoder();
        EXPECT_EQ(m.tier(), tier);
        for (const text_case& t : texts) {
            const encoder_text text{t.ids, t.types};
            const auto got = must(m.encode({&text, 1}));
            const bool per_text = head == encoder_head::pooled || head == encoder_head::classes;
            EXPECT_EQ(
                got.size(), static_cast<std::size_t>(m.width()) * (per_text ? 1 : t.ids.size())
            );
            EXPECT_LT(text_error(got, t.expected.at(head)), 1e-5 * text_scale(texts, head))
                << t.ids.size() << " tokens, head " << static_cast<int>(head);
        }
    }
}

// The tokenizers make a padding id of a text that spells "<pad>"; the reference counts positions by
// the other ids.
TEST(encoders_with_counted_positions, give_a_padding_id_in_a_text_no_place) {
    std::size_t seen = 0;
    for (const std::string name : text_encoders) {
        if (!exists(text_folder(name) / "padded.safetensors")) continue;
        const auto texts = text_cases(name, "padded.safetensors");
        for (const auto& [head, rows] : texts.at(0).expected) {
            const auto c = chain::open_encoder(text_folder(name), exact(head));
            ASSERT_TRUE(c.ok()) << c.error().message;
            const encoder_text text{texts[0].ids, texts[0].types};
            const auto got = must((*c)->encoder().encode({&text, 1}));
            EXPECT_LT(text_error(got, rows), 1e-5 * text_scale(texts, head))
                << name << ", head " << static_cast<int>(head);
            ++seen;
        }
    }
    EXPECT_GE(seen, 10U);
}

TEST_P(encoders, round_to_bf16_where_the_processor_can) {
    auto o = exact();
    o.compute = "bf16";
    const auto c = chain::open_encoder(text_folder(GetParam()), o);
    if (!c && c.error().message.find("needs AVX512-BF16") != std::string::npos)
        GTEST_SKIP() << c.error().message;
    ASSERT_TRUE(c.ok()) << c.error().message;
    EXPECT_EQ((*c)->encoder().compute(), "bf16 activations");
    const auto texts = text_cases(GetParam());
    const double scale = text_scale(texts, encoder_head::hidden);
    for (const text_case& t : texts) {
        const encoder_text text{t.ids, t.types};
        const auto got = must((*c)->encoder().encode({&text, 1}));
        const double e = text_error(got, t.expected.at(encoder_head::hidden)) / scale;
        EXPECT_LT(e, 0.1) << t.ids.size() << " tokens";
        EXPECT_GT(e, 1e-5) << "this is f32";
    }
    auto baseline = chain::open_encoder(text_folder(GetParam()), o, {.tier = "baseline"});
    ASSERT_FALSE(baseline.ok());
    EXPECT_EQ(baseline.error().code, RLX_UNSUPPORTED);
}

void expect_the_same_rows_in_a_batch(chain& c, const std::vector<text_case>& texts) {
    std::vector<float> alone;
    std::vector<encoder_text> all;
    for (const text_case& t : texts) {
        all.push_back({t.ids, t.types});
        const auto got = must(c.encoder().encode({&all.back(), 1}));
        alone.insert(alone.end(), got.begin(), got.end());
    }
    const auto together = must(c.encoder().encode(all));
    EXPECT_EQ(std::vector<float>(together.begin(), together.end()), alone);
}

TEST_P(encoder_tiers, give_a_text_the_same_rows_whatever_else_is_in_the_step) {
    const auto [name, tier] = GetParam();
    const auto texts = text_cases(name);
    for (const auto& [head, rows] : texts[0].expected) {
        SCOPED_TRACE("head " + std::to_string(static_cast<int>(head)));
        auto opened = chain::open_encoder(text_folder(name), exact(head), {.tier = tier});
        if (!opened && opened.error().message.find("' needs") != std::string::npos)
            GTEST_SKIP() << opened.error().message;
        expect_the_same_rows_in_a_batch(*must(std::move(opened)), texts);
    }
}

TEST_P(encoder_tiers, give_a_text_the_same_rows_in_bf16_whatever_else_is_in_the_step) {
    const auto [name, tier] = GetParam();
    auto o = exact();
    o.compute = "bf16";
    auto opened = chain::open_encoder(text_folder(name), o, {.tier = tier});
    if (!opened && opened.error().code == RLX_UNSUPPORTED) GTEST_SKIP() << opened.error().message;
    expect_the_same_rows_in_a_batch(*must(std::move(opened)), text_cases(name));
}

TEST_P(encoders, have_no_tensor_that_nobody_reads) {
    const auto texts = text_cases(GetParam());
    for (const auto& [head, rows] : texts[0].expected) {
        const auto c = must(chain::open_encoder(text_folder(GetParam()), exact(head)));
        for (const std::string& w : c->encoder().warnings())
            ADD_FAILURE() << w;
    }
}

std::string plain(std::string name) {
    std::replace(name.begin(), name.end(), '-', '_');
    std::replace(name.begin(), name.end(), '/', '_');
    return name;
}

const auto cases = testing::ValuesIn(text_encoders);

INSTANTIATE_TEST_SUITE_P(goldens, encoders, cases, [](const auto& i) { return plain(i.param); });
INSTANTIATE_TEST_SUITE_P(
    goldens,
    encoder_tiers,
    testing::Combine(cases, testing::ValuesIn(cpu_tiers)),
    [](const auto& i) {
        return plain(std::string(std::get<0>(i.param)) + "_" + std::get<1>(i.param));
    }
);

std::string message_of(encoder_model& m, std::span<const encoder_text> texts) {
    const auto r = m.encode(texts);
    return r ? "no error" : r.error().message;
}

TEST(encoder, names_the_text_that_cannot_be_read) {
    auto o = exact();
    o.max_tokens = 60;
    o.max_texts = 3;
    const auto c = must(chain::open_encoder(text_folder("bert"), o));
    encoder_model& m = c->encoder();
    const std::vector<std::int32_t> good(20, 5), empty, wrong{3, 61}, negative{-1}, one{1},
        seven{7};
    const std::vector<std::int32_t> long_one(49, 5);
    const auto said = [&](const std::vector<std::int32_t>& ids,
                          const std::vector<std::int32_t>& types = {}) {
        const encoder_text texts[] = {{good}, {ids, types}};
        return message_of(m, texts);
    };
    EXPECT_EQ(said(empty), "text 1 has no tokens");
    EXPECT_EQ(said(wrong), "text 1: token id 61 is outside the vocabulary of 61");
    EXPECT_EQ(said(negative), "text 1: token id -1 is outside the vocabulary of 61");
    EXPECT_EQ(said(one, seven), "text 1: segment 7, the model knows 2");
    EXPECT_EQ(said(one, good), "text 1 has 1 tokens and 20 segment ids");
    const encoder_text too_long[] = {{long_one}};
    EXPECT_EQ(message_of(m, too_long), "text 0 has 49 tokens, at most 48 fit");
    const encoder_text four[] = {{good}, {good}, {good}, {good}};
    EXPECT_EQ(m.fits(four), 3u);
    EXPECT_NE(message_of(m, four).find("4 texts are more than one step takes"), std::string::npos);
    EXPECT_EQ(must(m.encode(std::span(four, 3))).size(), 60u * 24);
    EXPECT_TRUE(must(m.encode({})).empty());
}

// A backend's table that counts what a new plan or a reload would call.
const rlx_backend_v1* counted = nullptr;
int compiled = 0, measured = 0;

TEST(encoder, a_new_batch_or_length_is_neither_planned_nor_compiled_again) {
    rlx_backend_v1 table{};
    chain_options how;
    how.adjust = [&](model_parts& p) {
        counted = p.backend;
        table = *p.backend;
        table.compile = [](void* device, const rlx_compile_args* args, void** program) {
            ++compiled;
            return counted->compile(device, args, program);
        };
        table.measure = [](void* device, const rlx_compile_args* args, rlx_memory* out) {
            ++measured;
            return counted->measure(device, args, out);
        };
        p.backend = &table;
    };
    const auto c = must(chain::open_encoder(text_folder("bert"), exact(), how));
    EXPECT_EQ(compiled, 1);
    const int before = measured;
    for (const std::size_t texts : {1, 3, 2, 7}) {
        for (const std::size_t tokens : {1, 9, 48, 2}) {
            const std::vector<std::int32_t> ids(tokens, 5);
            const std::vector<encoder_text> batch(texts, encoder_text{ids});
            EXPECT_EQ(must(c->encoder().encode(batch)).size(), texts * tokens * 24);
        }
    }
    EXPECT_EQ(compiled, 1);
    EXPECT_EQ(measured, before);
}

TEST(encoder, says_what_a_checkpoint_without_the_head_lacks) {
    const auto said = [](const char* name, encoder_head head) {
        const auto c = chain::open_encoder(text_folder(name), exact(head));
        if (c) return std::string("no error");
        EXPECT_EQ(c.error().code, RLX_UNSUPPORTED) << name;
        return c.error().message;
    };
    const auto has = [](const std::string& text, const std::string& part) {
        EXPECT_NE(text.find(part), std::string::npos) << text;
    };
    has(said("distilbert", encoder_head::pooled), "no pooler: it lacks tensor pooler.dense.weight");
    has(said("bert/gguf", encoder_head::pooled),
        "it lacks tensor pooler.dense.weight (GGUF converters drop it)");
    has(said("nomic", encoder_head::pooled), "no pooler: it lacks tensor pooler.dense.weight");
    has(said("nomic", encoder_head::classes), "it lacks tensor classifier.weight");
    has(said("nomic-classes", encoder_head::vocab), "no masked language model head");
    has(said("bert-heads", encoder_head::pooled), "it lacks tensor bert.pooler.dense.weight");
    has(said("bert", encoder_head::classes),
        "no classification head (as BertForSequenceClassification has): it lacks tensor "
        "classifier.weight");
    has(said("roberta-mlm", encoder_head::classes), "it lacks tensor classifier.out_proj.weight");
    has(said("mpnet-classes", encoder_head::vocab),
        "no masked language model head (as MPNetForMaskedLM has): it lacks tensor "
        "lm_head.dense.weight");
    has(said("distilbert", encoder_head::vocab), "it lacks tensor vocab_transform.weight");
}

TEST(encoder, refuses_a_plan_that_is_too_large_before_loading) {
    auto o = exact();
    o.max_memory_gb = 1e-5;
    const auto c = chain::open_encoder(text_folder("bert"), o);
    ASSERT_FALSE(c.ok());
    EXPECT_EQ(c.error().code, RLX_OUT_OF_MEMORY);
    EXPECT_NE(c.error().message.find("max_memory_gb allows"), std::string::npos)
        << c.error().message;
}

TEST(encoder, a_checkpoint_of_another_task_says_what_its_family_can) {
    const auto c = chain::open_encoder(
        std::filesystem::path(RLX_GOLDENS_DIR) / "lm" / "llama-default" / "hf", exact()
    );
    ASSERT_FALSE(c.ok());
    EXPECT_EQ(c.error().code, RLX_UNSUPPORTED);
    EXPECT_NE(c.error().message.find("'encode'"), std::string::npos) << c.error().message;
}

} // namespace
} // namespace rlx::test
