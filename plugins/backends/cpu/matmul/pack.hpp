// SPDX-License-Identifier: GPL-3.0-only
// Super-block formats of GGUF (256 columns) taken apart, before they are spread over a panel.
#pragma once

#include <stdint.h>

namespace rlx::cpu {

struct super_block {
    uint8_t d[2];       // float16
    uint8_t dmin[2];    // float16, negated; formats with minima only
    uint8_t scales[16]; // in panel order: see decode_super
    uint8_t codes[256]; // unsigned, one per column
};

// scales: Q4_K, Q5_K: scale and minimum of each 32 columns in turn; Q2_K: scale | minimum << 4 of
// each 16; Q3_K, Q6_K: signed scale of each 16; IQ4_XS: signed scale of each 32 (8 entries).
void decode_super(uint8_t layout, const uint8_t* src, super_block* out);

} // namespace rlx::cpu
