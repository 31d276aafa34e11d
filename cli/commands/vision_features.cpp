// SPDX-License-Identifier: GPL-3.0-only
// Images through the model.
#include "vision_job.hpp"

#include <fmt/format.h>

namespace rlx::cli {
namespace {

error usage(std::string message) {
    return {RLX_INVALID_ARGUMENT, std::move(message)};
}

result<void> append(image_table& all, image_features made) {
    if (!all.values.empty() && made.tokens != all.tokens)
        return usage(
            "the images come out of the preprocessing with different sizes, so their states are no "
            "one array; give --img-size"
        );
    all.tokens = made.tokens;
    all.width = made.width;
    all.values.insert(all.values.end(), made.values.begin(), made.values.end());
    return {};
}

result<planes> read_picture(const image_embedder& model, const std::filesystem::path& file) {
    if (file != "-") return model.prepare(file);
    const std::string bytes = RLX_TRY(read_stdin());
    return model.prepare(std::as_bytes(std::span(bytes)), "standard input");
}

// Images of one size run together, in the order they were given.
result<image_table> run_files(image_embedder& model, const image_job& j, progress_line& progress) {
    image_table all;
    std::vector<planes> step;
    const auto flush = [&]() -> result<void> {
        if (step.empty()) return {};
        RLX_CHECK(append(all, RLX_TRY(model.encode(step))));
        progress.update(all.names.size(), j.files.size());
        step.clear();
        return {};
    };
    for (const auto& file : j.files) {
        planes p = RLX_TRY(read_picture(model, file));
        const bool same = step.empty() || (p.height == step[0].height && p.width == step[0].width);
        if (!same || std::ssize(step) == model.max_images()) RLX_CHECK(flush());
        all.names.push_back(file.string());
        all.sizes.push_back({p.height, p.width});
        step.push_back(std::move(p));
    }
    RLX_CHECK(flush());
    return all;
}

result<image_table> run_pixels(image_embedder& model, const image_job& j) {
    const auto& shape = j.pixels->shape;
    image_table all;
    auto made = model.encode_pixels(j.pixels->values, shape[0], shape[2], shape[3]);
    if (!made) return std::move(made.error()).within(j.pixels_name);
    RLX_CHECK(append(all, std::move(*made)));
    for (std::int64_t i = 0; i < shape[0]; ++i)
        all.names.push_back(fmt::format("{}[{}]", j.pixels_name, i));
    all.sizes.assign(all.names.size(), {static_cast<int>(shape[2]), static_cast<int>(shape[3])});
    return all;
}

} // namespace

result<image_table> run_images(image_embedder& model, const image_job& j, progress_line& progress) {
    return j.pixels ? run_pixels(model, j) : run_files(model, j, progress);
}

} // namespace rlx::cli
