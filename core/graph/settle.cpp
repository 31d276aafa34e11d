// SPDX-License-Identifier: GPL-3.0-only
// Who runs each node: claim, copy strided inputs, decompose, ask again.
#include "build.hpp"
#include "dtype.hpp"
#include "passes.hpp"
#include "views.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <map>

namespace rlx::ir {

namespace {

class settler {
public:
    settler(module& m, const graph::claim_fn& claims, const finish_options& options)
        : m_(m), claims_(claims), options_(options), settled_(m.nodes.size(), 0) {}

    // Number of decomposed composites.
    result<std::size_t> run() {
        // Decompositions are at most three deep (MoeRoute, Softmax, primitives), each with one
        // round of copies before; more rounds mean a decomposition that does not make progress.
        for (int round = 0; round < 16; round++) {
            if (RLX_TRY(ask()) == 0) return decomposed_;
            RLX_CHECK(rebuild());
        }
        return error{RLX_INTERNAL, "decompositions do not end"};
    }

private:
    // Number of refused nodes.
    result<std::size_t> ask() {
        std::vector<std::uint32_t> open;
        std::vector<std::size_t> unasked;
        for (std::size_t i = 0; i < m_.nodes.size(); i++) {
            const op_kind kind = op_info(m_.nodes[i].op)->kind;
            if (settled_[i] || kind == op_kind::view) continue;
            if (kind == op_kind::composite && !options_.composites)
                unasked.push_back(i);
            else
                open.push_back(static_cast<std::uint32_t>(i));
        }
        std::vector<std::uint8_t> verdict(open.size(), claims_ ? 0 : 1);
        std::vector<std::string> reason(open.size());
        if (claims_ && !open.empty()) RLX_CHECK(claims_(open, verdict, reason));
        std::fill(settled_.begin(), settled_.end(), char{1});
        reasons_.assign(m_.nodes.size(), {});
        for (const std::size_t i : unasked)
            settled_[i] = 0;
        std::size_t refused = unasked.size();
        for (std::size_t k = 0; k < open.size(); k++) {
            if (verdict[k] == graph::claim_elsewhere && !RLX_TRY(parts_are_wanted(open[k])))
                continue;
            if (verdict[k] == 1) continue;
            settled_[open[k]] = 0;
            reasons_[open[k]] = std::move(reason[k]);
            refused++;
        }
        return refused;
    }

    // Whether what replace() would make of the node is claimed to the last part. Asked of nodes at
    // the end of the list that are taken away again.
    result<bool> parts_are_wanted(std::size_t i, int depth = 0) {
        const std::size_t n_values = m_.values.size(), n_nodes = m_.nodes.size();
        std::vector<node> parts;
        const bool copied = m_.nodes[i].op != RLX_OP_Copy && strided_inputs(m_.nodes[i]);
        if (m_.nodes[i].op == RLX_OP_Custom) return false;
        if (copied)
            RLX_CHECK(emit_contiguous(i, parts));
        else if (op_info(m_.nodes[i].op)->kind == op_kind::composite && !options_.assert_whole)
            RLX_TRY(decompose(m_, parts, m_.nodes[i]));
        constexpr int deepest = 6; // copies and a decomposition, three times
        const bool any = !parts.empty() && depth < deepest;
        for (node& n : parts)
            m_.nodes.push_back(std::move(n));
        m_.renumber();
        auto wanted = any ? all_claimed(n_nodes, depth) : result<bool>(false);
        m_.nodes.erase(m_.nodes.begin() + static_cast<std::ptrdiff_t>(n_nodes), m_.nodes.end());
        m_.values.erase(m_.values.begin() + static_cast<std::ptrdiff_t>(n_values), m_.values.end());
        m_.renumber();
        return wanted;
    }

    // All nodes from `first` on, themselves or in parts.
    result<bool> all_claimed(std::size_t first, int depth) {
        std::vector<std::uint32_t> open;
        for (std::size_t i = first; i < m_.nodes.size(); i++)
            if (op_info(m_.nodes[i].op)->kind != op_kind::view)
                open.push_back(static_cast<std::uint32_t>(i));
        std::vector<std::uint8_t> verdict(open.size(), 0);
        std::vector<std::string> reason(open.size());
        RLX_CHECK(claims_(open, verdict, reason));
        for (std::size_t k = 0; k < open.size(); k++)
            if (verdict[k] != 1 && !RLX_TRY(parts_are_wanted(open[k], depth + 1))) return false;
        return true;
    }

    bool strided_input(rlx_value v) {
        if (v == 0) return false;
        const value& x = m_.at(v);
        if (x.kind == RLX_VALUE_STATE || layout_of(x.dtype).packed()) return false;
        const auto contiguous = is_contiguous(m_.dims, x.dims, x.strides);
        return contiguous && !*contiguous;
    }

    bool strided_inputs(const node& n) {
        return std::any_of(n.in.begin(), n.in.end(), [&](rlx_value v) { return strided_input(v); });
    }

    // Node i again, with copies of its strided inputs.
    result<void> emit_contiguous(std::size_t i, std::vector<node>& parts) {
        std::vector<rlx_value> in = m_.nodes[i].in;
        const std::string origin = m_.nodes[i].origin;
        for (rlx_value& v : in)
            if (strided_input(v))
                v = RLX_TRY(emit_node(m_, parts, RLX_OP_Copy, {&v, 1}, {}, origin))[0];
        // Its results are new values; nobody looks at them.
        RLX_TRY(emit_node(m_, parts, m_.nodes[i].op, in, m_.nodes[i].attrs.items, origin));
        return {};
    }

    result<void> rebuild() {
        std::vector<node> old = std::move(m_.nodes);
        std::vector<char> done = std::move(settled_);
        m_.nodes.clear();
        settled_.clear();
        copies_.clear();
        for (std::size_t i = 0; i < old.size(); i++) {
            if (!done[i])
                RLX_CHECK(replace(old[i], reasons_[i]));
            else
                m_.nodes.push_back(std::move(old[i]));
            settled_.resize(m_.nodes.size(), done[i]);
        }
        m_.renumber();
        return {};
    }

    result<void> replace(node& n, const std::string& reason) {
        const op_desc& op = *op_info(n.op);
        if (op.kind == op_kind::composite && !options_.composites) return expand(n);
        if (n.op != RLX_OP_Copy && RLX_TRY(copy_strided_inputs(n))) {
            m_.nodes.push_back(std::move(n));
            return {};
        }
        if (op.kind != op_kind::composite) return refused(n, op, reason);
        if (options_.assert_whole) return refused(n, op, reason);
        return expand(n);
    }

    error refused(const node& n, const op_desc& op, const std::string& reason) const {
        std::string inputs;
        for (rlx_value v : n.in)
            inputs += (inputs.empty() ? "" : ", ") + describe(m_, v);
        return {
            RLX_UNSUPPORTED,
            fmt::format(
                "the backend has no kernel for {} ({}){}{}{}",
                where(n),
                inputs,
                reason.empty() ? "" : ": ",
                reason,
                op.kind == op_kind::composite
                    ? "; it would be decomposed, which assert_clean forbids"
                    : ""
            )};
    }

    // True when there was something to copy.
    result<bool> copy_strided_inputs(node& n) {
        bool any = false;
        for (rlx_value& v : n.in) {
            if (v == 0) continue;
            const value& x = m_.at(v);
            if (x.kind == RLX_VALUE_STATE || layout_of(x.dtype).packed()) continue;
            if (RLX_TRY(is_contiguous(m_.dims, x.dims, x.strides))) continue;
            rlx_value& copy = copies_[v];
            if (copy == 0)
                copy = RLX_TRY(emit_node(m_, m_.nodes, RLX_OP_Copy, {&v, 1}, {}, n.origin))[0];
            v = copy;
            any = true;
        }
        return any;
    }

    // The last nodes of the decomposition define n's own outputs, so no other node or host handle
    // changes.
    result<void> expand(const node& n) {
        decomposed_++;
        const std::size_t first = m_.nodes.size();
        const std::vector<rlx_value> made = RLX_TRY(decompose(m_, m_.nodes, n));
        if (made.size() != n.out.size())
            return error{
                RLX_INTERNAL,
                fmt::format("{}: decomposition with {} results", where(n), made.size())};
        for (std::size_t k = 0; k < made.size(); k++) {
            const value &want = m_.at(n.out[k]), &have = m_.at(made[k]);
            if (have.dtype != want.dtype || have.dims != want.dims || have.root != made[k])
                return error{
                    RLX_INTERNAL,
                    fmt::format(
                        "{}: decomposition gives {}, expected {}",
                        where(n),
                        describe(m_, made[k]),
                        describe(m_, n.out[k])
                    )};
            for (std::size_t i = first; i < m_.nodes.size(); i++) {
                std::replace(m_.nodes[i].in.begin(), m_.nodes[i].in.end(), made[k], n.out[k]);
                std::replace(m_.nodes[i].out.begin(), m_.nodes[i].out.end(), made[k], n.out[k]);
            }
        }
        return {};
    }

    module& m_;
    const graph::claim_fn& claims_;
    const finish_options& options_;
    std::size_t decomposed_ = 0;
    std::vector<char> settled_; // by node: claimed, or not asked because it is a view
    std::vector<std::string> reasons_;
    std::map<rlx_value, rlx_value> copies_;
};

} // namespace

result<std::size_t>
settle(module& m, const graph::claim_fn& claims, const finish_options& options) {
    return settler(m, claims, options).run();
}

} // namespace rlx::ir
