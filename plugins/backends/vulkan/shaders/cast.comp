// SPDX-License-Identifier: GPL-3.0-only
// y = x in another type; x strided, y contiguous. Variants: FROM and TO, 0 f32, 1 i32, 2 bool.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_8bit_storage : require
layout(local_size_x = 256) in;
#if FROM == 0
layout(set = 0, binding = 0, std430) readonly buffer xs { float v[]; } x_;
#elif FROM == 1
layout(set = 0, binding = 0, std430) readonly buffer xs { int v[]; } x_;
#else
layout(set = 0, binding = 0, std430) readonly buffer xs { uint8_t v[]; } x_;
#endif
#if TO == 0
layout(set = 0, binding = 1, std430) writeonly buffer ys { float v[]; } y_;
#elif TO == 1
layout(set = 0, binding = 1, std430) writeonly buffer ys { int v[]; } y_;
#else
layout(set = 0, binding = 1, std430) writeonly buffer ys { uint8_t v[]; } y_;
#endif
#define RANK 8
layout(push_constant, std430) uniform push { uint n, x0, y0, rank, dim[RANK], x[RANK]; } p;
#include "walk.glsl"

#if FROM == 0
// Toward zero, saturating, NaN to 0. Comparisons with NaN are left to the bits.
int whole(float x) {
    if ((floatBitsToUint(x) & 0x7fffffffu) > 0x7f800000u) return 0;
    return x >= 2147483648.0 ? 2147483647 : x < -2147483648.0 ? int(0x80000000u) : int(x);
}
bool not_zero(float x) { return (floatBitsToUint(x) & 0x7fffffffu) != 0; }
#endif

void main() {
    const uint i = linear_group() * 256 + gl_LocalInvocationID.x;
    if (i >= p.n) return;
#if FROM == 0
    const float x = x_.v[p.x0 + place(i, p.x)];
#else
    const int x = int(x_.v[p.x0 + place(i, p.x)]);
#endif
#if TO == 0
    y_.v[p.y0 + i] = float(x);
#elif TO == 1 && FROM == 0
    y_.v[p.y0 + i] = whole(x);
#elif TO == 1
    y_.v[p.y0 + i] = x;
#elif FROM == 0
    y_.v[p.y0 + i] = uint8_t(not_zero(x) ? 1 : 0);
#else
    y_.v[p.y0 + i] = uint8_t(x != 0 ? 1 : 0);
#endif
}
