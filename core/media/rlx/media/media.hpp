// SPDX-License-Identifier: GPL-3.0-only
// Images: librlx-media.so, opened on demand by whoever meets a picture. Reading PNG and JPEG,
// writing PNG, the resize kernels of PIL and torch, and the way from pixels to a model's input.
// Host side only, same build on both sides, so C++ interfaces are fine here.
//
// Everything is a value: inputs are borrowed for the call, results are owned by the caller. There
// is no state, so every function is [any thread]. Sizes are pixels, coordinates count from the top
// left corner, and heights come before widths. Nothing is thrown or printed.
#pragma once

#include "rlx/base/result.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rlx {

// Rows from top to bottom without gaps, samples of a pixel side by side. 1 channel is grey, 2 grey
// and alpha, 3 RGB, 4 RGBA; alpha is not multiplied in. No colour management: samples are as
// stored.
template <class T>
struct basic_image {
    int height = 0;
    int width = 0;
    int channels = 0;
    std::vector<T> pixels; // [height, width, channels]
};

using image = basic_image<std::uint8_t>;
using image16 = basic_image<std::uint16_t>; // 0..65535

// What models read.
struct planes {
    int channels = 0;
    int height = 0;
    int width = 0;
    std::vector<float> values; // [channels, height, width]
};

struct extent {
    int height = 0;
    int width = 0;
};

// Checked against the header of a file and against every requested size, before memory is taken.
struct image_limits {
    std::uint64_t max_pixels = 100'000'000; // 100 megapixels
    int max_side = 65'535;
    std::uint64_t max_file_bytes = std::uint64_t{1} << 30;
};

enum class alpha_rule {
    drop, // 3 channels; colours as stored, as Image.open(f).convert("RGB") of PIL has them
    keep, // 4 channels; opaque where the file has no alpha. The transparent colour of a PNG counts.
    on_white, // 3 channels; laid over white with PIL's alpha_composite
};

struct decode_options {
    alpha_rule alpha = alpha_rule::drop;
    // Turns and mirrors by EXIF (JPEG and PNG eXIf) or XMP (JPEG), as ImageOps.exif_transpose does;
    // a damaged EXIF block counts as none. Off: pixels as stored.
    bool apply_orientation = true;
    image_limits limits = {};
};

struct image_info {
    std::string_view format; // "png" | "jpeg"; a literal
    extent stored;           // before orientation
    int bits = 8;            // of one sample as stored: 1, 2, 4, 8, 16
    int channels = 0;        // after expanding a palette; 4 for CMYK
    bool has_alpha = false;  // a channel, or a PNG's tRNS
    int orientation = 1;     // EXIF, 1..8
};

// Bit-exact to the library they are named after. pil_*: Image.resize of PIL 13, which does the
// columns first where the height loses more than twice what the width does, and the rows first
// elsewhere. torch_*: interpolate(antialias=True) of uint8 tensors on the CPU (the weights are
// 16-bit there, so a device that computes in float may differ by one level), which is what
// torchvision and the image processors of transformers 5 call. Both round to 8 bit after each of
// two passes. nearest of both is the pixel under the centre (torch calls it nearest-exact).
enum class image_kernel {
    pil_nearest,
    pil_bilinear,
    pil_bicubic,
    pil_lanczos,
    torch_nearest,
    torch_bilinear,
    torch_bicubic,
    torch_lanczos,
};

// torch's interpolate of float tensors with align_corners=False, on the CPU: within 2e-6 times the
// largest input, nearest equal (measured with torch 2.15 on a machine with AVX-512). The antialias
// kernels of that torch are wrong where a result of another height is one pixel wide; there the
// right values are given.
enum class plane_kernel {
    antialias_bilinear,
    antialias_bicubic, // a = -0.5
    bilinear,          // coordinates below 0 count as 0
    bicubic,           // a = -0.75; coordinates are not clamped, taps are
    nearest,           // floor(i * in / out)
};

// What torch gets as scale_factor=. Where it is set, coordinates advance by 1 / factor instead of
// in / out; the caller gives the size too, within 1 of side times factor (torch rounds down).
struct plane_scale {
    std::optional<double> height;
    std::optional<double> width;
};

// The arithmetic of an image processor: its resize kernels, where the crop of a too small image
// lies, and the order of rounding in rescale and normalise.
enum class processor_backend {
    torchvision, // transformers 5, and ...Fast of transformers 4
    pil,         // the others of transformers 4, and ...Pil of transformers 5
};

// preprocessor_config.json, with the defaults of its image_processor_type filled in. The order is
// resize, centre crop, rescale, normalise, pad; a step is done where it is set.
struct preprocess_recipe {
    std::string processor; // image_processor_type as written
    processor_backend backend = processor_backend::torchvision;
    image_kernel resample = image_kernel::torch_bilinear;
    // Resize: the shorter side becomes this, the longer int(this * long / short).
    std::optional<int> shortest_edge;
    std::optional<extent> size; // resize to exactly this; not with shortest_edge
    std::optional<extent> crop; // centre; black where the image is smaller
    std::optional<double> rescale_factor;
    std::optional<std::array<double, 3>> mean; // with std: (x - mean) / std for R, G, B
    std::optional<std::array<double, 3>> std;
    std::optional<extent> pad; // zeros to the right and below, after normalising
    image_limits limits = {};  // of every image on the way
};

class media_library {
public:
    virtual ~media_library() = default;

    // Reading. `name` stands in messages, usually the path. PNG: every colour type and depth,
    // interlaced or not, the still picture of an animation; gamma and profiles are ignored. JPEG:
    // Huffman or arithmetic, sequential or progressive, 8-bit, grey, YCbCr, RGB, CMYK and YCCK
    // (four channels are taken as inverted, as PIL does); the first picture of several.
    // RLX_UNSUPPORTED: another format or a JPEG kind outside this list. RLX_CORRUPT_DATA:
    // truncated, damaged, or over a limit. RLX_OUT_OF_MEMORY. Messages give name, what is wrong and
    // at which byte. A file that ends early is always an error, also where all pixels are there.

    // The header only. Sizes are checked against the limits.
    virtual result<image_info> probe(
        std::span<const std::byte> file, std::string_view name, const image_limits& limits = {}
    ) const = 0;
    // 8-bit RGB or RGBA, equal to PIL's: grey is repeated, 16-bit colour keeps its high byte,
    // 16-bit grey without alpha is cut off at 255 (use decode16 for real 16-bit pictures), a
    // palette index without an entry is black. Memory: the result, the file's samples once more if
    // interlaced, progressive or to be turned.
    virtual result<image> decode(
        std::span<const std::byte> file, std::string_view name, const decode_options& options = {}
    ) const = 0;
    // As stored: 1 to 4 channels, a tRNS as alpha channel, a palette as RGB or RGBA, CMYK as RGB.
    // Fewer than 16 bits are stretched to 0..65535 (8-bit: times 257). `alpha` is not looked at.
    virtual result<image16> decode16(
        std::span<const std::byte> file, std::string_view name, const decode_options& options = {}
    ) const = 0;
    // A regular file. RLX_NOT_FOUND, RLX_IO with the system's reason, and the above.
    virtual result<image>
    open(const std::filesystem::path& file, const decode_options& options = {}) const = 0;

    // A PNG of 1, 3 or 4 channels, not interlaced, without metadata; equal pixels give equal bytes.
    // RLX_INVALID_ARGUMENT for other channels or a pixel count that does not fit.
    virtual result<std::vector<std::byte>> encode_png(const image& picture) const = 0;

    // Resizing. Same channels, each on its own (alpha too). RLX_INVALID_ARGUMENT for a side below
    // 1, a result over the limits, an image whose pixel count does not fit its sides.
    virtual result<image> resize(
        const image& picture, extent size, image_kernel kernel, const image_limits& limits = {}
    ) const = 0;
    virtual result<planes> resize(
        const planes& picture,
        extent size,
        plane_kernel kernel,
        const plane_scale& scale = {},
        const image_limits& limits = {}
    ) const = 0;

    // Cuts `size` out of the middle; black where the image is smaller. An odd rest goes to the
    // bottom and right when cutting; when filling, to the bottom and right for torchvision, top and
    // left for pil.
    virtual result<image>
    center_crop(const image& picture, extent size, processor_backend backend) const = 0;
    // Fills with `value` to the right and below. RLX_INVALID_ARGUMENT for a smaller size.
    virtual result<planes> pad(const planes& picture, extent size, float value) const = 0;

    // `json` is preprocessor_config.json. RLX_UNSUPPORTED names an image_processor_type, resample,
    // size or step that is not implemented (nothing is skipped in silence); RLX_CORRUPT_DATA what
    // is no valid value. Processors: BitImageProcessor (DINOv2), CLIPImageProcessor,
    // DeiTImageProcessor, SiglipImageProcessor, ViTImageProcessor, each also with Fast, Pil or as
    // FeatureExtractor. `backend` decides, else the file's use_fast (false is pil), else the name:
    // Pil is pil, everything else torchvision.
    virtual result<preprocess_recipe> parse_preprocess(
        std::string_view json,
        std::string_view name,
        std::optional<processor_backend> backend = std::nullopt
    ) const = 0;
    // [3, H, W] equal to the processor's pixel_values. 1 or 3 channels; 2 and 4 are
    // RLX_INVALID_ARGUMENT: choose an alpha_rule when decoding.
    virtual result<planes>
    preprocess(const image& picture, const preprocess_recipe& recipe) const = 0;
};

} // namespace rlx

// The one symbol of librlx-media.so. Never null, valid for the life of the process.
extern "C" const rlx::media_library* rlx_media_entry_v1();
