// SPDX-License-Identifier: GPL-3.0-only
// y[n, o, p] = bias[o] + sum over c, t of W[o, c, t] * x[n, c, p * stride + t * dilation - pad]; up to
// three spatial axes, absent ones of size 1. One element of y per invocation.
#version 460
#extension GL_GOOGLE_include_directive : require
layout(local_size_x = 256) in;
layout(set = 0, binding = 0, std430) readonly buffer xs { float v[]; } x_;
layout(set = 0, binding = 1, std430) readonly buffer ws { float v[]; } w_;
layout(set = 0, binding = 2, std430) readonly buffer bs { float v[]; } b_;
layout(set = 0, binding = 3, std430) writeonly buffer ys { float v[]; } y_;
layout(push_constant, std430) uniform push {
    uint n, out_channels, group_in, group_out, channels, biased, x0, w0, b0, y0;
    uint size[3], out_size[3], taps[3], stride[3];
    int pad[3];
    uint dilation[3];
} p;
#include "walk.glsl"

void main() {
    const uint i = linear_group() * 256 + gl_LocalInvocationID.x;
    if (i >= p.n) return;
    uint rest = i;
    const uint z = rest % p.out_size[2];
    rest /= p.out_size[2];
    const uint y = rest % p.out_size[1];
    rest /= p.out_size[1];
    const uint x = rest % p.out_size[0];
    rest /= p.out_size[0];
    const uint o = rest % p.out_channels, sample_number = rest / p.out_channels;
    const uint plane = p.size[0] * p.size[1] * p.size[2], all_taps = p.taps[0] * p.taps[1] * p.taps[2];
    const uint c0 = o / p.group_out * p.group_in;
    float sum = p.biased != 0 ? b_.v[p.b0 + o] : 0;
    for (uint c = 0; c < p.group_in; ++c) {
        const uint from = p.x0 + (sample_number * p.channels + c0 + c) * plane;
        uint w = p.w0 + (o * p.group_in + c) * all_taps;
        for (uint a = 0; a < p.taps[0]; ++a) {
            const int xa = int(x * p.stride[0] + a * p.dilation[0]) - p.pad[0];
            for (uint b = 0; b < p.taps[1]; ++b) {
                const int xb = int(y * p.stride[1] + b * p.dilation[1]) - p.pad[1];
                for (uint t = 0; t < p.taps[2]; ++t, ++w) {
                    const int xt = int(z * p.stride[2] + t * p.dilation[2]) - p.pad[2];
                    const bool inside = uint(xa) < p.size[0] && uint(xb) < p.size[1] && uint(xt) < p.size[2];
                    if (inside) sum += w_.v[w] * x_.v[from + (xa * p.size[1] + xb) * p.size[2] + xt];
                }
            }
        }
    }
    y_.v[p.y0 + i] = sum;
}
