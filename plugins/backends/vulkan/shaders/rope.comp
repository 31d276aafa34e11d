// SPDX-License-Identifier: GPL-3.0-only
// Rotates the first dim of each head of x [T, H, hd] by table [T, dim]; one element per invocation.
#version 460
layout(local_size_x = 256) in;
layout(set = 0, binding = 0, std430) readonly buffer xs { float v[]; } x_;
layout(set = 0, binding = 1, std430) readonly buffer ts { float v[]; } table_;
layout(set = 0, binding = 2, std430) writeonly buffer ys { float v[]; } y_;
layout(push_constant, std430) uniform push {
    uint n, heads, size, dim, interleaved, x0, t0, y0;
    uint x_token, x_head, t_token;
} p;

void main() {
    const uint i = (gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x) * 256 + gl_LocalInvocationID.x;
    if (i >= p.n) return;
    const uint row = i / p.size, k = i - row * p.size, t = row / p.heads, h = row - t * p.heads;
    const uint at = p.x0 + t * p.x_token + h * p.x_head, half_dim = p.dim / 2;
    if (k >= p.dim) {
        y_.v[p.y0 + i] = x_.v[at + k];
        return;
    }
    const uint j = p.interleaved != 0 ? k / 2 : k % half_dim;
    const bool second = p.interleaved != 0 ? (k & 1) != 0 : k >= half_dim;
    const uint other = p.interleaved != 0 ? k ^ 1 : second ? k - half_dim : k + half_dim;
    const float c = table_.v[p.t0 + t * p.t_token + j], s = table_.v[p.t0 + t * p.t_token + half_dim + j];
    const float mine = x_.v[at + k], theirs = x_.v[at + other];
    y_.v[p.y0 + i] = second ? mine * c + theirs * s : mine * c - theirs * s;
}
