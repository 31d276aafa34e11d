// SPDX-License-Identifier: GPL-3.0-only
// What the builder needs of steps/: a node with its tensors, one maker per op, and the steps that
// fused nodes become.
#pragma once

#include "program.hpp"
#include "rlx/abi/ops.h"

#include <memory>

namespace rlx::cpu {

// A graph node with its tensors (null: optional input not given) and attributes.
struct node {
    rlx_node_info info{};
    std::uint32_t index = 0;
    std::vector<tensor*> in;
    std::vector<tensor*> out;

    const rlx_attr* attr(std::uint16_t key) const {
        for (std::uint32_t i = 0; i < info.n_attr; ++i) {
            if (info.attr[i].key == key) return &info.attr[i];
        }
        return nullptr;
    }

    std::int64_t i64(std::uint16_t key, std::int64_t otherwise = 0) const {
        const rlx_attr* a = attr(key);
        return a ? a->i : otherwise;
    }

    double f64(std::uint16_t key, double otherwise = 0) const {
        const rlx_attr* a = attr(key);
        return a ? a->f : otherwise;
    }

    float f32(std::uint16_t key, double otherwise = 0) const {
        return static_cast<float>(f64(key, otherwise));
    }

    const tensor* input(std::size_t i) const { return i < in.size() ? in[i] : nullptr; }
};

using step_ptr = std::unique_ptr<step>;

// Fills in, out and origin from the node.
step_ptr with_tensors(step_ptr s, const node& n);

// Elements from the tensor's first one to row r (all axes but the last, in order).
std::int64_t row_offset(const tensor& t, std::int64_t r);

step_ptr make_elementwise(const node& n);
step_ptr make_concat(const node& n);
step_ptr make_fill(const node& n);
step_ptr make_arange(const node& n);
step_ptr make_take_along(const node& n);
step_ptr make_custom(const node& n, const rlx_graph* g);
step_ptr make_top_k(const node& n);
step_ptr make_reduce(const node& n);
step_ptr make_softmax(const node& n);
step_ptr make_rms_norm(const node& n);
step_ptr make_rope_table(const node& n);
step_ptr make_rope(const node& n);
step_ptr make_moe_route(const node& n);
step_ptr make_moe_combine(const node& n);
step_ptr make_layer_norm(const node& n);
step_ptr make_group_norm(const node& n);
step_ptr make_snake(const node& n);
step_ptr make_modulate(const node& n);
step_ptr make_gather(const node& n);
step_ptr make_flip(const node& n);
step_ptr make_scatter_rows(const node& n);
step_ptr make_scatter_along(const node& n);
step_ptr make_sort(const node& n);
step_ptr make_arg_reduce(const node& n);
step_ptr make_cum_sum(const node& n);
step_ptr make_random(const node& n);
step_ptr make_resize(const node& n);
step_ptr make_grid_sample(const node& n);
step_ptr make_pool(const node& n);
step_ptr make_im2col(const node& n);
step_ptr make_col2im(const node& n);
step_ptr make_fft(const node& n);
step_ptr make_causal_conv1d(const node& n);
step_ptr make_selective_scan(const node& n);
step_ptr make_ssd_scan(const node& n);
step_ptr make_head_scan(const node& n); // GatedDeltaRule, LinearAttention
step_ptr make_rnn(const node& n);
// StateLoad and StateStore.
step_ptr make_tensor_state(const node& n, const rlx_state_slot& slot);
std::uint64_t tensor_page_bytes(const rlx_state_slot& slot);
// lo_handles: where pad_lo's dims are in program::handles.
step_ptr make_pad(const node& n, std::uint32_t lo_handles);
// BatchMatMul, and MatMul with a right operand made at run time.
std::vector<step_ptr> make_run_time_product(const node& n);
std::vector<step_ptr> make_dense_attention(const node& n);

// How many rows of which shape a state's page holds.
struct kv_layout {
    std::int64_t n_heads = 0;
    std::int64_t k_dim = 0;
    std::int64_t v_dim = 0;
    std::int64_t page_tokens = 0;
    bool f16 = true;

    std::int64_t element() const { return f16 ? 2 : 4; }

    std::int64_t k_head_bytes() const {
        return (page_tokens + key_block - 1) / key_block * key_block * k_dim * element();
    }

    std::int64_t v_head_bytes() const { return page_tokens * v_dim * element(); }

    std::int64_t v_offset() const { return n_heads * k_head_bytes(); }

    std::int64_t page_bytes() const {
        return (v_offset() + n_heads * v_head_bytes() + 63) / 64 * 64;
    }
};

// An RmsNorm over rows.
struct norm_args {
    bool on = false;
    const tensor* weight = nullptr;
    float offset = 0;
    float eps = 0;
};

// Rows [T, heads, dim] that keys or queries come from, and what is done to a row on the way.
struct head_prep {
    const tensor* x = nullptr;
    norm_args norm;
    const tensor* table = nullptr; // RopeTable's result, or null
    std::int64_t pairing = 0;

    // Row (t, h), in x or in temp (2 * dim floats).
    const float* row(const kernels& k, std::int64_t t, std::int64_t h, float* temp) const;
};

result<kv_layout> kv_layout_of(const rlx_state_slot& slot, const program_config& cfg);
step_ptr make_kv_append(const node& n, const kv_layout& kv, const head_prep& keys);
// Shared bytes that attention wants for results of chunks that several threads computed, given the
// upper bounds.
std::uint64_t attention_workspace(
    const kv_layout& kv, std::int64_t tokens, std::int64_t heads, std::int64_t keys
);
step_ptr make_attention(
    const node& n,
    const kv_layout& kv,
    const head_prep& queries,
    std::uint64_t workspace,
    std::uint64_t bytes
);

// Rows of a checkpoint tensor that stays in its file, or of a tensor in memory (name empty).
struct gather_source {
    const rlx_weights* checkpoint = nullptr;
    rlx_str name = {nullptr, 0};
    const char* view = nullptr; // float rows in place
    std::uint16_t dtype = RLX_F32;
    std::int64_t n_rows = 0;
    std::int64_t row = 0;         // elements
    std::int64_t rows_per_id = 1; // tables with more than two axes
};

step_ptr make_gather_rows(const node& n, const gather_source& source);

// Makes an activation: converts rows of x, after an RmsNorm of them when `norm` is on.
step_ptr make_activate(activation* a, const norm_args& norm);

// What happens to a product's tile while it is in cache.
struct epilogue {
    enum kind_t { none, add, glu, unary } kind = none;

    const tensor* residual = nullptr;
    std::uint32_t op = 0;       // RLX_GLU_* or RLX_UNARY_*
    activation* into = nullptr; // the result in this form (bf16) instead of the output tensor
};

// One product of a step; several share their activation and are computed without a barrier between
// them.
struct product {
    const packed_weight* w = nullptr;
    const tensor* out = nullptr; // glu: null for the second product
    const tensor* bias = nullptr;
};

step_ptr make_expert_lists(expert_lists* lists);

struct matmul_args {
    std::vector<product> products;
    activation* a = nullptr;
    epilogue after;
    const expert_lists* experts = nullptr; // null: an ordinary product
};

step_ptr make_matmul(const matmul_args& args);

} // namespace rlx::cpu
