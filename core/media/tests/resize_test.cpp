// SPDX-License-Identifier: GPL-3.0-only
// The kernels of PIL and torch, against their own results (goldens/make_images.py).
#include "fixtures.hpp"

#include <cmath>
#include <limits>

namespace rlx::media_test {
namespace {

const std::vector<std::pair<std::string, image_kernel>> image_kernels{
    {"pil_nearest", image_kernel::pil_nearest},
    {"pil_bilinear", image_kernel::pil_bilinear},
    {"pil_bicubic", image_kernel::pil_bicubic},
    {"pil_lanczos", image_kernel::pil_lanczos},
    {"torch_nearest", image_kernel::torch_nearest},
    {"torch_bilinear", image_kernel::torch_bilinear},
    {"torch_bicubic", image_kernel::torch_bicubic},
    {"torch_lanczos", image_kernel::torch_lanczos},
};

const std::vector<std::pair<std::string, plane_kernel>> plane_kernels{
    {"antialias_bilinear", plane_kernel::antialias_bilinear},
    {"antialias_bicubic", plane_kernel::antialias_bicubic},
    {"bilinear", plane_kernel::bilinear},
    {"bicubic", plane_kernel::bicubic},
    {"nearest", plane_kernel::nearest},
};

// The float kernels' limit, relative to the largest input (8 in the goldens).
constexpr float tolerance = 2e-6f;
constexpr float largest_input = 8.0f;

planes noise_planes(extent size, int channels) {
    const auto raw = noise_image(size, channels).pixels;
    planes out{channels, size.height, size.width, {}};
    for (const std::uint8_t v : raw)
        out.values.push_back(static_cast<float>(v) / 16.0f - 8.0f);
    return out;
}

class image_resize : public testing::TestWithParam<std::pair<std::string, image_kernel>> {};

TEST_P(image_resize, equals_the_library_it_is_named_after) {
    int seen = 0;
    for (const json& row : table("images")) {
        if (row["kernel"] != GetParam().first) continue;
        const image in = noise_image(extent_of(row["from"]), row["channels"]);
        const auto out = library().resize(in, extent_of(row["to"]), GetParam().second);
        ASSERT_TRUE(out.ok()) << out.error().message;
        if (row.contains("pixels")) {
            EXPECT_EQ(difference(out->pixels, kept(row["pixels"])), "") << row.dump();
        }
        EXPECT_EQ(crc32(out->pixels), row["crc"].get<std::uint32_t>()) << row.dump();
        seen++;
    }
    EXPECT_EQ(seen, 35);
}

TEST_P(image_resize, treats_each_channel_alone) {
    const image four = noise_image({9, 14}, 4);
    const auto all = library().resize(four, {6, 21}, GetParam().second);
    ASSERT_TRUE(all.ok());
    for (std::size_t c = 0; c < 4; c++) {
        image one{9, 14, 1, {}};
        for (std::size_t i = c; i < four.pixels.size(); i += 4)
            one.pixels.push_back(four.pixels[i]);
        const auto alone = library().resize(one, {6, 21}, GetParam().second);
        ASSERT_TRUE(alone.ok());
        for (std::size_t i = 0; i < alone->pixels.size(); i++)
            ASSERT_EQ(alone->pixels[i], all->pixels[i * 4 + c]) << c << " " << i;
    }
}

TEST_P(image_resize, leaves_one_colour_alone) {
    for (const int value : {0, 1, 128, 255}) {
        const image flat{5, 9, 3, std::vector<std::uint8_t>(135, static_cast<std::uint8_t>(value))};
        for (const extent size : {extent{1, 1}, extent{40, 3}, extent{4, 50}}) {
            const auto out = library().resize(flat, size, GetParam().second);
            ASSERT_TRUE(out.ok());
            for (const std::uint8_t v : out->pixels)
                ASSERT_EQ(v, value);
        }
    }
}

INSTANTIATE_TEST_SUITE_P(
    kernels,
    image_resize,
    testing::ValuesIn(image_kernels),
    [](const auto& i) { return i.param.first; }
);

class plane_resize : public testing::TestWithParam<std::pair<std::string, plane_kernel>> {};

TEST_P(plane_resize, is_close_to_torch) {
    int seen = 0;
    float worst = 0;
    for (const json& row : table("planes")) {
        if (row["kernel"] != GetParam().first) continue;
        plane_scale scale;
        if (row.contains("factor"))
            scale = {row["factor"][0].get<double>(), row["factor"][1].get<double>()};
        const auto out = library().resize(
            noise_planes(extent_of(row["from"]), 2), extent_of(row["to"]), GetParam().second, scale
        );
        ASSERT_TRUE(out.ok()) << out.error().message;
        EXPECT_EQ(out->channels, 2);
        const auto expected = kept_floats(row["values"]);
        ASSERT_LE(expected.size(), out->values.size());
        for (std::size_t i = 0; i < expected.size(); i++) {
            const float d = std::abs(out->values[i] - expected[i]);
            worst = std::max(worst, d);
            ASSERT_LE(d, tolerance * largest_input) << row.dump() << " at " << i;
        }
        seen++;
    }
    EXPECT_EQ(seen, GetParam().first.starts_with("antialias") ? 20 : 18);
    EXPECT_TRUE(worst == 0.0f || GetParam().first != "nearest");
    RecordProperty("worst", std::to_string(worst));
}

INSTANTIATE_TEST_SUITE_P(
    kernels,
    plane_resize,
    testing::ValuesIn(plane_kernels),
    [](const auto& i) { return i.param.first; }
);

TEST(plane_resize_scale, changes_the_result_and_must_fit_the_size) {
    const planes in = noise_planes({6, 6}, 1);
    const auto plain = library().resize(in, {9, 9}, plane_kernel::bicubic);
    const auto scaled = library().resize(in, {9, 9}, plane_kernel::bicubic, {9.1 / 6, 9.1 / 6});
    ASSERT_TRUE(plain.ok() && scaled.ok());
    EXPECT_NE(plain->values, scaled->values);
    for (const double bad : {0.0, -1.5, 1e9, 1e-9, std::nan("")})
        EXPECT_EQ(
            library().resize(in, {9, 9}, plane_kernel::antialias_bicubic, {bad, 1.5}).error().code,
            RLX_INVALID_ARGUMENT
        );
}

TEST(plane_resize_values, that_are_infinite_stay_where_they_are) {
    planes in{1, 1, 4, {0, 1, std::numeric_limits<float>::infinity(), 2}};
    const auto out = library().resize(in, {1, 4}, plane_kernel::antialias_bilinear);
    ASSERT_TRUE(out.ok());
    EXPECT_EQ(out->values[0], 0.0f);
    EXPECT_TRUE(std::isinf(out->values[2]));
}

TEST(resize, refuses_absurd_sizes_and_images_that_are_not_what_they_say) {
    const image in = noise_image({2, 3}, 3);
    const planes floats = noise_planes({2, 3}, 1);
    for (const extent bad :
         {extent{0, 1},
          extent{1, -5},
          extent{70'000, 1},
          extent{60'000, 60'000},
          extent{2'147'483'647, 2'147'483'647}}) {
        EXPECT_EQ(
            library().resize(in, bad, image_kernel::pil_bicubic).error().code, RLX_INVALID_ARGUMENT
        );
        EXPECT_EQ(
            library().resize(floats, bad, plane_kernel::bicubic).error().code, RLX_INVALID_ARGUMENT
        );
    }
    // The picture between the passes counts too.
    const image tall{60'000, 1, 1, std::vector<std::uint8_t>(60'000)};
    EXPECT_EQ(
        library().resize(tall, {1, 60'000}, image_kernel::pil_bicubic).error().code,
        RLX_INVALID_ARGUMENT
    );
    image wrong = in;
    wrong.width = 4;
    EXPECT_EQ(
        library().resize(wrong, {2, 2}, image_kernel::pil_bicubic).error().code,
        RLX_INVALID_ARGUMENT
    );
    wrong = image{2, 2, 5, std::vector<std::uint8_t>(20)};
    EXPECT_EQ(
        library().resize(wrong, {1, 1}, image_kernel::pil_bicubic).error().code,
        RLX_INVALID_ARGUMENT
    );
    EXPECT_EQ(
        library().resize(in, {1, 1}, static_cast<image_kernel>(99)).error().code,
        RLX_INVALID_ARGUMENT
    );
    EXPECT_EQ(
        library().resize(floats, {1, 1}, static_cast<plane_kernel>(99)).error().code,
        RLX_INVALID_ARGUMENT
    );
}

} // namespace
} // namespace rlx::media_test
