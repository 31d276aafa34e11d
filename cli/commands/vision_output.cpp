// SPDX-License-Identifier: GPL-3.0-only
// Features of images as text, JSON, NumPy arrays and a picture.
#include "vision_job.hpp"

#include "rlx/embedding.hpp"
#include "rlx/formats/npy.hpp"

#include <cmath>
#include <fmt/format.h>
#include <numeric>

namespace rlx::cli {
namespace {

std::span<const float> row_of(const image_table& f, std::size_t image) {
    const auto n = static_cast<std::size_t>(f.tokens * f.width);
    return std::span(f.values).subspan(image * n, n);
}

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

json image_json(
    const image_embedder& model, const image_job& j, const image_table& f, std::size_t i
) {
    json out{{"file", f.names[i]}, {"size", {f.sizes[i].height, f.sizes[i].width}}};
    const auto row = row_of(f, i);
    if (model.head() == image_head::pooled) {
        out["vector"] = json::array();
        for (const float v : row)
            out["vector"].push_back(as_written(v));
    } else if (model.head() == image_head::classes) {
        out["classes"] = json::array();
        for (const ranked& r : best_classes(row, j.top))
            out["classes"].push_back(
                {{"index", r.index},
                 {"label", model.labels()[r.index]},
                 {"probability", as_written(static_cast<float>(r.probability))},
                 {"score", as_written(r.score)}}
            );
    } else {
        out["shape"] = {f.tokens, f.width};
    }
    return out;
}

result<void>
print_json(const image_embedder& model, const image_job& j, const image_table& f, double seconds) {
    json doc{{"schema", 1}, {"images", json::array()}};
    for (std::size_t i = 0; i < f.names.size(); ++i)
        doc["images"].push_back(image_json(model, j, f, i));
    doc["width"] = model.width();
    doc["timings"] = {{"load_s", model.load_seconds()}, {"images_s", seconds}};
    doc["ran_on"] = facts_of(model.ran_on());
    doc["fallbacks"] = fallbacks_of(model.fallbacks());
    return print(dump(doc) + "\n");
}

result<void> print_text(const image_embedder& model, const image_job& j, const image_table& f) {
    for (std::size_t i = 0; i < f.names.size(); ++i) {
        const auto row = row_of(f, i);
        if (model.head() == image_head::pooled) {
            RLX_CHECK(print(fmt::format("{}\t{}\n", f.names[i], fmt::join(row, " "))));
        } else if (model.head() == image_head::classes) {
            RLX_CHECK(print(f.names[i] + "\n"));
            for (const ranked& r : best_classes(row, j.top))
                RLX_CHECK(print(fmt::format(
                    "{:>8.4f}  {} ({})\n", r.probability, model.labels()[r.index], r.index
                )));
        }
    }
    return {};
}

result<void> write_features(const image_job& j, const image_table& f, image_head head) {
    std::vector<std::int64_t> shape{std::ssize(f.names)};
    if (head == image_head::hidden) shape.push_back(f.tokens);
    shape.push_back(f.width);
    std::string file = j.raw_out ? "" : npy_header("<f4", shape);
    file.append(reinterpret_cast<const char*>(f.values.data()), f.values.size() * sizeof(float));
    return write_file(j.out, file);
}

result<void>
write_picture(const std::string& path, const image_embedder& model, const image_table& f) {
    const image_encoder_facts& facts = model.facts();
    if (facts.patch_size < 1)
        return error{RLX_UNSUPPORTED, "--pca: this model's tokens are no square patches"};
    const auto patch = static_cast<int>(facts.patch_size);
    const extent grid{f.sizes[0].height / patch, f.sizes[0].width / patch};
    const auto prefix = static_cast<std::size_t>(facts.prefix_tokens * f.width);
    const image picture =
        RLX_TRY(feature_picture(std::span(f.values).subspan(prefix), f.width, grid, patch));
    const auto png = RLX_TRY(RLX_TRY(media_services())->encode_png(picture));
    return write_file(path, {reinterpret_cast<const char*>(png.data()), png.size()});
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
    return exit_ok;
}

result<void> write_results(
    const arguments& a,
    const image_embedder& model,
    const image_job& j,
    image_table& f,
    double seconds
) {
    if (model.head() == image_head::pooled && j.normalise)
        for (std::size_t at = 0; at < f.values.size(); at += static_cast<std::size_t>(f.width))
            scale_to_unit(std::span(f.values).subspan(at, static_cast<std::size_t>(f.width)));
    if (!j.out.empty()) RLX_CHECK(write_features(j, f, model.head()));
    if (a.has("pca")) RLX_CHECK(write_picture(a.text("pca"), model, f));
    if (a.has("json")) return print_json(model, j, f, seconds);
    if (!j.out.empty() || a.has("pca")) return {};
    return print_text(model, j, f);
}

} // namespace rlx::cli
