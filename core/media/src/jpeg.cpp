// SPDX-License-Identifier: GPL-3.0-only
// libjpeg-turbo with its exact integer transform and smooth upsampling, the settings PIL uses.
#include "jpeg.hpp"

#include "exif.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include <csetjmp>
#include <cstdio> // jpeglib.h needs FILE
#include <jpeglib.h>

// Its numbers depend on what jpeglib.h defines.
#include <jerror.h>

namespace rlx::media {
namespace {

// Real files have 10 or so. Each costs a pass over all coefficients, so a small file with very many
// keeps a machine busy for hours.
constexpr int max_scans = 100;
constexpr unsigned app1 = JPEG_APP0 + 1;

constexpr std::string_view exif_name("Exif\0\0", 6);
constexpr std::string_view xmp_name("http://ns.adobe.com/xap/1.0/\0", 29);

// Damage after which libjpeg goes on with made-up pixels. Its other warnings change none.
bool loses_pixels(int code) {
    return code == JWRN_HIT_MARKER || code == JWRN_HUFF_BAD_CODE || code == JWRN_ARITH_BAD_CODE ||
           code == JWRN_JPEG_EOF || code == JWRN_MUST_RESYNC;
}

class jpeg_reader {
public:
    explicit jpeg_reader(bytes file) : file_(file) {
        cinfo_.err = jpeg_std_error(&errors_);
        cinfo_.client_data = this;
        errors_.error_exit = on_error;
        errors_.emit_message = on_message;
        errors_.output_message = [](j_common_ptr) {};
        progress_.progress_monitor = on_progress;
    }

    ~jpeg_reader() {
        if (created_) jpeg_destroy_decompress(&cinfo_);
    }

    jpeg_reader(const jpeg_reader&) = delete;
    jpeg_reader& operator=(const jpeg_reader&) = delete;

    // Runs libjpeg code. It leaves by longjmp on an error, so nothing with a destructor may live in
    // f.
    template <class F>
    result<void> run(F f) {
        if (setjmp(back_) != 0) return failure();
        f(cinfo_);
        return {};
    }

    result<jpeg_header> header(const image_limits& limits);
    result<void> check_room() const;
    result<void> check_scans() const;

    result<void> start() {
        return run([this](jpeg_decompress_struct& c) {
            if (c.num_components == 4)
                c.out_color_space = JCS_CMYK;
            else if (c.num_components == 1)
                c.out_color_space = JCS_GRAYSCALE;
            else
                c.out_color_space = JCS_RGB;
            c.progress = &progress_;
            jpeg_start_decompress(&c);
        });
    }

private:
    [[gnu::noinline]] error failure() const;
    int orientation() const;

    static jpeg_reader& self(j_common_ptr c) { return *static_cast<jpeg_reader*>(c->client_data); }

    [[noreturn]] static void on_error(j_common_ptr c) {
        (*c->err->format_message)(c, self(c).text_.data());
        longjmp(self(c).back_, 1);
    }

    static void on_message(j_common_ptr c, int level) {
        if (level < 0 && loses_pixels(c->err->msg_code)) on_error(c);
    }

    // Called before every piece of input of a file with several scans.
    static void on_progress(j_common_ptr c) {
        auto& me = self(c);
        const auto& d = me.cinfo_;
        if (d.input_scan_number > max_scans) {
            me.too_many_scans_ = true;
            on_error(c);
        }
        for (int i = 0; i < d.comps_in_scan; i++)
            if (d.cur_comp_info[i]) me.seen_ |= 1u << (d.cur_comp_info[i]->component_index & 31);
    }

    bytes file_;
    jpeg_decompress_struct cinfo_{};
    jpeg_error_mgr errors_{};
    jpeg_progress_mgr progress_{};
    std::jmp_buf back_{};
    std::array<char, JMSG_LENGTH_MAX> text_{};
    bool created_ = false;
    bool too_many_scans_ = false;
    unsigned seen_ = 0; // components of all scans
};

error jpeg_reader::failure() const {
    const std::size_t left = cinfo_.src ? cinfo_.src->bytes_in_buffer : 0;
    const std::size_t at = file_.size() - std::min(left, file_.size());
    if (too_many_scans_)
        return {RLX_CORRUPT_DATA, message("JPEG of more than ", max_scans, " scans at byte ", at)};
    const int code = errors_.msg_code;
    if (code == JERR_OUT_OF_MEMORY) return {RLX_OUT_OF_MEMORY, "no memory to read a JPEG"};
    if (code == JWRN_JPEG_EOF)
        return {
            RLX_CORRUPT_DATA, message("damaged JPEG: the file ends early, at byte ", file_.size())};
    const bool unsupported = code == JERR_SOF_UNSUPPORTED || code == JERR_BAD_PRECISION ||
                             code == JERR_CONVERSION_NOTIMPL || code == JERR_ARITH_NOTIMPL;
    if (unsupported)
        return {
            RLX_UNSUPPORTED,
            message("JPEG of a kind that is not supported, at byte ", at, ": ", text_.data())};
    return {RLX_CORRUPT_DATA, message("damaged JPEG before byte ", at, ": ", text_.data())};
}

int jpeg_reader::orientation() const {
    int xmp = 0;
    for (auto* m = cinfo_.marker_list; m; m = m->next) {
        if (m->marker != app1) continue;
        const bytes data = std::as_bytes(std::span(m->data, m->data_length));
        const std::string_view text(reinterpret_cast<const char*>(m->data), m->data_length);
        if (text.starts_with(exif_name))
            if (const int o = exif_orientation(data.subspan(exif_name.size()))) return o;
        if (text.starts_with(xmp_name) && xmp == 0)
            xmp = xmp_orientation(data.subspan(xmp_name.size()));
    }
    return std::max(1, xmp);
}

result<jpeg_header> jpeg_reader::header(const image_limits& limits) {
    RLX_CHECK(run([this](jpeg_decompress_struct& c) {
        jpeg_create_decompress(&c);
        created_ = true;
        jpeg_mem_src(&c, reinterpret_cast<const unsigned char*>(file_.data()), file_.size());
        jpeg_save_markers(&c, static_cast<int>(app1), 0xffff);
        jpeg_read_header(&c, TRUE);
    }));
    if (auto ok = check_extent(cinfo_.image_height, cinfo_.image_width, limits, RLX_CORRUPT_DATA);
        !ok)
        return std::move(ok.error()).within("JPEG header");
    const int n = cinfo_.num_components;
    if (n != 1 && n != 3 && n != 4)
        return error{
            RLX_UNSUPPORTED, message("a JPEG of ", n, " components; 1, 3 and 4 are supported")};
    RLX_CHECK(check_room());
    return jpeg_header{
        {static_cast<int>(cinfo_.image_height), static_cast<int>(cinfo_.image_width)},
        n,
        orientation()};
}

// With Huffman codes no block of 8 x 8 samples takes less than a bit, so a short file cannot claim
// a huge picture.
result<void> jpeg_reader::check_room() const {
    std::uint64_t blocks = 0;
    for (int i = 0; i < cinfo_.num_components; i++)
        blocks += std::uint64_t{cinfo_.comp_info[i].width_in_blocks} *
                  cinfo_.comp_info[i].height_in_blocks;
    if (cinfo_.arith_code || blocks / 8 <= file_.size()) return {};
    return error{
        RLX_CORRUPT_DATA,
        message(
            "damaged JPEG: its ",
            file_.size(),
            " bytes cannot hold ",
            extent{static_cast<int>(cinfo_.image_height), static_cast<int>(cinfo_.image_width)},
            " pixels"
        )};
}

// A file may end properly and still lack a whole component.
result<void> jpeg_reader::check_scans() const {
    if (seen_ == 0) return {}; // one scan holds all
    for (int i = 0; i < cinfo_.num_components; i++)
        if ((seen_ >> i & 1) == 0)
            return error{RLX_CORRUPT_DATA, message("damaged JPEG: no scan holds component ", i)};
    return {};
}

// PIL's conversion after turning the values around: inverted ink times black, rounded exactly.
void cmyk_to_rgb(const std::uint8_t* from, std::uint8_t* to, int width) {
    for (int x = 0; x < width; x++, from += 4, to += 3) {
        const int rest = from[3]; // 255 - black
        for (int c = 0; c < 3; c++) {
            const int ink = (255 - from[c]) * rest + 128;
            to[c] = static_cast<std::uint8_t>(std::clamp(rest - (((ink >> 8) + ink) >> 8), 0, 255));
        }
    }
}

} // namespace

bool is_jpeg(bytes file) {
    return file.size() >= 3 && byte_at(file, 0) == 0xff && byte_at(file, 1) == 0xd8 &&
           byte_at(file, 2) == 0xff;
}

result<jpeg_header> read_jpeg_header(bytes file, const image_limits& limits) {
    jpeg_reader reader(file);
    return reader.header(limits);
}

result<jpeg_header> read_jpeg(bytes file, const image_limits& limits, row_sink& to) {
    jpeg_reader reader(file);
    const jpeg_header header = RLX_TRY(reader.header(limits));
    RLX_CHECK(reader.start());
    RLX_CHECK(reader.check_scans());
    const bool cmyk = header.components == 4;
    const int channels = cmyk ? 3 : header.components;
    const auto width = static_cast<std::size_t>(header.size.width);
    std::vector<std::uint8_t> row(width * static_cast<std::size_t>(header.components));
    std::vector<std::uint8_t> rgb(cmyk ? width * 3 : 0);
    to.start(header.size, channels);
    for (int y = 0; y < header.size.height; y++) {
        RLX_CHECK(reader
                      .run([&](jpeg_decompress_struct& c) {
                          JSAMPROW rows[1] = {row.data()};
                          jpeg_read_scanlines(&c, rows, 1);
                      })
                      .within(message("row ", y)));
        if (cmyk) cmyk_to_rgb(row.data(), rgb.data(), header.size.width);
        to.row8(y, cmyk ? rgb.data() : row.data());
    }
    // Reads on to the end marker: a file without one was cut.
    RLX_CHECK(reader.run([](jpeg_decompress_struct& c) { jpeg_finish_decompress(&c); }));
    return header;
}

} // namespace rlx::media
