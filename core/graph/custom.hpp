// SPDX-License-Identifier: GPL-3.0-only
// Nodes of plugins' ops: building them through the plugin's shape rule, and running them.
#pragma once

#include "module.hpp"

namespace rlx::ir {

// Appends a node of op to m; graph is the handle the shape rule may make dims with.
result<std::vector<rlx_value>> build_custom(
    module& m,
    rlx_graph* graph,
    std::shared_ptr<const custom_op> op,
    std::span<const rlx_value> in,
    std::span<const rlx_attr> attrs
);

// Keys, kinds and lists of a custom op's attributes.
result<attr_list> check_custom_attrs(std::string_view where, std::span<const rlx_attr> attrs);

// Calls the op's CPU reference with tensors whose types and ranks are those of node n.
result<void> run_custom(
    const module& m,
    const node& n,
    const rlx_tensor* in,
    std::uint32_t n_in,
    const rlx_tensor* out,
    std::uint32_t n_out,
    std::uint64_t stride
);

} // namespace rlx::ir
