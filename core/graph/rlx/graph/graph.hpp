// SPDX-License-Identifier: GPL-3.0-only
// The graph a family builds and a backend runs. The C++ face of "rlx.graph/1" (rlx/abi/graph.h).
#pragma once

#include "rlx/abi/graph.h"
#include "rlx/abi/op.h"
#include "rlx/base/api.hpp"
#include "rlx/base/result.hpp"

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rlx {

class weights;

// An op of a plugin: its "rlx.op/1" table and place in it. The plugin stays loaded.
struct custom_op {
    std::string name; // "org.example.swirl"
    const rlx_op_v1* table = nullptr;
    void* self = nullptr;
    std::uint32_t index = 0;
    rlx_op_desc desc{};
};

// Finds an op by name while a graph is built; the error says what was searched.
using custom_op_finder = std::function<result<custom_op>(std::string_view name)>;

// The op called `name` in a plugin's table; RLX_NOT_FOUND when it has none, RLX_INTERNAL when what
// it says of itself makes no sense. who names the plugin in errors.
RLX_API result<custom_op>
custom_op_of(const rlx_op_v1* table, void* self, std::string_view name, std::string_view who);

// What the scratch plan came to. "Scratch" is what nodes make and other nodes read; outputs,
// inputs, states and weights are not in it.
struct plan_report {
    struct entry {
        rlx_value value;
        std::uint64_t bytes, offset;
        std::uint32_t first, last; // steps (node indices) at which it is alive
        std::string what;          // op, module and shape
    };

    std::uint64_t peak = 0;          // bytes of the arena
    std::uint64_t without_reuse = 0; // bytes if every value had its own place
    std::size_t values = 0;
    std::vector<entry> top; // the ten largest

    double reuse() const {
        return peak ? static_cast<double>(without_reuse) / static_cast<double>(peak) : 1.0;
    }

    RLX_API std::string text() const;
};

// What finish() does besides verifying and planning; compile profiles set it.
struct finish_options {
    bool dce = true;           // remove nodes that no output or state needs
    bool fold = true;          // compute nodes whose operands are all constants
    bool composites = true;    // offer composites whole; off: all are decomposed unasked
    bool assert_whole = false; // a composite that has to be decomposed is RLX_UNSUPPORTED naming it
    bool verbose = false;      // log what each pass did (level info)
};

// [one thread per graph] while building, [any thread] once finish() succeeded.
class RLX_API graph {
public:
    // w may be null for graphs without weights; it must outlive the graph. Without a finder, every
    // op of a plugin is unknown.
    static std::unique_ptr<graph> create(weights* w, custom_op_finder find_op = {});
    virtual ~graph() = default;

    virtual rlx_graph* handle() = 0; // what goes across the wall
    virtual const rlx_graph* handle() const = 0;

    // Removes dead nodes, verifies everything, replaces composites for which claims() says no by
    // their decomposition, plans the scratch arena at the upper bounds. claims gets node indices
    // (never views) and fills 1 or 0; it is called again for the nodes that replace refused ones,
    // and indices are only valid during the call. A refused node that reads strided views is
    // offered again with contiguous copies first; a primitive refused then is RLX_UNSUPPORTED
    // naming op, module, inputs and reason. An empty function claims everything. Value ids never
    // change, node indices do. After an error the graph is of no use.
    // A verdict may also be claim_elsewhere: the node is taken, but not by the device that is
    // wanted. It is left whole only when contiguous copies of its inputs and its decomposition
    // would not get 1 for every part.
    static constexpr std::uint8_t claim_elsewhere = 2;
    using claim_fn = std::function<result<void>(
        std::span<const std::uint32_t> nodes,
        std::span<std::uint8_t> verdict,
        std::span<std::string> reason
    )>;
    // Cuts the settled nodes into programs: the number of the program of each node, never falling
    // in execution order (views, which no program runs, count as of any). A value that another
    // program reads than the one that makes it becomes an output named "%<id>": it has memory of
    // its own, bound by the caller, and does not appear under outputs.
    using cut_fn = std::function<result<std::vector<std::uint32_t>>()>;
    virtual result<void>
    finish(const claim_fn& claims, const finish_options& options, const cut_fn& cut) = 0;

    result<void> finish(const claim_fn& claims, const finish_options& options) {
        return finish(claims, options, {});
    }

    result<void> finish(const claim_fn& claims) { return finish(claims, {}, {}); }

    // Checks the whole graph; finish() calls it, tests call it alone. [any thread]
    virtual result<void> verify() const = 0;
    // One line per value and node, stable across runs.
    virtual std::string dump() const = 0;
    virtual std::uint64_t scratch_bytes() const = 0;
    virtual plan_report report() const = 0;
    // 0 when there is none.
    virtual rlx_value find_input(std::string_view name) const = 0;
    virtual rlx_value find_output(std::string_view name) const = 0;
    virtual std::vector<rlx_value> states() const = 0;
    // Extents in symbol order for one run. Every symbol needs a number unless its bounds leave only
    // one; checks bounds, multiples and the conditions that could not be decided while building
    // (dims that must be equal, slices that must lie inside); the error names the condition and the
    // module it comes from.
    virtual result<std::vector<std::int64_t>>
    extents(std::span<const std::pair<std::string_view, std::int64_t>> named) const = 0;
    // The same checks for numbers in symbol order. Allocates nothing when no condition was left
    // open.
    virtual result<void> check_extents(std::span<const std::int64_t> in_symbol_order) const = 0;
};

// "rlx.graph/1", offered to plugins from the first call (or graph::create) on.
RLX_API const rlx_graph_v1* graph_table();

} // namespace rlx
