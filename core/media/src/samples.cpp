// SPDX-License-Identifier: GPL-3.0-only
#include "samples.hpp"

#include <algorithm>
#include <cstring>

namespace rlx::media {
namespace {

// PIL's alpha_composite over opaque white, in its fixed point: weights of 7 + 8 bits, then an exact
// rounded division by 255.
std::uint8_t over_white(std::uint32_t colour, std::uint32_t alpha) {
    const std::uint32_t weight = alpha * 128;
    const std::uint32_t sum = colour * weight + 255 * (255 * 128 - weight) + (0x80 << 7);
    return static_cast<std::uint8_t>(((sum >> 8) + sum) >> 15);
}

} // namespace

void sink8::start(extent size, int channels) {
    channels_ = channels;
    picture = make_image<std::uint8_t>(size, rule_ == alpha_rule::keep ? 4 : 3);
}

void sink8::row8(int y, const std::uint8_t* samples) {
    std::uint8_t* to = row_of(picture, y);
    const bool colour = channels_ >= 3, alpha = channels_ == 2 || channels_ == 4;
    if (channels_ == picture.channels) {
        std::memcpy(to, samples, row_size(picture));
        return;
    }
    for (int x = 0; x < picture.width; x++, samples += channels_, to += picture.channels) {
        const std::uint8_t a = alpha ? samples[channels_ - 1] : 255;
        for (int c = 0; c < 3; c++)
            to[c] = samples[colour ? c : 0];
        if (rule_ == alpha_rule::keep) to[3] = a;
        if (rule_ == alpha_rule::on_white && alpha)
            for (int c = 0; c < 3; c++)
                to[c] = over_white(to[c], a);
    }
}

void sink8::row16(int y, const std::uint16_t* samples) {
    const std::size_t n =
        static_cast<std::size_t>(picture.width) * static_cast<std::size_t>(channels_);
    narrow_.resize(n);
    // PIL keeps grey without alpha as integers and cuts them off when it makes them 8-bit.
    for (std::size_t i = 0; i < n; i++)
        narrow_[i] = static_cast<std::uint8_t>(
            channels_ == 1 ? std::min<std::uint16_t>(samples[i], 255) : samples[i] >> 8
        );
    row8(y, narrow_.data());
}

void sink16::start(extent size, int channels) {
    picture = make_image<std::uint16_t>(size, channels);
}

void sink16::row8(int y, const std::uint8_t* samples) {
    std::uint16_t* to = row_of(picture, y);
    for (std::size_t i = 0; i < row_size(picture); i++)
        to[i] = static_cast<std::uint16_t>(samples[i] * 257);
}

void sink16::row16(int y, const std::uint16_t* samples) {
    std::memcpy(row_of(picture, y), samples, row_size(picture) * sizeof *samples);
}

} // namespace rlx::media
