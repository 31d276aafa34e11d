// SPDX-License-Identifier: GPL-3.0-only
#pragma once

#include "common.hpp"

namespace rlx::media {

result<image>
resize(const image& picture, extent size, image_kernel kernel, const image_limits& limits);
result<planes> resize(
    const planes& picture,
    extent size,
    plane_kernel kernel,
    const plane_scale& scale,
    const image_limits& limits
);

} // namespace rlx::media
