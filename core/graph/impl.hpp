// SPDX-License-Identifier: GPL-3.0-only
// The object behind rlx::graph and rlx_graph*.
#pragma once

#include "module.hpp"
#include "rlx/graph/graph.hpp"

#include <map>

namespace rlx::ir {

class graph_impl final : public graph {
public:
    graph_impl(rlx_weights* w, custom_op_finder find_op)
        : source(w), find_op_(std::move(find_op)) {}

    rlx_graph* handle() override { return reinterpret_cast<rlx_graph*>(this); }

    const rlx_graph* handle() const override { return reinterpret_cast<const rlx_graph*>(this); }

    using graph::finish;
    result<void>
    finish(const claim_fn& claims, const finish_options& options, const cut_fn& cut) override;
    result<void> verify() const override;
    std::string dump() const override;

    std::uint64_t scratch_bytes() const override { return m.scratch_bytes; }

    plan_report report() const override;
    rlx_value find_input(std::string_view name) const override;
    rlx_value find_output(std::string_view name) const override;
    std::vector<rlx_value> states() const override;
    result<std::vector<std::int64_t>>
    extents(std::span<const std::pair<std::string_view, std::int64_t>> named) const override;
    result<void> check_extents(std::span<const std::int64_t> in_symbol_order) const override;

    // Error once finish() was called.
    result<void> writable() const;
    // Asked once per name; the error names op and module.
    result<std::shared_ptr<const custom_op>> find_op(std::string_view name, std::uint32_t version);

    module m;
    rlx_weights* source;
    bool finished = false;

private:
    custom_op_finder find_op_;
    std::map<std::string, std::shared_ptr<const custom_op>, std::less<>> ops_;
};

inline graph_impl& impl(rlx_graph* g) {
    return *reinterpret_cast<graph_impl*>(g);
}

inline const graph_impl& impl(const rlx_graph* g) {
    return *reinterpret_cast<const graph_impl*>(g);
}

} // namespace rlx::ir
