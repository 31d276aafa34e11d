// SPDX-License-Identifier: GPL-3.0-only
// y = a ? b as bytes 0 and 1, both broadcast. kind: RLX_COMPARE_*. Variants: f32, i32.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_8bit_storage : require
layout(local_size_x = 256) in;
#if WHOLE
#define TYPE int
#else
#define TYPE float
#endif
layout(set = 0, binding = 0, std430) readonly buffer as { TYPE v[]; } a_;
layout(set = 0, binding = 1, std430) readonly buffer bs { TYPE v[]; } b_;
layout(set = 0, binding = 2, std430) writeonly buffer ys { uint8_t v[]; } y_;
#define RANK 8
layout(push_constant, std430) uniform push {
    uint n, kind, a0, b0, y0, rank, dim[RANK], a[RANK], b[RANK];
} p;
#include "walk.glsl"

bool apply(TYPE a, TYPE b) {
    switch (p.kind) {
    case 1: return a == b;
    case 2: return a != b;
    case 3: return a < b;
    case 4: return a <= b;
    case 5: return a > b;
    default: return a >= b;
    }
}

void main() {
    const uint i = linear_group() * 256 + gl_LocalInvocationID.x;
    if (i >= p.n) return;
    const bool y = apply(a_.v[p.a0 + place(i, p.a)], b_.v[p.b0 + place(i, p.b)]);
    y_.v[p.y0 + i] = uint8_t(y ? 1 : 0);
}
