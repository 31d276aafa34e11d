// SPDX-License-Identifier: GPL-3.0-only
// The ops, each written from the comments in rlx/abi/ops.def.
#include "scalar.hpp"

#include <cmath>
#include <cstring>

namespace frozen {
namespace {

using floats = std::vector<float>;

std::size_t idx(std::int64_t i) {
    return static_cast<std::size_t>(i);
}

template <class T>
T* out_of(const node& n, run_state& s) {
    return static_cast<T*>(s.at(n.out[0]).data);
}

// Calls fn(element index in row-major order, element number in memory).
template <class Fn>
void each_element(const tensor& t, Fn&& fn) {
    std::vector<std::int64_t> at(t.dims.size(), 0);
    const std::int64_t n = t.size();
    for (std::int64_t i = 0; i < n; i++) {
        std::int64_t where = t.offset;
        for (std::size_t d = 0; d < at.size(); d++)
            where += at[d] * t.strides[d];
        fn(i, where);
        for (std::size_t d = at.size(); d-- > 0;) {
            if (++at[d] < t.dims[d]) break;
            at[d] = 0;
        }
    }
}

float unary(std::int64_t kind, float x) {
    switch (kind) {
    case RLX_UNARY_NEG: return -x;
    case RLX_UNARY_ABS: return std::fabs(x);
    case RLX_UNARY_EXP: return std::exp(x);
    case RLX_UNARY_LOG: return std::log(x);
    case RLX_UNARY_SQRT: return std::sqrt(x);
    case RLX_UNARY_RSQRT: return 1.0F / std::sqrt(x);
    case RLX_UNARY_RECIPROCAL: return 1.0F / x;
    case RLX_UNARY_TANH: return std::tanh(x);
    case RLX_UNARY_SIGMOID: return 1.0F / (1.0F + std::exp(-x));
    case RLX_UNARY_SILU: return x / (1.0F + std::exp(-x));
    case RLX_UNARY_RELU: return x > 0 ? x : 0;
    default: return NAN;
    }
}

float binary(std::int64_t kind, float a, float b) {
    switch (kind) {
    case RLX_BINARY_ADD: return a + b;
    case RLX_BINARY_SUB: return a - b;
    case RLX_BINARY_MUL: return a * b;
    case RLX_BINARY_DIV: return a / b;
    case RLX_BINARY_MAX: return a > b ? a : b;
    case RLX_BINARY_MIN: return a < b ? a : b;
    case RLX_BINARY_POW: return std::pow(a, b);
    default: return NAN;
    }
}

status run_unary(const node& n, run_state& s) {
    const floats x = s.floats(n.in[0]);
    float* y = out_of<float>(n, s);
    for (std::size_t i = 0; i < x.size(); i++) {
        if (n.info.op == RLX_OP_Unary) y[i] = unary(n.i64(RLX_ATTR_kind), x[i]);
        if (n.info.op == RLX_OP_Affine)
            y[i] = static_cast<float>(n.f64(RLX_ATTR_scale)) * x[i] +
                   static_cast<float>(n.f64(RLX_ATTR_shift));
        if (n.info.op == RLX_OP_Clamp)
            y[i] = std::fmin(
                std::fmax(x[i], static_cast<float>(n.f64(RLX_ATTR_lo))),
                static_cast<float>(n.f64(RLX_ATTR_hi))
            );
    }
    return {};
}

// Copy, and Cast to f32: bits of the element type, whatever it is.
status run_copy(const node& n, run_state& s) {
    const tensor& x = s.at(n.in[0]);
    if (x.info.dtype == RLX_I32) {
        const auto v = s.ints(n.in[0]);
        if (!v.empty()) std::memcpy(out_of<std::int32_t>(n, s), v.data(), v.size() * 4);
        return {};
    }
    const floats v = s.floats(n.in[0]);
    if (!v.empty()) std::memcpy(out_of<float>(n, s), v.data(), v.size() * 4);
    return {};
}

// numpy broadcasting: an operand is read with stride 0 where it has size 1 or no axis.
status run_binary(const node& n, run_state& s) {
    const tensor& out = s.at(n.out[0]);
    if (out.info.dtype != RLX_F32) return fail(RLX_UNSUPPORTED, "Binary on integers");
    const floats operand[2] = {s.floats(n.in[0]), s.floats(n.in[1])};
    std::vector<std::int64_t> stride[2];
    for (int k = 0; k < 2; k++) {
        const auto& dims = s.at(n.in[idx(k)]).dims;
        stride[k].assign(out.dims.size(), 0);
        std::int64_t step = 1;
        for (std::size_t d = 0; d < dims.size(); d++) {
            const std::size_t from = dims.size() - 1 - d;
            if (dims[from] != 1) stride[k][out.dims.size() - 1 - d] = step;
            step *= dims[from];
        }
    }
    float* y = static_cast<float*>(out.data);
    tensor a = out, b = out;
    a.offset = b.offset = 0;
    a.strides = stride[0];
    b.strides = stride[1];
    std::vector<std::int64_t> from_a(idx(out.size()));
    each_element(a, [&](std::int64_t i, std::int64_t at) { from_a[idx(i)] = at; });
    each_element(b, [&](std::int64_t i, std::int64_t at) {
        y[i] = binary(n.i64(RLX_ATTR_kind), operand[0][idx(from_a[idx(i)])], operand[1][idx(at)]);
    });
    return {};
}

status run_gather(const node& n, run_state& s) {
    const floats table = s.floats(n.in[0]);
    const auto ids = s.ints(n.in[1]);
    const std::int64_t rows = s.at(n.in[0]).dims[0];
    const std::size_t width = rows ? table.size() / idx(rows) : 0;
    float* y = out_of<float>(n, s);
    for (std::size_t i = 0; i < ids.size(); i++) {
        if (ids[i] < 0 || ids[i] >= rows)
            return fail(RLX_INVALID_ARGUMENT, "id {} is outside 0..{}", ids[i], rows - 1);
        std::memcpy(y + i * width, table.data() + idx(ids[i]) * width, width * 4);
    }
    return {};
}

status run_matmul(const node& n, run_state& s) {
    const floats x = s.floats(n.in[0]);
    const floats w = s.floats(n.in[1]);
    const bool has_bias = n.in.size() > 2 && n.in[2] != 0;
    const floats bias = has_bias ? s.floats(n.in[2]) : floats();
    const auto n_out = idx(s.at(n.in[1]).dims[0]);
    const auto n_in = idx(s.at(n.in[1]).dims[1]);
    float* y = out_of<float>(n, s);
    for (std::size_t r = 0; n_in > 0 && r * n_in < x.size(); r++) {
        for (std::size_t o = 0; o < n_out; o++) {
            double sum = has_bias ? bias[o] : 0;
            for (std::size_t i = 0; i < n_in; i++)
                sum += double(x[r * n_in + i]) * double(w[o * n_in + i]);
            y[r * n_out + o] = static_cast<float>(sum);
        }
    }
    return {};
}

status run_reduce(const node& n, run_state& s) {
    const tensor& x = s.at(n.in[0]);
    const floats v = s.floats(n.in[0]);
    const auto axis = idx(n.i64(RLX_ATTR_axis));
    const auto length = idx(x.dims[axis]);
    std::size_t inner = 1;
    for (std::size_t d = axis + 1; d < x.dims.size(); d++)
        inner *= idx(x.dims[d]);
    float* y = out_of<float>(n, s);
    const std::int64_t kind = n.i64(RLX_ATTR_kind);
    for (std::size_t i = 0; i < idx(s.at(n.out[0]).size()); i++) {
        const std::size_t first = i / inner * inner * length + i % inner;
        double sum = 0;
        float top = -INFINITY;
        for (std::size_t k = 0; k < length; k++) {
            sum += double(v[first + k * inner]);
            top = std::fmax(top, v[first + k * inner]);
        }
        if (kind == RLX_REDUCE_MEAN && length > 0) sum /= double(length);
        y[i] = kind == RLX_REDUCE_MAX ? top : static_cast<float>(sum);
    }
    return {};
}

status run_concat(const node& n, run_state& s) {
    const tensor& out = s.at(n.out[0]);
    const auto axis = idx(n.i64(RLX_ATTR_axis));
    std::size_t outer = 1, inner = 1;
    for (std::size_t d = 0; d < out.dims.size(); d++)
        (d < axis ? outer : inner) *= d == axis ? 1 : idx(out.dims[d]);
    float* y = static_cast<float*>(out.data);
    std::size_t begin = 0;
    for (const rlx_value in : n.in) {
        const floats v = s.floats(in);
        const std::size_t width = idx(s.at(in).dims[axis]) * inner;
        for (std::size_t o = 0; o < outer; o++) {
            if (width == 0) break;
            std::memcpy(
                y + o * idx(out.dims[axis]) * inner + begin, v.data() + o * width, width * 4
            );
        }
        begin += width;
    }
    return {};
}

status run_rope_table(const node& n, run_state& s) {
    const auto positions = s.ints(n.in[0]);
    const auto dim = idx(n.i64(RLX_ATTR_dim));
    float* y = out_of<float>(n, s);
    for (std::size_t t = 0; t < positions.size(); t++) {
        for (std::size_t j = 0; j < dim / 2; j++) {
            const auto inv =
                static_cast<float>(std::pow(n.f64(RLX_ATTR_base), -2.0 * double(j) / double(dim)));
            const float angle = static_cast<float>(positions[t]) * inv;
            y[t * dim + j] = std::cos(angle);
            y[t * dim + dim / 2 + j] = std::sin(angle);
        }
    }
    return {};
}

std::size_t row_floats(const rlx_state_slot& slot) {
    return idx(slot.n_heads * (slot.k_dim + slot.v_dim));
}

status run_append(const node& n, run_state& s) {
    const tensor& state = s.at(n.in[0]);
    const floats k = s.floats(n.in[1]), v = s.floats(n.in[2]);
    const auto slots = s.ints(n.in[3]);
    const std::size_t row = row_floats(state.info.slot);
    const std::size_t k_row = slots.empty() ? 0 : k.size() / slots.size();
    const std::size_t v_row = slots.empty() ? 0 : v.size() / slots.size();
    for (std::size_t t = 0; t < slots.size(); t++) {
        float* to = static_cast<float*>(state.data) + idx(slots[t]) * row;
        std::memcpy(to, k.data() + t * k_row, k_row * 4);
        std::memcpy(to + k_row, v.data() + t * v_row, v_row * 4);
    }
    return {};
}

struct attention {
    std::int64_t heads, kv_heads, dk, dv, window;
    double scale;
    const float* state;
    std::size_t row;
    std::span<const std::int32_t> pages; // of this sequence
    std::uint32_t page_tokens;

    const float* key(std::int64_t j) const {
        const auto page = idx(pages[idx(j / page_tokens)]);
        return state + (page * page_tokens + idx(j % page_tokens)) * row;
    }

    void head(const float* q, std::int64_t h, std::int64_t position, float* out) const {
        const std::int64_t kv = h / (heads / kv_heads);
        const std::int64_t first =
            window > 0 ? std::max<std::int64_t>(0, position + 1 - window) : 0;
        std::vector<double> score(idx(position + 1));
        double top = -INFINITY, sum = 0;
        for (std::int64_t j = first; j <= position; j++) {
            double dot = 0;
            for (std::int64_t i = 0; i < dk; i++)
                dot += double(q[i]) * double(key(j)[kv * dk + i]);
            score[idx(j)] = dot * scale;
            top = std::max(top, score[idx(j)]);
        }
        for (std::int64_t j = first; j <= position; j++)
            sum += score[idx(j)] = std::exp(score[idx(j)] - top);
        for (std::int64_t i = 0; i < dv; i++) {
            double y = 0;
            for (std::int64_t j = first; j <= position; j++)
                y += score[idx(j)] / sum * double(key(j)[kv_heads * dk + kv * dv + i]);
            out[i] = static_cast<float>(y);
        }
    }
};

status run_attention(const node& n, run_state& s) {
    const tensor& state = s.at(n.in[1]);
    const rlx_state_slot& slot = state.info.slot;
    const floats q = s.floats(n.in[0]);
    const auto cu = s.ints(n.in[2]), lengths = s.ints(n.in[3]), table = s.ints(n.in[4]);
    const std::size_t width = lengths.empty() ? 0 : table.size() / lengths.size();
    if (n.f64(RLX_ATTR_softcap) != 0) return fail(RLX_UNSUPPORTED, "softcap");
    attention a{
        .heads = s.at(n.in[0]).dims[1],
        .kv_heads = slot.n_heads,
        .dk = slot.k_dim,
        .dv = slot.v_dim,
        .window = n.i64(RLX_ATTR_window),
        .scale = n.f64(RLX_ATTR_scale),
        .state = static_cast<const float*>(state.data),
        .row = row_floats(slot),
        .pages = {},
        .page_tokens = s.p.page_tokens};
    float* y = out_of<float>(n, s);
    for (std::size_t b = 0; b < lengths.size(); b++) {
        a.pages = std::span(table).subspan(b * width, width);
        for (std::int64_t t = cu[b]; t < cu[b + 1]; t++) {
            for (std::int64_t h = 0; h < a.heads; h++)
                a.head(
                    q.data() + (t * a.heads + h) * a.dk,
                    h,
                    lengths[b] - (cu[b + 1] - t),
                    y + (t * a.heads + h) * a.dv
                );
        }
    }
    return {};
}

struct row {
    std::uint16_t op;
    status (*run)(const node&, run_state&);
};

constexpr row known[] = {
    {RLX_OP_Unary, run_unary},
    {RLX_OP_Affine, run_unary},
    {RLX_OP_Clamp, run_unary},
    {RLX_OP_Copy, run_copy},
    {RLX_OP_Cast, run_copy},
    {RLX_OP_Binary, run_binary},
    {RLX_OP_GatherRows, run_gather},
    {RLX_OP_MatMul, run_matmul},
    {RLX_OP_Reduce, run_reduce},
    {RLX_OP_Concat, run_concat},
    {RLX_OP_RopeTable, run_rope_table},
    {RLX_OP_KvAppend, run_append},
    {RLX_OP_AttentionState, run_attention},
};

} // namespace

std::vector<float> run_state::floats(rlx_value v) const {
    const tensor& t = at(v);
    std::vector<float> out(idx(t.size()));
    each_element(t, [&](std::int64_t i, std::int64_t from) {
        out[idx(i)] = static_cast<const float*>(t.data)[from];
    });
    return out;
}

std::vector<std::int32_t> run_state::ints(rlx_value v) const {
    const tensor& t = at(v);
    std::vector<std::int32_t> out(idx(t.size()));
    each_element(t, [&](std::int64_t i, std::int64_t from) {
        out[idx(i)] = static_cast<const std::int32_t*>(t.data)[from];
    });
    return out;
}

const char* why_not(const node& n) {
    for (const rlx_attr& a : n.attrs)
        if (a.required && (a.key == 0 || a.key > RLX_ATTR_softcap)) return "an unknown attribute";
    if (n.info.op == RLX_OP_RopeTable &&
        (n.i64(RLX_ATTR_scaling) != RLX_ROPE_NONE || (n.in.size() > 1 && n.in[1] != 0)))
        return "scaled RoPE is not written here";
    if (n.info.op == RLX_OP_Cast && n.i64(RLX_ATTR_dtype) != RLX_F32) return "casts to f32 only";
    for (const row& r : known)
        if (r.op == n.info.op && n.info.version == 1) return nullptr;
    return "only the primitives of plain decoders are written here";
}

status run_node(const node& n, run_state& s) {
    for (const row& r : known)
        if (r.op == n.info.op) return r.run(n, s);
    return {}; // a view
}

} // namespace frozen
