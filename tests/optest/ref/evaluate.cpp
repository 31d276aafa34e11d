// SPDX-License-Identifier: GPL-3.0-only
// The table of the oracle's functions, and whole graphs node by node.
#include "ref.hpp"

#include "rlx/base/wall.hpp"
#include "rlx/graph/ops.hpp"

#include <algorithm>

namespace optest::ref {
namespace {

const std::map<std::uint16_t, op_function>& functions() {
    static const auto all = [] {
        std::map<std::uint16_t, op_function> m;
        for (const auto& group :
             {view_ops(),
              create_ops(),
              index_ops(),
              elementwise_ops(),
              reduce_ops(),
              norm_ops(),
              linear_ops(),
              rope_ops(),
              attention_ops(),
              conv_ops(),
              arrange_ops(),
              image_ops(),
              resample_ops(),
              signal_ops(),
              recurrent_ops()})
            for (const entry& e : group)
                m.emplace(e.op, e.run);
        return m;
    }();
    return all;
}

void must(rlx_error* e) {
    if (e) throw no_answer(rlx::from_wall(e).message);
}

// Attributes that hold dim handles; everything else is plain numbers.
bool holds_dims(std::uint16_t op, std::uint16_t key) {
    switch (key) {
    case RLX_ATTR_dims:
    case RLX_ATTR_start:
    case RLX_ATTR_stop:
    case RLX_ATTR_n: return true;
    case RLX_ATTR_pad_lo:
    case RLX_ATTR_pad_hi: return op == RLX_OP_Pad;
    default: return false;
    }
}

class evaluator {
public:
    evaluator(const rlx::graph& g, const std::vector<std::int64_t>& extents, environment& env)
        : api_(*rlx::graph_table()), g_(g.handle()), extents_(extents), env_(env) {}

    void run(const node_function& f) {
        for (std::uint32_t i = 0; i < api_.node_count(g_); ++i) {
            rlx_node_info n{};
            n.size = sizeof n;
            must(api_.node(g_, i, &n));
            node(n, f);
        }
    }

private:
    dims numbers(const std::int64_t* handles, std::size_t n) {
        dims out(n);
        must(api_.eval_dims(
            g_,
            extents_.data(),
            static_cast<std::uint32_t>(extents_.size()),
            handles,
            static_cast<std::uint32_t>(n),
            out.data()
        ));
        return out;
    }

    rlx_value_info info(rlx_value v) {
        rlx_value_info out{};
        out.size = sizeof out;
        must(api_.value(g_, v, &out));
        return out;
    }

    // Constants, and weights nobody gave: read from the graph's checkpoint.
    void source(rlx_value v, const rlx_value_info& what) {
        tensor t(what.dtype, numbers(what.dims, what.rank));
        if (what.kind == RLX_VALUE_CONSTANT) {
            t.data = decode(what.dtype, what.data.p, t.size());
        } else if (what.kind == RLX_VALUE_WEIGHT) {
            const auto* table = static_cast<const rlx_weights_v1*>(
                rlx::host()->iface(rlx::host()->ctx, rlx::str("rlx.weights/1"), 0)
            );
            std::vector<char> raw(bytes_of(what.dtype, t.size()));
            const std::size_t rows = what.rank ? t.rows() : 1;
            must(table->read_rows(api_.weights(g_), what.name, 0, rows, raw.data(), raw.size()));
            t.data = decode(what.dtype, raw.data(), t.size());
        } else {
            throw no_answer("a value without numbers: " + std::string(rlx::view(what.name)));
        }
        env_.values.emplace(v, std::move(t));
    }

    const tensor* operand(rlx_value v, call& c) {
        if (v == 0) return nullptr;
        const rlx_value_info what = info(v);
        if (what.kind == RLX_VALUE_STATE) {
            c.state = &env_.states.at(what.root);
            return &state_;
        }
        if (!env_.values.contains(v)) source(v, what);
        return &env_.values.at(v);
    }

    attribute attribute_of(const rlx_node_info& n, const rlx_attr& a) {
        attribute out{a.i, a.kind == RLX_ATTR_I64 ? static_cast<double>(a.i) : a.f, {}};
        if (a.kind == RLX_ATTR_LIST) out.list.assign(a.list, a.list + a.n);
        if (a.kind == RLX_ATTR_F64) out.i = static_cast<std::int64_t>(a.f);
        if (!holds_dims(n.op, a.key)) return out;
        if (a.kind == RLX_ATTR_LIST)
            out.list = numbers(a.list, a.n);
        else
            out.i = numbers(&a.i, 1)[0];
        return out;
    }

    void node(const rlx_node_info& n, const node_function& f) {
        call c;
        c.op = n.op;
        c.n_out = n.n_out;
        for (std::uint32_t i = 0; i < n.n_attr; ++i)
            c.attrs[n.attr[i].key] = attribute_of(n, n.attr[i]);
        for (std::uint32_t i = 0; i < n.n_in; ++i)
            c.in.push_back(operand(n.in[i], c));
        for (std::uint32_t i = 0; i < n.n_out; ++i) {
            const rlx_value_info what = info(n.out[i]);
            if (what.kind == RLX_VALUE_STATE)
                c.out.emplace_back();
            else
                c.out.emplace_back(what.dtype, numbers(what.dims, what.rank));
        }
        results out = f(c);
        for (std::uint32_t i = 0; i < n.n_out; ++i) {
            const rlx_value_info what = info(n.out[i]);
            if (what.kind == RLX_VALUE_STATE) continue;
            // The shape rule and the oracle were written apart; they must agree.
            if (out.at(i).shape != numbers(what.dims, what.rank) || out[i].dtype != what.dtype)
                throw no_answer(
                    std::string(rlx::op_info(n.op)->name) +
                    ": the graph's shape or type differs from the oracle's"
                );
            env_.values[n.out[i]] = std::move(out[i]);
        }
    }

    const rlx_graph_v1& api_;
    const rlx_graph* g_;
    const std::vector<std::int64_t>& extents_;
    environment& env_;
    tensor state_;
};

} // namespace

bool knows(std::uint16_t op) {
    return functions().contains(op);
}

results compute(const call& c) {
    const auto it = functions().find(c.op);
    if (it == functions().end()) throw no_answer("the oracle lacks op " + std::to_string(c.op));
    return it->second(c);
}

void evaluate(
    const rlx::graph& g,
    const std::vector<std::int64_t>& extents,
    environment& env,
    const node_function& run
) {
    evaluator(g, extents, env).run(run);
}

} // namespace optest::ref
