// SPDX-License-Identifier: GPL-3.0-only
// The k largest of rows of n and where they are, the larger first, of equal ones the lower index; one
// workgroup per row, which goes through the row k times. NaN counts as less than anything. Variants:
// ROUTE, where the values are their shares in the softmax of the row.
#version 460
#extension GL_GOOGLE_include_directive : require
layout(local_size_x = 64) in;
layout(set = 0, binding = 0, std430) readonly buffer xs { float v[]; } x_;
layout(set = 0, binding = 1, std430) buffer ys { float v[]; } y_;
layout(set = 0, binding = 2, std430) writeonly buffer is { int v[]; } index_;
layout(push_constant, std430) uniform push {
    uint rows, n, k, x0, y0, i0, normalise;
    float scale;
} p;
#include "walk.glsl"
#define NOWHERE 0xffffffffu
shared uint key_[64], at_[64];
#if ROUTE
#include "reduce.glsl"
float top = 0, sum = 0;
bool empty_row = false; // all -inf
#endif

// Whole numbers in the order of the floats; -0 is 0.
uint key_of(float x) {
    const uint u = floatBitsToUint(x);
    if ((u & 0x7fffffffu) == 0) return 0x80000000u;
    if ((u & 0x7fffffffu) > 0x7f800000u) return 0;
    return u >= 0x80000000u ? ~u : u | 0x80000000u;
}

uint key_at(uint i) {
    const float x = x_.v[i];
#if ROUTE
    if (empty_row || x - top < -745) return 0; // shares of 0 are equal, even in double
#endif
    return key_of(x);
}

void main() {
    const uint row = linear_group(), me = gl_LocalInvocationID.x;
    if (row >= p.rows) return;
    const uint first = p.x0 + row * p.n, to = row * p.k;
#if ROUTE
    float mine = uintBitsToFloat(0xff800000u);
    for (uint i = me; i < p.n; i += 64)
        mine = max(mine, nan_on_top(x_.v[first + i]));
    top = group_max(mine);
    empty_row = floatBitsToUint(top) == 0xff800000u;
    mine = 0;
    for (uint i = me; i < p.n && !empty_row; i += 64)
        mine += exp(x_.v[first + i] - top);
    sum = group_sum(mine);
    float chosen = 0;
#endif
    uint last = 0, last_at = 0;
    for (uint j = 0; j < p.k; ++j) {
        uint best = 0, where = NOWHERE;
        for (uint i = me; i < p.n; i += 64) {
            const uint key = key_at(first + i);
            const bool open = j == 0 || key < last || (key == last && i > last_at);
            if (open && (where == NOWHERE || key > best)) {
                best = key;
                where = i;
            }
        }
        key_[me] = best;
        at_[me] = where;
        barrier();
        for (uint s = 32; s > 0; s >>= 1) {
            const uint o = me + s;
            if (me < s && at_[o] != NOWHERE &&
                (at_[me] == NOWHERE || key_[o] > key_[me] || (key_[o] == key_[me] && at_[o] < at_[me]))) {
                key_[me] = key_[o];
                at_[me] = at_[o];
            }
            barrier();
        }
        last = key_[0];
        last_at = at_[0];
        barrier();
        if (me != 0) continue;
        index_.v[p.i0 + to + j] = int(last_at);
        const float x = x_.v[first + last_at];
#if ROUTE
        const float share = is_spoilt(top) ? uintBitsToFloat(NAN_BITS) : empty_row ? 0 : exp(x - top) / sum;
        chosen += share;
        y_.v[p.y0 + to + j] = share * p.scale;
#else
        y_.v[p.y0 + to + j] = x;
#endif
    }
#if ROUTE
    if (me != 0 || p.normalise == 0) return;
    if (is_spoilt(top)) return;
    for (uint j = 0; j < p.k && chosen > 0; ++j)
        y_.v[p.y0 + to + j] /= chosen;
#endif
}
