// SPDX-License-Identifier: GPL-3.0-only
// Images through the facade, on checkpoints of tests/goldens/images: from a file to features as
// transformers' processor and model make them, heads, labels, and what is refused.
#include "rlx/vision.hpp"

#include "rlx/base/mmap.hpp"
#include "rlx/formats/safetensors.hpp"

#include <cmath>
#include <cstring>
#include <gtest/gtest.h>

namespace rlx {
namespace {

std::filesystem::path folder_of(const std::string& name) {
    return std::filesystem::path(RLX_GOLDENS_DIR) / "images" / name;
}

image_embedder_options options_of(const std::string& name, image_head head = image_head::pooled) {
    image_embedder_options o;
    o.weights = folder_of(name);
    o.head = head;
    o.compute = "f32";
    o.plugin_dirs = {RLX_PLUGIN_DIR};
    return o;
}

std::unique_ptr<image_embedder> must_open(const image_embedder_options& o) {
    auto e = image_embedder::open(o);
    if (!e) throw std::runtime_error(e.error().message);
    return std::move(*e);
}

std::vector<float> expected(const std::string& name, const std::string& tensor) {
    const auto file = mapped_file::open(folder_of(name) / "expected.safetensors");
    const auto header = safetensors_parse(file->bytes(), "expected.safetensors");
    for (const auto& t : header->tensors)
        if (t.name == tensor) {
            std::vector<float> out(t.n_bytes / sizeof(float));
            std::memcpy(out.data(), file->data() + t.offset, t.n_bytes);
            return out;
        }
    throw std::runtime_error("no " + tensor);
}

// Largest difference over the RMS of what is expected.
double error_of(std::span<const float> got, std::span<const float> want) {
    double worst = 0, squares = 0;
    if (got.size() != want.size() || want.empty()) return INFINITY;
    for (std::size_t i = 0; i < want.size(); ++i) {
        worst = std::max(worst, std::abs(double{got[i]} - double{want[i]}));
        squares += double{want[i]} * double{want[i]};
    }
    return std::isnan(worst) ? INFINITY : worst / std::sqrt(squares / double(want.size()));
}

std::string message_of(const image_embedder_options& o) {
    const auto e = image_embedder::open(o);
    return e ? "no error" : e.error().message;
}

class image_pipeline : public testing::TestWithParam<std::tuple<const char*, const char*>> {};

TEST_P(image_pipeline, equals_processor_and_model_of_the_reference) {
    const auto [name, file] = GetParam();
    auto e = must_open(options_of(name, image_head::hidden));
    const auto prepared = e->prepare(folder_of(name) / file);
    ASSERT_TRUE(prepared.ok()) << prepared.error().message;
    const auto made = e->encode({&*prepared, 1});
    ASSERT_TRUE(made.ok()) << made.error().message;
    const auto want = expected(name, std::string("hidden.") + file);
    EXPECT_LT(error_of(made->values, want), 3e-5);

    auto pooled = must_open(options_of(name));
    const auto vector = pooled->embed(folder_of(name) / file, false);
    ASSERT_TRUE(vector.ok()) << vector.error().message;
    const auto width = static_cast<std::size_t>(pooled->width());
    EXPECT_LT(error_of(*vector, std::span(want).first(width)), 3e-5);
    const auto unit = pooled->embed(folder_of(name) / file);
    double square = 0;
    for (const float v : *unit)
        square += double{v} * double{v};
    EXPECT_NEAR(square, 1, 1e-6);
}

INSTANTIATE_TEST_SUITE_P(
    files,
    image_pipeline,
    testing::Combine(
        testing::Values("dinov2", "vision"), testing::Values("tall.png", "wide.jpg", "grey.png")
    ),
    [](const auto& i) {
        const std::string file = std::get<1>(i.param);
        return std::string(std::get<0>(i.param)) + "_" + file.substr(0, file.find('.'));
    }
);

TEST(image_embedder, more_images_than_a_step_takes_come_out_in_order) {
    auto o = options_of("dinov2", image_head::hidden);
    o.max_images = 2;
    auto e = must_open(o);
    std::vector<planes> pictures;
    for (const char* file : {"tall.png", "wide.jpg", "grey.png"})
        pictures.push_back(*e->prepare(folder_of("dinov2") / file));
    const auto all = e->encode(pictures);
    ASSERT_TRUE(all.ok()) << all.error().message;
    EXPECT_EQ(all->images, 3);
    std::vector<float> alone;
    for (const planes& p : pictures) {
        const auto one = e->encode({&p, 1});
        alone.insert(alone.end(), one->values.begin(), one->values.end());
    }
    EXPECT_EQ(all->values, alone);
    std::vector<float> pixels;
    for (const planes& p : pictures)
        pixels.insert(pixels.end(), p.values.begin(), p.values.end());
    EXPECT_EQ(e->encode_pixels(pixels, 3, 35, 35)->values, alone);
    EXPECT_TRUE(e->encode({})->values.empty());
}

TEST(image_embedder, image_size_is_read_on_the_same_checkpoint) {
    auto o = options_of("dinov2", image_head::hidden);
    o.image_size = 49;
    auto e = must_open(o);
    const auto made = e->encode(std::vector{*e->prepare(folder_of("dinov2") / "tall.png")});
    ASSERT_TRUE(made.ok()) << made.error().message;
    EXPECT_EQ(made->tokens, 1 + 7 * 7);
}

TEST(image_embedder, classes_have_the_checkpoint_s_labels) {
    auto o = options_of("dinov2-giant", image_head::classes);
    o.max_height = o.max_width = 49;
    auto e = must_open(o);
    EXPECT_EQ(e->width(), 5);
    ASSERT_EQ(e->labels().size(), 5u);
    EXPECT_EQ(e->labels()[2], "great white shark");
    const auto pixels = expected("dinov2-giant", "pixels.1");
    const auto scores = e->encode_pixels(pixels, 1, 49, 49);
    ASSERT_TRUE(scores.ok()) << scores.error().message;
    EXPECT_LT(error_of(scores->values, expected("dinov2-giant", "scores.1")), 3e-5);
}

TEST(image_embedder, without_a_preprocessor_file_dinov2_s_own_is_used) {
    const auto e = must_open(options_of("dinov2-plain"));
    const auto recipe = e->recipe();
    ASSERT_TRUE(recipe.ok()) << recipe.error().message;
    EXPECT_EQ(recipe->shortest_edge, 256);
    EXPECT_EQ(recipe->crop->height, 224);
    EXPECT_EQ((*recipe->mean)[0], 0.485);
}

TEST(image_embedder, without_any_preprocessing_only_pixels_are_read) {
    auto e = must_open(options_of("vision-free"));
    const auto p = e->prepare(folder_of("vision") / "grey.png");
    ASSERT_FALSE(p.ok());
    EXPECT_EQ(p.error().code, RLX_MISSING_METADATA);
    EXPECT_NE(p.error().message.find("preprocessor_config.json"), std::string::npos);
    EXPECT_TRUE(e->encode_pixels(expected("vision-free", "pixels.0"), 1, 40, 40).ok());
}

TEST(image_embedder, tensors_alone_are_read_when_the_family_is_named) {
    auto o = options_of("meta-bare");
    o.weights /= "model.safetensors";
    EXPECT_NE(message_of(o).find("no config.json lies beside"), std::string::npos) << message_of(o);
    o.family = "dinov2";
    EXPECT_EQ(message_of(o), "no error");
}

TEST(image_embedder, says_what_it_cannot_open) {
    auto o = options_of("dinov2");
    o.family = "vision";
    EXPECT_NE(message_of(o).find("belongs to family 'dinov2', not 'vision'"), std::string::npos)
        << message_of(o);
    o = options_of("dinov2", image_head::classes);
    EXPECT_NE(message_of(o).find("no classification head"), std::string::npos) << message_of(o);
    o = options_of("x");
    o.weights = std::filesystem::path(RLX_GOLDENS_DIR) / "lm" / "llama-default" / "hf";
    EXPECT_NE(message_of(o).find("expected 'encode_image'"), std::string::npos) << message_of(o);
    o = options_of("dinov2");
    o.weights.clear();
    EXPECT_NE(message_of(o).find("no weights given"), std::string::npos);
    o = options_of("dinov2");
    o.preprocessor = folder_of("dinov2") / "config.json";
    EXPECT_NE(message_of(o).find("config.json"), std::string::npos) << message_of(o);
    o = options_of("dinov2");
    o.max_memory_gb = 1e-6;
    EXPECT_NE(message_of(o).find("lower max_images"), std::string::npos) << message_of(o);
}

TEST(image_embedder, names_the_image_it_cannot_read) {
    auto e = must_open(options_of("dinov2"));
    const auto said = [&](const std::filesystem::path& file) {
        const auto v = e->embed(file);
        return v ? "no error" : v.error().message;
    };
    EXPECT_NE(said(folder_of("dinov2") / "none.png").find("none.png"), std::string::npos);
    EXPECT_NE(said(folder_of("dinov2") / "config.json").find("config.json"), std::string::npos);
    const std::vector<float> pixels(3 * 35 * 35);
    const auto wrong = e->encode_pixels(pixels, 2, 35, 35);
    ASSERT_FALSE(wrong.ok());
    EXPECT_EQ(wrong.error().message, "3675 pixel values are not 2 x 3 x 35 x 35");
    const auto large = e->encode_pixels(pixels, 1, 70, 70);
    ASSERT_FALSE(large.ok());
    EXPECT_NE(large.error().message.find("opened for at most 35 x 35"), std::string::npos);
    planes small{3, 7, 7, std::vector<float>(147)}, other{3, 7, 14, std::vector<float>(294)};
    EXPECT_FALSE(e->encode(std::vector{small, other}).ok());
}

TEST(feature_picture, shows_the_main_components_as_colours) {
    // Along one direction a ramp, along a weaker one two halves; nothing else.
    std::vector<float> rows;
    for (int i = 0; i < 12; ++i)
        rows.insert(rows.end(), {10.0F * float(i), i < 6 ? 1.0F : -1.0F, 5.0F, 0.0F});
    const auto p = feature_picture(rows, 4, {3, 4}, 2);
    ASSERT_TRUE(p.ok()) << p.error().message;
    EXPECT_EQ(p->height, 6);
    EXPECT_EQ(p->width, 8);
    ASSERT_EQ(p->pixels.size(), 6u * 8 * 3);
    EXPECT_EQ(p->pixels.front(), 0);
    EXPECT_EQ(p->pixels[p->pixels.size() - 3], 255) << "red of the last patch";
    EXPECT_EQ(p->pixels[0], p->pixels[3]) << "patches are squares of 2";
    EXPECT_EQ(p->pixels.back(), 128) << "no third component: grey";
    EXPECT_EQ(feature_picture(rows, 4, {3, 4}, 2)->pixels, p->pixels);
    const std::vector<float> flat(48, 1.0F);
    const auto grey = feature_picture(flat, 4, {3, 4}, 1);
    EXPECT_EQ(grey->pixels, std::vector<std::uint8_t>(36, 128));
    EXPECT_FALSE(feature_picture(rows, 5, {3, 4}).ok());
    EXPECT_FALSE(feature_picture(rows, 4, {0, 4}).ok());
}

} // namespace
} // namespace rlx
