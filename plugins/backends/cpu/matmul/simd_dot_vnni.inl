// SPDX-License-Identifier: GPL-3.0-only
// Byte dot products with vpdpbusd: exact, no saturation, a multiply-add of four bytes
// per lane. Included once per tier inside that tier's namespace.

template <int BITS>
struct dot_codes {
    vi low;
};

template <int BITS>
constexpr int dot_codes_bytes = 64;

template <int BITS>
RLX_MM_FN dot_codes<BITS> dot_prepare(vi codes) {
    return {codes};
}

template <int BITS>
RLX_MM_FN void dot_store(uint8_t* p, const dot_codes<BITS>& c) {
    store_i(p, c.low);
}

template <int BITS>
RLX_MM_FN dot_codes<BITS> dot_load(const uint8_t* p) {
    return {load_i(p)};
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
RLX_MM_FN void dot_step(dot_acc<BITS>& d, const dot_codes<BITS>& codes, vi x, int) {
    d.s = dpbusd(d.s, codes.low, x);
}

template <int BITS>
RLX_MM_FN vi dot_finish(const dot_acc<BITS>& d) {
    return d.s;
}
