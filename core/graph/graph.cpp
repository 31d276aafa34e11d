// SPDX-License-Identifier: GPL-3.0-only
#include "rlx/graph/graph.hpp"

#include "impl.hpp"
#include "passes.hpp"
#include "rlx/base/log.hpp"
#include "rlx/base/wall.hpp"
#include "rlx/formats/weights.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace rlx {

std::unique_ptr<graph> graph::create(weights* w, custom_op_finder find_op) {
    graph_table(); // offers rlx.graph/1
    return std::make_unique<ir::graph_impl>(w ? w->handle() : nullptr, std::move(find_op));
}

result<custom_op>
custom_op_of(const rlx_op_v1* table, void* self, std::string_view name, std::string_view who) {
    if (!RLX_HAS(table, count) || !RLX_HAS(table, describe) || !RLX_HAS(table, infer) ||
        !RLX_HAS(table, run))
        return error{
            RLX_VERSION_MISMATCH,
            fmt::format("{}: its rlx.op/1 lacks count, describe, infer or run", who)};
    const std::uint32_t n = table->count(self);
    for (std::uint32_t i = 0; i < n; i++) {
        custom_op op{std::string(name), table, self, i, {}};
        op.desc.size = sizeof op.desc;
        RLX_CHECK(check_wall(table->describe(self, i, &op.desc)).within(who));
        if (view(op.desc.name) != name) continue;
        const rlx_op_desc& d = op.desc;
        const bool sane = d.version >= 1 && d.version <= UINT16_MAX &&
                          d.min_inputs <= d.max_inputs && d.max_inputs <= 64 && d.n_outputs >= 1 &&
                          d.n_outputs <= RLX_CUSTOM_OUTPUTS;
        if (sane) return op;
        return error{
            RLX_INTERNAL,
            fmt::format(
                "{}: op '{}' says version {}, {} to {} inputs, {} outputs; expected 1 to 65535, "
                "at most 64, 1 to {}",
                who,
                name,
                d.version,
                d.min_inputs,
                d.max_inputs,
                d.n_outputs,
                RLX_CUSTOM_OUTPUTS + 0
            )};
    }
    return error{RLX_NOT_FOUND, fmt::format("{}: its code has no op '{}'", who, name)};
}

namespace ir {

result<void> graph_impl::writable() const {
    if (finished) return error{RLX_INVALID_ARGUMENT, "the graph is finished and cannot be changed"};
    return {};
}

result<std::shared_ptr<const custom_op>>
graph_impl::find_op(std::string_view name, std::uint32_t version) {
    const std::string at = where(name, m.origin);
    auto known = ops_.find(name);
    if (known == ops_.end()) {
        if (!find_op_)
            return error{
                RLX_UNSUPPORTED, fmt::format("{}: this host looks for no ops of plugins", at)};
        auto found = RLX_TRY(find_op_(name).within(at));
        known = ops_.emplace(name, std::make_shared<const custom_op>(std::move(found))).first;
    }
    if (known->second->desc.version != version)
        return error{
            RLX_UNSUPPORTED,
            fmt::format(
                "{}: version {} is asked for, the plugin has {}",
                at,
                version,
                known->second->desc.version
            )};
    return known->second;
}

result<void>
graph_impl::finish(const claim_fn& claims, const finish_options& options, const cut_fn& cut_up) {
    RLX_CHECK(writable());
    finished = true;
    if (m.outputs.empty()) return error{RLX_INVALID_ARGUMENT, "the graph has no output"};
    const std::size_t built = m.nodes.size();
    const std::size_t folded = options.fold ? fold(m) : 0;
    const std::size_t before = m.nodes.size();
    if (options.dce) prune(m);
    const std::size_t dead = before - m.nodes.size();
    RLX_CHECK(ir::verify(m));
    const std::size_t decomposed = RLX_TRY(settle(m, claims, options));
    if (cut_up) RLX_CHECK(cut(m, RLX_TRY(cut_up())));
    RLX_CHECK(plan(m));
    if (options.verbose)
        log_info(
            "graph",
            fmt::format(
                "{} nodes built, {} folded, {} dead, {} composites decomposed, {} to run, {} bytes "
                "of scratch",
                built,
                folded,
                dead,
                decomposed,
                m.nodes.size(),
                m.scratch_bytes
            )
        );
    return ir::verify(m);
}

result<void> graph_impl::verify() const {
    return ir::verify(m);
}

std::string graph_impl::dump() const {
    return ir::dump(m);
}

plan_report graph_impl::report() const {
    return ir::report(m);
}

rlx_value graph_impl::find_input(std::string_view name) const {
    return m.find(RLX_VALUE_INPUT, name);
}

rlx_value graph_impl::find_output(std::string_view name) const {
    for (rlx_value v : m.outputs)
        if (m.at(v).name == name) return v;
    return 0;
}

std::vector<rlx_value> graph_impl::states() const {
    std::vector<rlx_value> out;
    for (std::size_t i = 0; i < m.values.size(); i++) {
        const auto id = static_cast<rlx_value>(i + 1);
        if (m.values[i].kind == RLX_VALUE_STATE && m.values[i].root == id) out.push_back(id);
    }
    return out;
}

result<std::vector<std::int64_t>>
graph_impl::extents(std::span<const std::pair<std::string_view, std::int64_t>> named) const {
    std::vector<std::int64_t> out;
    for (const symbol& s : m.dims.symbols()) {
        const auto it = std::find_if(named.begin(), named.end(), [&](const auto& n) {
            return n.first == s.name;
        });
        if (it != named.end())
            out.push_back(it->second);
        else if (s.handle >= 0)
            out.push_back(s.handle);
        else
            return error{
                RLX_INVALID_ARGUMENT, fmt::format("no extent given for symbol {}", s.name)};
    }
    for (const auto& n : named) {
        const auto symbols = m.dims.symbols();
        if (std::none_of(symbols.begin(), symbols.end(), [&](const symbol& s) {
                return s.name == n.first;
            }))
            return error{RLX_INVALID_ARGUMENT, fmt::format("the graph has no symbol {}", n.first)};
    }
    RLX_CHECK(m.dims.check(out));
    return out;
}

result<void> graph_impl::check_extents(std::span<const std::int64_t> in_symbol_order) const {
    return m.dims.check(in_symbol_order);
}

} // namespace ir

} // namespace rlx
