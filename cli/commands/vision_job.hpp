// SPDX-License-Identifier: GPL-3.0-only
// What a run of rlx-dinov2 or rlx-vision was asked for, and its parts.
#pragma once

#include "../lm.hpp"

#include "rlx/formats/npy.hpp"
#include "rlx/vision.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace rlx::cli {

struct image_job {
    image_embedder_options options;
    std::vector<std::filesystem::path> files;
    std::optional<npy_array> pixels; // instead of files
    std::string pixels_name;
    std::string out;      // "" is none, "-" standard output
    bool raw_out = false; // the floats alone instead of .npy
    std::size_t top = 5;
    bool normalise = true;
};

// Checkpoint, device, preprocessing and step as the flags say; the catalog is borrowed.
result<image_embedder_options>
image_options_of(const arguments& a, plugin_catalog* catalog, std::string_view family);

// --plan, as text or --json.
result<int> show_image_plan(const arguments& a, const encoder_plan& p);

// With --plan and --explain-partition images may be left out. The job borrows the catalog.
result<image_job>
image_job_of(const arguments& a, plugin_catalog* catalog, std::string_view family);

// Features of all images.
struct image_table {
    std::vector<float> values; // [names, tokens, width]
    std::int64_t tokens = 1, width = 0;
    std::vector<std::string> names;
    std::vector<extent> sizes; // each was read at
};

// In the order of the job. RLX_INVALID_ARGUMENT when states of different sizes are no one array.
result<image_table> run_images(image_embedder& model, const image_job& j, progress_line& progress);

// Files and standard output as the flags say; vectors in f are scaled to length 1 when asked for.
result<void> write_results(
    const arguments& a,
    const image_embedder& model,
    const image_job& j,
    image_table& f,
    double seconds
);

} // namespace rlx::cli
