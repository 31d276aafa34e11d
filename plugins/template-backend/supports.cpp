// SPDX-License-Identifier: GPL-3.0-only
// Which nodes run here. Saying no is always safe: a composite is decomposed then, and for anything
// else the user is told the reason. Claiming what one does not do is the only mistake.
#include "toy.hpp"

namespace toy {
namespace {

struct known_attr {
    std::uint16_t op, key;
};

constexpr known_attr known_attrs[] = {
#define RLX_OP(id, name, version, min_in, max_in, n_out, kind, rule)
#define RLX_OP_ATTR(op, attr, kind, required) {RLX_OP_##op, RLX_ATTR_##attr},
#include <rlx/abi/ops.def>
#undef RLX_OP
#undef RLX_OP_ATTR
};

bool knows(std::uint16_t op, std::uint16_t key) {
    for (const known_attr& k : known_attrs)
        if (k.op == op && k.key == key) return true;
    return false;
}

// f32 here: real f32, or a weight of any float type, which is held as f32.
bool is_f32(const program& p, rlx_value v) {
    const value& x = p.values[v];
    if (p.values[x.info.root].info.kind != RLX_VALUE_WEIGHT) return x.info.dtype == RLX_F32;
    const std::uint16_t t = x.info.dtype;
    return t <= RLX_IQ4_XS || t == RLX_F64 || t == RLX_BF16;
}

bool all_f32(const node_view& n, const program& p) {
    for (const rlx_value v : n.in())
        if (v && !is_f32(p, v)) return false;
    return true;
}

bool is_i32(const program& p, rlx_value v) {
    return p.values[v].info.dtype == RLX_I32;
}

bool plain_word(const program& p, rlx_value v) {
    return is_f32(p, v) || is_i32(p, v);
}

const char* rope_why(const node_view& n) {
    const int64_t scaling = n.i64(RLX_ATTR_scaling);
    const bool done =
        scaling == RLX_ROPE_NONE || scaling == RLX_ROPE_LINEAR || scaling == RLX_ROPE_LLAMA3;
    return done ? nullptr : "this rope scaling is not done (plain, linear and llama3 are)";
}

} // namespace

const char* why_not(const node_view& n, const program& p) {
    if (n.info.version > 1) return "a newer version of this op";
    for (std::uint32_t i = 0; i < n.info.n_attr; ++i)
        if (n.info.attr[i].required && !knows(n.info.op, n.info.attr[i].key))
            return "an attribute that is newer than this backend";
    switch (n.info.op) {
    case RLX_OP_Reshape:
    case RLX_OP_Permute:
    case RLX_OP_Slice:
    case RLX_OP_Broadcast: return nullptr;
    case RLX_OP_Unary:
        return n.i64(RLX_ATTR_kind) > RLX_UNARY_RELU ? "an unknown function"
               : all_f32(n, p)                       ? nullptr
                                                     : "operands must be f32";
    case RLX_OP_Binary:
        return n.i64(RLX_ATTR_kind) > RLX_BINARY_POW ? "an unknown operation"
               : all_f32(n, p)                       ? nullptr
                                                     : "operands must be f32";
    case RLX_OP_Affine:
    case RLX_OP_Clamp:
    case RLX_OP_Reduce: return all_f32(n, p) ? nullptr : "operands must be f32";
    case RLX_OP_MatMul:
        if (p.values[n.input(1)].info.rank != 2) return "the right operand must be a matrix";
        return all_f32(n, p) ? nullptr : "operands must be f32";
    case RLX_OP_Copy:
    case RLX_OP_Cast:
    case RLX_OP_Concat:
        for (const rlx_value v : n.in())
            if (!plain_word(p, v)) return "f32 and i32 only";
        return plain_word(p, n.out()[0]) ? nullptr : "f32 and i32 only";
    case RLX_OP_Fill: return plain_word(p, n.out()[0]) ? nullptr : "f32 and i32 only";
    case RLX_OP_GatherRows:
        return is_f32(p, n.input(0)) && is_i32(p, n.input(1)) ? nullptr : "f32 rows, i32 ids only";
    case RLX_OP_RopeTable: return rope_why(n);
    case RLX_OP_KvAppend:
    case RLX_OP_AttentionState: return nullptr;
    default: return "this backend does not have the op";
    }
}

} // namespace toy
