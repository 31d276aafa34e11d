// SPDX-License-Identifier: GPL-3.0-only
#include "fixtures.hpp"

namespace rlx::media_test {
namespace {

TEST(preprocess, equals_the_image_processors_of_transformers) {
    int seen = 0;
    for (const json& row : table("processors")) {
        const auto recipe =
            library().parse_preprocess(row["config"].dump(), "preprocessor_config.json");
        ASSERT_TRUE(recipe.ok()) << recipe.error().message;
        const auto out = library().preprocess(noise_image(extent_of(row["from"]), 3), *recipe);
        ASSERT_TRUE(out.ok()) << out.error().message;
        ASSERT_EQ(out->channels, 3);
        ASSERT_EQ(out->height, row["shape"][1].get<int>()) << row.dump();
        ASSERT_EQ(out->width, row["shape"][2].get<int>()) << row.dump();
        const auto expected = kept_floats(row["values"]);
        ASSERT_EQ(expected.size(), out->values.size());
        for (std::size_t i = 0; i < expected.size(); i++)
            ASSERT_EQ(out->values[i], expected[i])
                << row["config"].dump() << row["from"] << " at " << i;
        seen++;
    }
    EXPECT_EQ(seen, 22);
}

TEST(preprocess, repeats_grey_and_refuses_alpha) {
    const auto recipe = library().parse_preprocess(
        R"({"image_processor_type": "ViTImageProcessor", "size": 4})", "x"
    );
    ASSERT_TRUE(recipe.ok());
    const auto grey = library().preprocess(noise_image({6, 6}, 1), *recipe);
    ASSERT_TRUE(grey.ok());
    for (std::size_t i = 0; i < 16; i++)
        EXPECT_EQ(grey->values[i], grey->values[32 + i]);
    for (const int channels : {2, 4})
        EXPECT_EQ(
            library().preprocess(noise_image({6, 6}, channels), *recipe).error().code,
            RLX_INVALID_ARGUMENT
        );
}

TEST(preprocess, refuses_sizes_over_the_limits_before_it_makes_them) {
    const auto recipe =
        library().parse_preprocess(R"({"image_processor_type": "BitImageProcessor"})", "x");
    ASSERT_TRUE(recipe.ok());
    EXPECT_EQ(recipe->shortest_edge, 224);
    const image line{1, 60'000, 3, std::vector<std::uint8_t>(180'000)};
    const auto out = library().preprocess(line, *recipe);
    ASSERT_FALSE(out.ok());
    EXPECT_EQ(out.error().code, RLX_INVALID_ARGUMENT);
    EXPECT_NE(out.error().message.find("60000 x 1 with a shortest edge of 224"), std::string::npos);
    preprocess_recipe bad = *recipe;
    bad.crop = extent{50'000, 50'000};
    EXPECT_FALSE(library().preprocess(noise_image({4, 4}, 3), bad).ok());
    bad = *recipe;
    bad.std.reset();
    EXPECT_FALSE(library().preprocess(noise_image({4, 4}, 3), bad).ok());
    bad = *recipe;
    bad.size = extent{3, 3};
    EXPECT_FALSE(library().preprocess(noise_image({4, 4}, 3), bad).ok());
}

struct bad_config {
    const char* json;
    std::uint32_t code;
    const char* says;
};

TEST(parse_preprocess, names_what_it_does_not_do) {
    const std::vector<bad_config> cases{
        {"", RLX_CORRUPT_DATA, "not a JSON object"},
        {"[1]", RLX_CORRUPT_DATA, "not a JSON object"},
        {"{}", RLX_MISSING_METADATA, "image_processor_type"},
        {R"({"image_processor_type": "SamImageProcessor"})",
         RLX_UNSUPPORTED,
         "\"SamImageProcessor\" is not supported"},
        {R"({"image_processor_type": "ViTImageProcessor", "resample": 5})",
         RLX_UNSUPPORTED,
         "resample: 5"},
        {R"({"image_processor_type": "ViTImageProcessor", "resample": "x"})",
         RLX_UNSUPPORTED,
         "resample: \"x\""},
        {R"({"image_processor_type": "ViTImageProcessor", "size": {"longest_edge": 9}})",
         RLX_UNSUPPORTED,
         "longest_edge"},
        {R"({"image_processor_type": "ViTImageProcessor", "size": {"shortest_edge": 4, "longest_edge": 9}})",
         RLX_UNSUPPORTED,
         "longest_edge"},
        {R"({"image_processor_type": "ViTImageProcessor", "size": {"height": 4}})",
         RLX_UNSUPPORTED,
         "height and width"},
        {R"({"image_processor_type": "ViTImageProcessor", "size": 0})",
         RLX_CORRUPT_DATA,
         "size: 0"},
        {R"({"image_processor_type": "ViTImageProcessor", "size": 1.5})",
         RLX_CORRUPT_DATA,
         "size: 1.5"},
        {R"({"image_processor_type": "ViTImageProcessor", "size": 99999999999999999999})",
         RLX_CORRUPT_DATA,
         "size"},
        {R"({"image_processor_type": "ViTImageProcessor", "do_resize": 1})",
         RLX_CORRUPT_DATA,
         "do_resize"},
        {R"({"image_processor_type": "ViTImageProcessor", "do_center_crop": true})",
         RLX_MISSING_METADATA,
         "crop_size"},
        {R"({"image_processor_type": "ViTImageProcessor", "do_flip_channel_order": true})",
         RLX_UNSUPPORTED,
         "do_flip_channel_order"},
        {R"({"image_processor_type": "ViTImageProcessor", "do_pad": true})",
         RLX_UNSUPPORTED,
         "pad_size"},
        {R"({"image_processor_type": "ViTImageProcessor", "rescale_factor": 0})",
         RLX_CORRUPT_DATA,
         "rescale_factor"},
        {R"({"image_processor_type": "ViTImageProcessor", "image_mean": [1, 2]})",
         RLX_CORRUPT_DATA,
         "image_mean: [1,2]"},
        {R"({"image_processor_type": "ViTImageProcessor", "image_std": [1, 0, 2]})",
         RLX_CORRUPT_DATA,
         "image_std"},
    };
    for (const auto& c : cases) {
        const auto out = library().parse_preprocess(c.json, "p.json");
        ASSERT_FALSE(out.ok()) << c.json;
        EXPECT_EQ(out.error().code, c.code) << out.error().message;
        EXPECT_NE(out.error().message.find(c.says), std::string::npos) << out.error().message;
        EXPECT_TRUE(out.error().message.starts_with("p.json: ")) << out.error().message;
    }
    const std::string deep(100'000, '[');
    EXPECT_FALSE(library().parse_preprocess(deep, "p.json").ok());
    EXPECT_FALSE(library().parse_preprocess(std::string(2 << 20, ' '), "p.json").ok());
}

TEST(parse_preprocess, chooses_the_backend_by_name_unless_told) {
    const auto backend = [](const char* name, std::optional<processor_backend> wanted = {}) {
        const json config{{"image_processor_type", name}};
        return library().parse_preprocess(config.dump(), "x", wanted)->backend;
    };
    EXPECT_EQ(backend("CLIPImageProcessor"), processor_backend::torchvision);
    EXPECT_EQ(backend("CLIPImageProcessorFast"), processor_backend::torchvision);
    EXPECT_EQ(backend("CLIPFeatureExtractor"), processor_backend::torchvision);
    EXPECT_EQ(backend("CLIPImageProcessorPil"), processor_backend::pil);
    EXPECT_EQ(backend("CLIPImageProcessor", processor_backend::pil), processor_backend::pil);
    const auto fast = [](const char* name, const json& use_fast) {
        const json config{{"image_processor_type", name}, {"use_fast", use_fast}};
        return library().parse_preprocess(config.dump(), "x");
    };
    EXPECT_EQ(fast("BitImageProcessor", false)->backend, processor_backend::pil);
    EXPECT_EQ(fast("BitImageProcessor", false)->resample, image_kernel::pil_bicubic);
    EXPECT_EQ(fast("BitImageProcessor", true)->resample, image_kernel::torch_bicubic);
    EXPECT_EQ(fast("BitImageProcessor", nullptr)->backend, processor_backend::torchvision);
    EXPECT_EQ(fast("BitImageProcessorFast", false)->backend, processor_backend::pil);
    EXPECT_EQ(fast("BitImageProcessorPil", nullptr)->backend, processor_backend::pil);
    EXPECT_EQ(fast("BitImageProcessor", "no").error().code, RLX_CORRUPT_DATA);
    const auto old = library().parse_preprocess(
        R"({"feature_extractor_type": "CLIPFeatureExtractor", "crop_size": 30, "size": 40, "resample": 3})",
        "x"
    );
    ASSERT_TRUE(old.ok()) << old.error().message;
    EXPECT_EQ(old->shortest_edge, 40);
    EXPECT_EQ(old->crop->width, 30);
}

TEST(center_crop, and_pad_refuse_absurd_sizes) {
    const image in = noise_image({4, 4}, 3);
    for (const extent bad : {extent{0, 4}, extent{-1, 4}, extent{1 << 30, 1 << 30}}) {
        EXPECT_FALSE(library().center_crop(in, bad, processor_backend::pil).ok());
        EXPECT_FALSE(library().pad(planes{1, 1, 1, {0}}, bad, 0).ok());
    }
    EXPECT_FALSE(library().pad(planes{1, 2, 2, {0, 0, 0, 0}}, {2, 1}, 0).ok());
    const auto padded = library().pad(planes{2, 1, 1, {5, 6}}, {2, 2}, -1);
    ASSERT_TRUE(padded.ok());
    EXPECT_EQ(padded->values, (std::vector<float>{5, -1, -1, -1, 6, -1, -1, -1}));
}

} // namespace
} // namespace rlx::media_test
