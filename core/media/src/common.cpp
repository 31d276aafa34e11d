// SPDX-License-Identifier: GPL-3.0-only
#include "common.hpp"

namespace rlx::media {

result<void> check_extent(
    std::int64_t height, std::int64_t width, const image_limits& limits, std::uint32_t code
) {
    const auto sides = [&] { return message(width, " x ", height, " pixels"); };
    if (height < 1 || width < 1) return error{code, sides() + ": a side is below 1"};
    if (height > limits.max_side || width > limits.max_side)
        return error{code, message(sides(), ": the limit of a side is ", limits.max_side)};
    if (static_cast<std::uint64_t>(height) * static_cast<std::uint64_t>(width) > limits.max_pixels)
        return error{
            code, message(sides(), ": the limit is ", limits.max_pixels, " pixels in all")};
    return {};
}

} // namespace rlx::media
