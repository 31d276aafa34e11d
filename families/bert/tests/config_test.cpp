// SPDX-License-Identifier: GPL-3.0-only
#include "config.hpp"

#include <gtest/gtest.h>

namespace rlx::bert {
namespace {

TEST(bert, distances_fall_into_the_buckets_of_the_reference) {
    // From transformers 5.23, MPNetEncoder.relative_position_bucket(d, num_buckets=32).
    const std::pair<std::int64_t, std::int64_t> expected[] = {
        {0, 0},   {1, 17},   {-1, 1},  {7, 23},   {-7, 7},   {8, 24},   {-8, 8},    {11, 24},
        {12, 25}, {-15, 9},  {16, 26}, {-22, 10}, {23, 27},  {31, 27},  {32, 28},   {-45, 12},
        {46, 29}, {-64, 14}, {90, 30}, {-91, 15}, {127, 31}, {128, 31}, {-128, 15},
    };
    for (const auto& [distance, bucket] : expected)
        EXPECT_EQ(relative_bucket(distance, 32), bucket) << distance;
}

} // namespace
} // namespace rlx::bert
