// SPDX-License-Identifier: GPL-3.0-only
// Files and expectations written by goldens/make_images.py.
#pragma once

#include "rlx/media/media.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace rlx::media_test {

using nlohmann::json;

inline const media_library& library() {
    return *rlx_media_entry_v1();
}

const json& table(const char* part);
std::vector<std::byte> read_bytes(const std::string& file);
// [offset, bytes] in images.bin.
std::span<const std::byte> kept(const json& place);
std::span<const float> kept_floats(const json& place);

// The bytes of noise() in make_images.py.
std::vector<std::uint8_t> noise(std::size_t n);
image noise_image(extent size, int channels);
extent extent_of(const json& height_width);
std::uint32_t crc32(std::span<const std::uint8_t> data);

// Empty where equal, else the first difference.
std::string difference(std::span<const std::uint8_t> got, std::span<const std::byte> expected);

inline std::span<const std::byte> as_file(std::string_view text) {
    return std::as_bytes(std::span(text.data(), text.size()));
}

} // namespace rlx::media_test
