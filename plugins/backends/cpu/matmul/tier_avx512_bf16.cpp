// SPDX-License-Identifier: GPL-3.0-only
// BF16 products for AVX-512 BF16, beside the other kernels of the AVX-512 tiers.
#include "layout.hpp"

#include <immintrin.h>
#include <string.h>

#define RLX_MM_FN inline __attribute__((always_inline))
#define RLX_MM_VNNI 0

namespace rlx::cpu {
namespace avx512_bf16 {
namespace {

// clang-format off
#include "simd_avx512.inl"
#include "tile.inl"
#include "bf16.inl"
// clang-format on

} // namespace
} // namespace avx512_bf16

const mm_bf16_kernels mm_bf16_avx512 = {avx512_bf16::bf16_run, avx512_bf16::make_bf16};

} // namespace rlx::cpu
