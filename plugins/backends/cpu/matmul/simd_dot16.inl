// SPDX-License-Identifier: GPL-3.0-only
// Byte dot products without vpdpbusd: maddubs gives 16-bit sums of two products, which saturate at
// 32767. Codes below 16 cannot reach that in a block of 32 (8 steps x 2 x 15 x 127 = 30480); wider
// codes are added to 32 bits after as many steps as are safe, and 8-bit codes are split into two
// nibbles, each safe for 8 steps.

// Codes as dot_step wants them: 8-bit codes split into nibbles.
template <int BITS>
struct dot_codes {
    vi low;
};

template <>
struct dot_codes<8> {
    vi low;
    vi high;
};

template <int BITS>
constexpr int dot_codes_bytes = BITS == 8 ? 128 : 64;

template <int BITS>
RLX_MM_FN dot_codes<BITS> dot_prepare(vi codes) {
    if constexpr (BITS == 8) {
        return {and_i(codes, set1_i8(0x0f)), and_i(shift16<-4>(codes), set1_i8(0x0f))};
    } else {
        return {codes};
    }
}

template <int BITS>
RLX_MM_FN void dot_store(uint8_t* p, const dot_codes<BITS>& c) {
    store_i(p, c.low);
    if constexpr (BITS == 8) store_i(p + 64, c.high);
}

template <int BITS>
RLX_MM_FN dot_codes<BITS> dot_load(const uint8_t* p) {
    if constexpr (BITS == 8) {
        return {load_i(p), load_i(p + 64)};
    } else {
        return {load_i(p)};
    }
}

template <int BITS>
struct dot_acc {
    vi s;
    vi low;
    vi high;
};

// Steps a 16-bit sum may take: BITS 5: 4 x 2 x 31 x 127 = 31496, BITS 6: 2 x 2 x 63 x 127 = 32004.
constexpr int safe_steps(int bits) {
    return bits <= 4 || bits == 8 ? 8 : bits == 5 ? 4 : 2;
}

template <int BITS>
RLX_MM_FN void dot_start(dot_acc<BITS>& d, vi init) {
    d.s = init;
}

// step counts from 0 within one dot product and is a constant after unrolling. keep() stops GCC
// from gathering the sums at the end of the block, which spills every product.
template <int BITS>
RLX_MM_FN void dot_step(dot_acc<BITS>& d, const dot_codes<BITS>& codes, vi x, int step) {
    const vi low = maddubs(codes.low, x);
    const bool fresh = step % safe_steps(BITS) == 0;
    d.low = fresh ? low : add_i16(d.low, low);
    keep(d.low);
    if constexpr (BITS == 8) {
        const vi high = maddubs(codes.high, x);
        d.high = fresh ? high : add_i16(d.high, high);
        keep(d.high);
    } else if constexpr (safe_steps(BITS) < 8) {
        if ((step + 1) % safe_steps(BITS) == 0) {
            d.s = add_i32(d.s, madd1(d.low));
            keep(d.s);
        }
    }
}

template <int BITS>
RLX_MM_FN vi dot_finish(const dot_acc<BITS>& d) {
    if constexpr (BITS == 8) {
        return add_i32(d.s, add_i32(madd1(d.low), shl32<4>(madd1(d.high))));
    } else if constexpr (safe_steps(BITS) == 8) {
        return add_i32(d.s, madd1(d.low));
    } else {
        return d.s; // steps are a multiple of 4: everything has been added
    }
}
