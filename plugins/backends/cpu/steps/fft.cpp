// SPDX-License-Identifier: GPL-3.0-only
// Fft of any length: mixed radix (Stockham, no bit reversal) for lengths of small primes,
// Bluestein's convolution for the others. A real transform of even length is a complex one of half
// the length, with even and odd elements as real and imaginary parts. Computed in double, so that
// spectra of quiet passages and the way back lose nothing to f32. One unit is one transform.
#include "steps/steps.hpp"

#include <cmath>
#include <complex>
#include <vector>

namespace rlx::cpu {

namespace {

using complex = std::complex<double>;

constexpr double two_pi = 6.283185307179586476925286766559;
constexpr double sin3 = 0.86602540378443864676;
constexpr std::int64_t largest_radix = 13;

complex times(complex a, complex b) { // without the library's checks for infinities
    return {a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real()};
}

complex unit(std::int64_t k, std::int64_t n) { // exp(-2 pi i k / n)
    const double t = -two_pi * static_cast<double>(k % n) / static_cast<double>(n);
    return {std::cos(t), std::sin(t)};
}

// Forward transforms of one length that is a product of small primes.
class radix_plan {
public:
    static bool fits(std::int64_t n) {
        for (std::int64_t p = 2; p <= largest_radix; ++p) {
            while (n % p == 0)
                n /= p;
        }
        return n == 1;
    }

    explicit radix_plan(std::int64_t n) : n_(n) {
        for (std::int64_t p : {4, 2, 3, 5, 7, 11, 13}) {
            for (; n % p == 0; n /= p)
                factors_.push_back(p);
        }
        for (std::int64_t k = 0; k < n_; ++k)
            roots_.push_back(unit(k, n_));
    }

    // Transforms x in place; temp has room for as many. Stage with radix p: the transforms of
    // length `done`, [frequency][residue] in memory, become transforms of length done * p.
    void run(complex* x, complex* temp) const {
        complex* from = x;
        complex* to = temp;
        std::int64_t done = 1;
        for (const std::int64_t p : factors_) {
            stage(from, to, p, done);
            std::swap(from, to);
            done *= p;
        }
        if (from != x) std::copy(from, from + n_, x);
    }

private:
    void stage(const complex* x, complex* y, std::int64_t p, std::int64_t done) const {
        const std::int64_t rest = n_ / (done * p);
        complex v[largest_radix];
        for (std::int64_t j = 0; j < done; ++j) {
            for (std::int64_t r = 0; r < rest; ++r) {
                const std::int64_t at = j * p * rest + r;
                for (std::int64_t k = 0; k < p; ++k)
                    v[k] = times(x[at + k * rest], roots_[static_cast<std::size_t>(j * k * rest)]);
                butterfly(v, y + j * rest + r, p, done * rest);
            }
        }
    }

    // y[m * step] = sum of v[k] exp(-2 pi i k m / p)
    void butterfly(const complex* v, complex* y, std::int64_t p, std::int64_t step) const {
        if (p == 2) {
            y[0] = v[0] + v[1];
            y[step] = v[0] - v[1];
            return;
        }
        if (p == 3) {
            const complex s = v[1] + v[2], d = v[1] - v[2], m = v[0] - 0.5 * s;
            const complex r = {sin3 * d.imag(), -sin3 * d.real()};
            y[0] = v[0] + s;
            y[step] = m + r;
            y[2 * step] = m - r;
            return;
        }
        if (p == 5) return five(v, y, step);
        if (p == 4) {
            const complex a = v[0] + v[2], b = v[0] - v[2], c = v[1] + v[3], d = v[1] - v[3];
            y[0] = a + c;
            y[step] = {b.real() + d.imag(), b.imag() - d.real()};
            y[2 * step] = a - c;
            y[3 * step] = {b.real() - d.imag(), b.imag() + d.real()};
            return;
        }
        const std::int64_t turn = n_ / p;
        for (std::int64_t m = 0; m < p; ++m) {
            complex sum = v[0];
            for (std::int64_t k = 1; k < p; ++k)
                sum += times(v[k], roots_[static_cast<std::size_t>(k * m % p * turn)]);
            y[m * step] = sum;
        }
    }

    static void five(const complex* v, complex* y, std::int64_t step) {
        constexpr double c1 = 0.30901699437494742410, c2 = -0.80901699437494742410;
        constexpr double s1 = 0.95105651629515357212, s2 = 0.58778525229247312917;
        const complex a = v[1] + v[4], b = v[1] - v[4], c = v[2] + v[3], d = v[2] - v[3];
        const complex p = v[0] + c1 * a + c2 * c, q = v[0] + c2 * a + c1 * c;
        const complex e = s1 * b + s2 * d, f = s2 * b - s1 * d;
        const complex er = {e.imag(), -e.real()}, fr = {f.imag(), -f.real()};
        y[0] = v[0] + a + c;
        y[step] = p + er;
        y[2 * step] = q + fr;
        y[3 * step] = q - fr;
        y[4 * step] = p - er;
    }

    std::int64_t n_;
    std::vector<std::int64_t> factors_;
    std::vector<complex> roots_; // exp(-2 pi i k / n)
};

class fft_plan {
public:
    explicit fft_plan(std::int64_t n) : n_(n), radix_(radix_plan::fits(n) ? n : power_of_two(n)) {
        if (radix_plan::fits(n)) return;
        wide_ = power_of_two(n);
        for (std::int64_t k = 0; k < n; ++k)
            chirp_.push_back(unit(k * k % (2 * n), 2 * n));
        filter_.assign(static_cast<std::size_t>(wide_), complex{});
        for (std::int64_t k = 0; k < n; ++k) {
            const complex c = std::conj(chirp_[static_cast<std::size_t>(k)]);
            filter_[static_cast<std::size_t>(k)] = c;
            if (k) filter_[static_cast<std::size_t>(wide_ - k)] = c;
        }
        std::vector<complex> temp(filter_.size());
        radix_.run(filter_.data(), temp.data());
    }

    // Complex numbers a thread needs beside the n of its data.
    std::int64_t scratch() const { return wide_ ? 2 * wide_ : n_; }

    void run(complex* x, complex* scratch) const {
        if (wide_ == 0) return radix_.run(x, scratch);
        complex* temp = scratch + wide_;
        std::fill(scratch, scratch + wide_, complex{});
        for (std::int64_t k = 0; k < n_; ++k)
            scratch[k] = times(x[k], chirp_[static_cast<std::size_t>(k)]);
        radix_.run(scratch, temp);
        // The inverse of a product is the conjugate of the forward transform of its conjugate.
        for (std::int64_t k = 0; k < wide_; ++k)
            scratch[k] = std::conj(times(scratch[k], filter_[static_cast<std::size_t>(k)]));
        radix_.run(scratch, temp);
        const double scale = 1.0 / static_cast<double>(wide_);
        for (std::int64_t k = 0; k < n_; ++k)
            x[k] = times(std::conj(scratch[k]) * scale, chirp_[static_cast<std::size_t>(k)]);
    }

private:
    static std::int64_t power_of_two(std::int64_t n) {
        std::int64_t m = 1;
        while (m < 2 * n - 1)
            m *= 2;
        return m;
    }

    std::int64_t n_, wide_ = 0;
    radix_plan radix_;
    std::vector<complex> chirp_, filter_;
};

class fft_step final : public step {
public:
    fft_step(std::int64_t kind, std::int64_t n)
        : kind_(kind), n_(n), halved_((kind == RLX_FFT_R2C || kind == RLX_FFT_C2R) && n % 2 == 0),
          size_(halved_ ? n / 2 : n), plan_(size_) {
        local_bytes =
            align64(static_cast<std::uint64_t>(size_ + plan_.scratch()) * sizeof(complex));
        for (std::int64_t k = 0; halved_ && k <= size_; ++k)
            turn_.push_back(unit(k, n));
    }

    void run(worker& w) override {
        const tensor &x = *in[0], &y = *out[0];
        const std::int64_t made = n_ / 2 + 1;
        const std::int64_t from = kind_ == RLX_FFT_R2C   ? n_
                                  : kind_ == RLX_FFT_C2R ? 2 * made
                                                         : 2 * n_;
        const std::int64_t to = kind_ == RLX_FFT_C2R   ? n_
                                : kind_ == RLX_FFT_R2C ? 2 * made
                                                       : 2 * n_;
        auto* z = reinterpret_cast<complex*>(w.local());
        const worker::share mine = w.split(x.count / from);
        for (std::int64_t r = mine.begin; r < mine.end; ++r) {
            load(z, x.f32() + r * from);
            plan_.run(z, z + size_);
            store(z, y.f32() + r * to);
        }
    }

private:
    static complex at(const float* x, std::int64_t k) { return {x[2 * k], x[2 * k + 1]}; }

    static void put(float* y, std::int64_t k, complex v) {
        y[2 * k] = static_cast<float>(v.real());
        y[2 * k + 1] = static_cast<float>(v.imag());
    }

    // Inverses are forward transforms of the conjugate, conjugated.
    void load(complex* z, const float* x) const {
        if (halved_ && kind_ == RLX_FFT_C2R) return fold(z, x);
        const bool real = kind_ == RLX_FFT_R2C && !halved_;
        for (std::int64_t k = 0; k < size_ && kind_ != RLX_FFT_C2R; ++k) {
            const complex v = real ? complex(x[k]) : at(x, k);
            z[k] = kind_ == RLX_FFT_C2C_INVERSE ? std::conj(v) : v;
        }
        // An odd spectrum: the second half mirrors the first, conjugated.
        for (std::int64_t k = 0; k < n_ && kind_ == RLX_FFT_C2R; ++k)
            z[k] = k == 0 ? complex(x[0]) : 2 * k < n_ ? std::conj(at(x, k)) : at(x, n_ - k);
    }

    // The half-length spectrum of even and odd elements, conjugated: E + i O.
    void fold(complex* z, const float* x) const {
        for (std::int64_t k = 0; k < size_; ++k) {
            const complex a = k == 0 ? complex(x[0]) : at(x, k);
            const complex b = k == 0 ? complex(x[2 * size_]) : std::conj(at(x, size_ - k));
            const complex even = 0.5 * (a + b);
            const complex odd = times(0.5 * (a - b), std::conj(turn_[static_cast<std::size_t>(k)]));
            z[k] = std::conj(even + complex{-odd.imag(), odd.real()});
        }
    }

    void store(const complex* z, float* y) const {
        const double scale = 1.0 / static_cast<double>(size_);
        switch (kind_) {
        case RLX_FFT_C2C:
            for (std::int64_t k = 0; k < n_; ++k)
                put(y, k, z[k]);
            return;
        case RLX_FFT_C2C_INVERSE:
            for (std::int64_t k = 0; k < n_; ++k)
                put(y, k, std::conj(z[k]) * scale);
            return;
        case RLX_FFT_C2R:
            for (std::int64_t k = 0; k < size_; ++k) {
                if (halved_)
                    put(y, k, std::conj(z[k]) * scale);
                else
                    y[k] = static_cast<float>(z[k].real() * scale);
            }
            return;
        default: break;
        }
        for (std::int64_t k = 0; k <= n_ / 2; ++k)
            put(y, k, halved_ ? unfolded(z, k) : z[k]);
    }

    // Element k of the whole spectrum from that of even and odd elements together.
    complex unfolded(const complex* z, std::int64_t k) const {
        const complex a = z[k % size_], b = std::conj(z[(size_ - k) % size_]);
        const complex odd = times(0.5 * (a - b), turn_[static_cast<std::size_t>(k)]);
        return 0.5 * (a + b) + complex{odd.imag(), -odd.real()};
    }

    std::int64_t kind_, n_;
    bool halved_;
    std::int64_t size_; // of the complex transform
    fft_plan plan_;
    std::vector<complex> turn_; // exp(-2 pi i k / n)
};

} // namespace

step_ptr make_fft(const node& n) {
    const std::int64_t kind = n.i64(RLX_ATTR_kind);
    const tensor& x = *n.in[0];
    const std::int64_t length = kind == RLX_FFT_R2C   ? x.last()
                                : kind == RLX_FFT_C2R ? n.out[0]->last()
                                                      : x.dim[x.rank - 2];
    return with_tensors(std::make_unique<fft_step>(kind, length), n);
}

} // namespace rlx::cpu
