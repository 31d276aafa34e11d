// SPDX-License-Identifier: GPL-3.0-only
// table[t, j] = cos(angle) * factor, table[t, half + j] = sin(angle) * factor with
// angle = positions[t] * inv[j] / divisor[j] in f32. Drivers' sin and cos are rough for large angles;
// here the angle is reduced exactly: its 24 bits times 64 bits of 2 / pi.
#version 460
layout(local_size_x = 256) in;
layout(set = 0, binding = 0, std430) readonly buffer ps { int v[]; } positions_;
layout(set = 0, binding = 1, std430) readonly buffer is { float v[]; } inv_;
layout(set = 0, binding = 2, std430) readonly buffer ds { float v[]; } divisor_;
layout(set = 0, binding = 3, std430) writeonly buffer ts { float v[]; } table_;
layout(push_constant, std430) uniform push {
    uint n, half_dim, p0, p_stride, i0, d0, d_stride, t0;
    float factor;
} p;

void sin_cos(float x, out float s, out float c) {
    const uint u = floatBitsToUint(x) & 0x7fffffffu;
    s = x;
    c = 1;
    if (u < 0x33000000u) return; // below 2^-25
    s = sin(x);
    c = cos(x);
    if (u >= 0x4b800000u) return; // 2^24 and above: no position that f32 counts
    // |x| = m 2^-d with 0 <= d <= 48; quarter turns = m * (2 / pi * 2^64) / 2^(64 + d)
    const uint m = (u & 0x7fffffu) | 0x800000u, d = 150 - (u >> 23);
    uint w2, w1, w0, top, carry;
    umulExtended(m, 0x4e441529u, top, w0);
    umulExtended(m, 0xa2f9836eu, w2, w1);
    w1 = uaddCarry(w1, top, carry);
    w2 += carry;
    uint quarter, hi, lo; // hi:lo is the fraction
    if (d == 0) {
        quarter = w2, hi = w1, lo = w0;
    } else if (d < 32) {
        quarter = w2 >> d;
        hi = w2 << (32 - d) | w1 >> d;
        lo = w1 << (32 - d) | w0 >> d;
    } else {
        quarter = 0;
        hi = w2 >> (d - 32);
        lo = d == 32 ? w1 : w2 << (64 - d) | w1 >> (d - 32);
    }
    const bool up = (hi & 0x80000000u) != 0; // nearer to the next quarter
    if (up) {
        ++quarter;
        hi = ~hi;
        lo = ~lo;
    }
    const float turn = float(hi) * 2.3283064365386963e-10 + float(lo) * 5.421010862427522e-20;
    const float r = turn * 1.5707963267948966 * (up ? -1 : 1), z = r * r;
    const float sr = r + r * z * (-0.16666667 + z * (0.008333331 + z * (-0.00019840874 + z * 2.7525562e-06)));
    const float cr = 1 + z * (-0.5 + z * (0.041666668 + z * (-0.0013888889 + z * (2.4801587e-05 - z * 2.7557319e-07))));
    s = (quarter & 1) == 0 ? sr : cr;
    c = (quarter & 1) == 0 ? cr : sr;
    if ((quarter & 2) != 0) s = -s;
    if (((quarter + 1) & 2) != 0) c = -c;
    if (x < 0) s = -s;
}

void main() {
    const uint i = (gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x) * 256 + gl_LocalInvocationID.x;
    if (i >= p.n * p.half_dim) return;
    const uint t = i / p.half_dim, j = i - t * p.half_dim;
    float inv = inv_.v[p.i0 + j], s, c;
    if (p.d_stride != 0) inv = inv / divisor_.v[p.d0 + j * p.d_stride];
    sin_cos(float(positions_.v[p.p0 + t * p.p_stride]) * inv, s, c);
    table_.v[p.t0 + t * 2 * p.half_dim + j] = c * p.factor;
    table_.v[p.t0 + t * 2 * p.half_dim + p.half_dim + j] = s * p.factor;
}
