// SPDX-License-Identifier: GPL-3.0-only
// Decoding of metadata values. The parser has checked that every value lies inside the file.
#include "rlx/formats/gguf.hpp"

#include <cstring>

namespace rlx {
namespace {

template <class T>
T load(const std::byte* p) {
    T v;
    std::memcpy(&v, p, sizeof(T));
    return v;
}

std::string_view load_string(const std::byte* p) {
    return {reinterpret_cast<const char*>(p + 8), static_cast<std::size_t>(load<std::uint64_t>(p))};
}

std::size_t width(gguf_type t) {
    switch (t) {
    case gguf_type::u8:
    case gguf_type::i8:
    case gguf_type::boolean: return 1;
    case gguf_type::u16:
    case gguf_type::i16: return 2;
    case gguf_type::u32:
    case gguf_type::i32:
    case gguf_type::f32: return 4;
    default: return 8;
    }
}

template <class T, class F>
std::optional<std::vector<T>> collect(const gguf_value& v, F get) {
    if (v.type != gguf_type::array) return std::nullopt;
    std::vector<T> out;
    if (v.element == gguf_type::array) return v.count == 0 ? std::optional(out) : std::nullopt;
    out.reserve(v.count);
    const std::byte* p = v.data;
    for (std::uint64_t i = 0; i < v.count; i++) {
        std::optional<T> item = get(gguf_value{v.element, v.element, 1, p});
        if (!item) return std::nullopt;
        out.push_back(*item);
        p += v.element == gguf_type::string ? 8 + load<std::uint64_t>(p) : width(v.element);
    }
    return out;
}

} // namespace

std::string_view gguf_type_name(gguf_type t) {
    static constexpr std::string_view names[] = {
        "u8",
        "i8",
        "u16",
        "i16",
        "u32",
        "i32",
        "f32",
        "bool",
        "string",
        "array",
        "u64",
        "i64",
        "f64"};
    auto i = static_cast<std::size_t>(t);
    return i < std::size(names) ? names[i] : "unknown";
}

std::optional<std::int64_t> gguf_value::integer() const {
    switch (type) {
    case gguf_type::u8: return load<std::uint8_t>(data);
    case gguf_type::i8: return load<std::int8_t>(data);
    case gguf_type::u16: return load<std::uint16_t>(data);
    case gguf_type::i16: return load<std::int16_t>(data);
    case gguf_type::u32: return load<std::uint32_t>(data);
    case gguf_type::i32: return load<std::int32_t>(data);
    case gguf_type::i64: return load<std::int64_t>(data);
    case gguf_type::u64: {
        auto v = load<std::uint64_t>(data);
        return v <= INT64_MAX ? std::optional(static_cast<std::int64_t>(v)) : std::nullopt;
    }
    default: return std::nullopt;
    }
}

std::optional<double> gguf_value::number() const {
    switch (type) {
    case gguf_type::f32: return load<float>(data);
    case gguf_type::f64: return load<double>(data);
    case gguf_type::u64: return static_cast<double>(load<std::uint64_t>(data));
    default: {
        auto i = integer();
        return i ? std::optional(static_cast<double>(*i)) : std::nullopt;
    }
    }
}

std::optional<bool> gguf_value::boolean() const {
    if (type != gguf_type::boolean) return std::nullopt;
    return load<std::uint8_t>(data) != 0;
}

std::optional<std::string_view> gguf_value::string() const {
    if (type != gguf_type::string) return std::nullopt;
    return load_string(data);
}

std::optional<std::vector<std::string_view>> gguf_value::strings() const {
    return collect<std::string_view>(*this, [](const gguf_value& v) { return v.string(); });
}

std::optional<std::vector<double>> gguf_value::numbers() const {
    return collect<double>(*this, [](const gguf_value& v) { return v.number(); });
}

std::optional<std::vector<std::int64_t>> gguf_value::integers() const {
    return collect<std::int64_t>(*this, [](const gguf_value& v) -> std::optional<std::int64_t> {
        if (auto b = v.boolean()) return *b ? 1 : 0;
        return v.integer();
    });
}

std::optional<gguf_value> gguf_value::at(std::uint64_t i) const {
    if (type != gguf_type::array || element == gguf_type::array || i >= count) return std::nullopt;
    const std::byte* p = data;
    if (element == gguf_type::string) {
        for (std::uint64_t skip = 0; skip < i; skip++)
            p += 8 + load<std::uint64_t>(p);
    } else {
        p += i * width(element);
    }
    return gguf_value{element, element, 1, p};
}

} // namespace rlx
