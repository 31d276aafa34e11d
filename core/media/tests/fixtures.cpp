// SPDX-License-Identifier: GPL-3.0-only
#include "fixtures.hpp"

#include <cstring>
#include <fstream>
#include <iterator>

namespace rlx::media_test {

std::vector<std::byte> read_bytes(const std::string& file) {
    std::ifstream in(std::string(RLX_MEDIA_FIXTURES "/") + file, std::ios::binary);
    std::vector<char> text{std::istreambuf_iterator<char>(in), {}};
    std::vector<std::byte> out(text.size());
    std::memcpy(out.data(), text.data(), text.size());
    return out;
}

const json& table(const char* part) {
    static const json all = [] {
        std::ifstream in(RLX_MEDIA_FIXTURES "/images.json");
        return json::parse(in);
    }();
    return all.at(part);
}

std::span<const std::byte> kept(const json& place) {
    static const auto all = read_bytes("images.bin");
    return std::span(all).subspan(place.at(0), place.at(1));
}

std::span<const float> kept_floats(const json& place) {
    const auto raw = kept(place);
    static std::vector<std::vector<float>> copies; // aligned
    auto& out = copies.emplace_back(raw.size() / sizeof(float));
    std::memcpy(out.data(), raw.data(), raw.size());
    return out;
}

std::vector<std::uint8_t> noise(std::size_t n) {
    std::vector<std::uint8_t> out(n);
    for (std::size_t i = 0; i < n; i++)
        out[i] = static_cast<std::uint8_t>(static_cast<std::uint32_t>(i * 2654435761u) >> 24);
    return out;
}

image noise_image(extent size, int channels) {
    const auto n = static_cast<std::size_t>(size.height) * static_cast<std::size_t>(size.width) *
                   static_cast<std::size_t>(channels);
    return {size.height, size.width, channels, noise(n)};
}

extent extent_of(const json& hw) {
    return {hw.at(0).get<int>(), hw.at(1).get<int>()};
}

std::uint32_t crc32(std::span<const std::uint8_t> data) {
    std::uint32_t crc = 0xffffffff;
    for (const std::uint8_t b : data) {
        crc ^= b;
        for (int i = 0; i < 8; i++)
            crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xedb88320 : 0);
    }
    return ~crc;
}

std::string difference(std::span<const std::uint8_t> got, std::span<const std::byte> expected) {
    if (got.size() != expected.size())
        return std::to_string(got.size()) + " bytes, expected " + std::to_string(expected.size());
    std::size_t wrong = 0, first = got.size();
    int largest = 0;
    for (std::size_t i = 0; i < got.size(); i++) {
        const int d = std::abs(got[i] - std::to_integer<int>(expected[i]));
        if (d == 0) continue;
        first = std::min(first, i);
        largest = std::max(largest, d);
        wrong++;
    }
    if (wrong == 0) return {};
    return std::to_string(wrong) + " of " + std::to_string(got.size()) + " differ, by up to " +
           std::to_string(largest) + ", the first at " + std::to_string(first);
}

} // namespace rlx::media_test
