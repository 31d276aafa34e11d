// SPDX-License-Identifier: GPL-3.0-only
// Every op of this backend: one line here, one file ops/<op>.cpp, one shaders/<op>.comp.
#pragma once

#include "ops/ops.hpp"

namespace rlx::vulkan {

#define RLX_VK_OPS(X)                                                                              \
    X(MatMul)                                                                                      \
    X(Unary)                                                                                       \
    X(Affine)                                                                                      \
    X(Clamp)                                                                                       \
    X(Binary)                                                                                      \
    X(Glu)                                                                                         \
    X(Select)                                                                                      \
    X(Copy)                                                                                        \
    X(Concat)                                                                                      \
    X(RmsNorm)                                                                                     \
    X(LayerNorm)                                                                                   \
    X(GatherRows)                                                                                  \
    X(RopeTable)                                                                                   \
    X(Rope)                                                                                        \
    X(KvAppend)                                                                                    \
    X(AttentionState)                                                                              \
    X(RaggedAttention)                                                                             \
    X(Attention)                                                                                   \
    X(Softmax)                                                                                     \
    X(Reduce)                                                                                      \
    X(Conv)                                                                                        \
    X(Fill)                                                                                        \
    X(Arange)                                                                                      \
    X(Compare)                                                                                     \
    X(Cast)                                                                                        \
    X(TopK)                                                                                        \
    X(MoeRoute)                                                                                    \
    X(GroupedMatMul)                                                                               \
    X(Resize)
#define RLX_VK_DECLARE(op)                                                                         \
    const char* why_##op(const node& n, const program& p);                                         \
    std::unique_ptr<step> make_##op();
RLX_VK_OPS(RLX_VK_DECLARE)
#undef RLX_VK_DECLARE

inline constexpr op_entry op_entries[] = {
#define RLX_VK_ENTRY(op) {RLX_OP_##op, why_##op, make_##op},
    RLX_VK_OPS(RLX_VK_ENTRY)
#undef RLX_VK_ENTRY
};

} // namespace rlx::vulkan
