// SPDX-License-Identifier: GPL-3.0-only
// A rough price for running a node on a device and for copying its values, good enough to see that
// two nodes alone on a device do not pay for their copies.
#pragma once

#include "partition.hpp"

namespace rlx {

// What the partition needs to know of a node. Bytes are at typical extents: 64 of everything that
// has a size of its own, less where less is the most.
struct cost_node {
    struct source {
        std::size_t node; // that made the memory; never a view
        rlx_value root;
        double bytes;
    };

    std::string_view op;     // of static storage
    std::string_view origin; // of the graph
    bool view = false;
    rlx_value state = 0;      // the slot it reads or writes
    double weight_bytes = 0;  // of weights it reads; constants count as weights
    double touched_bytes = 0; // of all it reads and writes
    double flops = 0;
    double out_bytes = 0;
    std::vector<source> in;         // made by other nodes, each root once
    std::vector<std::size_t> users; // nodes that read its memory, no views, ascending
};

result<std::vector<cost_node>> read_cost_nodes(const rlx_graph* g);

struct cost_model {
    struct rates {
        double flops, bytes; // per second
        double launch;       // seconds per node
    };

    std::array<rates, n_sides> run{};
    double copy_bytes = 0, copy_latency = 0; // per second, seconds
    double program = 0;                      // seconds to start one

    // From what the devices say about themselves.
    static result<cost_model> make(std::span<const compute_device> devices);
    double node(const cost_node& n, side s) const;

    double copy(double bytes) const { return copy_latency + bytes / copy_bytes; }
};

// Nodes [first, last] moved together to the other device.
struct island {
    std::size_t first, last, nodes;
    side was;
    double there, copies, here; // seconds
};

// Moves runs of nodes, none of them fixed, whose copies cost more than they save; `where` is
// changed accordingly. The last entry for a node counts.
std::vector<island> dissolve_islands(
    std::span<const cost_node> nodes,
    const cost_model& costs,
    std::span<side> where,
    std::span<const char> fixed
);

} // namespace rlx
