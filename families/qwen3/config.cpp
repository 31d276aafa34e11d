// SPDX-License-Identifier: GPL-3.0-only
#include "config.hpp"

namespace rlx::qwen3 {
namespace {

using sdk::checkpoint;

void read_moe(const checkpoint& c, config& m) {
    m.moe.n_experts = c.integer("num_experts", {.min = 1, .max = 1 << 16});
    m.moe.n_used = c.integer("num_experts_per_tok", {.min = 1, .max = m.moe.n_experts});
    m.moe.width = c.integer("moe_intermediate_size", {.min = 1, .max = 1 << 24}, sdk::any_size);
    m.moe.kind = m.act;
    // The GGUF converter drops the key; every published Qwen3-MoE renormalises.
    m.moe.normalise = c.flag("norm_topk_prob", c.is_gguf());
}

std::vector<bool> listed_layers(const checkpoint& c, std::int64_t n_layers) {
    std::vector<bool> listed(static_cast<std::size_t>(n_layers), false);
    const std::int64_t n = c.array_size("mlp_only_layers").value_or(0);
    for (std::int64_t i = 0; i < n && c.ok(); ++i) {
        const std::string key = sdk::format("mlp_only_layers.{}", i);
        const std::int64_t layer = c.integer(key, {.min = 0, .max = n_layers - 1});
        listed[static_cast<std::size_t>(layer)] = true;
    }
    return listed;
}

// mlp_only_layers names dense layers; of the others every decoder_sparse_step-th has experts. GGUF
// has neither key: there the file's tensors say it.
void read_sparse_layers(const checkpoint& c, config& m) {
    const auto n = static_cast<std::size_t>(m.n_layers);
    m.sparse.assign(n, false);
    if (m.moe.n_experts == 0) return;
    const std::int64_t step = c.integer("decoder_sparse_step", {.min = 1, .max = 1 << 20}, 1);
    const std::vector<bool> dense = listed_layers(c, m.n_layers);
    for (std::size_t i = 0; i < n && c.ok(); ++i) {
        m.sparse[i] = c.is_gguf()
                          ? c.find(sdk::format("model.layers.{}.mlp.gate.weight", i)).has_value()
                          : !dense[i] && (static_cast<std::int64_t>(i) + 1) % step == 0;
    }
}

} // namespace

config read_config(const checkpoint& c) {
    config m;
    const std::string_view arch = c.architecture();
    const bool is_moe = arch == "qwen3_moe" || arch == "qwen3moe";
    if (c.ok() && !is_moe && arch != "qwen3") {
        c.errors().fail(
            RLX_UNSUPPORTED, "architecture '{}' is not one of qwen3, qwen3_moe, qwen3moe", arch
        );
        return m;
    }
    static_cast<sdk::decoder_config&>(m) = sdk::read_decoder(c);
    if (!c.ok()) return m;
    m.attention_bias = c.is_gguf()                       ? sdk::bias::if_present
                       : c.flag("attention_bias", false) ? sdk::bias::required
                                                         : sdk::bias::none;
    if (is_moe) {
        // This reference has no layer_types: one window for all layers.
        m.windows.assign(m.windows.size(), sdk::read_window(c));
        read_moe(c, m);
    } else {
        sdk::read_windows(c, m);
    }
    if (c.ok()) read_sparse_layers(c, m);
    return m;
}

} // namespace rlx::qwen3
