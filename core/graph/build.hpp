// SPDX-License-Identifier: GPL-3.0-only
// Adding values and nodes to a module: the checks behind the building half of "rlx.graph/1".
#pragma once

#include "module.hpp"
#include "rlx/abi/weights.h"

namespace rlx::ir {

// A declared name gives the declared value; dims may be null then, else they must be the same.
result<rlx_value> build_input(
    module& m, std::string_view name, std::uint32_t dtype, std::uint32_t rank, const dim* dims
);
result<rlx_value> build_weight(
    module& m,
    rlx_weights* w,
    std::string_view name,
    std::span<const std::int64_t> expect,
    std::uint32_t flags
);
result<rlx_value>
build_constant(module& m, std::uint32_t dtype, std::span<const dim> dims, rlx_bytes data);
result<rlx_value> build_state(module& m, std::string_view name, const rlx_state_slot& slot);
// Views, inputs and values that are outputs already are copied, so that every output has its own
// memory.
result<void> build_output(module& m, std::string_view name, rlx_value v);

// Appends a node (with a Copy before a Reshape whose input cannot be viewed) and gives its outputs.
result<std::vector<rlx_value>> build_node(
    module& m, std::uint32_t op, std::span<const rlx_value> in, std::span<const rlx_attr> attrs
);

// The same into a node list of a pass. origin: copied into the node.
result<std::vector<rlx_value>> emit_node(
    module& m,
    std::vector<node>& nodes,
    std::uint32_t op,
    std::span<const rlx_value> in,
    std::span<const rlx_attr> attrs,
    std::string_view origin
);

} // namespace rlx::ir
