// SPDX-License-Identifier: GPL-3.0-only
// What GGUF files call the modules. No q/k permutation here: these architectures rotate halves in
// both.
#include "config.hpp"

namespace rlx::qwen3 {

void add_names(const sdk::checkpoint& c) {
    static constexpr sdk::module_name names[] = {
        {"model.embed_tokens", "token_embd"},
        {"model.norm", "output_norm"},
        {"lm_head", "output"},
        {"model.layers.{}.input_layernorm", "blk.{}.attn_norm"},
        {"model.layers.{}.self_attn.q_proj", "blk.{}.attn_q"},
        {"model.layers.{}.self_attn.k_proj", "blk.{}.attn_k"},
        {"model.layers.{}.self_attn.v_proj", "blk.{}.attn_v"},
        {"model.layers.{}.self_attn.o_proj", "blk.{}.attn_output"},
        {"model.layers.{}.self_attn.q_norm", "blk.{}.attn_q_norm"},
        {"model.layers.{}.self_attn.k_norm", "blk.{}.attn_k_norm"},
        {"model.layers.{}.post_attention_layernorm", "blk.{}.ffn_norm"},
        {"model.layers.{}.mlp.gate_proj", "blk.{}.ffn_gate"},
        {"model.layers.{}.mlp.up_proj", "blk.{}.ffn_up"},
        {"model.layers.{}.mlp.down_proj", "blk.{}.ffn_down"},
        {"model.layers.{}.mlp.gate", "blk.{}.ffn_gate_inp"},
    };
    static constexpr sdk::module_name experts[] = {
        {"model.layers.{}.mlp.experts.{}.gate_proj",
         "blk.{}.ffn_gate_exps",
         RLX_TX_STACK,
         "num_experts"},
        {"model.layers.{}.mlp.experts.{}.up_proj",
         "blk.{}.ffn_up_exps",
         RLX_TX_STACK,
         "num_experts"},
        {"model.layers.{}.mlp.experts.{}.down_proj",
         "blk.{}.ffn_down_exps",
         RLX_TX_STACK,
         "num_experts"},
    };
    c.add_names(names);
    if (c.architecture() != "qwen3") c.add_names(experts);
}

} // namespace rlx::qwen3
