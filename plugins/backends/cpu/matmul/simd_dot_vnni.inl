// SPDX-License-Identifier: GPL-3.0-only
// Byte dot products with vpdpbusd (512 bits): exact, no saturation, a multiply-add of four bytes
// per lane. Included once per tier inside that tier's namespace.

constexpr int max_rows_q8(int) {
    return 6;
}

// Sum of products of unsigned weight codes and signed activations, one 32-bit sum per lane.
template <int BITS>
struct dot_acc {
    vi s;
};

template <int BITS>
RLX_MM_FN void dot_start(dot_acc<BITS>& d, vi init) {
    d.s = init;
}

template <int BITS>
RLX_MM_FN void dot_step(dot_acc<BITS>& d, vi codes, vi x, int) {
    d.s.a = _mm512_dpbusd_epi32(d.s.a, codes.a, x.a);
}

template <int BITS>
RLX_MM_FN vi dot_finish(const dot_acc<BITS>& d) {
    return d.s;
}
