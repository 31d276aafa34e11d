// SPDX-License-Identifier: GPL-3.0-only
#include "unicode/categories.hpp"

#include <array>
#include <cstddef>
#include <cstring>
#include <vector>

namespace rlx::text {
namespace {

constexpr std::uint32_t ranges[] = {
#include "unicode/categories.inc"
};

constexpr std::uint32_t code_point_count = 0x110000;
constexpr std::uint32_t block_size = 256;

// Two levels: equal blocks are shared, about 70 KB in all.
struct category_table {
    std::array<std::uint16_t, code_point_count / block_size> block_of{};
    std::vector<std::uint8_t> blocks;

    category_table() {
        std::size_t next_range = 0;
        std::uint8_t current = 0;
        std::array<std::uint8_t, block_size> block{};
        for (std::uint32_t first = 0; first < code_point_count; first += block_size) {
            for (std::uint32_t i = 0; i < block_size; ++i) {
                if (next_range < std::size(ranges) && (ranges[next_range] >> 8) == first + i)
                    current = static_cast<std::uint8_t>(ranges[next_range++] & 0xFF);
                block[i] = current;
            }
            block_of[first / block_size] = intern(block);
        }
    }

    std::uint16_t intern(const std::array<std::uint8_t, block_size>& block) {
        const std::size_t n = blocks.size() / block_size;
        for (std::size_t i = 0; i < n; ++i)
            if (std::memcmp(&blocks[i * block_size], block.data(), block_size) == 0)
                return static_cast<std::uint16_t>(i);
        blocks.insert(blocks.end(), block.begin(), block.end());
        return static_cast<std::uint16_t>(n);
    }
};

constexpr std::uint8_t classes_of_category(category c) {
    switch (c) {
    case category::lu:
    case category::lt: return cls_letter | cls_upper;
    case category::ll: return cls_letter | cls_lower;
    case category::lm:
    case category::lo: return cls_letter | cls_upper | cls_lower;
    case category::mn:
    case category::mc:
    case category::me: return cls_mark | cls_upper | cls_lower;
    case category::nd:
    case category::nl:
    case category::no: return cls_number;
    case category::pc:
    case category::pd:
    case category::ps:
    case category::pe:
    case category::pi:
    case category::pf:
    case category::po: return cls_punct;
    case category::zs:
    case category::zl:
    case category::zp: return cls_space;
    default: return 0;
    }
}

constexpr std::uint8_t ascii_classes(std::uint32_t c) {
    if ((c >= 'a' && c <= 'z')) return cls_letter | cls_lower;
    if ((c >= 'A' && c <= 'Z')) return cls_letter | cls_upper;
    if (c >= '0' && c <= '9') return cls_number;
    if (c == '\n' || c == '\r') return cls_space | cls_newline;
    if (c == ' ' || (c >= '\t' && c <= '\r')) return cls_space;
    constexpr const char* symbols = "$+<=>^`|~"; // S*, every other visible ASCII character is P*
    for (const char* s = symbols; *s; ++s)
        if (static_cast<std::uint32_t>(*s) == c) return 0;
    return c > ' ' && c < 0x7F ? cls_punct : 0;
}

constexpr std::array<std::uint8_t, 128> ascii_table = [] {
    std::array<std::uint8_t, 128> t{};
    for (std::uint32_t c = 0; c < 128; ++c)
        t[c] = ascii_classes(c);
    return t;
}();

constexpr std::array<std::uint8_t, 30> category_classes = [] {
    std::array<std::uint8_t, 30> t{};
    for (std::uint8_t c = 0; c < 30; ++c)
        t[c] = classes_of_category(static_cast<category>(c));
    return t;
}();

const category_table& table() {
    static const category_table t;
    return t;
}

} // namespace

category category_of(std::uint32_t cp) {
    if (cp >= code_point_count) return category::cn;
    const category_table& t = table();
    return static_cast<category>(
        t.blocks[t.block_of[cp / block_size] * block_size + cp % block_size]
    );
}

std::uint8_t classes_of(std::uint32_t cp) {
    if (cp < 128) return ascii_table[cp];
    if (cp == 0x85) return cls_space;
    return category_classes[static_cast<std::size_t>(category_of(cp))];
}

} // namespace rlx::text
