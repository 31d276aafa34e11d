// SPDX-License-Identifier: GPL-3.0-only
// Decides which device runs which node of a settled graph, and what has to be copied between them.
#pragma once

#include "rlx/base/result.hpp"
#include "rlx/runtime/parts.hpp"

#include <array>
#include <span>
#include <vector>

namespace rlx {

// The device that was asked for, and the one that takes the rest.
enum side : std::uint8_t { side_device, side_second, n_sides };

constexpr side other(side s) {
    return s == side_device ? side_second : side_device;
}

// As compute devices; the second one may be none.
std::array<compute_device, n_sides> devices_of(const model_parts& p);

// supports() of one device; all yes for no device is the caller's business.
result<void> ask_device(
    const compute_device& d,
    const rlx_graph* g,
    std::span<const std::uint32_t> nodes,
    std::span<std::uint8_t> verdict,
    std::span<std::string> reason
);

// graph::claim_fn for both devices: 1 = the wanted device takes the node, claim_elsewhere = only
// the second one.
result<void> claim_nodes(
    const model_parts& p,
    const rlx_graph* g,
    std::span<const std::uint32_t> nodes,
    std::span<std::uint8_t> verdict,
    std::span<std::string> reason
);

struct placed_node {
    side where = side_device;
    bool view = false;
    const char* cause = "only device"; // see partition_report::node
    std::string reason = {};
};

// One entry per node, in execution order. RLX_UNSUPPORTED when a state would have to live on both
// devices.
result<std::vector<placed_node>> place_nodes(const model_parts& p, const rlx_graph* g);

// Program numbers for graph::cut_fn: a new one wherever the device changes.
std::vector<std::uint32_t> cut_programs(std::span<const placed_node> nodes);

} // namespace rlx
