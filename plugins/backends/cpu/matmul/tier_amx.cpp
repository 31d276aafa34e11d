// SPDX-License-Identifier: GPL-3.0-only
// Products on AMX tiles, with int8 and with BF16 activations.
#include "layout.hpp"

#include <immintrin.h>
#include <string.h>

#define RLX_MM_FN inline __attribute__((always_inline))
#define RLX_MM_VNNI 1

namespace rlx::cpu {
namespace amx {
namespace {

// clang-format off
#include "simd_avx512.inl"
#include "simd_dot_vnni.inl"
#include "tile.inl"
#include "weights.inl"
#include "q8_gather.inl"
#include "tiles.inl"
#include "q8_amx.inl"
#include "bf16_amx.inl"
// clang-format on

} // namespace
} // namespace amx

const mm_run_fn mm_q8_amx[n_mm_layouts] = {
    nullptr,
    nullptr,
    nullptr,
    amx::amx_run<mm_q4_0>,
    amx::amx_run<mm_q4_1>,
    amx::amx_run<mm_q5_0>,
    amx::amx_run<mm_q5_1>,
    amx::amx_run<mm_q8_0>,
    amx::amx_run<mm_q2_k>,
    amx::amx_run<mm_q3_k>,
    amx::amx_run<mm_q4_k>,
    amx::amx_run<mm_q5_k>,
    amx::amx_run<mm_q6_k>,
    amx::amx_run<mm_iq4_nl>,
    amx::amx_run<mm_iq4_xs>,
};

void mm_bf16_amx(const mm_packed& p, const mm_tile& t) {
    amx::bf16_amx_run(p, t);
}

} // namespace rlx::cpu
