// SPDX-License-Identifier: GPL-3.0-only
#include "config.hpp"

namespace rlx::bert {

void add_names(const sdk::checkpoint& c) {
    static constexpr sdk::module_name names[] = {
        {"embeddings.word_embeddings", "token_embd"},
        {"embeddings.position_embeddings", "position_embd"},
        {"embeddings.token_type_embeddings", "token_types"},
        {"embeddings.LayerNorm", "token_embd_norm"},
        {"encoder.layer.{}.attention.self.query", "blk.{}.attn_q"},
        {"encoder.layer.{}.attention.self.key", "blk.{}.attn_k"},
        {"encoder.layer.{}.attention.self.value", "blk.{}.attn_v"},
        {"encoder.layer.{}.attention.output.dense", "blk.{}.attn_output"},
        {"encoder.layer.{}.attention.output.LayerNorm", "blk.{}.attn_output_norm"},
        {"encoder.layer.{}.intermediate.dense", "blk.{}.ffn_up"},
        {"encoder.layer.{}.output.dense", "blk.{}.ffn_down"},
        {"encoder.layer.{}.output.LayerNorm", "blk.{}.layer_output_norm"},
        {"classifier.dense", "cls"},
        {"classifier.out_proj", "cls.output"},
    };
    c.add_names(names);
}

} // namespace rlx::bert
