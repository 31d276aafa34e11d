// SPDX-License-Identifier: GPL-3.0-only
// Every key of the reference's config that changes what is computed. Combinations the reference
// itself cannot run are refused.
#include "config.hpp"

namespace rlx::vision {
namespace {

using sdk::checkpoint;

constexpr sdk::int_range sizes{.min = 1, .max = 1 << 24};
constexpr sdk::int_range sides{.min = 1, .max = 65535};

void refuse(const checkpoint& c, std::string_view what) {
    c.errors().fail(RLX_UNSUPPORTED, "config: {}", what);
}

// One number for both sides, or a list of height and width.
extent read_pair(const checkpoint& c, std::string_view key) {
    const std::string height = sdk::format("{}.0", key), width = sdk::format("{}.1", key);
    if (c.has(height)) return {c.integer(height, sides), c.integer(width, sides)};
    const std::int64_t side = c.integer(key, sides);
    return {side, side};
}

void check_multiple(const checkpoint& c, std::int64_t a, std::int64_t b, std::string_view what) {
    if (c.ok() && a % b != 0)
        c.errors().fail(RLX_CORRUPT_DATA, "config: {} ({} and {})", what, a, b);
}

void read_sizes(const checkpoint& c, config& m) {
    m.hidden = c.integer("n_embd", sizes);
    m.n_layers = c.integer("n_layer", {.min = 1, .max = 4096});
    m.n_heads = c.integer("n_head", {.min = 1, .max = 1 << 16});
    check_multiple(c, m.hidden, m.n_heads, "n_embd is no multiple of n_head");
    if (c.integer("num_heads_kv", sizes, m.n_heads) != m.n_heads)
        refuse(c, "num_heads_kv differs from n_head; the reference cannot run that");
    m.image = read_pair(c, "img_size");
    m.patch = read_pair(c, "patch_size");
    if (c.integer("num_channels", sizes, 3) != 3) refuse(c, "num_channels is not 3");
    if (!c.ok()) return;
    m.grid = {m.image.height / m.patch.height, m.image.width / m.patch.width};
    if (m.patches() < 1) refuse(c, "img_size is smaller than patch_size");
    m.norm_eps = static_cast<float>(c.real("layer_norm_epsilon", {.min = 0, .max = 1}, 1e-5));
    m.patch_bias = c.flag("patch_embed_bias", true);
    m.qkv_bias = c.flag("qkv_proj_bias", true);
    m.fc1_bias = c.flag("mlp_fc1_bias", true);
    m.fc2_bias = c.flag("mlp_fc2_bias", true);
}

void read_mlp(const checkpoint& c, config& m) {
    struct row {
        std::string_view name;
        std::int64_t act;
    };

    static constexpr row gated[] = {
        {"swiglu", RLX_GLU_SWIGLU}, {"geglu", RLX_GLU_GEGLU_ERF}, {"glu", RLX_GLU_SIGMOID}};
    // The reference uses the exact GELU whichever of these is named.
    static constexpr std::string_view plain[] = {
        "gelu", "gelu_new", "gelu_fast", "gelu_pytorch_tanh"};
    const std::string_view name = c.text("activation_function", "gelu");
    m.gated = false;
    bool known = false;
    for (const row& r : gated)
        if (r.name == name) {
            m.gated = known = true;
            m.act = r.act;
        }
    for (const std::string_view p : plain)
        known |= p == name;
    if (!known)
        c.errors().fail(
            RLX_UNSUPPORTED,
            "config: activation_function '{}' (known: swiglu, geglu, glu, gelu)",
            name
        );
    m.norm_mlp = m.gated && c.flag("norm_mlp", false);
    // n_inner is rounded up to a multiple of 256 when gated: the tensors have the true number.
    m.inner = c.size_of(m.gated ? "layers.0.mlp.fc11.weight" : "layers.0.mlp.fc1.weight", 2, 0);
}

// Position table, class and register tokens.
void read_tokens(const checkpoint& c, config& m) {
    m.cls = !c.flag("no_cls_token", false);
    m.registers = c.integer("register_tokens", {.min = 0, .max = 1 << 16}, 0);
    const bool used = c.flag("use_pos_embed", true), after = c.flag("no_embed_class", false);
    const bool learned = c.flag("learned_pos_embedding", false);
    m.sinusoidal = !learned && c.flag("sinusoidal_pos_embedding", false);
    if (!used) {
        m.positions = positions::none;
        m.fixed_size = false;
        if ((learned && after) || (m.sinusoidal && m.cls))
            refuse(c, "use_pos_embed is false where positions are needed");
        return;
    }
    if (after && learned && m.registers > 0) {
        m.positions = positions::patches;
        return;
    }
    m.positions = positions::all_tokens;
    if (after || !m.cls || m.registers > 0)
        refuse(
            c,
            "no_embed_class, no_cls_token, register_tokens and learned_pos_embedding leave another "
            "number of tokens than of positions; the reference cannot run that"
        );
    m.resizable = learned && m.grid.height == m.grid.width;
    m.fixed_size = !m.resizable;
}

void read_rope(const checkpoint& c, config& m) {
    m.rope = c.flag("use_rotary_pos_emb", false);
    if (!m.rope) return;
    m.fixed_size = true; // the reference has one table, for the trained size
    if (c.has("ref_feat_shape") || c.has("ref_feat_shape.0"))
        m.rope_reference = read_pair(c, "ref_feat_shape");
    check_multiple(
        c, m.hidden, 4 * m.n_heads, "use_rotary_pos_emb: a head is no multiple of 4 wide"
    );
    if (c.ok() && m.prefix_tokens() != std::max<std::int64_t>(m.registers, 1))
        refuse(
            c,
            "use_rotary_pos_emb with a class token and register_tokens; the reference cannot run "
            "that"
        );
}

void refuse_others(const checkpoint& c) {
    if (!c.flag("prenorm", false)) refuse(c, "prenorm is false; the reference cannot run that");
    if (c.real("rotary_emb_fraction", {.min = 0, .max = 1}, 0) != 0)
        refuse(c, "rotary_emb_fraction is not 0: 1-D rotation of image tokens is not done");
    if (c.text("global_pool", "") == "avg")
        refuse(c, "global_pool 'avg'; the reference cannot run that");
}

} // namespace

config read_config(const checkpoint& c) {
    config m;
    read_sizes(c, m);
    refuse_others(c);
    read_mlp(c, m);
    read_tokens(c, m);
    read_rope(c, m);
    c.ignore("embeddings.mask_token");
    return m;
}

} // namespace rlx::vision
