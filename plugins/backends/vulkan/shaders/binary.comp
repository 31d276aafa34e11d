// SPDX-License-Identifier: GPL-3.0-only
// y = f(a, b), both broadcast. kind: RLX_BINARY_*, or 100 + RLX_GLU_* (a the gate). Variants: f32, i32.
#version 460
#extension GL_GOOGLE_include_directive : require
layout(local_size_x = 256) in;
#if WHOLE
#define TYPE int
#else
#define TYPE float
#endif
layout(set = 0, binding = 0, std430) readonly buffer as { TYPE v[]; } a_;
layout(set = 0, binding = 1, std430) readonly buffer bs { TYPE v[]; } b_;
layout(set = 0, binding = 2, std430) writeonly buffer ys { TYPE v[]; } y_;
#define RANK 8
layout(push_constant, std430) uniform push {
    uint n, kind, a0, b0, y0, rank, dim[RANK], a[RANK], b[RANK];
} p;
#include "walk.glsl"
#if WHOLE
int apply(int a, int b) {
    switch (p.kind) {
    case 1: return a + b;
    case 2: return a - b;
    case 3: return a * b;
    case 4: return b == 0 ? 0 : b == -1 ? -a : a / b;
    case 5: return max(a, b);
    default: return min(a, b);
    }
}
#else
#include "math.glsl"
// pow of GLSL has no negative bases.
float power(float a, float b) {
    if (b == 0 || a == 1) return 1; // of NaN as well
    if (isnan_of(a) || isnan_of(b)) return uintBitsToFloat(0x7fc00000u);
    const float m = pow(abs(a), b);
    if (a >= 0) return m;
    const float whole = floor(b);
    if (whole != b) return uintBitsToFloat(0x7fc00000u);
    return abs(b) < 16777216.0 && mod(whole, 2) != 0 ? -m : m;
}
float apply(float a, float b) {
    switch (p.kind) {
    case 1: return a + b;
    case 2: return a - b;
    case 3: return a * b;
    case 4: return a / b;
    case 5: return a > b ? a : b;
    case 6: return a < b ? a : b;
    case 7: return power(a, b);
    case 101: return a * sigmoid(a) * b;
    case 102: return gelu_tanh(a) * b;
    case 103: return gelu(a) * b;
    case 104: return (a < 0 ? 0 : a) * b;
    default: return sigmoid(a) * b;
    }
}
#endif

void main() {
    const uint i = linear_group() * 256 + gl_LocalInvocationID.x;
    if (i < p.n) y_.v[p.y0 + i] = apply(a_.v[p.a0 + place(i, p.a)], b_.v[p.b0 + place(i, p.b)]);
}
