// SPDX-License-Identifier: GPL-3.0-only
// What every part of the library needs: messages, limits, bytes of a file.
#pragma once

#include "rlx/media/media.hpp"

#include <concepts>
#include <utility>

namespace rlx::media {

using bytes = std::span<const std::byte>;

inline void append(std::string& out, std::string_view part) {
    out += part;
}

inline void append(std::string& out, std::integral auto part) {
    out += std::to_string(part);
}

inline void append(std::string& out, const extent& part) {
    out += std::to_string(part.width) + " x " + std::to_string(part.height);
}

// A message from words and numbers; an extent is written width x height, as people do.
template <class... Parts>
std::string message(const Parts&... parts) {
    std::string out;
    (append(out, parts), ...);
    return out;
}

inline std::uint8_t byte_at(bytes b, std::size_t i) {
    return std::to_integer<std::uint8_t>(b[i]);
}

inline std::uint32_t big32(bytes b, std::size_t i) {
    std::uint32_t out = 0;
    for (std::size_t k = 0; k < 4; k++)
        out = out << 8 | byte_at(b, i + k);
    return out;
}

// Both sides at least 1 and inside the limits. `code` tells a bad file from a bad request.
result<void> check_extent(
    std::int64_t height, std::int64_t width, const image_limits& limits, std::uint32_t code
);

// The sizes of a caller's image are what its samples say.
template <class Image>
result<void> check_image(const Image& picture, std::size_t samples) {
    const bool positive = picture.height > 0 && picture.width > 0 && picture.channels > 0;
    if (!positive ||
        samples / static_cast<std::size_t>(picture.height) /
                static_cast<std::size_t>(picture.width) !=
            static_cast<std::size_t>(picture.channels) ||
        samples % (static_cast<std::size_t>(picture.height) *
                   static_cast<std::size_t>(picture.width)) !=
            0)
        return error{
            RLX_INVALID_ARGUMENT,
            message(
                "an image of ",
                extent{picture.height, picture.width},
                " with ",
                picture.channels,
                " channels does not have ",
                samples,
                " samples"
            )};
    return {};
}

template <class T>
std::size_t row_size(const basic_image<T>& picture) {
    return static_cast<std::size_t>(picture.width) * static_cast<std::size_t>(picture.channels);
}

template <class T>
T* row_of(basic_image<T>& picture, int y) {
    return picture.pixels.data() + static_cast<std::size_t>(y) * row_size(picture);
}

template <class T>
const T* row_of(const basic_image<T>& picture, int y) {
    return picture.pixels.data() + static_cast<std::size_t>(y) * row_size(picture);
}

template <class T>
basic_image<T> make_image(extent size, int channels) {
    basic_image<T> out{size.height, size.width, channels, {}};
    out.pixels.resize(static_cast<std::size_t>(size.height) * row_size(out));
    return out;
}

inline planes make_planes(int channels, extent size) {
    planes out{channels, size.height, size.width, {}};
    out.values.resize(
        static_cast<std::size_t>(channels) * static_cast<std::size_t>(size.height) *
        static_cast<std::size_t>(size.width)
    );
    return out;
}

} // namespace rlx::media
