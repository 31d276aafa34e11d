// SPDX-License-Identifier: GPL-3.0-only
#include "rlx/formats/npy.hpp"

#include "rlx/base/checked.hpp"
#include "rlx/base/mmap.hpp"
#include "rlx/base/utf8.hpp"

#include <bit>
#include <charconv>
#include <cstring>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <optional>

namespace rlx {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::string_view magic("\x93NUMPY", 6);
constexpr std::size_t alignment = 64;
constexpr std::size_t max_header = 1 << 16;

error broken(std::string_view name, std::string_view what) {
    return {RLX_CORRUPT_DATA, fmt::format("{}: {}", name, what)};
}

// The text between `key': ` and the end of its value in the header's Python dictionary; the keys
// are fixed, so no parser for the language is needed.
std::optional<std::string_view> value_of(std::string_view dict, std::string_view key) {
    for (const char quote : {'\'', '"'}) {
        const std::string quoted = fmt::format("{}{}{}", quote, key, quote);
        std::size_t at = dict.find(quoted);
        if (at == dict.npos) continue;
        at = dict.find(':', at + quoted.size());
        if (at == dict.npos) return std::nullopt;
        at = dict.find_first_not_of(" \t", at + 1);
        if (at == dict.npos) return std::nullopt;
        const char open = dict[at];
        const bool text = open == '\'' || open == '"';
        const std::size_t end =
            text ? dict.find(open, at + 1) : dict.find_first_of(open == '(' ? ")" : ",}", at + 1);
        if (end == dict.npos) return std::nullopt;
        return dict.substr(at, end - at + (text || open == '(' ? 1 : 0));
    }
    return std::nullopt;
}

// "(2, 3)", "(5,)", "()"
std::optional<std::vector<std::int64_t>> parse_shape(std::string_view text) {
    if (text.size() < 2 || text.front() != '(') return std::nullopt;
    text = text.substr(1, text.size() - 2);
    std::vector<std::int64_t> out;
    while (true) {
        const std::size_t at = text.find_first_not_of(" \t");
        if (at == text.npos) return out;
        text.remove_prefix(at);
        std::int64_t n = 0;
        const auto [end, bad] = std::from_chars(text.data(), text.data() + text.size(), n);
        if (bad != std::errc() || n < 0) return std::nullopt;
        text.remove_prefix(static_cast<std::size_t>(end - text.data()));
        if (text.starts_with('L')) text.remove_prefix(1); // written by Python 2
        out.push_back(n);
        const std::size_t next = text.find_first_not_of(" \t");
        if (next == text.npos) return out;
        if (text[next] != ',') return std::nullopt;
        text.remove_prefix(next + 1);
    }
}

struct header {
    std::string_view dict;
    std::size_t data; // where the elements begin
};

result<header> find_header(std::span<const std::byte> file, std::string_view name) {
    constexpr std::size_t fixed = 8; // magic and version
    const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
    if (!text.starts_with(magic))
        return broken(
            name,
            text.starts_with("PK") ? "is an .npz archive; save one array with numpy.save"
                                   : "is no .npy file (it does not begin with \\x93NUMPY)"
        );
    const std::size_t wide = text.size() > magic.size() && text[magic.size()] >= 2 ? 4 : 2;
    if (text.size() < fixed + wide)
        return broken(name, fmt::format("ends in its header, after {} bytes", text.size()));
    std::uint32_t n = 0;
    std::memcpy(&n, text.data() + fixed, wide);
    if (n > max_header || text.size() - fixed - wide < n)
        return broken(
            name, fmt::format("ends in its header: {} of {} bytes", text.size(), fixed + wide + n)
        );
    return header{text.substr(fixed + wide, n), fixed + wide + n};
}

} // namespace

std::string
npy_header(std::string_view type, std::span<const std::int64_t> shape, std::size_t min_bytes) {
    constexpr std::size_t before = 10; // magic, version, length
    std::string dict = fmt::format(
        "{{'descr': '{}', 'fortran_order': False, 'shape': ({}{}), }}",
        type,
        fmt::join(shape, ", "),
        shape.size() == 1 ? "," : ""
    );
    while ((before + dict.size() + 1) % alignment != 0 || before + dict.size() + 1 < min_bytes)
        dict += ' ';
    dict += '\n';
    std::string out(magic);
    out += {'\1', '\0', static_cast<char>(dict.size() & 255), static_cast<char>(dict.size() >> 8)};
    return out + dict;
}

result<npy_array> parse_npy(std::span<const std::byte> file, std::string_view name) {
    const header h = RLX_TRY(find_header(file, name));
    const auto type = value_of(h.dict, "descr"), order = value_of(h.dict, "fortran_order"),
               sizes = value_of(h.dict, "shape");
    const auto shape = sizes ? parse_shape(*sizes) : std::nullopt;
    if (!type || !order || !shape)
        return broken(
            name, fmt::format("the header is not understood: {}", printable(h.dict.substr(0, 200)))
        );
    if (*type != "'<f4'" && *type != "\"<f4\"")
        return broken(
            name,
            fmt::format(
                "elements are {}, expected float32 ('<f4'); save it with .astype('float32')",
                printable(*type)
            )
        );
    if (*order != "False")
        return broken(name, "is in Fortran order; save it with numpy.ascontiguousarray");
    std::optional<std::uint64_t> n = sizeof(float);
    for (const std::int64_t size : *shape)
        n = n ? checked_mul(*n, static_cast<std::uint64_t>(size)) : n;
    const std::size_t have = file.size() - h.data;
    if (!n || *n != have)
        return broken(
            name,
            fmt::format(
                "shape ({}) of float32 needs {} bytes behind the header, the file has {}",
                fmt::join(*shape, ", "),
                n ? std::to_string(*n) : "too many",
                have
            )
        );
    npy_array out{*shape, std::vector<float>(have / sizeof(float))};
    if (have > 0) std::memcpy(out.values.data(), file.data() + h.data, have);
    return out;
}

result<npy_array> read_npy(const std::filesystem::path& file, std::uint64_t max_bytes) {
    const mapped_file map = RLX_TRY(mapped_file::open(file));
    if (map.size() > max_bytes)
        return broken(
            file.string(), fmt::format("{} bytes, at most {} are read", map.size(), max_bytes)
        );
    return parse_npy(map.bytes(), file.string());
}

} // namespace rlx
