// SPDX-License-Identifier: GPL-3.0-only
// Kernel tiers and the processor facts that decide which of them may run. Plain data and
// declarations only: units compiled for a tier include this header (no inline code may be shared
// with them).
#pragma once

#include <stdint.h>

namespace rlx::cpu {

enum class tier : uint8_t {
    baseline = 0,    // x86-64-v2
    avx2 = 1,        // AVX2, FMA, F16C, BMI2
    avx512 = 2,      // + AVX-512 F, BW, VL, DQ
    avx512_vnni = 3, // + AVX-512 VNNI
    amx = 4,         // + AVX-512 BF16, AMX TILE, INT8 and BF16, and the kernel's permission
};
constexpr int n_tiers = 5;

// What the processor has AND the operating system saves (XGETBV).
struct cpu_features {
    bool avx2 = false;
    bool fma = false;
    bool f16c = false;
    bool bmi2 = false;
    bool avx512 = false; // F, BW, VL and DQ together
    bool avx512_vnni = false;
    bool avx512_bf16 = false;
    bool avx_vnni = false;
    bool amx = false;    // TILE, INT8 and BF16 present; the kernel's permission is not asked here
    char brand[49] = {}; // processor name, NUL-terminated
};

cpu_features detect_features();
const char* tier_name(tier t);
// The best tier these features allow.
tier best_tier(const cpu_features& f);
// Features of t that f lacks, comma separated, written to text (NUL-terminated); false when it
// lacks none.
bool tier_missing(const cpu_features& f, tier t, char* text, uint32_t size);

} // namespace rlx::cpu
