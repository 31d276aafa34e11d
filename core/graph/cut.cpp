// SPDX-License-Identifier: GPL-3.0-only
#include "passes.hpp"

#include <fmt/format.h>

namespace rlx::ir {

result<void> cut(module& m, std::span<const std::uint32_t> programs) {
    if (programs.size() != m.nodes.size())
        return error{
            RLX_INTERNAL, fmt::format("{} programs for {} nodes", programs.size(), m.nodes.size())};
    std::uint32_t newest = 0;
    for (std::size_t i = 0; i < m.nodes.size(); i++) {
        if (op_info(m.nodes[i].op)->kind == op_kind::view) continue;
        if (programs[i] < newest)
            return error{
                RLX_INTERNAL,
                fmt::format(
                    "node {} {} is of program {}, after one of {}",
                    i,
                    where(m.nodes[i]),
                    programs[i],
                    newest
                )};
        newest = programs[i];
        for (const rlx_value v : m.nodes[i].in) {
            if (v == 0) continue;
            const rlx_value root = m.at(v).root;
            value& x = m.at(root);
            const bool made = x.kind == RLX_VALUE_TEMP && x.producer != no_node;
            if (!made || programs[x.producer] == programs[i] || x.is_output) continue;
            x.is_output = true;
            x.name = fmt::format("%{}", root);
        }
    }
    return {};
}

} // namespace rlx::ir
