// SPDX-License-Identifier: GPL-3.0-only
// Fft, Stft, Istft: the sums of the text, term by term.
#include "ref.hpp"

#include <cmath>
#include <complex>
#include <numbers>

namespace optest::ref {
namespace {

using complex = std::complex<double>;

// sum of x[j] exp(sign 2 pi i j k / n)
complex term_sum(const std::vector<complex>& x, std::int64_t k, double sign) {
    complex sum = 0;
    const auto n = static_cast<std::int64_t>(x.size());
    for (std::int64_t j = 0; j < n; ++j) {
        const double angle =
            sign * 2 * std::numbers::pi * static_cast<double>(j * k % n) / static_cast<double>(n);
        sum += x[static_cast<std::size_t>(j)] * complex(std::cos(angle), std::sin(angle));
    }
    return sum;
}

std::vector<complex> forward(const std::vector<complex>& x, std::size_t bins) {
    std::vector<complex> out;
    for (std::size_t k = 0; k < bins; ++k)
        out.push_back(term_sum(x, static_cast<std::int64_t>(k), -1));
    return out;
}

std::vector<double> to_real(const std::vector<complex>& half, std::int64_t n) {
    std::vector<complex> whole(static_cast<std::size_t>(n));
    for (std::int64_t k = 0; k < n; ++k) {
        const std::int64_t at = k <= n / 2 ? k : n - k;
        complex v = half[static_cast<std::size_t>(at)];
        if (at == 0 || 2 * at == n) v = v.real();
        whole[static_cast<std::size_t>(k)] = k <= n / 2 ? v : std::conj(v);
    }
    std::vector<double> out;
    for (std::int64_t j = 0; j < n; ++j)
        out.push_back(term_sum(whole, j, 1).real() / static_cast<double>(n));
    return out;
}

std::vector<complex> pairs(const double* p, std::size_t n) {
    std::vector<complex> out;
    for (std::size_t i = 0; i < n; ++i)
        out.emplace_back(p[2 * i], p[2 * i + 1]);
    return out;
}

void put(std::vector<double>& out, const std::vector<complex>& v, double by = 1) {
    for (const complex& z : v) {
        out.push_back(z.real() / by);
        out.push_back(z.imag() / by);
    }
}

results fft(const call& c) {
    const tensor& x = c.at(0);
    const std::int64_t kind = c.i64(RLX_ATTR_kind);
    const std::size_t real = kind == RLX_FFT_R2C ? 1 : 2;
    dims shape(x.shape.begin(), x.shape.end() - static_cast<std::ptrdiff_t>(real));
    const auto in = static_cast<std::size_t>(x.dim(x.rank() - real));
    const std::size_t rows = count(shape);
    tensor y;
    for (std::size_t r = 0; r < rows; ++r) {
        const double* p = x.data.data() + r * in * real;
        if (kind == RLX_FFT_R2C) {
            put(y.data, forward({p, p + in}, in / 2 + 1));
        } else if (kind == RLX_FFT_C2R) {
            for (const double v : to_real(pairs(p, in), c.i64(RLX_ATTR_n)))
                y.data.push_back(v);
        } else {
            const auto z = pairs(p, in);
            std::vector<complex> out;
            const double sign = kind == RLX_FFT_C2C ? -1 : 1;
            for (std::size_t k = 0; k < in; ++k)
                out.push_back(term_sum(z, static_cast<std::int64_t>(k), sign));
            put(y.data, out, sign > 0 ? static_cast<double>(in) : 1);
        }
    }
    y.shape = shape;
    if (kind == RLX_FFT_C2R) {
        y.shape.push_back(c.i64(RLX_ATTR_n));
    } else {
        y.shape.push_back(static_cast<std::int64_t>(kind == RLX_FFT_R2C ? in / 2 + 1 : in));
        y.shape.push_back(2);
    }
    return {y};
}

results stft(const call& c) {
    const tensor& x = c.at(0);
    const std::int64_t n = c.i64(RLX_ATTR_n), hop = c.i64(RLX_ATTR_hop), length = x.dim(1);
    const std::int64_t frames = length < n ? 0 : (length - n + hop) / hop;
    tensor y;
    y.shape = {x.dim(0), frames, n / 2 + 1, 2};
    for (std::int64_t b = 0; b < x.dim(0); ++b)
        for (std::int64_t m = 0; m < frames; ++m) {
            std::vector<complex> frame;
            for (std::int64_t j = 0; j < n; ++j)
                frame.emplace_back(x({b, m * hop + j}) * (c.has(1) ? c.at(1)({j}) : 1));
            put(y.data, forward(frame, static_cast<std::size_t>(n / 2 + 1)));
        }
    return {y};
}

results istft(const call& c) {
    const tensor& x = c.at(0);
    const std::int64_t n = c.i64(RLX_ATTR_n), hop = c.i64(RLX_ATTR_hop),
                       trim = c.i64(RLX_ATTR_trim);
    const std::int64_t frames = x.dim(1), length = (frames - 1) * hop + n;
    const auto bins = static_cast<std::size_t>(n / 2 + 1);
    tensor y(RLX_F32, {x.dim(0), length - 2 * trim});
    for (std::int64_t b = 0; b < x.dim(0); ++b) {
        std::vector<double> sum(static_cast<std::size_t>(length)), squares = sum;
        for (std::int64_t m = 0; m < frames; ++m) {
            const std::size_t first = x.place({b, m, 0, 0});
            const auto frame = to_real(pairs(x.data.data() + first, bins), n);
            for (std::int64_t j = 0; j < n; ++j) {
                const double w = c.has(1) ? c.at(1)({j}) : 1;
                const auto at = static_cast<std::size_t>(m * hop + j);
                sum[at] += frame[static_cast<std::size_t>(j)] * w;
                squares[at] += w * w;
            }
        }
        for (std::int64_t i = 0; i < y.dim(1); ++i) {
            const auto at = static_cast<std::size_t>(i + trim);
            y({b, i}) = sum[at] / std::max(squares[at], 1e-11);
        }
    }
    return {y};
}

} // namespace

std::vector<entry> signal_ops() {
    return {{RLX_OP_Fft, fft}, {RLX_OP_Stft, stft}, {RLX_OP_Istft, istft}};
}

} // namespace optest::ref
