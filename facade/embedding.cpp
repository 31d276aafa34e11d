// SPDX-License-Identifier: GPL-3.0-only
#include "rlx/embedding.hpp"

#include "rlx/base/mmap.hpp"
#include "rlx/base/utf8.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>

namespace rlx {
namespace {

namespace fs = std::filesystem;
using json = nlohmann::json;

error other_pooling(std::string_view where, std::string_view what) {
    return {
        RLX_UNSUPPORTED,
        fmt::format(
            "{}: the checkpoint was trained for pooling '{}'; 'last' and 'mean' are done, "
            "choose one to use it nevertheless",
            where,
            printable(what)
        )};
}

// The numbers that llama.cpp's GGUF files use.
result<pooling> gguf_pooling(const weights& w) {
    const std::string key = fmt::format("{}.pooling_type", w.stored_architecture());
    const auto type = w.meta_int(key);
    if (!type) return pooling::mean;
    constexpr std::int64_t mean = 1, last = 3;
    if (*type == mean) return pooling::mean;
    if (*type == last) return pooling::last;
    constexpr std::string_view names[] = {"none", "mean", "cls", "last", "rank"};
    return other_pooling(
        fmt::format("{}: {}", w.path().string(), key),
        *type >= 0 && *type < std::ssize(names) ? std::string(names[*type]) : std::to_string(*type)
    );
}

// sentence-transformers' pooling module: one flag per kind.
result<pooling> module_pooling(const fs::path& file) {
    constexpr std::uint64_t largest = 1 << 20;
    const std::string text = RLX_TRY(read_text_file(file, largest));
    const json config = json::parse(text, nullptr, false);
    if (!config.is_object())
        return error{RLX_CORRUPT_DATA, fmt::format("{}: expected a JSON object", file.string())};
    std::vector<std::string> chosen;
    for (const auto& [key, value] : config.items())
        if (key.starts_with("pooling_mode_") && value.is_boolean() && value.get<bool>())
            chosen.push_back(key.substr(std::string_view("pooling_mode_").size()));
    if (chosen == std::vector<std::string>{"lasttoken"}) return pooling::last;
    if (chosen == std::vector<std::string>{"mean_tokens"}) return pooling::mean;
    return other_pooling(file.string(), fmt::format("{}", fmt::join(chosen, " + ")));
}

} // namespace

result<pooling> checkpoint_pooling(const weights& w) {
    if (w.format() == "gguf") return gguf_pooling(w);
    // A plugin's format is one file; what belongs to it lies beside it, as the sidecars do.
    std::error_code ignored;
    const fs::path folder = fs::is_directory(w.path(), ignored) ? w.path() : w.path().parent_path();
    const fs::path file = folder / "1_Pooling" / "config.json";
    if (!fs::exists(file, ignored)) return pooling::mean;
    return module_pooling(file);
}

std::vector<float> pool_rows(std::span<const float> rows, std::size_t width, pooling kind) {
    if (kind == pooling::last) return {rows.end() - static_cast<std::ptrdiff_t>(width), rows.end()};
    std::vector<double> sum(width);
    for (std::size_t i = 0; i < rows.size(); ++i)
        sum[i % width] += static_cast<double>(rows[i]);
    std::vector<float> out(width);
    const auto n = static_cast<double>(rows.size() / width);
    std::ranges::transform(sum, out.begin(), [n](double s) { return static_cast<float>(s / n); });
    return out;
}

void scale_to_unit(std::span<float> values) {
    double square = 0;
    for (const float v : values)
        square += static_cast<double>(v) * static_cast<double>(v);
    if (!(square > 0)) return;
    const double factor = 1 / std::sqrt(square);
    for (float& v : values)
        v = static_cast<float>(static_cast<double>(v) * factor);
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
            fmt::format("max_seq {} has no room beside {} special tokens", most, special)};
    std::vector<std::int32_t> out(whole.begin(), inside.begin());
    const auto kept = plain.first(limit - special);
    out.insert(out.end(), kept.begin(), kept.end());
    out.insert(out.end(), inside.end(), whole.end());
    return out;
}

} // namespace rlx
