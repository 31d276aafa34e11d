// SPDX-License-Identifier: GPL-3.0-only
#define RLX_TIER_NS baseline
#include "kernels/table.inl"
