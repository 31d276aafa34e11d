// SPDX-License-Identifier: GPL-3.0-only
// The vision family: NomicVision, the image side of Nomic's embedding models. Config and forward;
// no runtime. Facts: the reference is NomicVisionModel of modeling_hf_nomic_bert.py.
#pragma once

#include "rlx/sdk.hpp"

namespace rlx::vision {

struct extent {
    std::int64_t height = 0, width = 0;
};

// Where learnt positions are added.
enum class positions {
    none,
    all_tokens, // a row for the class token, then one per patch
    patches,    // one per patch
};

struct config {
    std::int64_t hidden = 0, n_layers = 0, n_heads = 0;
    std::int64_t inner = 0; // features between the MLP's layers
    extent image, patch, grid;
    bool cls = true;
    std::int64_t registers = 0;
    vision::positions positions = vision::positions::all_tokens;
    bool sinusoidal = false; // the class token gets its position twice, as in the reference
    bool resizable = false;  // positions are resized to other sizes than the trained one
    bool fixed_size = true;  // the reference reads the trained size only
    bool rope = false;       // 2-D, on the tokens behind the first max(registers, 1)
    std::optional<extent> rope_reference; // coordinates are index / grid * this
    bool gated = true;
    std::int64_t act = RLX_GLU_SWIGLU; // RLX_GLU_* when gated; otherwise it is the exact GELU
    bool norm_mlp = false;             // a LayerNorm between the MLP's layers
    bool patch_bias = true, qkv_bias = true, fc1_bias = true, fc2_bias = true;
    double norm_eps = 1e-5;

    std::int64_t head_dim() const { return hidden / n_heads; }

    std::int64_t patches() const { return grid.height * grid.width; }

    std::int64_t prefix_tokens() const { return (cls ? 1 : 0) + registers; }
};

// Errors are left in c.errors() and name the key or the tensor.
config read_config(const sdk::checkpoint& c);

enum class head { hidden, pooled };

// Adds the nodes of the graph "encode_image" or "encode_image_pooled".
void build(sdk::graph_builder& g, const config& c, head h);

// [prefix + patches, head_dim]: for each token the cosines of its head_dim / 2 angles, then the
// sines; prefix tokens are not turned (1 and 0).
std::vector<float> rope_table(const config& c);

} // namespace rlx::vision
