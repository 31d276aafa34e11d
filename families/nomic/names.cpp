// SPDX-License-Identifier: GPL-3.0-only
#include "config.hpp"

namespace rlx::nomic {

void add_names(const sdk::checkpoint& c) {
    static constexpr sdk::module_name names[] = {
        {"embeddings.word_embeddings", "token_embd"},
        {"embeddings.token_type_embeddings", "token_types"},
        {"emb_ln", "token_embd_norm"},
        {"encoder.layers.{}.attn.Wqkv", "blk.{}.attn_qkv"},
        {"encoder.layers.{}.attn.out_proj", "blk.{}.attn_output"},
        {"encoder.layers.{}.norm1", "blk.{}.attn_output_norm"},
        {"encoder.layers.{}.mlp.fc11", "blk.{}.ffn_up"},
        {"encoder.layers.{}.mlp.fc12", "blk.{}.ffn_gate"},
        {"encoder.layers.{}.mlp.fc1", "blk.{}.ffn_up"},
        {"encoder.layers.{}.mlp.fc2", "blk.{}.ffn_down"},
        {"encoder.layers.{}.mlp.router.layer", "blk.{}.ffn_gate_inp"},
        {"encoder.layers.{}.norm2", "blk.{}.layer_output_norm"},
    };
    c.add_names(names);
    c.add_name(
        "encoder.layers.{}.mlp.experts.mlp.w1",
        "blk.{}.ffn_up_exps.weight",
        RLX_TX_EXPERTS,
        "num_experts"
    );
    c.add_name(
        "encoder.layers.{}.mlp.experts.mlp.w2",
        "blk.{}.ffn_down_exps.weight",
        RLX_TX_EXPERTS_TRANSPOSED,
        "num_experts"
    );
}

} // namespace rlx::nomic
