// SPDX-License-Identifier: GPL-3.0-only
// Ops that treat elements one by one, over any strides: the shapes are collapsed to as few axes as
// possible, rows go to the tier's kernels, and rows with other inner strides than 0 and 1 are
// gathered first.
#include "steps/steps.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace rlx::cpu {

namespace {

constexpr std::int64_t piece = 1024; // elements of a row at a time
constexpr int max_operands = 4;      // the output and three inputs

// One piece of a row: operand 0 is the output; step is 0 or 1.
struct row_args {
    char* p[max_operands];
    std::int64_t step[max_operands];
    std::int64_t n;

    float* f32(int i) const { return reinterpret_cast<float*>(p[i]); }

    std::int32_t* i32(int i) const { return reinterpret_cast<std::int32_t*>(p[i]); }
};

class elementwise_step;
using row_fn = void (*)(const elementwise_step& s, const kernels& k, const row_args& r);

class elementwise_step final : public step {
public:
    row_fn fn = nullptr;
    bool broadcasts = true; // fn takes step 0
    std::uint32_t kind = 0;
    float a = 0, b = 0;

    status resize(program& p) override;
    void run(worker& w) override;

private:
    void gather(const tensor& t, int operand, char* from, char* to, std::int64_t n) const;

    int rank_ = 0;
    std::int64_t dim_[RLX_MAX_RANK] = {};
    std::int64_t stride_[max_operands][RLX_MAX_RANK] = {}; // elements
    std::int64_t pieces_per_row_ = 1;
    std::int64_t pieces_ = 0;
};

status elementwise_step::resize(program&) {
    const tensor& o = *out[0];
    const int operands = static_cast<int>(in.size()) + 1;
    rank_ = 0;
    // From the innermost axis out; an axis joins its inner neighbour when every operand steps
    // evenly over both.
    for (std::uint32_t i = o.rank; i-- > 0;) {
        if (o.dim[i] == 1) continue;
        std::int64_t s[max_operands] = {};
        for (int k = 0; k < operands; ++k) {
            const tensor& t = k ? *in[static_cast<std::size_t>(k - 1)] : o;
            const std::uint32_t skip = o.rank - t.rank;
            s[k] = i < skip || t.dim[i - skip] == 1 ? 0 : t.stride[i - skip];
        }
        bool joins = rank_ > 0;
        for (int k = 0; k < operands && joins; ++k)
            joins = s[k] == stride_[k][rank_ - 1] * dim_[rank_ - 1];
        if (joins) {
            dim_[rank_ - 1] *= o.dim[i];
            continue;
        }
        dim_[rank_] = o.dim[i];
        for (int k = 0; k < operands; ++k)
            stride_[k][rank_] = s[k];
        ++rank_;
    }
    if (rank_ == 0) {
        rank_ = 1;
        dim_[0] = o.count ? 1 : 0;
        for (auto& s : stride_)
            s[0] = 0;
    }
    std::int64_t outer = 1;
    for (int i = 1; i < rank_; ++i)
        outer *= dim_[i];
    pieces_per_row_ = std::max<std::int64_t>((dim_[0] + piece - 1) / piece, 1);
    pieces_ = o.count ? outer * pieces_per_row_ : 0;
    local_bytes = 3 * piece * 8;
    return {};
}

void elementwise_step::gather(const tensor& t, int operand, char* from, char* to, std::int64_t n)
    const {
    const std::uint32_t size = element_size(t.dtype);
    const std::int64_t bytes = stride_[operand][0] * size;
    for (std::int64_t i = 0; i < n; ++i)
        std::memcpy(to + i * size, from + i * bytes, size);
}

void elementwise_step::run(worker& w) {
    const int operands = static_cast<int>(in.size()) + 1;
    const worker::share mine = w.split(pieces_);
    for (std::int64_t i = mine.begin; i < mine.end; ++i) {
        row_args r{};
        const std::int64_t at = i % pieces_per_row_ * piece;
        r.n = std::min(piece, dim_[0] - at);
        std::int64_t offset[max_operands] = {};
        std::int64_t rest = i / pieces_per_row_;
        for (int d = 1; d < rank_; ++d) {
            const std::int64_t x = rest % dim_[d];
            rest /= dim_[d];
            for (int k = 0; k < operands; ++k)
                offset[k] += x * stride_[k][d];
        }
        for (int k = 0; k < operands; ++k) {
            const tensor& t = k ? *in[static_cast<std::size_t>(k - 1)] : *out[0];
            const std::int64_t inner = dim_[0] == 1 ? 1 : stride_[k][0];
            r.p[k] = t.data + (offset[k] + at * stride_[k][0]) * element_size(t.dtype);
            r.step[k] = inner;
            if (inner == 1 || (inner == 0 && broadcasts && k)) continue;
            char* temp = w.local() + (k - 1) * piece * 8;
            gather(t, k, r.p[k], temp, r.n);
            r.p[k] = temp;
            r.step[k] = 1;
        }
        fn(*this, w.k(), r);
    }
}

// ---- rows
// ------------------------------------------------------------------------------------------

void unary_row(const elementwise_step& s, const kernels& k, const row_args& r) {
    k.unary(s.kind, r.f32(0), r.f32(1), r.n);
}

void affine_row(const elementwise_step& s, const kernels& k, const row_args& r) {
    k.affine(r.f32(0), r.f32(1), r.n, s.a, s.b);
}

void clamp_row(const elementwise_step& s, const kernels& k, const row_args& r) {
    k.clamp(r.f32(0), r.f32(1), r.n, s.a, s.b);
}

void glu_row(const elementwise_step& s, const kernels& k, const row_args& r) {
    k.glu(s.kind, r.f32(0), r.f32(1), r.f32(2), r.n);
}

void binary_row(const elementwise_step& s, const kernels& k, const row_args& r) {
    k.binary(s.kind, r.f32(0), r.f32(1), r.step[1], r.f32(2), r.step[2], r.n);
}

std::int32_t wrap(std::int64_t v) {
    return static_cast<std::int32_t>(static_cast<std::uint32_t>(v));
}

std::int32_t integer_power(std::int32_t base, std::int32_t exponent) {
    if (exponent < 0) return base == 1 ? 1 : base == -1 ? (exponent % 2 ? -1 : 1) : 0;
    std::uint32_t result = 1, b = static_cast<std::uint32_t>(base);
    for (; exponent; exponent >>= 1, b *= b) {
        if (exponent & 1) result *= b;
    }
    return static_cast<std::int32_t>(result);
}

std::int32_t integer_op(std::uint32_t kind, std::int32_t x, std::int32_t y) {
    const std::int64_t a = x, b = y;
    switch (kind) {
    case RLX_BINARY_ADD: return wrap(a + b);
    case RLX_BINARY_SUB: return wrap(a - b);
    case RLX_BINARY_MUL: return wrap(a * b);
    case RLX_BINARY_DIV: return b ? wrap(a / b) : 0; // as integers have no infinity
    case RLX_BINARY_MAX: return std::max(x, y);
    case RLX_BINARY_MIN: return std::min(x, y);
    default: return integer_power(x, y);
    }
}

void binary_i32_row(const elementwise_step& s, const kernels&, const row_args& r) {
    for (std::int64_t i = 0; i < r.n; ++i) {
        r.i32(0)[i] = integer_op(s.kind, r.i32(1)[i * r.step[1]], r.i32(2)[i * r.step[2]]);
    }
}

template <class T>
bool compare_op(std::uint32_t kind, T a, T b) {
    switch (kind) {
    case RLX_COMPARE_EQ: return a == b;
    case RLX_COMPARE_NE: return a != b;
    case RLX_COMPARE_LT: return a < b;
    case RLX_COMPARE_LE: return a <= b;
    case RLX_COMPARE_GT: return a > b;
    default: return a >= b;
    }
}

template <class T>
void compare_row(const elementwise_step& s, const kernels&, const row_args& r) {
    const T* a = reinterpret_cast<const T*>(r.p[1]);
    const T* b = reinterpret_cast<const T*>(r.p[2]);
    for (std::int64_t i = 0; i < r.n; ++i) {
        r.p[0][i] = compare_op(s.kind, a[i * r.step[1]], b[i * r.step[2]]) ? 1 : 0;
    }
}

// f32 and i32 alike: four bytes move.
void select_row(const elementwise_step&, const kernels&, const row_args& r) {
    for (std::int64_t i = 0; i < r.n; ++i) {
        r.i32(0)[i] = r.p[1][i * r.step[1]] ? r.i32(2)[i * r.step[2]] : r.i32(3)[i * r.step[3]];
    }
}

void copy_row(const elementwise_step& s, const kernels&, const row_args& r) {
    std::memcpy(r.p[0], r.p[1], static_cast<std::size_t>(r.n) * element_size(s.out[0]->dtype));
}

// ---- cast
// ------------------------------------------------------------------------------------------

// What an element is on its way from one type to another.
struct number {
    bool whole;
    std::int64_t i;
    double f;
};

template <class T>
T at(const char* p, std::int64_t i) {
    T v;
    std::memcpy(&v, p + i * static_cast<std::int64_t>(sizeof(T)), sizeof v);
    return v;
}

number integer(std::int64_t i) {
    return {true, i, static_cast<double>(i)};
}

number real(double f) {
    return {false, 0, f};
}

number read_number(const kernels& k, std::uint16_t dtype, const char* p, std::int64_t i) {
    float f = 0;
    std::uint16_t h = 0;
    switch (dtype) {
    case RLX_F32: return real(at<float>(p, i));
    case RLX_F64: return real(at<double>(p, i));
    case RLX_F16:
        h = at<std::uint16_t>(p, i);
        k.f16_to_f32(&f, &h, 1);
        return real(f);
    case RLX_BF16:
        h = at<std::uint16_t>(p, i);
        k.bf16_to_f32(&f, &h, 1);
        return real(f);
    case RLX_I64: return integer(at<std::int64_t>(p, i));
    case RLX_I32: return integer(at<std::int32_t>(p, i));
    case RLX_I16: return integer(at<std::int16_t>(p, i));
    case RLX_I8: return integer(at<std::int8_t>(p, i));
    case RLX_BOOL: return integer(at<std::uint8_t>(p, i) != 0);
    default: return integer(at<std::uint8_t>(p, i));
    }
}

// Floats toward zero, saturating, NaN -> 0; integers wrap.
template <class T>
T to_whole(const number& v) {
    constexpr auto lo = std::numeric_limits<T>::min();
    constexpr auto hi = std::numeric_limits<T>::max();
    if (v.whole) return static_cast<T>(static_cast<std::uint64_t>(v.i));
    if (std::isnan(v.f)) return 0;
    if (v.f <= static_cast<double>(lo)) return lo;
    if (v.f >= static_cast<double>(hi)) return hi;
    return static_cast<T>(v.f);
}

template <class T>
void put(char* p, std::int64_t i, T v) {
    std::memcpy(p + i * static_cast<std::int64_t>(sizeof(T)), &v, sizeof v);
}

std::uint16_t to_bf16(float f) {
    std::uint32_t u;
    std::memcpy(&u, &f, 4);
    if (f != f) return static_cast<std::uint16_t>((u >> 16) | 0x40u);
    return static_cast<std::uint16_t>((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
}

// A float from which a shorter one can be made with the one rounding that its type has: what does
// not fit is kept as an odd last bit.
float sticky(double d) {
    const auto f = static_cast<float>(d);
    if (static_cast<double>(f) == d || !(std::fabs(f) < INFINITY)) return f;
    std::uint32_t u;
    std::memcpy(&u, &f, 4);
    if (std::fabs(static_cast<double>(f)) > std::fabs(d)) --u; // toward zero
    u |= 1u;
    float odd;
    std::memcpy(&odd, &u, 4);
    return odd;
}

void write_number(const kernels& k, std::uint16_t dtype, char* p, std::int64_t i, const number& v) {
    const float f = dtype == RLX_F32 ? static_cast<float>(v.f) : sticky(v.f);
    std::uint16_t h = 0;
    switch (dtype) {
    case RLX_F32: return put(p, i, v.whole ? static_cast<float>(v.i) : f);
    case RLX_F64: return put(p, i, v.f);
    case RLX_F16: k.f32_to_f16(&h, &f, 1); return put(p, i, h);
    case RLX_BF16: return put(p, i, to_bf16(f));
    case RLX_I64: return put(p, i, to_whole<std::int64_t>(v));
    case RLX_I32: return put(p, i, to_whole<std::int32_t>(v));
    case RLX_I16: return put(p, i, to_whole<std::int16_t>(v));
    case RLX_I8: return put(p, i, to_whole<std::int8_t>(v));
    case RLX_BOOL: return put<std::uint8_t>(p, i, v.f != 0 ? 1 : 0);
    default: return put(p, i, to_whole<std::uint8_t>(v));
    }
}

void cast_row(const elementwise_step& s, const kernels& k, const row_args& r) {
    const std::uint16_t from = s.in[0]->dtype, to = s.out[0]->dtype;
    if (from == RLX_F16 && to == RLX_F32) {
        return k.f16_to_f32(r.f32(0), reinterpret_cast<const std::uint16_t*>(r.p[1]), r.n);
    }
    if (from == RLX_BF16 && to == RLX_F32) {
        return k.bf16_to_f32(r.f32(0), reinterpret_cast<const std::uint16_t*>(r.p[1]), r.n);
    }
    if (from == RLX_F32 && to == RLX_F16) {
        return k.f32_to_f16(reinterpret_cast<std::uint16_t*>(r.p[0]), r.f32(1), r.n);
    }
    for (std::int64_t i = 0; i < r.n; ++i)
        write_number(k, to, r.p[0], i, read_number(k, from, r.p[1], i));
}

row_fn row_of(const node& n) {
    const bool whole = n.in[0]->dtype == RLX_I32;
    switch (n.info.op) {
    case RLX_OP_Unary: return unary_row;
    case RLX_OP_Binary: return whole ? binary_i32_row : binary_row;
    case RLX_OP_Compare: return whole ? compare_row<std::int32_t> : compare_row<float>;
    case RLX_OP_Select: return select_row;
    case RLX_OP_Clamp: return clamp_row;
    case RLX_OP_Affine: return affine_row;
    case RLX_OP_Glu: return glu_row;
    case RLX_OP_Cast: return cast_row;
    default: return copy_row;
    }
}

} // namespace

step_ptr make_elementwise(const node& n) {
    auto s = std::make_unique<elementwise_step>();
    s->fn = row_of(n);
    s->kind = static_cast<std::uint32_t>(n.i64(RLX_ATTR_kind));
    if (n.info.op == RLX_OP_Affine) {
        s->a = n.f32(RLX_ATTR_scale);
        s->b = n.f32(RLX_ATTR_shift);
    } else if (n.info.op == RLX_OP_Clamp) {
        s->a = n.f32(RLX_ATTR_lo);
        s->b = n.f32(RLX_ATTR_hi);
    }
    s->broadcasts = s->fn == binary_row || s->fn == binary_i32_row || s->fn == select_row ||
                    s->fn == compare_row<float> || s->fn == compare_row<std::int32_t>;
    return with_tensors(std::move(s), n);
}

} // namespace rlx::cpu
