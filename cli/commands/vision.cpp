// SPDX-License-Identifier: GPL-3.0-only
// rlx-dinov2, rlx-vision and rlx-run <family> for families that read images: features, vectors,
// classes and a picture of the features.
#include "../catalog.hpp"
#include "vision_job.hpp"

#include <fmt/format.h>

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
    {"out", 'o', text, "FILE", "", "write the features to a file; - is standard output"},
    {"npy",
     0,
     toggle,
     "",
     "",
     "as a NumPy array, float32 [images, (tokens,) width]; so unless --f32 or FILE is named .f32"},
    {"f32", 0, toggle, "", "", "the floats alone, little-endian"},
    {"no-normalize", 0, toggle, "", "", "leave vectors as the model makes them, not of length 1"},
    {"batch", 0, integer, "N", "8", "most images in a step"},
    {"json", 0, toggle, "", "", "print exactly one JSON document"},
    {"plan", 0, toggle, "", "", "print the memory plan and exit, loading nothing"},
};

// Pixels beside the last whole patch are not seen, as in the reference; nothing is silent.
void warn_of_rest(const image_embedder& model, const image_table& f) {
    const auto patch = static_cast<int>(model.facts().patch_size);
    if (patch < 1) return;
    std::size_t n = 0;
    for (const extent s : f.sizes)
        n += s.height % patch != 0 || s.width % patch != 0 ? 1 : 0;
    if (n == 0) return;
    const extent s = f.sizes.back();
    say("note: {} rows and {} columns of {} x {} pixels are not seen: patches are {} pixels ({} of "
        "{} images)\n",
        s.height % patch,
        s.width % patch,
        s.height,
        s.width,
        patch,
        n,
        f.sizes.size());
}

std::string sizes_of(const image_table& f) {
    const auto same = [&](extent s) {
        return s.height == f.sizes[0].height && s.width == f.sizes[0].width;
    };
    return std::ranges::all_of(f.sizes, same)
               ? fmt::format("of {} x {}", f.sizes[0].height, f.sizes[0].width)
               : "of several sizes";
}

result<int> run(const arguments& a, std::string_view family) {
    catch_signals();
    auto catalog = RLX_TRY(open_catalog(a));
    image_job j = RLX_TRY(image_job_of(a, catalog.get(), family));
    if (a.has("plan")) return show_image_plan(a, RLX_TRY(image_embedder::plan(j.options)));
    if (a.has("explain-partition"))
        return show_partition(a, RLX_TRY(image_embedder::plan(j.options)).partition);
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
    image_table f = RLX_TRY(run_images(*model, j, progress));
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    RLX_CHECK(write_results(a, *model, j, f, seconds));
    RLX_CHECK(flush());
    if (a.has("quiet")) return exit_ok;
    warn_of_rest(*model, f);
    for (const std::string& w : model->warnings())
        if (a.has("verbose")) say("note: {}\n", w);
    const run_facts& facts = model->ran_on();
    say("load {:.2f} s | {} image{} {} in {:.2f} s | {} {} {}, {} threads\n",
        model->load_seconds(),
        f.names.size(),
        f.names.size() == 1 ? "" : "s",
        sizes_of(f),
        seconds,
        facts.device,
        facts.tier,
        facts.compute,
        facts.threads);
    for (const fallback& b : model->fallbacks())
        say("note: {}: {}\n", b.what, b.reason);
    print_op_times(facts);
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
          image_device_flags,
          plugin_flags,
          general_flags},
         "Images are PNG and JPEG files; of a folder those whose names end in .png, .jpg or .jpeg, "
         "in\norder of name; - is a picture on standard input. Vectors are printed one per line: "
         "the file, a tab, the numbers."},
        args,
        [&](const arguments& a) { return run(a, family); }
    );
}

} // namespace rlx::cli
