// SPDX-License-Identifier: GPL-3.0-only
#include "rlx/media/media.hpp"

#include "exif.hpp"
#include "jpeg.hpp"
#include "png.hpp"
#include "preprocess.hpp"
#include "resize.hpp"

#include <fstream>
#include <new>

namespace rlx::media {
namespace {

// Nothing thrown below may leave the library.
template <class F>
auto guarded(F f) -> decltype(f()) {
    try {
        return f();
    } catch (const std::bad_alloc&) {
        return error{RLX_OUT_OF_MEMORY, "out of memory in the media library"};
    } catch (const std::exception& e) {
        return error{RLX_INTERNAL, std::string("media library: ") + e.what()};
    }
}

result<void> check_file(bytes file, const image_limits& limits) {
    if (file.size() > limits.max_file_bytes)
        return error{
            RLX_CORRUPT_DATA, message(file.size(), " bytes; the limit is ", limits.max_file_bytes)};
    if (file.empty()) return error{RLX_CORRUPT_DATA, "the file is empty"};
    if (!is_png(file) && !is_jpeg(file))
        return error{RLX_UNSUPPORTED, "neither PNG nor JPEG: its first bytes are of neither"};
    return {};
}

result<image_info> info_of(bytes file, const image_limits& limits) {
    RLX_CHECK(check_file(file, limits));
    if (is_png(file)) {
        const png_header h = RLX_TRY(read_png_header(file, limits));
        const int channels = h.channels(true);
        return image_info{
            "png", h.size, h.depth, channels, channels == 2 || channels == 4, h.orientation};
    }
    const jpeg_header h = RLX_TRY(read_jpeg_header(file, limits));
    return image_info{"jpeg", h.size, 8, h.components, false, h.orientation};
}

// Fills the sink; returns the orientation.
result<int>
read_into(bytes file, const image_limits& limits, bool with_transparency, row_sink& to) {
    RLX_CHECK(check_file(file, limits));
    if (is_png(file)) {
        const png_header h = RLX_TRY(read_png_header(file, limits));
        RLX_CHECK(read_png(file, h, with_transparency, to));
        return h.orientation;
    }
    const jpeg_header h = RLX_TRY(read_jpeg(file, limits, to));
    return h.orientation;
}

template <class Sink>
auto decoded(bytes file, const decode_options& options, bool with_transparency, Sink sink)
    -> result<decltype(sink.picture)> {
    const int orientation = RLX_TRY(read_into(file, options.limits, with_transparency, sink));
    return options.apply_orientation ? oriented(std::move(sink.picture), orientation)
                                     : std::move(sink.picture);
}

result<std::vector<std::byte>> read_file(const std::filesystem::path& path, std::uint64_t limit) {
    std::error_code failed;
    const auto status = std::filesystem::status(path, failed);
    if (!std::filesystem::exists(status)) return error{RLX_NOT_FOUND, "no such file"};
    if (!std::filesystem::is_regular_file(status)) return error{RLX_IO, "it is not a regular file"};
    const auto size = std::filesystem::file_size(path, failed);
    if (failed) return error{RLX_IO, failed.message()};
    if (size > limit) return error{RLX_CORRUPT_DATA, message(size, " bytes; the limit is ", limit)};
    std::ifstream in(path, std::ios::binary);
    if (!in) return error{RLX_IO, "cannot open it for reading"};
    std::vector<std::byte> out(size);
    in.read(reinterpret_cast<char*>(out.data()), static_cast<std::streamsize>(size));
    if (static_cast<std::uintmax_t>(in.gcount()) != size)
        return error{RLX_IO, message("only ", in.gcount(), " of ", size, " bytes could be read")};
    return out;
}

class library final : public media_library {
public:
    result<image_info>
    probe(bytes file, std::string_view name, const image_limits& limits) const override {
        return guarded([&] { return info_of(file, limits).within(name); });
    }

    result<image>
    decode(bytes file, std::string_view name, const decode_options& options) const override {
        return guarded([&] {
            const bool with_alpha = options.alpha != alpha_rule::drop;
            return decoded(file, options, with_alpha, sink8(options.alpha)).within(name);
        });
    }

    result<image16>
    decode16(bytes file, std::string_view name, const decode_options& options) const override {
        return guarded([&] { return decoded(file, options, true, sink16()).within(name); });
    }

    result<image>
    open(const std::filesystem::path& file, const decode_options& options) const override {
        return guarded([&]() -> result<image> {
            const auto data =
                RLX_TRY(read_file(file, options.limits.max_file_bytes).within(file.string()));
            return decode(data, file.string(), options);
        });
    }

    result<std::vector<std::byte>> encode_png(const image& picture) const override {
        return guarded([&] { return write_png(picture); });
    }

    result<image> resize(
        const image& picture, extent size, image_kernel kernel, const image_limits& limits
    ) const override {
        return guarded([&] { return media::resize(picture, size, kernel, limits); });
    }

    result<planes> resize(
        const planes& picture,
        extent size,
        plane_kernel kernel,
        const plane_scale& scale,
        const image_limits& limits
    ) const override {
        return guarded([&] { return media::resize(picture, size, kernel, scale, limits); });
    }

    result<image>
    center_crop(const image& picture, extent size, processor_backend backend) const override {
        return guarded([&] { return media::center_crop(picture, size, backend); });
    }

    result<planes> pad(const planes& picture, extent size, float value) const override {
        return guarded([&] { return media::pad(picture, size, value); });
    }

    result<preprocess_recipe> parse_preprocess(
        std::string_view json, std::string_view name, std::optional<processor_backend> backend
    ) const override {
        return guarded([&] { return media::parse_preprocess(json, name, backend); });
    }

    result<planes>
    preprocess(const image& picture, const preprocess_recipe& recipe) const override {
        return guarded([&] { return media::preprocess(picture, recipe); });
    }
};

} // namespace
} // namespace rlx::media

extern "C" __attribute__((visibility("default"))) const rlx::media_library* rlx_media_entry_v1() {
    static const rlx::media::library library;
    return &library;
}
