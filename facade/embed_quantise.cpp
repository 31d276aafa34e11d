// SPDX-License-Identifier: GPL-3.0-only
// Vectors in 8 bits and in one bit per dimension, as sentence-transformers' quantize_embeddings
// stores them.
#include "rlx/embedding.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace rlx {
namespace {

struct quantisation_word {
    quantisation kind;
    std::string_view name;
};

constexpr quantisation_word words[] = {
    {quantisation::none, "none"},
    {quantisation::int8, "int8"},
    {quantisation::uint8, "uint8"},
    {quantisation::binary, "binary"},
    {quantisation::ubinary, "ubinary"}};

error invalid(std::string message) {
    return {RLX_INVALID_ARGUMENT, std::move(message)};
}

result<std::vector<std::uint8_t>> bits_of(std::span<const float> values, std::uint8_t shift) {
    if (values.size() % 8 != 0)
        return invalid(fmt::format(
            "binary vectors have 8 dimensions in a byte, {} dimensions leave a part", values.size()
        ));
    std::vector<std::uint8_t> out(values.size() / 8);
    for (std::size_t i = 0; i < values.size(); ++i)
        if (values[i] > 0) out[i / 8] |= static_cast<std::uint8_t>(0x80U >> (i % 8));
    for (std::uint8_t& byte : out)
        byte = static_cast<std::uint8_t>(byte - shift);
    return out;
}

// In float like numpy's. A dimension without extent has steps of 1.
std::uint8_t step_of(float value, float low, float high, quantisation kind) {
    constexpr float most = 255;
    const float size = (high - low) / most;
    const float step = std::floor((value - low) / (size == 0 ? 1 : size));
    const auto byte = static_cast<std::uint8_t>(std::clamp(step, 0.0F, most));
    return kind == quantisation::uint8 ? byte : static_cast<std::uint8_t>(byte - 128);
}

// The range of every dimension, in order; its extent is finite too.
result<void> check_ranges(const value_ranges& ranges) {
    for (std::size_t i = 0; i < ranges.low.size(); ++i)
        if (!std::isfinite(ranges.high[i] - ranges.low[i]) || ranges.high[i] < ranges.low[i])
            return invalid(fmt::format(
                "the range of dimension {} is {} to {}, expected two numbers, the smaller first",
                i,
                ranges.low[i],
                ranges.high[i]
            ));
    return {};
}

} // namespace

std::string_view quantisation_name(quantisation kind) {
    return std::ranges::find(words, kind, &quantisation_word::kind)->name;
}

std::optional<quantisation> quantisation_named(std::string_view name) {
    const auto* at = std::ranges::find(words, name, &quantisation_word::name);
    return at == std::end(words) ? std::nullopt : std::optional(at->kind);
}

void value_ranges::include(std::span<const float> values) {
    if (low.empty()) {
        low.assign(values.begin(), values.end());
        high = low;
    }
    for (std::size_t i = 0; i < std::min(values.size(), low.size()); ++i) {
        low[i] = std::min(low[i], values[i]);
        high[i] = std::max(high[i], values[i]);
    }
}

result<std::vector<std::uint8_t>>
quantise(std::span<const float> values, quantisation kind, const value_ranges& ranges) {
    for (const float v : values)
        if (!std::isfinite(v)) return invalid("a vector that is not finite cannot be quantised");
    if (kind == quantisation::binary) return bits_of(values, 128);
    if (kind == quantisation::ubinary) return bits_of(values, 0);
    if (kind == quantisation::none) return invalid("quantisation none has no bytes");
    if (ranges.low.size() != values.size() || ranges.high.size() != values.size())
        return invalid(fmt::format(
            "{} needs the range of each of the {} dimensions, {} given",
            quantisation_name(kind),
            values.size(),
            ranges.low.size()
        ));
    RLX_CHECK(check_ranges(ranges));
    std::vector<std::uint8_t> out(values.size());
    for (std::size_t i = 0; i < values.size(); ++i)
        out[i] = step_of(values[i], ranges.low[i], ranges.high[i], kind);
    return out;
}

} // namespace rlx
