// SPDX-License-Identifier: GPL-3.0-only
// Copy and Concat: shaders/copy.comp.
#include "ops/list.hpp"

namespace rlx::vulkan {

namespace {

struct constants {
    std::uint32_t n, x0, y0, rank, dim[8], x[8], y[8];
};

status copy_tensor(recorder& r, const tensor& x, const tensor& y) {
    if (x.count == 0) return {};
    const walk w = make_walk(x, {&x, &y});
    const slice from = RLX_TRY(r.prog().at(x)), to = RLX_TRY(r.prog().at(y));
    constants c{};
    c.n = u32(x.count);
    c.x0 = from.first;
    c.y0 = to.first;
    c.rank = w.rank;
    fill_dims(w, c.dim);
    fill_strides(w, 0, c.x);
    fill_strides(w, 1, c.y);
    const char* shader = to.element == 1   ? "copy_1"
                         : to.element == 2 ? "copy_2"
                         : to.element == 4 ? "copy_4"
                                           : "copy_8";
    return r.dispatch(shader, {}, {reads(from), writes(to)}, c, {groups_of(x.count)});
}

struct copy_step final : step {
    status prepare(program& p) override { return want_plain(p, n); }

    status record(recorder& r) override { return copy_tensor(r, *n.in[0], *n.out[0]); }
};

struct concat_step final : step {
    status prepare(program& p) override { return want_plain(p, n); }

    status record(recorder& r) override {
        const auto axis = static_cast<std::size_t>(n.view.i64(RLX_ATTR_axis));
        tensor part = *n.out[0]; // the place of one input
        for (const tensor* x : n.in) {
            part.dim[axis] = x->dim[axis];
            part.count = x->count;
            RLX_CHECK(copy_tensor(r, *x, part));
            part.offset += x->dim[axis] * part.stride[axis];
        }
        return {};
    }
};

const char* plain_elements(const node& n, const program& p) {
    for (const tensor* t : n.in) {
        if (element_size(t->dtype) == 0) return "packed blocks cannot be copied element by element";
        if (p.roots[t->root].kind == RLX_VALUE_WEIGHT && t->dtype != RLX_F32)
            return "a weight that is held as f32";
    }
    return nullptr;
}

} // namespace

const char* why_Copy(const node& n, const program& p) {
    return plain_elements(n, p);
}

const char* why_Concat(const node& n, const program& p) {
    return plain_elements(n, p);
}

std::unique_ptr<step> make_Copy() {
    return make_step<copy_step>();
}

std::unique_ptr<step> make_Concat() {
    return make_step<concat_step>();
}

} // namespace rlx::vulkan
