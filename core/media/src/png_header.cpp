// SPDX-License-Identifier: GPL-3.0-only
// Portable Network Graphics, third edition, sections 5 (chunks) and 11.2 (IHDR).
#include "exif.hpp"
#include "png.hpp"

#include <algorithm>
#include <array>

namespace rlx::media {
namespace {

constexpr std::array<std::uint8_t, 8> signature{0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
constexpr std::size_t header_bytes = 13;
// Deflate cannot shrink by more than this.
constexpr std::uint64_t best_deflate_ratio = 1032;

error corrupt(std::size_t at, std::string what) {
    return {RLX_CORRUPT_DATA, message("damaged PNG at byte ", at, ": ", what)};
}

bool valid_depth(int depth, int colour_type) {
    const bool byte_wise = depth == 8 || depth == 16;
    switch (colour_type) {
    case 0: return byte_wise || depth == 1 || depth == 2 || depth == 4;
    case 3: return depth == 1 || depth == 2 || depth == 4 || depth == 8;
    case 2:
    case 4:
    case 6: return byte_wise;
    default: return false;
    }
}

result<png_header> parse_ihdr(bytes data, std::size_t at, const image_limits& limits) {
    png_header out;
    const std::uint32_t width = big32(data, 0), height = big32(data, 4);
    if (auto ok = check_extent(height, width, limits, RLX_CORRUPT_DATA); !ok)
        return std::move(ok.error()).within(message("PNG header at byte ", at));
    out.size = {static_cast<int>(height), static_cast<int>(width)};
    out.depth = byte_at(data, 8);
    out.colour_type = byte_at(data, 9);
    if (!valid_depth(out.depth, out.colour_type))
        return corrupt(
            at, message("no such kind: colour type ", out.colour_type, " with ", out.depth, " bits")
        );
    if (byte_at(data, 10) != 0 || byte_at(data, 11) != 0 || byte_at(data, 12) > 1)
        return corrupt(at, "unknown compression, filter or interlace method");
    out.interlaced = byte_at(data, 12) == 1;
    return out;
}

bool is(bytes type, std::string_view name) {
    return std::equal(type.begin(), type.end(), name.begin(), [](std::byte a, char b) {
        return std::to_integer<char>(a) == b;
    });
}

// What one chunk after IHDR adds.
result<void> take_chunk(png_header& h, bytes type, bytes data, std::size_t at) {
    if (is(type, "IDAT")) h.data_bytes += data.size();
    if (is(type, "tRNS")) h.has_transparency = true;
    if (is(type, "eXIf")) h.orientation = std::max(1, exif_orientation(data));
    if (is(type, "PLTE")) {
        if (data.empty() || data.size() % 3 != 0 || data.size() > 768)
            return corrupt(at, message("a palette of ", data.size(), " bytes"));
        h.palette_entries = static_cast<int>(data.size() / 3);
    }
    return {};
}

} // namespace

int png_header::stored_channels() const {
    constexpr std::array<int, 7> count{1, 0, 3, 1, 2, 0, 4};
    return count[static_cast<std::size_t>(colour_type)];
}

std::uint64_t png_header::row_bytes() const {
    const auto bits =
        static_cast<std::uint64_t>(stored_channels()) * static_cast<std::uint64_t>(depth);
    return (static_cast<std::uint64_t>(size.width) * bits + 7) / 8;
}

int png_header::channels(bool with_transparency) const {
    const int colours = colour_type == 3 ? 3 : stored_channels();
    return colours + (with_transparency && has_transparency && colour_type < 4 ? 1 : 0);
}

bool is_png(bytes file) {
    const std::size_t n = std::min(file.size(), signature.size());
    return n >= 4 &&
           std::equal(
               file.begin(),
               file.begin() + static_cast<std::ptrdiff_t>(n),
               signature.begin(),
               [](std::byte a, std::uint8_t b) { return std::to_integer<std::uint8_t>(a) == b; }
           );
}

result<png_header> read_png_header(bytes file, const image_limits& limits) {
    std::optional<png_header> header;
    std::size_t at = signature.size();
    for (;;) {
        if (file.size() < at || file.size() - at < 12)
            return corrupt(file.size(), "the file ends before its IEND chunk");
        const std::size_t length = big32(file, at);
        const bytes type = file.subspan(at + 4, 4);
        if (!std::all_of(type.begin(), type.end(), [](std::byte b) {
                const auto c = std::to_integer<unsigned char>(b) | 0x20;
                return c >= 'a' && c <= 'z';
            }))
            return corrupt(at, "no chunk begins here");
        if (length > file.size() - at - 12)
            return corrupt(file.size(), message("the file ends inside the chunk at byte ", at));
        const bytes data = file.subspan(at + 8, length);
        if (!header) {
            if (!is(type, "IHDR") || length != header_bytes)
                return corrupt(at, "IHDR must come first");
            header = RLX_TRY(parse_ihdr(data, at, limits));
        } else if (is(type, "IEND")) {
            break;
        } else {
            RLX_CHECK(take_chunk(*header, type, data, at));
        }
        at += 12 + length;
    }
    const std::uint64_t raw = header->row_bytes() * static_cast<std::uint64_t>(header->size.height);
    if (raw / best_deflate_ratio > header->data_bytes)
        return corrupt(
            at,
            message(
                "its ", header->data_bytes, " bytes of data cannot hold ", header->size, " pixels"
            )
        );
    if (header->colour_type == 3 && header->palette_entries == 0)
        return corrupt(at, "it has no palette");
    return *header;
}

} // namespace rlx::media
