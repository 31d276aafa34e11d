// SPDX-License-Identifier: GPL-3.0-only
// Writes rows of keys and values to their places in the cache (kv.hpp); one word per invocation.
// Variants: HALF (two f16 per word).
#version 460
#extension GL_GOOGLE_include_directive : require
layout(local_size_x = 256) in;
layout(set = 0, binding = 0, std430) readonly buffer ks { float v[]; } k_;
layout(set = 0, binding = 1, std430) readonly buffer vs { float v[]; } v_;
layout(set = 0, binding = 2, std430) readonly buffer ss { int v[]; } slots_;
layout(set = 0, binding = 3, std430) writeonly buffer cs { uint v[]; } cache_;
#define FLAGS 4
#include "flags.glsl"
layout(push_constant, std430) uniform push {
    uint tokens, heads, k_dim, v_dim, k_words, v_words, page_rows, page_words, limit;
    uint k0, v0, s0, c0, k_token, k_head, v_token, v_head, s_stride, step;
} p;

uint one_word(uint at, uint d, uint n, bool keys) {
#if HALF
    vec2 two = vec2(0);
    two.x = keys ? k_.v[at + 2 * d] : v_.v[at + 2 * d];
    if (2 * d + 1 < n) two.y = keys ? k_.v[at + 2 * d + 1] : v_.v[at + 2 * d + 1];
    return packHalf2x16(two);
#else
    return floatBitsToUint(keys ? k_.v[at + d] : v_.v[at + d]);
#endif
}

void main() {
    const uint i = (gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x) * 256 + gl_LocalInvocationID.x;
    const uint words = p.k_words + p.v_words;
    if (i >= p.tokens * p.heads * words) return;
    const uint row = i / words, w = i - row * words, t = row / p.heads, h = row - t * p.heads;
    const int slot = slots_.v[p.s0 + t * p.s_stride];
    if (slot < 0 || uint(slot) >= p.limit) {
        if (h == 0 && w == 0) report(p.step, 2, uint(slot), p.limit);
        return;
    }
    const uint page = uint(slot) / p.page_rows, at = uint(slot) % p.page_rows;
    const uint base = p.c0 + page * p.page_words;
    if (w < p.k_words) {
        cache_.v[base + (h * p.k_words + w) * p.page_rows + at] =
            one_word(p.k0 + t * p.k_token + h * p.k_head, w, p.k_dim, true);
    } else {
        const uint d = w - p.k_words;
        cache_.v[base + p.heads * p.page_rows * p.k_words + (h * p.page_rows + at) * p.v_words + d] =
            one_word(p.v0 + t * p.v_token + h * p.v_head, d, p.v_dim, false);
    }
}
