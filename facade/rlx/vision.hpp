// SPDX-License-Identifier: GPL-3.0-only
// Vectors from images: a checkpoint with its preprocessing, from an image file to features.
//
//   auto e = rlx::image_embedder::open({.weights = "dinov2-small"});
//   if (!e) { ... e.error().message ... }
//   auto vector = (*e)->embed("cat.png"); // [(*e)->width()], of length 1
//
// Preprocessing follows preprocessor_config.json beside the weights, else what the family gives for
// its checkpoints (DINOv2). Nothing throws on bad input.
#pragma once

#include "rlx/images.hpp"
#include "rlx/rlx.hpp"
#include "rlx/runtime/image_encoder.hpp"

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rlx {

struct image_embedder_options {
    std::filesystem::path weights = {}; // required: file or directory
    open_options open = {};
    std::string family = {}; // refuse another one; needed where nothing beside the weights names it
    device_options device = {};
    fallback_policy fallback = fallback_policy::warn; // nodes the device refuses
    std::uint32_t threads = 0;                        // 0 = what affinity and quota allow
    image_head head = image_head::pooled;
    std::string compute = "auto";            // "auto" | "f32" (exact) | "f16" | "bf16"
    std::filesystem::path preprocessor = {}; // preprocessor_config.json instead of the checkpoint's
    // > 0: resize the shorter side and crop to this, instead of what the preprocessing says.
    int image_size = 0;
    std::int64_t max_images = 8; // per step; more are done in several steps
    // Largest pixels that encode_pixels() takes; 0: what the preprocessing makes, or the size the
    // checkpoint was trained for when that is not one size.
    std::int64_t max_height = 0;
    std::int64_t max_width = 0;
    image_limits limits = {}; // of files and of everything on the way
    double max_memory_gb = 0; // refuse when the plan is larger; 0 = no limit of ours
    std::vector<std::filesystem::path> plugin_dirs = {}; // searched first
    plugin_catalog* catalog = nullptr;                   // use this one; must outlive the embedder
    std::function<void(std::uint64_t done, std::uint64_t total)> progress = {}; // bytes of weights
    const std::atomic<std::uint32_t>* cancel = nullptr; // nonzero stops open() and every step
};

struct image_features {
    std::vector<float> values; // [images, tokens, width]
    std::int64_t images = 0;
    std::int64_t tokens = 0; // 1 for pooled and classes
    std::int64_t width = 0;
};

// A loaded image encoder. May move between threads, used by one at a time.
class RLX_API image_embedder {
public:
    // Loads exactly one family plugin and one backend plugin. Errors name file, key, tensor, plugin
    // or number; RLX_UNSUPPORTED for a checkpoint that reads no images or has no such head.
    static result<std::unique_ptr<image_embedder>> open(const image_embedder_options& options);
    // What open() would need, reading no weights.
    static result<encoder_plan> plan(const image_embedder_options& options);
    ~image_embedder();
    image_embedder(const image_embedder&) = delete;
    image_embedder& operator=(const image_embedder&) = delete;

    const rlx::checkpoint& checkpoint() const;
    std::string_view family() const;
    image_head head() const;
    std::int64_t width() const; // floats of one row of the head: hidden size, or classes
    std::int64_t max_images() const;
    const image_encoder_facts& facts() const;
    // id2label of config.json, one per class; "class 7" where it names none. Empty without a
    // classification head.
    std::span<const std::string> labels() const;
    // RLX_MISSING_METADATA, saying what was looked for, when nothing says how images are
    // preprocessed; encode_pixels() works all the same.
    result<preprocess_recipe> recipe() const;
    const encoder_plan& memory() const;
    const run_facts& ran_on() const; // its devices, with the times of ops so far, are read anew
    std::span<const fallback> fallbacks() const;
    std::span<const std::string> warnings() const;
    double load_seconds() const;

    // An image as the model reads it: [3, H, W], normalised. Errors of media_library::open() and
    // preprocess(); a picture too small or of a size the model cannot read is RLX_INVALID_ARGUMENT.
    result<planes> prepare(const std::filesystem::path& file) const;
    result<planes> prepare(const image& picture) const; // 1 or 3 channels
    result<planes> prepare(std::span<const std::byte> file, std::string_view name) const;

    // Any number of prepared images of one size, in order. RLX_INVALID_ARGUMENT when the sizes
    // differ (their features would not be one array): encode those apart.
    result<image_features> encode(std::span<const planes> pictures);
    // pixels [images, 3, height, width], normalised; any number of images.
    result<image_features> encode_pixels(
        std::span<const float> pixels, std::int64_t images, std::int64_t height, std::int64_t width
    );
    // prepare() and encode() of one image with the head pooled: its vector [width()].
    // RLX_INVALID_ARGUMENT when another head was opened.
    result<std::vector<float>> embed(const std::filesystem::path& file, bool normalise = true);
    result<std::vector<float>> embed(const image& picture, bool normalise = true);

private:
    struct state;
    explicit image_embedder(std::unique_ptr<state> s);
    result<std::vector<float>> embed(const result<planes>& picture, bool normalise);

    std::unique_ptr<state> state_;
};

// The features of an image's patches [grid.height * grid.width, width] as colours: red, green and
// blue are the first three principal components, each from its least to its largest value; `scale`
// pixels to a side of a patch. Equal features give equal pictures. Patches that look alike to the
// model have like colours; the colours themselves mean nothing. [any thread]
RLX_API result<image>
feature_picture(std::span<const float> rows, std::int64_t width, extent grid, int scale = 14);

} // namespace rlx
