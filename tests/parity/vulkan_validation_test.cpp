// SPDX-License-Identifier: GPL-3.0-only
// Whole models under the Khronos validation layer, its synchronization validation included: what it
// says is an error of the run. Skipped where the layer or a device is missing.
#include "fixture.hpp"
#include "image_case.hpp"
#include "text_case.hpp"

namespace rlx::test {
namespace {

chain_options validated(chain_options o = {}) {
    o.device = "vulkan:0";
    o.device_options = {{"validate", 2}};
    // Such small models would be islands on the cpu as a whole.
    o.adjust = [](model_parts& p) { p.force = [](std::uint32_t) { return -1; }; };
    return o;
}

// Null, and why set, where this cannot run.
std::unique_ptr<chain> open_or_skip(result<std::unique_ptr<chain>> c, std::string* why) {
    if (c.ok()) return std::move(c.value());
    *why = c.error().message;
    if (c.error().code != RLX_NOT_FOUND && why->find("is not installed") == std::string::npos)
        throw std::runtime_error(*why);
    return nullptr;
}

class validated_lm : public testing::TestWithParam<const char*> {};

TEST_P(validated_lm, prefill_and_decode_are_clean) {
    for (const char* compute : {"f32", "auto"}) { // the cache in f32, in f16
        const fixture f(GetParam());
        std::string why;
        chain_options o = validated();
        o.lm.compute = compute;
        const auto c = open_or_skip(chain::open(f.hf(), o), &why);
        if (!c) GTEST_SKIP() << why;
        EXPECT_EQ(prefill(c->model(), f.chunkable()).size(), f.chunkable().size() * f.vocab());
        EXPECT_EQ(prefill(c->model(), f.chunkable().first(9), 1).size(), 9 * f.vocab());
    }
}

INSTANTIATE_TEST_SUITE_P(
    graphs,
    validated_lm,
    testing::Values("llama-dynamic", "llama-llama3", "qwen3-sliding", "qwen3moe-raw"),
    [](const auto& p) { return test_name(p.param); }
);

class validated_texts : public testing::TestWithParam<const char*> {};

TEST_P(validated_texts, are_clean_alone_and_in_one_step) {
    encoder_options e;
    e.max_tokens = 512;
    std::string why;
    const auto c = open_or_skip(chain::open_encoder(text_folder(GetParam()), e, validated()), &why);
    if (!c) GTEST_SKIP() << why;
    const auto texts = text_cases(GetParam());
    std::vector<encoder_text> all;
    for (const text_case& t : texts)
        all.push_back({t.ids, t.types});
    EXPECT_FALSE(must(c->encoder().encode({all.data(), 1})).empty());
    EXPECT_FALSE(must(c->encoder().encode(all)).empty());
}

INSTANTIATE_TEST_SUITE_P(
    graphs,
    validated_texts,
    testing::Values("bert", "mpnet", "nomic", "nomic-options", "nomic-moe", "nomic/gguf"),
    [](const auto& p) { return test_name(p.param); }
);

class validated_images : public testing::TestWithParam<const char*> {};

TEST_P(validated_images, are_clean_at_every_size) {
    image_encoder_options e;
    e.max_images = 3;
    e.max_height = 64;
    e.max_width = 200;
    const std::string name = GetParam();
    std::string why;
    const auto c = open_or_skip(
        chain::open_image_encoder(image_checkpoint(name), e, validated(image_chain(name))), &why
    );
    if (!c) GTEST_SKIP() << why;
    for (const image_case& i : image_cases(name))
        EXPECT_FALSE(must(c->images().encode(i.batch())).values.empty());
}

INSTANTIATE_TEST_SUITE_P(
    graphs,
    validated_images,
    testing::Values("dinov2", "meta-registers-gguf", "vision", "vision-sinusoidal"),
    [](const auto& p) { return test_name(p.param); }
);

} // namespace
} // namespace rlx::test
