// SPDX-License-Identifier: GPL-3.0-only
#include "embed_bulk.hpp"

#include "rlx/formats/npy.hpp"

#include <fmt/format.h>

namespace rlx::cli {
namespace {

error usage(std::string message) {
    return {RLX_INVALID_ARGUMENT, std::move(message)};
}

npy_type type_of(quantisation kind, std::int64_t width) {
    switch (kind) {
    case quantisation::int8: return {"|i1", width};
    case quantisation::uint8: return {"|u1", width};
    case quantisation::binary: return {"|i1", width / 8};
    case quantisation::ubinary: return {"|u1", width / 8};
    default: return {"<f4", width};
    }
}

bool too_many(const embed_job& job, std::uint64_t failed) {
    return job.max_failures >= 0 && failed > static_cast<std::uint64_t>(job.max_failures);
}

} // namespace

int exit_of_failures(
    const embed_job& job, std::uint64_t failed, std::uint64_t all, std::string_view unit
) {
    if (failed > 0) say("note: {} of {} {} failed\n", failed, all, unit);
    return too_many(job, failed) ? exit_bad_input : exit_ok;
}

// Of the same length whatever the number of rows, which is known last.
std::string bulk_base::head(std::uint64_t rows) const {
    if (job_.format != vector_format::npy) return {};
    constexpr std::size_t room = 192;
    const std::int64_t shape[] = {static_cast<std::int64_t>(rows), type_.per_row};
    return npy_header(type_.name, shape, room);
}

result<void> bulk_base::open_output(std::int64_t width, std::string fingerprint) {
    type_ = type_of(job_.quantise, width);
    out_ = RLX_TRY(open_vector_file(
        {.path = job_.out,
         .head = head(0),
         .fingerprint = std::move(fingerprint),
         .resume = a_.has("resume"),
         .restart = a_.has("restart")}
    ));
    return {};
}

result<void> bulk_base::count_to(std::uint64_t items) {
    while (reading_.items < items) {
        if (cancel_flag()) return error{RLX_CANCELLED, "interrupted while skipping what is done"};
        const auto item = RLX_TRY(source_->next());
        if (!item) break;
        count(*item);
    }
    return {};
}

// Past the items of the run before, which must be the same ones.
result<void> bulk_base::skip() {
    const embed_progress before = out_->resumed();
    done_.hash = reading_.hash = hash_bytes({});
    if (before.items == 0) return {};
    RLX_CHECK(count_to(before.items));
    if (reading_.items != before.items || reading_.hash != before.hash)
        return usage(fmt::format(
            "--resume: the first {} {} are not those of the run that was interrupted; give it the "
            "same input, or drop what it left with --restart",
            before.items,
            unit_
        ));
    done_ = before;
    before_ = before.rows;
    if (!a_.has("quiet")) say("going on behind {} {}\n", before.items, unit_);
    return {};
}

// A complete file: whether it is the one of this input.
result<int> bulk_base::compare() {
    const embed_progress made = out_->resumed();
    reading_.hash = hash_bytes({});
    RLX_CHECK(count_to(made.items + 1));
    if (reading_.items != made.items || reading_.hash != made.hash)
        return usage(fmt::format(
            "--resume: {} is complete, but the input changed: it was made of {} {}, and {}; leave "
            "--resume out to replace it",
            job_.out,
            made.items,
            unit_,
            reading_.items == made.items  ? "not these"
            : reading_.items > made.items ? "now there are more"
                                          : fmt::format("now there are {}", reading_.items)
        ));
    if (!a_.has("quiet")) say("{} is complete already\n", job_.out);
    return exit_of_failures(job_, made.failed, made.rows, unit_);
}

result<void> bulk_base::note_failure(const embed_item& item) {
    done_.failed++;
    const std::string one = unit_.substr(0, unit_.size() - 1);
    if (job_.format != vector_format::lines && !a_.has("quiet"))
        say("{} {}: {}\n", one, item.index, item.failed->message);
    const auto end = [&](std::string what) {
        return error{RLX_CORRUPT_DATA, item.failed->message}.within(what);
    };
    if (job_.quantise != quantisation::none && job_.format != vector_format::lines)
        return end(fmt::format(
            "{} {} failed, and quantised arrays have no place for that", one, item.index
        ));
    if (too_many(job_, done_.failed))
        return end(
            job_.max_failures == 0 ? fmt::format("{} {} failed", one, item.index)
                                   : fmt::format(
                                         "more than {} {} failed, the last one being {}",
                                         job_.max_failures,
                                         unit_,
                                         item.index
                                     )
        );
    return {};
}

error bulk_base::interrupted() const {
    return {
        RLX_CANCELLED,
        fmt::format(
            "interrupted after {} {}{}",
            done_.rows,
            unit_,
            job_.out == "-" ? "" : "; the same command with --resume goes on"
        )};
}

std::string bulk_base::meta() const {
    json doc{
        {"schema", 1},
        {"unit", unit_},
        {"shard", {job_.shard, job_.shards}},
        {"format",
         job_.format == vector_format::lines ? "json"
         : job_.format == vector_format::npy ? "npy"
                                             : "f32"},
        {"dtype", type_.name},
        {"row_elements", type_.per_row}};
    doc.update(facts());
    return dump(doc);
}

result<void> bulk_base::finish() {
    RLX_CHECK(out_->finish(done_, head(done_.rows), meta()));
    if (!a_.has("write-ranges")) return {};
    if (seen_.low.empty())
        return error{
            RLX_CORRUPT_DATA,
            fmt::format(
                "--write-ranges: the input gave no vectors, {} is not written",
                a_.text("write-ranges")
            )};
    return write_ranges(a_.text("write-ranges"), seen_);
}

result<int> bulk_base::run() {
    meter_ = RLX_TRY(embed_meter::of(a_, unit_));
    RLX_CHECK(begin());
    if (out_->complete()) return compare();
    RLX_CHECK(skip());
    for (bool more = true; more;) {
        auto filled = fill();
        auto embedded = filled ? embed() : result<void>(filled.error());
        if (!embedded) {
            meter_.clear();
            // Only then is nothing written behind what is done.
            if (embedded.error().code != RLX_CANCELLED) return std::move(embedded.error());
            RLX_CHECK(out_->commit(done_, true));
            return interrupted();
        }
        more = *filled;
        meter_.update(done_.rows - before_, tokens_);
    }
    meter_.clear();
    RLX_CHECK(finish());
    if (!a_.has("quiet")) summary();
    return exit_of_failures(job_, done_.failed, done_.rows, unit_);
}

} // namespace rlx::cli
