// SPDX-License-Identifier: GPL-3.0-only
// From an image to what a model reads, in the arithmetic of the two backends of transformers 5.
#include "preprocess.hpp"

#include "resize.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace rlx::media {
namespace {

// Where `in` pixels go in `out`: from `source` of the old line to `target` of the new one.
struct placement {
    int source = 0, target = 0, count = 0;
};

placement place(int in, int out, processor_backend backend) {
    if (in >= out) return {(in - out) / 2, 0, out};
    const int rest = out - in;
    return {0, backend == processor_backend::pil ? (rest + 1) / 2 : rest / 2, in};
}

// The longer side is cut off to whole pixels after a product in double, as Python computes it.
result<extent> shortest_edge_size(const image& picture, int shortest, const image_limits& limits) {
    const int small = std::min(picture.height, picture.width),
              large = std::max(picture.height, picture.width);
    const double longest = static_cast<double>(std::int64_t{shortest} * large) / small;
    if (longest > limits.max_side)
        return error{
            RLX_INVALID_ARGUMENT,
            message(
                extent{picture.height, picture.width},
                " with a shortest edge of ",
                shortest,
                " pixels gets longer than ",
                limits.max_side
            )};
    const int other = static_cast<int>(longest);
    return picture.width <= picture.height ? extent{other, shortest} : extent{shortest, other};
}

result<image> resized(const image& picture, const preprocess_recipe& r) {
    if (!r.shortest_edge && !r.size) return picture;
    if (r.shortest_edge && *r.shortest_edge < 1)
        return error{
            RLX_INVALID_ARGUMENT, message("a shortest edge of ", *r.shortest_edge, " pixels")};
    const extent size =
        r.size ? *r.size : RLX_TRY(shortest_edge_size(picture, *r.shortest_edge, r.limits));
    return resize(picture, size, r.resample, r.limits);
}

// All 256 values a sample can become. [256]
using levels = std::array<float, 256>;

levels levels_of(const preprocess_recipe& r, std::size_t channel) {
    levels out{};
    const bool fused = r.backend == processor_backend::torchvision && r.rescale_factor && r.mean;
    for (std::size_t v = 0; v < out.size(); v++) {
        float x = static_cast<float>(v);
        float mean = r.mean ? static_cast<float>((*r.mean)[channel]) : 0.0f;
        float std = r.std ? static_cast<float>((*r.std)[channel]) : 1.0f;
        if (fused) {
            // The factor goes into mean and standard deviation, in float.
            const auto back = static_cast<float>(1.0 / *r.rescale_factor);
            mean *= back;
            std *= back;
        } else if (r.rescale_factor && r.backend == processor_backend::pil) {
            x = static_cast<float>(static_cast<double>(v) * *r.rescale_factor);
        } else if (r.rescale_factor) {
            x *= static_cast<float>(*r.rescale_factor);
        }
        out[v] = r.mean ? (x - mean) / std : x;
    }
    return out;
}

planes to_planes(const image& picture, const preprocess_recipe& r) {
    planes out = make_planes(3, {picture.height, picture.width});
    const std::size_t n = out.values.size() / 3;
    const auto step = static_cast<std::size_t>(picture.channels);
    for (std::size_t c = 0; c < 3; c++) {
        const levels level = levels_of(r, c);
        const std::uint8_t* in = picture.pixels.data() + (step == 3 ? c : 0);
        float* to = out.values.data() + c * n;
        for (std::size_t i = 0; i < n; i++)
            to[i] = level[in[i * step]];
    }
    return out;
}

result<void> check_recipe(const preprocess_recipe& r) {
    if (r.shortest_edge && r.size)
        return error{
            RLX_INVALID_ARGUMENT, "a recipe resizes by its shortest edge or to a size, not both"};
    if (r.mean.has_value() != r.std.has_value())
        return error{
            RLX_INVALID_ARGUMENT,
            "a recipe normalises with mean and standard deviation, not one of them"};
    const auto usable = [](double v) { return std::isfinite(v) && v != 0; };
    if (r.std && !std::all_of(r.std->begin(), r.std->end(), usable))
        return error{RLX_INVALID_ARGUMENT, "a standard deviation of a recipe is 0 or no number"};
    if (r.rescale_factor && !usable(*r.rescale_factor))
        return error{RLX_INVALID_ARGUMENT, "the rescale factor of a recipe is 0 or no number"};
    return {};
}

} // namespace

result<image> center_crop(const image& picture, extent size, processor_backend backend) {
    RLX_CHECK(check_image(picture, picture.pixels.size()));
    RLX_CHECK(check_extent(size.height, size.width, image_limits{}, RLX_INVALID_ARGUMENT)
                  .within("centre crop"));
    const placement x = place(picture.width, size.width, backend);
    const placement y = place(picture.height, size.height, backend);
    image out = make_image<std::uint8_t>(size, picture.channels);
    const auto channels = static_cast<std::size_t>(picture.channels);
    for (int i = 0; i < y.count; i++)
        std::memcpy(
            row_of(out, y.target + i) + static_cast<std::size_t>(x.target) * channels,
            row_of(picture, y.source + i) + static_cast<std::size_t>(x.source) * channels,
            static_cast<std::size_t>(x.count) * channels
        );
    return out;
}

result<planes> pad(const planes& picture, extent size, float value) {
    RLX_CHECK(check_image(picture, picture.values.size()));
    RLX_CHECK(
        check_extent(size.height, size.width, image_limits{}, RLX_INVALID_ARGUMENT).within("pad")
    );
    if (size.height < picture.height || size.width < picture.width)
        return error{
            RLX_INVALID_ARGUMENT,
            message(
                "pad: ",
                size,
                " is smaller than the picture of ",
                extent{picture.height, picture.width}
            )};
    planes out = make_planes(picture.channels, size);
    std::fill(out.values.begin(), out.values.end(), value);
    const auto width = static_cast<std::size_t>(picture.width);
    const float* from = picture.values.data();
    for (int c = 0; c < picture.channels; c++)
        for (int y = 0; y < picture.height; y++, from += width)
            std::copy_n(
                from,
                width,
                out.values.data() +
                    (static_cast<std::size_t>(c) * static_cast<std::size_t>(size.height) +
                     static_cast<std::size_t>(y)) *
                        static_cast<std::size_t>(size.width)
            );
    return out;
}

result<planes> preprocess(const image& picture, const preprocess_recipe& recipe) {
    RLX_CHECK(check_image(picture, picture.pixels.size()));
    RLX_CHECK(check_recipe(recipe));
    if (picture.channels != 1 && picture.channels != 3)
        return error{
            RLX_INVALID_ARGUMENT,
            message(
                "an image of ",
                picture.channels,
                " channels; a model gets RGB, choose what becomes of alpha when decoding"
            )};
    RLX_CHECK(check_extent(picture.height, picture.width, recipe.limits, RLX_INVALID_ARGUMENT));
    image now = RLX_TRY(resized(picture, recipe));
    if (recipe.crop) {
        RLX_CHECK(check_extent(
                      recipe.crop->height, recipe.crop->width, recipe.limits, RLX_INVALID_ARGUMENT
        )
                      .within("centre crop"));
        now = RLX_TRY(center_crop(now, *recipe.crop, recipe.backend));
    }
    planes out = to_planes(now, recipe);
    if (!recipe.pad) return out;
    RLX_CHECK(
        check_extent(recipe.pad->height, recipe.pad->width, recipe.limits, RLX_INVALID_ARGUMENT)
            .within("pad")
    );
    return pad(out, *recipe.pad, 0.0f);
}

} // namespace rlx::media
