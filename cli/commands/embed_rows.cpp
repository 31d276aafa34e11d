// SPDX-License-Identifier: GPL-3.0-only
// Rows of rlx-embed's output, what identifies a run, and progress on stderr.
#include "embed_job.hpp"

#include "rlx/base/mmap.hpp"
#include "rlx/formats/npy.hpp"
#include "rlx/rlx.h"

#include <chrono>
#include <cmath>
#include <fmt/format.h>
#include <limits>

namespace rlx::cli {
namespace {

template <class T>
std::string bytes_of(const std::vector<T>& values) {
    return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

void append_number(std::string& out, float v) {
    if (std::isfinite(v))
        fmt::format_to(std::back_inserter(out), "{}", v);
    else
        out += "null";
}

void append_list(std::string& out, std::span<const float> values) {
    out += '[';
    for (std::size_t i = 0; i < values.size(); i++) {
        if (i > 0) out += ", ";
        append_number(out, values[i]);
    }
    out += ']';
}

std::string integers(const std::vector<std::uint8_t>& values, bool with_sign) {
    std::string out = "[";
    for (std::size_t i = 0; i < values.size(); i++)
        fmt::format_to(
            std::back_inserter(out),
            "{}{}",
            i > 0 ? ", " : "",
            with_sign ? int{static_cast<std::int8_t>(values[i])} : int{values[i]}
        );
    return out + "]";
}

std::string json_values(const embed_job& job, const embedding& made) {
    std::string out;
    if (job.quantise != quantisation::none) {
        const auto bytes = quantise(made.values, job.quantise, job.ranges);
        const bool with_sign =
            job.quantise == quantisation::int8 || job.quantise == quantisation::binary;
        return bytes ? integers(*bytes, with_sign) : "null";
    }
    const bool rows = made.pooling == pooling::none && made.tokens > 0 && job.similar_to.empty();
    if (!rows) {
        append_list(out, made.values);
        return out;
    }
    const std::size_t width = made.values.size() / static_cast<std::size_t>(made.tokens);
    out += '[';
    for (std::size_t at = 0; at < made.values.size(); at += width) {
        if (at > 0) out += ", ";
        append_list(out, std::span(made.values).subspan(at, width));
    }
    return out + "]";
}

std::string json_row(const embed_job& job, const embed_item& item, const embedding& made) {
    std::string out = fmt::format("{{\"index\": {}", item.index);
    if (!item.id.empty()) out += ", \"id\": " + item.id;
    if (item.failed) {
        const json e{
            {"code", rlx_status_name(item.failed->code)}, {"message", item.failed->message}};
        return out + ", \"error\": " + dump(e) + "}\n";
    }
    if (made.tokens > 0) out += fmt::format(", \"tokens\": {}", made.tokens);
    if (made.dropped > 0) out += fmt::format(", \"dropped\": {}", made.dropped);
    out += job.similar_to.empty() ? ", \"embedding\": " : ", \"scores\": ";
    return out + json_values(job, made) + "}\n";
}

std::int64_t now_ns() {
    return std::chrono::steady_clock::now().time_since_epoch().count();
}

std::uint64_t resident_bytes() {
    const auto text = read_virtual_file("/proc/self/statm");
    unsigned long long all = 0, pages = 0;
    if (!text || std::sscanf(text->c_str(), "%llu %llu", &all, &pages) != 2) return 0;
    constexpr std::uint64_t page = 4096;
    return pages * page;
}

} // namespace

std::string row_text(const embed_job& job, const embed_item& item, const embedding& made) {
    if (job.format == vector_format::lines) return json_row(job, item, made);
    if (job.quantise == quantisation::none || item.failed) return bytes_of(made.values);
    const auto bytes = quantise(made.values, job.quantise, job.ranges);
    return bytes ? bytes_of(*bytes) : std::string();
}

result<void> write_ranges(const std::string& path, const value_ranges& seen) {
    const std::int64_t shape[] = {2, static_cast<std::int64_t>(seen.low.size())};
    return write_file(path, npy_header("<f4", shape) + bytes_of(seen.low) + bytes_of(seen.high));
}

result<embed_meter> embed_meter::of(const arguments& a, std::string_view unit) {
    embed_meter out;
    out.unit_ = unit;
    out.mode_ = a.has("quiet") ? progress_mode::none
                               : RLX_TRY(parse_progress_mode(a.text("progress", "auto")));
    out.terminal_ = stderr_is_terminal();
    out.start_ns_ = out.last_ns_ = now_ns();
    return out;
}

double embed_meter::seconds() const {
    return static_cast<double>(now_ns() - start_ns_) / 1e9;
}

void embed_meter::update(std::uint64_t items, std::uint64_t tokens) {
    if (mode_ == progress_mode::none) return;
    const bool redrawn = mode_ == progress_mode::automatic && terminal_;
    constexpr std::int64_t second = 1'000'000'000;
    const std::int64_t now = now_ns(), pause = redrawn ? second / 5 : 10 * second;
    if (now - last_ns_ < pause) return;
    last_ns_ = now;
    const double rate = static_cast<double>(items) / seconds();
    const double token_rate = static_cast<double>(tokens) / seconds();
    if (mode_ == progress_mode::json) {
        json line{
            {"stage", "embedding"},
            {"done", items},
            {"unit", unit_},
            {"items_per_s", rate},
            {"rss_bytes", resident_bytes()}};
        if (tokens > 0) line.update({{"tokens", tokens}, {"tokens_per_s", token_rate}});
        say("{}\n", dump(line));
        return;
    }
    say("{}embedded {} {}, {:.1f} per second{}{}",
        redrawn ? "\r\033[K" : "",
        items,
        unit_,
        rate,
        tokens > 0 ? fmt::format(", {:.0f} tokens per second", token_rate) : "",
        redrawn ? "" : "\n");
    drawn_ = redrawn;
}

void embed_meter::clear() {
    if (drawn_) say("\r\033[K");
    drawn_ = false;
}

} // namespace rlx::cli
