// SPDX-License-Identifier: GPL-3.0-only
#include "rlx/images.hpp"

#include <gtest/gtest.h>

namespace rlx {
namespace {

TEST(media_services, opens_the_library_beside_librlx_and_keeps_it) {
    const auto media = media_services();
    ASSERT_TRUE(media.ok()) << media.error().message;
    EXPECT_EQ(*media_services(), *media);
    const image picture{1, 2, 3, {1, 2, 3, 4, 5, 6}};
    const auto file = (*media)->encode_png(picture);
    ASSERT_TRUE(file.ok());
    EXPECT_EQ((*media)->decode(*file, "x")->pixels, picture.pixels);
    // The libraries leave by longjmp here, through code of the loaded library only.
    const auto cut = (*media)->decode(std::span(*file).first(file->size() - 1), "cut.png");
    ASSERT_FALSE(cut.ok());
    EXPECT_EQ(cut.error().code, RLX_CORRUPT_DATA);
}

} // namespace
} // namespace rlx
