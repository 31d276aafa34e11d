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

result<int> run(const arguments& a, std::string_view family, std::string_view program) {
    catch_signals();
    auto catalog = RLX_TRY(open_catalog(a));
    image_job j = RLX_TRY(image_job_of(a, catalog.get(), family));
    if (a.has("plan")) return show_image_plan(a, RLX_TRY(image_embedder::plan(j.options)));
    if (a.has("explain-partition"))
        return show_partition(a, RLX_TRY(image_embedder::plan(j.options)).partition);
    const progress_mode mode = RLX_TRY(parse_progress_mode(a.text("progress", "auto")));
    const progress_mode shown = a.has("quiet") ? progress_mode::none : mode;
    const auto out = RLX_TRY(image_writer::open(a, j));
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
    // In JSON and arrays it has its place; a person sees it at once.
    RLX_CHECK(run_images(*model, j, progress, [&](image_result&& r) {
        if (r.failed && j.images() > 1 && !a.has("json")) {
            progress.clear();
            say("{}: error: {}\n", program, r.failed->message);
        }
        return out->put(*model, std::move(r));
    }));
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    RLX_CHECK(out->finish(*model, seconds));
    progress.clear();
    const int code = out->failed() > 0 ? exit_bad_input : exit_ok;
    if (a.has("quiet")) return code;
    out->warn_of_rest(*model);
    if (out->failed() > 0) say("note: {} of {} images failed\n", out->failed(), out->done());
    for (const std::string& w : model->warnings())
        if (a.has("verbose")) say("note: {}\n", w);
    const run_facts& facts = model->ran_on();
    say("load {:.2f} s | {} image{} {} in {:.2f} s | {} {} {}, {} threads\n",
        model->load_seconds(),
        out->done(),
        out->done() == 1 ? "" : "s",
        out->sizes(),
        seconds,
        facts.device,
        facts.tier,
        facts.compute,
        facts.threads);
    for (const fallback& b : model->fallbacks())
        say("note: {}: {}\n", b.what, b.reason);
    print_op_times(facts);
    return code;
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
         "the file, a tab, the numbers. Of several\nimages, one that cannot be read is an error "
         "record "
         "(a row of NaN in arrays) and exit code 3 at the end."},
        args,
        [&](const arguments& a) { return run(a, family, program); }
    );
}

} // namespace rlx::cli
