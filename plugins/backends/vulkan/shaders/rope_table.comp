// SPDX-License-Identifier: GPL-3.0-only
// table[t, j] = cos(angle) * factor, table[t, half + j] = sin(angle) * factor with
// angle = positions[t] * inv[j] / divisor[j] in f32. Variants: DYNAMIC, where inv[j] depends on the
// length n of the token's sequence: 1 / exp(a[j] + b[j] log(factor n / max - (factor - 1))) for n
// above max, in f64 until it is rounded, since an angle is inv times a position.
#version 460
#extension GL_GOOGLE_include_directive : require
layout(local_size_x = 256) in;
layout(set = 0, binding = 0, std430) readonly buffer ps { int v[]; } positions_;
#if DYNAMIC
layout(set = 0, binding = 1, std430) readonly buffer is { uvec2 v[]; } exponents_; // all a, all b
layout(set = 0, binding = 4, std430) readonly buffer ls { int v[]; } lengths_;
#else
layout(set = 0, binding = 1, std430) readonly buffer is { float v[]; } inv_;
#endif
layout(set = 0, binding = 2, std430) readonly buffer ds { float v[]; } divisor_;
layout(set = 0, binding = 3, std430) writeonly buffer ts { float v[]; } table_;
layout(push_constant, std430) uniform push {
    uint n, half_dim, p0, p_stride, i0, divided, d0, d_stride, t0;
    float factor;
    uint l0, l_stride, longest, growth_low, growth_high;
} p;
#include "trig.glsl"

#if DYNAMIC
// x >= 1
double log_of(double x) {
    uvec2 u = unpackDouble2x32(x);
    int e = int(u.y >> 20) - 1023;
    u.y = (u.y & 0xfffffu) | 1023u << 20;
    double m = packDouble2x32(u);
    if (m > 1.4142135623730951LF) {
        m *= 0.5LF;
        ++e;
    }
    const double s = (m - 1) / (m + 1), z = s * s;
    double sum = 0;
    for (int k = 21; k > 0; k -= 2) // of the series of artanh; z <= 0.0295
        sum = sum * z + 1 / double(k);
    return 2 * s * sum + double(e) * 0.6931471805599453LF;
}

double exp_of(double x) {
    const int k = int(round(x * 1.4426950408889634LF));
    const double t = x - double(k) * 0.6931471805599453LF;
    double sum = 1;
    for (int i = 14; i > 0; --i)
        sum = 1 + sum * t / double(i);
    return sum * packDouble2x32(uvec2(0, uint(1023 + k) << 20));
}

float inverse(uint t, uint j) {
    const double growth = packDouble2x32(uvec2(p.growth_low, p.growth_high));
    const double n = double(max(lengths_.v[p.l0 + t * p.l_stride], int(p.longest)));
    const double ratio = growth * n / double(p.longest) - (growth - 1);
    const double a = packDouble2x32(exponents_.v[p.i0 / 2 + j]);
    const double b = packDouble2x32(exponents_.v[p.i0 / 2 + p.half_dim + j]);
    const float power = float(exp_of(a + b * log_of(ratio)));
    return float(1 / double(power));
}
#else
float inverse(uint t, uint j) { return inv_.v[p.i0 + j]; }
#endif

void main() {
    const uint i = (gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x) * 256 + gl_LocalInvocationID.x;
    if (i >= p.n * p.half_dim) return;
    const uint t = i / p.half_dim, j = i - t * p.half_dim;
    float inv = inverse(t, j), s, c;
    if (p.divided != 0) inv = inv / divisor_.v[p.d0 + j * p.d_stride];
    sin_cos(float(positions_.v[p.p0 + t * p.p_stride]) * inv, s, c);
    table_.v[p.t0 + t * 2 * p.half_dim + j] = c * p.factor;
    table_.v[p.t0 + t * 2 * p.half_dim + p.half_dim + j] = s * p.factor;
}
