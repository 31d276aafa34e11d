// SPDX-License-Identifier: GPL-3.0-only
#include "exif.hpp"

#include <algorithm>

namespace rlx::media {
namespace {

constexpr std::uint32_t orientation_tag = 0x0112;
constexpr std::uint32_t type_byte = 1, type_short = 3, type_long = 4;
constexpr std::size_t entry_size = 12;

class tiff_reader {
public:
    tiff_reader(bytes b, bool little) : bytes_(b), little_(little) {}

    // 0 outside the block, which no valid field needs.
    std::uint32_t number(std::size_t at, std::size_t size) const {
        if (at > bytes_.size() || size > bytes_.size() - at) return 0;
        std::uint32_t out = 0;
        for (std::size_t i = 0; i < size; i++)
            out = out << 8 | byte_at(bytes_, little_ ? at + size - 1 - i : at + i);
        return out;
    }

private:
    bytes bytes_;
    bool little_;
};

int valid(std::uint32_t orientation) {
    return orientation >= 1 && orientation <= 8 ? static_cast<int>(orientation) : 0;
}

} // namespace

int exif_orientation(bytes tiff) {
    if (tiff.size() < 8) return 0;
    const std::uint8_t first = byte_at(tiff, 0);
    if (first != byte_at(tiff, 1) || (first != 'I' && first != 'M')) return 0;
    const tiff_reader in(tiff, first == 'I');
    if (in.number(2, 2) != 42) return 0;
    const std::size_t folder = in.number(4, 4);
    const std::size_t entries = in.number(folder, 2);
    for (std::size_t i = 0; i < entries; i++) {
        const std::size_t at = folder + 2 + i * entry_size;
        if (at + entry_size > tiff.size()) return 0;
        if (in.number(at, 2) != orientation_tag) continue;
        const std::uint32_t type = in.number(at + 2, 2);
        const std::size_t size = type == type_byte    ? 1
                                 : type == type_short ? 2
                                 : type == type_long  ? 4
                                                      : 0;
        return size != 0 && in.number(at + 4, 4) == 1 ? valid(in.number(at + 8, size)) : 0;
    }
    return 0;
}

int xmp_orientation(bytes packet) {
    const std::string_view text(reinterpret_cast<const char*>(packet.data()), packet.size());
    constexpr std::string_view name = "tiff:Orientation";
    for (std::size_t at = text.find(name); at != text.npos; at = text.find(name, at + 1)) {
        std::string_view rest = text.substr(at + name.size());
        if (rest.starts_with("=\"")) {
            rest.remove_prefix(2);
        } else if (rest.starts_with(">")) {
            rest.remove_prefix(1);
        } else {
            continue;
        }
        if (!rest.empty() && rest[0] >= '0' && rest[0] <= '9')
            return valid(static_cast<std::uint32_t>(rest[0] - '0'));
    }
    return 0;
}

template <class T>
basic_image<T> oriented(basic_image<T> picture, int orientation) {
    if (orientation < 2 || orientation > 8) return picture;
    const bool swaps = orientation >= 5;
    const extent size =
        swaps ? extent{picture.width, picture.height} : extent{picture.height, picture.width};
    const bool mirror_x =
        orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    const bool mirror_y =
        orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    auto out = make_image<T>(size, picture.channels);
    const auto channels = static_cast<std::size_t>(picture.channels);
    for (int y = 0; y < size.height; y++) {
        T* to = row_of(out, y);
        for (int x = 0; x < size.width; x++, to += channels) {
            // The place in the stored picture that is shown at (x, y).
            int from_x = swaps ? y : x, from_y = swaps ? x : y;
            if (mirror_x) from_x = picture.width - 1 - from_x;
            if (mirror_y) from_y = picture.height - 1 - from_y;
            std::copy_n(
                row_of(picture, from_y) + static_cast<std::size_t>(from_x) * channels, channels, to
            );
        }
    }
    return out;
}

template image oriented(image, int);
template image16 oriented(image16, int);

} // namespace rlx::media
