// SPDX-License-Identifier: GPL-3.0-only
// y[t, k, o] = sum over i of x[t or (t, k), i] W[ids[t, k], o, i]; 32 rows o of one (t, k) per
// workgroup. A part of split experts leaves rows of other parts alone. Variants: FORMAT of W.
#version 460
#extension GL_GOOGLE_include_directive : require
layout(local_size_x = 32) in;
layout(constant_id = 0) const uint ALIGNED = 0; // columns % 32 == 0 and rows of x at 16 bytes
layout(set = 0, binding = 0, std430) readonly buffer xs { float v[]; } x_;
layout(set = 0, binding = 0, std430) readonly buffer x4s { vec4 v[]; } x4_;
layout(set = 0, binding = 1, std430) readonly buffer ws { uint v[]; } w_;
layout(set = 0, binding = 2, std430) readonly buffer is { int v[]; } ids_;
layout(set = 0, binding = 3, std430) writeonly buffer ys { float v[]; } y_;
#define FLAGS 4
#include "flags.glsl"
layout(push_constant, std430) uniform push {
    uint cols, outs, experts, blocks, shared_by; // shared_by: rows of y that read one row of x
    uint first, rows;                            // of all experts' rows: what this part has
    uint x0, w0, i0, y0, step;
} p;
#include "weights.glsl"

vec4 x_at(uint row, uint k) {
    if (ALIGNED != 0) return x4_.v[(row + k) / 4];
    vec4 r = vec4(0);
    for (uint j = 0; j < 4; ++j)
        if (k + j < p.cols) r[j] = x_.v[row + k + j];
    return r;
}

void main() {
    const uint o = gl_WorkGroupID.x * 32 + gl_LocalInvocationID.x, choice = gl_WorkGroupID.z;
    if (o >= p.outs) return;
    const int id = ids_.v[p.i0 + choice];
    if (id < 0 || uint(id) >= p.experts) {
        if (o == 0) report(p.step, 1, uint(id), p.experts);
        return;
    }
    const uint r = uint(id) * p.outs + o - p.first;
    if (r >= p.rows) return;
    const uint base = p.w0 + r / 32 * p.blocks * WORDS * 32 + r % 32;
    const uint row = p.x0 + choice / p.shared_by * p.cols;
    float sum = 0;
    for (uint c = 0; c < (p.cols + 31) / 32; ++c) {
        const uint at = base + c / (BLOCK / 32) * WORDS * 32, s = c % (BLOCK / 32);
        const SCALE scale = load_scale(at, s);
        for (uint i = 0; i < 4; ++i) {
            vec4 a, b;
            load8(at, s, i, scale, a, b);
            sum += dot(a, x_at(row, c * 32 + 8 * i)) + dot(b, x_at(row, c * 32 + 8 * i + 4));
        }
    }
    y_.v[p.y0 + choice * p.outs + o] = sum;
}
