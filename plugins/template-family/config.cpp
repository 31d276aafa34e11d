// SPDX-License-Identifier: GPL-3.0-only
#include "pebble.hpp"

namespace pebble {

config read_config(const sdk::checkpoint& c) {
    config d;
    const sdk::int_range sizes{.min = 1, .max = 1 << 20};
    d.hidden = c.integer("hidden_size", sizes);
    d.n_layers = c.integer("num_hidden_layers", {.min = 1, .max = 1024});
    d.n_heads = c.integer("num_attention_heads", {.min = 1, .max = 4096});
    d.n_kv_heads = c.integer("num_key_value_heads", {.min = 1, .max = 4096}, d.n_heads);
    d.inner = c.integer("intermediate_size", sizes);
    d.context = c.integer("max_position_embeddings", {.min = 1, .max = std::int64_t{1} << 31});
    d.norm_eps = c.real("rms_norm_eps", {.min = 1e-12, .max = 1});
    d.tied = true; // the head is always the embedding
    d.vocab = c.size_of("model.embed_tokens.weight", 2, 0);
    if (!c.ok()) return d; // the first error is kept; nothing below would make sense
    const std::string_view act = c.text("hidden_act", "relu2");
    if (act != "relu2")
        c.errors().fail(RLX_UNSUPPORTED, "config: hidden_act '{}' (known: relu2)", act);
    if (d.hidden % d.n_heads != 0 || d.n_heads % d.n_kv_heads != 0) {
        c.errors().fail(
            RLX_CORRUPT_DATA,
            "config: {} features, {} heads and {} key/value heads do not divide each other",
            d.hidden,
            d.n_heads,
            d.n_kv_heads
        );
        return d;
    }
    d.head_dim = d.hidden / d.n_heads;
    d.rope = sdk::read_rope(c, d.head_dim, d.context);
    return d;
}

} // namespace pebble
