// SPDX-License-Identifier: GPL-3.0-only
// Row kernels: reductions, norm, softmax, elementwise, rope, conversions. A row is n contiguous
// floats of any alignment; whole vectors first, the tail by masked (baseline: copied) loads.
// Budget: the loops are bound by loads and stores, except exp-like ones (about 20 operations per
// vector).

namespace rlx::cpu::RLX_TIER_NS {

namespace {

float dot(const float* a, const float* b, int64_t n) {
    vf s0 = zero(), s1 = zero(), s2 = zero(), s3 = zero();
    int64_t i = 0;
    for (; i + 4 * W <= n; i += 4 * W) {
        s0 = fma(load(a + i), load(b + i), s0);
        s1 = fma(load(a + i + W), load(b + i + W), s1);
        s2 = fma(load(a + i + 2 * W), load(b + i + 2 * W), s2);
        s3 = fma(load(a + i + 3 * W), load(b + i + 3 * W), s3);
    }
    for (; i + W <= n; i += W)
        s0 = fma(load(a + i), load(b + i), s0);
    if (i < n) s1 = fma(load_n(a + i, n - i), load_n(b + i, n - i), s1);
    return hsum((s0 + s1) + (s2 + s3));
}

// out[i] = op(x[i]); tails load zeros into unused lanes, which no op traps on.
template <class Op>
RLX_FN void map(float* out, const float* x, int64_t n, Op op) {
    int64_t i = 0;
    for (; i + W <= n; i += W)
        store(out + i, op(load(x + i)));
    if (i < n) store_n(out + i, op(load_n(x + i, n - i)), n - i);
}

template <class Op>
RLX_FN void map2(float* out, const float* a, const float* b, int64_t n, Op op) {
    int64_t i = 0;
    for (; i + W <= n; i += W)
        store(out + i, op(load(a + i), load(b + i)));
    if (i < n) store_n(out + i, op(load_n(a + i, n - i), load_n(b + i, n - i)), n - i);
}

float sum_squares(const float* x, int64_t n) {
    return dot(x, x, n);
}

void rms_norm(float* out, const float* x, const float* w, float w_offset, float eps, int64_t n) {
    const float mean = sum_squares(x, n) / static_cast<float>(n);
    const vf r = set1(1.0f / sqrtf(mean + eps));
    if (!w) return map(out, x, n, [r](vf v) { return v * r; });
    const vf o = set1(w_offset);
    map2(out, x, w, n, [r, o](vf v, vf g) { return v * r * (g + o); });
}

void softmax(float* out, const float* x, int64_t n) {
    const vf low = set1(-INFINITY);
    vf m = low;
    int64_t i = 0;
    for (; i + W <= n; i += W)
        m = vmax(m, load(x + i));
    float top = hmax(m);
    for (; i < n; ++i)
        top = x[i] > top ? x[i] : top;
    if (top == -INFINITY) {
        // Every entry is -inf, or NaN, which no maximum notices.
        float fill = 0.0f;
        for (i = 0; i < n; ++i)
            if (x[i] != x[i]) fill = x[i];
        for (i = 0; i < n; ++i)
            out[i] = fill;
        return;
    }
    const vf t = set1(top);
    vf s = zero();
    float tail = 0.0f;
    for (i = 0; i + W <= n; i += W) {
        const vf e = vexp_below(load(x + i) - t);
        store(out + i, e);
        s = s + e;
    }
    if (i < n) {
        store_n(out + i, vexp_below(load_n(x + i, n - i) - t), n - i);
        for (; i < n; ++i)
            tail += out[i];
    }
    const vf inv = set1(1.0f / (hsum(s) + tail));
    map(out, out, n, [inv](vf v) { return v * inv; });
}

template <class Op>
RLX_FN void map_scalar(float* out, const float* x, int64_t n, Op op) {
    for (int64_t i = 0; i < n; ++i)
        out[i] = op(x[i]);
}

void unary(uint32_t kind, float* out, const float* x, int64_t n) {
    switch (kind) {
    case RLX_UNARY_NEG: return map(out, x, n, [](vf v) { return set1(-0.0f) - v; });
    case RLX_UNARY_ABS: return map(out, x, n, [](vf v) { return vabs(v); });
    case RLX_UNARY_EXP: return map(out, x, n, [](vf v) { return vexp(v); });
    case RLX_UNARY_LOG: return map_scalar(out, x, n, [](float v) { return logf(v); });
    case RLX_UNARY_SQRT: return map(out, x, n, [](vf v) { return vsqrt(v); });
    case RLX_UNARY_RSQRT: return map(out, x, n, [](vf v) { return set1(1.0f) / vsqrt(v); });
    case RLX_UNARY_RECIPROCAL: return map(out, x, n, [](vf v) { return set1(1.0f) / v; });
    case RLX_UNARY_SIN: return map_scalar(out, x, n, [](float v) { return sinf(v); });
    case RLX_UNARY_COS: return map_scalar(out, x, n, [](float v) { return cosf(v); });
    case RLX_UNARY_TANH: return map(out, x, n, [](vf v) { return vtanh(v); });
    case RLX_UNARY_SIGMOID: return map(out, x, n, [](vf v) { return vsigmoid(v); });
    case RLX_UNARY_SILU: return map(out, x, n, [](vf v) { return vsilu(v); });
    case RLX_UNARY_GELU: return map(out, x, n, [](vf v) { return vgelu(v); });
    case RLX_UNARY_GELU_TANH: return map(out, x, n, [](vf v) { return vgelu_tanh(v); });
    case RLX_UNARY_RELU: return map(out, x, n, [](vf v) { return vmax(zero(), v); });
    case RLX_UNARY_ERF: return map_scalar(out, x, n, [](float v) { return erff(v); });
    case RLX_UNARY_SOFTPLUS:
        return map_scalar(out, x, n, [](float v) {
            return (v > 0.0f ? v : 0.0f) + log1pf(expf(-fabsf(v)));
        });
    case RLX_UNARY_FLOOR: return map_scalar(out, x, n, [](float v) { return floorf(v); });
    case RLX_UNARY_CEIL: return map_scalar(out, x, n, [](float v) { return ceilf(v); });
    case RLX_UNARY_ROUND: return map_scalar(out, x, n, [](float v) { return rintf(v); });
    case RLX_UNARY_SIGN:
        return map_scalar(out, x, n, [](float v) {
            return v > 0.0f ? 1.0f : v < 0.0f ? -1.0f : v != v ? v : 0.0f;
        });
    case RLX_UNARY_EXPM1: return map_scalar(out, x, n, [](float v) { return expm1f(v); });
    case RLX_UNARY_LOG1P: return map_scalar(out, x, n, [](float v) { return log1pf(v); });
    default: break;
    }
}

// a_step or b_step 0: that operand is one element for the whole row.
template <class Op>
RLX_FN void map_steps(
    float* out, const float* a, int64_t a_step, const float* b, int64_t b_step, int64_t n, Op op
) {
    if (a_step && b_step) return map2(out, a, b, n, op);
    if (a_step) {
        const vf s = set1(*b);
        return map(out, a, n, [s, op](vf v) { return op(v, s); });
    }
    const vf s = set1(*a);
    if (b_step) return map(out, b, n, [s, op](vf v) { return op(s, v); });
    const vf v = op(s, set1(*b));
    for (int64_t i = 0; i < n; i += W)
        store_n(out + i, v, n - i < W ? n - i : W);
}

void binary(
    uint32_t kind,
    float* out,
    const float* a,
    int64_t a_step,
    const float* b,
    int64_t b_step,
    int64_t n
) {
    if (n <= 0) return;
    switch (kind) {
    case RLX_BINARY_ADD:
        return map_steps(out, a, a_step, b, b_step, n, [](vf x, vf y) { return x + y; });
    case RLX_BINARY_SUB:
        return map_steps(out, a, a_step, b, b_step, n, [](vf x, vf y) { return x - y; });
    case RLX_BINARY_MUL:
        return map_steps(out, a, a_step, b, b_step, n, [](vf x, vf y) { return x * y; });
    case RLX_BINARY_DIV:
        return map_steps(out, a, a_step, b, b_step, n, [](vf x, vf y) { return x / y; });
    case RLX_BINARY_MAX:
        return map_steps(out, a, a_step, b, b_step, n, [](vf x, vf y) {
            return select(is_nan(x), x, vmax(x, y));
        });
    case RLX_BINARY_MIN:
        return map_steps(out, a, a_step, b, b_step, n, [](vf x, vf y) {
            return select(is_nan(x), x, vmin(x, y));
        });
    case RLX_BINARY_POW:
        for (int64_t i = 0; i < n; ++i)
            out[i] = powf(a[i * a_step], b[i * b_step]);
        return;
    case RLX_BINARY_ATAN2:
        for (int64_t i = 0; i < n; ++i)
            out[i] = atan2f(a[i * a_step], b[i * b_step]);
        return;
    default: break;
    }
}

void glu(uint32_t kind, float* out, const float* gate, const float* up, int64_t n) {
    switch (kind) {
    case RLX_GLU_SWIGLU: return map2(out, gate, up, n, [](vf g, vf u) { return vsilu(g) * u; });
    case RLX_GLU_GEGLU_TANH:
        return map2(out, gate, up, n, [](vf g, vf u) { return vgelu_tanh(g) * u; });
    case RLX_GLU_GEGLU_ERF: return map2(out, gate, up, n, [](vf g, vf u) { return vgelu(g) * u; });
    case RLX_GLU_REGLU:
        return map2(out, gate, up, n, [](vf g, vf u) { return vmax(zero(), g) * u; });
    case RLX_GLU_SIGMOID: return map2(out, gate, up, n, [](vf g, vf u) { return vsigmoid(g) * u; });
    default: break;
    }
}

void affine(float* out, const float* x, int64_t n, float scale, float shift) {
    const vf s = set1(scale), t = set1(shift);
    map(out, x, n, [s, t](vf v) { return v * s + t; });
}

void clamp(float* out, const float* x, int64_t n, float lo, float hi) {
    const vf l = set1(lo), h = set1(hi);
    map(out, x, n, [l, h](vf v) { return vmin(h, vmax(l, v)); });
}

void axpy(float* out, const float* x, float a, int64_t n) {
    const vf s = set1(a);
    map2(out, x, out, n, [s](vf v, vf o) { return fma(s, v, o); });
}

template <class Op, class Scalar>
RLX_FN float fold(const float* x, int64_t n, float unit, Op op, Scalar one) {
    vf s = set1(unit);
    int64_t i = 0;
    for (; i + W <= n; i += W)
        s = op(s, load(x + i));
    float t[W];
    store(t, s);
    float r = t[0];
    for (int j = 1; j < W; ++j)
        r = one(r, t[j]);
    for (; i < n; ++i)
        r = one(r, x[i]);
    return r;
}

float reduce(uint32_t kind, const float* x, int64_t n) {
    switch (kind) {
    case RLX_REDUCE_MAX:
        return fold(
            x,
            n,
            -INFINITY,
            [](vf a, vf b) { return vmax(a, b); },
            [](float a, float b) { return a > b ? a : b; }
        );
    case RLX_REDUCE_MIN:
        return fold(
            x,
            n,
            INFINITY,
            [](vf a, vf b) { return vmin(a, b); },
            [](float a, float b) { return a < b ? a : b; }
        );
    case RLX_REDUCE_PROD:
        return fold(
            x, n, 1.0f, [](vf a, vf b) { return a * b; }, [](float a, float b) { return a * b; }
        );
    case RLX_REDUCE_L2: return sum_squares(x, n);
    default:
        return fold(
            x, n, 0.0f, [](vf a, vf b) { return a + b; }, [](float a, float b) { return a + b; }
        );
    }
}

void rope(
    float* out, const float* x, const float* cos, const float* sin, int64_t half, int64_t pairing
) {
    if (pairing) {
        for (int64_t i = 0; i < half; ++i) {
            const float a = x[2 * i], b = x[2 * i + 1];
            out[2 * i] = a * cos[i] - b * sin[i];
            out[2 * i + 1] = b * cos[i] + a * sin[i];
        }
        return;
    }
    int64_t i = 0;
    for (; i < half; i += W) {
        const int64_t n = half - i;
        if (n >= W) {
            const vf a = load(x + i), b = load(x + half + i), c = load(cos + i), s = load(sin + i);
            store(out + i, a * c - b * s);
            store(out + half + i, b * c + a * s);
        } else {
            const vf a = load_n(x + i, n), b = load_n(x + half + i, n);
            const vf c = load_n(cos + i, n), s = load_n(sin + i, n);
            store_n(out + i, a * c - b * s, n);
            store_n(out + half + i, b * c + a * s, n);
        }
    }
}

void f16_to_f32(float* out, const uint16_t* x, int64_t n) {
    int64_t i = 0;
    for (; i + W <= n; i += W)
        store(out + i, load_f16(x + i));
    if (i < n) store_n(out + i, load_f16_n(x + i, n - i), n - i);
}

void f32_to_f16(uint16_t* out, const float* x, int64_t n) {
    int64_t i = 0;
    for (; i + W <= n; i += W)
        store_f16(out + i, load(x + i));
    if (i < n) store_f16_n(out + i, load_n(x + i, n - i), n - i);
}

void bf16_to_f32(float* out, const uint16_t* x, int64_t n) {
    int64_t i = 0;
    for (; i + W <= n; i += W)
        store(out + i, load_bf16(x + i));
    if (i < n) store_n(out + i, load_bf16_n(x + i, n - i), n - i);
}

} // namespace

} // namespace rlx::cpu::RLX_TIER_NS
