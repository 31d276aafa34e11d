// SPDX-License-Identifier: GPL-3.0-only
// Everything a row-kernel unit of one tier holds. The unit defines RLX_TIER_NS (also the tier's
// name) first.
#include "kernels/kernels.hpp"
#include "rlx/abi/ops.h"

#include <math.h>

#include "kernels/simd.inl"

#include "kernels/math.inl"

#include "kernels/rows.inl"

#include "kernels/blocks.inl"

#include "kernels/attention.inl"

namespace rlx::cpu::RLX_TIER_NS {

constinit const kernels table = {
    tier::RLX_TIER_NS,
    dot,
    rms_norm,
    softmax,
    unary,
    binary,
    glu,
    affine,
    clamp,
    axpy,
    reduce,
    rope,
    f16_to_f32,
    f32_to_f16,
    bf16_to_f32,
    attend,
    merge,
    moments,
    layer_norm,
    snake,
    modulate,
    combine,
    transpose,
};

} // namespace rlx::cpu::RLX_TIER_NS
