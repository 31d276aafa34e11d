// SPDX-License-Identifier: GPL-3.0-only
// RmsNorm and LayerNorm of rows of n, one workgroup each. x: outer axes strided, rows straight.
// Variants: CENTRE (LayerNorm).
#version 460
#extension GL_GOOGLE_include_directive : require
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint SIZE = 256;
layout(set = 0, binding = 0, std430) readonly buffer xs { float v[]; } x_;
layout(set = 0, binding = 1, std430) readonly buffer ws { float v[]; } w_;
layout(set = 0, binding = 2, std430) readonly buffer bs { float v[]; } b_;
layout(set = 0, binding = 3, std430) writeonly buffer ys { float v[]; } y_;
#define RANK 6
layout(push_constant, std430) uniform push {
    uint rows, n, x0, w0, b0, y0, weighted, biased;
    float eps, offset;
    uint rank, dim[RANK], x[RANK];
} p;
#include "walk.glsl"
#include "reduce.glsl"

void main() {
    const uint row = linear_group();
    if (row >= p.rows) return;
    const uint x0 = p.x0 + place(row, p.x), y0 = p.y0 + row * p.n, me = gl_LocalInvocationID.x;
    float mean = 0, sum = 0;
#if CENTRE
    for (uint i = me; i < p.n; i += SIZE)
        sum += x_.v[x0 + i];
    mean = group_sum(sum) / float(p.n);
    sum = 0;
#endif
    for (uint i = me; i < p.n; i += SIZE) {
        const float d = x_.v[x0 + i] - mean;
        sum += d * d;
    }
    const float scale = 1 / sqrt(group_sum(sum) / float(p.n) + p.eps);
    for (uint i = me; i < p.n; i += SIZE) {
        float y = (x_.v[x0 + i] - mean) * scale;
        if (p.weighted != 0) y *= w_.v[p.w0 + i] + p.offset;
        if (p.biased != 0) y += b_.v[p.b0 + i];
        y_.v[y0 + i] = y;
    }
}
