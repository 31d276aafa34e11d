// SPDX-License-Identifier: GPL-3.0-only
// What GGUF files call the modules. The converter permutes the q and k rows of llama (not of qwen2)
// for interleaved rotation; the host undoes it, so the forward rotates halves in every format.
#include "config.hpp"

namespace rlx::llama32 {

void add_names(const sdk::checkpoint& c) {
    static constexpr sdk::module_name names[] = {
        {"model.embed_tokens", "token_embd"},
        {"model.norm", "output_norm"},
        {"lm_head", "output"},
        {"model.layers.{}.input_layernorm", "blk.{}.attn_norm"},
        {"model.layers.{}.self_attn.v_proj", "blk.{}.attn_v"},
        {"model.layers.{}.self_attn.o_proj", "blk.{}.attn_output"},
        {"model.layers.{}.post_attention_layernorm", "blk.{}.ffn_norm"},
        {"model.layers.{}.mlp.gate_proj", "blk.{}.ffn_gate"},
        {"model.layers.{}.mlp.up_proj", "blk.{}.ffn_up"},
        {"model.layers.{}.mlp.down_proj", "blk.{}.ffn_down"},
    };
    static constexpr std::string_view q = "model.layers.{}.self_attn.q_proj";
    static constexpr std::string_view k = "model.layers.{}.self_attn.k_proj";
    static constexpr sdk::module_name permuted[] = {
        {q, "blk.{}.attn_q", RLX_TX_ROPE_ROWS, "num_attention_heads"},
        {k, "blk.{}.attn_k", RLX_TX_ROPE_ROWS, "num_key_value_heads"},
    };
    static constexpr sdk::module_name plain[] = {{q, "blk.{}.attn_q"}, {k, "blk.{}.attn_k"}};
    c.add_names(names);
    if (c.architecture() == "llama") {
        c.add_names(permuted);
    } else {
        c.add_names(plain);
    }
}

} // namespace rlx::llama32
