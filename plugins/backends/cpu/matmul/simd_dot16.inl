// SPDX-License-Identifier: GPL-3.0-only
// Byte dot products without vpdpbusd: maddubs gives 16-bit sums of two products, which saturate at
// 32767. Codes below 16 cannot reach that in a block of 32 (8 steps x 2 x 15 x 127 = 30480); wider
// codes are added to 32 bits after as many steps as are safe, and 8-bit codes are split into two
// nibbles, each safe for 8 steps.

constexpr int max_rows_q8(int bits) {
    return bits == 8 ? rows_q8_wide : rows_q8_narrow;
}

template <int BITS>
struct dot_acc {
    vi s;
    vi lo;
    vi hi;
};

// Steps a 16-bit sum may take: BITS 5: 4 x 2 x 31 x 127 = 31496, BITS 6: 2 x 2 x 63 x 127 = 32004.
constexpr int safe_steps(int bits) {
    return bits <= 4 ? 8 : bits == 5 ? 4 : bits == 6 ? 2 : 8;
}

template <int BITS>
RLX_MM_FN void dot_start(dot_acc<BITS>& d, vi init) {
    d.s = init;
}

// step counts from 0 within one dot product and is a constant after unrolling.
template <int BITS>
RLX_MM_FN void dot_step(dot_acc<BITS>& d, vi codes, vi x, int step) {
    if constexpr (BITS == 8) {
        const vi low = and_i(codes, set1_i8(0x0f));
        const vi high = and_i(shift16<-4>(codes), set1_i8(0x0f));
        d.lo = step ? add_i16(d.lo, maddubs(low, x)) : maddubs(low, x);
        d.hi = step ? add_i16(d.hi, maddubs(high, x)) : maddubs(high, x);
    } else {
        const bool fresh = step % safe_steps(BITS) == 0;
        d.lo = fresh ? maddubs(codes, x) : add_i16(d.lo, maddubs(codes, x));
        if ((step + 1) % safe_steps(BITS) == 0 && safe_steps(BITS) < 8) {
            d.s = add_i32(d.s, madd1(d.lo));
        }
    }
}

template <int BITS>
RLX_MM_FN vi dot_finish(const dot_acc<BITS>& d) {
    if constexpr (BITS == 8) {
        return add_i32(d.s, add_i32(madd1(d.lo), shl32<4>(madd1(d.hi))));
    } else if constexpr (safe_steps(BITS) == 8) {
        return add_i32(d.s, madd1(d.lo));
    } else {
        return d.s; // steps are a multiple of 4: everything has been added
    }
}
