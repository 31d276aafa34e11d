// SPDX-License-Identifier: GPL-3.0-only
// y = x, both strided: Copy, and each input of Concat. Variants: bytes of an element.
#version 460
#extension GL_GOOGLE_include_directive : require
#if BYTES == 1
#extension GL_EXT_shader_8bit_storage : require
#define TYPE uint8_t
#elif BYTES == 2
#extension GL_EXT_shader_16bit_storage : require
#define TYPE uint16_t
#elif BYTES == 4
#define TYPE uint
#else
#define TYPE uvec2
#endif
layout(local_size_x = 256) in;
layout(set = 0, binding = 0, std430) readonly buffer xs { TYPE v[]; } x_;
layout(set = 0, binding = 1, std430) writeonly buffer ys { TYPE v[]; } y_;
#define RANK 8
layout(push_constant, std430) uniform push {
    uint n, x0, y0, rank, dim[RANK], x[RANK], y[RANK];
} p;
#include "walk.glsl"

void main() {
    const uint i = linear_group() * 256 + gl_LocalInvocationID.x;
    if (i < p.n) y_.v[p.y0 + place(i, p.y)] = x_.v[p.x0 + place(i, p.x)];
}
