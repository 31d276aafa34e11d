// SPDX-License-Identifier: GPL-3.0-only
// Where decoded rows go. A reader turns each stored row into samples; a sink keeps them in the form
// the caller asked for.
#pragma once

#include "common.hpp"

namespace rlx::media {

class row_sink {
public:
    virtual ~row_sink() = default;
    // Takes the memory; called once, before rows.
    virtual void start(extent size, int channels) = 0;
    virtual void row8(int y, const std::uint8_t* samples) = 0;
    virtual void row16(int y, const std::uint16_t* samples) = 0;
};

// RGB or RGBA as PIL's convert("RGB") and convert("RGBA") have it.
class sink8 final : public row_sink {
public:
    explicit sink8(alpha_rule rule) : rule_(rule) {}

    void start(extent size, int channels) override;
    void row8(int y, const std::uint8_t* samples) override;
    void row16(int y, const std::uint16_t* samples) override;
    image picture;

private:
    alpha_rule rule_;
    int channels_ = 0;
    std::vector<std::uint8_t> narrow_; // [width, channels]
};

// As stored, stretched to 16 bit.
class sink16 final : public row_sink {
public:
    void start(extent size, int channels) override;
    void row8(int y, const std::uint8_t* samples) override;
    void row16(int y, const std::uint16_t* samples) override;
    image16 picture;
};

} // namespace rlx::media
