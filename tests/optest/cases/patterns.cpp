// SPDX-License-Identifier: GPL-3.0-only
// Ops in a row as models have them: what a backend may fuse, and where it may compute in place.
#include "lm.hpp"

namespace optest {
namespace {

using list = std::vector<std::int64_t>;

constexpr const char* weight_types[] = {"f32", "bf16", "q8_0", "q4_0", "q4_K", "q6_K"};

void list_weights(sink& s) {
    for (const char* t : weight_types)
        for (const std::int64_t m : {1, 5, 33})
            s.add({t}, {{"m", m}, {"sym", m % 2}});
}

std::int64_t width(const model& m) {
    return is_super(type_name(m.given().type(0, RLX_F32))) ? 256 : 64;
}

rlx_value binary(model& m, int kind, rlx_value a, rlx_value b) {
    return m.add(RLX_OP_Binary, {a, b}, {{RLX_ATTR_kind, kind}});
}

rlx_value unary(model& m, int kind, rlx_value a) {
    return m.add(RLX_OP_Unary, {a}, {{RLX_ATTR_kind, kind}});
}

// MatMul + bias + activation, then + residual.
void build_linear(model& m) {
    const std::int64_t n = width(m);
    const std::uint16_t t = m.given().type(0, RLX_F32);
    const rlx_value x = m.operand("x", {m.dim("T", m.given().num("m")), n});
    rlx_value y = m.add(RLX_OP_MatMul, {x, m.weight("w", t, {n, n}), m.weight("b", RLX_F32, {n})});
    y = unary(m, RLX_UNARY_GELU, y);
    m.output(binary(m, RLX_BINARY_ADD, m.add(RLX_OP_MatMul, {y, m.weight("v", t, {n, n})}), x));
    m.limit_name = "Model";
}

// x + residual, its norm, gate and up from one input, down; the sum is used twice.
void build_mlp(model& m) {
    const std::int64_t n = width(m);
    const std::uint16_t t = m.given().type(0, RLX_F32);
    const axes d{m.dim("T", m.given().num("m")), n};
    const rlx_value sum = binary(m, RLX_BINARY_ADD, m.operand("x", d), m.operand("r", d));
    const rlx_value h = m.add(
        RLX_OP_RmsNorm,
        {sum, m.weight("norm", RLX_F32, {n}, numbers::positive)},
        {{RLX_ATTR_eps, 1e-5}}
    );
    const rlx_value gate = m.add(RLX_OP_MatMul, {h, m.weight("gate", t, {2 * n, n})});
    const rlx_value up = m.add(RLX_OP_MatMul, {h, m.weight("up", t, {2 * n, n})});
    const rlx_value g = m.add(RLX_OP_Glu, {gate, up}, {{RLX_ATTR_kind, RLX_GLU_SWIGLU}});
    const rlx_value y = m.add(RLX_OP_MatMul, {g, m.weight("down", t, {n, 2 * n})});
    m.output(binary(m, RLX_BINARY_ADD, sum, y));
    m.output(sum); // also a result: may not be overwritten
    m.limit_name = "Model";
}

// LayerNorm, q k v from one input, heads as views, attention, projection, residual: an encoder's
// layer.
void build_encoder(model& m) {
    const std::int64_t n = width(m), heads = 4;
    const std::uint16_t t = m.given().type(0, RLX_F32);
    const axis tokens = m.dim("T", m.given().num("m"));
    const rlx_value x = m.operand("x", {2, tokens, n});
    const rlx_value h = m.add(
        RLX_OP_LayerNorm,
        {x, m.weight("w", RLX_F32, {n}, numbers::positive), m.weight("b", RLX_F32, {n})},
        {{RLX_ATTR_eps, 1e-5}}
    );
    const auto part = [&](const char* name) {
        const rlx_value y = m.add(
            RLX_OP_MatMul,
            {h, m.weight(name, t, {n, n}), m.weight(std::string(name) + "b", RLX_F32, {n})}
        );
        return m.reshape(y, {2, tokens, heads, n / heads});
    };
    const rlx_value q = part("q"), k = part("k"), v = part("v");
    const rlx_value y = m.add(RLX_OP_Attention, {q, k, v}, {{RLX_ATTR_scale, 0.25}});
    const rlx_value o =
        m.add(RLX_OP_MatMul, {m.reshape(y, {2, tokens, n}), m.weight("o", t, {n, n})});
    m.output(binary(m, RLX_BINARY_ADD, x, o));
    m.limit_name = "Model";
}

// Router, experts, weighted sum.
void build_moe(model& m) {
    const std::int64_t n = width(m), experts = 5;
    const std::uint16_t t = m.given().type(0, RLX_F32);
    const rlx_value x = m.operand("x", {m.dim("T", m.given().num("m")), n});
    const rlx_value logits = m.operand("router", {m.dim("T", m.given().num("m")), experts});
    const auto route =
        m.add_many(RLX_OP_MoeRoute, {logits}, {{RLX_ATTR_k, 2}, {RLX_ATTR_normalise, 1}}, 2);
    const auto expert = [&](const char* name, rlx_value in, std::int64_t out, std::int64_t k) {
        return m.add(RLX_OP_GroupedMatMul, {in, m.weight(name, t, {experts, out, k}), route[1]});
    };
    const rlx_value g = m.add(
        RLX_OP_Glu,
        {expert("gate", x, n, n), expert("up", x, n, n)},
        {{RLX_ATTR_kind, RLX_GLU_SWIGLU}}
    );
    m.output(m.add(RLX_OP_MoeCombine, {expert("down", g, n, n), route[0]}));
    m.limit_name = "Model";
}

void list_conv(sink& s) {
    for (const auto& d : {list{1, 8, 33}, list{2, 8, 9, 10}, list{3, 8, 1}})
        s.add({{"d", d}, {"sym", 1}});
}

// GroupNorm, silu, Conv, Snake and a skip: a block of a codec or an image decoder.
void build_conv(model& m) {
    const axes d = shape_of(m);
    const rlx_value x = m.operand("x", d);
    rlx_value y = m.add(RLX_OP_GroupNorm, {x}, {{RLX_ATTR_groups, 2}, {RLX_ATTR_eps, 1e-5}});
    y = unary(m, RLX_UNARY_SILU, y);
    list k(d.size(), 3), pad(d.size() - 2, 1);
    k[0] = k[1] = 8;
    y = m.add(
        RLX_OP_Conv,
        {y, m.weight("w", RLX_F32, k), m.weight("b", RLX_F32, {8})},
        {{RLX_ATTR_pad_lo, pad}, {RLX_ATTR_pad_hi, pad}}
    );
    y = m.add(RLX_OP_Snake, {y, m.weight("alpha", RLX_F32, {8}, numbers::positive)});
    m.output(binary(m, RLX_BINARY_ADD, x, y));
    m.limit_name = "Model";
}

void list_chain(sink& s) {
    for (const auto& d : {list{1}, list{5, 17}, list{3, 64}, list{0, 4}, list{2, 3, 67}})
        for (const char* v : {"none", "perm"})
            s.add({{"d", d}, {"sym", 1}, {"view", v}});
}

// Elementwise ops that may all land in one place, with an operand that is used again at the end.
void build_chain(model& m) {
    const axes d = shape_of(m);
    const rlx_value x = m.operand("x", d), z = m.operand("z", d);
    rlx_value y = unary(m, RLX_UNARY_TANH, x);
    const rlx_value kept =
        m.add(RLX_OP_Affine, {y}, {{RLX_ATTR_scale, 2.0}, {RLX_ATTR_shift, 0.5}});
    y = binary(m, RLX_BINARY_MUL, kept, z);
    y = m.add(RLX_OP_Clamp, {y}, {{RLX_ATTR_lo, -0.5}, {RLX_ATTR_hi, 0.5}});
    y = binary(m, RLX_BINARY_SUB, y, y);
    y = binary(m, RLX_BINARY_ADD, y, kept);
    y = binary(m, RLX_BINARY_ADD, y, x);
    m.output(y);
    m.limit_name = "Model";
}

void list_lm(sink& s) {
    for (const char* t : weight_types)
        for (const auto& n : {list{1}, list{7}, list{3, 1, 18}})
            s.add({t}, {{"new", n}});
}

void build_decoder(model& m) {
    const lm_values v = build_lm(m, {});
    std::vector<lm_sequence> step;
    std::int64_t page = 0;
    for (const std::int64_t n : m.given().list("new")) {
        lm_sequence s;
        for (std::int64_t i = 0; i < n; ++i)
            s.tokens.push_back(m.rng().below(lm_vocab));
        for (std::int64_t i = 0; i <= n / m.page_tokens; ++i)
            s.pages.push_back(page++);
        step.push_back(std::move(s));
    }
    m.inputs = lm_feed(m, v, step);
}

constexpr op_cases all[] = {
    {"Pattern.linear", list_weights, build_linear},
    {"Pattern.mlp", list_weights, build_mlp},
    {"Pattern.encoder", list_weights, build_encoder},
    {"Pattern.moe", list_weights, build_moe},
    {"Pattern.conv", list_conv, build_conv},
    {"Pattern.chain", list_chain, build_chain},
    {"Pattern.lm", list_lm, build_decoder},
};

} // namespace

std::span<const op_cases> pattern_cases() {
    return all;
}

} // namespace optest
