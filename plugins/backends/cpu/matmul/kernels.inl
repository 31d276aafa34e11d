// SPDX-License-Identifier: GPL-3.0-only
// The kernel table of one tier: RLX_MM_TIER names it. Included by the tier's unit after
// <immintrin.h>.

namespace rlx::cpu {
namespace RLX_MM_TIER {
namespace {

// Each of these uses the ones before it.
// clang-format off
#if defined(RLX_MM_AVX512)
#include "simd_avx512.inl"
#elif defined(RLX_MM_AVX2)
#include "simd_avx2.inl"
#else
#include "simd_sse.inl"
#endif
#if RLX_MM_VNNI
#include "simd_dot_vnni.inl"
#else
#include "simd_dot16.inl"
#endif
#include "tile.inl"
#include "weights.inl"
#include "q8_gather.inl"
#include "q8.inl"
#include "f32.inl"
#include "act.inl"
// clang-format on

} // namespace
} // namespace RLX_MM_TIER

#define RLX_MM_TABLE_(tier) mm_kernels_##tier
#define RLX_MM_TABLE(tier) RLX_MM_TABLE_(tier)

const mm_kernels RLX_MM_TABLE(RLX_MM_TIER) = {
    {RLX_MM_TIER::f32_run<mm_f32>,
     RLX_MM_TIER::f32_run<mm_f16>,
     RLX_MM_TIER::f32_run<mm_bf16>,
     RLX_MM_TIER::f32_run<mm_q4_0>,
     RLX_MM_TIER::f32_run<mm_q4_1>,
     RLX_MM_TIER::f32_run<mm_q5_0>,
     RLX_MM_TIER::f32_run<mm_q5_1>,
     RLX_MM_TIER::f32_run<mm_q8_0>,
     RLX_MM_TIER::f32_run<mm_q2_k>,
     RLX_MM_TIER::f32_run<mm_q3_k>,
     RLX_MM_TIER::f32_run<mm_q4_k>,
     RLX_MM_TIER::f32_run<mm_q5_k>,
     RLX_MM_TIER::f32_run<mm_q6_k>,
     RLX_MM_TIER::f32_run<mm_iq4_nl>,
     RLX_MM_TIER::f32_run<mm_iq4_xs>},
    {nullptr,
     nullptr,
     nullptr,
     RLX_MM_TIER::q8_run<mm_q4_0>,
     RLX_MM_TIER::q8_run<mm_q4_1>,
     RLX_MM_TIER::q8_run<mm_q5_0>,
     RLX_MM_TIER::q8_run<mm_q5_1>,
     RLX_MM_TIER::q8_run<mm_q8_0>,
     RLX_MM_TIER::q8_run<mm_q2_k>,
     RLX_MM_TIER::q8_run<mm_q3_k>,
     RLX_MM_TIER::q8_run<mm_q4_k>,
     RLX_MM_TIER::q8_run<mm_q5_k>,
     RLX_MM_TIER::q8_run<mm_q6_k>,
     RLX_MM_TIER::q8_run<mm_iq4_nl>,
     RLX_MM_TIER::q8_run<mm_iq4_xs>},
    RLX_MM_TIER::make_q8,
};

} // namespace rlx::cpu
