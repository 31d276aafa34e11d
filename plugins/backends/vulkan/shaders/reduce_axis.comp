// SPDX-License-Identifier: GPL-3.0-only
// Softmax and Reduce over the middle axis of a contiguous [outer, n, inner]; one workgroup per (outer,
// inner). Variants: SOFTMAX, else kind = RLX_REDUCE_*.
#version 460
#extension GL_GOOGLE_include_directive : require
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint SIZE = 64;
layout(set = 0, binding = 0, std430) readonly buffer xs { float v[]; } x_;
layout(set = 0, binding = 1, std430) writeonly buffer ys { float v[]; } y_;
layout(push_constant, std430) uniform push { uint rows, n, inner, kind, x0, y0; } p;
#include "walk.glsl"
#include "reduce.glsl"
#define NONE uintBitsToFloat(0xff800000u) // -inf

float group_product(float x) {
    const float mine = subgroupMul(x);
    if (subgroupElect()) parts_[gl_SubgroupID] = mine;
    barrier();
    float all = 1;
    for (uint i = 0; i < gl_NumSubgroups; ++i)
        all *= parts_[i];
    barrier();
    return all;
}

void main() {
    const uint row = linear_group(), me = gl_LocalInvocationID.x;
    if (row >= p.rows) return;
    const uint outer = row / p.inner, at = outer * p.n * p.inner + (row - outer * p.inner);
#if SOFTMAX
    float top = NONE, sum = 0;
    for (uint i = me; i < p.n; i += SIZE)
        top = max(top, nan_on_top(x_.v[p.x0 + at + i * p.inner]));
    top = group_max(top);
    if (is_spoilt(top)) {
        for (uint i = me; i < p.n; i += SIZE)
            y_.v[p.y0 + at + i * p.inner] = uintBitsToFloat(NAN_BITS);
        return;
    }
    for (uint i = me; i < p.n; i += SIZE) {
        const float x = x_.v[p.x0 + at + i * p.inner];
        sum += x == NONE ? 0 : exp(x - top);
    }
    sum = group_sum(sum);
    for (uint i = me; i < p.n; i += SIZE) {
        const float x = x_.v[p.x0 + at + i * p.inner];
        // A sum that is NaN makes the whole row so, what is -inf too.
        const float e = x == NONE ? 0 : exp(x - top);
        y_.v[p.y0 + at + i * p.inner] = sum == 0 ? 0 : e / sum;
    }
#else
    const bool largest = p.kind == 3, smallest = p.kind == 4, product = p.kind == 5;
    float all = largest || smallest ? NONE : product ? 1 : 0;
    for (uint i = me; i < p.n; i += SIZE) {
        const float x = x_.v[p.x0 + at + i * p.inner];
        if (largest)
            all = max(all, x);
        else if (smallest)
            all = max(all, -x);
        else if (product)
            all *= x;
        else
            all += p.kind == 6 ? x * x : x;
    }
    all = largest || smallest ? group_max(all) : product ? group_product(all) : group_sum(all);
    if (smallest) all = -all;
    if (p.kind == 2 && p.n > 0) all /= float(p.n);
    if (p.kind == 6) all = sqrt(all);
    if (me == 0) y_.v[p.y0 + row] = all;
#endif
}
