// SPDX-License-Identifier: GPL-3.0-only
// Resize of up to three spatial axes (absent ones of size 1), one element of y per invocation: the
// product of each axis' weights, as ops.def has them. Places are f32 and `precise`: with a fused
// multiply-add an element next to a border would fall on its other side.
#version 460
#extension GL_GOOGLE_include_directive : require
layout(local_size_x = 256) in;
layout(set = 0, binding = 0, std430) readonly buffer xs { float v[]; } x_;
layout(set = 0, binding = 1, std430) readonly buffer ss { float v[]; } steps_;
layout(set = 0, binding = 2, std430) writeonly buffer ys { float v[]; } y_;
layout(push_constant, std430) uniform push {
    uint n, x0, s0, y0, kind, coord, antialias, s_stride; // s_stride: 0 = step[] below
    uint size[3], out_size[3];
    float step[3], corners[3]; // corners: (L - 1) / (M - 1)
    uint axis[3];              // its number in steps_; ~0: no axis of x
    float cubic;
} p;
#include "walk.glsl"

struct taps {
    int first;
    uint n;
    float at;    // how far the first is from the place; antialias: the centre
    float total; // antialias: sum of the weights
    float wide;  // antialias: how far the kernel is widened
};

float cubic_kernel(float d) {
    if (d <= 1) return ((p.cubic + 2) * d - (p.cubic + 3)) * d * d + 1;
    return d < 2 ? (((d - 5) * d + 8) * d - 4) * p.cubic : 0;
}

float kernel(float d) { return p.kind == 3 ? cubic_kernel(d) : d < 1 ? 1 - d : 0; }

float weight(taps t, uint k) {
    if (p.antialias != 0) {
        precise const float d = float(t.first + int(k)) - t.at + 0.5;
        return kernel(abs(d) / t.wide) / t.total;
    }
    if (p.kind == 1) return 1;
    if (p.kind == 2) return k == 0 ? 1 - t.at : t.at;
    return cubic_kernel(k == 0 ? t.at + 1 : k == 1 ? t.at : k == 2 ? 1 - t.at : 2 - t.at);
}

taps taps_of(uint axis, uint i) {
    const int last = int(p.size[axis]) - 1;
    const bool given = p.s_stride != 0 && p.axis[axis] != 0xffffffffu;
    const float step = given ? steps_.v[p.s0 + p.axis[axis] * p.s_stride] : p.step[axis];
    precise const float centre = (float(i) + 0.5) * step;
    taps t = taps(0, 1, 0, 1, 1);
    if (p.antialias != 0) {
        t.wide = max(step, 1);
        t.at = centre;
        precise const float reach = (p.kind == 3 ? 2.0 : 1.0) * t.wide;
        precise const float from = centre - reach + 0.5, to = centre + reach + 0.5;
        t.first = int(clamp(from, 0, float(last + 1)));
        t.n = uint(max(int(clamp(to, 0, float(last + 1))) - t.first, 0));
        float sum = 0;
        for (uint k = 0; k < t.n; ++k)
            sum += weight(t, k);
        if (sum != 0) t.total = sum;
        return t;
    }
    precise float s = centre - 0.5;
    if (p.coord == 1) s = float(i) * p.corners[axis];
    if (p.coord == 2) s = float(i) * step;
    if (p.kind == 1) {
        if (p.coord == 0) s = centre;
        t.first = int(clamp(floor(s), 0, float(last)));
        return t;
    }
    if (p.kind == 2) {
        s = max(s, 0);
        t.first = int(min(floor(s), float(last)));
        t.n = 2;
        t.at = min(s - float(t.first), 1);
        return t;
    }
    t.at = s - floor(s);
    t.first = int(clamp(floor(s), -4, float(last + 4))) - 1;
    t.n = 4;
    return t;
}

uint inside(uint axis, taps t, uint k) {
    return uint(clamp(t.first + int(k), 0, int(p.size[axis]) - 1));
}

void main() {
    const uint i = linear_group() * 256 + gl_LocalInvocationID.x;
    if (i >= p.n) return;
    const uint all = p.size[0] * p.size[1] * p.size[2];
    float sum = 0;
    if (all > 0) {
        const uint z = i % p.out_size[2], zy = i / p.out_size[2];
        const uint y = zy % p.out_size[1], zyx = zy / p.out_size[1];
        const taps a = taps_of(0, zyx % p.out_size[0]), b = taps_of(1, y), c = taps_of(2, z);
        const uint plane = p.x0 + zyx / p.out_size[0] * all;
        for (uint j = 0; j < a.n; ++j) {
            float rows = 0;
            for (uint k = 0; k < b.n; ++k) {
                const uint line = plane + (inside(0, a, j) * p.size[1] + inside(1, b, k)) * p.size[2];
                float row = 0;
                for (uint l = 0; l < c.n; ++l)
                    row += weight(c, l) * x_.v[line + inside(2, c, l)];
                rows += weight(b, k) * row;
            }
            sum += weight(a, j) * rows;
        }
    }
    y_.v[p.y0 + i] = sum;
}
