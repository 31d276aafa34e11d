// SPDX-License-Identifier: GPL-3.0-only
// y[i] = value + i * step as whole numbers: Fill with any bits (step 0) and Arange. Variants: bytes
// of an element.
#version 460
#extension GL_GOOGLE_include_directive : require
#if BYTES == 1
#extension GL_EXT_shader_8bit_storage : require
#define TYPE uint8_t
#else
#define TYPE uint
#endif
layout(local_size_x = 256) in;
layout(set = 0, binding = 0, std430) writeonly buffer ys { TYPE v[]; } y_;
layout(push_constant, std430) uniform push { uint n, y0, value, step; } p;
#include "walk.glsl"

void main() {
    const uint i = linear_group() * 256 + gl_LocalInvocationID.x;
    if (i < p.n) y_.v[p.y0 + i] = TYPE(p.value + i * p.step);
}
