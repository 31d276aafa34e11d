// SPDX-License-Identifier: GPL-3.0-only
// Private: from a checkpoint's path to what an image encoder is made of.
#pragma once

#include "rlx/vision.hpp"

namespace rlx {

// Destroyed from the bottom up: the device before the weights and the catalog it borrows from.
struct image_parts {
    std::unique_ptr<plugin_catalog> own_catalog;
    std::unique_ptr<rlx::checkpoint> files;
    device_set devices;
    model_parts parts{};
    run_facts facts; // but for what only a loaded model knows
    std::vector<fallback> fallbacks;
};

// Loads one family plugin and one backend plugin; reads no weights. RLX_UNSUPPORTED for a family
// that reads no images.
result<image_parts> open_image_parts(const image_embedder_options& o);

} // namespace rlx
