// SPDX-License-Identifier: GPL-3.0-only
// Sine and cosine of any float. Drivers' own are rough for large angles; here the angle is reduced
// exactly: its 24 bits times 64 or more bits of 2 / pi.

// The first 224 bits of 2 / pi, the most significant first.
const uint two_over_pi[7] = uint[](
    0xa2f9836eu, 0x4e441529u, 0xfc2757d1u, 0xf534ddc0u, 0xdb629599u, 0x3c439041u, 0xfe5163abu);

// 32 bits of 2 / pi from bit `at` on; bit 0 is the first behind the point.
uint two_over_pi_at(uint at) {
    const uint i = at / 32, shift = at % 32;
    const uint next = i + 1 < 7 ? two_over_pi[i + 1] : 0;
    return shift == 0 ? two_over_pi[i] : two_over_pi[i] << shift | next >> (32 - shift);
}

// Quarter turns of m 2^e, e >= 2 (modulo 4), and their fraction as hi:lo. Bits of 2 / pi that make
// whole turns are left out: those worth 2^(2 - e) and more.
void quarters_of_large(uint m, uint e, out uint quarter, out uint hi, out uint lo) {
    const uint first = e - 2; // worth 2^(1 - e) first
    uint top, low, w2, w1, carry;
    umulExtended(m, two_over_pi_at(first + 64), top, low);
    umulExtended(m, two_over_pi_at(first + 32), w2, w1);
    w1 = uaddCarry(w1, top, carry);
    w2 += carry; // w2:w1 = m times the second word, and what the third carries
    const uint upper = m * two_over_pi_at(first); // what is above 2^32 makes whole turns
    const uint w = upper + w2;                    // in units of 2^(2 - 32)
    quarter = w >> 30;
    hi = w << 2 | w1 >> 30;
    lo = w1 << 2 | low >> 30;
}

void sin_cos(float x, out float s, out float c) {
    const uint u = floatBitsToUint(x) & 0x7fffffffu;
    s = x;
    c = 1;
    if (u < 0x33000000u) return; // below 2^-25
    s = c = uintBitsToFloat(0x7fc00000u);
    if (u >= 0x7f800000u) return;
    // |x| = m 2^-d; d <= 48, and quarter turns = m * (2 / pi * 2^64) / 2^(64 + d) for d >= 0
    const uint m = (u & 0x7fffffu) | 0x800000u;
    const int d = 150 - int(u >> 23);
    uint w2, w1, w0, top, carry;
    umulExtended(m, 0x4e441529u, top, w0);
    umulExtended(m, 0xa2f9836eu, w2, w1);
    w1 = uaddCarry(w1, top, carry);
    w2 += carry;
    uint quarter, hi, lo; // hi:lo is the fraction
    if (d <= -2) {
        quarters_of_large(m, uint(-d), quarter, hi, lo);
    } else if (d == -1) {
        quarter = w2 << 1 | w1 >> 31;
        hi = w1 << 1 | w0 >> 31;
        lo = w0 << 1;
    } else if (d == 0) {
        quarter = w2, hi = w1, lo = w0;
    } else if (d < 32) {
        quarter = w2 >> d;
        hi = w2 << (32 - d) | w1 >> d;
        lo = w1 << (32 - d) | w0 >> d;
    } else {
        quarter = 0;
        hi = w2 >> (d - 32);
        lo = d == 32 ? w1 : w2 << (64 - d) | w1 >> (d - 32);
    }
    const bool up = (hi & 0x80000000u) != 0; // nearer to the next quarter
    if (up) {
        ++quarter;
        hi = ~hi;
        lo = ~lo;
    }
    const float turn = float(hi) * 2.3283064365386963e-10 + float(lo) * 5.421010862427522e-20;
    const float r = turn * 1.5707963267948966 * (up ? -1 : 1), z = r * r;
    const float sr = r + r * z * (-0.16666667 + z * (0.008333331 + z * (-0.00019840874 + z * 2.7525562e-06)));
    const float cr = 1 + z * (-0.5 + z * (0.041666668 + z * (-0.0013888889 + z * (2.4801587e-05 - z * 2.7557319e-07))));
    s = (quarter & 1) == 0 ? sr : cr;
    c = (quarter & 1) == 0 ? cr : sr;
    if ((quarter & 2) != 0) s = -s;
    if (((quarter + 1) & 2) != 0) c = -c;
    if (x < 0) s = -s;
}
