// SPDX-License-Identifier: GPL-3.0-only
// y[i, :] = table[ids[i], :] of a contiguous f32 table, one element per invocation.
#version 460
#extension GL_GOOGLE_include_directive : require
layout(local_size_x = 256) in;
layout(set = 0, binding = 0, std430) readonly buffer is { int v[]; } ids_;
layout(set = 0, binding = 1, std430) readonly buffer ws { float v[]; } w_;
layout(set = 0, binding = 2, std430) writeonly buffer ys { float v[]; } y_;
#define FLAGS 3
#include "flags.glsl"
#define RANK 6
layout(push_constant, std430) uniform push {
    uint n, cols, blocks, rows, first, all, i0, w0, y0, step;
    uint rank, dim[RANK], i[RANK];
} p;
#include "walk.glsl"

void main() {
    const uint me = linear_group() * 256 + gl_LocalInvocationID.x;
    if (me >= p.n * p.cols) return;
    const uint row = me / p.cols, k = me - row * p.cols;
    const int id = ids_.v[p.i0 + place(row, p.i)];
    if (id < 0 || uint(id) >= p.all)
        report(p.step, 1, uint(id), p.all);
    else
        y_.v[p.y0 + me] = w_.v[p.w0 + uint(id) * p.cols + k];
}
