// SPDX-License-Identifier: GPL-3.0-only
// Vector exp, tanh, erf, sigmoid, silu, gelu. Polynomials were fitted here (weighted least squares
// towards minimax); relative error of each is below 3e-7 against double (kernels_test checks 1e-6).

namespace rlx::cpu::RLX_TIER_NS {

// Range reduction x = n ln 2 + r, |r| <= ln 2 / 2. exp(-inf) = 0, exp(NaN) = NaN.
RLX_FN vf vexp(vf x) {
    x = vmin(set1(89.0f), vmax(set1(-104.0f), x)); // second operand wins on NaN
    const vf n = round_even(x * set1(1.44269504088896341f));
    vf r = fma(n, set1(-0.693359375f), x); // n * 0.693359375 is exact: 9 bits
    r = fma(n, set1(2.12194440e-4f), r);
    vf p = set1(1.0f / 5040.0f);
    p = fma(p, r, set1(1.0f / 720.0f));
    p = fma(p, r, set1(1.0f / 120.0f));
    p = fma(p, r, set1(1.0f / 24.0f));
    p = fma(p, r, set1(1.0f / 6.0f));
    p = fma(p, r, set1(0.5f));
    p = fma(p * r, r, r); // r + r^2 (1/2 + ...)
    return scale_exp2(p + set1(1.0f), n);
}

// exp(x) for x <= 0 in half the operations: x / ln 2 is rounded by adding 1.5 * 2^23, which leaves
// the integer plus 127 in the low bits, and results below 2^-126 are zero. NaN stays NaN.
RLX_FN vf vexp_below(vf x) {
    const vf magic = set1(12582912.0f + 127.0f);
    x = vmax(set1(-88.0f), x); // second operand wins on NaN
    const vf t = fma(x, set1(1.44269504088896341f), magic);
    const vf n = t - magic;
    vf r = fma(n, set1(-0.693359375f), x);
    r = fma(n, set1(2.12194440e-4f), r);
    vf p = set1(0.001381453825160861f);
    p = fma(p, r, set1(0.00836874544620514f));
    p = fma(p, r, set1(0.04166838899254799f));
    p = fma(p, r, set1(0.1666652113199234f));
    p = fma(p, r, set1(0.4999999403953552f));
    const vf scale = low_bits_up(t);
    return fma(scale, fma(p * r, r, r), scale);
}

RLX_FN vf vsigmoid(vf x) {
    return set1(1.0f) / (set1(1.0f) + vexp(zero() - x));
}

RLX_FN vf vsilu(vf x) {
    return x / (set1(1.0f) + vexp(zero() - x));
}

// Odd polynomial below 0.625, where 1 - 2 / (e^2x + 1) would cancel.
RLX_FN vf vtanh(vf x) {
    const vf a = vabs(x);
    const vf z = x * x;
    vf p = set1(-0.005717036561592717f);
    p = fma(p, z, set1(0.020650579003957087f));
    p = fma(p, z, set1(-0.05374349526145186f));
    p = fma(p, z, set1(0.13331491248515395f));
    p = fma(p, z, set1(-0.3333328392359074f));
    const vf small = fma(p * z, x, x);
    const vf big = set1(1.0f) - set1(2.0f) / (vexp(a + a) + set1(1.0f));
    return select(less(a, set1(0.625f)), small, copysign(big, x));
}

// 1 + erf(x) = 2 Phi(x sqrt 2): 1 + x P(x^2) below 1, else exp(-x^2) Q(1 / (1 + |x|/2)) or 2 minus
// that, so that the negative tail keeps its relative accuracy.
RLX_FN vf one_plus_erf(vf x) {
    const vf a = vabs(x);
    const vf z = x * x;
    vf p = set1(7.889119531038771e-05f);
    p = fma(p, z, set1(-0.0008020841279451931f));
    p = fma(p, z, set1(0.0051895353392955946f));
    p = fma(p, z, set1(-0.026854444591879946f));
    p = fma(p, z, set1(0.11283600176256627f));
    p = fma(p, z, set1(-0.3761262713596573f));
    p = fma(p, z, set1(1.1283791659137519f));
    // Beyond 1e4 the tail is zero whatever t is; infinity would make it NaN.
    const vf t = vrecip(fma(vmin(set1(1e4f), a), set1(0.5f), set1(1.0f)));
    vf q = set1(0.07643203471050598f);
    q = fma(q, t, set1(-0.16995861952606428f));
    q = fma(q, t, set1(0.0032536124661743937f));
    q = fma(q, t, set1(0.12291937764136085f));
    q = fma(q, t, set1(0.1494165110155514f));
    q = fma(q, t, set1(0.2556019145384478f));
    q = fma(q, t, set1(0.2805021644170087f));
    q = fma(q, t, set1(0.2822496627480396f));
    q = fma(q, t, set1(-6.297056414438019e-06f));
    const vf tail = q * vexp_below(zero() - z);
    const vf big = select(less(x, zero()), tail, set1(2.0f) - tail);
    return select(less(a, set1(1.0f)), fma(p, x, set1(1.0f)), big);
}

RLX_FN vf vgelu(vf x) {
    return set1(0.5f) * x * one_plus_erf(x * set1(0.70710678118654752f));
}

// 0.5 x (1 + tanh u) = x sigmoid(2u), which keeps the negative tail's relative accuracy.
RLX_FN vf vgelu_tanh(vf x) {
    const vf u = x * fma(x * x, set1(0.044715f * 1.5957691216057308f), set1(1.5957691216057308f));
    return x / (set1(1.0f) + vexp(zero() - u));
}

} // namespace rlx::cpu::RLX_TIER_NS
