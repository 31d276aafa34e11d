// SPDX-License-Identifier: GPL-3.0-only
// Pixels equal PIL's for every kind of file in goldens/make_images.py.
#include "fixtures.hpp"

#include <filesystem>
#include <fstream>

namespace rlx::media_test {
namespace {

constexpr decode_options as_stored{.apply_orientation = false};

image decoded(const std::string& file, const decode_options& options = as_stored) {
    auto out = library().decode(read_bytes(file), file, options);
    EXPECT_TRUE(out.ok()) << (out.ok() ? "" : out.error().message);
    return out.ok() ? std::move(*out) : image{};
}

TEST(decode, gives_the_rgb_of_pil) {
    for (const json& row : table("decode")) {
        const image got = decoded(row["file"]);
        const extent size = extent_of(row["stored"]);
        EXPECT_EQ(got.height, size.height) << row["file"];
        EXPECT_EQ(got.width, size.width) << row["file"];
        EXPECT_EQ(difference(got.pixels, kept(row["rgb"])), "")
            << row["file"] << " " << row["mode"];
    }
}

TEST(decode, turns_by_exif_and_xmp_as_pil_does) {
    int seen = 0;
    for (const json& row : table("decode")) {
        if (!row.contains("turned")) continue;
        const image got = decoded(row["file"], {});
        const extent size = extent_of(row["turned_size"]);
        EXPECT_EQ(got.height, size.height) << row["file"];
        EXPECT_EQ(got.width, size.width) << row["file"];
        EXPECT_EQ(difference(got.pixels, kept(row["turned"])), "") << row["file"];
        seen++;
    }
    EXPECT_EQ(seen, 11);
}

TEST(decode, keeps_alpha_or_lays_it_over_white_as_pil_does) {
    int seen = 0;
    for (const json& row : table("decode")) {
        if (!row.contains("rgba")) continue;
        const std::string file = row["file"];
        EXPECT_EQ(
            difference(decoded(file, {.alpha = alpha_rule::keep}).pixels, kept(row["rgba"])), ""
        ) << file;
        EXPECT_EQ(
            difference(
                decoded(file, {.alpha = alpha_rule::on_white}).pixels, kept(row["on_white"])
            ),
            ""
        ) << file;
        seen++;
    }
    EXPECT_EQ(seen, 6);
}

TEST(decode, gives_four_opaque_channels_where_a_file_has_no_alpha) {
    for (const char* file : {"baseline_420.jpg", "grey.jpg", "c2_8.png", "c0_1.png"}) {
        const image got = decoded(file, {.alpha = alpha_rule::keep});
        ASSERT_EQ(got.channels, 4);
        for (std::size_t i = 3; i < got.pixels.size(); i += 4)
            ASSERT_EQ(got.pixels[i], 255) << file;
    }
}

TEST(decode16, keeps_all_bits_and_channels) {
    const auto wide = library().decode16(read_bytes("c0_16.png"), "c0_16.png");
    ASSERT_TRUE(wide.ok());
    EXPECT_EQ(wide->channels, 1);
    EXPECT_EQ(wide->pixels[0], 0);
    EXPECT_EQ(wide->pixels[1], 255);
    EXPECT_EQ(wide->pixels[2], 256);
    // Both interlace methods hold the same samples.
    for (const char* kind : {"c0_16", "c2_16", "c4_16", "c6_16", "c0_2", "c3_4"}) {
        const auto plain = library().decode16(read_bytes(std::string(kind) + ".png"), kind);
        const auto laced =
            library().decode16(read_bytes(std::string(kind) + "_interlaced.png"), kind);
        ASSERT_TRUE(plain.ok() && laced.ok());
        EXPECT_EQ(plain->pixels, laced->pixels) << kind;
    }
    const auto alpha = library().decode16(read_bytes("c6_16.png"), "c6_16.png");
    EXPECT_EQ(alpha->channels, 4);
    const image narrow = decoded("c6_16.png", {.alpha = alpha_rule::keep});
    for (std::size_t i = 0; i < narrow.pixels.size(); i++)
        ASSERT_EQ(alpha->pixels[i] >> 8, narrow.pixels[i]);
}

TEST(decode16, stretches_fewer_bits_to_the_whole_range) {
    const auto grey = library().decode16(read_bytes("c0_2.png"), "c0_2.png");
    ASSERT_TRUE(grey.ok());
    for (const std::uint16_t v : grey->pixels)
        EXPECT_EQ(v % 21845, 0);
    const auto key = library().decode16(read_bytes("grey_key.png"), "grey_key.png");
    ASSERT_TRUE(key.ok());
    ASSERT_EQ(key->channels, 2);
    for (std::size_t i = 0; i < key->pixels.size(); i += 2)
        EXPECT_EQ(key->pixels[i + 1], key->pixels[i] == 60 * 257 ? 0 : 65535);
    const auto photo = library().decode16(read_bytes("cmyk.jpg"), "cmyk.jpg");
    ASSERT_TRUE(photo.ok());
    EXPECT_EQ(photo->channels, 3);
    EXPECT_EQ(photo->pixels[0], decoded("cmyk.jpg").pixels[0] * 257);
}

TEST(probe, tells_what_a_file_holds_without_decoding_it) {
    const auto png = library().probe(read_bytes("c3_4_interlaced.png"), "x");
    ASSERT_TRUE(png.ok());
    EXPECT_EQ(png->format, "png");
    EXPECT_EQ(png->stored.width, 13);
    EXPECT_EQ(png->stored.height, 7);
    EXPECT_EQ(png->bits, 4);
    EXPECT_EQ(png->channels, 3);
    EXPECT_FALSE(png->has_alpha);
    EXPECT_TRUE(library().probe(read_bytes("rgb_key.png"), "x")->has_alpha);
    const auto jpeg = library().probe(read_bytes("exif_6.jpg"), "x");
    ASSERT_TRUE(jpeg.ok());
    EXPECT_EQ(jpeg->format, "jpeg");
    EXPECT_EQ(jpeg->orientation, 6);
    EXPECT_EQ(jpeg->channels, 3);
    EXPECT_EQ(library().probe(read_bytes("ycck.jpg"), "x")->channels, 4);
    EXPECT_EQ(library().probe(read_bytes("exif_6.png"), "x")->orientation, 6);
    EXPECT_EQ(library().probe(read_bytes("exif_damaged.jpg"), "x")->orientation, 1);
}

TEST(open, reads_a_file_and_names_it_in_errors) {
    const std::string good = RLX_MEDIA_FIXTURES "/pixel.png";
    EXPECT_TRUE(library().open(good).ok());
    const auto absent = library().open(good + ".none");
    ASSERT_FALSE(absent.ok());
    EXPECT_EQ(absent.error().code, RLX_NOT_FOUND);
    EXPECT_NE(absent.error().message.find("pixel.png.none"), std::string::npos);
    const auto folder = library().open(RLX_MEDIA_FIXTURES);
    ASSERT_FALSE(folder.ok());
    EXPECT_EQ(folder.error().code, RLX_IO);
    const auto other = library().open(RLX_MEDIA_FIXTURES "/images.json");
    ASSERT_FALSE(other.ok());
    EXPECT_EQ(other.error().code, RLX_UNSUPPORTED);
    EXPECT_NE(other.error().message.find("images.json: neither PNG nor JPEG"), std::string::npos);
    decode_options small;
    small.limits.max_file_bytes = 10;
    EXPECT_EQ(library().open(good, small).error().code, RLX_CORRUPT_DATA);
}

} // namespace
} // namespace rlx::media_test
