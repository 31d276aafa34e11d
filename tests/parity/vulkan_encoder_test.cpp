// SPDX-License-Identifier: GPL-3.0-only
// Every golden of text and image encoders on the Vulkan backend, with no node left to the CPU.
// Skipped where there is no device.
#include "image_case.hpp"
#include "text_case.hpp"

#include <gtest/gtest.h>

namespace rlx::test {
namespace {

constexpr double limit = 2e-5;

chain_options on_vulkan(chain_options o = {}) {
    o.device = "vulkan:0";
    // Such small models would be islands on the cpu as a whole.
    o.adjust = [](model_parts& p) { p.force = [](std::uint32_t) { return -1; }; };
    return o;
}

// Null, and why set, where this cannot run.
std::unique_ptr<chain> open_or_skip(result<std::unique_ptr<chain>> c, std::string* why) {
    if (c.ok()) return std::move(c.value());
    if (c.error().code != RLX_NOT_FOUND) throw std::runtime_error(c.error().message);
    *why = c.error().message;
    return nullptr;
}

std::string plain(std::string name) {
    for (char& c : name)
        if (c == '-' || c == '/') c = '_';
    return name;
}

void equal_the_reference(const std::string& name, const chain_options& o, std::string* why) {
    const auto texts = text_cases(name);
    ASSERT_GE(texts.size(), 4u);
    for (const auto& [head, rows] : texts[0].expected) {
        SCOPED_TRACE("head " + std::to_string(static_cast<int>(head)));
        encoder_options e;
        e.head = head;
        e.max_tokens = 512;
        e.compute = "f32";
        const auto c = open_or_skip(chain::open_encoder(text_folder(name), e, o), why);
        if (!c) return;
        EXPECT_EQ(c->encoder().partition().elsewhere("vulkan:0"), "");
        std::vector<encoder_text> all;
        std::vector<float> want;
        for (const text_case& t : texts) {
            all.push_back({t.ids, t.types});
            const auto& one = t.expected.at(head);
            want.insert(want.end(), one.begin(), one.end());
            EXPECT_LT(
                text_error(must(c->encoder().encode({&all.back(), 1})), one),
                limit * text_scale(texts, head)
            ) << t.ids.size()
              << " tokens";
        }
        EXPECT_LT(text_error(must(c->encoder().encode(all)), want), limit * text_scale(texts, head))
            << "all texts in one step";
    }
}

class vulkan_texts : public testing::TestWithParam<const char*> {};

TEST_P(vulkan_texts, equal_the_reference_alone_and_in_one_step) {
    std::string why;
    equal_the_reference(GetParam(), on_vulkan(), &why);
    if (!why.empty()) GTEST_SKIP() << why;
}

INSTANTIATE_TEST_SUITE_P(
    goldens,
    vulkan_texts,
    testing::ValuesIn(text_encoders),
    [](const auto& i) { return plain(i.param); }
);

// Its checkpoints look like BERT's; the family is the one that is asked for.
class vulkan_clinicalbert : public testing::TestWithParam<const char*> {};

TEST_P(vulkan_clinicalbert, equals_the_reference) {
    std::string why;
    equal_the_reference(GetParam(), on_vulkan({.family_name = "clinicalbert"}), &why);
    if (!why.empty()) GTEST_SKIP() << why;
}

INSTANTIATE_TEST_SUITE_P(
    goldens,
    vulkan_clinicalbert,
    testing::Values("bert", "bert-pretraining", "distilbert"),
    [](const auto& i) { return plain(i.param); }
);

class vulkan_images : public testing::TestWithParam<const char*> {};

TEST_P(vulkan_images, equal_the_reference_at_every_size_on_one_plan) {
    const std::string name = GetParam();
    const auto cases = image_cases(name);
    ASSERT_GE(cases.size(), 1u);
    for (const image_head head : {image_head::hidden, image_head::pooled, image_head::classes}) {
        if (head == image_head::classes && cases[0].scores.values.empty()) continue;
        SCOPED_TRACE("head " + std::to_string(static_cast<int>(head)));
        image_encoder_options e;
        e.head = head;
        e.max_images = 3;
        e.max_height = 64;
        e.max_width = 200;
        e.compute = "f32";
        std::string why;
        const auto c = open_or_skip(
            chain::open_image_encoder(image_checkpoint(name), e, on_vulkan(image_chain(name))), &why
        );
        if (!c) GTEST_SKIP() << why;
        EXPECT_EQ(c->images().partition().elsewhere("vulkan:0"), "");
        for (const image_case& i : cases) {
            const auto got = must(c->images().encode(i.batch()));
            const std::vector<float> want = head == image_head::hidden   ? i.hidden.values
                                            : head == image_head::pooled ? first_tokens(i.hidden)
                                                                         : i.scores.values;
            EXPECT_LT(image_error(got.values, want), limit)
                << i.pixels.dims[2] << " x " << i.pixels.dims[3];
        }
    }
}

INSTANTIATE_TEST_SUITE_P(goldens, vulkan_images, testing::ValuesIn(image_names), [](const auto& i) {
    return plain(i.param);
});

} // namespace
} // namespace rlx::test
