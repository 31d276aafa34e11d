// SPDX-License-Identifier: GPL-3.0-only
// Element numbers of strided operands. The including shader's push constants p have rank and
// dim[RANK]; neighbouring axes are joined already, so rank is 1 for what is contiguous.
uint linear_group() { return gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x; }

#ifdef RANK
// Element i of the walk in an operand with these strides.
uint place(uint i, uint stride[RANK]) {
    if (p.rank <= 1) return i * stride[0];
    uint at = 0;
    for (uint a = p.rank; a-- > 0;) {
        const uint q = i / p.dim[a];
        at += (i - q * p.dim[a]) * stride[a];
        i = q;
    }
    return at;
}
#endif
