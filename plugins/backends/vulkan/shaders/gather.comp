// SPDX-License-Identifier: GPL-3.0-only
// y[i, :] = table[ids[i], :], 32 columns per invocation. A part of a split table leaves ids of other
// parts alone. Variants: FORMAT of a stored matrix.
#version 460
#extension GL_GOOGLE_include_directive : require
layout(local_size_x = 64) in;
layout(set = 0, binding = 0, std430) readonly buffer is { int v[]; } ids_;
layout(set = 0, binding = 1, std430) readonly buffer ws { uint v[]; } w_;
layout(set = 0, binding = 2, std430) writeonly buffer ys { float v[]; } y_;
#define FLAGS 3
#include "flags.glsl"
#define RANK 6
layout(push_constant, std430) uniform push {
    uint n, cols, blocks, rows, first, all, i0, w0, y0, step; // rows [first, first + rows) of all
    uint rank, dim[RANK], i[RANK];
} p;
#include "walk.glsl"
#include "weights.glsl"

void main() {
    const uint chunks = (p.cols + 31) / 32;
    const uint me = linear_group() * 64 + gl_LocalInvocationID.x;
    if (me >= p.n * chunks) return;
    const uint row = me / chunks, c = me - row * chunks;
    const int id = ids_.v[p.i0 + place(row, p.i)];
    if (id < 0 || uint(id) >= p.all) {
        if (c == 0) report(p.step, 1, uint(id), p.all);
        return;
    }
    const uint r = uint(id) - p.first;
    if (r >= p.rows) return;
    const uint at = p.w0 + ((r / 32) * p.blocks + c / (BLOCK / 32)) * WORDS * 32 + r % 32;
    const uint s = c % (BLOCK / 32);
    const SCALE scale = load_scale(at, s);
    for (uint i = 0; i < 4; ++i) {
        vec4 a, b;
        load8(at, s, i, scale, a, b);
        const uint k = 32 * c + 8 * i, y = p.y0 + row * p.cols + k;
        for (uint j = 0; j < 4; ++j) {
            if (k + j < p.cols) y_.v[y + j] = a[j];
            if (k + 4 + j < p.cols) y_.v[y + 4 + j] = b[j];
        }
    }
}
