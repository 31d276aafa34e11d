// SPDX-License-Identifier: GPL-3.0-only
// y = c ? a : b, all broadcast; four bytes per element of a, b and y, one of c.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_8bit_storage : require
layout(local_size_x = 256) in;
layout(set = 0, binding = 0, std430) readonly buffer cs { uint8_t v[]; } c_;
layout(set = 0, binding = 1, std430) readonly buffer as { uint v[]; } a_;
layout(set = 0, binding = 2, std430) readonly buffer bs { uint v[]; } b_;
layout(set = 0, binding = 3, std430) writeonly buffer ys { uint v[]; } y_;
#define RANK 6
layout(push_constant, std430) uniform push {
    uint n, c0, a0, b0, y0, rank, dim[RANK], c[RANK], a[RANK], b[RANK];
} p;
#include "walk.glsl"

void main() {
    const uint i = linear_group() * 256 + gl_LocalInvocationID.x;
    if (i >= p.n) return;
    y_.v[p.y0 + i] = uint(c_.v[p.c0 + place(i, p.c)]) != 0 ? a_.v[p.a0 + place(i, p.a)]
                                                          : b_.v[p.b0 + place(i, p.b)];
}
