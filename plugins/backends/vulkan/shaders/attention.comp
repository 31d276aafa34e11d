// SPDX-License-Identifier: GPL-3.0-only
// One workgroup per query and head walks the keys it sees, SIZE at a time: each invocation scores a
// key, then owns PER of the result's dims and adds the values. With a workgroup of one subgroup
// (software drivers) nobody waits at a barrier. Only the running maximum and sum are
// kept, so memory does not grow with the number of keys.
// Variants: KIND 0 AttentionState (HALF: f16 cache), 1 RaggedAttention, 2 Attention.
#version 460
#extension GL_GOOGLE_include_directive : require
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint SIZE = 64;
layout(constant_id = 1) const uint PER = 1;
#define NONE uintBitsToFloat(0xff800000u) // -inf
layout(set = 0, binding = 0, std430) readonly buffer qs { float v[]; } q_;
layout(set = 0, binding = 1, std430) writeonly buffer ys { float v[]; } y_;
#define FLAGS 2
#include "flags.glsl"
#if KIND == 0
layout(set = 0, binding = 3, std430) readonly buffer cs { uint v[]; } cache_;
layout(set = 0, binding = 4, std430) readonly buffer cus { int v[]; } cu_;
layout(set = 0, binding = 5, std430) readonly buffer ls { int v[]; } length_;
layout(set = 0, binding = 6, std430) readonly buffer bs { int v[]; } table_;
#else
layout(set = 0, binding = 3, std430) readonly buffer ks { float v[]; } k_;
layout(set = 0, binding = 4, std430) readonly buffer vs { float v[]; } v_;
layout(set = 0, binding = 5, std430) readonly buffer cus { int v[]; } cu_;
layout(set = 0, binding = 6, std430) readonly buffer ms { float v[]; } mask_; // or distance bias
#endif
layout(push_constant, std430) uniform push {
    uint tokens, q_heads, kv_heads, k_dim, v_dim, batch, window, step;
    float scale, softcap;
    uint q0, y0, q_token, q_head, cu0;
#if KIND == 0
    uint k_words, v_words, page_rows, page_words, pages, table_cols, length0, table0, table_row;
#else
    uint k0, v0, m0, k_token, k_head, v_token, v_head, causal, reach; // reach: R + 1, 0 = no bias
#endif
#if KIND == 2
    uint keys, q_batch, k_batch, v_batch, m_batch, m_head, m_query, m_key; // reach 1 = mask
#endif
} p;
#include "math.glsl"
#include "reduce.glsl"
shared float weight_[SIZE]; // of the keys of this turn
shared uint value_[SIZE];   // and where their values begin
shared float query_[512];

uint seq;       // sequence of the query
uint first_key; // RaggedAttention: its first token

#if KIND == 0
bool bad;
// First word of the sequence's page i.
uint page_of(uint i) {
    const int page = table_.v[p.table0 + seq * p.table_row + i];
    if (page >= 0 && uint(page) < p.pages) return uint(page) * p.page_words;
    bad = true;
    return 0;
}

// First word of key j's row, and of its value's.
void find_key(uint j, uint h, out uint at, out uint value) {
    const uint in_page = j / p.page_rows, row = j - in_page * p.page_rows, page = page_of(in_page);
    at = page + h * p.k_words * p.page_rows + row;
    value = page + p.kv_heads * p.page_rows * p.k_words + (h * p.page_rows + row) * p.v_words;
}

float dot_key(uint at) {
    float sum = 0;
    for (uint w = 0; w < p.k_words; ++w, at += p.page_rows) {
#if HALF
        const vec2 two = unpackHalf2x16(cache_.v[at]);
        sum += query_[2 * w] * two.x + query_[2 * w + 1] * two.y;
#else
        sum += query_[w] * uintBitsToFloat(cache_.v[at]);
#endif
    }
    return sum;
}

float value_at(uint row, uint d) {
#if HALF
    const vec2 two = unpackHalf2x16(cache_.v[row + d / 2]);
    return (d & 1) == 0 ? two.x : two.y;
#else
    return uintBitsToFloat(cache_.v[row + d]);
#endif
}
#else
void find_key(uint j, uint h, out uint at, out uint value) {
#if KIND == 1
    at = p.k0 + (first_key + j) * p.k_token + h * p.k_head;
    value = p.v0 + (first_key + j) * p.v_token + h * p.v_head;
#else
    at = p.k0 + seq * p.k_batch + j * p.k_token + h * p.k_head;
    value = p.v0 + seq * p.v_batch + j * p.v_token + h * p.v_head;
#endif
}

float dot_key(uint at) {
    float sum = 0;
    for (uint d = 0; d < p.k_dim; ++d)
        sum += query_[d] * k_.v[at + d];
    return sum;
}

float value_at(uint row, uint d) { return v_.v[row + d]; }
#endif

// What is added to the score of query i and key j.
float extra(uint i, uint j, uint head) {
#if KIND == 1
    const int r = int(p.reach) - 1;
    if (r < 0) return 0;
    return mask_.v[p.m0 + head * uint(2 * r + 1) + uint(clamp(int(j) - int(i), -r, r) + r)];
#elif KIND == 2
    if (p.reach == 0) return 0;
    return mask_.v[p.m0 + seq * p.m_batch + head * p.m_head + i * p.m_query + j * p.m_key];
#else
    return 0;
#endif
}

// The query's place among the keys of its sequence and how many keys there are; false: no such place.
bool find_query(uint t, out uint index, out uint position, out uint keys) {
#if KIND == 2
    seq = t / p.tokens;
    index = t - seq * p.tokens;
    keys = p.keys;
    position = index + keys - p.tokens;
    return true;
#else
    seq = 0;
    bool good = cu_.v[p.cu0] == 0 && cu_.v[p.cu0 + p.batch] == int(p.tokens);
    while (seq + 1 < p.batch && cu_.v[p.cu0 + seq + 1] <= int(t))
        ++seq;
    const int begin = cu_.v[p.cu0 + seq], end = cu_.v[p.cu0 + seq + 1];
    good = good && begin <= int(t) && int(t) < end && end <= int(p.tokens);
#if KIND == 0
    const int length = length_.v[p.length0 + seq];
    good = good && length >= end - begin && length <= int(p.table_cols * p.page_rows);
    keys = uint(length);
    position = uint(length - (end - int(t)));
#else
    keys = uint(end - begin);
    position = t - uint(begin);
    first_key = uint(begin);
#endif
    index = position;
    if (!good) report(p.step, 3, t, p.tokens);
    return good;
#endif
}

void main() {
    const uint me = gl_LocalInvocationID.x;
    const uint unit = gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x;
    const uint t = unit / p.q_heads, head = unit - t * p.q_heads;
#if KIND == 2
    if (t >= p.tokens * p.batch) return;
#else
    if (t >= p.tokens) return;
#endif
    const uint h = head / (p.q_heads / p.kv_heads);
    uint index, position, keys;
    if (!find_query(t, index, position, keys)) return;
    uint q = p.q0 + t * p.q_token + head * p.q_head;
    uint last = keys, start = 0; // keys start ... last - 1
#if KIND == 0
    const bool causal = true;
    bad = false;
#else
    const bool causal = p.causal != 0;
#endif
#if KIND == 2
    q = p.q0 + seq * p.q_batch + index * p.q_token + head * p.q_head;
#endif
    if (causal) last = min(last, position + 1);
    if (causal && p.window > 0 && position + 1 > p.window) start = position + 1 - p.window;
    for (uint d = me; d < ((p.k_dim + 1) & ~1u); d += SIZE)
        query_[d] = d < p.k_dim ? q_.v[q + d] : 0;
    barrier();
    float top = NONE, sum = 0, mixed[PER];
    for (uint i = 0; i < PER; ++i)
        mixed[i] = 0;
    for (uint base = start; base < last; base += SIZE) {
        const uint j = base + me;
        float score = NONE;
        uint value = 0;
        if (j < last) {
            uint at;
            find_key(j, h, at, value);
            score = dot_key(at) * p.scale;
            if (p.softcap > 0) score = p.softcap * tanh_of(score / p.softcap);
            score += extra(index, j, head);
        }
        const float now = max(top, group_max(nan_on_top(score)));
        if (now == NONE) continue;
        if (is_spoilt(now)) { // a score is NaN or +inf
            top = now;
            break;
        }
        const float keep = top == NONE ? 0 : exp(top - now);
        const float mine = score == NONE ? 0 : exp(score - now);
        weight_[me] = mine;
        value_[me] = value;
        sum = sum * keep + group_sum(mine);
        top = now;
        for (uint i = 0; i < PER; ++i)
            mixed[i] *= keep;
        const uint n = min(SIZE, last - base);
        for (uint k = 0; k < n; ++k) {
            const uint row = value_[k];
            const float w = weight_[k];
            for (uint i = 0; i < PER; ++i) {
                const uint d = me + i * SIZE;
                if (d < p.v_dim) mixed[i] += w * value_at(row, d);
            }
        }
    }
#if KIND == 0
    if (bad) report(p.step, 3, seq, p.pages);
#endif
    const uint y = p.y0 + unit * p.v_dim;
    for (uint i = 0; i < PER; ++i) {
        const uint d = me + i * SIZE;
        if (d >= p.v_dim) continue;
        const float nothing = is_spoilt(top) ? uintBitsToFloat(NAN_BITS) : 0; // 0: no key was seen
        y_.v[y + d] = top == NONE || is_spoilt(top) ? nothing : mixed[i] / sum;
    }
}
