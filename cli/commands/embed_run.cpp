// SPDX-License-Identifier: GPL-3.0-only
// The bulk run: texts in, windows of them through the model, rows out, and what an interrupted run
// goes on from. Memory is the model's plus one window, however many texts there are.
#include "embed_job.hpp"

#include "rlx/formats/npy.hpp"

#include <fmt/format.h>
#include <limits>

namespace rlx::cli {
namespace {

// A window gives the model some steps to sort texts of similar length into.
constexpr std::size_t window_texts = 2048;
constexpr std::int64_t window_steps = 4;

struct npy_type {
    std::string_view name;
    std::int64_t per_row; // elements
};

class bulk_run {
public:
    bulk_run(const arguments& a, const embed_job& job, text_embedder& model)
        : a_(a), job_(job), model_(model) {}

    result<int> run();

private:
    result<void> begin();
    result<void> skip();
    result<bool> fill(); // false: the input ended
    result<void> embed();
    result<void> put(const embed_item& item, const embedding& made);
    result<void> finish();
    void count(const embed_item& item);
    result<void> note_failure(const embed_item& item);
    std::vector<float> scores(const embedding& made) const;
    std::int64_t width() const;
    npy_type type() const;
    std::string head(std::uint64_t rows) const;
    error interrupted() const;
    std::string meta() const;
    void summary() const;

    const arguments& a_;
    const embed_job& job_;
    text_embedder& model_;
    embed_meter meter_;
    std::unique_ptr<text_source> source_;
    std::unique_ptr<vector_file> out_;
    std::vector<embedding> queries_;
    embed_progress done_;    // whole windows
    embed_progress reading_; // what is in the window too: items and hash
    std::uint64_t tokens_ = 0, dropped_ = 0, cut_ = 0, before_ = 0;
    value_ranges seen_;

    struct waiting {
        embed_item item;
        std::optional<embed_input> input;
    };

    std::vector<waiting> window_;
};

std::int64_t bulk_width(const embed_job& job, const text_embedder& model) {
    if (!job.similar_to.empty()) return static_cast<std::int64_t>(job.similar_to.size());
    return job.options.dimensions > 0 ? job.options.dimensions : model.dimensions();
}

std::int64_t bulk_run::width() const {
    return bulk_width(job_, model_);
}

npy_type bulk_run::type() const {
    switch (job_.quantise) {
    case quantisation::int8: return {"|i1", width()};
    case quantisation::uint8: return {"|u1", width()};
    case quantisation::binary: return {"|i1", width() / 8};
    case quantisation::ubinary: return {"|u1", width() / 8};
    default: return {"<f4", width()};
    }
}

// Of the same length whatever the number of rows, which is known last.
std::string bulk_run::head(std::uint64_t rows) const {
    if (job_.format != vector_format::npy) return {};
    constexpr std::size_t room = 192;
    const npy_type t = type();
    const std::int64_t shape[] = {static_cast<std::int64_t>(rows), t.per_row};
    return npy_header(t.name, shape, room);
}

result<void> bulk_run::begin() {
    meter_ = RLX_TRY(embed_meter::of(a_, "texts"));
    const bool rows = job_.options.pooling == pooling::none ||
                      (job_.options.pooling == pooling::from_checkpoint &&
                       model_.recipe().pooling == pooling::none);
    if (rows && (job_.format != vector_format::lines || job_.quantise != quantisation::none))
        return error{
            RLX_INVALID_ARGUMENT,
            "--pooling none gives texts different numbers of rows: only --json can have them (or "
            "--ids-json)"};
    if (job_.quantise != quantisation::none) { // its errors before the first text
        const std::vector<float> zeros(static_cast<std::size_t>(width()));
        RLX_TRY(quantise(zeros, job_.quantise, job_.ranges));
    }
    source_ = RLX_TRY(open_texts(a_));
    if (!job_.similar_to.empty()) {
        embed_options o = job_.options;
        o.role = text_role::query;
        queries_ = RLX_TRY(model_.embed(std::span<const std::string>(job_.similar_to), o));
    }
    vector_file_options o{
        .path = job_.out,
        .head = head(0),
        .fingerprint = fingerprint_of(
            job_,
            model_.checkpoint().weights(),
            model_.ran_on().compute,
            fmt::format("{} {}", model_.family(), model_.max_length())
        ),
        .resume = a_.has("resume"),
        .restart = a_.has("restart")};
    out_ = RLX_TRY(open_vector_file(o));
    return {};
}

void bulk_run::count(const embed_item& item) {
    reading_.items++;
    constexpr std::string_view end("\0", 1);
    reading_.hash = hash_bytes(end, hash_bytes(item.text, hash_bytes(item.id, reading_.hash)));
}

// Past the texts of the run before, which must be the same ones.
result<void> bulk_run::skip() {
    const embed_progress before = out_->resumed();
    done_.hash = reading_.hash = hash_bytes({});
    if (before.items == 0) return {};
    while (reading_.items < before.items) {
        if (cancel_flag()) return error{RLX_CANCELLED, "interrupted while skipping what is done"};
        const auto item = RLX_TRY(source_->next());
        if (!item) break;
        count(*item);
    }
    if (reading_.items != before.items || reading_.hash != before.hash)
        return error{
            RLX_INVALID_ARGUMENT,
            fmt::format(
                "--resume: the first {} texts are not those of the run that was interrupted; give "
                "it the same input, or drop what it left with --restart",
                before.items
            )};
    done_ = before;
    before_ = before.rows;
    if (!a_.has("quiet")) say("going on behind {} texts\n", before.items);
    return {};
}

result<void> bulk_run::note_failure(const embed_item& item) {
    done_.failed++;
    if (job_.format != vector_format::lines && !a_.has("quiet"))
        say("text {}: {}\n", item.index, item.failed->message);
    if (job_.quantise != quantisation::none && job_.format != vector_format::lines)
        return error(*item.failed)
            .within(fmt::format(
                "text {} failed, and quantised arrays have no place for that", item.index
            ));
    if (job_.max_failures >= 0 && done_.failed > static_cast<std::uint64_t>(job_.max_failures))
        return error(*item.failed)
            .within(fmt::format(
                "more than {} texts failed, the last one being {}", job_.max_failures, item.index
            ));
    return {};
}

result<bool> bulk_run::fill() {
    window_.clear();
    const std::int64_t most = window_steps * model_.max_tokens();
    for (std::int64_t tokens = 0; tokens < most && window_.size() < window_texts;) {
        if (cancel_flag()) return error{RLX_CANCELLED, "interrupted"};
        if (!window_.empty() && source_->waits()) break;
        auto item = RLX_TRY(source_->next());
        if (!item) return false;
        count(*item);
        if (item->index % job_.shards != job_.shard) continue;
        waiting w{std::move(*item), std::nullopt};
        if (!w.item.failed) {
            auto input = model_.prepare(std::string_view(w.item.text), job_.options);
            if (input)
                w.input = std::move(*input);
            else if (input.error().code == RLX_OUT_OF_MEMORY)
                return std::move(input.error());
            else
                w.item.failed = std::move(input.error());
        }
        w.item.text = {};
        if (w.input) tokens += std::ssize(w.input->ids);
        window_.push_back(std::move(w));
    }
    return true;
}

std::vector<float> bulk_run::scores(const embedding& made) const {
    const similarity metric = job_.metric_given ? job_.metric : model_.recipe().similarity;
    std::vector<float> out;
    for (const embedding& query : queries_)
        out.push_back(static_cast<float>(similar(query.values, made.values, metric)));
    return out;
}

result<void> bulk_run::put(const embed_item& item, const embedding& made) {
    tokens_ += static_cast<std::uint64_t>(made.tokens);
    dropped_ += static_cast<std::uint64_t>(made.dropped);
    cut_ += made.dropped > 0 ? 1 : 0;
    if (a_.has("write-ranges") && !item.failed) seen_.include(made.values);
    done_.rows++;
    return out_->write(row_text(job_, item, made));
}

result<void> bulk_run::embed() {
    std::vector<embed_input> inputs;
    for (waiting& w : window_)
        if (w.input) inputs.push_back(std::move(*w.input));
    auto made = RLX_TRY(model_.embed(std::span<const embed_input>(inputs), job_.options));
    embedding none;
    none.values.assign(static_cast<std::size_t>(width()), std::numeric_limits<float>::quiet_NaN());
    std::size_t next = 0;
    for (const waiting& w : window_) {
        if (w.item.failed) {
            RLX_CHECK(note_failure(w.item));
            RLX_CHECK(put(w.item, none));
            continue;
        }
        embedding& vector = made[next++];
        if (!queries_.empty()) vector.values = scores(vector);
        RLX_CHECK(put(w.item, vector));
    }
    done_.items = reading_.items;
    done_.hash = reading_.hash;
    return out_->commit(done_, false);
}

error bulk_run::interrupted() const {
    return {
        RLX_CANCELLED,
        job_.out == "-"
            ? fmt::format("interrupted after {} texts", done_.rows)
            : fmt::format(
                  "interrupted after {} texts; the same command with --resume goes on", done_.rows
              )};
}

std::string bulk_run::meta() const {
    const npy_type t = type();
    json doc{
        {"schema", 1},
        {"rows", done_.rows},
        {"texts_read", done_.items},
        {"failed", done_.failed},
        {"shard", {job_.shard, job_.shards}},
        {"format",
         job_.format == vector_format::lines ? "json"
         : job_.format == vector_format::npy ? "npy"
                                             : "f32"},
        {"dtype", t.name},
        {"row_elements", t.per_row},
        {"texts_hash", fmt::format("{:016x}", done_.hash)},
        {"ran_on", facts_of(model_.ran_on())},
        {"fallbacks", fallbacks_of(model_.fallbacks())}};
    json sources = json::object();
    for (const auto& [item, source] : model_.recipe().sources)
        sources[item] = source;
    doc["recipe"] = sources;
    return dump(doc);
}

void bulk_run::summary() const {
    const run_facts& f = model_.ran_on();
    const double seconds = meter_.seconds();
    say("load {:.2f} s | {} texts, {} tokens in {:.2f} s, {:.0f} texts/s | {} {}, {}, {} threads\n",
        model_.load_seconds(),
        done_.rows - before_,
        tokens_,
        seconds,
        static_cast<double>(done_.rows - before_) / std::max(seconds, 1e-9),
        f.device,
        f.tier,
        f.compute,
        f.threads);
    if (cut_ > 0) say("note: {} texts were cut, {} tokens left out\n", cut_, dropped_);
    if (done_.failed > 0) say("note: {} of {} texts failed\n", done_.failed, done_.rows);
    for (const fallback& b : model_.fallbacks())
        say("note: {}: {}\n", b.what, b.reason);
    for (const std::string& w : model_.warnings())
        say("note: {}\n", w);
    print_op_times(f);
}

result<void> bulk_run::finish() {
    RLX_CHECK(out_->finish(head(done_.rows), meta()));
    return a_.has("write-ranges") ? write_ranges(a_.text("write-ranges"), seen_) : result<void>();
}

result<int> bulk_run::run() {
    RLX_CHECK(begin());
    if (out_->complete()) {
        if (!a_.has("quiet")) say("{} is complete already\n", job_.out);
        return exit_ok;
    }
    RLX_CHECK(skip());
    for (bool more = true; more;) {
        auto filled = fill();
        auto embedded = filled ? embed() : result<void>(filled.error());
        if (!embedded) {
            meter_.clear();
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
    return done_.failed > 0 ? exit_bad_input : exit_ok;
}

} // namespace

result<int> embed_texts(const arguments& a, const embed_job& job, text_embedder& model) {
    return bulk_run(a, job, model).run();
}

} // namespace rlx::cli
