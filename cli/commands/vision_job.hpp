// SPDX-License-Identifier: GPL-3.0-only
// What a run of rlx-dinov2 or rlx-vision was asked for, and its parts.
#pragma once

#include "../lm.hpp"

#include "rlx/formats/npy.hpp"
#include "rlx/vision.hpp"

#include <filesystem>
#include <functional>
#include <memory>
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

    std::int64_t images() const { return pixels ? pixels->shape[0] : std::ssize(files); }
};

// Checkpoint, device, preprocessing and step as the flags say; the catalog is borrowed.
result<image_embedder_options>
image_options_of(const arguments& a, plugin_catalog* catalog, std::string_view family);

// --plan, as text or --json.
result<int> show_image_plan(const arguments& a, const encoder_plan& p);

// With --plan and --explain-partition images may be left out. The job borrows the catalog.
result<image_job>
image_job_of(const arguments& a, plugin_catalog* catalog, std::string_view family);

// What became of one image, in the order of the job.
struct image_result {
    std::string name;
    extent size{};             // it was read at
    std::vector<float> values; // [tokens, width]
    std::int64_t tokens = 1, width = 0;
    std::optional<error> failed; // then there are no values
};

using image_taker = std::function<result<void>(image_result&&)>;

// Images of one size run together. One that cannot be read is a result that failed and the others
// follow; what is wrong with every image, the model or the machine is an error.
result<void> run_images(
    image_embedder& model, const image_job& j, progress_line& progress, const image_taker& take
);

// Where results go while they come: an array, text or JSON, a picture. Memory does not grow with
// the number of images. A failed one is a row of NaN, a record with "error", or nothing in text.
class image_writer {
public:
    // Opens the file of the job, before anything is computed.
    static result<std::unique_ptr<image_writer>> open(const arguments& a, const image_job& j);

    // The error of an image that is the only one; RLX_INVALID_ARGUMENT when states of different
    // sizes are no one array.
    result<void> put(const image_embedder& model, image_result&& r);
    result<void> finish(const image_embedder& model, double seconds);

    std::uint64_t done() const { return done_; } // with those that failed

    std::uint64_t failed() const { return failed_; }

    std::string sizes() const; // "of 35 x 35"
    // Pixels beside the last whole patch are not seen, as in the reference; nothing is silent.
    void warn_of_rest(const image_embedder& model) const;

private:
    image_writer(const arguments& a, const image_job& j) : a_(a), job_(j) {}

    result<void> put_row(const image_embedder& model, const image_result& r);
    result<void> begin_rows(std::int64_t tokens, std::int64_t width, image_head head);
    result<void> put_json(const image_embedder& model, const image_result& r);

    const arguments& a_;
    const image_job& job_;
    std::optional<output_file> rows_;
    std::vector<float> no_row_; // NaN; empty until the shape is known
    std::int64_t tokens_ = 0, width_ = 0;
    std::uint64_t done_ = 0, failed_ = 0, waiting_ = 0; // failed before the shape was known
    std::uint64_t with_rest_ = 0;                       // images that are no whole patches
    extent first_{}, rest_{}; // sizes: of the first image, one with a rest
    bool same_size_ = true;
};

} // namespace rlx::cli
