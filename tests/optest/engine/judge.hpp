// SPDX-License-Identifier: GPL-3.0-only
// How far a result may be from the oracle's. All limits stand in one table (limits.cpp).
#pragma once

#include "../ref/tensor.hpp"

#include <span>
#include <string>
#include <string_view>

namespace optest {

// Distances: nmse = sum of squared differences / sum of squares of what was expected, over the
// tensor; max = largest difference in a row / root mean square of the row as expected. A row whose
// own rms is below floor * rms of the tensor counts as that large: sums that cancel leave rounding
// of their terms behind.
struct limit {
    std::string_view op;      // "*": every other op
    std::string_view weights; // "packed", "plain", "*"
    std::string_view compute; // "f32", "auto", "*"
    double nmse;
    double max;
    double floor;
    bool element; // every element is a row of its own: nothing is summed up, so each has its own
                  // digits
    bool nan_for_infinity = false; // blocks of int8 have no infinity: a scale that is none spoils
                                   // the whole block
};

std::span<const limit> limits();

// The first row that fits.
const limit& limit_for(std::string_view op, bool packed, std::string_view compute);

struct distance {
    double nmse = 0, max = 0;
    std::string why; // of a failure; empty: within the limit
};

// Integers and booleans must be equal, numbers too where the limit is 0; NaN and infinities must
// stand where they are expected.
// A difference of at most `noise` is none.
distance judge(const ref::tensor& got, const ref::tensor& want, const limit& l, double noise = 0);

} // namespace optest
