// SPDX-License-Identifier: GPL-3.0-only
#include "reader.hpp"

#include <algorithm>

namespace rlx::cpu {

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

const op_rule* find_op(std::uint16_t op) {
    for (const op_rule& r : op_rules) {
        if (r.op == op) return &r;
    }
    return nullptr;
}

bool knows_attr(std::uint16_t op, std::uint16_t key) {
    return std::any_of(std::begin(attr_rules), std::end(attr_rules), [&](const attr_rule& r) {
        return r.op == op && r.key == key;
    });
}

status read_value(program& p, const rlx_graph* g, rlx_value v) {
    const auto* api = sdk::service<rlx_graph_v1>();
    rlx_value_info info{};
    info.size = sizeof info;
    RLX_CHECK(check(api->value(g, v, &info)));
    if (info.rank > RLX_MAX_RANK)
        return fail(
            RLX_UNSUPPORTED, "cpu: a value of rank {}, at most {}", info.rank, RLX_MAX_RANK
        );
    tensor& t = p.tensors[v];
    t.id = v;
    t.root = info.root;
    t.dtype = info.dtype;
    t.rank = info.rank;
    t.first_handle = static_cast<std::uint32_t>(p.handles.size());
    for (std::uint32_t i = 0; i < info.rank; ++i)
        p.handles.push_back(info.dims[i]);
    for (std::uint32_t i = 0; i < info.rank; ++i)
        p.handles.push_back(info.strides ? info.strides[i] : 0);
    p.handles.push_back(info.offset);
    root& r = p.roots[v];
    r.kind = info.kind;
    r.output = info.is_output != 0;
    r.packed = info.strides == nullptr && info.rank > 0;
    r.name = info.name;
    if (info.root != v) return {};
    r.data = info.data;
    r.slot = info.slot;
    switch (info.kind) {
    case RLX_VALUE_INPUT:
    case RLX_VALUE_STATE: r.where = memory::bound; break;
    case RLX_VALUE_CONSTANT: r.where = memory::owned; break;
    case RLX_VALUE_TEMP:
        r.where = r.output ? memory::bound : memory::scratch;
        r.offset = info.scratch_offset;
        r.bytes = info.scratch_bytes;
        break;
    default: r.where = memory::none; break;
    }
    if (r.where == memory::bound) p.bound.push_back(v);
    return {};
}

// The value and the root it looks at.
status need_value(program& p, const rlx_graph* g, rlx_value v) {
    if (v >= p.tensors.size())
        return fail(RLX_INTERNAL, "value {} of a graph with {}", v, p.tensors.size() - 1);
    if (p.tensors[v].id) return {};
    RLX_CHECK(read_value(p, g, v));
    return need_value(p, g, p.tensors[v].root);
}

} // namespace

status read_graph(
    program& p, const rlx_graph* g, std::span<const std::uint32_t> nodes, std::vector<node>& out
) {
    const auto* api = sdk::service<rlx_graph_v1>();
    p.graph = g;
    p.tensors.assign(api->value_count(g) + 1, tensor{});
    p.roots.assign(p.tensors.size(), root{});
    for (std::uint32_t index : nodes) {
        node n;
        n.index = index;
        n.info.size = sizeof n.info;
        RLX_CHECK(check(api->node(g, index, &n.info)));
        for (std::uint32_t i = 0; i < n.info.n_in; ++i) {
            const rlx_value v = n.info.in[i];
            if (v) RLX_CHECK(need_value(p, g, v));
            n.in.push_back(v ? &p.tensors[v] : nullptr);
        }
        for (std::uint32_t i = 0; i < n.info.n_out; ++i) {
            RLX_CHECK(need_value(p, g, n.info.out[i]));
            n.out.push_back(&p.tensors[n.info.out[i]]);
        }
        out.push_back(std::move(n));
    }
    std::vector<std::int64_t> upper;
    RLX_CHECK(upper_bounds(g, &upper));
    return p.size_tensors(upper.data(), static_cast<std::uint32_t>(upper.size()));
}

status upper_bounds(const rlx_graph* g, std::vector<std::int64_t>* out) {
    const auto* api = sdk::service<rlx_graph_v1>();
    out->resize(api->symbol_count(g));
    for (std::uint32_t i = 0; i < out->size(); ++i) {
        rlx_str name;
        std::int64_t min = 0;
        RLX_CHECK(check(api->symbol_at(g, i, &name, &min, &(*out)[i])));
    }
    return {};
}

std::uint64_t stored_row_bytes(std::uint16_t dtype, std::int64_t cols) {
    const struct {
        std::uint16_t dtype;
        std::int64_t elements;
        std::uint64_t bytes;
    } blocks[] = {
        {RLX_Q4_0, 32, 18},
        {RLX_Q4_1, 32, 20},
        {RLX_Q5_0, 32, 22},
        {RLX_Q5_1, 32, 24},
        {RLX_Q8_0, 32, 34},
        {RLX_Q2_K, 256, 84},
        {RLX_Q3_K, 256, 110},
        {RLX_Q4_K, 256, 144},
        {RLX_Q5_K, 256, 176},
        {RLX_Q6_K, 256, 210},
        {RLX_IQ4_NL, 32, 18},
        {RLX_IQ4_XS, 256, 136},
    };

    for (const auto& b : blocks) {
        if (b.dtype != dtype) continue;
        return cols % b.elements ? 0 : static_cast<std::uint64_t>(cols / b.elements) * b.bytes;
    }
    return static_cast<std::uint64_t>(cols) * element_size(dtype);
}

bool is_view(std::uint16_t op) {
    const op_rule* r = find_op(op);
    return r && r->kind == op_kind::View;
}

bool is_float(std::uint16_t dtype) {
    return dtype == RLX_F32 || dtype == RLX_F16 || dtype == RLX_BF16 || dtype == RLX_F64;
}

bool find_stored(const program& p, const tensor& w, stored_matrix* out) {
    const root& r = p.roots[w.root];
    const tensor& all = p.tensors[w.root];
    if ((r.kind != RLX_VALUE_WEIGHT && r.kind != RLX_VALUE_CONSTANT) || w.rank < 2 || all.rank < 1)
        return false;
    const std::int64_t cols = w.last();
    if (cols <= 0 || cols != all.last() || w.offset % cols != 0) return false;
    if (!p.roots[w.id].packed && !w.contiguous) return false;
    out->desc.dtype = w.dtype;
    if (w.dtype == RLX_F64) out->desc.dtype = RLX_F32; // as ops.md counts it; converted when packed
    out->desc.cols = cols;
    out->desc.rows = w.dim[w.rank - 2];
    out->desc.groups = w.rank == 3 ? w.dim[0] : 1;
    out->first_row = w.offset / cols;
    out->row_bytes = stored_row_bytes(w.dtype, cols);
    return out->row_bytes != 0 && w.rank <= 3;
}

namespace {

// Usable where f32 is wanted: float weights are widened when they are loaded.
bool f32_like(const program& p, const tensor* t) {
    return t->dtype == RLX_F32 || (p.roots[t->root].kind == RLX_VALUE_WEIGHT && is_float(t->dtype));
}

const char* matmul_why(const node& n, const program& p) {
    const tensor& x = *n.in[0];
    const tensor& w = *n.in[1];
    if (x.dtype != RLX_F32) return "activations must be f32";
    if (!x.contiguous) return "activations must be contiguous";
    if (n.input(2) && n.info.op == RLX_OP_MatMul &&
        !(f32_like(p, n.in[2]) && n.in[2]->contiguous)) {
        return "the bias must be contiguous and f32";
    }
    stored_matrix m;
    const bool grouped = n.info.op == RLX_OP_GroupedMatMul;
    if (grouped && (n.in[2]->dtype != RLX_I32 || !n.in[2]->contiguous))
        return "ids must be contiguous i32";
    if (find_stored(p, w, &m)) {
        mm_packed packed;
        const char* reason = "this weight type has no kernel";
        return mm_layout(p.cfg.mm, m.desc, &packed, &reason) ? nullptr : reason;
    }
    if (grouped) return "expert weights must come from the checkpoint, rows in order";
    if (w.rank != 2) return "the right operand must have two axes";
    return f32_like(p, &w) ? nullptr : "a right operand made at run time must be f32";
}

const char* all_f32(const node& n, const program& p, std::size_t first = 0) {
    for (std::size_t i = first; i < n.in.size(); ++i) {
        if (n.in[i] && !f32_like(p, n.in[i])) return "operands must be f32";
    }
    return nullptr;
}

const char* same_numbers(const node& n, const program& p, std::size_t first) {
    const bool whole = n.in[first]->dtype == RLX_I32;
    for (std::size_t i = first; i < n.in.size(); ++i) {
        if (whole ? n.in[i]->dtype != RLX_I32 : !f32_like(p, n.in[i]))
            return "operands must be f32 or i32";
    }
    return nullptr;
}

const char* plain_elements(const node& n) {
    for (const tensor* t : n.in) {
        if (element_size(t->dtype) == 0) return "packed blocks cannot be copied element by element";
    }
    return nullptr;
}

const char* gather_why(const node& n, const program& p) {
    const tensor& table = *n.in[0];
    if (n.in[1]->dtype != RLX_I32) return "ids must be i32";
    if (p.roots[table.root].kind != RLX_VALUE_WEIGHT)
        return table.dtype == RLX_F32 ? nullptr : "the table must be f32";
    if (table.id == table.root || f32_like(p, &table)) return nullptr;
    return "a view of a packed table";
}

const char* attention_why(const node& n) {
    for (std::size_t i = 2; i < 5; ++i) {
        if (n.in[i]->dtype != RLX_I32) return "lengths and block table must be i32";
    }
    return n.in[0]->dtype == RLX_F32 && n.in[0]->rank == 3 ? nullptr
                                                           : "q must be f32 [T, heads, dim]";
}

const char* contiguous_f32(const node& n, const program& p, std::size_t first) {
    for (std::size_t i = first; i < n.in.size(); ++i) {
        if (n.in[i] && !n.in[i]->contiguous) return "operands must be contiguous";
    }
    return all_f32(n, p);
}

// Inputs without gaps; ops of moving elements take any plain type.
const char* contiguous(const node& n) {
    for (const tensor* t : n.in) {
        if (!t || t->rank == 0) continue;
        if (element_size(t->dtype) == 0) return "packed blocks";
        if (!t->contiguous) return "operands must be contiguous";
    }
    return nullptr;
}

// Contiguous f32 and i32, as the op's rule has them; states have no elements of their own.
const char* plain_operands(const node& n, const program& p) {
    for (const tensor* t : n.in) {
        if (!t || p.roots[t->root].kind == RLX_VALUE_STATE) continue;
        if (t->dtype != RLX_I32 && !f32_like(p, t)) return "operands must be f32 or i32";
        if (!t->contiguous) return "operands must be contiguous";
    }
    return nullptr;
}

bool straight_rows(const tensor& t) {
    return t.rank == 0 || t.last() == 1 || t.stride[t.rank - 1] == 1;
}

const char* layer_norm_why(const node& n, const program& p) {
    if (!straight_rows(*n.in[0])) return "rows must be contiguous";
    return contiguous_f32(n, p, 1);
}

const char* modulate_why(const node& n, const program& p) {
    const tensor& x = *n.in[0];
    for (const tensor* t : n.in) {
        if (!t) continue;
        if (!straight_rows(*t) || t->last() != x.last())
            return "an operand that broadcasts along rows";
    }
    return x.rank ? all_f32(n, p) : "x has no rows";
}

const char* dense_attention_why(const node& n, const program& p) {
    for (std::size_t i = 1; i < 3; ++i) {
        if (!straight_rows(*n.in[i])) return "rows of keys and values must be contiguous";
    }
    if (n.info.op == RLX_OP_Attention) return all_f32(n, p);
    for (std::size_t i = 0; i < n.in.size(); ++i) { // 3: cu_seqlens
        if (i != 3 && n.in[i] && !f32_like(p, n.in[i])) return "operands must be f32";
    }
    return nullptr;
}

const char* cast_why(const node& n) {
    const auto known = [](std::uint16_t d) {
        return element_size(d) != 0 && d != RLX_F8_E4M3 && d != RLX_F8_E5M2;
    };
    return known(n.in[0]->dtype) && known(n.out[0]->dtype) ? nullptr
                                                           : "no conversion between these types";
}

// A plugin's op computes itself; what it needs is plain memory without gaps.
const char* custom_why(const node& n) {
    if (!RLX_HAS(sdk::service<rlx_graph_v1>(), run_custom)) return "this host runs no plugins' ops";
    for (const tensor* t : n.in) {
        if (!t) continue;
        if (element_size(t->dtype) == 0) return "packed blocks are not for plugins' ops";
        if (!t->contiguous) return "inputs must be contiguous";
    }
    return nullptr;
}

// Ops whose step only asks for types and strides.
const char* simple_why(const node& n, const program& p) {
    switch (n.info.op) {
    case RLX_OP_Unary:
        return n.i64(RLX_ATTR_kind) > RLX_UNARY_LOG1P ? "no kernel for this function"
                                                      : all_f32(n, p);
    case RLX_OP_Clamp:
    case RLX_OP_Affine:
    case RLX_OP_Glu:
    case RLX_OP_Pad:
    case RLX_OP_TopK:
    case RLX_OP_Reduce:
    case RLX_OP_Softmax:
    case RLX_OP_MoeRoute:
    case RLX_OP_MoeCombine:
    case RLX_OP_BatchMatMul: return all_f32(n, p);
    case RLX_OP_Gather:
    case RLX_OP_Flip: return contiguous(n);
    case RLX_OP_ScatterRows:
    case RLX_OP_ScatterAlong:
    case RLX_OP_Sort:
    case RLX_OP_ArgReduce:
    case RLX_OP_CumSum:
    case RLX_OP_Random:
    case RLX_OP_Resize:
    case RLX_OP_GridSample:
    case RLX_OP_Pool:
    case RLX_OP_Im2Col:
    case RLX_OP_Col2Im:
    case RLX_OP_Fft:
    case RLX_OP_CausalConv1d:
    case RLX_OP_SelectiveScan:
    case RLX_OP_SsdScan:
    case RLX_OP_GatedDeltaRule:
    case RLX_OP_LinearAttention:
    case RLX_OP_Rnn:
    case RLX_OP_StateLoad:
    case RLX_OP_StateStore: return plain_operands(n, p);
    default: return "no kernel for this op";
    }
}

} // namespace

const char* why_not(const node& n, const program& p) {
    const op_rule* rule = find_op(n.info.op);
    if (!rule) return "an op this backend does not know";
    if (rule->kind == op_kind::View) return nullptr;
    if (n.info.op == RLX_OP_Custom) return custom_why(n);
    if (n.info.version > rule->version) return "a newer version of this op";
    for (std::uint32_t i = 0; i < n.info.n_attr; ++i) {
        if (n.info.attr[i].required && !knows_attr(n.info.op, n.info.attr[i].key))
            return "an attribute this backend does not know";
    }
    switch (n.info.op) {
    case RLX_OP_MatMul:
    case RLX_OP_GroupedMatMul: return matmul_why(n, p);
    case RLX_OP_Copy:
    case RLX_OP_Concat: return plain_elements(n);
    case RLX_OP_TakeAlong:
        return n.in[1]->dtype != RLX_I32      ? "indices must be i32"
               : element_size(n.in[0]->dtype) ? nullptr
                                              : "packed blocks";
    case RLX_OP_Cast: return cast_why(n);
    case RLX_OP_Fill:
        return n.out[0]->dtype == RLX_F32 || n.out[0]->dtype == RLX_I32 ||
                       n.out[0]->dtype == RLX_BOOL
                   ? nullptr
                   : "f32, i32 or bool only";
    case RLX_OP_Arange: return nullptr;
    case RLX_OP_GatherRows: return gather_why(n, p);
    case RLX_OP_Binary:
        if (n.i64(RLX_ATTR_kind) > RLX_BINARY_ATAN2) return "no kernel for this function";
        return same_numbers(n, p, 0);
    case RLX_OP_Compare: return same_numbers(n, p, 0);
    case RLX_OP_Select:
        return n.in[0]->dtype == RLX_BOOL ? same_numbers(n, p, 1) : "the condition must be bool";
    case RLX_OP_RopeTable:
        if (n.input(1) && !f32_like(p, n.in[1])) return "frequency factors must be f32";
        return n.in[0]->dtype == RLX_I32 ? nullptr : "positions must be i32";
    case RLX_OP_Rope:
        return n.in[0]->rank != 3        ? "x must be [T, heads, dim]"
               : n.in[1]->stride[1] != 1 ? "the table's rows must be contiguous"
                                         : all_f32(n, p);
    case RLX_OP_RmsNorm:
        return n.input(1) && !n.in[1]->contiguous ? "the weight must be contiguous" : all_f32(n, p);
    case RLX_OP_KvAppend:
        if (n.in[3]->dtype != RLX_I32) return "slots must be i32";
        return n.in[1]->dtype == RLX_F32 && n.in[2]->dtype == RLX_F32
                   ? nullptr
                   : "keys and values must be f32";
    case RLX_OP_AttentionState: return attention_why(n);
    case RLX_OP_LayerNorm: return layer_norm_why(n, p);
    case RLX_OP_GroupNorm:
    case RLX_OP_Snake: return contiguous_f32(n, p, 0);
    case RLX_OP_Modulate: return modulate_why(n, p);
    case RLX_OP_Attention:
    case RLX_OP_RaggedAttention: return dense_attention_why(n, p);
    case RLX_OP_Conv:
    case RLX_OP_ConvTranspose: return contiguous_f32(n, p, 0);
    default: return simple_why(n, p);
    }
}

} // namespace rlx::cpu
