// SPDX-License-Identifier: GPL-3.0-only
// The dinov2 family: vision transformers with LayerScale, with and without register tokens. Config,
// names and forward; no runtime.
#pragma once

#include "rlx/sdk.hpp"

namespace rlx::dinov2 {

// Which release the tensors are named by.
enum class spelling { hf, meta };

struct config {
    spelling names = spelling::hf;
    std::string_view
        prefix; // before HF names, with its dot: "", "dinov2." or "dinov2_with_registers."
    std::int64_t hidden = 0, n_layers = 0, n_heads = 0;
    std::int64_t inner = 0; // features between the MLP's layers; of one half when swiglu
    std::int64_t patch = 0,
                 grid = 0; // pixels of a patch's side, patches of the trained image's side
    std::int64_t registers = 0;
    std::int64_t classes = 0; // 0: no classification head
    bool swiglu = false, qkv_bias = true;
    std::int64_t act = RLX_UNARY_GELU;
    double norm_eps = 1e-6;

    bool meta() const { return names == spelling::meta; }

    std::int64_t image_size() const { return patch * grid; }

    std::int64_t prefix_tokens() const { return 1 + registers; }

    // Meta's code refuses sides that are no multiple of the patch, transformers' leaves the rest
    // out.
    std::int64_t size_multiple() const { return meta() ? patch : 1; }

    sdk::position_resizing position_resizing() const {
        if (registers > 0) return sdk::position_resizing::antialias;
        return meta() ? sdk::position_resizing::bicubic_offset : sdk::position_resizing::bicubic;
    }
};

// Errors are left in c.errors() and name the key or the tensor.
config read_config(const sdk::checkpoint& c);

enum class head { hidden, pooled, classes };

// Adds the nodes of the graph "encode_image" or one of its heads.
void build(sdk::graph_builder& g, const config& c, head h);

} // namespace rlx::dinov2
