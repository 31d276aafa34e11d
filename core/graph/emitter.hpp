// SPDX-License-Identifier: GPL-3.0-only
// What decompositions are written with.
#pragma once

#include "build.hpp"
#include "passes.hpp"

#include <cmath>
#include <string_view>
#include <utility>
#include <vector>

namespace rlx::ir {

// Emits nodes with a sticky error, so that a decomposition reads like its formula.
class emitter {
public:
    emitter(module& m, std::vector<node>& sink, const node& n)
        : m_(m), sink_(sink), origin_(n.origin) {}

    dim_table& dims() { return m_.dims; }

    const value& at(rlx_value v) const { return m_.at(v); }

    result<void> status() const { return error_.message.empty() ? result<void>() : error_; }

    static rlx_attr i64(std::uint16_t key, std::int64_t v) {
        return {key, RLX_ATTR_I64, 1, v, 0, nullptr, 0};
    }

    static rlx_attr f64(std::uint16_t key, double v) {
        return {key, RLX_ATTR_F64, 1, 0, v, nullptr, 0};
    }

    static rlx_attr list(std::uint16_t key, const std::vector<dim>& v) {
        return {key, RLX_ATTR_LIST, 1, 0, 0, v.data(), v.size()};
    }

    std::vector<rlx_value>
    node_of(std::uint32_t op, std::vector<rlx_value> in, std::vector<rlx_attr> attrs) {
        const op_desc& desc = *op_info(op);
        if (!error_.message.empty()) return std::vector<rlx_value>(desc.n_outputs, 1);
        auto r = emit_node(m_, sink_, op, in, attrs, origin_);
        if (r) return std::move(*r);
        error_ = r.error();
        return std::vector<rlx_value>(desc.n_outputs, 1);
    }

    rlx_value one(std::uint32_t op, std::vector<rlx_value> in, std::vector<rlx_attr> attrs = {}) {
        return node_of(op, std::move(in), std::move(attrs))[0];
    }

    rlx_value unary(std::int64_t kind, rlx_value x) {
        return one(RLX_OP_Unary, {x}, {i64(RLX_ATTR_kind, kind)});
    }

    rlx_value binary(std::int64_t kind, rlx_value a, rlx_value b) {
        return one(RLX_OP_Binary, {a, b}, {i64(RLX_ATTR_kind, kind)});
    }

    rlx_value affine(rlx_value x, double scale, double shift) {
        return one(RLX_OP_Affine, {x}, {f64(RLX_ATTR_scale, scale), f64(RLX_ATTR_shift, shift)});
    }

    rlx_value at_least(rlx_value x, double lo) {
        return one(RLX_OP_Clamp, {x}, {f64(RLX_ATTR_lo, lo), f64(RLX_ATTR_hi, HUGE_VAL)});
    }

    rlx_value reduce(std::int64_t kind, rlx_value x, std::int64_t axis, bool keep) {
        return one(
            RLX_OP_Reduce,
            {x},
            {i64(RLX_ATTR_kind, kind), i64(RLX_ATTR_axis, axis), i64(RLX_ATTR_keep, keep)}
        );
    }

    rlx_value slice(rlx_value x, std::int64_t axis, dim start, dim stop) {
        return one(
            RLX_OP_Slice,
            {x},
            {i64(RLX_ATTR_axis, axis), i64(RLX_ATTR_start, start), i64(RLX_ATTR_stop, stop)}
        );
    }

    rlx_value reshape(rlx_value x, const std::vector<dim>& shape) {
        return one(RLX_OP_Reshape, {x}, {list(RLX_ATTR_dims, shape)});
    }

    rlx_value concat(std::vector<rlx_value> parts, std::int64_t axis) {
        return one(RLX_OP_Concat, std::move(parts), {i64(RLX_ATTR_axis, axis)});
    }

    rlx_value permute(rlx_value x, const std::vector<std::int64_t>& perm) {
        return one(RLX_OP_Permute, {x}, {list(RLX_ATTR_perm, perm)});
    }

    rlx_value scalar(std::uint16_t dtype, double v) {
        return one(
            RLX_OP_Fill,
            {},
            {list(RLX_ATTR_dims, {}), i64(RLX_ATTR_dtype, dtype), f64(RLX_ATTR_value, v)}
        );
    }

    // A norm weight or bias as f32.
    rlx_value as_f32(rlx_value v) {
        if (at(v).dtype == RLX_F32) return v;
        return one(RLX_OP_Cast, {v}, {i64(RLX_ATTR_dtype, RLX_F32)});
    }

    // [C] -> [C, 1, ...], which broadcasts along axis 1 of [N, C, ...] with `rank` axes.
    rlx_value per_channel(rlx_value v, std::size_t rank) {
        std::vector<dim> shape(rank - 1, 1);
        shape[0] = at(v).dims[0];
        return reshape(as_f32(v), shape);
    }

    template <class Fn>
    auto dim_of(Fn fn) -> dim {
        if (!error_.message.empty()) return 1;
        auto r = fn(m_.dims);
        if (r) return *r;
        error_ = r.error();
        return 1;
    }

private:
    module& m_;
    std::vector<node>& sink_;
    std::string_view origin_;
    error error_{RLX_INTERNAL, ""};
};

// decompose_blocks.cpp
std::vector<rlx_value> decompose_layer_norm(emitter& e, const node& n);
std::vector<rlx_value> decompose_group_norm(emitter& e, const node& n);
std::vector<rlx_value> decompose_snake(emitter& e, const node& n);
std::vector<rlx_value> decompose_modulate(emitter& e, const node& n);
std::vector<rlx_value> decompose_attention(emitter& e, const node& n);

// decompose_more.cpp
std::vector<rlx_value> decompose_log_sum_exp(emitter& e, const node& n);
std::vector<rlx_value> decompose_l2_norm(emitter& e, const node& n);
std::vector<rlx_value> decompose_channel_norm(emitter& e, const node& n);
std::vector<rlx_value> decompose_lora_matmul(emitter& e, const node& n);
std::vector<rlx_value> decompose_vq_nearest(emitter& e, const node& n);
std::vector<rlx_value> decompose_pool(emitter& e, const node& n);
std::vector<rlx_value> decompose_pixel_shuffle(emitter& e, const node& n);
std::vector<rlx_value> decompose_pixel_unshuffle(emitter& e, const node& n);
std::vector<rlx_value> decompose_patch_embed(emitter& e, const node& n);
std::vector<rlx_value> decompose_window_partition(emitter& e, const node& n);
std::vector<rlx_value> decompose_window_unpartition(emitter& e, const node& n);
std::vector<rlx_value> decompose_stft(emitter& e, const node& n);
std::vector<rlx_value> decompose_istft(emitter& e, const node& n);

} // namespace rlx::ir
