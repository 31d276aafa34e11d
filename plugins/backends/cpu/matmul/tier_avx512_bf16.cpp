// SPDX-License-Identifier: GPL-3.0-only
// Matrix product kernels for AVX-512 with VNNI and BF16.
#include "layout.hpp"

#include <immintrin.h>
#include <math.h>
#include <string.h>

#define RLX_MM_FN inline __attribute__((always_inline))
#define RLX_MM_TIER avx512_bf16
#define RLX_MM_AVX512
#define RLX_MM_VNNI
#define RLX_MM_BF16
#include "kernels.inl"
