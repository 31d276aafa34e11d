// SPDX-License-Identifier: GPL-3.0-only
#include "rlx/embedding.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace rlx {
namespace {

struct pooling_word {
    pooling kind;
    std::string_view name;
};

constexpr pooling_word poolings[] = {
    {pooling::from_checkpoint, "auto"},
    {pooling::last, "last"},
    {pooling::mean, "mean"},
    {pooling::cls, "cls"},
    {pooling::max, "max"},
    {pooling::weighted_mean, "weighted-mean"},
    {pooling::mean_sqrt_len, "mean-sqrt-len"},
    {pooling::none, "none"}};

std::vector<float> largest(std::span<const float> rows, std::size_t width) {
    std::vector<float> out(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(width));
    for (std::size_t i = width; i < rows.size(); ++i)
        out[i % width] = std::max(out[i % width], rows[i]);
    return out;
}

std::vector<float>
averaged(std::span<const float> rows, std::size_t width, pooling kind, std::size_t skipped) {
    const std::size_t n = rows.size() / width;
    std::vector<double> sum(width);
    double weights = 0;
    for (std::size_t row = 0; row < n; ++row) {
        const double weight =
            kind == pooling::weighted_mean ? static_cast<double>(skipped + row + 1) : 1.0;
        weights += weight;
        for (std::size_t i = 0; i < width; ++i)
            sum[i] += weight * static_cast<double>(rows[row * width + i]);
    }
    if (kind == pooling::mean_sqrt_len) weights = std::sqrt(weights);
    std::vector<float> out(width);
    std::ranges::transform(sum, out.begin(), [&](double s) {
        return static_cast<float>(s / weights);
    });
    return out;
}

double product(std::span<const float> a, std::span<const float> b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i)
        sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
    return sum;
}

} // namespace

std::string_view pooling_name(pooling kind) {
    return std::ranges::find(poolings, kind, &pooling_word::kind)->name;
}

std::optional<pooling> pooling_named(std::string_view name) {
    const auto* at = std::ranges::find(poolings, name, &pooling_word::name);
    return at == std::end(poolings) ? std::nullopt : std::optional(at->kind);
}

std::vector<float>
pool_rows(std::span<const float> rows, std::size_t width, pooling kind, std::size_t skipped) {
    rows = rows.subspan(skipped * width);
    switch (kind) {
    case pooling::none: return {rows.begin(), rows.end()};
    case pooling::cls: return {rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(width)};
    case pooling::last: return {rows.end() - static_cast<std::ptrdiff_t>(width), rows.end()};
    case pooling::max: return largest(rows, width);
    default: return averaged(rows, width, kind, skipped);
    }
}

void scale_to_unit(std::span<float> values) {
    constexpr double least = 1e-12;
    const double factor = 1 / std::max(std::sqrt(product(values, values)), least);
    for (float& v : values)
        v = static_cast<float>(static_cast<double>(v) * factor);
}

void layer_norm(std::span<float> values, double eps) {
    const auto n = static_cast<double>(values.size());
    double mean = 0, variance = 0;
    for (const float v : values)
        mean += static_cast<double>(v) / n;
    for (const float v : values)
        variance += (static_cast<double>(v) - mean) * (static_cast<double>(v) - mean) / n;
    const double factor = 1 / std::sqrt(variance + eps);
    for (float& v : values)
        v = static_cast<float>((static_cast<double>(v) - mean) * factor);
}

result<std::vector<std::int32_t>> truncate_ids(
    std::span<const std::int32_t> whole, std::span<const std::int32_t> plain, std::int64_t most
) {
    const auto limit = static_cast<std::size_t>(most);
    if (whole.size() <= limit) return std::vector<std::int32_t>(whole.begin(), whole.end());
    const auto inside = std::ranges::search(whole, plain);
    if (plain.empty() || inside.empty())
        return error{
            RLX_INVALID_ARGUMENT,
            "the text cannot be truncated: its special tokens are not around it"};
    const std::size_t special = whole.size() - plain.size();
    if (special >= limit)
        return error{
            RLX_INVALID_ARGUMENT,
            fmt::format("max_length {} has no room beside {} special tokens", most, special)};
    std::vector<std::int32_t> out(whole.begin(), inside.begin());
    const auto kept = plain.first(limit - special);
    out.insert(out.end(), kept.begin(), kept.end());
    out.insert(out.end(), inside.end(), whole.end());
    return out;
}

std::optional<similarity> similarity_named(std::string_view name) {
    constexpr std::string_view names[] = {"cosine", "dot", "euclidean", "manhattan"};
    const auto* at = std::ranges::find(names, name);
    if (at == std::end(names)) return std::nullopt;
    return static_cast<similarity>(at - names);
}

double similar(std::span<const float> a, std::span<const float> b, similarity how) {
    if (how == similarity::euclidean || how == similarity::manhattan) {
        double sum = 0;
        for (std::size_t i = 0; i < a.size(); ++i) {
            const double apart = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
            sum += how == similarity::euclidean ? apart * apart : apart;
        }
        return how == similarity::euclidean ? -std::sqrt(sum) : -sum;
    }
    const double dot = product(a, b);
    if (how == similarity::dot) return dot;
    const double lengths = std::sqrt(product(a, a)) * std::sqrt(product(b, b));
    return lengths > 0 ? dot / lengths : 0;
}

} // namespace rlx
