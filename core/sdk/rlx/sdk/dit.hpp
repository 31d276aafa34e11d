// SPDX-License-Identifier: GPL-3.0-only
// Diffusion transformers: timestep embedding, adaptive norms, the block of DiT, and the dual- and
// single-stream blocks of FLUX-like models. Values are [B, T, D], conditioning vectors [B, D].
// Compiled into the plugin. [one thread per graph]
#pragma once

#include "rlx/sdk/vit.hpp"

namespace rlx::sdk {
inline namespace sdk_v1 {

// ---- conditioning ----

// t f32 [B] -> [B, dim]: cosines of t * max_period^(-j / (dim / 2)), then sines; dim even.
inline tensor timestep_embedding(scope m, tensor t, std::int64_t width, double max_period = 10000) {
    const std::int64_t half = width / 2;
    const dim batch = m.graph().shape_of(t).dims[0];
    if (!m.ok()) return {};
    const tensor steps = m.op(
        RLX_OP_Cast,
        {m.op(RLX_OP_Arange, {}, {attr(RLX_ATTR_n, half)})},
        {attr(RLX_ATTR_dtype, RLX_F32)}
    );
    const tensor rates =
        unary(m, RLX_UNARY_EXP, scale(m, steps, -std::log(max_period) / static_cast<double>(half)));
    const tensor angles = mul(m, reshape(m, t, {batch, 1}), rates);
    return concat(m, {unary(m, RLX_UNARY_COS, angles), unary(m, RLX_UNARY_SIN, angles)}, 1);
}

// Two linear layers with a silu between; `first` and `second` are their names.
inline tensor embedding_mlp(
    scope m,
    tensor x,
    std::string_view first = "linear_1",
    std::string_view second = "linear_2",
    enum bias b = bias::required
) {
    return linear(m[second], silu(m, linear(m[first], x, {.bias = b})), {.bias = b});
}

// What a norm and the branch behind it are modulated with; [B, 1, D] each.
struct modulation {
    tensor shift, scale, gate;
};

// linear(silu(vec)) cut into n parts [B, 1, D], in order. m is the linear layer.
template <std::size_t N>
std::array<tensor, N> modulation_parts(scope m, tensor vec, enum bias b = bias::required) {
    const tensor all = linear(m, silu(m, vec), {.bias = b});
    const shape s = m.graph().shape_of(all);
    std::array<tensor, N> parts{};
    if (!m.ok()) return parts;
    constexpr auto n = static_cast<dim>(N);
    if (s.rank != 2 || s.dims[1] < 0 || s.dims[1] % n != 0) {
        m.fail(RLX_CORRUPT_DATA, "{} features are not {} equal parts", s.back(), N);
        return parts;
    }
    const dim width = s.dims[1] / n;
    for (dim i = 0; i < n; ++i)
        parts[static_cast<std::size_t>(i)] =
            reshape(m, slice(m, all, 1, i * width, (i + 1) * width), {s.dims[0], 1, width});
    return parts;
}

// (shift, scale, gate) for each of N branches, in the order of DiT and FLUX.
template <std::size_t N>
std::array<modulation, N> modulations(scope m, tensor vec, enum bias b = bias::required) {
    const auto parts = modulation_parts<3 * N>(m, vec, b);
    std::array<modulation, N> out;
    for (std::size_t i = 0; i < N; ++i)
        out[i] = {parts[3 * i], parts[3 * i + 1], parts[3 * i + 2]};
    return out;
}

// LayerNorm without parameters, then x * (1 + scale) + shift.
inline tensor ada_norm(scope m, tensor x, const modulation& with, double eps = 1e-6) {
    const tensor y = m.op(RLX_OP_LayerNorm, {x}, {attr_real(RLX_ATTR_eps, eps)});
    return m.op(RLX_OP_Modulate, {y, with.scale, with.shift});
}

// x + gate * branch
inline tensor gated_add(scope m, tensor x, tensor branch, const modulation& with) {
    return m.op(RLX_OP_Modulate, {branch, {}, {}, with.gate, x});
}

// The last norm before the projection. m is the linear layer; scale_first: the rows of its weight
// are (scale, shift) as in diffusers, else (shift, scale).
inline tensor final_ada_norm(
    scope m, tensor x, tensor vec, bool scale_first, double eps = 1e-6, enum bias b = bias::required
) {
    const auto parts = modulation_parts<2>(m, vec, b);
    return ada_norm(m, x, {parts[scale_first ? 1 : 0], parts[scale_first ? 0 : 1], {}}, eps);
}

// ---- DiT ----

struct dit_options {
    double eps = 1e-6;
    self_attention_options attention = {};
    vit_mlp_options mlp = {.act = RLX_UNARY_GELU_TANH};
    std::string_view ada = "adaLN_modulation.1"; // the linear layer behind the silu
};

// A DiT block with adaLN-Zero: x [B, T, D], vec [B, D]; attn, mlp and adaLN_modulation below m.
inline tensor dit_block(scope m, tensor x, tensor vec, const dit_options& o) {
    const auto mod = modulations<2>(m[o.ada], vec);
    const tensor a = self_attention(m["attn"], ada_norm(m, x, mod[0], o.eps), o.attention);
    x = gated_add(m, x, a, mod[0]);
    const tensor f = vit_mlp(m["mlp"], ada_norm(m, x, mod[1], o.eps), o.mlp);
    return gated_add(m, x, f, mod[1]);
}

// ---- FLUX ----

// positions i32 [T] per axis -> table [T, sum of dims] for rope_batched(..., interleaved): each
// axis turns its own run of pairs.
inline tensor axes_rope_table(
    scope m, std::span<const tensor> positions, std::span<const std::int64_t> dims, double base
) {
    std::array<tensor, 8> cos{}, sin{};
    if (positions.size() > cos.size() || positions.empty() || positions.size() != dims.size()) {
        m.fail(RLX_INTERNAL, "a rope table wants 1 to 8 axes with a size each");
        return {};
    }
    for (std::size_t i = 0; i < positions.size(); ++i) {
        const tensor t = m.op(
            RLX_OP_RopeTable,
            {positions[i]},
            {attr(RLX_ATTR_dim, dims[i]), attr_real(RLX_ATTR_base, base)}
        );
        cos[i] = slice(m, t, 1, 0, dims[i] / 2);
        sin[i] = slice(m, t, 1, dims[i] / 2, dims[i]);
    }
    std::array<tensor, 16> parts{};
    const std::size_t n = positions.size();
    for (std::size_t i = 0; i < n; ++i) {
        parts[i] = cos[i];
        parts[n + i] = sin[i];
    }
    std::array<tensor, 1> out{};
    const rlx_attr axis = attr(RLX_ATTR_axis, 1);
    m.graph().add(m.path(), RLX_OP_Concat, {parts.data(), 2 * n}, {&axis, 1}, out);
    return out[0];
}

struct joint_options {
    std::int64_t heads = 1;
    double eps = 1e-6;
    double qk_eps = 1e-6;
    tensor rope = {}; // table [Ttext + Timage, head_dim], text first; pairs (2j, 2j + 1)
    enum bias bias = bias::none;
};

struct streams {
    tensor image, text; // [B, Timage, D], [B, Ttext, D]
};

namespace detail {

// Queries, keys and values of one stream, with an RmsNorm over each head of queries and keys.
inline projected joint_heads(
    scope m,
    tensor x,
    const std::array<std::string_view, 5>& names, // q k v, norms of q and k
    const joint_options& o
) {
    const auto heads = [&](std::string_view name) {
        return split_heads_batched(m, linear(m[name], x, {.bias = o.bias}), o.heads);
    };
    return {
        rms_norm(m[names[3]], heads(names[0]), o.qk_eps),
        rms_norm(m[names[4]], heads(names[1]), o.qk_eps),
        heads(names[2])};
}

inline tensor joint_attention(scope m, projected p, const joint_options& o) {
    if (o.rope) {
        p.q = rope_batched(m, p.q, o.rope, true);
        p.k = rope_batched(m, p.k, o.rope, true);
    }
    return merge_heads_batched(m, dense_attention(m, p.q, p.k, p.v));
}

// linear_out(silu(a) * b), a and b the halves of linear_in(x).
inline tensor joint_mlp(scope m, tensor x, enum bias b) {
    return vit_mlp(
        m,
        x,
        {.kind = mlp_kind::swiglu_w12, .names = {.w12 = "linear_in", .w3 = "linear_out"}, .bias = b}
    );
}

} // namespace detail

// A dual-stream block (transformer_blocks.N of FLUX.2 in diffusers): each stream has its own
// weights, both attend over text and image together. The modulations are (attention, mlp).
inline streams joint_block(
    scope m,
    streams x,
    const std::array<modulation, 2>& image,
    const std::array<modulation, 2>& text,
    const joint_options& o
) {
    const scope a = m["attn"];
    const auto pi = detail::joint_heads(
        a, ada_norm(m, x.image, image[0], o.eps), {"to_q", "to_k", "to_v", "norm_q", "norm_k"}, o
    );
    const auto pt = detail::joint_heads(
        a,
        ada_norm(m, x.text, text[0], o.eps),
        {"add_q_proj", "add_k_proj", "add_v_proj", "norm_added_q", "norm_added_k"},
        o
    );
    const tensor y = detail::joint_attention(
        a, {concat(a, {pt.q, pi.q}, 1), concat(a, {pt.k, pi.k}, 1), concat(a, {pt.v, pi.v}, 1)}, o
    );
    const dim words = m.graph().shape_of(x.text).dims[1], all = m.graph().shape_of(y).dims[1];
    const tensor yt = linear(a["to_add_out"], slice(a, y, 1, 0, words), {.bias = o.bias});
    const tensor yi = linear(a["to_out"][0], slice(a, y, 1, words, all), {.bias = o.bias});
    x.image = gated_add(m, x.image, yi, image[0]);
    x.text = gated_add(m, x.text, yt, text[0]);
    const tensor fi = detail::joint_mlp(m["ff"], ada_norm(m, x.image, image[1], o.eps), o.bias);
    const tensor ft =
        detail::joint_mlp(m["ff_context"], ada_norm(m, x.text, text[1], o.eps), o.bias);
    x.image = gated_add(m, x.image, fi, image[1]);
    x.text = gated_add(m, x.text, ft, text[1]);
    return x;
}

// A single-stream block (single_transformer_blocks.N of FLUX.2): x [B, T, D] is text and image,
// attention and mlp run side by side from one projection [q, k, v, a, b].
inline tensor
single_stream_block(scope m, tensor x, const modulation& mod, const joint_options& o) {
    const scope a = m["attn"];
    const dim width = detail::width_of(m, x);
    const tensor all = linear(a["to_qkv_mlp_proj"], ada_norm(m, x, mod, o.eps), {.bias = o.bias});
    const dim total = m.graph().shape_of(all).back();
    if (!m.ok()) return {};
    if (width <= 0 || total < 3 * width || (total - 3 * width) % 2 != 0) {
        a.fail(RLX_CORRUPT_DATA, "{} features do not hold q, k, v of {} and a gate", total, width);
        return {};
    }
    const auto heads = [&](std::int64_t i) {
        return split_heads_batched(a, slice(a, all, 2, i * width, (i + 1) * width), o.heads);
    };
    const tensor y = detail::joint_attention(
        a,
        {rms_norm(a["norm_q"], heads(0), o.qk_eps),
         rms_norm(a["norm_k"], heads(1), o.qk_eps),
         heads(2)},
        o
    );
    const dim middle = 3 * width + (total - 3 * width) / 2;
    const tensor h = a.op(
        RLX_OP_Glu,
        {slice(a, all, 2, 3 * width, middle), slice(a, all, 2, middle, total)},
        {attr(RLX_ATTR_kind, RLX_GLU_SWIGLU)}
    );
    const tensor out = linear(a["to_out"], concat(a, {y, h}, 2), {.out = width, .bias = o.bias});
    return gated_add(m, x, out, mod);
}

} // namespace sdk_v1
} // namespace rlx::sdk
