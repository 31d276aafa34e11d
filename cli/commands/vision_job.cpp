// SPDX-License-Identifier: GPL-3.0-only
// What the flags of a family that reads images ask for.
#include "vision_job.hpp"

#include "../catalog.hpp"
#include "image_files.hpp"

#include <fmt/format.h>

namespace rlx::cli {
namespace {

error usage(std::string message) {
    return {RLX_INVALID_ARGUMENT, std::move(message)};
}

result<image_head> head_of(const arguments& a) {
    const std::string name = a.text("features", a.has("top") ? "classes" : "pooled");
    if (a.has("top") && name != "classes")
        return usage(fmt::format("--top goes with --features classes, not {}", name));
    if (a.has("pca")) {
        if (a.has("features") && name != "last_hidden_state")
            return usage("--pca shows last_hidden_state; leave --features out");
        return image_head::hidden;
    }
    if (name == "pooled") return image_head::pooled;
    if (name == "last_hidden_state") return image_head::hidden;
    if (name == "classes") return image_head::classes;
    return usage(fmt::format("--features: '{}' is none of pooled, last_hidden_state, classes", name)
    );
}

result<void> read_pixels(const arguments& a, image_job& j) {
    j.pixels_name = a.text("pixels");
    if (!a.positional().empty()) return usage("--pixels and image files exclude each other");
    for (const std::string_view flag : {"img-size", "preprocessor"})
        if (a.has(flag))
            return usage(fmt::format("--pixels are prepared already; --{} has no use", flag));
    npy_array pixels = RLX_TRY(read_npy(j.pixels_name));
    if (pixels.shape.size() != 4 || pixels.shape[1] != 3 || pixels.values.empty())
        return error{
            RLX_CORRUPT_DATA,
            fmt::format(
                "{}: shape ({}), expected (batch, 3, height, width)",
                j.pixels_name,
                fmt::join(pixels.shape, ", ")
            )};
    j.options.max_height = pixels.shape[2];
    j.options.max_width = pixels.shape[3];
    j.options.max_images = std::min(j.options.max_images, pixels.shape[0]);
    j.pixels = std::move(pixels);
    return {};
}

result<void> read_output(const arguments& a, image_job& j) {
    if (a.has("npy") && a.has("f32")) return usage("--npy and --f32 exclude each other");
    const bool array = a.has("npy") || a.has("f32");
    j.out = a.text("out", array ? "-" : "");
    j.raw_out = a.has("f32") || (!a.has("npy") && j.out.ends_with(".f32"));
    const int on_stdout = (j.out == "-") + (a.text("pca") == "-") + a.has("json");
    if (on_stdout > 1)
        return usage("only one of --json, --out - and --pca - can have standard output");
    if (stdout_is_terminal() && (j.out == "-" || a.text("pca") == "-"))
        return usage(fmt::format(
            "--{} -: not writing binary data to a terminal; redirect standard output",
            j.out == "-" ? "out" : "pca"
        ));
    if (j.options.head == image_head::hidden && j.out.empty() && !a.has("pca"))
        return usage("last_hidden_state is a large array: --out FILE.npy is needed");
    return {};
}

} // namespace

result<image_embedder_options>
image_options_of(const arguments& a, plugin_catalog* catalog, std::string_view family) {
    const weights_choice c = RLX_TRY(weights_of(a));
    image_embedder_options o;
    o.weights = c.path;
    o.open = c.options;
    o.family = family;
    o.device.name = device_of(a);
    o.device.tier = a.text("tier");
    o.device.time_ops = a.has("time-ops");
    o.fallback = RLX_TRY(fallback_of(a));
    o.threads = RLX_TRY(threads_of(a));
    o.compute = a.text("compute", "auto");
    o.preprocessor = a.text("preprocessor");
    o.max_memory_gb = a.number("max-memory-gb", 0);
    o.catalog = catalog;
    o.cancel = &cancel_flag();
    const std::int64_t side = a.integer("img-size", 0);
    if (a.has("img-size") && (side < 1 || side > o.limits.max_side))
        return usage(fmt::format("--img-size: {} is not 1 to {}", side, o.limits.max_side));
    o.image_size = static_cast<int>(side);
    o.max_images = a.integer("batch", 8);
    if (o.max_images < 1)
        return usage(fmt::format("--batch: {}, expected at least 1", o.max_images));
    return o;
}

result<image_job>
image_job_of(const arguments& a, plugin_catalog* catalog, std::string_view family) {
    image_job j;
    j.options = RLX_TRY(image_options_of(a, catalog, family));
    j.options.head = RLX_TRY(head_of(a));
    const std::int64_t top = a.integer("top", 5);
    if (top < 1) return usage(fmt::format("--top: {}, expected at least 1", top));
    j.top = static_cast<std::size_t>(top);
    j.normalise = !a.has("no-normalize");
    const bool loads_nothing = a.has("plan") || a.has("explain-partition");
    if (loads_nothing && a.positional().empty() && !a.has("pixels")) return j;
    RLX_CHECK(read_output(a, j));
    if (a.has("pixels"))
        RLX_CHECK(read_pixels(a, j));
    else
        j.files = RLX_TRY(image_files(a.positional()));
    if (a.has("pca") && (j.pixels ? j.pixels->shape[0] : std::ssize(j.files)) != 1)
        return usage("--pca makes one picture of one image");
    return j;
}

} // namespace rlx::cli
