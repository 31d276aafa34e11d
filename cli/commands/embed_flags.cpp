// SPDX-License-Identifier: GPL-3.0-only
// What the flags of rlx-embed ask for, checked before anything is opened.
#include "../terminal.hpp"
#include "embed_job.hpp"

#include "rlx/formats/npy.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fmt/format.h>

namespace rlx::cli {
namespace {

error usage(std::string message) {
    return {RLX_INVALID_ARGUMENT, std::move(message)};
}

result<void> at_most_one(const arguments& a, std::initializer_list<std::string_view> flags) {
    std::string_view first;
    for (const std::string_view flag : flags) {
        if (!a.has(flag)) continue;
        if (!first.empty())
            return usage(fmt::format("--{} and --{} exclude each other", first, flag));
        first = flag;
    }
    return {};
}

result<void> read_shard(const arguments& a, embed_job& job) {
    if (!a.has("shard")) return {};
    const std::string given = a.text("shard");
    const char* end = given.data() + given.size();
    const auto [slash, first] = std::from_chars(given.data(), end, job.shard);
    const bool half = first == std::errc() && slash != end && *slash == '/';
    const auto [stop, second] = half ? std::from_chars(slash + 1, end, job.shards)
                                     : std::from_chars_result{nullptr, std::errc::invalid_argument};
    if (second == std::errc() && stop == end && job.shards > 0 && job.shard < job.shards) return {};
    return usage(fmt::format("--shard: '{}', expected I/N with I from 0 to N - 1", given));
}

result<vector_format> format_of(const arguments& a) {
    RLX_CHECK(at_most_one(a, {"json", "npy", "f32"}));
    if (a.has("npy")) return vector_format::npy;
    if (a.has("f32")) return vector_format::raw;
    const std::string out = a.text("out", "-");
    if (!a.has("json") && out.ends_with(".npy")) return vector_format::npy;
    if (!a.has("json") && out.ends_with(".f32")) return vector_format::raw;
    return vector_format::lines;
}

result<value_ranges> read_ranges(const std::string& path) {
    const npy_array file = RLX_TRY(read_npy(path));
    if (file.shape.size() != 2 || file.shape[0] != 2)
        return error{RLX_CORRUPT_DATA, fmt::format("{}: float32 [2, dimensions] expected", path)};
    if (!std::ranges::all_of(file.values, [](float v) { return std::isfinite(v); }))
        return error{RLX_CORRUPT_DATA, fmt::format("{}: a range that is not finite", path)};
    const auto n = static_cast<std::ptrdiff_t>(file.shape[1]);
    return value_ranges{
        {file.values.begin(), file.values.begin() + n},
        {file.values.begin() + n, file.values.end()}};
}

result<void> read_vector_flags(const arguments& a, embed_job& job) {
    const std::string pooled = a.text("pooling", "auto");
    const auto kind = pooling_named(pooled);
    if (!kind) return usage(fmt::format("--pooling: '{}' is not known", pooled));
    embed_options& o = job.options;
    o.pooling = *kind;
    if (a.has("normalize")) o.normalise = normalising::on;
    if (a.has("no-normalize")) o.normalise = normalising::off;
    o.dimensions = a.integer("dimensions", 0);
    o.truncate = a.has("truncate");
    if (a.has("query")) o.role = text_role::query;
    if (a.has("document")) o.role = text_role::document;
    o.prompt_name = a.text("prompt-name");
    if (a.has("prompt-text")) o.prompt = a.text("prompt-text");
    o.cancel = &cancel_flag();
    return {};
}

result<void> read_quantise(const arguments& a, embed_job& job) {
    const auto quantise = quantisation_named(a.text("quantize", "none"));
    if (!quantise) return usage(fmt::format("--quantize: '{}' is not known", a.text("quantize")));
    job.quantise = *quantise;
    const bool ranged = *quantise == quantisation::int8 || *quantise == quantisation::uint8;
    if (ranged != a.has("ranges"))
        return usage(
            ranged
                ? "--quantize int8 and uint8 need --ranges FILE, which --write-ranges makes of a "
                  "calibration run"
                : "--ranges goes with --quantize int8 or uint8"
        );
    if (ranged) job.ranges = RLX_TRY(read_ranges(a.text("ranges")));
    if (job.quantise != quantisation::none && job.format == vector_format::raw)
        return usage("--f32 and --quantize exclude each other; --npy takes quantised vectors");
    return {};
}

bool any_text_but_flags(const arguments& a) {
    return !a.has("text") || !a.positional().empty();
}

struct useless {
    std::string_view with; // this flag
    std::initializer_list<std::string_view> flags;
    std::string_view why;
};

const useless combinations[] = {
    {"rerank",
     {"npy",
      "f32",
      "resume",
      "restart",
      "shard",
      "pooling",
      "dimensions",
      "normalize",
      "query",
      "document",
      "quantize",
      "prompt-name",
      "prompt-text",
      "ranges",
      "no-normalize",
      "metric",
      "write-ranges"},
     "a reranker gives scores as JSON lines, no vectors"},
    {"ids-json",
     {"text",    "input",    "field",    "id-field",     "shard",   "max-failures", "resume",
      "restart", "query",    "document", "prompt-name",  "ranges",  "prompt-text",  "json",
      "f32",     "quantize", "truncate", "write-ranges", "sigmoid", "metric"},
     "the ids are the whole input, as they are, and the output is float32 .npy"},
    {"similarity", {"quantize", "write-ranges", "ranges"}, "scores are written, no vectors"},
};

result<void> check_combinations(const arguments& a) {
    for (const useless& u : combinations)
        for (const std::string_view flag : u.flags)
            if (a.has(u.with) && a.has(flag))
                return usage(fmt::format("--{} has no use for --{}: {}", u.with, flag, u.why));
    if (a.has("ids-json") && !a.positional().empty())
        return usage("--ids-json is the whole input; no other file can be given");
    if (a.has("sigmoid") && !a.has("rerank")) return usage("--sigmoid goes with --rerank");
    if (a.has("metric") && !a.has("similarity")) return usage("--metric goes with --similarity");
    for (const std::string_view flag : {"input", "field", "id-field"})
        if (a.has(flag) && !any_text_but_flags(a))
            return usage(fmt::format("--{} says how files are read, and there are none", flag));
    return {};
}

result<void> check_numbers(const arguments& a) {
    for (const std::string_view flag :
         {"max-length", "batch-tokens", "batch", "img-size", "dimensions"})
        if (a.has(flag) && a.integer(flag, 0) < 1)
            return usage(fmt::format("--{}: {}, at least 1 expected", flag, a.integer(flag, 0)));
    if (a.has("max-failures") && a.integer("max-failures", 0) < 0)
        return usage("--max-failures: 0 or more expected");
    return {};
}

// --ids-json writes NumPy, whatever the name says.
result<void> check_ids_output(const arguments& a) {
    if (!a.has("ids-json")) return {};
    const std::string out = a.text("out", "-");
    for (const std::string_view other : {".json", ".jsonl", ".ndjson", ".f32"})
        if (out.ends_with(other))
            return usage(fmt::format("--out {}: --ids-json writes .npy", out));
    if (out == "-" && stdout_is_terminal())
        return usage("--ids-json: not writing binary data to a terminal; use --out FILE or redirect"
        );
    return {};
}

} // namespace

result<embed_job> job_of(const arguments& a) {
    RLX_CHECK(check_numbers(a));
    RLX_CHECK(at_most_one(a, {"normalize", "no-normalize"}));
    RLX_CHECK(at_most_one(a, {"query", "document", "prompt-name", "prompt-text"}));
    RLX_CHECK(at_most_one(a, {"resume", "restart"}));
    RLX_CHECK(at_most_one(a, {"ids-json", "similarity", "rerank"}));
    RLX_CHECK(at_most_one(a, {"resume", "write-ranges"}));
    RLX_CHECK(check_combinations(a));
    RLX_CHECK(check_ids_output(a));
    embed_job job;
    RLX_CHECK(read_shard(a, job));
    RLX_CHECK(read_vector_flags(a, job));
    job.format = RLX_TRY(format_of(a));
    RLX_CHECK(read_quantise(a, job));
    job.out = a.text("out", "-");
    job.max_failures = a.integer("max-failures", any_text_but_flags(a) ? -1 : 0);
    job.similar_to = a.all("similarity");
    const std::string metric = a.text("metric", "cosine");
    const auto named = similarity_named(metric);
    if (!named)
        return usage(
            fmt::format("--metric: '{}' is none of cosine, dot, euclidean, manhattan", metric)
        );
    job.metric = *named;
    job.metric_given = a.has("metric");
    if (job.out == "-" && job.format == vector_format::npy && !a.has("ids-json"))
        return usage("--npy needs --out FILE: the number of rows stands before them");
    if (job.out == "-" && job.format == vector_format::raw && stdout_is_terminal())
        return usage("--f32: not writing binary data to a terminal; use --out FILE or redirect");
    return job;
}

} // namespace rlx::cli
