// SPDX-License-Identifier: GPL-3.0-only
// Resizing floats as torch's interpolate does it. Every kernel is a table of taps per axis; rows
// first, columns then, no rounding between.
#include "resize.hpp"
#include "taps.hpp"

#include <algorithm>
#include <cmath>

namespace rlx::media {
namespace {

// Like tap_table, but taps may repeat a sample at the edge, so each has its own index.
struct gather_table {
    std::size_t width = 0;
    std::vector<std::size_t> count; // [out], 1..width
    std::vector<int> index;         // [out, width]
    std::vector<float> weights;     // [out, width]
};

gather_table make_gather(std::size_t out, std::size_t width) {
    return {
        width,
        std::vector<std::size_t>(out, width),
        std::vector<int>(out * width),
        std::vector<float>(out * width)};
}

gather_table antialias(int in, int out, float scale, filter_shape shape) {
    const tap_table<float> t = antialias_taps(in, out, shape, scale);
    gather_table g = make_gather(t.first.size(), t.width);
    g.weights = t.weights;
    for (std::size_t i = 0; i < t.first.size(); i++) {
        g.count[i] = std::max<std::size_t>(1, static_cast<std::size_t>(t.count[i]));
        for (std::size_t k = 0; k < g.count[i]; k++)
            g.index[i * t.width + k] = t.first[i] + static_cast<int>(k);
    }
    return g;
}

// Place on the old line of the centre of pixel i of the new one. torch rounds it once or twice, as
// its compiler found it: far to the right the difference is ten times what all the sums lose.
float centre_of(std::size_t i, float scale, bool fused) {
    const float at = static_cast<float>(i) + 0.5f;
    return fused ? std::fma(scale, at, -0.5f) : scale * at - 0.5f;
}

// torch has a kernel of its own for small bilinear results.
bool small_for_torch(extent size) {
    return size.height + size.width <= 128;
}

gather_table bilinear(int in, int out, float scale, bool fused) {
    gather_table g = make_gather(static_cast<std::size_t>(out), 2);
    for (std::size_t i = 0; i < static_cast<std::size_t>(out); i++) {
        const float at = std::max(0.0f, centre_of(i, scale, fused));
        const int left = std::min(static_cast<int>(std::min(at, static_cast<float>(in))), in - 1);
        const float part = std::clamp(at - static_cast<float>(left), 0.0f, 1.0f);
        g.index[2 * i] = left;
        g.index[2 * i + 1] = std::min(left + 1, in - 1);
        g.weights[2 * i] = 1.0f - part;
        g.weights[2 * i + 1] = part;
    }
    return g;
}

// Cubic convolution with a = -0.75 (Keys 1981), t in [0, 1). Fused as in torch's builds.
std::array<float, 4> cubic_weights(float t) {
    constexpr float a = -0.75f;
    const auto near = [](float x) {
        return std::fma(std::fma(a + 2.0f, x, -(a + 3.0f)) * x, x, 1.0f);
    };
    const auto far = [](float x) {
        return std::fma(std::fma(std::fma(a, x, -5.0f * a), x, 8.0f * a), x, -4.0f * a);
    };
    return {far(t + 1.0f), near(t), near(1.0f - t), far(2.0f - t)};
}

gather_table bicubic(int in, int out, float scale) {
    gather_table g = make_gather(static_cast<std::size_t>(out), 4);
    for (std::size_t i = 0; i < static_cast<std::size_t>(out); i++) {
        const float at = std::min(centre_of(i, scale, true), static_cast<float>(in));
        const float left = std::min(std::floor(at), static_cast<float>(in - 1));
        const auto weights = cubic_weights(std::clamp(at - left, 0.0f, 1.0f));
        for (int k = 0; k < 4; k++) {
            const std::size_t to = 4 * i + static_cast<std::size_t>(k);
            g.index[to] = std::clamp(static_cast<int>(left) - 1 + k, 0, in - 1);
            g.weights[to] = weights[static_cast<std::size_t>(k)];
        }
    }
    return g;
}

gather_table nearest(int in, int out, float scale) {
    gather_table g = make_gather(static_cast<std::size_t>(out), 1);
    for (std::size_t i = 0; i < static_cast<std::size_t>(out); i++) {
        const float at = std::floor(static_cast<float>(i) * scale);
        g.index[i] = static_cast<int>(std::min(at, static_cast<float>(in - 1)));
        g.weights[i] = 1.0f;
    }
    return g;
}

// torch forgets a factor where the side stays, except in its bicubic kernel; so does its nearest
// where the side doubles.
bool uses_factor(plane_kernel kernel, int in, int out) {
    if (kernel == plane_kernel::bicubic) return true;
    return in != out && (kernel != plane_kernel::nearest || out != 2 * in);
}

result<gather_table>
table_of(plane_kernel kernel, int in, int out, const std::optional<double>& factor, bool small) {
    const float scale = factor && uses_factor(kernel, in, out)
                            ? static_cast<float>(1.0 / *factor)
                            : static_cast<float>(in) / static_cast<float>(out);
    switch (kernel) {
    case plane_kernel::antialias_bilinear: return antialias(in, out, scale, filter_shape::triangle);
    case plane_kernel::antialias_bicubic: return antialias(in, out, scale, filter_shape::cubic);
    case plane_kernel::bilinear: return bilinear(in, out, scale, small);
    case plane_kernel::bicubic: return bicubic(in, out, scale);
    case plane_kernel::nearest: return nearest(in, out, scale);
    }
    return error{
        RLX_INVALID_ARGUMENT, message("there is no plane kernel ", static_cast<int>(kernel))};
}

void resize_row(const float* in, float* out, const gather_table& g) {
    for (std::size_t x = 0; x < g.count.size(); x++) {
        const int* index = g.index.data() + x * g.width;
        const float* w = g.weights.data() + x * g.width;
        float sum = in[index[0]] * w[0];
        for (std::size_t k = 1; k < g.count[x]; k++)
            sum += in[index[k]] * w[k];
        out[x] = sum;
    }
}

// One plane: [h, w] -> [h, out w] -> [out h, out w].
void resize_plane(
    std::span<const float> in,
    std::span<float> out,
    std::span<float> between,
    const gather_table& rows,
    const gather_table& columns
) {
    const std::size_t new_width = rows.count.size();
    const std::size_t new_height = columns.count.size();
    const std::size_t old_height = between.size() / new_width;
    const std::size_t old_width = in.size() / old_height;
    for (std::size_t y = 0; y < old_height; y++)
        resize_row(in.data() + y * old_width, between.data() + y * new_width, rows);
    for (std::size_t y = 0; y < new_height; y++) {
        float* to = out.data() + y * new_width;
        for (std::size_t k = 0; k < columns.count[y]; k++) {
            const auto from = static_cast<std::size_t>(columns.index[y * columns.width + k]);
            const float* line = between.data() + from * new_width;
            const float w = columns.weights[y * columns.width + k];
            for (std::size_t x = 0; x < new_width; x++)
                to[x] = k == 0 ? line[x] * w : to[x] + line[x] * w;
        }
    }
}

// A factor goes with the size torch makes of it (rounded down); anything else is a mistake.
result<void> check_factor(const std::optional<double>& factor, int in, int out) {
    if (!factor || (*factor > 0 && std::abs(*factor * in - out) <= 1.0)) return {};
    return error{
        RLX_INVALID_ARGUMENT,
        message(
            "resize: ", in, " times the scale factor ", std::to_string(*factor), " is not ", out
        )};
}

} // namespace

result<planes> resize(
    const planes& picture,
    extent size,
    plane_kernel kernel,
    const plane_scale& scale,
    const image_limits& limits
) {
    RLX_CHECK(check_image(picture, picture.values.size()));
    RLX_CHECK(check_extent(size.height, size.width, limits, RLX_INVALID_ARGUMENT).within("resize"));
    RLX_CHECK(
        check_extent(picture.height, size.width, limits, RLX_INVALID_ARGUMENT).within("resize")
    );
    RLX_CHECK(check_factor(scale.height, picture.height, size.height));
    RLX_CHECK(check_factor(scale.width, picture.width, size.width));
    const bool small = small_for_torch(size);
    const gather_table rows =
        RLX_TRY(table_of(kernel, picture.width, size.width, scale.width, small));
    const gather_table columns =
        RLX_TRY(table_of(kernel, picture.height, size.height, scale.height, small));
    planes out = make_planes(picture.channels, size);
    const std::size_t old_n = picture.values.size() / static_cast<std::size_t>(picture.channels);
    const std::size_t new_n = out.values.size() / static_cast<std::size_t>(picture.channels);
    std::vector<float> between(
        static_cast<std::size_t>(picture.height) * static_cast<std::size_t>(size.width)
    );
    for (std::size_t c = 0; c < static_cast<std::size_t>(picture.channels); c++)
        resize_plane(
            std::span(picture.values).subspan(c * old_n, old_n),
            std::span(out.values).subspan(c * new_n, new_n),
            between,
            rows,
            columns
        );
    return out;
}

} // namespace rlx::media
