// SPDX-License-Identifier: GPL-3.0-only
// Decodes stored matrices (weights.hpp: matrix_format). FORMAT is one of the FORMAT_* below. The
// including shader declares the words as buffer `w_`. A row's words of one block begin at `at`; word
// i of it is w_.v[at + 32 i].
//   load_scale(at, s)          what 32 columns share, s = which 32 of the block
//   load8(at, s, i, scale, ..) columns 8 i ... 8 i + 7 of these 32, i < 4
#define FORMAT_F32 0
#define FORMAT_F16 1
#define FORMAT_BF16 30
#define FORMAT_Q4_0 2
#define FORMAT_Q4_1 3
#define FORMAT_Q8_0 8
#define FORMAT_Q4_K 12
#define FORMAT_Q5_K 13
#define FORMAT_Q6_K 14

uint word(uint at, uint i) { return w_.v[at + 32 * i]; }

vec4 low_nibbles(uint u) { return vec4(u & 15, (u >> 4) & 15, (u >> 8) & 15, (u >> 12) & 15); }

#if FORMAT == FORMAT_F32
const uint BLOCK = 32, WORDS = 32;
#define SCALE float
SCALE load_scale(uint at, uint s) { return 1; }
void load8(uint at, uint s, uint i, SCALE k, out vec4 a, out vec4 b) {
    for (uint j = 0; j < 4; ++j) {
        a[j] = uintBitsToFloat(word(at, 8 * i + j));
        b[j] = uintBitsToFloat(word(at, 8 * i + 4 + j));
    }
}
#elif FORMAT == FORMAT_F16
const uint BLOCK = 32, WORDS = 16;
#define SCALE float
SCALE load_scale(uint at, uint s) { return 1; }
void load8(uint at, uint s, uint i, SCALE k, out vec4 a, out vec4 b) {
    a = vec4(unpackHalf2x16(word(at, 4 * i)), unpackHalf2x16(word(at, 4 * i + 1)));
    b = vec4(unpackHalf2x16(word(at, 4 * i + 2)), unpackHalf2x16(word(at, 4 * i + 3)));
}
#elif FORMAT == FORMAT_BF16
const uint BLOCK = 32, WORDS = 16;
#define SCALE float
SCALE load_scale(uint at, uint s) { return 1; }
vec2 bf16x2(uint u) { return vec2(uintBitsToFloat(u << 16), uintBitsToFloat(u & 0xffff0000u)); }
void load8(uint at, uint s, uint i, SCALE k, out vec4 a, out vec4 b) {
    a = vec4(bf16x2(word(at, 4 * i)), bf16x2(word(at, 4 * i + 1)));
    b = vec4(bf16x2(word(at, 4 * i + 2)), bf16x2(word(at, 4 * i + 3)));
}
#elif FORMAT == FORMAT_Q4_0
const uint BLOCK = 64, WORDS = 9;
#define SCALE float
SCALE load_scale(uint at, uint s) {
    const vec2 d = unpackHalf2x16(word(at, 0));
    return s == 0 ? d.x : d.y;
}
void load8(uint at, uint s, uint i, SCALE k, out vec4 a, out vec4 b) {
    const uint u = word(at, 1 + 4 * s + i);
    a = (low_nibbles(u) - 8) * k;
    b = (low_nibbles(u >> 16) - 8) * k;
}
#elif FORMAT == FORMAT_Q4_1
const uint BLOCK = 32, WORDS = 5;
#define SCALE vec2
SCALE load_scale(uint at, uint s) { return unpackHalf2x16(word(at, 0)); }
void load8(uint at, uint s, uint i, SCALE k, out vec4 a, out vec4 b) {
    const uint u = word(at, 1 + i);
    a = low_nibbles(u) * k.x + k.y;
    b = low_nibbles(u >> 16) * k.x + k.y;
}
#elif FORMAT == FORMAT_Q8_0
const uint BLOCK = 64, WORDS = 17;
#define SCALE float
SCALE load_scale(uint at, uint s) {
    const vec2 d = unpackHalf2x16(word(at, 0));
    return s == 0 ? d.x : d.y;
}
vec4 bytes(uint u) {
    const int v = int(u);
    return vec4((v << 24) >> 24, (v << 16) >> 24, (v << 8) >> 24, v >> 24);
}
void load8(uint at, uint s, uint i, SCALE k, out vec4 a, out vec4 b) {
    a = bytes(word(at, 1 + 8 * s + 2 * i)) * k;
    b = bytes(word(at, 2 + 8 * s + 2 * i)) * k;
}
#elif FORMAT == FORMAT_Q4_K || FORMAT == FORMAT_Q5_K
const uint BLOCK = 256;
#if FORMAT == FORMAT_Q4_K
const uint WORDS = 36, NIBBLES = 4;
#else
const uint WORDS = 44, NIBBLES = 12;
#endif
#define SCALE vec2
uint byte_of(uint at, uint first, uint i) { return (word(at, first + (i >> 2)) >> (8 * (i & 3))) & 255; }
// 6-bit scale and minimum s of the 12 bytes in words 1 to 3.
SCALE load_scale(uint at, uint s) {
    const vec2 d = unpackHalf2x16(word(at, 0));
    uint k, m;
    if (s < 4) {
        k = byte_of(at, 1, s) & 63;
        m = byte_of(at, 1, s + 4) & 63;
    } else {
        const uint both = byte_of(at, 1, s + 4);
        k = (both & 15) | ((byte_of(at, 1, s - 4) >> 6) << 4);
        m = (both >> 4) | ((byte_of(at, 1, s) >> 6) << 4);
    }
    return vec2(d.x * float(k), -d.y * float(m));
}
void load8(uint at, uint s, uint i, SCALE k, out vec4 a, out vec4 b) {
    const uint u = word(at, NIBBLES + 4 * s + i);
    a = low_nibbles(u);
    b = low_nibbles(u >> 16);
#if FORMAT == FORMAT_Q5_K
    const uint h = word(at, 4 + s) >> (8 * i); // one bit per column
    a += vec4((h & 1) << 4, (h & 2) << 3, (h & 4) << 2, (h & 8) << 1);
    b += vec4(h & 16, (h & 32) >> 1, (h & 64) >> 2, (h & 128) >> 3);
#endif
    a = a * k.x + k.y;
    b = b * k.x + k.y;
}
#elif FORMAT == FORMAT_Q6_K
const uint BLOCK = 256, WORDS = 53;
#define SCALE vec2
// One scale per 16 columns.
SCALE load_scale(uint at, uint s) {
    const float d = unpackHalf2x16(word(at, 0)).x;
    const int two = int(word(at, 1 + (s >> 1)) >> (16 * (s & 1)));
    return vec2(d * float((two << 24) >> 24), d * float((two << 16) >> 24));
}
vec4 low_pairs(uint u) { return vec4(u & 3, (u >> 2) & 3, (u >> 4) & 3, (u >> 6) & 3); }
void load8(uint at, uint s, uint i, SCALE k, out vec4 a, out vec4 b) {
    const uint u = word(at, 5 + 4 * s + i);
    const uint h = word(at, 37 + 2 * s + (i >> 1)) >> (16 * (i & 1));
    const float scale = i < 2 ? k.x : k.y;
    a = (low_nibbles(u) + low_pairs(h) * 16 - 32) * scale;
    b = (low_nibbles(u >> 16) + low_pairs(h >> 8) * 16 - 32) * scale;
}
#endif
