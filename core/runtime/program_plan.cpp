// SPDX-License-Identifier: GPL-3.0-only
// From a family's graph to programs: finish, place, cut, and find what crosses.
#include "program.hpp"

#include "rlx/base/wall.hpp"
#include "rlx/graph/ops.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <numeric>

namespace rlx {
namespace {

result<rlx_value_info> value_info(const graph& g, rlx_value v) {
    rlx_value_info out{};
    out.size = sizeof out;
    RLX_CHECK(check_wall(graph_table()->value(g.handle(), v, &out)));
    return out;
}

result<rlx_node_info> node_info(const graph& g, std::uint32_t i) {
    rlx_node_info out{};
    out.size = sizeof out;
    RLX_CHECK(check_wall(graph_table()->node(g.handle(), i, &out)));
    return out;
}

std::uint64_t sum(std::uint64_t a, std::uint64_t b) {
    std::uint64_t out = 0;
    return __builtin_add_overflow(a, b, &out) ? UINT64_MAX : out;
}

template <class T>
void add_once(std::vector<T>& list, T x) {
    if (std::ranges::find(list, x) == list.end()) list.push_back(x);
}

} // namespace

result<program_plan>
program_plan::make(graph& g, const model_parts& p, const program_options& options) {
    program_plan out;
    out.g_ = &g;
    out.options_ = options;
    out.compute_.fill(options.compute);
    out.kv_.fill(options.kv);
    RLX_CHECK(out.finish(p));
    RLX_CHECK(out.read_parts(p));
    out.copies();
    out.assign_slots();
    RLX_CHECK(out.measure(p));
    RLX_CHECK(out.write_report(p));
    return out;
}

result<void> program_plan::finish(const model_parts& p) {
    const graph::claim_fn claims = [&](std::span<const std::uint32_t> nodes,
                                       std::span<std::uint8_t> verdict,
                                       std::span<std::string> reason) {
        return claim_nodes(p, g_->handle(), nodes, verdict, reason);
    };
    const graph::cut_fn cut = [&]() -> result<std::vector<std::uint32_t>> {
        placed_ = RLX_TRY(place_nodes(p, g_->handle()));
        if (p.fallback == fallback_policy::deny) RLX_CHECK(deny(p));
        programs_ = cut_programs(placed_);
        return programs_;
    };
    return g_->finish(claims, options_.finish, cut);
}

result<void> program_plan::deny(const model_parts& p) const {
    constexpr std::size_t listed = 20;
    std::size_t n = 0;
    std::string list;
    for (std::uint32_t i = 0; i < placed_.size(); ++i) {
        const placed_node& at = placed_[i];
        if (at.cause != std::string_view("refused")) continue; // the others only went along
        if (++n > listed) continue;
        const rlx_node_info node = RLX_TRY(node_info(*g_, i));
        const op_desc* op = op_info(node.op);
        list += fmt::format(
            "{}{} in {} ({})",
            list.empty() ? "" : "; ",
            op ? op->name : "?",
            node.origin.n ? view(node.origin) : "the graph",
            at.reason.empty() ? "no reason given" : at.reason
        );
    }
    if (n == 0) return {};
    return error{
        RLX_UNSUPPORTED,
        fmt::format(
            "{} cannot run {} of {} nodes and the fallback to {} is denied: {}{}; allow it with "
            "fallback 'warn' or 'allow'",
            p.device_name.empty() ? "device" : p.device_name,
            n,
            std::ranges::count(placed_, false, &placed_node::view),
            p.second.name,
            list,
            n > listed ? "; ..." : ""
        )};
}

result<void> program_plan::read_parts(const model_parts& p) {
    for (std::uint32_t i = 0; i < placed_.size(); ++i) {
        const std::uint32_t number = programs_[i];
        if (placed_[i].view) continue;
        if (number >= parts_.size()) parts_.resize(number + 1);
        parts_[number].where = placed_[i].where;
        used_[placed_[i].where] = true;
        RLX_CHECK(read_node(i));
    }
    if (parts_.empty()) { // views of constants only cannot be: outputs are copies
        parts_.resize(1);
        used_[side_device] = true;
    }
    if (parts_.size() == 1) {
        parts_[0].nodes.resize(placed_.size());
        std::iota(parts_[0].nodes.begin(), parts_[0].nodes.end(), 0U);
    }
    for (program_part& part : parts_) {
        std::ranges::sort(part.nodes);
        const auto again = std::ranges::unique(part.nodes);
        part.nodes.erase(again.begin(), again.end());
    }
    for (const rlx_value state : g_->states()) {
        side s = used_[side_device] ? side_device : side_second; // one that nobody uses
        for (const program_part& part : parts_)
            if (std::ranges::find(part.bound, state) != part.bound.end()) s = part.where;
        states_.push_back({state, s});
    }
    for (const compute_device& d : devices_of(p))
        if (parts_.size() > 1 && (!RLX_HAS(d.backend, upload) || !RLX_HAS(d.backend, download)))
            return lacks_member("backend", "upload or download");
    return {};
}

result<void> program_plan::read_node(std::uint32_t index) {
    const std::uint32_t number = programs_[index];
    program_part& part = parts_[number];
    part.nodes.push_back(index);
    const rlx_node_info n = RLX_TRY(node_info(*g_, index));
    for (std::uint32_t k = 0; k < n.n_in; ++k) {
        if (n.in[k] == 0) continue;
        RLX_CHECK(add_views(part, n.in[k]));
        RLX_CHECK(read_value(part, number, n.in[k]));
    }
    for (std::uint32_t k = 0; k < n.n_out; ++k)
        RLX_CHECK(read_value(part, number, n.out[k]));
    return {};
}

// The views between v and the memory it looks at.
result<void> program_plan::add_views(program_part& part, rlx_value v) const {
    while (true) {
        const rlx_value_info x = RLX_TRY(value_info(*g_, v));
        if (x.root == v || x.kind == RLX_VALUE_STATE || x.producer == UINT32_MAX) return {};
        part.nodes.push_back(x.producer);
        v = RLX_TRY(node_info(*g_, x.producer)).in[0];
    }
}

result<void> program_plan::read_value(program_part& part, std::uint32_t number, rlx_value v) {
    const rlx_value id = RLX_TRY(value_info(*g_, v)).root;
    const rlx_value_info root = RLX_TRY(value_info(*g_, id));
    if (root.kind == RLX_VALUE_INPUT || root.kind == RLX_VALUE_STATE) {
        add_once(part.bound, id);
        return {};
    }
    if (root.kind != RLX_VALUE_TEMP || !root.is_output) return {};
    const std::uint32_t maker = programs_[root.producer];
    if (maker == number) {
        add_once(part.bound, id); // until somebody else reads it
        return {};
    }
    auto known = std::ranges::find(crossings_, id, &crossing::value);
    if (known == crossings_.end()) {
        crossing c;
        c.value = id;
        c.output = g_->find_output(view(root.name)) == id;
        c.made = parts_[maker].where;
        c.first = maker;
        c.bytes = root.scratch_bytes;
        crossings_.push_back(c);
        known = std::prev(crossings_.end());
        std::erase(parts_[maker].bound, id);
        parts_[maker].crossings.push_back(crossings_.size() - 1);
    }
    known->last = number;
    add_once(part.crossings, static_cast<std::size_t>(known - crossings_.begin()));
    return {};
}

// What has to be moved before and after each program.
void program_plan::copies() {
    for (program_part& part : parts_)
        for (const std::size_t i : part.crossings) {
            crossing& c = crossings_[i];
            const std::size_t number = static_cast<std::size_t>(&part - parts_.data());
            const bool down = c.output && c.made == side_device;
            if (number == c.first) {
                if (down) part.copied_out.push_back(i);
                c.copied |= down;
            } else if (part.where != c.made && !c.copied) {
                part.copied_in.push_back(i);
                c.copied = true;
            }
        }
}

// Values that are never needed together share memory. An output of the graph has the caller's on
// the host.
void program_plan::assign_slots() {
    for (const side s : {side_device, side_second})
        for (crossing& c : crossings_) {
            if (c.made != s && !c.copied) continue;
            if (s == side_second && c.output) continue;
            std::size_t best = slots_.size();
            for (std::size_t i = 0; i < slots_.size(); ++i)
                if (slots_[i].where == s && slots_[i].last < c.first &&
                    (best == slots_.size() || slots_[i].bytes > slots_[best].bytes))
                    best = i;
            if (best == slots_.size()) slots_.push_back({s, 0, 0});
            slots_[best].bytes = std::max(slots_[best].bytes, c.bytes);
            slots_[best].last = c.last;
            c.slot[s] = best;
        }
}

options program_plan::compile_options(side s) const {
    options out;
    out.set_string("compute", compute_[s]).set_string("kv", kv_[s]);
    if (!options_.fuse) out.set_int("fuse", 0);
    return out;
}

rlx_compile_args program_plan::compile_args(const program_part& part, const options& o) const {
    rlx_compile_args args{};
    args.size = sizeof args;
    args.page_tokens = options_.page_tokens;
    args.graph = g_->handle();
    args.nodes = part.nodes.data();
    args.n_nodes = part.nodes.size();
    args.options = o.handle();
    return args;
}

result<rlx_memory>
program_plan::measure_part(const model_parts& p, const program_part& part) const {
    const compute_device d = devices_of(p)[part.where];
    const options o = compile_options(part.where);
    const rlx_compile_args args = compile_args(part, o);
    rlx_memory m{};
    m.size = sizeof m;
    RLX_CHECK(check_wall(d.backend->measure(d.device, &args, &m)));
    for (const auto& [state, where] : states_) { // a cache that is lacking may be noticed here
        std::uint64_t bytes = 0;
        if (where == part.where && std::ranges::find(part.bound, state) != part.bound.end())
            RLX_CHECK(check_wall(d.backend->page_bytes(d.device, &args, state, &bytes)));
    }
    return m;
}

// What the device does of that which it is free to choose.
result<rlx_memory> program_plan::settle_part(const model_parts& p, const program_part& part) {
    const side s = part.where;
    const std::string compute = compute_[s], kv = kv_[s];
    auto asked = measure_part(p, part);
    const auto refused = [&] { return !asked && asked.error().code == RLX_UNSUPPORTED; };
    if (!refused()) return asked;
    error first = asked.error();
    // A mode that was asked of the device need not exist on the second; exact products always do,
    // and the result says so.
    const bool other_mode = s == side_second && (compute == "f16" || compute == "bf16");
    if (other_mode) {
        compute_[s] = "f32";
        asked = measure_part(p, part);
    }
    if (refused() && kv == "f16") {
        kv_[s] = "f32";
        asked = measure_part(p, part);
        if (asked && !options_.kv_may_be_f32) {
            first.message += "; it has a cache of f32: --kv f32";
            return first;
        }
    }
    if (!asked) return first;
    return asked;
}

result<void> program_plan::measure(const model_parts& p) {
    const auto devices = devices_of(p);
    for (const program_part& part : parts_) {
        const side s = part.where;
        const rlx_memory m = RLX_TRY(settle_part(p, part));
        memory_[s].weights = sum(memory_[s].weights, m.weights);
        memory_[s].mapped = sum(memory_[s].mapped, m.mapped);
        workspace_[s] = std::max(workspace_[s], m.scratch);
        part_weights_.push_back(sum(m.weights, m.mapped));
    }
    for (const side s : {side_device, side_second}) {
        memory_[s].device = devices[s].name;
        if (used_[s]) memory_[s].scratch = sum(g_->scratch_bytes(), workspace_[s]);
    }
    for (const slot& x : slots_)
        memory_[x.where].scratch = sum(memory_[x.where].scratch, x.bytes);
    return {};
}

std::vector<device_memory> program_plan::memory() const {
    std::vector<device_memory> out;
    for (const side s : {side_device, side_second})
        if (used_[s]) out.push_back(memory_[s]);
    return out;
}

side program_plan::side_of(rlx_value state) const {
    const auto known = std::ranges::find(states_, state, &std::pair<rlx_value, side>::first);
    return known == states_.end() ? side_device : known->second;
}

result<std::uint64_t> program_plan::page_bytes(const model_parts& p, rlx_value state) const {
    const side s = side_of(state);
    const compute_device d = devices_of(p)[s];
    const auto part = std::ranges::find(parts_, s, &program_part::where);
    const options o = compile_options(s);
    const rlx_compile_args args = compile_args(part == parts_.end() ? parts_[0] : *part, o);
    std::uint64_t bytes = 0;
    RLX_CHECK(check_wall(d.backend->page_bytes(d.device, &args, state, &bytes)));
    return bytes;
}

result<void> program_plan::write_report(const model_parts& p) {
    const auto devices = devices_of(p);
    for (const program_part& part : parts_) {
        report_.programs.push_back({devices[part.where].name, 0, 0});
        for (const std::size_t i : part.copied_in)
            report_.programs.back().bytes_in += crossings_[i].bytes;
        for (const auto* list : {&part.copied_in, &part.copied_out})
            for (const std::size_t i : *list)
                report_.bytes_copied += crossings_[i].bytes;
    }
    std::vector<std::pair<std::uint32_t, rlx_value>> counted;
    for (std::uint32_t i = 0; i < placed_.size(); ++i) {
        const placed_node& at = placed_[i];
        const rlx_node_info n = RLX_TRY(node_info(*g_, i));
        const op_desc* op = op_info(n.op);
        partition_report::node& out = report_.nodes.emplace_back();
        out.index = i;
        out.op = n.custom_name.n ? view(n.custom_name) : op ? op->name : "?";
        out.origin = view(n.origin);
        out.device = devices[at.where].name;
        out.cause = at.cause;
        out.reason = at.reason;
        out.program = std::min(programs_[i], static_cast<std::uint32_t>(parts_.size()) - 1);
        if (at.view) continue;
        ++report_.programs[out.program].nodes;
        for (std::uint32_t k = 0; k < n.n_in && parts_.size() > 1; ++k) {
            if (n.in[k] == 0) continue;
            const rlx_value root = RLX_TRY(value_info(*g_, n.in[k])).root;
            for (const std::size_t c : parts_[out.program].copied_in) {
                const std::pair<std::uint32_t, rlx_value> key{out.program, root};
                if (crossings_[c].value != root || std::ranges::find(counted, key) != counted.end())
                    continue;
                counted.push_back(key);
                out.bytes_in += crossings_[c].bytes;
            }
        }
    }
    return {};
}

std::string away_warning(const program_plan& plan, const model_parts& p) {
    if (p.fallback != fallback_policy::warn || !plan.uses(side_second)) return {};
    return plan.report().elsewhere(devices_of(p)[side_device].name);
}

} // namespace rlx
