// SPDX-License-Identifier: GPL-3.0-only
// libpng delivers rows as stored; what they mean is decided here, because PIL's rules are not its
// own.
#include "png.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include <csetjmp>
#include <png.h>

namespace rlx::media {
namespace {

constexpr png_alloc_size_t max_chunk_bytes = 8u << 20;

class png_reader {
public:
    explicit png_reader(bytes file) : file_(file) {}

    ~png_reader() { png_destroy_read_struct(&png_, &info_, nullptr); }

    png_reader(const png_reader&) = delete;
    png_reader& operator=(const png_reader&) = delete;

    result<void> open() {
        png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, on_error, on_warning);
        info_ = png_ ? png_create_info_struct(png_) : nullptr;
        if (!info_) return error{RLX_OUT_OF_MEMORY, "no memory for libpng"};
        return {};
    }

    // Runs libpng code. It leaves by longjmp on an error, so nothing with a destructor may live in
    // f.
    template <class F>
    result<void> run(F f) {
        if (setjmp(png_jmpbuf(png_)) != 0) return failure();
        f(png_, info_);
        return {};
    }

    static void read(png_structp png, png_bytep to, png_size_t n) {
        auto& self = *static_cast<png_reader*>(png_get_io_ptr(png));
        if (n > self.file_.size() - self.at_) png_error(png, "the file ends early");
        std::memcpy(to, self.file_.data() + self.at_, n);
        self.at_ += n;
    }

private:
    // Out of line: locals of the frame that called setjmp are not touched after the jump.
    [[gnu::noinline]] error failure() const {
        return {RLX_CORRUPT_DATA, message("damaged PNG before byte ", at_, ": ", text_.data())};
    }

    [[noreturn]] static void on_error(png_structp png, png_const_charp why) {
        auto& self = *static_cast<png_reader*>(png_get_error_ptr(png));
        const std::size_t n = std::min(std::strlen(why), self.text_.size() - 1);
        std::memcpy(self.text_.data(), why, n);
        self.text_[n] = '\0';
        png_longjmp(png, 1);
    }

    static void on_warning(png_structp, png_const_charp) {}

    bytes file_;
    std::size_t at_ = 0;
    png_structp png_ = nullptr;
    png_infop info_ = nullptr;
    std::array<char, 200> text_{};
};

// From a stored row to samples. One of them per picture.
class row_expander {
public:
    row_expander(const png_header& h, bool with_transparency, row_sink& to)
        : header_(h), key_(with_transparency && h.has_transparency), sink_(to) {}

    // Colours, transparency and room for a row, once libpng has read the head of the file.
    void prepare(png_structp png, png_infop info) {
        png_colorp colours = nullptr;
        int entries = 0, alphas = 0;
        png_bytep alpha = nullptr;
        png_color_16p key = nullptr;
        if (png_get_PLTE(png, info, &colours, &entries) != 0)
            for (int i = 0; i < std::min(entries, 256); i++)
                palette_[static_cast<std::size_t>(i)] = {
                    colours[i].red, colours[i].green, colours[i].blue, 255};
        if (!key_ || png_get_tRNS(png, info, &alpha, &alphas, &key) == 0) return;
        if (header_.colour_type == PNG_COLOR_TYPE_PALETTE)
            for (int i = 0; alpha && i < std::min(alphas, 256); i++)
                palette_[static_cast<std::size_t>(i)][3] = alpha[i];
        else if (key) {
            has_colour_key_ = true;
            colour_key_ = {key->red, key->green, key->blue};
            if (header_.colour_type == PNG_COLOR_TYPE_GRAY) colour_key_[0] = key->gray;
        }
    }

    void start() {
        const int channels = header_.channels(key_);
        const auto n =
            static_cast<std::size_t>(header_.size.width) * static_cast<std::size_t>(channels);
        if (header_.depth == 16)
            wide_.resize(n);
        else
            row_.resize(n);
        sink_.start(header_.size, channels);
    }

    void row(int y, const std::uint8_t* stored) {
        if (header_.depth == 16) {
            expand16(stored);
            sink_.row16(y, wide_.data());
        } else if (header_.depth == 8 && header_.colour_type != PNG_COLOR_TYPE_PALETTE &&
                   header_.channels(key_) == header_.stored_channels()) {
            sink_.row8(y, stored);
        } else {
            expand8(stored);
            sink_.row8(y, row_.data());
        }
    }

private:
    unsigned sample(const std::uint8_t* stored, std::size_t i) const {
        const auto depth = static_cast<std::size_t>(header_.depth);
        const std::size_t bit = i * depth;
        return static_cast<unsigned>(stored[bit / 8] >> (8 - depth - bit % 8)) &
               ((1u << depth) - 1);
    }

    void expand8(const std::uint8_t* stored) {
        const auto width = static_cast<std::size_t>(header_.size.width);
        const auto in = static_cast<std::size_t>(header_.stored_channels());
        const auto out = static_cast<std::size_t>(header_.channels(key_));
        const bool palette = header_.colour_type == PNG_COLOR_TYPE_PALETTE;
        const unsigned stretch = 255u / ((1u << header_.depth) - 1); // exact for 1, 2, 4 and 8 bits
        for (std::size_t x = 0; x < width; x++) {
            std::uint8_t* to = row_.data() + x * out;
            if (palette) {
                std::copy_n(palette_[sample(stored, x)].data(), out, to);
                continue;
            }
            bool clear = has_colour_key_;
            for (std::size_t c = 0; c < in; c++) {
                const unsigned v = sample(stored, x * in + c);
                clear = clear && v == colour_key_[c];
                to[c] = static_cast<std::uint8_t>(v * stretch);
            }
            if (out > in) to[in] = clear ? 0 : 255;
        }
    }

    void expand16(const std::uint8_t* stored) {
        const auto width = static_cast<std::size_t>(header_.size.width);
        const auto in = static_cast<std::size_t>(header_.stored_channels());
        const auto out = static_cast<std::size_t>(header_.channels(key_));
        for (std::size_t x = 0; x < width; x++) {
            std::uint16_t* to = wide_.data() + x * out;
            bool clear = has_colour_key_;
            for (std::size_t c = 0; c < in; c++, stored += 2) {
                to[c] = static_cast<std::uint16_t>(stored[0] << 8 | stored[1]);
                clear = clear && to[c] == colour_key_[c];
            }
            if (out > in) to[in] = clear ? 0 : 65535;
        }
    }

    const png_header& header_;
    bool key_;
    row_sink& sink_;
    std::array<std::array<std::uint8_t, 4>, 256>
        palette_{}; // RGBA; entries that are not there are black
    bool has_colour_key_ = false;
    std::array<std::uint16_t, 3> colour_key_{};
    std::vector<std::uint8_t> row_;
    std::vector<std::uint16_t> wide_;
};

void configure(png_structp png, png_infop info, png_reader* reader, const png_header& h) {
    png_set_read_fn(png, reader, png_reader::read);
    png_set_user_limits(
        png, static_cast<png_uint_32>(h.size.width), static_cast<png_uint_32>(h.size.height)
    );
    png_set_chunk_malloc_max(png, max_chunk_bytes);
    // Profiles, texts and the like are not even inflated.
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
    png_set_check_for_invalid_index(png, 0);
    png_read_info(png, info);
}

result<void> read_rows(png_reader& reader, const png_header& h, row_expander& rows) {
    std::vector<std::uint8_t> row(h.row_bytes());
    for (int y = 0; y < h.size.height; y++) {
        RLX_CHECK(
            reader.run([&](png_structp png, png_infop) { png_read_row(png, row.data(), nullptr); }
            ).within(message("row ", y))
        );
        rows.row(y, row.data());
    }
    return {};
}

// Every pass touches rows of the whole picture.
result<void> read_interlaced(png_reader& reader, const png_header& h, row_expander& rows) {
    const std::size_t stride = h.row_bytes();
    std::vector<std::uint8_t> all(stride * static_cast<std::size_t>(h.size.height));
    std::vector<png_bytep> starts(static_cast<std::size_t>(h.size.height));
    for (std::size_t y = 0; y < starts.size(); y++)
        starts[y] = all.data() + y * stride;
    RLX_CHECK(reader.run([&](png_structp png, png_infop) { png_read_image(png, starts.data()); }));
    for (std::size_t y = 0; y < starts.size(); y++)
        rows.row(static_cast<int>(y), starts[y]);
    return {};
}

} // namespace

result<void> read_png(bytes file, const png_header& header, bool with_transparency, row_sink& to) {
    png_reader reader(file);
    RLX_CHECK(reader.open());
    row_expander rows(header, with_transparency, to);
    RLX_CHECK(reader.run([&](png_structp png, png_infop info) {
        configure(png, info, &reader, header);
        png_set_interlace_handling(png);
        png_read_update_info(png, info);
        rows.prepare(png, info);
    }));
    std::uint64_t row_bytes = 0;
    RLX_CHECK(reader.run([&](png_structp png, png_infop info) {
        row_bytes = png_get_rowbytes(png, info);
    }));
    if (row_bytes != header.row_bytes())
        return error{
            RLX_INTERNAL,
            message("libpng wants ", row_bytes, " bytes for a row of ", header.row_bytes())};
    rows.start();
    RLX_CHECK(
        header.interlaced ? read_interlaced(reader, header, rows) : read_rows(reader, header, rows)
    );
    return reader.run([](png_structp png, png_infop) { png_read_end(png, nullptr); });
}

} // namespace rlx::media
