// SPDX-License-Identifier: GPL-3.0-only
// Files of tests/goldens/blocks (see make_blocks.py there).
#pragma once

#include "net.hpp"

#include <map>
#include <string>
#include <vector>

namespace rlx::block_test {

struct array {
    std::vector<std::int64_t> dims;
    std::vector<float> v;
    std::vector<std::int32_t> ids; // instead of v in tensors of whole numbers
    bool whole = false;
};

struct golden_file {
    std::map<std::string, array, std::less<>> tensors;
    std::map<std::string, std::string, std::less<>> metadata;
};

// Read once; an unreadable file fails the running test and gives an empty one.
const golden_file& golden(const std::string& name);

// Largest difference over the largest expected value; infinity for NaN and for other sizes.
double error_of(const std::vector<float>& got, const std::vector<float>& want);

using cpu_test::tier_test;

} // namespace rlx::block_test
