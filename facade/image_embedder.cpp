// SPDX-License-Identifier: GPL-3.0-only
#include "rlx/vision.hpp"

#include "open_model.hpp"

#include "rlx/base/mmap.hpp"
#include "rlx/embedding.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace rlx {
namespace {

constexpr std::string_view preprocessor_file = "preprocessor_config.json";
constexpr std::uint64_t max_json = 1 << 20;

// Where the preprocessing is written: the file asked for, the checkpoint's, the family's.
struct recipe_text {
    std::string json, name;
};

result<recipe_text> find_recipe_text(
    const image_embedder_options& o, const weights& w, const image_encoder_facts& facts
) {
    if (!o.preprocessor.empty())
        return recipe_text{
            RLX_TRY(read_text_file(o.preprocessor, max_json)), o.preprocessor.string()};
    if (auto text = RLX_TRY(w.sidecar(preprocessor_file)))
        return recipe_text{
            std::move(*text), fmt::format("{} of {}", preprocessor_file, w.path().string())};
    if (!facts.preprocess.empty())
        return recipe_text{facts.preprocess, "the family's preprocessing"};
    return error{
        RLX_MISSING_METADATA,
        fmt::format(
            "{}: no {} lies beside the weights, so nothing says how images are prepared; give the "
            "path of one",
            w.path().string(),
            preprocessor_file
        )};
}

// Resizes the shorter side to `side` and cuts a square of it, whatever the recipe did before.
void set_side(preprocess_recipe& recipe, int side) {
    recipe.size.reset();
    recipe.shortest_edge = side;
    recipe.crop = extent{side, side};
    recipe.pad.reset();
}

result<preprocess_recipe> parse_recipe(const recipe_text& text, const image_embedder_options& o) {
    const media_library* media = RLX_TRY(media_services());
    preprocess_recipe recipe = RLX_TRY(media->parse_preprocess(text.json, text.name));
    if (o.image_size > 0) set_side(recipe, o.image_size);
    recipe.limits = o.limits;
    return recipe;
}

// The one size that everything comes out with, when there is one.
std::optional<extent> output_size(const preprocess_recipe& recipe) {
    if (recipe.pad) return recipe.pad;
    if (recipe.crop) return recipe.crop;
    return recipe.size;
}

std::vector<std::string> labels_of(const weights& w, std::int64_t classes) {
    std::vector<std::string> out;
    for (std::int64_t i = 0; i < classes; ++i) {
        const auto name = w.meta_string(fmt::format("id2label.{}", i));
        out.push_back(name ? std::string(*name) : fmt::format("class {}", i));
    }
    return out;
}

} // namespace

// Destroyed from the bottom up: the model before the device and the weights it borrows.
struct image_embedder::state {
    opened_model opened;
    image_embedder_options options;
    image_encoder_facts facts;
    result<preprocess_recipe> recipe{error{RLX_INTERNAL, "not read"}};
    image_encoder_options encoder;
    std::unique_ptr<image_encoder_model> model;
    std::vector<std::string> labels;
    double load_seconds = 0;

    // Everything but the model itself.
    result<void> prepare();
    void bound_sizes();
    result<image_features> join(std::span<const planes> pictures);
};

result<void> image_embedder::state::prepare() {
    if (options.image_size < 0 || options.image_size > options.limits.max_side)
        return error{
            RLX_INVALID_ARGUMENT,
            fmt::format(
                "image_size is {}, expected 0 to {}", options.image_size, options.limits.max_side
            )};
    constexpr std::string_view tasks[] = {"encode_image"};
    model_request request{
        .weights = options.weights,
        .tokenizer = {},
        .open = options.open,
        .family = options.family,
        .device = options.device,
        .fallback = options.fallback,
        .threads = options.threads,
        .profile = {},
        .plugin_dirs = options.plugin_dirs,
        .catalog = options.catalog};
    request.device.probe.cancel = options.cancel;
    opened = RLX_TRY(open_parts(request, tasks));
    auto described = image_encoder_model::describe(opened.parts);
    if (!described) return std::move(described.error()).within(options.weights.string());
    facts = std::move(*described);
    const auto text = find_recipe_text(options, opened.files->weights(), facts);
    // Nothing to go by is an error of the first image; a wrong file is one of now.
    if (text)
        recipe = RLX_TRY(parse_recipe(*text, options));
    else if (text.error().code == RLX_MISSING_METADATA)
        recipe = text.error();
    else
        return text.error();
    bound_sizes();
    return {};
}

void image_embedder::state::bound_sizes() {
    encoder.head = options.head;
    encoder.max_images = options.max_images;
    encoder.compute = options.compute;
    encoder.max_memory_gb = options.max_memory_gb;
    encoder.progress = options.progress;
    encoder.cancel = options.cancel;
    const auto size = recipe ? output_size(*recipe) : std::nullopt;
    encoder.max_height = options.max_height > 0 ? options.max_height : size ? size->height : 0;
    encoder.max_width = options.max_width > 0 ? options.max_width : size ? size->width : 0;
}

image_embedder::image_embedder(std::unique_ptr<state> s) : state_(std::move(s)) {}

image_embedder::~image_embedder() = default;

result<std::unique_ptr<image_embedder>> image_embedder::open(const image_embedder_options& options
) {
    const auto start = std::chrono::steady_clock::now();
    auto s = std::make_unique<state>();
    s->options = options;
    RLX_CHECK(s->prepare());
    auto model = image_encoder_model::open(s->opened.parts, s->encoder);
    if (!model) return std::move(model.error()).within(options.weights.string());
    s->model = std::move(*model);
    s->labels = labels_of(s->opened.files->weights(), s->facts.classes);
    s->opened.facts.tier = s->model->tier();
    s->opened.facts.compute = s->model->compute();
    add_fallbacks(s->model->partition(), s->opened.parts.device_name, s->opened.fallbacks);
    s->load_seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return std::unique_ptr<image_embedder>(new image_embedder(std::move(s)));
}

result<encoder_plan> image_embedder::plan(const image_embedder_options& options) {
    state s;
    s.options = options;
    RLX_CHECK(s.prepare());
    auto plan = image_encoder_model::plan(s.opened.parts, s.encoder);
    if (!plan) return std::move(plan.error()).within(options.weights.string());
    return plan;
}

const rlx::checkpoint& image_embedder::checkpoint() const {
    return *state_->opened.files;
}

std::string_view image_embedder::family() const {
    return state_->opened.facts.family;
}

image_head image_embedder::head() const {
    return state_->model->head();
}

std::int64_t image_embedder::width() const {
    return state_->model->width();
}

std::int64_t image_embedder::max_images() const {
    return state_->model->max_images();
}

const image_encoder_facts& image_embedder::facts() const {
    return state_->facts;
}

std::span<const std::string> image_embedder::labels() const {
    return state_->labels;
}

result<preprocess_recipe> image_embedder::recipe() const {
    return state_->recipe;
}

const encoder_plan& image_embedder::memory() const {
    return state_->model->memory();
}

const run_facts& image_embedder::ran_on() const {
    state_->opened.facts.devices = state_->model->devices();
    return state_->opened.facts;
}

std::span<const fallback> image_embedder::fallbacks() const {
    return state_->opened.fallbacks;
}

std::span<const std::string> image_embedder::warnings() const {
    return state_->model->warnings();
}

double image_embedder::load_seconds() const {
    return state_->load_seconds;
}

result<planes> image_embedder::prepare(const image& picture) const {
    const auto& recipe = state_->recipe;
    if (!recipe) return recipe.error();
    planes out = RLX_TRY(RLX_TRY(media_services())->preprocess(picture, *recipe));
    RLX_CHECK(state_->model->check_size(out.height, out.width));
    return out;
}

result<planes>
image_embedder::prepare(std::span<const std::byte> file, std::string_view name) const {
    const media_library* media = RLX_TRY(media_services());
    const image picture = RLX_TRY(media->decode(file, name, {.limits = state_->options.limits}));
    auto out = prepare(picture);
    if (!out) return std::move(out.error()).within(name);
    return out;
}

result<planes> image_embedder::prepare(const std::filesystem::path& file) const {
    const media_library* media = RLX_TRY(media_services());
    const image picture = RLX_TRY(media->open(file, {.limits = state_->options.limits}));
    auto out = prepare(picture);
    if (!out) return std::move(out.error()).within(file.string());
    return out;
}

result<image_features> image_embedder::encode_pixels(
    std::span<const float> pixels, std::int64_t images, std::int64_t height, std::int64_t width
) {
    image_encoder_model& model = *state_->model;
    image_features out;
    out.width = model.width();
    RLX_CHECK(model.check_size(height, width));
    constexpr std::int64_t channels = 3;
    const std::int64_t one = channels * height * width;
    if (images < 0 || pixels.size() % static_cast<std::size_t>(one) != 0 ||
        static_cast<std::int64_t>(pixels.size()) / one != images)
        return error{
            RLX_INVALID_ARGUMENT,
            fmt::format(
                "{} pixel values are not {} x 3 x {} x {}", pixels.size(), images, height, width
            )};
    for (std::int64_t first = 0; first < images; first += model.max_images()) {
        const std::int64_t n = std::min(images - first, model.max_images());
        const auto step = pixels.subspan(
            static_cast<std::size_t>(first * one), static_cast<std::size_t>(n * one)
        );
        const image_rows rows = RLX_TRY(model.encode({step, n, height, width}));
        out.values.insert(out.values.end(), rows.values.begin(), rows.values.end());
        out.images += n;
        out.tokens = rows.tokens;
    }
    return out;
}

// One step's images side by side at a time.
result<image_features> image_embedder::state::join(std::span<const planes> pictures) {
    std::vector<float> pixels;
    image_features out;
    const auto most = static_cast<std::size_t>(model->max_images());
    for (std::size_t first = 0; first < pictures.size(); first += most) {
        const auto step = pictures.subspan(first, std::min(most, pictures.size() - first));
        pixels.clear();
        for (const planes& p : step)
            pixels.insert(pixels.end(), p.values.begin(), p.values.end());
        const image_rows rows = RLX_TRY(model->encode(
            {pixels, static_cast<std::int64_t>(step.size()), step[0].height, step[0].width}
        ));
        out.values.insert(out.values.end(), rows.values.begin(), rows.values.end());
        out.images += rows.images;
        out.tokens = rows.tokens;
    }
    return out;
}

result<image_features> image_embedder::encode(std::span<const planes> pictures) {
    for (const planes& p : pictures) {
        const planes& first = pictures.front();
        if (p.height != first.height || p.width != first.width)
            return error{
                RLX_INVALID_ARGUMENT,
                fmt::format(
                    "images of {} x {} and {} x {} in one array; encode sizes apart",
                    first.height,
                    first.width,
                    p.height,
                    p.width
                )};
    }
    image_features out = RLX_TRY(state_->join(pictures));
    out.width = width();
    return out;
}

result<std::vector<float>> image_embedder::embed(const result<planes>& picture, bool normalise) {
    if (head() != image_head::pooled)
        return error{
            RLX_INVALID_ARGUMENT,
            "the model was opened for another head; open it with head pooled for vectors"};
    if (!picture) return picture.error();
    image_features f = RLX_TRY(encode({&*picture, 1}));
    if (normalise) scale_to_unit(f.values);
    return std::move(f.values);
}

result<std::vector<float>>
image_embedder::embed(const std::filesystem::path& file, bool normalise) {
    return embed(prepare(file), normalise);
}

result<std::vector<float>> image_embedder::embed(const image& picture, bool normalise) {
    return embed(prepare(picture), normalise);
}

} // namespace rlx
