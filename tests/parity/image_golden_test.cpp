// SPDX-License-Identifier: GPL-3.0-only
// Image encoders against their references (tests/goldens/make_image_encoders.py): every size on one
// plan, every head, every tier; a step of several images equals one by one; bad sizes are errors.
#include "image_case.hpp"

#include <gtest/gtest.h>

namespace rlx::test {
namespace {

image_encoder_options exact(image_head head = image_head::hidden) {
    image_encoder_options o;
    o.head = head;
    o.max_images = 3;
    o.max_height = 64;
    o.max_width = 200;
    o.compute = "f32";
    return o;
}

constexpr double limit = 1e-5;

using tier_case = std::tuple<const char*, const char*>;

class image_tiers : public testing::TestWithParam<tier_case> {
protected:
    // Null, and the test skipped, where the machine lacks the tier.
    std::unique_ptr<chain> open(image_head head) {
        const auto [name, tier] = GetParam();
        auto c =
            chain::open_image_encoder(image_checkpoint(name), exact(head), image_chain(name, tier));
        if (c) {
            EXPECT_EQ((*c)->images().tier(), tier);
            return std::move(*c);
        }
        lacks_tier_ =
            c.error().message.find("tier '" + std::string(tier) + "' needs") != std::string::npos;
        message_ = c.error().message;
        return nullptr;
    }

    std::string name() const { return std::get<0>(GetParam()); }

    bool lacks_tier_ = false;
    std::string message_;
};

TEST_P(image_tiers, equal_the_reference_at_every_size_on_one_plan) {
    const auto c = open(image_head::hidden);
    if (lacks_tier_) GTEST_SKIP() << message_;
    ASSERT_TRUE(c) << message_;
    const auto cases = image_cases(name());
    ASSERT_GE(cases.size(), 1u);
    for (const image_case& i : cases) {
        const auto rows = c->images().encode(i.batch());
        ASSERT_TRUE(rows.ok()) << rows.error().message;
        EXPECT_EQ(
            (std::vector<std::int64_t>{rows->images, rows->tokens, rows->width}), i.hidden.dims
        );
        EXPECT_LT(image_error(rows->values, i.hidden.values), limit)
            << i.pixels.dims[2] << " x " << i.pixels.dims[3];
    }
    EXPECT_EQ(c->images().warnings().size(), 0u);
    for (const std::string& w : c->images().warnings())
        ADD_FAILURE() << w;
}

TEST_P(image_tiers, the_pooled_head_is_the_first_token) {
    const auto c = open(image_head::pooled);
    if (lacks_tier_) GTEST_SKIP() << message_;
    ASSERT_TRUE(c) << message_;
    for (const image_case& i : image_cases(name())) {
        const auto rows = must(c->images().encode(i.batch()));
        EXPECT_EQ(rows.tokens, 1);
        EXPECT_LT(image_error(rows.values, first_tokens(i.hidden)), limit);
    }
}

TEST_P(image_tiers, an_image_has_the_same_rows_whatever_else_is_in_the_step) {
    const auto c = open(image_head::hidden);
    if (lacks_tier_) GTEST_SKIP() << message_;
    ASSERT_TRUE(c) << message_;
    for (const image_case& i : image_cases(name())) {
        const image_batch all = i.batch();
        const auto together = must(c->images().encode(all));
        const std::vector<float> want(together.values.begin(), together.values.end());
        const std::size_t one = all.pixels.size() / static_cast<std::size_t>(all.images);
        std::vector<float> alone;
        for (std::size_t at = 0; at < all.pixels.size(); at += one) {
            const auto rows =
                must(c->images().encode({all.pixels.subspan(at, one), 1, all.height, all.width}));
            alone.insert(alone.end(), rows.values.begin(), rows.values.end());
        }
        EXPECT_EQ(alone, want);
    }
}

std::string plain(std::string name) {
    std::replace(name.begin(), name.end(), '-', '_');
    return name;
}

INSTANTIATE_TEST_SUITE_P(
    goldens,
    image_tiers,
    testing::Combine(testing::ValuesIn(image_names), testing::ValuesIn(cpu_tiers)),
    [](const auto& i) {
        return plain(std::string(std::get<0>(i.param)) + "_" + std::get<1>(i.param));
    }
);

class image_classes : public image_tiers {};

TEST_P(image_classes, are_scores_of_the_first_token_and_the_mean_patch) {
    const auto c = open(image_head::classes);
    if (lacks_tier_) GTEST_SKIP() << message_;
    ASSERT_TRUE(c) << message_;
    EXPECT_EQ(c->images().facts().classes, 5);
    for (const image_case& i : image_cases(name())) {
        const auto rows = must(c->images().encode(i.batch()));
        EXPECT_EQ(rows.width, 5);
        EXPECT_LT(image_error(rows.values, i.scores.values), limit);
    }
}

INSTANTIATE_TEST_SUITE_P(
    goldens,
    image_classes,
    testing::Combine(
        testing::Values("dinov2-giant", "dinov2-registers-classes", "meta-gguf"),
        testing::ValuesIn(cpu_tiers)
    ),
    [](const auto& i) {
        return plain(std::string(std::get<0>(i.param)) + "_" + std::get<1>(i.param));
    }
);

std::string refusal(const result<image_rows>& r) {
    return r ? "no error" : r.error().message;
}

TEST(image_encoder, names_the_size_it_cannot_read) {
    const auto c = must(
        chain::open_image_encoder(image_checkpoint("meta-gguf"), exact(), image_chain("meta-gguf"))
    );
    image_encoder_model& m = c->images();
    const std::vector<float> pixels(std::size_t{4} * 3 * 70 * 70);
    const auto said = [&](std::int64_t n, std::int64_t h, std::int64_t w) {
        const auto floats = static_cast<std::size_t>(n * 3 * h * w);
        return refusal(m.encode({std::span(pixels).first(floats), n, h, w}));
    };
    EXPECT_EQ(m.max_height(), 63) << "the largest multiple of 7";
    EXPECT_EQ(
        said(1, 35, 36), "an image of 35 x 36 pixels (height x width); both must be multiples of 7"
    );
    EXPECT_EQ(
        said(1, 70, 35),
        "an image of 70 x 35 pixels (height x width); the model was opened for at most 63 x 196"
    );
    EXPECT_EQ(said(1, 0, 35), "an image of 0 x 35 pixels (height x width); the least is 7 x 7");
    EXPECT_EQ(said(4, 35, 35), "4 images in a step, expected 1 to 3");
    EXPECT_EQ(said(0, 35, 35), "0 images in a step, expected 1 to 3");
    EXPECT_EQ(
        refusal(m.encode({std::span(pixels).first(7), 1, 35, 35})),
        "7 pixel values, expected 3675 for 1 x 3 x 35 x 35"
    );
    EXPECT_EQ(said(3, 7, 63), "no error");
}

TEST(image_encoder, a_model_for_one_size_says_which) {
    const auto c = must(chain::open_image_encoder(image_checkpoint("vision"), exact()));
    EXPECT_TRUE(c->images().facts().fixed_size);
    const std::vector<float> pixels(std::size_t{3} * 48 * 40);
    EXPECT_EQ(
        refusal(c->images().encode({pixels, 1, 48, 40})),
        "an image of 48 x 40 pixels (height x width); this model reads 40 x 40 only"
    );
}

TEST(image_encoder, a_head_that_is_not_there_is_named) {
    const auto c =
        chain::open_image_encoder(image_checkpoint("dinov2"), exact(image_head::classes));
    ASSERT_FALSE(c.ok());
    EXPECT_EQ(c.error().code, RLX_UNSUPPORTED);
    EXPECT_NE(c.error().message.find("no classification head"), std::string::npos)
        << c.error().message;
}

TEST(image_encoder, refuses_a_plan_that_is_too_large_before_loading) {
    auto o = exact();
    o.max_memory_gb = 1e-5;
    const auto c = chain::open_image_encoder(image_checkpoint("dinov2"), o);
    ASSERT_FALSE(c.ok());
    EXPECT_EQ(c.error().code, RLX_OUT_OF_MEMORY);
    EXPECT_NE(c.error().message.find("max_memory_gb allows"), std::string::npos)
        << c.error().message;
}

} // namespace
} // namespace rlx::test
