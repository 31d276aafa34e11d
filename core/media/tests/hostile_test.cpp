// SPDX-License-Identifier: GPL-3.0-only
// Damaged, cut and absurd files: an error that names the file, never a crash, never half a picture.
#include "fixtures.hpp"

#include <algorithm>
#include <cstring>
#include <sys/resource.h>
#include <zlib.h>

namespace rlx::media_test {
namespace {

using file_bytes = std::vector<std::byte>;

const std::vector<std::string> small_files{
    "c0_1.png",
    "c2_8_interlaced.png",
    "c3_4.png",
    "palette_alpha.png",
    "exif_6.png",
    "pixel.png",
    "baseline_420.jpg",
    "progressive_420.jpg",
    "grey.jpg",
    "cmyk.jpg",
    "separate_scans.jpg",
    "arithmetic.jpg",
    "exif_6.jpg",
};

void put32(file_bytes& f, std::size_t at, std::uint32_t v) {
    for (std::size_t i = 0; i < 4; i++)
        f.at(at + i) = std::byte(v >> (24 - 8 * i));
}

// Makes the check sum of the chunk at `at` right again.
void seal(file_bytes& f, std::size_t at) {
    std::uint32_t length = 0;
    for (std::size_t i = 0; i < 4; i++)
        length = length << 8 | std::to_integer<std::uint32_t>(f.at(at + i));
    std::vector<std::uint8_t> covered(length + 4);
    std::memcpy(covered.data(), f.data() + at + 4, covered.size());
    put32(f, at + 8 + length, crc32(covered));
}

void resize_header(file_bytes& png, std::uint32_t width, std::uint32_t height) {
    put32(png, 16, width);
    put32(png, 20, height);
    seal(png, 8);
}

std::size_t find_marker(const file_bytes& f, unsigned marker) {
    for (std::size_t i = 2; i + 1 < f.size(); i++)
        if (f[i] == std::byte{0xff} && std::to_integer<unsigned>(f[i + 1]) == marker) return i;
    ADD_FAILURE() << "no marker " << marker;
    return 0;
}

void expect_refused(
    const file_bytes& f, std::string_view says, std::uint32_t code = RLX_CORRUPT_DATA
) {
    const auto check = [&](const auto& out) {
        ASSERT_FALSE(out.ok());
        const auto& e = out.error();
        EXPECT_EQ(e.code, code) << e.message;
        EXPECT_TRUE(e.message.starts_with("f.img: ")) << e.message;
        EXPECT_NE(e.message.find(says), std::string::npos) << e.message;
    };
    check(library().decode(f, "f.img"));
    check(library().decode16(f, "f.img"));
}

class hostile : public testing::TestWithParam<std::string> {};

TEST_P(hostile, every_cut_file_is_an_error) {
    const auto whole = read_bytes(GetParam());
    ASSERT_TRUE(library().decode(whole, "x").ok());
    for (std::size_t n = 0; n < whole.size(); n++) {
        // A buffer of exactly this size: a sanitizer sees every read behind it.
        const file_bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n));
        const auto out = library().decode(cut, "cut");
        ASSERT_FALSE(out.ok()) << "cut after " << n << " of " << whole.size();
        ASSERT_TRUE(out.error().message.starts_with("cut: ")) << out.error().message;
        (void)library().probe(cut, "cut").ok();
    }
}

TEST_P(hostile, flipped_bytes_give_an_error_or_a_whole_picture) {
    const auto whole = read_bytes(GetParam());
    std::uint32_t state = 12345;
    const auto next = [&] { return state = state * 1664525 + 1013904223, state >> 8; };
    decode_options small;
    small.limits.max_pixels = 1 << 18;
    for (int round = 0; round < 400; round++) {
        file_bytes f = whole;
        for (std::uint32_t n = next() % 3 + 1; n > 0; n--) {
            const std::size_t at = next() % f.size();
            f[at] = std::byte(next());
        }
        // Half of the PNGs get past the check sums.
        if (GetParam().ends_with(".png") && round % 2 == 0) {
            for (std::size_t at = 8; at + 12 <= f.size();) {
                std::uint32_t length = 0;
                for (std::size_t i = 0; i < 4; i++)
                    length = length << 8 | std::to_integer<std::uint32_t>(f[at + i]);
                if (length > f.size() - at - 12) break;
                seal(f, at);
                at += 12 + std::size_t{length};
            }
        }
        for (const alpha_rule rule : {alpha_rule::drop, alpha_rule::on_white}) {
            small.alpha = rule;
            const auto out = library().decode(f, "flipped", small);
            if (!out.ok()) {
                ASSERT_TRUE(out.error().message.starts_with("flipped: ")) << out.error().message;
                ASSERT_NE(out.error().code, RLX_INTERNAL) << out.error().message;
                continue;
            }
            const auto n =
                static_cast<std::size_t>(out->height) * static_cast<std::size_t>(out->width) * 3;
            ASSERT_EQ(out->pixels.size(), n);
        }
        (void)library().decode16(f, "flipped", small).ok();
    }
}

INSTANTIATE_TEST_SUITE_P(files, hostile, testing::ValuesIn(small_files), [](const auto& i) {
    std::string name = i.param;
    std::replace(name.begin(), name.end(), '.', '_');
    return name;
});

TEST(bomb, a_png_over_the_limits_is_refused_by_its_header) {
    auto f = read_bytes("pixel.png");
    resize_header(f, 20'000, 20'000);
    expect_refused(f, "20000 x 20000 pixels: the limit is 100000000 pixels in all");
    resize_header(f, 70'000, 1);
    expect_refused(f, "the limit of a side is 65535");
    resize_header(f, 0xffffffff, 0xffffffff);
    expect_refused(f, "the limit of a side");
    resize_header(f, 0, 5);
    expect_refused(f, "a side is below 1");
    EXPECT_FALSE(library().probe(f, "x").ok());
}

TEST(bomb, a_png_too_short_for_its_pixels_is_refused_before_it_is_inflated) {
    auto f = read_bytes("pixel.png");
    resize_header(f, 10'000, 10'000);
    expect_refused(f, "bytes of data cannot hold 10000 x 10000 pixels");
    resize_header(f, 40, 40);
    expect_refused(f, "row 0: damaged PNG before byte 65: Not enough image data");
}

TEST(bomb, limits_are_the_callers) {
    const auto f = read_bytes("baseline_444.jpg");
    decode_options o;
    o.limits.max_pixels = 27 * 19;
    EXPECT_TRUE(library().decode(f, "x", o).ok());
    o.limits.max_pixels--;
    EXPECT_EQ(library().decode(f, "x", o).error().code, RLX_CORRUPT_DATA);
    EXPECT_FALSE(library().probe(f, "x", o.limits).ok());
    o.limits = {};
    o.limits.max_side = 26;
    EXPECT_FALSE(library().decode(f, "x", o).ok());
    o.limits = {};
    o.limits.max_file_bytes = f.size() - 1;
    EXPECT_FALSE(library().decode(f, "x", o).ok());
}

TEST(bomb, a_jpeg_too_short_for_its_pixels_is_refused) {
    auto f = read_bytes("progressive_420.jpg");
    const std::size_t at = find_marker(f, 0xc2);
    f[at + 5] = f[at + 7] = std::byte{0x26}; // about 9,700 a side
    expect_refused(f, "bytes cannot hold");
    f[at + 5] = f[at + 7] = std::byte{0xf0};
    expect_refused(f, "the limit is 100000000 pixels in all");
}

TEST(bomb, a_jpeg_of_very_many_scans_is_refused) {
    const auto f = read_bytes("grey_progressive.jpg");
    const std::size_t first = find_marker(f, 0xda);
    // The first scan again and again: the library takes it with a warning.
    std::size_t end = first + 2;
    while (!(f[end] == std::byte{0xff} && f[end + 1] != std::byte{0}))
        end++;
    file_bytes many(f.begin(), f.begin() + static_cast<std::ptrdiff_t>(first));
    for (int i = 0; i < 1000; i++)
        many.insert(
            many.end(),
            f.begin() + static_cast<std::ptrdiff_t>(first),
            f.begin() + static_cast<std::ptrdiff_t>(end)
        );
    many.insert(many.end(), f.begin() + static_cast<std::ptrdiff_t>(end), f.end());
    expect_refused(many, "more than 100 scans");
}

// 128 MiB of zeros as a zlib stream of 128 KiB.
const file_bytes& deflated_zeros() {
    static const file_bytes all = [] {
        z_stream z{};
        deflateInit(&z, Z_BEST_COMPRESSION);
        std::vector<unsigned char> in(1 << 20), out(1 << 16);
        file_bytes made;
        for (int left = 128; left > 0; left--) {
            z.next_in = in.data();
            z.avail_in = static_cast<uInt>(in.size());
            do {
                z.next_out = out.data();
                z.avail_out = static_cast<uInt>(out.size());
                deflate(&z, left == 1 ? Z_FINISH : Z_NO_FLUSH);
                const auto* bytes = reinterpret_cast<const std::byte*>(out.data());
                made.insert(made.end(), bytes, bytes + (out.size() - z.avail_out));
            } while (z.avail_out == 0);
        }
        deflateEnd(&z);
        return made;
    }();
    return all;
}

// The picture with a chunk behind its header.
file_bytes with_chunk(const file_bytes& png, std::string_view type, std::string_view head) {
    file_bytes chunk(4);
    for (const std::string_view part : {type, head})
        for (const char c : part)
            chunk.push_back(std::byte(c));
    chunk.insert(chunk.end(), deflated_zeros().begin(), deflated_zeros().end());
    put32(chunk, 0, static_cast<std::uint32_t>(chunk.size() - 8));
    chunk.resize(chunk.size() + 4);
    seal(chunk, 0);
    file_bytes out = png;
    out.insert(out.begin() + 33, chunk.begin(), chunk.end());
    return out;
}

std::int64_t peak_kib() {
    rusage use{};
    getrusage(RUSAGE_SELF, &use);
    return use.ru_maxrss;
}

TEST(bomb, profiles_and_texts_of_a_png_are_not_inflated) {
    using namespace std::string_view_literals;
    const auto plain = read_bytes("pixel.png");
    const auto expected = library().decode(plain, "x");
    ASSERT_TRUE(expected.ok());
    const std::pair<std::string_view, std::string_view> chunks[] = {
        {"iCCP", "profile\0\0"sv},
        {"zTXt", "Comment\0\0"sv},
        {"iTXt", "Comment\0\1\0\0\0"sv},
        {"abCd", "unknown"sv}};
    for (const auto& [type, head] : chunks) {
        const auto bomb = with_chunk(plain, type, head);
        ASSERT_LT(bomb.size(), std::size_t{1} << 20);
        const auto before = peak_kib();
        const auto out = library().decode(bomb, "x");
        EXPECT_LT(peak_kib() - before, 64 << 10) << type << ": KiB more than before";
        ASSERT_TRUE(out.ok()) << type << ": " << out.error().message;
        EXPECT_EQ(out->pixels, expected->pixels);
    }
}

TEST(bomb, image_data_of_a_png_are_inflated_as_far_as_there_are_rows) {
    auto f = read_bytes("pixel.png");
    // IHDR is 33 bytes; IDAT is put before what the file has.
    const auto bomb = with_chunk(f, "IDAT", "");
    const auto before = peak_kib();
    const auto out = library().decode(bomb, "x");
    EXPECT_LT(peak_kib() - before, 64 << 10) << "KiB more than before";
    if (out.ok()) {
        EXPECT_EQ(out->pixels.size(), 3u);
    } else {
        EXPECT_EQ(out.error().code, RLX_CORRUPT_DATA) << out.error().message;
    }
}

TEST(damage, a_jpeg_without_one_of_its_components_is_an_error) {
    const auto f = read_bytes("separate_scans.jpg");
    // Everything from the last scan on, except the end marker.
    std::size_t last = 0;
    for (std::size_t i = 2; i + 1 < f.size(); i++)
        if (f[i] == std::byte{0xff} && f[i + 1] == std::byte{0xda}) last = i;
    file_bytes cut(f.begin(), f.begin() + static_cast<std::ptrdiff_t>(last));
    cut.push_back(std::byte{0xff});
    cut.push_back(std::byte{0xd9});
    expect_refused(cut, "no scan holds component 2");
}

TEST(damage, a_jpeg_whose_data_stop_early_is_an_error_although_it_ends_properly) {
    const auto f = read_bytes("baseline_420.jpg");
    const std::size_t start = find_marker(f, 0xda);
    for (std::size_t n = start + 20; n + 30 < f.size(); n += 7) {
        file_bytes cut(f.begin(), f.begin() + static_cast<std::ptrdiff_t>(n));
        cut.push_back(std::byte{0xff});
        cut.push_back(std::byte{0xd9});
        EXPECT_FALSE(library().decode(cut, "x").ok()) << n;
    }
}

TEST(damage, a_png_with_a_wrong_check_sum_or_broken_data_is_an_error) {
    const auto f = read_bytes("c2_8.png");
    for (std::size_t at = 0; at < f.size(); at++) {
        file_bytes bad = f;
        bad[at] ^= std::byte{0x10};
        EXPECT_FALSE(library().decode(bad, "x").ok()) << at;
    }
}

TEST(formats, that_are_not_supported_are_named_as_such) {
    for (const std::string_view other :
         {"GIF89a..............", "RIFF....WEBPVP8 ", "BM..............", "II*\0", "\xff\xd8"})
        expect_refused(
            file_bytes(as_file(other).begin(), as_file(other).end()),
            "neither PNG nor JPEG",
            RLX_UNSUPPORTED
        );
    expect_refused({}, "the file is empty");
    // SOF3: lossless.
    auto lossless = read_bytes("baseline_444.jpg");
    lossless[find_marker(lossless, 0xc0) + 1] = std::byte{0xc3};
    expect_refused(lossless, "not supported", RLX_UNSUPPORTED);
    auto twelve = read_bytes("baseline_444.jpg");
    twelve[find_marker(twelve, 0xc0) + 4] = std::byte{12};
    expect_refused(twelve, "not supported", RLX_UNSUPPORTED);
}

} // namespace
} // namespace rlx::media_test
