// SPDX-License-Identifier: GPL-3.0-only
#include "config.hpp"

namespace rlx::llama32 {
namespace {

using sdk::bias;
using sdk::checkpoint;

bias flagged(const checkpoint& c, std::string_view key) {
    return c.flag(key, false) ? bias::required : bias::none;
}

void read_biases(const checkpoint& c, config& m) {
    if (c.is_gguf()) {
        // No key says it; the file has the tensors or not.
        m.qkv_bias = m.o_bias = m.mlp_bias = bias::if_present;
    } else if (c.architecture() == "qwen2") {
        m.qkv_bias = bias::required; // fixed by the architecture
    } else {
        m.qkv_bias = m.o_bias = flagged(c, "attention_bias");
        m.mlp_bias = flagged(c, "mlp_bias");
    }
}

// Files of 2023 store the rotation frequencies, which follow from the config.
void ignore_old_buffers(const checkpoint& c, std::int64_t n_layers) {
    for (std::int64_t i = 0; i < n_layers && c.ok() && !c.is_gguf(); ++i) {
        c.ignore(sdk::format("model.layers.{}.self_attn.rotary_emb.inv_freq", i));
    }
}

} // namespace

config read_config(const checkpoint& c) {
    config m;
    const std::string_view arch = c.architecture();
    if (c.ok() && arch != "llama" && arch != "qwen2") {
        c.errors().fail(RLX_UNSUPPORTED, "architecture '{}' is not one of llama, qwen2", arch);
        return m;
    }
    // Mixtral files carry the architecture name llama.
    const std::int64_t n_experts = c.integer("num_experts", {}, 0);
    if (c.ok() && n_experts > 0) {
        c.errors().fail(
            RLX_UNSUPPORTED, "{} experts per layer: this family has no expert layers", n_experts
        );
        return m;
    }
    static_cast<sdk::decoder_config&>(m) = sdk::read_decoder(c);
    read_biases(c, m);
    ignore_old_buffers(c, m.n_layers);
    if (arch == "qwen2") sdk::read_windows(c, m);
    return m;
}

} // namespace rlx::llama32
