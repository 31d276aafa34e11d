// SPDX-License-Identifier: GPL-3.0-only
#include "taps.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace rlx::media {
namespace {

constexpr int pil_bits = 22;

template <class T>
T support_of(filter_shape shape) {
    return shape == filter_shape::triangle ? T(1) : shape == filter_shape::cubic ? T(2) : T(3);
}

template <class T>
T sinc(T x) {
    if (x == T(0)) return T(1);
    x *= std::numbers::pi_v<T>;
    return std::sin(x) / x;
}

template <class T>
T filter(filter_shape shape, T x) {
    x = std::abs(x);
    switch (shape) {
    case filter_shape::triangle: return x < T(1) ? T(1) - x : T(0);
    case filter_shape::cubic: {
        constexpr T a = T(-0.5);
        if (x < T(1)) return ((a + T(2)) * x - (a + T(3))) * x * x + T(1);
        if (x < T(2)) return (((x - T(5)) * x + T(8)) * x - T(4)) * a;
        return T(0);
    }
    case filter_shape::lanczos: return x < T(3) ? sinc(x) * sinc(x / T(3)) : T(0);
    }
    return T(0);
}

std::int32_t to_fixed(double weight, int bits) {
    const double scaled = weight * static_cast<double>(std::int64_t{1} << bits);
    return static_cast<std::int32_t>(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
}

fixed_taps fixed(const tap_table<double>& t, int bits) {
    fixed_taps out{bits, {t.width, t.first, t.count, {}}};
    out.taps.weights.resize(t.weights.size());
    std::transform(t.weights.begin(), t.weights.end(), out.taps.weights.begin(), [&](double w) {
        return to_fixed(w, bits);
    });
    return out;
}

} // namespace

template <class T>
tap_table<T> antialias_taps(int in, int out, filter_shape shape, T scale) {
    const T widen = std::max(T(1), scale);
    const T support = support_of<T>(shape) * widen;
    const T narrow = T(1) / widen;
    tap_table<T> t;
    // No window reaches further than the line.
    t.width =
        static_cast<std::size_t>(std::min(std::ceil(support) * T(2) + T(1), static_cast<T>(in)));
    t.first.resize(static_cast<std::size_t>(out));
    t.count.resize(static_cast<std::size_t>(out));
    t.weights.assign(static_cast<std::size_t>(out) * t.width, T(0));
    for (std::size_t i = 0; i < t.first.size(); i++) {
        const T centre = (static_cast<T>(i) + T(0.5)) * scale;
        const auto inside = [in](T at) {
            return static_cast<int>(std::clamp(at, T(0), static_cast<T>(in)));
        };
        const int first = inside(centre - support + T(0.5));
        const int end = inside(centre + support + T(0.5));
        const int count = std::clamp(end - first, 0, static_cast<int>(t.width));
        T* weights = t.weights.data() + i * t.width;
        T sum = T(0);
        for (int k = 0; k < count; k++) {
            weights[k] = filter(shape, (static_cast<T>(k + first) - centre + T(0.5)) * narrow);
            sum += weights[k];
        }
        for (int k = 0; k < count && sum != T(0); k++)
            weights[k] /= sum;
        t.first[i] = count > 0 ? first : 0;
        t.count[i] = count;
    }
    return t;
}

template tap_table<double> antialias_taps(int, int, filter_shape, double);
template tap_table<float> antialias_taps(int, int, filter_shape, float);

fixed_taps pil_taps(int in, int out, filter_shape shape) {
    const double scale = static_cast<double>(in) / out;
    return fixed(antialias_taps(in, out, shape, scale), pil_bits);
}

fixed_taps torch_taps(int in, int out, filter_shape shape) {
    const double scale = static_cast<double>(in) / out;
    const tap_table<double> t = antialias_taps(in, out, shape, scale);
    const double largest = *std::max_element(t.weights.begin(), t.weights.end());
    int bits = 0;
    while (bits < pil_bits && to_fixed(largest, bits + 1) < (1 << 15))
        bits++;
    return fixed(t, bits);
}

} // namespace rlx::media
