// SPDX-License-Identifier: GPL-3.0-only
#include "passes.hpp"

namespace rlx::ir {

void prune(module& m) {
    std::vector<char> needed(m.values.size() + 1, 0);
    for (rlx_value v : m.outputs)
        needed[v] = 1;
    std::vector<char> live(m.nodes.size(), 0);
    for (std::size_t i = m.nodes.size(); i-- > 0;) {
        const node& n = m.nodes[i];
        bool keep = n.op == RLX_OP_KvAppend || n.op == RLX_OP_StateStore;
        for (rlx_value v : n.out)
            keep |= needed[v] != 0;
        if (!keep) continue;
        live[i] = 1;
        for (rlx_value v : n.in)
            needed[v] = 1;
    }
    std::vector<node> kept;
    for (std::size_t i = 0; i < m.nodes.size(); i++)
        if (live[i]) kept.push_back(std::move(m.nodes[i]));
    m.nodes = std::move(kept);
    m.renumber();
}

} // namespace rlx::ir
