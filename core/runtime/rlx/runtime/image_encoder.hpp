// SPDX-License-Identifier: GPL-3.0-only
// Image encoders on the host's side: plan, load, and turn pixels into hidden states, vectors or
// class scores. Works on any family that offers the "encode_image" graphs and any backend; knows
// neither, and nothing of files: pixels are what the checkpoint's preprocessing makes of them.
#pragma once

#include "rlx/base/api.hpp"
#include "rlx/base/result.hpp"
#include "rlx/runtime/encoder.hpp"

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

namespace rlx {

// Which graph of the family is built; its weights are the only ones loaded.
enum class image_head {
    hidden,  // every token's state, prefix tokens first
    pooled,  // one vector per image
    classes, // one score per class, no softmax
};

struct image_encoder_options {
    image_head head = image_head::hidden;
    // Upper bounds of one step, which scratch memory is planned for; any smaller step runs on the
    // same plan. 0: the size the checkpoint was trained for.
    std::int64_t max_images = 8;
    std::int64_t max_height = 0;
    std::int64_t max_width = 0;
    std::string compute = "auto"; // "auto" | "f32" (exact) | "f16" | "bf16"
    bool fuse = true;
    finish_options finish = {};
    double max_memory_gb = 0; // (1e9 bytes) refuse before loading when the plan is larger; 0 = no
                              // limit but what the machine has
    std::function<void(std::uint64_t done, std::uint64_t total)> progress = {}; // bytes of weights
    const std::atomic<std::uint32_t>* cancel = nullptr; // nonzero stops open() and every run
};

// What the family says of the checkpoint (rlx/abi/family.h).
struct image_encoder_facts {
    std::int64_t hidden_size = 0;
    std::int64_t classes = 0;       // 0: no classification head
    std::int64_t patch_size = 0;    // 0: tokens are no grid of patches
    std::int64_t prefix_tokens = 0; // before the patches
    std::int64_t height = 0, width = 0;
    std::int64_t size_multiple = 1; // heights and widths are multiples of it
    bool fixed_size = false;        // only height x width
    std::string preprocess;         // a preprocessor_config.json; may be empty
};

struct image_batch {
    std::span<const float> pixels; // [images, 3, height, width]
    std::int64_t images = 0;
    std::int64_t height = 0;
    std::int64_t width = 0;
};

struct image_rows {
    std::span<const float> values; // [images, tokens, width]
    std::int64_t images = 0;
    std::int64_t tokens = 0; // 1 for pooled and classes
    std::int64_t width = 0;
};

// [one thread per model]
class RLX_API image_encoder_model {
public:
    static result<encoder_plan> plan(const model_parts&, const image_encoder_options&);
    // What the family says, without planning or reading weights.
    static result<image_encoder_facts> describe(const model_parts&);
    // RLX_OUT_OF_MEMORY, before any weight is read, when the plan is over a limit.
    static result<std::unique_ptr<image_encoder_model>>
    open(const model_parts&, const image_encoder_options&);
    virtual ~image_encoder_model() = default;

    virtual image_head head() const = 0;
    virtual std::int64_t width() const = 0; // floats of an output row
    virtual std::int64_t max_images() const = 0;
    virtual std::int64_t max_height() const = 0;
    virtual std::int64_t max_width() const = 0;
    virtual const image_encoder_facts& facts() const = 0;
    virtual const encoder_plan& memory() const = 0;
    virtual std::string tier() const = 0;
    virtual std::string compute() const = 0; // what actually ran
    // Which device runs which node, and what each device runs.
    virtual const partition_report& partition() const = 0;
    virtual std::vector<device_facts> devices() const = 0;
    virtual std::span<const std::string> warnings() const = 0;

    // RLX_INVALID_ARGUMENT, naming numbers and limits, for a size the model cannot read.
    virtual result<void> check_size(std::int64_t height, std::int64_t width) const = 0;
    // One step; valid until the next call. RLX_INVALID_ARGUMENT for no images, more than
    // max_images, pixels that are not images x 3 x height x width, and check_size(). An image's
    // rows do not depend on what else is in the step, to the last bit.
    virtual result<image_rows> encode(const image_batch& batch) = 0;
};

} // namespace rlx
