// SPDX-License-Identifier: GPL-3.0-only
#pragma once

#include "samples.hpp"

namespace rlx::media {

struct jpeg_header {
    extent size;
    int components = 0;
    int orientation = 1;
};

bool is_jpeg(bytes file);
result<jpeg_header> read_jpeg_header(bytes file, const image_limits& limits);
result<jpeg_header> read_jpeg(bytes file, const image_limits& limits, row_sink& to);

} // namespace rlx::media
