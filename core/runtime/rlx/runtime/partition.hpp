// SPDX-License-Identifier: GPL-3.0-only
// Which device runs which node of a model, and why: what a model was cut into when its device does
// not have all of its ops.
#pragma once

#include "rlx/base/api.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rlx {

// What happens when nodes run elsewhere than on the device that was asked for.
enum class fallback_policy {
    allow, // it is in the results
    warn,  // and in the log
    deny   // RLX_UNSUPPORTED listing the nodes and the reasons
};

// "allow", "warn", "deny"; nullopt for anything else.
RLX_API std::optional<fallback_policy> parse_fallback(std::string_view text);

// Exact bytes on one device.
struct device_memory {
    std::string device;        // "vulkan:0"
    std::uint64_t weights = 0; // resident after loading
    std::uint64_t mapped = 0;  // read in place from the file
    std::uint64_t state = 0;
    std::uint64_t scratch = 0; // activations, workspaces, values that cross

    std::uint64_t total() const { return weights + mapped + state + scratch; }
};

// What a device does for a model, for results.
struct device_facts {
    std::string device; // "vulkan:0"
    std::string tier, compute, kv;
    std::size_t nodes = 0, programs = 0; // views not counted

    struct op_time {
        std::string op; // of ops.def, or a name of the backend's for its kernel
        std::uint64_t calls = 0;
        double ms = 0;
    };

    std::vector<op_time> times =
        {}; // of all runs so far, longest first; with device_options.time_ops
};

struct partition_report {
    struct node {
        std::uint32_t index = 0;
        std::string op, origin;
        std::string device;
        // Why there: "only device", "refused" (by the device that was asked for, with its reason),
        // "state" (where the cache of its layer lives), "weights" (where its weights live),
        // "inputs", "consumers" (where most of the bytes around it are), "default", "island"
        // (copying in and out would cost more), "view" (of a value there), "forced" (by a test).
        std::string cause;
        std::string reason; // refused, state, island: in words; else empty
        std::uint32_t program = 0;
        std::uint64_t bytes_in = 0; // copied to its device for it, at the upper bounds; a value
                                    // that several nodes read counts at the first
    };

    struct program {
        std::string device;
        std::size_t nodes = 0;      // without views
        std::uint64_t bytes_in = 0; // copied before it runs, at the upper bounds
    };

    std::vector<node> nodes; // in execution order
    std::vector<program> programs;
    std::uint64_t bytes_copied = 0; // of one run at the upper bounds

    // Nodes of a device, views not counted.
    RLX_API std::size_t count(std::string_view device) const;
    // "3 of 40 nodes run on cpu, not on vulkan:0: 2 TopK (no kernel), 1 Gather (..)"; empty when
    // all run on `wanted`.
    RLX_API std::string elsewhere(std::string_view wanted) const;
    // A line for every node and program, for people.
    RLX_API std::string text() const;
};

} // namespace rlx
