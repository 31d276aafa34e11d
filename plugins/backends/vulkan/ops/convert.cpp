// SPDX-License-Identifier: GPL-3.0-only
// Fill, Arange, Compare, Cast: shaders/fill.comp, compare.comp, cast.comp.
#include "ops/list.hpp"

#include <cstring>

namespace rlx::vulkan {

namespace {

// Fill and Arange
struct fill_step final : step {
    struct constants {
        std::uint32_t n, y0, value, step;
    };

    status record(recorder& r) override {
        const tensor& y = *n.out[0];
        if (y.count == 0) return {};
        const slice to = RLX_TRY(r.prog().at(y));
        constants c{};
        c.n = u32(y.count);
        c.y0 = to.first;
        c.step = n.op() == RLX_OP_Arange ? 1 : 0;
        const double value = n.view.real(RLX_ATTR_value, 0);
        if (y.dtype == RLX_F32) {
            const auto x = static_cast<float>(value);
            std::memcpy(&c.value, &x, sizeof x);
        } else if (y.dtype == RLX_BOOL) {
            c.value = value != 0 ? 1 : 0;
        } else {
            c.value = u32(static_cast<std::int64_t>(value));
        }
        return r.dispatch(
            to.element == 1 ? "fill_1" : "fill_4", {}, {writes(to)}, c, {groups_of(y.count)}
        );
    }
};

struct compare_step final : step {
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
        c.kind = u32(n.view.i64(RLX_ATTR_kind));
        c.a0 = sa.first;
        c.b0 = sb.first;
        c.y0 = sy.first;
        c.rank = w.rank;
        fill_dims(w, c.dim);
        fill_strides(w, 0, c.a);
        fill_strides(w, 1, c.b);
        return r.dispatch(
            a.dtype == RLX_I32 ? "compare_i32" : "compare_f32",
            {},
            {reads(sa), reads(sb), writes(sy)},
            c,
            {groups_of(y.count)}
        );
    }
};

// How cast.comp counts the types; 3: it does not know them.
std::uint32_t cast_type(std::uint16_t dtype) {
    return dtype == RLX_F32 ? 0 : dtype == RLX_I32 ? 1 : dtype == RLX_BOOL ? 2 : 3;
}

struct cast_step final : step {
    struct constants {
        std::uint32_t n, x0, y0, rank, dim[8], x[8];
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
        const std::uint32_t type = f32_like(r.prog(), &x) ? 0 : cast_type(x.dtype);
        return r.dispatch(
            sdk::format("cast_{}{}", type, cast_type(y.dtype)),
            {},
            {reads(from), writes(to)},
            c,
            {groups_of(y.count)}
        );
    }
};

} // namespace

const char* why_Fill(const node& n, const program&) {
    return cast_type(n.out[0]->dtype) < 3 ? nullptr : "values must be f32, i32 or bool";
}

const char* why_Arange(const node&, const program&) {
    return nullptr;
}

const char* why_Compare(const node& n, const program& p) {
    const std::int64_t kind = n.view.i64(RLX_ATTR_kind);
    if (kind < RLX_COMPARE_EQ || kind > RLX_COMPARE_GE)
        return "a comparison this backend does not know";
    if (n.in[0]->dtype == RLX_I32 && n.in[1]->dtype == RLX_I32) return nullptr;
    return all_f32(n, p);
}

const char* why_Cast(const node& n, const program& p) {
    if (!f32_like(p, n.in[0]) && cast_type(n.in[0]->dtype) == 3)
        return "only f32, i32 and bool are cast here";
    return cast_type(n.out[0]->dtype) < 3 ? nullptr : "only f32, i32 and bool are cast here";
}

std::unique_ptr<step> make_Fill() {
    return make_step<fill_step>();
}

std::unique_ptr<step> make_Arange() {
    return make_step<fill_step>();
}

std::unique_ptr<step> make_Compare() {
    return make_step<compare_step>();
}

std::unique_ptr<step> make_Cast() {
    return make_step<cast_step>();
}

} // namespace rlx::vulkan
