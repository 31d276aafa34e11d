// SPDX-License-Identifier: GPL-3.0-only
// Text encoders against transformers (tests/goldens/make_encoders.py): every text alone, all of
// them in one step, every tier; bad texts are errors that name them.
#include "chain.hpp"
#include "files.hpp"
#include "rlx/base/environment.hpp"
#include "rlx/formats/safetensors.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>

namespace rlx::test {
namespace {

struct text_case {
    std::vector<std::int32_t> ids, types;
    std::map<encoder_head, std::vector<float>> expected;
};

const std::map<std::string, encoder_head> heads = {
    {"hidden", encoder_head::hidden},
    {"pooled", encoder_head::pooled},
    {"scores", encoder_head::classes},
    {"logits", encoder_head::vocab},
};

template <class T>
std::vector<T> elements(const std::string& bytes, const safetensors_tensor& t) {
    std::vector<T> out(t.n_bytes / sizeof(T));
    std::memcpy(out.data(), bytes.data() + t.offset, t.n_bytes);
    return out;
}

std::filesystem::path folder_of(const std::string& name) {
    return std::filesystem::path(RLX_GOLDENS_DIR) / "encoders" / name;
}

// A GGUF file (NAME/gguf) has the values of its twin, or its own where a converter left something
// out. Poolers are always left out.
std::vector<text_case> texts_of(const std::string& name) {
    const bool gguf = name.ends_with("/gguf");
    auto file = folder_of(name) / "expected.safetensors";
    if (gguf && !exists(file)) file = folder_of(name).parent_path() / "expected.safetensors";
    std::ifstream in(file, std::ios::binary);
    const std::string bytes(std::istreambuf_iterator<char>(in), {});
    const auto header = must(safetensors_parse(
        {reinterpret_cast<const std::byte*>(bytes.data()), bytes.size()}, file.string()
    ));
    std::map<std::string, text_case> texts;
    for (const safetensors_tensor& t : header.tensors) {
        const std::size_t dot = t.name.find('.');
        text_case& c = texts[t.name.substr(dot + 1)];
        const std::string what = t.name.substr(0, dot);
        if (what == "ids") c.ids = elements<std::int32_t>(bytes, t);
        if (what == "types") c.types = elements<std::int32_t>(bytes, t);
        if (gguf && what == "pooled") continue;
        if (heads.contains(what)) c.expected[heads.at(what)] = elements<float>(bytes, t);
    }
    std::vector<text_case> out;
    for (auto& [key, c] : texts)
        out.push_back(std::move(c));
    return out;
}

double difference(std::span<const float> got, std::span<const float> want) {
    double worst = 0;
    if (got.size() != want.size()) return INFINITY;
    for (std::size_t i = 0; i < want.size(); ++i) {
        const double d = std::abs(double{got[i]} - double{want[i]});
        worst = std::isnan(d) ? INFINITY : std::max(worst, d);
    }
    return worst;
}

// RMS of what is expected, over all texts: one score may lie next to 0.
double scale_of(const std::vector<text_case>& texts, encoder_head head) {
    double squares = 0, n = 0;
    for (const text_case& t : texts) {
        for (const float x : t.expected.at(head)) {
            squares += double{x} * double{x};
            n += 1;
        }
    }
    return std::sqrt(squares / n);
}

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
    const auto texts = texts_of(name);
    ASSERT_GE(texts.size(), 4u);
    for (const auto& [head, rows] : texts[0].expected) {
        auto c = chain::open_encoder(folder_of(name), exact(head), {.tier = tier});
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
            EXPECT_LT(difference(got, t.expected.at(head)), 1e-5 * scale_of(texts, head))
                << t.ids.size() << " tokens, head " << static_cast<int>(head);
        }
    }
}

TEST_P(encoders, round_to_bf16_where_the_processor_can) {
    auto o = exact();
    o.compute = "bf16";
    const auto c = chain::open_encoder(folder_of(GetParam()), o);
    if (!c && c.error().message.find("needs AVX512-BF16") != std::string::npos)
        GTEST_SKIP() << c.error().message;
    ASSERT_TRUE(c.ok()) << c.error().message;
    EXPECT_EQ((*c)->encoder().compute(), "bf16 activations");
    const auto texts = texts_of(GetParam());
    const double scale = scale_of(texts, encoder_head::hidden);
    for (const text_case& t : texts) {
        const encoder_text text{t.ids, t.types};
        const auto got = must((*c)->encoder().encode({&text, 1}));
        const double e = difference(got, t.expected.at(encoder_head::hidden)) / scale;
        EXPECT_LT(e, 0.1) << t.ids.size() << " tokens";
        EXPECT_GT(e, 1e-5) << "this is f32";
    }
    auto baseline = chain::open_encoder(folder_of(GetParam()), o, {.tier = "baseline"});
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
    const auto texts = texts_of(name);
    for (const auto& [head, rows] : texts[0].expected) {
        SCOPED_TRACE("head " + std::to_string(static_cast<int>(head)));
        auto opened = chain::open_encoder(folder_of(name), exact(head), {.tier = tier});
        if (!opened && opened.error().message.find("' needs") != std::string::npos)
            GTEST_SKIP() << opened.error().message;
        expect_the_same_rows_in_a_batch(*must(std::move(opened)), texts);
    }
}

TEST_P(encoder_tiers, give_a_text_the_same_rows_in_bf16_whatever_else_is_in_the_step) {
    const auto [name, tier] = GetParam();
    auto o = exact();
    o.compute = "bf16";
    auto opened = chain::open_encoder(folder_of(name), o, {.tier = tier});
    if (!opened && opened.error().code == RLX_UNSUPPORTED) GTEST_SKIP() << opened.error().message;
    expect_the_same_rows_in_a_batch(*must(std::move(opened)), texts_of(name));
}

TEST_P(encoders, have_no_tensor_that_nobody_reads) {
    const auto texts = texts_of(GetParam());
    for (const auto& [head, rows] : texts[0].expected) {
        const auto c = must(chain::open_encoder(folder_of(GetParam()), exact(head)));
        for (const std::string& w : c->encoder().warnings())
            ADD_FAILURE() << w;
    }
}

std::string plain(std::string name) {
    std::replace(name.begin(), name.end(), '-', '_');
    std::replace(name.begin(), name.end(), '/', '_');
    return name;
}

const auto cases = testing::Values(
    "bert",
    "bert-heads",
    "bert-gamma",
    "bert-classes",
    "bert-untied",
    "bert-pretraining",
    "roberta",
    "roberta-classes",
    "roberta-mlm",
    "xlm-roberta-reranker",
    "mpnet",
    "mpnet-classes",
    "mpnet-mlm",
    "distilbert",
    "distilbert-classes",
    "distilbert-mlm",
    "nomic",
    "nomic-mlm",
    "nomic-classes",
    "nomic-hub",
    "nomic-options",
    "nomic-moe",
    "bert/gguf",
    "roberta/gguf",
    "roberta-classes/gguf",
    "distilbert/gguf",
    "nomic/gguf",
    "nomic-hub/gguf",
    "nomic-moe/gguf"
);

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
    const auto c = must(chain::open_encoder(folder_of("bert"), o));
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

TEST(encoder, says_what_a_checkpoint_without_the_head_lacks) {
    const auto said = [](const char* name, encoder_head head) {
        const auto c = chain::open_encoder(folder_of(name), exact(head));
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
    const auto c = chain::open_encoder(folder_of("bert"), o);
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
