// SPDX-License-Identifier: GPL-3.0-only
// rlx-embed --ids-json: what a reference computes from padded ids, for comparing with it.
#include "embed_job.hpp"

#include "rlx/base/utf8.hpp"
#include "rlx/formats/npy.hpp"

#include <fmt/format.h>

namespace rlx::cli {
namespace {

struct padded {
    std::vector<embed_input> inputs; // without padding
    std::size_t length = 0;          // of the longest row, padding included
};

error wrong(const std::string& file, std::string_view what) {
    return {RLX_CORRUPT_DATA, fmt::format("{}: {}", file, what)};
}

result<std::vector<std::int32_t>>
integers(const json& list, const std::string& file, std::string_view what) {
    if (!list.is_array()) return wrong(file, fmt::format("{} is no array of arrays", what));
    std::vector<std::int32_t> out;
    for (const json& v : list) {
        if (!v.is_number_integer() || v.get<std::int64_t>() < INT32_MIN ||
            v.get<std::int64_t>() > INT32_MAX)
            return wrong(file, fmt::format("{} has an element that is no 32-bit integer", what));
        out.push_back(v.get<std::int32_t>());
    }
    return out;
}

// Ids where the mask is 1. Positions count from the first one, so padding stands behind them.
result<std::size_t>
kept(const std::vector<std::int32_t>& mask, const std::string& file, std::size_t row) {
    const std::size_t n = static_cast<std::size_t>(
        std::ranges::find_if(mask, [](auto m) { return m != 1; }) - mask.begin()
    );
    for (std::size_t i = n; i < mask.size(); i++)
        if (mask[i] != 0)
            return wrong(
                file,
                fmt::format(
                    "mask of row {}: expected ones, then zeros; padding is on the right", row
                )
            );
    if (n == 0) return wrong(file, fmt::format("mask of row {} leaves no token", row));
    return n;
}

result<padded> read_padded(const std::string& file) {
    const json doc = json::parse(RLX_TRY(read_text(file)), nullptr, false);
    if (!doc.is_object() || !doc.contains("ids") || !doc["ids"].is_array() || doc["ids"].empty())
        return wrong(file, "expected {\"ids\": [[..]], \"mask\": [[..]]}");
    for (const auto& [key, value] : doc.items())
        if (key != "ids" && key != "mask" && key != "types")
            return wrong(file, fmt::format("'{}' is none of ids, mask and types", printable(key)));
    const std::size_t rows = doc["ids"].size();
    for (const char* key : {"mask", "types"})
        if (doc.contains(key) && (!doc[key].is_array() || doc[key].size() != rows))
            return wrong(file, fmt::format("{} has not as many rows as ids", key));
    padded out;
    for (std::size_t i = 0; i < rows; i++) {
        embed_input in;
        in.ids = RLX_TRY(integers(doc["ids"][i], file, "ids"));
        if (doc.contains("types")) in.types = RLX_TRY(integers(doc["types"][i], file, "types"));
        out.length = std::max(out.length, in.ids.size());
        std::vector<std::int32_t> mask(in.ids.size(), 1);
        if (doc.contains("mask")) mask = RLX_TRY(integers(doc["mask"][i], file, "mask"));
        if (mask.size() != in.ids.size() || (!in.types.empty() && in.types.size() != in.ids.size()))
            return wrong(file, fmt::format("row {}: ids, mask and types differ in length", i));
        const std::size_t n = RLX_TRY(kept(mask, file, i));
        in.ids.resize(n);
        if (!in.types.empty()) in.types.resize(n);
        out.inputs.push_back(std::move(in));
    }
    return out;
}

} // namespace

result<int> embed_ids_json(const arguments& a, const embed_job& job, text_embedder& model) {
    const padded given = RLX_TRY(read_padded(a.text("ids-json")));
    const auto made = RLX_TRY(model.embed(std::span<const embed_input>(given.inputs), job.options));
    const bool rows = made.front().pooling == pooling::none;
    const std::size_t width =
        made.front().values.size() /
        (rows ? static_cast<std::size_t>(made.front().tokens) : std::size_t{1});
    std::vector<std::int64_t> shape{static_cast<std::int64_t>(made.size())};
    if (rows) shape.push_back(static_cast<std::int64_t>(given.length));
    shape.push_back(static_cast<std::int64_t>(width));
    std::string file = npy_header("<f4", shape);
    for (const embedding& e : made) {
        file.append(
            reinterpret_cast<const char*>(e.values.data()), e.values.size() * sizeof(float)
        );
        // Masked places are zero; what a reference has there depends on how it masks.
        if (rows) file.append((given.length * width - e.values.size()) * sizeof(float), '\0');
    }
    RLX_CHECK(write_file(job.out, file));
    return exit_ok;
}

} // namespace rlx::cli
