// SPDX-License-Identifier: GPL-3.0-only
// Sums and maxima over a workgroup of 256. Every invocation calls them and gets the result.
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
shared float parts_[256];

float group_sum(float x) {
    const float mine = subgroupAdd(x);
    if (subgroupElect()) parts_[gl_SubgroupID] = mine;
    barrier();
    float sum = 0;
    for (uint i = 0; i < gl_NumSubgroups; ++i)
        sum += parts_[i];
    barrier();
    return sum;
}

// NaN counts as +inf, so that a maximum tells of both: whatever a softmax makes of either is NaN.
// Drivers need not keep NaN through max() and exp(), so shaders ask for it.
const uint INFINITY_BITS = 0x7f800000u, NAN_BITS = 0x7fc00000u;
float nan_on_top(float x) {
    return (floatBitsToUint(x) & 0x7fffffffu) > INFINITY_BITS ? uintBitsToFloat(INFINITY_BITS) : x;
}
bool is_spoilt(float top) { return floatBitsToUint(top) == INFINITY_BITS; }

float group_max(float x) {
    const float mine = subgroupMax(x);
    if (subgroupElect()) parts_[gl_SubgroupID] = mine;
    barrier();
    float top = parts_[0];
    for (uint i = 1; i < gl_NumSubgroups; ++i)
        top = max(top, parts_[i]);
    barrier();
    return top;
}
