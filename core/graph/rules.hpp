// SPDX-License-Identifier: GPL-3.0-only
// Shape rules: one function per rule named in ops.def. A rule checks inputs and attributes and
// gives the outputs; building and verifying run the same functions.
#pragma once

#include "module.hpp"

#include <optional>

namespace rlx::ir {

struct out_spec {
    std::uint16_t dtype = RLX_F32;
    std::vector<dim> dims;
    // Set for outputs that alias an input (views, states).
    rlx_value root = 0;
    dim offset = 0;
    std::vector<dim> strides;
};

class rule_context {
public:
    rule_context(
        const module& m,
        dim_table& d,
        const op_desc& op,
        std::span<const rlx_value> inputs,
        const attr_list& attributes,
        std::string_view origin
    )
        : dims(d), attrs(attributes), m_(m), op_(op), in_(inputs), origin_(origin) {}

    dim_table& dims;
    const attr_list& attrs;
    std::vector<out_spec> out;

    bool has(std::size_t i) const { return i < in_.size() && in_[i] != 0; }

    std::size_t n_in() const { return in_.size(); }

    const value& in(std::size_t i) const { return m_.at(in_[i]); }

    rlx_value id(std::size_t i) const { return in_[i]; }

    bool is_state(std::size_t i) const { return in(i).kind == RLX_VALUE_STATE; }

    // "MatMul in lm_head: <text>"
    error fail(std::string text) const;
    // "...: input 1 is %5 'w' f32 [3, 4], expected <expected>"
    error bad(std::size_t i, std::string_view expected) const;

    result<void> dtype(std::size_t i, std::uint16_t want) const;
    result<void> plain(std::size_t i) const;       // not packed
    result<void> parameter(std::size_t i) const;   // f32, f16, bf16, f64: a norm weight, a bias
    result<void> matrix_type(std::size_t i) const; // a parameter or packed
    result<void> rank(std::size_t i, std::size_t n, std::string_view expected) const;
    // Proved, refuted (error) or left to a guard. i: the input whose shape is at fault.
    result<void> same(dim a, dim b, std::size_t i, std::string_view expected);
    result<void> at_most(dim a, dim b, std::string_view what);
    // A handle from an attribute, used as an extent.
    result<void> extent(dim d, std::string_view what);
    result<std::vector<dim>> dim_list(std::uint32_t key);
    result<std::size_t> axis(std::size_t i) const; // attribute "axis", in [0, rank)
    result<void> one_of(std::uint32_t key, std::int64_t lo, std::int64_t hi) const;
    result<std::vector<dim>> broadcast(std::span<const std::size_t> inputs);

    result<void> give(std::uint16_t dtype, std::vector<dim> shape);
    result<void> give_view(std::vector<dim> shape, std::vector<dim> strides, dim offset);

private:
    const module& m_;
    const op_desc& op_;
    std::span<const rlx_value> in_;
    std::string_view origin_;
};

// Arity, attributes and the op's rule. `d` is where new dims go: the module's own table when
// building, a copy of it when a finished graph is verified.
result<std::vector<out_spec>> infer(
    const module& m,
    dim_table& d,
    const op_desc& op,
    std::span<const rlx_value> in,
    const attr_list& attrs,
    std::string_view origin
);

// Copies attributes after checking them against ops.def; negative axes become positive.
result<attr_list> check_attrs(
    const module& m,
    const op_desc& op,
    std::span<const rlx_value> in,
    std::span<const rlx_attr> attrs,
    std::string_view origin
);

#define RLX_RULES(X)                                                                               \
    X(reshape)                                                                                     \
    X(permute)                                                                                     \
    X(slice)                                                                                       \
    X(broadcast) X(concat) X(same) X(cast) X(fill) X(arange) X(gather_rows) X(take_along) X(top_k) \
        X(same_f32) X(binary) X(compare) X(select) X(glu) X(reduce) X(softmax) X(rms_norm)         \
            X(matmul) X(grouped_matmul) X(moe_route) X(moe_combine) X(rope_table) X(rope)          \
                X(attention_state) X(ragged_attention) X(kv_append) X(pad) X(snake) X(modulate) X(layer_norm)          \
                    X(group_norm) X(batch_matmul) X(attention) X(conv) X(conv_transpose) X(custom)       \
                        X(flip) X(random) X(gather) X(scatter_rows) X(scatter_along) X(sort)       \
                            X(arg_reduce) X(log_sum_exp) X(cum_sum) X(l2_norm) X(channel_norm)     \
                                X(lora_matmul) X(vq_nearest) X(state_load) X(state_store) X(pool)  \
                                    X(resize) X(grid_sample) X(pixel_shuffle) X(pixel_unshuffle)   \
                                        X(patch_embed) X(im2col) X(col2im) X(window_partition)     \
                                            X(window_unpartition) X(fft) X(stft) X(istft)          \
                                                X(causal_conv1d) X(selective_scan) X(ssd_scan)     \
                                                    X(gated_delta_rule) X(linear_attention) X(rnn)
#define RLX_RULE(name) result<void> rule_##name(rule_context& c);
RLX_RULES(RLX_RULE)
#undef RLX_RULE

} // namespace rlx::ir
