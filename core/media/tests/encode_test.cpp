// SPDX-License-Identifier: GPL-3.0-only
#include "fixtures.hpp"

namespace rlx::media_test {
namespace {

TEST(encode_png, is_read_back_equal) {
    for (const int channels : {1, 3, 4})
        for (const extent size : {extent{1, 1}, extent{7, 13}, extent{300, 2}}) {
            const image in = noise_image(size, channels);
            const auto file = library().encode_png(in);
            ASSERT_TRUE(file.ok()) << file.error().message;
            const auto info = library().probe(*file, "x");
            ASSERT_TRUE(info.ok());
            EXPECT_EQ(info->channels, channels);
            EXPECT_EQ(info->stored.height, size.height);
            const auto out = library().decode16(*file, "x");
            ASSERT_TRUE(out.ok());
            ASSERT_EQ(out->pixels.size(), in.pixels.size());
            for (std::size_t i = 0; i < in.pixels.size(); i++)
                ASSERT_EQ(out->pixels[i], in.pixels[i] * 257);
            EXPECT_EQ(*library().encode_png(in), *file);
        }
}

TEST(encode_png, refuses_what_a_png_cannot_hold) {
    EXPECT_EQ(library().encode_png(noise_image({2, 2}, 2)).error().code, RLX_INVALID_ARGUMENT);
    EXPECT_EQ(library().encode_png(noise_image({2, 2}, 5)).error().code, RLX_INVALID_ARGUMENT);
    EXPECT_EQ(library().encode_png(image{}).error().code, RLX_INVALID_ARGUMENT);
    image wrong = noise_image({2, 2}, 3);
    wrong.pixels.pop_back();
    EXPECT_EQ(library().encode_png(wrong).error().code, RLX_INVALID_ARGUMENT);
    wrong.height = -2;
    EXPECT_EQ(library().encode_png(wrong).error().code, RLX_INVALID_ARGUMENT);
}

} // namespace
} // namespace rlx::media_test
