// SPDX-License-Identifier: GPL-3.0-only
// Audio and sequences: spectra, recurrent layers, scans with a state, draws. The numbers are those
// of rlx/abi/ops.def. Compiled into the plugin. [one thread per graph]
#pragma once

#include "rlx/sdk/conv.hpp"

namespace rlx::sdk {
inline namespace sdk_v1 {

// ---- spectra: complex numbers are a last axis (re, im) ----

struct stft_options {
    std::int64_t n = 400; // samples of a frame
    std::int64_t hop = 160;
    bool center = true; // n / 2 samples before and behind, mirrored
};

// x [N, L], window [n] (empty: ones) -> [N, frames, n / 2 + 1, 2].
inline tensor stft(scope m, tensor x, tensor window, const stft_options& o) {
    if (o.center) x = pad(m, x, {o.n / 2}, {o.n / 2}, RLX_PAD_REFLECT);
    return m.op(RLX_OP_Stft, {x, window}, {attr(RLX_ATTR_n, o.n), attr(RLX_ATTR_hop, o.hop)});
}

// The way back: [N, frames, n / 2 + 1, 2] -> [N, (frames - 1) hop + n - 2 trim]; trim = n / 2 for
// centred frames.
inline tensor
istft(scope m, tensor x, tensor window, std::int64_t n, std::int64_t hop, std::int64_t trim) {
    return m.op(
        RLX_OP_Istft,
        {x, window},
        {attr(RLX_ATTR_n, n), attr(RLX_ATTR_hop, hop), attr(RLX_ATTR_trim, trim)}
    );
}

// re^2 + im^2: [..., 2] -> [...].
inline tensor power_spectrum(scope m, tensor x) {
    const std::int64_t last = static_cast<std::int64_t>(m.graph().shape_of(x).rank) - 1;
    return m.op(
        RLX_OP_Reduce,
        {mul(m, x, x)},
        {attr(RLX_ATTR_kind, RLX_REDUCE_SUM), attr(RLX_ATTR_axis, last)}
    );
}

// ---- recurrent layers, PyTorch's names: weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0 ----

struct rnn_options {
    std::int64_t kind = RLX_RNN_LSTM;
    std::int64_t hidden = any_size;
    std::int64_t layer = 0;
    bool bidirectional = false;
    enum bias bias = bias::required;
};

namespace detail {

inline tensor rnn_way(scope m, tensor x, const rnn_options& o, bool reverse) {
    const std::string tail = format("_l{}{}", o.layer, std::string_view(reverse ? "_reverse" : ""));
    const auto named = [&](std::string_view head) { return std::string(head) + tail; };
    const tensor wi = m.weight(named("weight_ih"), {any_size, any_size});
    const tensor wh = m.weight(named("weight_hh"), {any_size, o.hidden});
    tensor bi, bh;
    if (o.bias != bias::none) {
        const std::uint32_t flags = o.bias == bias::if_present ? RLX_WEIGHT_OPTIONAL : 0;
        bi = m.weight(named("bias_ih"), {any_size}, flags);
        bh = m.weight(named("bias_hh"), {any_size}, flags);
    }
    return m.ops<3>(
        RLX_OP_Rnn,
        {x, wi, wh, bi, bh},
        {attr(RLX_ATTR_kind, o.kind), attr(RLX_ATTR_reverse, reverse ? 1 : 0)}
    )[0];
}

} // namespace detail

// x [N, T, in] -> [N, T, hidden], bidirectional [N, T, 2 hidden]; starts from zeros.
inline tensor rnn(scope m, tensor x, const rnn_options& o) {
    const tensor forward = detail::rnn_way(m, x, o, false);
    if (!o.bidirectional) return forward;
    return concat(m, {forward, detail::rnn_way(m, x, o, true)}, 2);
}

// ---- scans: y and what each sequence remembers; shapes in rlx/abi/ops.def ----

struct scanned {
    tensor y, state;
};

// x [T, C], w [C, K] (a stored [C, 1, K] reshaped), state empty or [B, C, K - 1].
inline scanned
causal_conv1d(scope m, tensor x, tensor w, tensor cu_seqlens, tensor bias = {}, tensor state = {}) {
    const auto out = m.ops<2>(RLX_OP_CausalConv1d, {x, w, cu_seqlens, bias, state});
    return {out[0], out[1]};
}

struct delta_options {
    double scale = 1;
    bool tiled = false; // head h reads q and k head h % Hk instead of h / (H / Hk)
};

// q, k [T, Hk, dk], v [T, H, dv], decay (a logarithm) [T, H] or [T, H, dk], beta [T, H].
inline scanned gated_delta_rule(
    scope m,
    tensor q,
    tensor k,
    tensor v,
    tensor decay,
    tensor beta,
    tensor cu_seqlens,
    tensor state = {},
    const delta_options& o = {}
) {
    const auto out = m.ops<2>(
        RLX_OP_GatedDeltaRule,
        {q, k, v, decay, beta, cu_seqlens, state},
        {attr_real(RLX_ATTR_scale, o.scale), attr(RLX_ATTR_tiled, o.tiled ? 1 : 0)}
    );
    return {out[0], out[1]};
}

// ---- sums and draws ----

inline tensor cum_sum(scope m, tensor x, std::int64_t axis) {
    return m.op(RLX_OP_CumSum, {x}, {attr(RLX_ATTR_axis, axis)});
}

// f32 dims of independent draws; kind RLX_RANDOM_*; seed and offset i32 [2], low word first.
inline tensor
random(scope m, tensor seed, tensor offset, std::initializer_list<dim> dims, std::int64_t kind) {
    return m.op(
        RLX_OP_Random,
        {seed, offset},
        {attr_list(RLX_ATTR_dims, {dims.begin(), dims.size()}), attr(RLX_ATTR_kind, kind)}
    );
}

} // namespace sdk_v1
} // namespace rlx::sdk
