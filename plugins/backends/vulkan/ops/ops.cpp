// SPDX-License-Identifier: GPL-3.0-only
#include "ops/ops.hpp"

#include "ops/list.hpp"

#include <algorithm>

namespace rlx::vulkan {

namespace {

enum class op_kind { View, Primitive, Composite };

struct op_rule {
    std::uint16_t op;
    std::uint16_t version;
    op_kind kind;
};

constexpr op_rule op_rules[] = {
#define RLX_OP(id, name, version, min_in, max_in, n_out, kind, rule) {id, version, op_kind::kind},
#define RLX_OP_ATTR(op, attr, kind, required)
#include "rlx/abi/ops.def"
#undef RLX_OP
#undef RLX_OP_ATTR
};

struct attr_rule {
    std::uint16_t op;
    std::uint16_t key;
};

constexpr attr_rule attr_rules[] = {
#define RLX_OP(id, name, version, min_in, max_in, n_out, kind, rule)
#define RLX_OP_ATTR(op, attr, kind, required) {RLX_OP_##op, RLX_ATTR_##attr},
#include "rlx/abi/ops.def"
#undef RLX_OP
#undef RLX_OP_ATTR
};

const op_rule* find_rule(std::uint16_t op) {
    for (const op_rule& r : op_rules)
        if (r.op == op) return &r;
    return nullptr;
}

bool knows_attr(std::uint16_t op, std::uint16_t key) {
    return std::any_of(std::begin(attr_rules), std::end(attr_rules), [&](const attr_rule& r) {
        return r.op == op && r.key == key;
    });
}

// At the upper bounds. A product is cut by rows of its activations and of its result.
const char* too_large(const node& n, const program& p) {
    const std::uint64_t most = p.g.facts().limits.maxStorageBufferRange;
    const auto fits = [&](const tensor& t, bool by_rows) {
        const std::int64_t elements = by_rows ? t.last() : t.count;
        return static_cast<std::uint64_t>(elements) <=
               most / std::max<std::uint32_t>(1, element_size(t.dtype));
    };
    const bool product = n.op() == RLX_OP_MatMul;
    for (const tensor* t : n.in) {
        if (!t || p.roots[t->root].kind == RLX_VALUE_STATE) continue;
        if (t->count > INT32_MAX) return "an operand of 2^31 elements or more";
        if (p.roots[t->root].where != memory::none && !fits(*t, product && t == n.in[0]))
            return "an operand larger than the device binds at once (maxStorageBufferRange)";
    }
    for (const tensor* t : n.out) {
        if (p.roots[t->root].kind == RLX_VALUE_STATE) continue;
        if (t->count > INT32_MAX) return "a result of 2^31 elements or more";
        if (!fits(*t, product))
            return "a result larger than the device binds at once (maxStorageBufferRange)";
    }
    return nullptr;
}

} // namespace

bool is_view(std::uint16_t op) {
    const op_rule* r = find_rule(op);
    return r && r->kind == op_kind::View;
}

const op_entry* find_op(std::uint16_t op) {
    for (const op_entry& e : op_entries)
        if (e.op == op) return &e;
    return nullptr;
}

const char* why_not(const node& n, const program& p) {
    const op_rule* rule = find_rule(n.op());
    if (!rule) return "an op this backend does not know";
    if (rule->kind == op_kind::View) return nullptr;
    const op_entry* e = find_op(n.op());
    if (!e) return "no shader for this op";
    if (n.view.info.version > rule->version) return "a newer version of this op";
    for (std::uint32_t i = 0; i < n.view.info.n_attr; ++i)
        if (n.view.info.attr[i].required && !knows_attr(n.op(), n.view.info.attr[i].key))
            return "an attribute this backend does not know";
    if (const char* why = too_large(n, p)) return why;
    return e->why(n, p);
}

bool f32_like(const program& p, const tensor* t) {
    return t->dtype == RLX_F32 || (p.roots[t->root].kind == RLX_VALUE_WEIGHT && is_float(t->dtype));
}

const char* all_f32(const node& n, const program& p, std::size_t first) {
    for (std::size_t i = first; i < n.in.size(); ++i)
        if (n.in[i] && !f32_like(p, n.in[i])) return "operands must be f32";
    return nullptr;
}

status want_plain(program& p, tensor* t) {
    if (!t) return {};
    const root& r = p.roots[t->root];
    if (r.kind != RLX_VALUE_WEIGHT && r.kind != RLX_VALUE_CONSTANT) return {};
    const tensor& all = p.tensors[t->root];
    plain_weight w;
    w.root = t->root;
    w.cols = all.last();
    w.rows = all.rows();
    if (r.kind == RLX_VALUE_WEIGHT) {
        w.name = r.name;
        w.bytes = static_cast<std::uint64_t>(all.count) * 4;
    } else {
        w.constant = r.data;
        w.bytes = r.data.n;
    }
    t->plain = p.weights.add(w);
    return {};
}

status want_plain(program& p, node& n) {
    for (tensor* t : n.in)
        RLX_CHECK(want_plain(p, t));
    return {};
}

bool find_stored(const program& p, const tensor& t, stored_rows* out) {
    const root& r = p.roots[t.root];
    const tensor& all = p.tensors[t.root];
    if ((r.kind != RLX_VALUE_WEIGHT && r.kind != RLX_VALUE_CONSTANT) || t.rank < 2) return false;
    out->cols = t.last();
    if (out->cols <= 0 || out->cols != all.last() || t.offset % out->cols != 0) return false;
    if (!p.roots[t.id].packed && !t.contiguous) return false;
    out->format = find_format(t.dtype);
    if (!out->format || (r.kind == RLX_VALUE_CONSTANT && t.dtype == RLX_F64)) return false;
    if (out->cols % out->format->file_elements != 0) return false;
    out->first_row = t.offset / out->cols;
    out->rows = t.rows();
    return true;
}

matrix_weight* want_matrix(program& p, const tensor& t, const stored_rows& rows) {
    const root& r = p.roots[t.root];
    matrix_weight w;
    w.format = rows.format;
    w.root = t.root;
    w.name = r.name;
    if (r.kind == RLX_VALUE_CONSTANT) w.constant = static_cast<const char*>(r.data.p);
    w.first_row = rows.first_row;
    w.rows = rows.rows;
    w.cols = rows.cols;
    return p.weights.add(w);
}

walk make_walk(const tensor& shape, std::initializer_list<const tensor*> tensors) {
    walk w;
    const auto stride = [&](const tensor& t, std::uint32_t axis) -> std::uint32_t {
        const std::uint32_t missing = shape.rank - t.rank;
        if (axis < missing || t.dim[axis - missing] == 1) return 0;
        return u32(t.stride[axis - missing]);
    };
    for (std::uint32_t a = 0; a < shape.rank; ++a) {
        if (shape.dim[a] == 1) continue;
        std::uint32_t s[4] = {};
        std::size_t i = 0;
        for (const tensor* t : tensors)
            s[i++] = stride(*t, a);
        bool join = w.rank > 0;
        for (std::size_t j = 0; join && j < tensors.size(); ++j)
            join = w.stride[j][w.rank - 1] == s[j] * u32(shape.dim[a]);
        if (!join) ++w.rank;
        const std::uint32_t at = w.rank - 1;
        w.dim[at] = join ? w.dim[at] * u32(shape.dim[a]) : u32(shape.dim[a]);
        for (std::size_t j = 0; j < tensors.size(); ++j)
            w.stride[j][at] = s[j];
    }
    return w;
}

} // namespace rlx::vulkan
