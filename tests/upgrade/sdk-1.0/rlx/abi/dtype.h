// SPDX-License-Identifier: GPL-3.0-only
// Element types. Values below 0x100 are GGUF (ggml) tensor type ids, so a file's type needs no
// translation; the others are ours. Packed types store blocks of elements along the innermost axis.
#pragma once

#include <stdint.h>

enum {
    RLX_F32 = 0,
    RLX_F16 = 1,
    RLX_Q4_0 = 2,    // 18 bytes /  32 elements
    RLX_Q4_1 = 3,    // 20 / 32
    RLX_Q5_0 = 6,    // 22 / 32
    RLX_Q5_1 = 7,    // 24 / 32
    RLX_Q8_0 = 8,    // 34 / 32
    RLX_Q2_K = 10,   // 84 / 256
    RLX_Q3_K = 11,   // 110 / 256
    RLX_Q4_K = 12,   // 144 / 256
    RLX_Q5_K = 13,   // 176 / 256
    RLX_Q6_K = 14,   // 210 / 256
    RLX_IQ4_NL = 20, // 18 / 32
    RLX_IQ4_XS = 23, // 136 / 256
    RLX_I8 = 24,
    RLX_I16 = 25,
    RLX_I32 = 26,
    RLX_I64 = 27,
    RLX_F64 = 28,
    RLX_BF16 = 30,
    RLX_U8 = 0x100,
    RLX_BOOL = 0x101, // one byte, 0 or 1
    RLX_F8_E4M3 = 0x102,
    RLX_F8_E5M2 = 0x103
};
