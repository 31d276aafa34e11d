// SPDX-License-Identifier: GPL-3.0-only
// Which tiers this machine can run: CPUID, and XGETBV for what the operating system saves. Compiled
// for the baseline; nothing here touches a register that the baseline lacks.
#include "kernels/kernels.hpp"

#include <cpuid.h>
#include <cstdint>
#include <cstdio>
#include <cstring>

namespace rlx::cpu {

namespace {

std::uint64_t saved_state() {
    std::uint32_t lo = 0, hi = 0;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return (static_cast<std::uint64_t>(hi) << 32) | lo;
}

bool bit(unsigned reg, int n) {
    return (reg >> n) & 1u;
}

void read_brand(char (&brand)[49]) {
    unsigned r[12] = {};
    if (__get_cpuid_max(0x80000000u, nullptr) < 0x80000004u) return;
    for (unsigned i = 0; i < 3; ++i) {
        __get_cpuid(0x80000002u + i, &r[4 * i], &r[4 * i + 1], &r[4 * i + 2], &r[4 * i + 3]);
    }
    char text[49] = {};
    std::memcpy(text, r, 48);
    const char* p = text;
    while (*p == ' ')
        ++p;
    std::memmove(brand, p, std::strlen(p) + 1);
}

} // namespace

cpu_features detect_features() {
    cpu_features f;
    read_brand(f.brand);
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !bit(c, 27) /* OSXSAVE */) return f;
    const std::uint64_t saved = saved_state();
    const bool ymm = (saved & 0x6) == 0x6;
    const bool zmm = (saved & 0xe6) == 0xe6;
    const bool tiles = (saved & 0x60000) == 0x60000;
    f.fma = ymm && bit(c, 12);
    f.f16c = ymm && bit(c, 29);
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return f;
    const unsigned subleaves = a;
    f.avx2 = ymm && bit(b, 5);
    f.bmi2 = bit(b, 8);
    f.avx512 = zmm && bit(b, 16) && bit(b, 17) && bit(b, 30) && bit(b, 31);
    f.avx512_vnni = f.avx512 && bit(c, 11);
    f.amx = tiles && bit(d, 22) && bit(d, 24) && bit(d, 25);
    if (subleaves >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d)) {
        f.avx512_bf16 = f.avx512 && bit(a, 5);
        f.avx_vnni = f.avx2 && bit(a, 4);
    }
    return f;
}

const char* tier_name(tier t) {
    switch (t) {
    case tier::baseline: return "baseline";
    case tier::avx2: return "avx2";
    case tier::avx512: return "avx512";
    case tier::avx512_vnni: return "avx512_vnni";
    case tier::amx: return "amx";
    }
    return "unknown";
}

bool tier_missing(const cpu_features& f, tier t, char* text, std::uint32_t size) {
    const struct {
        const char* name;
        bool have;
        tier from;
    } needs[] = {
        {"AVX2", f.avx2, tier::avx2},
        {"FMA", f.fma, tier::avx2},
        {"F16C", f.f16c, tier::avx2},
        {"BMI2", f.bmi2, tier::avx2},
        {"AVX-512 F/BW/VL/DQ", f.avx512, tier::avx512},
        {"AVX-512 VNNI", f.avx512_vnni, tier::avx512_vnni},
        {"AVX-512 BF16", f.avx512_bf16, tier::amx},
        {"AMX TILE/INT8/BF16", f.amx, tier::amx},
    };

    std::uint32_t n = 0;
    if (size) text[0] = '\0';
    bool missing = false;
    for (const auto& need : needs) {
        if (need.have || t < need.from) continue;
        if (n < size) {
            const int wrote =
                std::snprintf(text + n, size - n, "%s%s", missing ? ", " : "", need.name);
            n += wrote > 0 ? static_cast<std::uint32_t>(wrote) : 0;
        }
        missing = true;
    }
    return missing;
}

tier best_tier(const cpu_features& f) {
    char text[1];
    for (int t = n_tiers - 1; t > 0; --t) {
        if (!tier_missing(f, static_cast<tier>(t), text, sizeof text)) return static_cast<tier>(t);
    }
    return tier::baseline;
}

const kernels& kernels_for(tier t) {
    switch (t) {
    case tier::baseline: return baseline::table;
    case tier::avx2: return avx2::table;
    default: return avx512::table;
    }
}

} // namespace rlx::cpu
