// SPDX-License-Identifier: GPL-3.0-only
// Scalar double-precision oracle of the packed products, written from the GGUF block formats and
// not from the kernels, and random weights in file form.
#pragma once

#include "matmul.hpp"

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace rlx::cpu::test {

struct dtype_info {
    std::uint16_t dtype;
    const char* name;
    int cols;  // per file block
    int bytes; // per file block
};

extern const std::vector<dtype_info> all_dtypes;
const dtype_info& info_of(std::uint16_t dtype);

// One row of file blocks as the values they stand for (float32, the format's own rounding).
std::vector<float> dequantise(std::uint16_t dtype, const std::uint8_t* row, std::int64_t cols);

float half_to_float(std::uint16_t h);
std::uint16_t float_to_half(float v); // finite, in range

// Random rows in file form. extreme: every code at its largest value, scales positive.
struct file_options {
    bool extreme = false;
};

std::vector<std::uint8_t> random_file(
    std::uint16_t dtype,
    std::int64_t rows,
    std::int64_t cols,
    std::mt19937& rng,
    file_options o = {}
);

// x as int8 per block of 32 and back: what the q8 form stands for.
std::vector<double> q8_values(const float* x, std::int64_t cols);
std::vector<double> bf16_values(const float* x, std::int64_t cols);

} // namespace rlx::cpu::test
