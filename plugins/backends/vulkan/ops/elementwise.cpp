// SPDX-License-Identifier: GPL-3.0-only
// Unary, Affine, Clamp, Binary, Glu, Select: shaders/unary.comp, binary.comp, select.comp.
#include "ops/list.hpp"

namespace rlx::vulkan {

namespace {

struct unary_step final : step {
    struct constants {
        std::uint32_t n, kind, x0, y0;
        float a, b;
        std::uint32_t rank, dim[8], x[8];
    };

    status prepare(program& p) override { return want_plain(p, n); }

    status record(recorder& r) override {
        const tensor &x = *n.in[0], &y = *n.out[0];
        if (y.count == 0) return {};
        const walk w = make_walk(y, {&x});
        const slice from = RLX_TRY(r.prog().at(x)), to = RLX_TRY(r.prog().at(y));
        constants c{};
        c.n = u32(y.count);
        c.x0 = from.first;
        c.y0 = to.first;
        c.rank = w.rank;
        fill_dims(w, c.dim);
        fill_strides(w, 0, c.x);
        switch (n.op()) {
        case RLX_OP_Affine:
            c.kind = 100;
            c.a = static_cast<float>(n.view.real(RLX_ATTR_scale));
            c.b = static_cast<float>(n.view.real(RLX_ATTR_shift));
            break;
        case RLX_OP_Clamp:
            c.kind = 101;
            c.a = static_cast<float>(n.view.real(RLX_ATTR_lo));
            c.b = static_cast<float>(n.view.real(RLX_ATTR_hi));
            break;
        default: c.kind = u32(n.view.i64(RLX_ATTR_kind));
        }
        return r.dispatch("unary", {}, {reads(from), writes(to)}, c, {groups_of(y.count)});
    }
};

// Binary and Glu
struct binary_step final : step {
    struct constants {
        std::uint32_t n, kind, a0, b0, y0, rank, dim[8], a[8], b[8];
    };

    status prepare(program& p) override { return want_plain(p, n); }

    status record(recorder& r) override {
        const tensor &a = *n.in[0], &b = *n.in[1], &y = *n.out[0];
        if (y.count == 0) return {};
        const walk w = make_walk(y, {&a, &b});
        const slice sa = RLX_TRY(r.prog().at(a)), sb = RLX_TRY(r.prog().at(b));
        const slice sy = RLX_TRY(r.prog().at(y));
        constants c{};
        c.n = u32(y.count);
        c.kind = u32(n.view.i64(RLX_ATTR_kind)) + (n.op() == RLX_OP_Glu ? 100 : 0);
        c.a0 = sa.first;
        c.b0 = sb.first;
        c.y0 = sy.first;
        c.rank = w.rank;
        fill_dims(w, c.dim);
        fill_strides(w, 0, c.a);
        fill_strides(w, 1, c.b);
        return r.dispatch(
            y.dtype == RLX_I32 ? "binary_i32" : "binary_f32",
            {},
            {reads(sa), reads(sb), writes(sy)},
            c,
            {groups_of(y.count)}
        );
    }
};

struct select_step final : step {
    struct constants {
        std::uint32_t n, c0, a0, b0, y0, rank, dim[6], c[6], a[6], b[6];
    };

    status prepare(program& p) override { return want_plain(p, n); }

    status record(recorder& r) override {
        const tensor& y = *n.out[0];
        if (y.count == 0) return {};
        const walk w = make_walk(y, {n.in[0], n.in[1], n.in[2]});
        const slice sc = RLX_TRY(r.prog().at(*n.in[0])), sa = RLX_TRY(r.prog().at(*n.in[1]));
        const slice sb = RLX_TRY(r.prog().at(*n.in[2])), sy = RLX_TRY(r.prog().at(y));
        constants c{};
        c.n = u32(y.count);
        c.c0 = sc.first;
        c.a0 = sa.first;
        c.b0 = sb.first;
        c.y0 = sy.first;
        c.rank = w.rank;
        fill_dims(w, c.dim);
        fill_strides(w, 0, c.c);
        fill_strides(w, 1, c.a);
        fill_strides(w, 2, c.b);
        return r.dispatch(
            "select", {}, {reads(sc), reads(sa), reads(sb), writes(sy)}, c, {groups_of(y.count)}
        );
    }
};

const char* same_numbers(const node& n, const program& p, std::size_t first) {
    const bool whole = n.in[first]->dtype == RLX_I32;
    for (std::size_t i = first; i < n.in.size(); ++i)
        if (whole ? n.in[i]->dtype != RLX_I32 : !f32_like(p, n.in[i]))
            return "operands must be f32 or i32";
    return nullptr;
}

} // namespace

const char* why_Unary(const node& n, const program& p) {
    const std::int64_t kind = n.view.i64(RLX_ATTR_kind);
    if (kind < RLX_UNARY_NEG || kind > RLX_UNARY_RELU)
        return "a function this backend does not know";
    return all_f32(n, p);
}

const char* why_Affine(const node& n, const program& p) {
    return all_f32(n, p);
}

const char* why_Clamp(const node& n, const program& p) {
    return all_f32(n, p);
}

const char* why_Binary(const node& n, const program& p) {
    const std::int64_t kind = n.view.i64(RLX_ATTR_kind);
    if (kind < RLX_BINARY_ADD || kind > RLX_BINARY_POW)
        return "a function this backend does not know";
    return same_numbers(n, p, 0);
}

const char* why_Glu(const node& n, const program& p) {
    const std::int64_t kind = n.view.i64(RLX_ATTR_kind);
    if (kind < RLX_GLU_SWIGLU || kind > RLX_GLU_SIGMOID)
        return "a function this backend does not know";
    return all_f32(n, p);
}

const char* why_Select(const node& n, const program& p) {
    if (n.in[0]->dtype != RLX_BOOL) return "the condition must be bool";
    if (n.out[0]->rank > 6) return "more than six axes";
    return same_numbers(n, p, 1);
}

std::unique_ptr<step> make_Unary() {
    return make_step<unary_step>();
}

std::unique_ptr<step> make_Affine() {
    return make_step<unary_step>();
}

std::unique_ptr<step> make_Clamp() {
    return make_step<unary_step>();
}

std::unique_ptr<step> make_Binary() {
    return make_step<binary_step>();
}

std::unique_ptr<step> make_Glu() {
    return make_step<binary_step>();
}

std::unique_ptr<step> make_Select() {
    return make_step<select_step>();
}

} // namespace rlx::vulkan
