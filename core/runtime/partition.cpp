// SPDX-License-Identifier: GPL-3.0-only
// The order of decisions: what a device refuses, states, weights, neighbours, and last the islands
// whose copies cost more than they save.
#include "partition.hpp"

#include "partition_cost.hpp"

#include "rlx/base/wall.hpp"
#include "rlx/graph/ops.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <numeric>

namespace rlx {

std::array<compute_device, n_sides> devices_of(const model_parts& p) {
    return {
        compute_device{
            p.backend,
            p.backend_self,
            p.device,
            p.device_index,
            p.device_name.empty() ? "device" : p.device_name},
        p.second};
}

result<void> ask_device(
    const compute_device& d,
    const rlx_graph* g,
    std::span<const std::uint32_t> nodes,
    std::span<std::uint8_t> verdict,
    std::span<std::string> reason
) {
    std::vector<rlx_str> why(nodes.size());
    RLX_CHECK(check_wall(
        d.backend->supports(d.device, g, nodes.data(), nodes.size(), verdict.data(), why.data())
    ));
    for (std::size_t i = 0; i < why.size(); ++i) {
        verdict[i] = verdict[i] == RLX_NO ? 0 : 1;
        if (verdict[i] == 0) reason[i] = view(why[i]);
    }
    return {};
}

result<void> claim_nodes(
    const model_parts& p,
    const rlx_graph* g,
    std::span<const std::uint32_t> nodes,
    std::span<std::uint8_t> verdict,
    std::span<std::string> reason
) {
    const auto devices = devices_of(p);
    RLX_CHECK(ask_device(devices[side_device], g, nodes, verdict, reason));
    if (!p.second.backend) return {};
    std::vector<std::uint32_t> refused;
    std::vector<std::size_t> at;
    for (std::size_t i = 0; i < nodes.size(); ++i)
        if (!verdict[i]) {
            refused.push_back(nodes[i]);
            at.push_back(i);
        }
    if (refused.empty()) return {};
    std::vector<std::uint8_t> second(refused.size());
    std::vector<std::string> why(refused.size());
    RLX_CHECK(ask_device(p.second, g, refused, second, why));
    for (std::size_t k = 0; k < at.size(); ++k) {
        if (second[k])
            verdict[at[k]] = graph::claim_elsewhere;
        else
            reason[at[k]] = fmt::format(
                "{}: {}; {}: {}", devices[side_device].name, reason[at[k]], p.second.name, why[k]
            );
    }
    return {};
}

namespace {

class partitioner {
public:
    partitioner(const model_parts& p, const rlx_graph* g) : p_(p), devices_(devices_of(p)), g_(g) {}

    result<std::vector<placed_node>> run() {
        RLX_CHECK(read());
        if (p_.second.backend) {
            RLX_CHECK(ask());
            refuse();
            RLX_CHECK(states());
            if (p_.force) force();
            weights();
            neighbours();
            if (!p_.force) RLX_CHECK(islands());
        } else {
            std::ranges::fill(placed_, true);
        }
        views();
        return std::move(out_);
    }

private:
    result<void> read() {
        nodes_ = RLX_TRY(read_cost_nodes(g_));
        out_.resize(nodes_.size());
        placed_.assign(nodes_.size(), false);
        for (std::size_t i = 0; i < nodes_.size(); ++i)
            out_[i].view = nodes_[i].view;
        return {};
    }

    result<void> ask() {
        std::vector<std::uint32_t> open;
        for (std::uint32_t i = 0; i < nodes_.size(); ++i)
            if (!nodes_[i].view) open.push_back(i);
        for (const side s : {side_device, side_second}) {
            std::vector<std::uint8_t> verdict(open.size());
            std::vector<std::string> reason(open.size());
            RLX_CHECK(ask_device(devices_[s], g_, open, verdict, reason));
            can_[s].assign(nodes_.size(), 1);
            why_[s].resize(nodes_.size());
            for (std::size_t k = 0; k < open.size(); ++k) {
                can_[s][open[k]] = verdict[k];
                why_[s][open[k]] = std::move(reason[k]);
            }
        }
        return {};
    }

    void put(std::size_t i, side s, const char* cause, std::string reason = {}) {
        out_[i].where = s;
        out_[i].cause = cause;
        out_[i].reason = std::move(reason);
        placed_[i] = true;
    }

    // finish() saw to it that at least one of the two takes every node.
    void refuse() {
        for (std::size_t i = 0; i < nodes_.size(); ++i)
            if (!can_[side_device][i]) put(i, side_second, "refused", why_[side_device][i]);
    }

    // A cache lives where the attention that reads it runs; all nodes of a slot are there.
    result<void> states() {
        std::map<rlx_value, std::vector<std::size_t>> slots;
        for (std::size_t i = 0; i < nodes_.size(); ++i)
            if (nodes_[i].state && !nodes_[i].view) slots[nodes_[i].state].push_back(i);
        for (const auto& [state, users] : slots)
            RLX_CHECK(place_slot(users));
        return {};
    }

    result<void> place_slot(const std::vector<std::size_t>& users) {
        const auto refused =
            std::ranges::find_if(users, [&](std::size_t i) { return !can_[side_device][i]; });
        const auto only_device =
            std::ranges::find_if(users, [&](std::size_t i) { return !can_[side_second][i]; });
        side s = refused == users.end() ? side_device : side_second;
        if (s == side_second && only_device != users.end())
            return error{
                RLX_UNSUPPORTED,
                fmt::format(
                    "the cache of {} cannot be on two devices: {} refuses {} ({}), {} refuses {} "
                    "({})",
                    nodes_[users[0]].origin,
                    devices_[side_device].name,
                    nodes_[*refused].op,
                    why_[side_device][*refused],
                    devices_[side_second].name,
                    nodes_[*only_device].op,
                    why_[side_second][*only_device]
                )};
        if (s == side_device && only_device == users.end() && p_.force)
            s = p_.force(static_cast<std::uint32_t>(users[0])) > 0 ? side_second : side_device;
        for (const std::size_t i : users) {
            if (placed_[i]) continue; // refused itself
            put(i,
                s,
                "state",
                s == side_second && refused != users.end()
                    ? fmt::format("{} of this cache is refused", nodes_[*refused].op)
                    : "");
        }
        return {};
    }

    void force() {
        for (std::size_t i = 0; i < nodes_.size(); ++i) {
            if (placed_[i] || nodes_[i].view) continue;
            const bool both = can_[side_device][i] && can_[side_second][i];
            const int wanted = both ? p_.force(static_cast<std::uint32_t>(i)) : 0;
            if (wanted >= 0) put(i, wanted ? side_second : side_device, "forced");
        }
    }

    void weights() {
        for (std::size_t i = 0; i < nodes_.size(); ++i)
            if (!placed_[i] && nodes_[i].weight_bytes > 0) put(i, side_device, "weights");
    }

    // Nodes without weights go where most of what they read is, then where most of it is read.
    void neighbours() {
        const auto n = static_cast<std::ptrdiff_t>(nodes_.size());
        for (std::ptrdiff_t i = 0; i < n; ++i)
            join(static_cast<std::size_t>(i), "inputs");
        for (std::ptrdiff_t i = n; i-- > 0;)
            join(static_cast<std::size_t>(i), "consumers");
        for (std::size_t i = 0; i < nodes_.size(); ++i)
            if (!placed_[i] && !nodes_[i].view) put(i, side_device, "default");
    }

    void join(std::size_t i, const char* cause) {
        if (placed_[i] || nodes_[i].view) return;
        double bytes[n_sides] = {0, 0};
        bool any = false;
        const auto count = [&](std::size_t node, double n) {
            if (!placed_[node]) return;
            bytes[out_[node].where] += n;
            any = true;
        };
        if (cause == std::string_view("inputs")) {
            for (const auto& in : nodes_[i].in)
                count(in.node, in.bytes);
        } else {
            for (const std::size_t user : nodes_[i].users)
                count(user, nodes_[i].out_bytes);
        }
        if (!any) return;
        const bool second = bytes[side_second] > bytes[side_device] && can_[side_second][i];
        put(i, second ? side_second : side_device, cause);
    }

    result<void> islands() {
        const cost_model costs = RLX_TRY(cost_model::make(devices_));
        std::vector<side> where(nodes_.size());
        std::vector<char> fixed(nodes_.size());
        for (std::size_t i = 0; i < nodes_.size(); ++i) {
            where[i] = out_[i].where;
            fixed[i] = !nodes_[i].view && (nodes_[i].state != 0 || !can_[other(where[i])][i]);
        }
        for (const island& found : dissolve_islands(nodes_, costs, where, fixed))
            for (std::size_t i = found.first; i <= found.last; ++i)
                if (!nodes_[i].view)
                    put(i,
                        other(found.was),
                        "island",
                        fmt::format(
                            "{} nodes: {:.0f} us there with {:.0f} us of copies, {:.0f} us here",
                            found.nodes,
                            found.there * 1e6,
                            found.copies * 1e6,
                            found.here * 1e6
                        ));
        return {};
    }

    // A view is where its source is; of an input or a weight it is where it is read first.
    void views() {
        for (std::size_t i = 0; i < nodes_.size(); ++i) {
            if (!nodes_[i].view) continue;
            side s = side_device;
            if (!nodes_[i].in.empty())
                s = out_[nodes_[i].in[0].node].where;
            else if (!nodes_[i].users.empty())
                s = out_[nodes_[i].users[0]].where;
            put(i, s, p_.second.backend ? "view" : "only device");
        }
    }

    const model_parts& p_;
    std::array<compute_device, n_sides> devices_;
    const rlx_graph* g_;
    std::vector<cost_node> nodes_;
    std::vector<placed_node> out_;
    std::vector<char> placed_;
    std::array<std::vector<std::uint8_t>, n_sides> can_;
    std::array<std::vector<std::string>, n_sides> why_;
};

} // namespace

result<std::vector<placed_node>> place_nodes(const model_parts& p, const rlx_graph* g) {
    return partitioner(p, g).run();
}

std::vector<std::uint32_t> cut_programs(std::span<const placed_node> nodes) {
    std::vector<std::uint32_t> out(nodes.size(), 0);
    std::uint32_t program = 0;
    const placed_node* before = nullptr;
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        if (!nodes[i].view) {
            if (before && before->where != nodes[i].where) ++program;
            before = &nodes[i];
        }
        out[i] = program;
    }
    return out;
}

} // namespace rlx
