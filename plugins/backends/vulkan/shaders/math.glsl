// SPDX-License-Identifier: GPL-3.0-only
// Functions that GLSL lacks or that drivers do too roughly.
// By the bits: drivers may take isnan() for false.
bool isnan_of(float x) { return (floatBitsToUint(x) & 0x7fffffffu) > 0x7f800000u; }

// exp(), but NaN stays NaN whatever the driver makes of it.
float exp_of(float x) { return isnan_of(x) ? x : exp(x); }

float sigmoid(float x) { return 1 / (1 + exp_of(-x)); }

// 1 + erf(x) = 2 Phi(x sqrt 2), with the negative tail's relative accuracy (polynomials as in the
// CPU backend's kernels/math.inl, fitted there).
float one_plus_erf(float x) {
    const float a = abs(x), z = x * x;
    float s = 7.889119531038771e-05;
    s = s * z - 0.0008020841279451931;
    s = s * z + 0.0051895353392955946;
    s = s * z - 0.026854444591879946;
    s = s * z + 0.11283600176256627;
    s = s * z - 0.3761262713596573;
    s = s * z + 1.1283791659137519;
    const float t = 1 / (a * 0.5 + 1);
    float q = 0.07643203471050598;
    q = q * t - 0.16995861952606428;
    q = q * t + 0.0032536124661743937;
    q = q * t + 0.12291937764136085;
    q = q * t + 0.1494165110155514;
    q = q * t + 0.2556019145384478;
    q = q * t + 0.2805021644170087;
    q = q * t + 0.2822496627480396;
    q = q * t - 6.297056414438019e-06;
    const float tail = q * exp(-min(z, 120.0));
    return a < 1 ? s * x + 1 : x < 0 ? tail : 2 - tail;
}

float gelu(float x) { return 0.5 * x * one_plus_erf(x * 0.70710678118654752); }

// 0.5 x (1 + tanh u) = x sigmoid(2u)
float gelu_tanh(float x) {
    const float u = x * (x * x * (0.044715 * 1.5957691216057308) + 1.5957691216057308);
    return x * sigmoid(u);
}

float tanh_of(float x) {
    const float a = abs(x);
    const float z = x * x; // near 0 the series: no cancellation
    if (!(a >= 0.25)) // NaN as well
        return x - x * z * (1.0 / 3 - z * (2.0 / 15 - z * (17.0 / 315 - z * (62.0 / 2835))));
    const float big = 1 - 2 / (exp(min(2 * a, 80.0)) + 1);
    return x < 0 ? -big : big;
}

// Of a float taken apart by its bits: drivers flush tiny numbers to zero and are rough around 1.
float log_of(float x) {
    uint u = floatBitsToUint(x);
    if ((u & 0x7fffffffu) == 0) return uintBitsToFloat(0xff800000u);
    if (u >= 0x80000000u || u > 0x7f800000u) return uintBitsToFloat(0x7fc00000u);
    if (u == 0x7f800000u) return x;
    int e = int(u >> 23) - 127;
    if (u < 0x800000u) { // subnormal
        const int up = 23 - findMSB(u);
        u <<= up;
        e = -126 - up;
    }
    float m = uintBitsToFloat((u & 0x7fffffu) | 0x3f800000u);
    if (m > 1.41421356) {
        m *= 0.5;
        ++e;
    }
    const float f = m - 1, s = f / (2 + f), z = s * s; // log m = 2 artanh s
    const float series = z * (1.0 / 3 + z * (1.0 / 5 + z * (1.0 / 7 + z * (1.0 / 9 + z / 11))));
    const float small = f - (s * f - 2 * s * series); // 2 s = f - s f, f is exact
    return float(e) * 0.693359375 + (small + float(e) * -2.12194440e-4);
}
