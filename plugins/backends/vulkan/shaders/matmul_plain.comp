// SPDX-License-Identifier: GPL-3.0-only
// y[t, o] = sum over k of x[t, k] W[o, k] + bias[o], W an ordinary f32 tensor [rows, cols].
#version 460
#extension GL_GOOGLE_include_directive : require
layout(local_size_x = 256) in;
layout(set = 0, binding = 0, std430) readonly buffer xs { float v[]; } x_;
layout(set = 0, binding = 1, std430) readonly buffer ws { float v[]; } w_;
layout(set = 0, binding = 2, std430) readonly buffer bs { float v[]; } bias_;
layout(set = 0, binding = 3, std430) writeonly buffer ys { float v[]; } y_;
layout(push_constant, std430) uniform push {
    uint cols, tokens, rows, blocks, x0, w0, b0, y0, y_stride, biased;
} p;
#include "walk.glsl"

void main() {
    const uint i = linear_group() * 256 + gl_LocalInvocationID.x;
    if (i >= p.tokens * p.rows) return;
    const uint t = i / p.rows, o = i - t * p.rows;
    float sum = 0;
    for (uint k = 0; k < p.cols; ++k)
        sum += x_.v[p.x0 + t * p.cols + k] * w_.v[p.w0 + o * p.cols + k];
    y_.v[p.y0 + t * p.y_stride + o] = p.biased != 0 ? sum + bias_.v[p.b0 + o] : sum;
}
