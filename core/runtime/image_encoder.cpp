// SPDX-License-Identifier: GPL-3.0-only
#include "rlx/runtime/image_encoder.hpp"

#include "encoder_plan.hpp"

#include "rlx/base/checked.hpp"
#include "rlx/base/wall.hpp"

#include <array>
#include <fmt/format.h>
#include <limits>
#include <vector>

namespace rlx {
namespace {

constexpr std::int64_t channels = 3;
constexpr std::int64_t largest_side = 65'535; // as image_limits of rlx/media/media.hpp
constexpr std::int64_t max_extent = std::numeric_limits<std::int32_t>::max();

enum symbol : std::size_t { s_images, s_height, s_width, n_symbols };

// What a head is called: its graph, its output, and what an error says is lacking.
struct head_names {
    std::string_view graph, output;
};

const head_names& names_of(image_head head) {
    static constexpr head_names names[] = {
        {RLX_GRAPH_ENCODE_IMAGE, "hidden"},
        {RLX_GRAPH_ENCODE_IMAGE_POOLED, "pooled"},
        {RLX_GRAPH_ENCODE_IMAGE_CLASSES, "scores"}};
    return names[static_cast<std::size_t>(head)];
}

error invalid(std::string message) {
    return {RLX_INVALID_ARGUMENT, std::move(message)};
}

struct image_graph {
    std::unique_ptr<graph> g;
    image_encoder_options options;
    image_encoder_facts facts;
    rlx_value input = 0, output = 0;
    std::int64_t width = 0;
    std::array<std::uint32_t, n_symbols> symbols{}; // places among the extents
    std::vector<std::int64_t> extents;
    program_plan program;
    encoder_plan plan;
    std::vector<std::string> warnings;
};

result<image_encoder_facts> read_facts(const family_model& model) {
    const options info = RLX_TRY(model.info());
    const auto number = [&](std::string_view key, std::int64_t fallback) {
        return info.get_int(key).value_or(fallback);
    };
    image_encoder_facts f;
    f.hidden_size = number("hidden_size", 0);
    f.classes = number("classes", 0);
    f.patch_size = number("patch_size", 0);
    f.prefix_tokens = number("prefix_tokens", 0);
    f.height = number("image_height", 0);
    f.width = number("image_width", 0);
    f.size_multiple = number("size_multiple", 1);
    f.fixed_size = number("fixed_size", 0) != 0;
    f.preprocess = info.get_string("preprocess").value_or("");
    const auto within = [](std::int64_t v, std::int64_t low, std::int64_t high) {
        return v >= low && v <= high;
    };
    if (!within(f.hidden_size, 1, max_extent) || !within(f.classes, 0, max_extent) ||
        !within(f.patch_size, 0, largest_side) || !within(f.prefix_tokens, 0, max_extent) ||
        !within(f.height, 1, largest_side) || !within(f.width, 1, largest_side) ||
        !within(f.size_multiple, 1, largest_side))
        return error{
            RLX_INTERNAL,
            fmt::format(
                "the family reports hidden_size {}, classes {}, patch_size {}, prefix_tokens {}, "
                "image {} x {}, size_multiple {}",
                f.hidden_size,
                f.classes,
                f.patch_size,
                f.prefix_tokens,
                f.height,
                f.width,
                f.size_multiple
            )};
    return f;
}

result<void> check_range(std::string_view name, std::int64_t value, std::int64_t high) {
    if (value >= 1 && value <= high) return {};
    return invalid(fmt::format("{} is {}, expected 1 to {}", name, value, high));
}

// Bounds that the graph's symbols can have: a patch or more, multiples, and for a fixed size that
// size alone. Images of smaller bounds are refused one by one, by check_size().
result<void> settle(image_graph& e) {
    image_encoder_options& o = e.options;
    const image_encoder_facts& f = e.facts;
    if (o.max_height == 0 || f.fixed_size) o.max_height = f.height;
    if (o.max_width == 0 || f.fixed_size) o.max_width = f.width;
    RLX_CHECK(check_range("max_images", o.max_images, 1 << 16));
    RLX_CHECK(check_range("max_height", o.max_height, largest_side));
    RLX_CHECK(check_range("max_width", o.max_width, largest_side));
    for (std::int64_t* side : {&o.max_height, &o.max_width})
        *side =
            std::max({*side, f.patch_size, f.size_multiple}) / f.size_multiple * f.size_multiple;
    return {};
}

// A patch is the least that a side can be; more is asked for where only multiples are read.
std::int64_t least_side(const image_encoder_facts& f) {
    return std::max({f.size_multiple, f.patch_size, std::int64_t{1}});
}

// Symbols B, H, W and the input of RLX_GRAPH_ENCODE_IMAGE (rlx/abi/family.h).
result<void> declare(image_graph& e) {
    const rlx_graph_v1* t = graph_table();
    rlx_graph* g = e.g->handle();
    const image_encoder_options& o = e.options;
    const auto side =
        [&](std::string_view name, std::int64_t native, std::int64_t most, std::int64_t* dim) {
            const std::int64_t least =
                e.facts.fixed_size ? native : std::min(least_side(e.facts), most);
            return check_wall(t->symbol(g, str(name), least, most, e.facts.size_multiple, dim));
        };
    std::int64_t dims[] = {0, channels, 0, 0};
    RLX_CHECK(check_wall(t->symbol(g, str("B"), 1, o.max_images, 1, &dims[0])));
    RLX_CHECK(side("H", e.facts.height, o.max_height, &dims[2]));
    RLX_CHECK(side("W", e.facts.width, o.max_width, &dims[3]));
    return check_wall(t->input(g, str("pixels"), RLX_F32, 4, dims, &e.input));
}

result<void> check_output(image_graph& e) {
    const head_names& names = names_of(e.options.head);
    const bool hidden = e.options.head == image_head::hidden;
    e.width = e.options.head == image_head::classes ? e.facts.classes : e.facts.hidden_size;
    e.output = e.g->find_output(names.output);
    const std::uint32_t rank = hidden ? 3 : 2;
    rlx_value_info info{};
    info.size = sizeof info;
    if (e.output) RLX_CHECK(check_wall(graph_table()->value(e.g->handle(), e.output, &info)));
    if (e.output == 0 || info.dtype != RLX_F32 || info.rank != rank ||
        info.dims[rank - 1] != e.width)
        return error{
            RLX_INTERNAL,
            fmt::format(
                "the family's '{}' graph has no output '{}' f32 [B, {}{}]",
                names.graph,
                names.output,
                hidden ? "N, " : "",
                e.width
            )};
    return {};
}

// Shape of the output at the upper bounds, or at given extents.
result<std::vector<std::int64_t>>
output_dims(const image_graph& e, std::span<const std::int64_t> extents) {
    const rlx_graph_v1* t = graph_table();
    rlx_value_info info{};
    info.size = sizeof info;
    RLX_CHECK(check_wall(t->value(e.g->handle(), e.output, &info)));
    std::vector<std::int64_t> out(info.rank);
    RLX_CHECK(check_wall(t->eval_dims(
        e.g->handle(),
        extents.data(),
        static_cast<std::uint32_t>(extents.size()),
        info.dims,
        info.rank,
        out.data()
    )));
    return out;
}

encoder_advice advice_of(const image_graph& e) {
    const image_encoder_options& o = e.options;
    return {
        fmt::format("{} images of {} x {}", o.max_images, o.max_height, o.max_width),
        "max_images or the image size"};
}

result<void> measure(image_graph& e) {
    std::vector<std::int64_t> most = e.extents;
    most[e.symbols[s_images]] = e.options.max_images;
    most[e.symbols[s_height]] = e.options.max_height;
    most[e.symbols[s_width]] = e.options.max_width;
    std::optional<std::uint64_t> results = sizeof(float);
    for (const std::int64_t n : RLX_TRY(output_dims(e, most)))
        results = results ? checked_mul(*results, static_cast<std::uint64_t>(n)) : results;
    e.plan = RLX_TRY(plan_encoder(e.program, results, advice_of(e)));
    return {};
}

result<image_graph> build(const model_parts& parts, const image_encoder_options& options) {
    RLX_CHECK(check_tables(parts));
    image_graph e;
    e.options = options;
    e.g = graph::create(parts.w, parts.find_op);
    rlx::options asked; // rlx/abi/family.h lists the keys
    asked.set_string("compute", options.compute);
    const family_model model = RLX_TRY(family_model::open(parts, asked));
    e.facts = RLX_TRY(read_facts(model));
    RLX_CHECK(settle(e));
    RLX_CHECK(declare(e));
    RLX_CHECK(model.build(names_of(options.head).graph, e.g->handle()));
    program_options how;
    how.compute = e.options.compute;
    how.fuse = e.options.fuse;
    how.finish = e.options.finish;
    e.program = RLX_TRY(program_plan::make(*e.g, parts, how));
    RLX_CHECK(check_output(e));
    constexpr std::string_view symbols[] = {"B", "H", "W"};
    RLX_CHECK(find_symbols(*e.g, symbols, e.symbols, e.extents));
    RLX_CHECK(measure(e));
    e.warnings = plan_warnings(e.program, parts);
    return e;
}

result<void> check_memory(const image_graph& e, const model_parts& p) {
    return check_memory(e.plan, p, e.options.max_memory_gb, advice_of(e));
}

class loaded_image_encoder final : public image_encoder_model {
public:
    explicit loaded_image_encoder(image_graph&& built) : e_(std::move(built)) {}

    result<void> load(const model_parts& p);

    image_head head() const override { return e_.options.head; }

    std::int64_t width() const override { return e_.width; }

    std::int64_t max_images() const override { return e_.options.max_images; }

    std::int64_t max_height() const override { return e_.options.max_height; }

    std::int64_t max_width() const override { return e_.options.max_width; }

    const image_encoder_facts& facts() const override { return e_.facts; }

    const encoder_plan& memory() const override { return e_.plan; }

    std::string tier() const override { return program_.fact("tier"); }

    std::string compute() const override { return program_.fact_or("compute", e_.options.compute); }

    const partition_report& partition() const override { return e_.program.report(); }

    std::vector<device_facts> devices() const override { return program_.facts(); }

    std::span<const std::string> warnings() const override { return e_.warnings; }

    result<void> check_size(std::int64_t height, std::int64_t width) const override;
    result<image_rows> encode(const image_batch& batch) override;

private:
    result<void> check(const image_batch& batch) const;

    image_graph e_;
    graph_program program_;
    std::vector<float> rows_;
};

result<void> loaded_image_encoder::load(const model_parts& p) {
    program_ = RLX_TRY(graph_program::load(e_.program, p, e_.options.progress, e_.options.cancel));
    return {};
}

result<void> loaded_image_encoder::check_size(std::int64_t height, std::int64_t width) const {
    const image_encoder_facts& f = e_.facts;
    if (f.fixed_size && (height != f.height || width != f.width))
        return invalid(fmt::format(
            "an image of {} x {} pixels (height x width); this model reads {} x {} only",
            height,
            width,
            f.height,
            f.width
        ));
    const std::int64_t least = least_side(f);
    if (height < least || width < least)
        return invalid(fmt::format(
            "an image of {} x {} pixels (height x width); the least is {} x {}",
            height,
            width,
            least,
            least
        ));
    if (height % f.size_multiple != 0 || width % f.size_multiple != 0)
        return invalid(fmt::format(
            "an image of {} x {} pixels (height x width); both must be multiples of {}",
            height,
            width,
            f.size_multiple
        ));
    if (height > max_height() || width > max_width())
        return invalid(fmt::format(
            "an image of {} x {} pixels (height x width); the model was opened for at most {} x {}",
            height,
            width,
            max_height(),
            max_width()
        ));
    return {};
}

result<void> loaded_image_encoder::check(const image_batch& batch) const {
    if (batch.images < 1 || batch.images > max_images())
        return invalid(
            fmt::format("{} images in a step, expected 1 to {}", batch.images, max_images())
        );
    RLX_CHECK(check_size(batch.height, batch.width));
    // No overflow: every factor is below its bound now.
    const std::int64_t floats = batch.images * channels * batch.height * batch.width;
    if (batch.pixels.size() != static_cast<std::size_t>(floats))
        return invalid(fmt::format(
            "{} pixel values, expected {} for {} x {} x {} x {}",
            batch.pixels.size(),
            floats,
            batch.images,
            channels,
            batch.height,
            batch.width
        ));
    return {};
}

result<image_rows> loaded_image_encoder::encode(const image_batch& batch) {
    RLX_CHECK(check(batch));
    e_.extents[e_.symbols[s_images]] = batch.images;
    e_.extents[e_.symbols[s_height]] = batch.height;
    e_.extents[e_.symbols[s_width]] = batch.width;
    RLX_CHECK(e_.g->check_extents(e_.extents));
    const auto dims = RLX_TRY(output_dims(e_, e_.extents));
    image_rows out;
    out.images = batch.images;
    out.tokens = dims.size() == 3 ? dims[1] : 1;
    out.width = e_.width;
    rows_.resize(static_cast<std::size_t>(out.images * out.tokens * out.width));
    // The backend only reads an input; the binding has one pointer for inputs and outputs.
    auto* pixels = const_cast<float*>(batch.pixels.data());
    const rlx_binding bindings[] = {
        {e_.input, 0, pixels, nullptr, batch.pixels.size_bytes()},
        {e_.output, 0, rows_.data(), nullptr, rows_.size() * sizeof(float)}};
    RLX_CHECK(program_.run(bindings, e_.extents, e_.options.cancel));
    out.values = rows_;
    return out;
}

} // namespace

result<encoder_plan>
image_encoder_model::plan(const model_parts& p, const image_encoder_options& options) {
    image_graph e = RLX_TRY(build(p, options));
    if (auto fits = check_memory(e, p); !fits) e.plan.refused = std::move(fits.error().message);
    e.plan.partition = e.program.report();
    return std::move(e.plan);
}

result<image_encoder_facts> image_encoder_model::describe(const model_parts& p) {
    RLX_CHECK(check_tables(p));
    rlx::options asked;
    return read_facts(RLX_TRY(family_model::open(p, asked)));
}

result<std::unique_ptr<image_encoder_model>>
image_encoder_model::open(const model_parts& p, const image_encoder_options& options) {
    image_graph e = RLX_TRY(build(p, options));
    RLX_CHECK(check_memory(e, p));
    auto out = std::make_unique<loaded_image_encoder>(std::move(e));
    RLX_CHECK(out->load(p));
    return std::unique_ptr<image_encoder_model>(std::move(out));
}

} // namespace rlx
