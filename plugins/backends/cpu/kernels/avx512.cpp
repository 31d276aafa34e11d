// SPDX-License-Identifier: GPL-3.0-only
#define RLX_TIER_NS avx512
#include "kernels/table.inl"
