// SPDX-License-Identifier: GPL-3.0-only
#pragma once

#include "samples.hpp"

namespace rlx::media {

bool is_png(bytes file);

// The chunk list of a PNG, walked before the library sees the file: sizes, limits, truncation and
// orientation are known without inflating a byte.
struct png_header {
    extent size;
    int depth = 8;
    int colour_type = 0;
    bool interlaced = false;
    int palette_entries = 0;
    bool has_transparency = false; // tRNS
    int orientation = 1;
    std::uint64_t data_bytes = 0; // of all IDAT

    // Of a row as stored: samples per pixel, bytes.
    int stored_channels() const;
    std::uint64_t row_bytes() const;
    // After the palette; with tRNS as an alpha channel.
    int channels(bool with_transparency) const;
};

result<png_header> read_png_header(bytes file, const image_limits& limits);
// `with_transparency`: a tRNS makes an alpha channel, otherwise it is ignored.
result<void> read_png(bytes file, const png_header& header, bool with_transparency, row_sink& to);
result<std::vector<std::byte>> write_png(const image& picture);

} // namespace rlx::media
