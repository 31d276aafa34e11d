// SPDX-License-Identifier: GPL-3.0-only
// Matrix product kernels for x86-64-v2.
#include "layout.hpp"

#include <immintrin.h>
#include <math.h>
#include <string.h>

#define RLX_MM_FN inline __attribute__((always_inline))
#define RLX_MM_TIER baseline
#define RLX_MM_VNNI 0
#include "kernels.inl"
