// SPDX-License-Identifier: GPL-3.0-only
// Images through the model.
#include "vision_job.hpp"

#include <fmt/format.h>

namespace rlx::cli {
namespace {

result<planes> read_picture(const image_embedder& model, const std::filesystem::path& file) {
    if (file != "-") return model.prepare(file);
    const std::string bytes = RLX_TRY(read_stdin());
    return model.prepare(std::as_bytes(std::span(bytes)), "standard input");
}

// Whether the images behind it would fail the same way.
bool ends_the_run(const error& e, const image_job& j) {
    return e.code == RLX_OUT_OF_MEMORY || e.code == RLX_CANCELLED ||
           (e.code == RLX_INVALID_ARGUMENT && j.options.image_size > 0);
}

class file_run {
public:
    file_run(
        image_embedder& model, const image_job& j, progress_line& progress, const image_taker& take
    )
        : model_(model), job_(j), progress_(progress), take_(take) {}

    result<void> run() {
        const auto recipe = model_.recipe();
        if (!recipe) return recipe.error();
        for (const auto& file : job_.files) {
            if (cancel_flag()) return error{RLX_CANCELLED, "interrupted"};
            RLX_CHECK(add(file));
        }
        return flush();
    }

private:
    result<void> add(const std::filesystem::path& file) {
        constexpr std::size_t most_waiting = 1024;
        image_result r;
        r.name = file.string();
        auto p = read_picture(model_, file);
        if (!p) {
            if (ends_the_run(p.error(), job_)) return std::move(p.error());
            r.failed = std::move(p.error());
        } else {
            r.size = {p->height, p->width};
            const bool other =
                !step_.empty() && (p->height != step_[0].height || p->width != step_[0].width);
            if (other || std::ssize(step_) == model_.max_images()) RLX_CHECK(flush());
            step_.push_back(std::move(*p));
        }
        waiting_.push_back(std::move(r));
        return waiting_.size() < most_waiting ? result<void>() : flush();
    }

    result<void> flush() {
        image_features made;
        if (!step_.empty()) made = RLX_TRY(model_.encode(step_));
        const auto n = static_cast<std::ptrdiff_t>(made.tokens * made.width);
        auto row = made.values.begin();
        for (image_result& r : waiting_) {
            if (!r.failed) {
                r.values.assign(row, row + n);
                r.tokens = made.tokens;
                r.width = made.width;
                row += n;
            }
            RLX_CHECK(take_(std::move(r)));
        }
        done_ += waiting_.size();
        progress_.update(done_, job_.files.size());
        waiting_.clear();
        step_.clear();
        return {};
    }

    image_embedder& model_;
    const image_job& job_;
    progress_line& progress_;
    const image_taker& take_;
    std::vector<planes> step_;          // of one size
    std::vector<image_result> waiting_; // those of the step, and what failed between them
    std::uint64_t done_ = 0;
};

result<void> run_pixels(
    image_embedder& model, const image_job& j, progress_line& progress, const image_taker& take
) {
    const auto& shape = j.pixels->shape;
    const std::int64_t one = shape[1] * shape[2] * shape[3];
    for (std::int64_t first = 0; first < shape[0]; first += model.max_images()) {
        const std::int64_t n = std::min(shape[0] - first, model.max_images());
        const auto step =
            std::span(j.pixels->values)
                .subspan(static_cast<std::size_t>(first * one), static_cast<std::size_t>(n * one));
        auto made = model.encode_pixels(step, n, shape[2], shape[3]);
        if (!made) return std::move(made.error()).within(j.pixels_name);
        const auto row = static_cast<std::ptrdiff_t>(made->tokens * made->width);
        for (std::int64_t i = 0; i < n; ++i) {
            image_result r{
                .name = fmt::format("{}[{}]", j.pixels_name, first + i),
                .size = {static_cast<int>(shape[2]), static_cast<int>(shape[3])},
                .values = {made->values.begin() + i * row, made->values.begin() + (i + 1) * row},
                .tokens = made->tokens,
                .width = made->width,
                .failed = {}};
            RLX_CHECK(take(std::move(r)));
        }
        progress.update(
            static_cast<std::uint64_t>(first + n), static_cast<std::uint64_t>(shape[0])
        );
    }
    return {};
}

} // namespace

result<void> run_images(
    image_embedder& model, const image_job& j, progress_line& progress, const image_taker& take
) {
    if (j.pixels) return run_pixels(model, j, progress, take);
    return file_run(model, j, progress, take).run();
}

} // namespace rlx::cli
