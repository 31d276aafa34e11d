// SPDX-License-Identifier: GPL-3.0-only
// y = f(x), x strided, y contiguous. kind: RLX_UNARY_*, 100 = a x + b, 101 = clamp to [a, b].
#version 460
#extension GL_GOOGLE_include_directive : require
layout(local_size_x = 256) in;
layout(set = 0, binding = 0, std430) readonly buffer xs { float v[]; } x_;
layout(set = 0, binding = 1, std430) writeonly buffer ys { float v[]; } y_;
#define RANK 8
layout(push_constant, std430) uniform push {
    uint n, kind, x0, y0;
    float a, b;
    uint rank, dim[RANK], x[RANK];
} p;
#include "walk.glsl"
#include "math.glsl"
#include "trig.glsl"

float sine(float x) {
    float s, c;
    sin_cos(x, s, c);
    return s;
}

float cosine(float x) {
    float s, c;
    sin_cos(x, s, c);
    return c;
}

float apply(float x) {
    switch (p.kind) {
    case 1: return -x;
    case 2: return abs(x);
    case 3: return exp_of(x);
    case 4: return log_of(x);
    case 5: return sqrt(x);
    case 6: return inversesqrt(x);
    case 7: return 1 / x;
    case 8: return sine(x);
    case 9: return cosine(x);
    case 10: return tanh_of(x);
    case 11: return sigmoid(x);
    case 12: return x * sigmoid(x);
    case 13: return gelu(x);
    case 14: return gelu_tanh(x);
    case 15: return x < 0 ? 0 : x;
    case 100: return p.a * x + p.b;
    default: return x < p.a ? p.a : x > p.b ? p.b : x; // NaN stays
    }
}

void main() {
    const uint i = linear_group() * 256 + gl_LocalInvocationID.x;
    if (i < p.n) y_.v[p.y0 + i] = apply(x_.v[p.x0 + place(i, p.x)]);
}
