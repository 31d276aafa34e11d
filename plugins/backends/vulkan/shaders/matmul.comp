// SPDX-License-Identifier: GPL-3.0-only
// y[t, o] = sum over k of x[t, k] W[o, k] + bias[o]. An invocation computes ROWS rows of W (32 apart)
// for TOKENS rows of x: x is read by all invocations at once, W by neighbours side by side. SPLIT
// invocations share a row's columns and add up through shared memory (few rows, one token).
// Variants: FORMAT x (TOKENS, ROWS) x ALIGNED (columns % 32 == 0 and rows of x at 16 bytes).
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
layout(local_size_x = 32, local_size_y_id = 0) in;
layout(constant_id = 0) const uint SPLIT = 1;
layout(set = 0, binding = 0, std430) readonly buffer xs { float v[]; } x_;
layout(set = 0, binding = 0, std430) readonly buffer x4s { vec4 v[]; } x4_;
layout(set = 0, binding = 1, std430) readonly buffer ws { uint v[]; } w_;
layout(set = 0, binding = 2, std430) readonly buffer bs { float v[]; } bias_;
layout(set = 0, binding = 3, std430) writeonly buffer ys { float v[]; } y_;
layout(push_constant, std430) uniform push {
    uint cols, tokens, rows, blocks; // rows, blocks per row: of this part of W
    uint x0, w0, b0, y0;             // first elements
    uint y_stride, biased;
} p;
#include "weights.glsl"

#if TOKENS * ROWS == 1
shared float partial_[32 * 8];
#endif

vec4 x_at(uint row, uint k) {
#if ALIGNED
    return x4_.v[(p.x0 + row * p.cols + k) / 4];
#else
    vec4 r = vec4(0);
    const uint at = p.x0 + row * p.cols + k;
    for (uint j = 0; j < 4; ++j)
        if (k + j < p.cols) r[j] = x_.v[at + j];
    return r;
#endif
}

void main() {
    const uint lane = gl_LocalInvocationID.x;
    const uint groups = (p.rows + 31) / 32;
    const uint first = (gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x) * ROWS;
    const uint t0 = gl_WorkGroupID.z * TOKENS;
    if (first >= groups) return;
    uint base[ROWS];
    [[unroll]] for (uint r = 0; r < ROWS; ++r)
        base[r] = p.w0 + min(first + r, groups - 1) * p.blocks * WORDS * 32 + lane;
    uint row[TOKENS];
    [[unroll]] for (uint t = 0; t < TOKENS; ++t)
        row[t] = min(t0 + t, p.tokens - 1);
    float sum[TOKENS][ROWS];
    [[unroll]] for (uint t = 0; t < TOKENS; ++t)
        [[unroll]] for (uint r = 0; r < ROWS; ++r)
            sum[t][r] = 0;
    const uint chunks = (p.cols + 31) / 32;
    for (uint c = gl_LocalInvocationID.y; c < chunks; c += SPLIT) {
        const uint block = c / (BLOCK / 32) * WORDS * 32, s = c % (BLOCK / 32);
        SCALE scale[ROWS];
        [[unroll]] for (uint r = 0; r < ROWS; ++r)
            scale[r] = load_scale(base[r] + block, s);
        [[unroll]] for (uint i = 0; i < 4; ++i) {
            vec4 a[ROWS], b[ROWS];
            [[unroll]] for (uint r = 0; r < ROWS; ++r)
                load8(base[r] + block, s, i, scale[r], a[r], b[r]);
            [[unroll]] for (uint t = 0; t < TOKENS; ++t) {
                const vec4 xa = x_at(row[t], c * 32 + 8 * i), xb = x_at(row[t], c * 32 + 8 * i + 4);
                [[unroll]] for (uint r = 0; r < ROWS; ++r)
                    sum[t][r] += dot(a[r], xa) + dot(b[r], xb);
            }
        }
    }
#if TOKENS * ROWS == 1
    if (SPLIT > 1) {
        partial_[gl_LocalInvocationID.y * 32 + lane] = sum[0][0];
        barrier();
        if (gl_LocalInvocationID.y != 0) return;
        for (uint other = 1; other < SPLIT; ++other)
            sum[0][0] += partial_[other * 32 + lane];
    }
#endif
    [[unroll]] for (uint r = 0; r < ROWS; ++r) {
        const uint o = (first + r) * 32 + lane;
        if (o >= p.rows) continue;
        const float add = p.biased != 0 ? bias_.v[p.b0 + o] : 0;
        [[unroll]] for (uint t = 0; t < TOKENS; ++t)
            if (t0 + t < p.tokens) y_.v[p.y0 + (t0 + t) * p.y_stride + o] = sum[t][r] + add;
    }
}
