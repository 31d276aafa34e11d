// SPDX-License-Identifier: GPL-3.0-only
// Which samples of a line make one sample of the resized line, and with what weights.
#pragma once

#include "common.hpp"

namespace rlx::media {

enum class filter_shape { triangle, cubic, lanczos };

// Weights of one axis. Result i is sum(weights[i * width + k] * line[first[i] + k], k < count[i]).
template <class T>
struct tap_table {
    std::size_t width = 0;         // weights kept per result; unused ones are 0
    std::vector<int> first, count; // [out]
    std::vector<T> weights;        // [out, width]
};

// Filters with the support widened by max(1, scale), scale = in / out unless given: centre = (i +
// 0.5) * scale, taps from int(centre - support + 0.5) to int(centre + support + 0.5), weights
// normalised. Computed in T, as PIL (double) and torch (double for bytes, float for floats) do.
template <class T>
tap_table<T> antialias_taps(int in, int out, filter_shape shape, T scale);

extern template tap_table<double> antialias_taps(int, int, filter_shape, double);
extern template tap_table<float> antialias_taps(int, int, filter_shape, float);

// The same with integer weights of `bits` fraction bits.
struct fixed_taps {
    int bits = 0;
    tap_table<std::int32_t> taps;
};

// PIL: 22 bits.
fixed_taps pil_taps(int in, int out, filter_shape shape);
// torch: as many bits as keep the largest weight of the axis below 2^15.
fixed_taps torch_taps(int in, int out, filter_shape shape);

} // namespace rlx::media
