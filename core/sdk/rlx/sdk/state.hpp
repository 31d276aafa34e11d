// SPDX-License-Identifier: GPL-3.0-only
// Per-sequence memory of a graph, as a handle. Compiled into the plugin.
#pragma once

#include "rlx/sdk/graph.hpp"

namespace rlx::sdk {
inline namespace sdk_v1 {

// A key/value cache slot of the graph: [n_heads, k_dim] and [n_heads, v_dim] per cached token. The
// pages belong to the host, their layout to the backend; this names the newest version of the slot,
// so keep using the same object. Small value type. [one thread per graph]
class kv_state {
public:
    // Declares the slot <m's path>.<leaf>.
    kv_state(
        scope m, std::string_view leaf, std::int64_t n_heads, std::int64_t k_dim, std::int64_t v_dim
    )
        : k_dim_(k_dim) {
        rlx_state_slot slot{};
        slot.size = sizeof slot;
        slot.kind = RLX_STATE_KV;
        slot.n_heads = n_heads;
        slot.k_dim = k_dim;
        slot.v_dim = v_dim;
        newest_ = m.graph().state(m[leaf].path(), slot);
    }

    std::int64_t k_dim() const { return k_dim_; }

    // The slot after everything appended so far: operand 1 of AttentionState.
    tensor newest() const { return newest_; }

    // Writes k [T, n_heads, k_dim] and v [T, n_heads, v_dim] at cache rows slots i32 [T].
    void append(scope m, tensor k, tensor v, tensor slots) {
        newest_ = m.op(RLX_OP_KvAppend, {newest_, k, v, slots});
    }

private:
    tensor newest_;
    std::int64_t k_dim_;
};

} // namespace sdk_v1
} // namespace rlx::sdk
