// SPDX-License-Identifier: GPL-3.0-only
#include "png.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include <csetjmp>
#include <png.h>

namespace rlx::media {
namespace {

struct png_output {
    std::vector<std::byte> bytes;
    bool no_memory = false;
    std::array<char, 200> text{};
};

[[noreturn]] void on_error(png_structp png, png_const_charp why) {
    auto& out = *static_cast<png_output*>(png_get_error_ptr(png));
    const std::size_t n = std::min(std::strlen(why), out.text.size() - 1);
    std::memcpy(out.text.data(), why, n);
    out.text[n] = '\0';
    png_longjmp(png, 1);
}

void on_warning(png_structp, png_const_charp) {}

// An exception must not fly through libpng.
bool add(png_output& out, const png_byte* from, std::size_t n) noexcept {
    try {
        const auto* p = reinterpret_cast<const std::byte*>(from);
        out.bytes.insert(out.bytes.end(), p, p + n);
        return true;
    } catch (const std::exception&) {
        out.no_memory = true;
        return false;
    }
}

void write(png_structp png, png_bytep from, png_size_t n) {
    if (!add(*static_cast<png_output*>(png_get_io_ptr(png)), from, n))
        png_error(png, "out of memory");
}

void flush(png_structp) {}

// Leaves by longjmp: plain values only.
bool write_all(png_structp png, png_infop info, png_output* out, const image& picture, int colour) {
    if (setjmp(png_jmpbuf(png)) != 0) return false;
    png_set_write_fn(png, out, write, flush);
    png_set_user_limits(png, 0x7fffffff, 0x7fffffff);
    png_set_IHDR(
        png,
        info,
        static_cast<png_uint_32>(picture.width),
        static_cast<png_uint_32>(picture.height),
        8,
        colour,
        PNG_INTERLACE_NONE,
        PNG_COMPRESSION_TYPE_DEFAULT,
        PNG_FILTER_TYPE_DEFAULT
    );
    png_write_info(png, info);
    for (int y = 0; y < picture.height; y++)
        png_write_row(png, row_of(picture, y));
    png_write_end(png, info);
    return true;
}

} // namespace

result<std::vector<std::byte>> write_png(const image& picture) {
    constexpr std::array<int, 5> colours{
        -1, PNG_COLOR_TYPE_GRAY, -1, PNG_COLOR_TYPE_RGB, PNG_COLOR_TYPE_RGB_ALPHA};
    RLX_CHECK(check_image(picture, picture.pixels.size()));
    const int colour =
        picture.channels <= 4 ? colours[static_cast<std::size_t>(picture.channels)] : -1;
    if (colour < 0)
        return error{
            RLX_INVALID_ARGUMENT,
            message("a PNG is written from 1, 3 or 4 channels, not ", picture.channels)};
    png_output out;
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &out, on_error, on_warning);
    png_infop info = png ? png_create_info_struct(png) : nullptr;
    const bool ok = info && write_all(png, info, &out, picture, colour);
    const bool no_memory = !info || out.no_memory;
    png_destroy_write_struct(&png, &info);
    if (no_memory) return error{RLX_OUT_OF_MEMORY, "no memory to write a PNG"};
    if (!ok) return error{RLX_INTERNAL, message("cannot write the PNG: ", out.text.data())};
    return std::move(out.bytes);
}

} // namespace rlx::media
