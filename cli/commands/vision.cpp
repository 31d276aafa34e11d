// SPDX-License-Identifier: GPL-3.0-only
// rlx-dinov2, rlx-vision and rlx-run <family> for families that read images: features, vectors,
// classes and a picture of the features.
#include "../catalog.hpp"
#include "../lm.hpp"
#include "image_files.hpp"

#include "rlx/embedding.hpp"
#include "rlx/formats/npy.hpp"
#include "rlx/vision.hpp"

#include <cmath>
#include <fmt/format.h>
#include <numeric>

namespace rlx::cli {
namespace {

using enum flag_kind;

constexpr flag model_group[] = {
    {"weights",
     'w',
     text,
     "PATH",
     "",
     "directory with config.json and weights, .safetensors file, or GGUF file"},
    {"config", 0, text, "FILE", "", "config.json to use instead of the one beside the weights"},
    {"preprocessor",
     0,
     text,
     "FILE",
     "preprocessor_config.json beside the weights",
     "how images are prepared"},
    {"prefer-gguf",
     'p',
     text,
     "TEXT",
     "",
     "of several GGUF files take the one whose name contains TEXT"},
    {"gguf-index",
     0,
     integer,
     "N",
     "",
     "of several GGUF files take number N of the sorted list, from 0"},
};

constexpr flag image_group[] = {
    {"features",
     'f',
     text,
     "pooled|last_hidden_state|classes",
     "pooled",
     "the image's vector, the state of every token, or the classes it is of"},
    {"top", 0, integer, "N", "5", "the N likeliest classes; same as --features classes"},
    {"pca",
     0,
     text,
     "FILE",
     "",
     "a PNG of the patches' features: three principal components as red, green and blue"},
    {"img-size",
     0,
     integer,
     "N",
     "as the preprocessing says",
     "resize the shorter side to N and cut a square of N x N"},
    {"pixels",
     0,
     text,
     "FILE",
     "",
     "instead of images: .npy, float32 [batch, 3, height, width], already normalised"},
    {"out",
     'o',
     text,
     "FILE",
     "",
     "write the features as .npy, float32 [images, (tokens,) width]; - is standard output"},
    {"no-normalize", 0, toggle, "", "", "leave vectors as the model makes them, not of length 1"},
    {"batch", 0, integer, "N", "8", "most images in a step"},
    {"json", 0, toggle, "", "", "print exactly one JSON document"},
    {"plan", 0, toggle, "", "", "print the memory plan and exit, loading nothing"},
};

constexpr flag compute_group[] = {
    {"device", 'd', text, "DEVICE", "cpu", "where it computes"},
    {"threads",
     't',
     integer,
     "N",
     "physical cores within affinity and quota",
     "threads that compute"},
    {"tier", 0, text, "NAME", "best the machine has", "cpu kernels"},
    {"compute",
     0,
     text,
     "auto|f32|bf16",
     "auto",
     "auto: fastest kernels for the weights; f32: exact; bf16: products of float weights in bf16"},
    {"max-memory-gb",
     0,
     number,
     "GB",
     "what the machine has",
     "refuse before loading when the plan needs more"},
};

error usage(std::string message) {
    return {RLX_INVALID_ARGUMENT, std::move(message)};
}

struct job {
    image_embedder_options options;
    std::vector<std::filesystem::path> files;
    std::optional<npy_array> pixels;
    std::string pixels_name;
    std::size_t top = 5;
    bool normalise = true;
};

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

result<void> read_pixels(const arguments& a, job& j) {
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

result<job> job_of(const arguments& a, plugin_catalog* catalog, std::string_view family) {
    job j;
    const weights_choice c = RLX_TRY(weights_of(a));
    image_embedder_options& o = j.options;
    o.weights = c.path;
    o.open = c.options;
    o.family = family;
    o.device.name = device_of(a);
    o.device.tier = a.text("tier");
    o.threads = RLX_TRY(threads_of(a));
    o.head = RLX_TRY(head_of(a));
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
    j.top = static_cast<std::size_t>(a.integer("top", 5));
    if (j.top < 1) return usage("--top: at least 1 class");
    j.normalise = !a.has("no-normalize");
    if (a.has("plan") && a.positional().empty() && !a.has("pixels")) return j;
    if (a.has("pixels"))
        RLX_CHECK(read_pixels(a, j));
    else
        j.files = RLX_TRY(image_files(a.positional()));
    if (a.has("pca") && (j.pixels ? j.pixels->shape[0] : std::ssize(j.files)) != 1)
        return usage("--pca makes one picture of one image");
    if (o.head == image_head::hidden && !a.has("out") && !a.has("pca"))
        return usage("last_hidden_state is a large array: --out FILE.npy is needed");
    return j;
}

// Features of all images, and the size each was read at.
struct features {
    std::vector<float> values; // [names, tokens, width]
    std::int64_t tokens = 1, width = 0;
    std::vector<std::string> names;
    extent size;
};

result<void> append(features& all, image_features made) {
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

// Images of one size run together, in the order they were given.
result<features> run_files(image_embedder& model, const job& j, progress_line& progress) {
    features all;
    std::vector<planes> step;
    const auto flush = [&]() -> result<void> {
        if (step.empty()) return {};
        RLX_CHECK(append(all, RLX_TRY(model.encode(step))));
        progress.update(all.names.size(), j.files.size());
        step.clear();
        return {};
    };
    for (const auto& file : j.files) {
        planes p = RLX_TRY(model.prepare(file));
        const bool same = step.empty() || (p.height == step[0].height && p.width == step[0].width);
        if (!same || std::ssize(step) == model.max_images()) RLX_CHECK(flush());
        all.names.push_back(file.string());
        all.size = {p.height, p.width};
        step.push_back(std::move(p));
    }
    RLX_CHECK(flush());
    return all;
}

result<features> run_pixels(image_embedder& model, const job& j) {
    const auto& shape = j.pixels->shape;
    features all;
    auto made = model.encode_pixels(j.pixels->values, shape[0], shape[2], shape[3]);
    if (!made) return std::move(made.error()).within(j.pixels_name);
    RLX_CHECK(append(all, std::move(*made)));
    for (std::int64_t i = 0; i < shape[0]; ++i)
        all.names.push_back(fmt::format("{}[{}]", j.pixels_name, i));
    all.size = {static_cast<int>(shape[2]), static_cast<int>(shape[3])};
    return all;
}

std::span<const float> row_of(const features& f, std::size_t image) {
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

json image_json(const image_embedder& model, const job& j, const features& f, std::size_t i) {
    json out{{"file", f.names[i]}};
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

json ran_on(const run_facts& f) {
    return {
        {"device", f.device},
        {"description", f.device_description},
        {"tier", f.tier},
        {"compute", f.compute},
        {"threads", f.threads},
        {"family", f.family},
        {"plugins", {f.family_plugin, f.backend_plugin}}};
}

result<void>
print_json(const image_embedder& model, const job& j, const features& f, double seconds) {
    json doc{{"schema", 1}, {"images", json::array()}};
    for (std::size_t i = 0; i < f.names.size(); ++i)
        doc["images"].push_back(image_json(model, j, f, i));
    doc["width"] = model.width();
    doc["image_size"] = {f.size.height, f.size.width};
    doc["timings"] = {{"load_s", model.load_seconds()}, {"images_s", seconds}};
    doc["ran_on"] = ran_on(model.ran_on());
    doc["fallbacks"] = json::array();
    for (const fallback& b : model.fallbacks())
        doc["fallbacks"].push_back({{"what", b.what}, {"reason", b.reason}});
    return print(dump(doc) + "\n");
}

result<void> print_text(const image_embedder& model, const job& j, const features& f) {
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

result<void> write_features(const std::string& path, const features& f, image_head head) {
    std::vector<std::int64_t> shape{std::ssize(f.names)};
    if (head == image_head::hidden) shape.push_back(f.tokens);
    shape.push_back(f.width);
    std::string file = npy_header("<f4", shape);
    file.append(reinterpret_cast<const char*>(f.values.data()), f.values.size() * sizeof(float));
    return write_file(path, file);
}

result<void>
write_picture(const std::string& path, const image_embedder& model, const features& f) {
    const image_encoder_facts& facts = model.facts();
    if (facts.patch_size < 1)
        return error{RLX_UNSUPPORTED, "--pca: this model's tokens are no square patches"};
    const auto patch = static_cast<int>(facts.patch_size);
    const extent grid{f.size.height / patch, f.size.width / patch};
    const auto prefix = static_cast<std::size_t>(facts.prefix_tokens * f.width);
    const image picture =
        RLX_TRY(feature_picture(std::span(f.values).subspan(prefix), f.width, grid, patch));
    const auto png = RLX_TRY(RLX_TRY(media_services())->encode_png(picture));
    return write_file(path, {reinterpret_cast<const char*>(png.data()), png.size()});
}

result<int> show_plan(const arguments& a, const encoder_plan& p) {
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
    const arguments& a, const image_embedder& model, const job& j, features& f, double seconds
) {
    if (model.head() == image_head::pooled && j.normalise)
        for (std::size_t at = 0; at < f.values.size(); at += static_cast<std::size_t>(f.width))
            scale_to_unit(std::span(f.values).subspan(at, static_cast<std::size_t>(f.width)));
    if (a.has("out")) RLX_CHECK(write_features(a.text("out"), f, model.head()));
    if (a.has("pca")) RLX_CHECK(write_picture(a.text("pca"), model, f));
    if (a.has("json")) return print_json(model, j, f, seconds);
    if (a.has("out") || a.has("pca")) return {};
    return print_text(model, j, f);
}

// Pixels beside the last whole patch are not seen, as in the reference; nothing is silent.
void warn_of_rest(const image_embedder& model, const features& f) {
    const auto patch = static_cast<int>(model.facts().patch_size);
    if (patch < 1 || (f.size.height % patch == 0 && f.size.width % patch == 0)) return;
    say("note: of {} x {} pixels the last {} rows and {} columns are not seen (patches of {})\n",
        f.size.height,
        f.size.width,
        f.size.height % patch,
        f.size.width % patch,
        patch);
}

result<int> run(const arguments& a, std::string_view family) {
    catch_signals();
    if (a.has("json") && a.text("out") == "-")
        return usage("--json and --out - both write to standard output");
    auto catalog = RLX_TRY(open_catalog(a));
    job j = RLX_TRY(job_of(a, catalog.get(), family));
    if (a.has("plan")) return show_plan(a, RLX_TRY(image_embedder::plan(j.options)));
    const progress_mode mode = RLX_TRY(parse_progress_mode(a.text("progress", "auto")));
    const progress_mode shown = a.has("quiet") ? progress_mode::none : mode;
    std::unique_ptr<image_embedder> model;
    {
        progress_line loading("loading", "bytes", shown);
        j.options.progress = [&](std::uint64_t done, std::uint64_t all) {
            loading.update(done, all);
        };
        model = RLX_TRY(image_embedder::open(j.options));
    }
    progress_line progress("images", "images", shown);
    const auto start = std::chrono::steady_clock::now();
    features f =
        j.pixels ? RLX_TRY(run_pixels(*model, j)) : RLX_TRY(run_files(*model, j, progress));
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    RLX_CHECK(write_results(a, *model, j, f, seconds));
    RLX_CHECK(flush());
    if (a.has("quiet")) return exit_ok;
    warn_of_rest(*model, f);
    for (const std::string& w : model->warnings())
        if (a.has("verbose")) say("note: {}\n", w);
    const run_facts& facts = model->ran_on();
    say("load {:.2f} s | {} image{} of {} x {} in {:.2f} s | {} {} {}, {} threads\n",
        model->load_seconds(),
        f.names.size(),
        f.names.size() == 1 ? "" : "s",
        f.size.height,
        f.size.width,
        seconds,
        facts.device,
        facts.tier,
        facts.compute,
        facts.threads);
    return exit_ok;
}

} // namespace

int cmd_image_family(std::string_view family, std::string_view program, arg_span args) {
    return run_command(
        program,
        {std::string(family),
         fmt::format("Reads images with a {} checkpoint: vectors, features, classes.", family),
         "<image or folder>...",
         {{"Model", model_group},
          {"Images", image_group},
          {"Compute", compute_group},
          plugin_flags,
          general_flags},
         "Images are PNG and JPEG files; of a folder those whose names end in .png, .jpg or .jpeg, "
         "in\norder of name. Vectors are printed one per line: the file, a tab, the numbers."},
        args,
        [&](const arguments& a) { return run(a, family); }
    );
}

} // namespace rlx::cli
