// SPDX-License-Identifier: GPL-3.0-only
// The bulk run: texts in, windows of them through the model, rows out, and what an interrupted run
// goes on from. Memory is the model's plus one window, however many texts there are.
#include "embed_bulk.hpp"

#include "rlx/base/utf8.hpp"

#include <algorithm>
#include <chrono>
#include <fmt/format.h>
#include <limits>

namespace rlx::cli {
namespace {

// A window is read, embedded and written together. It gives the model up to some steps to sort
// texts of similar length into, and takes about half a second: no more is lost by an interruption,
// and no row waits longer to be seen.
constexpr std::size_t window_texts = 2048;
constexpr std::int64_t window_steps = 4, smallest_window = 256, first_window = 1024;
constexpr double longest_window = 0.5, short_window = 0.2; // seconds

class bulk_run final : public bulk_base {
public:
    bulk_run(const arguments& a, const embed_job& job, text_embedder& model)
        : bulk_base(a, job, "texts"), model_(model),
          window_tokens_(std::min(first_window, model.max_tokens())) {}

private:
    result<void> begin() override;
    result<bool> fill() override;
    result<void> embed() override;
    void count(const embed_item& item) override;
    json facts() const override;
    void summary() const override;
    result<void> check_options();
    result<void> embed_queries();
    result<void> put(const embed_item& item, const embedding& made);
    std::vector<float> scores(const embedding& made) const;
    std::int64_t width() const;
    void fit_window(double seconds);

    text_embedder& model_;
    std::vector<embedding> queries_;
    std::uint64_t dropped_ = 0, cut_ = 0;
    std::int64_t window_tokens_;

    struct waiting {
        embed_item item;
        std::optional<embed_input> input;
    };

    std::vector<waiting> window_;
};

std::int64_t bulk_run::width() const {
    if (!job_.similar_to.empty()) return static_cast<std::int64_t>(job_.similar_to.size());
    return job_.options.dimensions > 0 ? job_.options.dimensions : model_.dimensions();
}

void bulk_run::fit_window(double seconds) {
    const std::int64_t step = model_.max_tokens();
    if (seconds > longest_window)
        window_tokens_ = std::max(window_tokens_ / 2, std::min(smallest_window, step));
    else if (seconds < short_window)
        window_tokens_ = std::min(window_tokens_ * 2, window_steps * step);
}

// What is wrong for every text is said before the first one, and before there is a file.
result<void> bulk_run::check_options() {
    const embed_options& o = job_.options;
    const bool rows = o.pooling == pooling::none || (o.pooling == pooling::from_checkpoint &&
                                                     model_.recipe().pooling == pooling::none);
    if (rows && !job_.similar_to.empty())
        return error{
            RLX_INVALID_ARGUMENT,
            "--similarity compares vectors, and pooling none gives a row per token; choose another "
            "--pooling"};
    if (rows && (job_.format != vector_format::lines || job_.quantise != quantisation::none))
        return error{
            RLX_INVALID_ARGUMENT,
            "--pooling none gives texts different numbers of rows: only --json can have them (or "
            "--ids-json)"};
    RLX_TRY(model_.embed(std::span<const embed_input>(), o));
    RLX_TRY(model_.checkpoint().tokenizer());
    RLX_TRY(model_.checkpoint().tokenize("a", {}));
    const auto& prompts = model_.recipe().prompts;
    const std::string& name = !o.prompt_name.empty()       ? o.prompt_name
                              : o.role == text_role::plain ? model_.recipe().default_prompt
                                                           : o.prompt_name;
    const bool known = std::ranges::any_of(prompts, [&](const auto& p) { return p.first == name; });
    if (!o.prompt && !name.empty() && !known) RLX_TRY(model_.prepare("a", o));
    if (job_.quantise != quantisation::none) {
        const std::vector<float> zeros(static_cast<std::size_t>(width()));
        RLX_TRY(quantise(zeros, job_.quantise, job_.ranges));
    }
    return {};
}

result<void> bulk_run::embed_queries() {
    embed_options o = job_.options;
    o.role = text_role::query;
    o.prompt_name.clear(); // a prompt that was asked for is the texts'
    o.prompt.reset();
    for (const std::string& query : job_.similar_to) {
        auto made = model_.embed(std::string_view(query), o);
        if (!made)
            return std::move(made.error())
                .within(fmt::format("--similarity '{}'", printable(query, 40)));
        queries_.push_back(std::move(*made));
    }
    return {};
}

result<void> bulk_run::begin() {
    RLX_CHECK(check_options());
    source_ = RLX_TRY(open_texts(a_));
    RLX_CHECK(embed_queries());
    const std::string more =
        fmt::format("{} {} {:x}", model_.family(), model_.max_length(), hash_of(model_.recipe()));
    return open_output(
        width(), fingerprint_of(a_, job_, model_.checkpoint().weights(), model_.ran_on(), more)
    );
}

void bulk_run::count(const embed_item& item) {
    reading_.items++;
    constexpr std::string_view end("\0", 1);
    reading_.hash = hash_bytes(end, hash_bytes(item.text, hash_bytes(item.id, reading_.hash)));
}

result<bool> bulk_run::fill() {
    window_.clear();
    for (std::int64_t tokens = 0; tokens < window_tokens_ && window_.size() < window_texts;) {
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
    const auto start = std::chrono::steady_clock::now();
    auto made = RLX_TRY(model_.embed(std::span<const embed_input>(inputs), job_.options));
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    if (!inputs.empty()) fit_window(took.count());
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

json bulk_run::facts() const {
    json sources = json::object();
    for (const auto& [item, source] : model_.recipe().sources)
        sources[item] = source;
    return {
        {"ran_on", facts_of(model_.ran_on())},
        {"fallbacks", fallbacks_of(model_.fallbacks())},
        {"recipe", sources}};
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
    for (const fallback& b : model_.fallbacks())
        say("note: {}: {}\n", b.what, b.reason);
    for (const std::string& w : model_.warnings())
        say("note: {}\n", w);
    print_op_times(f);
}

} // namespace

result<int> embed_texts(const arguments& a, const embed_job& job, text_embedder& model) {
    return bulk_run(a, job, model).run();
}

} // namespace rlx::cli
