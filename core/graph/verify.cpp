// SPDX-License-Identifier: GPL-3.0-only
// The verifier: trusts nothing that building or a pass wrote down.
#include "custom.hpp"
#include "dtype.hpp"
#include "passes.hpp"
#include "rules.hpp"
#include "views.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <map>

namespace rlx::ir {

namespace {

class verifier {
public:
    explicit verifier(const module& m)
        : m_(m), dims_(m.dims), defined_(m.values.size() + 1, 0), current_(m.values.size() + 1, 0) {
    }

    result<void> run() {
        RLX_CHECK(sources());
        for (std::size_t i = 0; i < m_.nodes.size(); i++)
            RLX_CHECK(check_node(i));
        RLX_CHECK(outputs());
        return scratch();
    }

private:
    static error bad(std::string text) {
        return {RLX_INTERNAL, "graph verifier: " + std::move(text)};
    }

    error at(std::size_t i, std::string_view text) const {
        return bad(fmt::format("node {} {}: {}", i, where(m_.nodes[i]), text));
    }

    result<void> sources() {
        for (std::size_t i = 0; i < m_.values.size(); i++) {
            const auto id = static_cast<rlx_value>(i + 1);
            const value& v = m_.values[i];
            const bool made =
                v.kind == RLX_VALUE_TEMP || (v.kind == RLX_VALUE_STATE && v.root != id);
            if (v.kind < RLX_VALUE_INPUT || v.kind > RLX_VALUE_TEMP)
                return bad(fmt::format("value {} has kind {}", describe(m_, id), v.kind));
            if (!m_.valid(v.root))
                return bad(fmt::format("value {} has no root", describe(m_, id)));
            for (dim d : v.dims)
                if (!dims_.valid(d)) return bad(fmt::format("value %{} has an unknown dim", id));
            if (!made) {
                defined_[id] = 1;
                if (v.root != id || v.producer != no_node)
                    return bad(fmt::format("{} is a source but has a producer", describe(m_, id)));
            }
            if (v.kind == RLX_VALUE_STATE && !made) current_[id] = id;
        }
        return {};
    }

    result<void> check_node(std::size_t i) {
        const node& n = m_.nodes[i];
        const op_desc* op = op_info(n.op);
        if (!op) return at(i, "unknown op");
        if ((n.op == RLX_OP_Custom) != (n.custom != nullptr)) return at(i, "no plugin behind it");
        const std::uint32_t version = n.custom ? n.custom->desc.version : op->version;
        if (n.version != version) return at(i, fmt::format("version {}", n.version));
        for (rlx_value v : n.in) {
            if (v == 0) continue;
            if (!m_.valid(v)) return at(i, fmt::format("unknown value %{}", v));
            if (!defined_[v])
                return at(i, fmt::format("uses {} before it is made", describe(m_, v)));
        }
        if (n.custom) return check_custom(i);
        auto attrs = check_attrs(m_, *op, n.in, n.attrs.items, n.origin);
        if (!attrs) return at(i, attrs.error().message);
        auto specs = infer(m_, dims_, *op, n.in, n.attrs, n.origin);
        if (!specs) return at(i, specs.error().message);
        if (n.out.size() != op->n_outputs || specs->size() != op->n_outputs)
            return at(i, fmt::format("{} outputs, expected {}", n.out.size(), op->n_outputs));
        for (std::size_t k = 0; k < n.out.size(); k++)
            RLX_CHECK(check_output(i, n.out[k], (*specs)[k]));
        return states(i);
    }

    // The plugin's rule is asked once, when the node is built: only what the host itself made of
    // its answer is checked again.
    result<void> check_custom(std::size_t i) {
        const node& n = m_.nodes[i];
        auto attrs = check_custom_attrs(where(n), n.attrs.items);
        if (!attrs) return at(i, attrs.error().message);
        if (n.out.size() != n.custom->desc.n_outputs)
            return at(
                i, fmt::format("{} outputs, expected {}", n.out.size(), n.custom->desc.n_outputs)
            );
        for (rlx_value id : n.out) {
            if (!m_.valid(id)) return at(i, fmt::format("makes the unknown value %{}", id));
            out_spec s;
            s.dtype = m_.at(id).dtype;
            s.dims = m_.at(id).dims;
            s.strides = RLX_TRY(contiguous_strides(dims_, s.dims));
            RLX_CHECK(check_output(i, id, s));
        }
        return states(i);
    }

    result<void> check_output(std::size_t i, rlx_value id, const out_spec& s) {
        if (!m_.valid(id)) return at(i, fmt::format("makes the unknown value %{}", id));
        const value& v = m_.at(id);
        if (defined_[id]) return at(i, fmt::format("makes {} again", describe(m_, id)));
        if (v.producer != i) return at(i, fmt::format("{} has another producer", describe(m_, id)));
        if (v.dtype != s.dtype || v.dims != s.dims)
            return at(
                i,
                fmt::format(
                    "{} should be {} {}", describe(m_, id), dtype_name(s.dtype), dims_.text(s.dims)
                )
            );
        if (v.root != (s.root ? s.root : id) || v.strides != s.strides || v.offset != s.offset)
            return at(i, fmt::format("{} has the wrong strides, offset or root", describe(m_, id)));
        defined_[id] = 1;
        if (s.root && v.kind == RLX_VALUE_TEMP) return view_bounds(i, id);
        return {};
    }

    // A state has one current version; reading or appending to an older one would depend on the
    // order of execution, not on the data flow.
    result<void> states(std::size_t i) {
        const node& n = m_.nodes[i];
        for (rlx_value v : n.in) {
            if (v == 0 || m_.at(v).kind != RLX_VALUE_STATE) continue;
            if (current_[m_.at(v).root] != v)
                return at(
                    i,
                    fmt::format(
                        "uses {} of '{}' after a later append",
                        describe(m_, v),
                        m_.at(m_.at(v).root).name
                    )
                );
        }
        for (rlx_value v : n.out)
            if (m_.at(v).kind == RLX_VALUE_STATE) current_[m_.at(v).root] = v;
        return {};
    }

    // The last element of the view lies inside its root, at the largest and the smallest extents.
    result<void> view_bounds(std::size_t i, rlx_value id) {
        for (const auto& extents : {m_.dims.max_extents(), m_.dims.min_extents()}) {
            if (!m_.dims.check(extents)) continue; // a guard excludes this corner
            if (!inside(id, extents))
                return at(
                    i,
                    fmt::format(
                        "{} reaches outside {}", describe(m_, id), describe(m_, m_.at(id).root)
                    )
                );
        }
        return {};
    }

    bool inside(rlx_value id, std::span<const std::int64_t> extents) const {
        const value &v = m_.at(id), &root = m_.at(v.root);
        std::vector<std::int64_t> n(v.dims.size()), step(v.dims.size()), all(root.dims.size());
        std::int64_t last = 0;
        if (!m_.dims.evaluate(extents, v.dims, n) || !m_.dims.evaluate(extents, v.strides, step) ||
            !m_.dims.evaluate(extents, root.dims, all) ||
            !m_.dims.evaluate(extents, {&v.offset, 1}, {&last, 1}))
            return false;
        if (std::find(n.begin(), n.end(), 0) != n.end()) return true;
        std::int64_t size = 1;
        for (std::int64_t a : all)
            if (__builtin_mul_overflow(size, a, &size)) return false;
        for (std::size_t k = 0; k < n.size(); k++) {
            std::int64_t skip = 0;
            if (__builtin_mul_overflow(n[k] - 1, step[k], &skip) ||
                __builtin_add_overflow(last, skip, &last))
                return false;
        }
        return last < size;
    }

    result<void> outputs() {
        for (std::size_t i = 0; i < m_.outputs.size(); i++) {
            const rlx_value id = m_.outputs[i];
            if (!m_.valid(id) || !defined_[id])
                return bad(fmt::format("output %{} is never made", id));
            const value& v = m_.at(id);
            if (v.kind != RLX_VALUE_TEMP || v.root != id || !v.is_output || v.name.empty())
                return bad(fmt::format("output {} has no memory of its own", describe(m_, id)));
            for (std::size_t k = 0; k < i; k++)
                if (m_.at(m_.outputs[k]).name == v.name)
                    return bad(fmt::format("two outputs are named '{}'", v.name));
        }
        return {};
    }

    // Two values may share bytes only when one is dead before the other is written, or when the
    // second is written over the first by the node that uses it last.
    result<void> scratch() const {
        if (m_.scratch_bytes == 0) return {};
        const std::vector<lifetime> lives = lifetimes(m_);
        std::vector<rlx_value> roots;
        for (std::size_t i = 0; i < m_.values.size(); i++)
            if (lives[i + 1].first != no_node && m_.values[i].scratch_bytes != 0)
                roots.push_back(static_cast<rlx_value>(i + 1));
        std::sort(roots.begin(), roots.end(), [&](rlx_value a, rlx_value b) {
            return lives[a].first < lives[b].first;
        });
        for (std::size_t i = 0; i < roots.size(); i++) {
            const value& a = m_.at(roots[i]);
            if (a.scratch_offset % 64 != 0 || a.scratch_offset + a.scratch_bytes > m_.scratch_bytes)
                return bad(fmt::format("{} lies outside the arena", describe(m_, roots[i])));
            for (std::size_t k = i + 1; k < roots.size(); k++) {
                if (lives[roots[k]].first > lives[roots[i]].last) break;
                const value& b = m_.at(roots[k]);
                if (a.scratch_offset + a.scratch_bytes <= b.scratch_offset ||
                    b.scratch_offset + b.scratch_bytes <= a.scratch_offset)
                    continue;
                const bool handed_over = a.scratch_offset == b.scratch_offset &&
                                         overwritten(m_, lives, lives[roots[k]].first) == roots[i];
                if (!handed_over)
                    return bad(fmt::format(
                        "{} and {} share scratch while both live",
                        describe(m_, roots[i]),
                        describe(m_, roots[k])
                    ));
            }
        }
        return {};
    }

    const module& m_;
    dim_table dims_; // a copy: recomputing shapes may make new dims when the graph is wrong
    std::vector<char> defined_;
    std::vector<rlx_value> current_; // by state root: its newest version
};

} // namespace

result<void> verify(const module& m) {
    return verifier(m).run();
}

} // namespace rlx::ir
