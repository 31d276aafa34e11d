// SPDX-License-Identifier: GPL-3.0-only
#include "patterns.hpp"

#include <algorithm>

namespace rlx::cpu {

namespace {

struct use {
    std::uint32_t node;
    std::uint32_t input;
};

bool meet(const program& p, const tensor& a, const tensor& b) {
    if (a.root == b.root) return true;
    const root &x = p.roots[a.root], &y = p.roots[b.root];
    if (x.where != memory::scratch || y.where != memory::scratch) return false;
    return x.offset < y.offset + y.bytes && y.offset < x.offset + x.bytes;
}

class finder {
public:
    finder(const program& p, const std::vector<node>& nodes, plan_of_nodes& plan)
        : p_(p), nodes_(nodes), plan_(plan), uses_(p.roots.size()),
          made_by_(p.roots.size(), no_node) {
        for (std::uint32_t i = 0; i < nodes.size(); ++i) {
            if (is_view(nodes[i].info.op)) continue;
            for (std::uint32_t k = 0; k < nodes[i].in.size(); ++k) {
                if (nodes[i].in[k]) uses_[nodes[i].in[k]->root].push_back({i, k});
            }
            for (const tensor* t : nodes[i].out)
                made_by_[t->id] = i;
        }
    }

    void run() {
        for (std::uint32_t i = 0; i < nodes_.size(); ++i) {
            if (nodes_[i].info.op == RLX_OP_RmsNorm) norm(i);
        }
        for (std::uint32_t i = 0; i < nodes_.size(); ++i) {
            if (nodes_[i].info.op == RLX_OP_Glu) gate(i);
            if (nodes_[i].info.op == RLX_OP_Unary) unary(i);
        }
        for (std::uint32_t i = 0; i < nodes_.size(); ++i) {
            if (nodes_[i].info.op == RLX_OP_Binary &&
                nodes_[i].i64(RLX_ATTR_kind) == RLX_BINARY_ADD)
                sum(i);
        }
        heads();
    }

private:
    bool is_whole(const tensor& t) const {
        return t.contiguous && t.offset == 0 && t.count == p_.tensors[t.root].count;
    }

    // The packed product that makes t, when only node `by` wants it; else no_node.
    std::uint32_t sole_product(const tensor& t, std::uint32_t by) const {
        const std::uint32_t at = made_by_[t.id];
        if (at == no_node || !plan_.products[at] || plan_.roles[at] != role::plain) return no_node;
        if (p_.roots[t.root].output || uses_[t.root].size() != 1 || uses_[t.root][0].node != by)
            return no_node;
        return at;
    }

    // Everybody who wants the norm's result is a product that reads its rows.
    void norm(std::uint32_t i) {
        const node& n = nodes_[i];
        const tensor& y = *n.out[0];
        if (p_.roots[y.root].output || uses_[y.root].empty() || !n.in[0]->contiguous) return;
        for (const use& u : uses_[y.root]) {
            const node& to = nodes_[u.node];
            const tensor& x = *to.in[u.input];
            if (u.input != 0 || !plan_.products[u.node] || !is_whole(x) || x.last() != y.last())
                return;
        }
        plan_.roles[i] = role::norm;
        plan_.norm_by_root[y.root] = i;
    }

    void gate(std::uint32_t i) {
        const node& n = nodes_[i];
        const std::uint32_t a = sole_product(*n.in[0], i), b = sole_product(*n.in[1], i);
        if (a == no_node || b == no_node || a == b) return;
        const mm_packed &x = plan_.products[a]->mm, &y = plan_.products[b]->mm;
        const node &g = nodes_[a], &u = nodes_[b];
        if (g.info.op != u.info.op || g.in[0] != u.in[0] || x.form != y.form ||
            x.row_step != y.row_step)
            return;
        if (x.desc.rows != y.desc.rows) return;
        if (g.info.op == RLX_OP_GroupedMatMul &&
            (g.in[2] != u.in[2] || x.desc.groups != y.desc.groups))
            return;
        plan_.roles[a] = plan_.roles[b] = role::absorbed;
        plan_.partner[i] = a;
        plan_.second[i] = b;
        plan_.packs[i] = g.info.op == RLX_OP_MatMul && packs(*n.out[0]);
    }

    void unary(std::uint32_t i) {
        const node& n = nodes_[i];
        const std::uint32_t at = sole_product(*n.in[0], i);
        if (at == no_node || nodes_[at].info.op != RLX_OP_MatMul) return;
        if (!same_shape(*n.in[0], *n.out[0]) || n.in[0]->id != nodes_[at].out[0]->id) return;
        plan_.roles[at] = role::absorbed;
        plan_.partner[i] = at;
        plan_.packs[i] = packs(*n.out[0]);
    }

    // Nobody wants t but products of bf16 activations, which read it as it is.
    bool packs(const tensor& t) const {
        if (p_.roots[t.root].output || uses_[t.root].empty() || !is_whole(t)) return false;
        return std::all_of(uses_[t.root].begin(), uses_[t.root].end(), [&](const use& u) {
            const node& to = nodes_[u.node];
            return u.input == 0 && to.info.op == RLX_OP_MatMul && plan_.products[u.node] &&
                   plan_.products[u.node]->mm.form == act_form::bf16 && to.in[0]->id == t.id;
        });
    }

    bool same_shape(const tensor& a, const tensor& b) const {
        return a.rank == b.rank && std::equal(a.dim, a.dim + a.rank, b.dim);
    }

    void sum(std::uint32_t i) {
        const node& n = nodes_[i];
        // The later operand first: that is the layer's output, the other one the residual.
        for (std::size_t k : {std::size_t{1}, std::size_t{0}}) {
            const tensor &y = *n.in[k], &rest = *n.in[1 - k];
            const std::uint32_t at = sole_product(y, i);
            if (at == no_node || nodes_[at].info.op != RLX_OP_MatMul) continue;
            if (rest.dtype != RLX_F32 || !rest.contiguous || rest.root == y.root) continue;
            const std::uint16_t kind = p_.roots[rest.root].kind;
            if (kind != RLX_VALUE_TEMP && kind != RLX_VALUE_INPUT) continue;
            if (!same_shape(y, *n.out[0]) || !same_shape(rest, *n.out[0])) continue;
            plan_.roles[at] = role::absorbed;
            plan_.partner[i] = at;
            return;
        }
    }

    // The node `op` that makes t for node `by` alone, else no_node.
    std::uint32_t sole_maker(const tensor& t, std::uint32_t by, std::uint16_t op) const {
        const std::uint32_t at = made_by_[t.id];
        if (at == no_node || nodes_[at].info.op != op || plan_.roles[at] != role::plain)
            return no_node;
        if (p_.roots[t.root].output || uses_[t.root].size() != 1 || uses_[t.root][0].node != by)
            return no_node;
        return at;
    }

    head_nodes head_of(std::uint32_t i) const {
        const node& n = nodes_[i];
        const tensor* t = n.in[n.info.op == RLX_OP_KvAppend ? 1 : 0];
        head_nodes h;
        h.rope = sole_maker(*t, i, RLX_OP_Rope);
        if (h.rope != no_node) t = nodes_[h.rope].in[0];
        const std::uint32_t norm = sole_maker(*t, h.rope != no_node ? h.rope : i, RLX_OP_RmsNorm);
        if (norm == no_node || !same_shape(*t, *nodes_[norm].in[0])) return h;
        const tensor* weight = nodes_[norm].input(1);
        const bool fixed = !weight || p_.roots[weight->root].kind == RLX_VALUE_WEIGHT ||
                           p_.roots[weight->root].kind == RLX_VALUE_CONSTANT;
        if (fixed) h.norm = norm;
        return h;
    }

    // What the head's nodes read is still there when node i runs.
    bool head_is_safe(std::uint32_t i) const {
        const head_nodes& h = plan_.heads[i];
        const tensor& x = *nodes_[h.first()].in[0];
        if (h.rope != no_node && may_be_lost(p_, nodes_, plan_, *nodes_[h.rope].in[1], h.rope, i))
            return false;
        if (may_be_lost(p_, nodes_, plan_, x, h.first(), i - 1)) return false;
        const tensor& out = *nodes_[i].out[0];
        if (!meet(p_, out, x)) return true;
        // Attention may write over its queries row by row.
        return p_.roots[out.root].offset == p_.roots[x.root].offset && is_whole(x) &&
               same_shape(out, x);
    }

    void set_head(std::uint32_t i, role r) {
        const head_nodes& h = plan_.heads[i];
        if (h.norm != no_node) plan_.roles[h.norm] = r;
        if (h.rope != no_node) plan_.roles[h.rope] = r;
    }

    void heads() {
        for (std::uint32_t i = 0; i < nodes_.size(); ++i) {
            const std::uint16_t op = nodes_[i].info.op;
            if (op != RLX_OP_KvAppend && op != RLX_OP_AttentionState) continue;
            plan_.heads[i] = head_of(i);
            set_head(i, role::head);
        }
        // A node that stays writes its result again, which may cost others their input.
        for (bool again = true; again;) {
            again = false;
            for (std::uint32_t i = 0; i < nodes_.size(); ++i) {
                if (!plan_.heads[i].any() || head_is_safe(i)) continue;
                set_head(i, role::plain);
                plan_.heads[i] = {};
                again = true;
            }
        }
    }

    const program& p_;
    const std::vector<node>& nodes_;
    plan_of_nodes& plan_;
    std::vector<std::vector<use>> uses_; // by root
    std::vector<std::uint32_t> made_by_; // by value
};

} // namespace

void find_patterns(const program& p, const std::vector<node>& nodes, plan_of_nodes& plan) {
    plan.roles.assign(nodes.size(), role::plain);
    plan.partner.assign(nodes.size(), no_node);
    plan.second.assign(nodes.size(), no_node);
    plan.packs.assign(nodes.size(), 0);
    plan.norm_by_root.assign(p.roots.size(), no_node);
    plan.heads.assign(nodes.size(), head_nodes{});
    if (plan.fuse) finder(p, nodes, plan).run();
}

bool may_be_lost(
    const program& p,
    const std::vector<node>& nodes,
    const plan_of_nodes& plan,
    const tensor& t,
    std::size_t from,
    std::size_t to
) {
    for (std::size_t i = from + 1; i <= to; ++i) {
        if (plan.roles[i] != role::plain) continue; // its result is never written
        for (const tensor* o : nodes[i].out) {
            if (meet(p, *o, t)) return true;
        }
    }
    return false;
}

bool may_move(
    const program& p,
    const std::vector<node>& nodes,
    const plan_of_nodes& plan,
    std::size_t from,
    std::size_t to
) {
    const tensor& out = *nodes[from].out[0];
    const auto touches = [&](const node& n) {
        const auto hit = [&](const tensor* t) { return t && meet(p, *t, out); };
        return std::any_of(n.in.begin(), n.in.end(), hit) ||
               std::any_of(n.out.begin(), n.out.end(), hit);
    };
    for (std::size_t i = to; i < from; ++i) {
        if (is_view(nodes[i].info.op)) continue;
        if (touches(nodes[i])) return false;
        // A fused step also reads what the nodes before it read.
        if (plan.partner[i] != no_node && touches(nodes[plan.partner[i]])) return false;
        if (plan.second[i] != no_node && touches(nodes[plan.second[i]])) return false;
        const head_nodes& h = plan.heads[i];
        if (h.norm != no_node && touches(nodes[h.norm])) return false;
        if (h.rope != no_node && touches(nodes[h.rope])) return false;
    }
    const tensor* bias = nodes[from].input(2);
    return !bias || p.roots[bias->root].kind == RLX_VALUE_WEIGHT ||
           p.roots[bias->root].kind == RLX_VALUE_CONSTANT;
}

} // namespace rlx::cpu
