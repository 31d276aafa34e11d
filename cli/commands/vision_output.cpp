// SPDX-License-Identifier: GPL-3.0-only
// Features of images as text, JSON, NumPy arrays and a picture.
#include "vision_job.hpp"

#include "rlx/embedding.hpp"
#include "rlx/formats/npy.hpp"
#include "rlx/rlx.h"

#include <cmath>
#include <fmt/format.h>
#include <limits>
#include <numeric>

namespace rlx::cli {
namespace {

struct ranked {
    std::size_t index;
    double probability;
    float score;
};

// The likeliest classes; equal scores in order of index.
std::vector<ranked> best_classes(std::span<const float> scores, std::size_t top) {
    double most = -INFINITY, sum = 0;
    for (const float s : scores)
        most = std::max(most, static_cast<double>(s));
    for (const float s : scores)
        sum += std::exp(static_cast<double>(s) - most);
    std::vector<std::size_t> order(scores.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(order, std::greater<>(), [&](std::size_t i) { return scores[i]; });
    order.resize(std::min(top, order.size()));
    std::vector<ranked> out;
    for (const std::size_t i : order)
        out.push_back({i, std::exp(static_cast<double>(scores[i]) - most) / sum, scores[i]});
    return out;
}

// The shortest decimal that reads back as the same float.
double as_written(float v) {
    return std::stod(fmt::format("{}", v));
}

json image_json(const image_embedder& model, const image_job& j, const image_result& r) {
    json out{{"file", r.name}};
    if (r.failed) {
        out["error"] =
            json{{"code", rlx_status_name(r.failed->code)}, {"message", r.failed->message}};
        return out;
    }
    out["size"] = {r.size.height, r.size.width};
    if (model.head() == image_head::pooled) {
        out["vector"] = json::array();
        for (const float v : r.values)
            out["vector"].push_back(as_written(v));
    } else if (model.head() == image_head::classes) {
        out["classes"] = json::array();
        for (const ranked& c : best_classes(r.values, j.top))
            out["classes"].push_back(
                {{"index", c.index},
                 {"label", model.labels()[c.index]},
                 {"probability", as_written(static_cast<float>(c.probability))},
                 {"score", as_written(c.score)}}
            );
    } else {
        out["shape"] = {r.tokens, r.width};
    }
    return out;
}

result<void> print_text(const image_embedder& model, const image_job& j, const image_result& r) {
    if (model.head() == image_head::pooled)
        return print(fmt::format("{}\t{}\n", r.name, fmt::join(r.values, " ")));
    RLX_CHECK(print(r.name + "\n"));
    for (const ranked& c : best_classes(r.values, j.top))
        RLX_CHECK(print(
            fmt::format("{:>8.4f}  {} ({})\n", c.probability, model.labels()[c.index], c.index)
        ));
    return {};
}

result<void>
write_picture(const std::string& path, const image_embedder& model, const image_result& r) {
    const image_encoder_facts& facts = model.facts();
    if (facts.patch_size < 1)
        return error{RLX_UNSUPPORTED, "--pca: this model's tokens are no square patches"};
    const auto patch = static_cast<int>(facts.patch_size);
    const extent grid{r.size.height / patch, r.size.width / patch};
    const auto prefix = static_cast<std::size_t>(facts.prefix_tokens * r.width);
    const image picture =
        RLX_TRY(feature_picture(std::span(r.values).subspan(prefix), r.width, grid, patch));
    const auto png = RLX_TRY(RLX_TRY(media_services())->encode_png(picture));
    return write_file(path, {reinterpret_cast<const char*>(png.data()), png.size()});
}

std::string_view bytes_of(std::span<const float> values) {
    return {reinterpret_cast<const char*>(values.data()), values.size_bytes()};
}

} // namespace

result<int> show_image_plan(const arguments& a, const encoder_plan& p) {
    const auto line = [](std::string_view what, std::uint64_t bytes) {
        return fmt::format("{:<10}{:>12.1f} MB\n", what, static_cast<double>(bytes) / 1e6);
    };
    if (a.has("json"))
        RLX_CHECK(print(
            dump(
                {{"weights_bytes", p.weights},
                 {"mapped_bytes", p.mapped},
                 {"scratch_bytes", p.scratch},
                 {"total_bytes", p.total()}}
            ) +
            "\n"
        ));
    else
        RLX_CHECK(print(
            line("weights", p.weights) + line("mapped", p.mapped) + line("scratch", p.scratch) +
            line("total", p.total())
        ));
    if (!p.refused.empty()) return error{RLX_OUT_OF_MEMORY, p.refused};
    return exit_ok;
}

result<std::unique_ptr<image_writer>> image_writer::open(const arguments& a, const image_job& j) {
    std::unique_ptr<image_writer> out(new image_writer(a, j));
    if (!j.out.empty()) out->rows_.emplace(RLX_TRY(output_file::open(j.out)));
    return out;
}

result<void> image_writer::begin_rows(std::int64_t tokens, std::int64_t width, image_head head) {
    tokens_ = tokens;
    width_ = width;
    no_row_.assign(
        static_cast<std::size_t>(tokens * width), std::numeric_limits<float>::quiet_NaN()
    );
    std::vector<std::int64_t> shape{job_.images()};
    if (head == image_head::hidden) shape.push_back(tokens);
    shape.push_back(width);
    if (!job_.raw_out) RLX_CHECK(rows_->write(npy_header("<f4", shape)));
    for (; waiting_ > 0; --waiting_)
        RLX_CHECK(rows_->write(bytes_of(no_row_)));
    return {};
}

result<void> image_writer::put_row(const image_embedder& model, const image_result& r) {
    if (r.failed) {
        if (!no_row_.empty()) return rows_->write(bytes_of(no_row_));
        waiting_++;
        return {};
    }
    if (no_row_.empty()) RLX_CHECK(begin_rows(r.tokens, r.width, model.head()));
    if (r.tokens != tokens_)
        return error{
            RLX_INVALID_ARGUMENT,
            "the images come out of the preprocessing with different sizes, so their states are no "
            "one array; give --img-size"};
    return rows_->write(bytes_of(r.values));
}

result<void> image_writer::put_json(const image_embedder& model, const image_result& r) {
    RLX_CHECK(print(done_ == 1 ? R"({"schema":1,"images":[)" : ","));
    return print(dump(image_json(model, job_, r)));
}

result<void> image_writer::put(const image_embedder& model, image_result&& r) {
    if (r.failed && job_.images() == 1) return std::move(*r.failed);
    done_++;
    failed_ += r.failed ? 1 : 0;
    if (!r.failed) {
        if (model.head() == image_head::pooled && job_.normalise) scale_to_unit(r.values);
        if (done_ - failed_ == 1) first_ = r.size;
        same_size_ = same_size_ && r.size.height == first_.height && r.size.width == first_.width;
        const auto patch = static_cast<int>(model.facts().patch_size);
        if (patch > 0 && (r.size.height % patch != 0 || r.size.width % patch != 0)) {
            with_rest_++;
            rest_ = r.size;
        }
    }
    if (rows_) RLX_CHECK(put_row(model, r));
    if (a_.has("pca")) RLX_CHECK(write_picture(a_.text("pca"), model, r));
    if (a_.has("json"))
        RLX_CHECK(put_json(model, r));
    else if (!rows_ && !a_.has("pca") && !r.failed)
        RLX_CHECK(print_text(model, job_, r));
    return flush(); // whoever reads it need not wait for the others
}

result<void> image_writer::finish(const image_embedder& model, double seconds) {
    if (rows_ && no_row_.empty()) {
        if (model.head() == image_head::hidden)
            return error{
                RLX_CORRUPT_DATA,
                fmt::format("none of {} images could be read, so no states were written", done_)};
        RLX_CHECK(begin_rows(1, model.width(), model.head()));
    }
    if (rows_) RLX_CHECK(rows_->finish());
    if (!a_.has("json")) return flush();
    const json rest{
        {"width", model.width()},
        {"failed", failed_},
        {"timings", {{"load_s", model.load_seconds()}, {"images_s", seconds}}},
        {"ran_on", facts_of(model.ran_on())},
        {"fallbacks", fallbacks_of(model.fallbacks())}};
    RLX_CHECK(print("]," + dump(rest).substr(1) + "\n"));
    return flush();
}

std::string image_writer::sizes() const {
    if (done_ == failed_) return "none of which could be read";
    return same_size_ ? fmt::format("of {} x {}", first_.height, first_.width) : "of several sizes";
}

void image_writer::warn_of_rest(const image_embedder& model) const {
    if (with_rest_ == 0) return;
    const auto patch = static_cast<int>(model.facts().patch_size);
    say("note: {} rows and {} columns of {} x {} pixels are not seen: patches are {} pixels ({} of "
        "{} images)\n",
        rest_.height % patch,
        rest_.width % patch,
        rest_.height,
        rest_.width,
        patch,
        with_rest_,
        done_);
}

} // namespace rlx::cli
