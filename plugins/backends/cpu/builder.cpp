// SPDX-License-Identifier: GPL-3.0-only
#include "builder.hpp"

#include "patterns.hpp"
#include "steps/conv_plan.hpp"

#include <algorithm>
#include <deque>

namespace rlx::cpu {

namespace {

constexpr std::size_t reach = 16; // nodes a product may be moved forward to join its neighbours

class builder {
public:
    builder(program& p, const rlx_compile_args& args) : p_(p), args_(args) {}

    status run(const build_options& options);

private:
    status emit(std::size_t i);
    status emit_product(std::size_t i);
    status emit_dense(const node& n);
    status emit_fused(std::size_t i);
    status emit_norm(std::size_t i);
    status emit_state(std::size_t i);
    result<head_prep> head_of(std::size_t i);
    status emit_gather(const node& n);
    status emit_conv(const node& n);
    status emit_pad(const node& n);
    status emit_simple(const node& n);
    status pack_jobs(const node& n, conv_plan& plan);
    const mm_packed* stored_job(const node& n, const conv_plan& plan, const conv_job& j);

    void push(step_ptr s, const node& n) {
        if (!s->origin.n) s->origin = n.info.origin;
        p_.steps.push_back(std::move(s));
    }

    status plain(const tensor& t, bool to_f32);
    status plain_inputs(const node& n);
    result<packed_weight*> pack(const node& n);
    activation* activation_of(std::size_t i);
    activation* result_of(std::size_t i);
    result<product> product_of(std::size_t i, const tensor* out);
    const expert_lists* lists_of(std::size_t i);
    void keep_alive(const activation* a);
    void assign_slots();

    std::uint64_t reserve(std::uint64_t bytes) {
        const std::uint64_t at = p_.shared_bytes;
        p_.shared_bytes += align64(bytes);
        return at;
    }

    program& p_;
    const rlx_compile_args& args_;
    std::vector<node> nodes_;
    plan_of_nodes plan_;
    std::vector<char> done_;

    struct known_activation {
        rlx_value x;
        act_form form;
        activation* a;
        std::size_t first, last; // steps that make and use it
    };

    std::vector<known_activation> known_;

    std::deque<expert_lists>& lists() { return p_.lists; }

    std::uint64_t partial_at_ = 0, partial_bytes_ = 0;
};

status builder::plain(const tensor& t, bool to_f32) {
    root& r = p_.roots[t.root];
    const tensor& all = p_.tensors[t.root];
    if (r.kind != RLX_VALUE_WEIGHT && r.kind != RLX_VALUE_CONSTANT) return {};
    if (r.loaded) {
        if (r.widened != to_f32 && r.stored != RLX_F32 && r.kind == RLX_VALUE_WEIGHT &&
            is_float(r.stored)) {
            return fail(
                RLX_UNSUPPORTED, "cpu: '{}' is used both as it is stored and as f32", r.name
            );
        }
        return {};
    }
    plain_weight w;
    w.name = r.name;
    w.rows = all.rows();
    w.cols = all.last();
    r.stored = all.dtype;
    r.widened = to_f32 && r.kind == RLX_VALUE_WEIGHT && is_float(all.dtype);
    w.to_f32 = r.widened;
    const std::uint32_t size = r.widened ? 4 : element_size(all.dtype);
    if (size == 0)
        return fail(
            RLX_UNSUPPORTED,
            "cpu: '{}' is stored in blocks that only products and row look-ups read",
            r.name
        );
    w.bytes = static_cast<std::uint64_t>(all.count) * size;
    if (r.kind == RLX_VALUE_CONSTANT) {
        if (r.data.n < w.bytes)
            return fail(
                RLX_INTERNAL, "a constant of {} bytes, its shape needs {}", r.data.n, w.bytes
            );
        w.constant = r.data;
    }
    w.place = &r.base;
    r.where = memory::owned;
    r.loaded = true;
    if (r.widened) {
        for (tensor& v : p_.tensors) {
            if (v.id && v.root == t.root) v.dtype = RLX_F32;
        }
    }
    p_.weights.add(w);
    return {};
}

status builder::plain_inputs(const node& n) {
    const bool moves = n.info.op == RLX_OP_Copy || n.info.op == RLX_OP_Concat ||
                       n.info.op == RLX_OP_Cast || n.info.op == RLX_OP_TakeAlong ||
                       n.info.op == RLX_OP_Gather || n.info.op == RLX_OP_Flip ||
                       n.info.op == RLX_OP_Custom;
    for (const tensor* t : n.in) {
        if (t) RLX_CHECK(plain(*t, !moves));
    }
    return {};
}

result<packed_weight*> builder::pack(const node& n) {
    stored_matrix m;
    if (!find_stored(p_, *n.in[1], &m)) return static_cast<packed_weight*>(nullptr);
    const root& r = p_.roots[n.in[1]->root];
    packed_weight w;
    const char* reason = "no kernel";
    if (p_.cfg.bf16 && m.desc.dtype != RLX_BF16) {
        if (!is_float(m.desc.dtype))
            return fail(
                RLX_UNSUPPORTED,
                "cpu: compute 'bf16': '{}' is quantised, whose products are int8 or f32; "
                "use auto or f32",
                r.name
            );
        m.desc.dtype = RLX_BF16;
    }
    w.from = n.in[1]->dtype;
    w.round = w.from != m.desc.dtype;
    if (!mm_layout(p_.cfg.mm, m.desc, &w.mm, &reason))
        return fail(RLX_UNSUPPORTED, "cpu: '{}': {}", r.name, std::string_view(reason));
    w.name = r.name;
    w.first_row = m.first_row;
    w.row_bytes = m.row_bytes;
    w.root = n.in[1]->root;
    if (r.kind == RLX_VALUE_CONSTANT) w.constant = static_cast<const char*>(r.data.p);
    return p_.weights.add(w);
}

// ---- products
// --------------------------------------------------------------------------------------

void builder::keep_alive(const activation* a) {
    for (known_activation& k : known_) {
        if (k.a == a) k.last = p_.steps.size();
    }
}

// The activation a product reads, made at this point of the step list unless it is there already.
activation* builder::activation_of(std::size_t i) {
    const node& n = nodes_[i];
    const tensor& x = *n.in[0];
    const act_form form = plan_.products[i]->mm.form;
    const std::uint32_t norm_at = plan_.norm_of(x);
    const rlx_value key = norm_at != no_node ? x.root : x.id;
    for (const known_activation& k : known_) {
        if (k.x == key && k.form == form) return k.a;
    }
    p_.activations.push_back(std::make_unique<activation>());
    activation* a = p_.activations.back().get();
    a->x = &x;
    a->form = form;
    a->in_place = form == act_form::f32;
    norm_args norm;
    const node& from = norm_at != no_node ? nodes_[norm_at] : n;
    if (norm_at != no_node) {
        norm.on = true;
        norm.weight = from.input(1);
        norm.offset = from.f32(RLX_ATTR_weight_offset);
        norm.eps = from.f32(RLX_ATTR_eps);
        a->x = from.in[0];
        a->in_place = false;
    }
    known_.push_back({key, form, a, p_.steps.size(), p_.steps.size()});
    push(make_activate(a, norm), from);
    return a;
}

result<product> builder::product_of(std::size_t i, const tensor* out) {
    const node& n = nodes_[i];
    product p{plan_.products[i], out, nullptr};
    if (n.info.op == RLX_OP_MatMul && n.input(2)) {
        RLX_CHECK(plain(*n.in[2], true));
        p.bias = n.in[2];
    }
    return p;
}

const expert_lists* builder::lists_of(std::size_t i) {
    const node& n = nodes_[i];
    if (n.info.op != RLX_OP_GroupedMatMul) return nullptr;
    const std::int64_t experts = plan_.products[i]->mm.desc.groups;
    for (const expert_lists& l : lists()) {
        if (l.ids == n.in[2] && l.n_experts == experts) return &l;
    }
    lists().push_back({n.in[2], experts, 0, n.in[2]->count});
    expert_lists& l = lists().back();
    l.workspace = reserve(expert_lists::bytes(l.n_experts, l.max_pairs));
    push(make_expert_lists(&l), n);
    return &l;
}

status builder::emit_dense(const node& n) {
    RLX_CHECK(plain_inputs(n));
    for (step_ptr& s : make_run_time_product(n))
        push(std::move(s), n);
    return {};
}

status builder::emit_product(std::size_t i) {
    const node& n = nodes_[i];
    if (!plan_.products[i]) return emit_dense(n);
    matmul_args m;
    m.a = activation_of(i);
    m.experts = lists_of(i);
    m.products.push_back(RLX_TRY(product_of(i, n.out[0])));
    if (plan_.fuse && !m.experts) {
        const std::size_t stop = std::min(nodes_.size(), i + reach);
        for (std::size_t j = i + 1; j < stop; ++j) {
            if (done_[j] || plan_.roles[j] != role::plain || !plan_.products[j] ||
                nodes_[j].info.op != RLX_OP_MatMul)
                continue;
            const bool same = nodes_[j].in[0] == n.in[0] && plan_.products[j]->mm.form == m.a->form;
            if (!same || !may_move(p_, nodes_, plan_, j, i)) continue;
            m.products.push_back(RLX_TRY(product_of(j, nodes_[j].out[0])));
            done_[j] = 1;
        }
    }
    keep_alive(m.a);
    push(make_matmul(m), n);
    return {};
}

// The activation that the product(s) of node i leave behind instead of its result.
activation* builder::result_of(std::size_t i) {
    const tensor& y = *nodes_[i].out[0];
    p_.activations.push_back(std::make_unique<activation>());
    activation* a = p_.activations.back().get();
    a->x = &y;
    a->form = act_form::bf16;
    a->from_product = true;
    known_.push_back({y.id, a->form, a, p_.steps.size(), p_.steps.size()});
    return a;
}

// A Glu, a Unary or a sum with the product(s) before it.
status builder::emit_fused(std::size_t i) {
    const node& n = nodes_[i];
    const std::uint32_t first = plan_.partner[i];
    matmul_args m;
    m.a = activation_of(first);
    m.experts = lists_of(first);
    m.products.push_back(RLX_TRY(product_of(first, n.out[0])));
    if (n.info.op == RLX_OP_Glu) {
        m.after.kind = epilogue::glu;
        m.after.op = static_cast<std::uint32_t>(n.i64(RLX_ATTR_kind));
        m.products.push_back(RLX_TRY(product_of(plan_.second[i], nullptr)));
    } else if (n.info.op == RLX_OP_Unary) {
        m.after.kind = epilogue::unary;
        m.after.op = static_cast<std::uint32_t>(n.i64(RLX_ATTR_kind));
    } else {
        m.after.kind = epilogue::add;
        m.after.residual = n.in[0] == nodes_[first].out[0] ? n.in[1] : n.in[0];
    }
    // The product runs later than planned: its input's memory may be someone else's by then.
    if (m.a->in_place && may_be_lost(p_, nodes_, plan_, *m.a->x, first, i)) m.a->in_place = false;
    keep_alive(m.a);
    if (plan_.packs[i]) m.after.into = result_of(i);
    push(make_matmul(m), n);
    return {};
}

// The norm itself disappears: its consumers' activations are made here, where its input is known to
// be alive.
status builder::emit_norm(std::size_t i) {
    if (nodes_[i].input(1)) RLX_CHECK(plain(*nodes_[i].in[1], true));
    for (std::size_t j = i + 1; j < nodes_.size(); ++j) {
        if (plan_.products[j] && plan_.norm_of(*nodes_[j].in[0]) == i) activation_of(j);
    }
    return {};
}

// ---- the other nodes
// -------------------------------------------------------------------------------

// What the norm and the rope before node i would have done, as arguments.
result<head_prep> builder::head_of(std::size_t i) {
    const head_nodes& h = plan_.heads[i];
    head_prep prep;
    prep.x = nodes_[i].in[nodes_[i].info.op == RLX_OP_KvAppend ? 1 : 0];
    if (h.any()) prep.x = nodes_[h.first()].in[0];
    if (h.norm != no_node) {
        const node& n = nodes_[h.norm];
        if (n.input(1)) RLX_CHECK(plain(*n.in[1], true));
        prep.norm = {true, n.input(1), n.f32(RLX_ATTR_weight_offset), n.f32(RLX_ATTR_eps)};
    }
    if (h.rope != no_node) {
        RLX_CHECK(plain(*nodes_[h.rope].in[1], true));
        prep.table = nodes_[h.rope].in[1];
        prep.pairing = nodes_[h.rope].i64(RLX_ATTR_pairing);
    }
    return prep;
}

status builder::emit_state(std::size_t i) {
    const node& n = nodes_[i];
    const bool append = n.info.op == RLX_OP_KvAppend;
    kv_layout kv = RLX_TRY(kv_layout_of(p_.roots[n.in[append ? 0 : 1]->root].slot, p_.cfg));
    if (append) {
        const tensor &k = *n.in[1], &v = *n.in[2];
        if (k.rank != 3 || v.rank != 3 || k.dim[1] != kv.n_heads || v.dim[1] != kv.n_heads ||
            k.dim[2] != kv.k_dim || v.dim[2] != kv.v_dim) {
            return fail(
                RLX_INVALID_ARGUMENT,
                "{}: keys or values do not have the state's shape",
                n.info.origin
            );
        }
        push(make_kv_append(n, kv, RLX_TRY(head_of(i))), n);
        return {};
    }
    const tensor& q = *n.in[0];
    if (kv.n_heads == 0 || q.dim[1] % kv.n_heads != 0 || q.dim[2] != kv.k_dim) {
        return fail(
            RLX_INVALID_ARGUMENT,
            "{}: queries do not fit the state's {} heads of {}",
            n.info.origin,
            kv.n_heads,
            kv.k_dim
        );
    }
    const std::int64_t keys = n.in[4]->last() * kv.page_tokens;
    const std::uint64_t want = attention_workspace(kv, q.dim[0], q.dim[1], keys);
    if (want > partial_bytes_) {
        partial_bytes_ = want;
        partial_at_ = reserve(want);
    }
    push(make_attention(n, kv, RLX_TRY(head_of(i)), partial_at_, want), n);
    return {};
}

status builder::emit_gather(const node& n) {
    const tensor& table = *n.in[0];
    const root& r = p_.roots[table.root];
    RLX_CHECK(plain(*n.in[1], false));
    gather_source source;
    if (r.kind == RLX_VALUE_WEIGHT && table.id == table.root && table.rank > 0) {
        const auto* api = sdk::service<rlx_weights_v1>();
        const auto* graph = sdk::service<rlx_graph_v1>();
        source.checkpoint = graph->weights(p_.graph);
        source.name = r.name;
        source.dtype = r.loaded ? r.stored : table.dtype;
        source.n_rows = table.rows();
        source.row = table.last();
        source.rows_per_id = table.dim[0] ? source.n_rows / table.dim[0] : 0;
        if (is_float(source.dtype) && source.n_rows > 0) {
            rlx_bytes view{nullptr, 0};
            RLX_CHECK(check(api->view(source.checkpoint, r.name, &view)));
            const auto rows = static_cast<std::uint64_t>(source.n_rows);
            if (view.p && view.n / rows < stored_row_bytes(source.dtype, source.row)) {
                return fail(
                    RLX_CORRUPT_DATA,
                    "'{}' has {} bytes for {} rows of {}",
                    r.name,
                    view.n,
                    rows,
                    source.row
                );
            }
            source.view = static_cast<const char*>(view.p);
        }
        p_.weights.count_mapped(
            static_cast<std::uint64_t>(source.n_rows) * stored_row_bytes(source.dtype, source.row)
        );
    } else {
        RLX_CHECK(plain(table, true));
    }
    push(make_gather_rows(n, source), n);
    return {};
}

// ---- convolutions

// The weight packed when it is loaded: as the file stores it where its rows are those of the
// product, else arranged. Null: it has to be packed in each run.
const mm_packed* builder::stored_job(const node& n, const conv_plan& plan, const conv_job& j) {
    const tensor& t = *n.in[1];
    const root& r = p_.roots[t.root];
    const bool stored = r.kind == RLX_VALUE_WEIGHT || r.kind == RLX_VALUE_CONSTANT;
    if (!stored || !t.contiguous || t.count != p_.tensors[t.root].count || r.loaded) return nullptr;
    const std::int64_t cols = j.weight.cols();
    const char* reason = nullptr;
    if (n.info.op == RLX_OP_Conv) {
        packed_weight w;
        if (!mm_layout(p_.cfg.mm, {t.dtype, plan.groups, plan.group_outs(), cols}, &w.mm, &reason))
            return nullptr;
        w.name = r.name;
        w.row_bytes = static_cast<std::uint64_t>(cols) * element_size(t.dtype);
        w.file_rows = cols / t.last();
        w.root = t.root;
        if (r.kind == RLX_VALUE_CONSTANT) w.constant = static_cast<const char*>(r.data.p);
        return &p_.weights.add(w)->mm;
    }
    if (r.kind == RLX_VALUE_CONSTANT && t.dtype != RLX_F32) return nullptr;
    arranged_weight w;
    w.mm = j.run_time;
    w.rows = j.weight;
    w.name = r.name;
    if (r.kind == RLX_VALUE_CONSTANT) w.constant = r.data;
    w.count = t.count;
    w.last = t.last();
    w.root = t.root;
    return p_.weights.add(w);
}

status builder::pack_jobs(const node& n, conv_plan& plan) {
    mm_config exact = p_.cfg.mm;
    exact.exact = true;
    std::uint64_t at = 0;
    for (conv_job& j : plan.jobs) {
        const std::int64_t cols = j.weight.cols();
        const char* reason = "no kernel";
        if (cols == 0) continue; // outputs that no tap reaches
        if (!mm_layout(
                exact, {RLX_F32, plan.groups, plan.group_outs(), cols}, &j.run_time, &reason
            ))
            return fail(RLX_UNSUPPORTED, "cpu: {}: {}", n.info.origin, std::string_view(reason));
        j.mm = stored_job(n, plan, j);
        if (j.mm) continue;
        j.pack_offset = at;
        at += align64(j.run_time.bytes);
    }
    if (at == 0) return {};
    RLX_CHECK(plain(*n.in[1], true));
    push(make_conv_pack(n, plan), n);
    return {};
}

status builder::emit_conv(const node& n) {
    conv_plan plan = plan_conv(n);
    if (n.input(2)) RLX_CHECK(plain(*n.in[2], true));
    if (plan.direct) {
        RLX_CHECK(plain_inputs(n));
        push(make_direct_conv(n, std::move(plan)), n);
        return {};
    }
    RLX_CHECK(pack_jobs(n, plan));
    push(make_conv(n, std::move(plan)), n);
    return {};
}

// The pads are dim handles: they get their numbers with the tensors'.
status builder::emit_pad(const node& n) {
    RLX_CHECK(plain_inputs(n));
    const rlx_attr& lo = *n.attr(RLX_ATTR_pad_lo);
    const auto at = static_cast<std::uint32_t>(p_.handles.size());
    p_.handles.insert(p_.handles.end(), lo.list, lo.list + lo.n);
    push(make_pad(n, at), n);
    return {};
}

namespace {

// Ops whose step needs nothing but the node; null for any other.
step_ptr make_other(const node& n) {
    switch (n.info.op) {
    case RLX_OP_Gather: return make_gather(n);
    case RLX_OP_Flip: return make_flip(n);
    case RLX_OP_ScatterRows: return make_scatter_rows(n);
    case RLX_OP_ScatterAlong: return make_scatter_along(n);
    case RLX_OP_Sort: return make_sort(n);
    case RLX_OP_ArgReduce: return make_arg_reduce(n);
    case RLX_OP_CumSum: return make_cum_sum(n);
    case RLX_OP_Random: return make_random(n);
    case RLX_OP_Resize: return make_resize(n);
    case RLX_OP_GridSample: return make_grid_sample(n);
    case RLX_OP_Pool: return make_pool(n);
    case RLX_OP_Im2Col: return make_im2col(n);
    case RLX_OP_Col2Im: return make_col2im(n);
    case RLX_OP_Fft: return make_fft(n);
    case RLX_OP_CausalConv1d: return make_causal_conv1d(n);
    case RLX_OP_SelectiveScan: return make_selective_scan(n);
    case RLX_OP_SsdScan: return make_ssd_scan(n);
    case RLX_OP_GatedDeltaRule:
    case RLX_OP_LinearAttention: return make_head_scan(n);
    case RLX_OP_Rnn: return make_rnn(n);
    default: return nullptr;
    }
}

} // namespace

status builder::emit_simple(const node& n) {
    RLX_CHECK(plain_inputs(n));
    switch (n.info.op) {
    case RLX_OP_Concat: push(make_concat(n), n); break;
    case RLX_OP_Fill: push(make_fill(n), n); break;
    case RLX_OP_Arange: push(make_arange(n), n); break;
    case RLX_OP_Custom: push(make_custom(n, p_.graph), n); break;
    case RLX_OP_TakeAlong: push(make_take_along(n), n); break;
    case RLX_OP_TopK: push(make_top_k(n), n); break;
    case RLX_OP_Reduce: push(make_reduce(n), n); break;
    case RLX_OP_Softmax: push(make_softmax(n), n); break;
    case RLX_OP_RmsNorm: push(make_rms_norm(n), n); break;
    case RLX_OP_RopeTable: push(make_rope_table(n), n); break;
    case RLX_OP_Rope: push(make_rope(n), n); break;
    case RLX_OP_MoeRoute: push(make_moe_route(n), n); break;
    case RLX_OP_MoeCombine: push(make_moe_combine(n), n); break;
    case RLX_OP_LayerNorm: push(make_layer_norm(n), n); break;
    case RLX_OP_GroupNorm: push(make_group_norm(n), n); break;
    case RLX_OP_Snake: push(make_snake(n), n); break;
    case RLX_OP_Modulate: push(make_modulate(n), n); break;
    case RLX_OP_StateLoad:
    case RLX_OP_StateStore: push(make_tensor_state(n, p_.roots[n.in[0]->root].slot), n); break;
    case RLX_OP_Attention:
    case RLX_OP_RaggedAttention:
        for (step_ptr& s : make_dense_attention(n))
            push(std::move(s), n);
        break;
    default:
        if (step_ptr s = make_other(n))
            push(std::move(s), n);
        else
            push(make_elementwise(n), n);
        break;
    }
    return {};
}

status builder::emit(std::size_t i) {
    const node& n = nodes_[i];
    if (done_[i] || is_view(n.info.op)) return {};
    if (plan_.roles[i] == role::norm) return emit_norm(i);
    if (plan_.roles[i] == role::absorbed) {
        activation_of(i);
        lists_of(i);
        return {};
    }
    if (plan_.roles[i] == role::head) return {};
    if (plan_.partner[i] != no_node) return emit_fused(i);
    switch (n.info.op) {
    case RLX_OP_MatMul:
    case RLX_OP_GroupedMatMul: return emit_product(i);
    case RLX_OP_KvAppend:
    case RLX_OP_AttentionState: return emit_state(i);
    case RLX_OP_GatherRows: return emit_gather(n);
    case RLX_OP_BatchMatMul: return emit_dense(n);
    case RLX_OP_Conv:
    case RLX_OP_ConvTranspose: return emit_conv(n);
    case RLX_OP_Pad: return emit_pad(n);
    default: return emit_simple(n);
    }
}

// Activations whose lives do not meet share a slot.
void builder::assign_slots() {
    struct slot {
        std::size_t last;
        std::uint64_t bytes;
    };

    std::vector<slot> slots;
    for (const known_activation& k : known_) {
        if (k.a->in_place) continue;
        const std::uint64_t bytes =
            act_row_bytes(k.a->form, k.a->x->last()) * static_cast<std::uint64_t>(k.a->x->rows());
        std::size_t s = 0;
        while (s < slots.size() && slots[s].last >= k.first)
            ++s;
        if (s == slots.size()) slots.push_back({0, 0});
        slots[s].last = k.last;
        slots[s].bytes = std::max(slots[s].bytes, bytes);
        k.a->slot = static_cast<std::uint32_t>(s);
    }
    p_.n_slots = static_cast<std::uint32_t>(slots.size());
    for (const slot& s : slots)
        p_.slot_offset.push_back(reserve(s.bytes));
}

status builder::run(const build_options& options) {
    const std::span<const std::uint32_t> wanted(args_.nodes, args_.n_nodes);
    RLX_CHECK(read_graph(p_, args_.graph, wanted, nodes_));
    p_.graph_scratch = sdk::service<rlx_graph_v1>()->scratch_bytes(args_.graph);
    plan_.fuse = options.fuse;
    plan_.products.assign(nodes_.size(), nullptr);
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
        const node& n = nodes_[i];
        if (const char* reason = why_not(n, p_)) {
            return fail(
                RLX_UNSUPPORTED,
                "cpu: op {} of '{}': {}",
                n.info.op,
                n.info.origin,
                std::string_view(reason)
            );
        }
        if (is_product(n)) plan_.products[i] = RLX_TRY(pack(n));
    }
    find_patterns(p_, nodes_, plan_);
    done_.assign(nodes_.size(), 0);
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
        const std::size_t before = p_.steps.size();
        RLX_CHECK(emit(i));
        for (std::size_t s = before; s < p_.steps.size(); ++s)
            p_.steps[s]->op = nodes_[i].info.op;
    }
    assign_slots();
    std::vector<std::int64_t> upper;
    RLX_CHECK(upper_bounds(args_.graph, &upper));
    RLX_CHECK(p_.resize(upper.data(), static_cast<std::uint32_t>(upper.size())));
    if (p_.pack_bytes > 0) { // known now; barriers depend on where it lies
        p_.pack_at = reserve(p_.pack_bytes);
        RLX_CHECK(p_.resize(upper.data(), static_cast<std::uint32_t>(upper.size())));
    }
    for (const auto& s : p_.steps)
        p_.local_bytes = std::max(p_.local_bytes, align64(s->local_bytes));
    return {};
}

} // namespace

status build_program(program& p, const rlx_compile_args& args, const build_options& options) {
    return builder(p, args).run(options);
}

} // namespace rlx::cpu
