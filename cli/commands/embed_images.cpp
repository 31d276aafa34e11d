// SPDX-License-Identifier: GPL-3.0-only
// The bulk run for images: pictures of one size go through the model together, rows come in the
// order of the input. Memory is the model's plus one step of prepared pictures, however many there
// are.
#include "embed_images.hpp"

#include "../catalog.hpp"
#include "embed_bulk.hpp"
#include "image_files.hpp"
#include "vision_job.hpp"

#include "rlx/embedding.hpp"

#include <filesystem>
#include <fmt/format.h>
#include <limits>

namespace rlx::cli {
namespace {

namespace fs = std::filesystem;

error usage(std::string message) {
    return {RLX_INVALID_ARGUMENT, std::move(message)};
}

class image_run final : public bulk_base {
public:
    image_run(const arguments& a, const embed_job& job, image_embedder& model)
        : bulk_base(a, job, "images"), model_(model) {}

private:
    result<void> begin() override;
    result<bool> fill() override;
    result<void> embed() override;
    void count(const embed_item& item) override;
    json facts() const override;
    void summary() const override;
    result<void> put(const embed_item& item, std::vector<float> vector);

    struct waiting {
        embed_item item;
        planes picture; // empty when it failed
    };

    image_embedder& model_;
    embed_progress step_end_; // items and hash of the step that waits
    std::vector<waiting> step_;
    std::optional<waiting> next_; // of another size than the step
};

result<void> image_run::begin() {
    if (job_.quantise != quantisation::none) { // its errors before the first image
        const std::vector<float> zeros(static_cast<std::size_t>(model_.width()));
        RLX_TRY(quantise(zeros, job_.quantise, job_.ranges));
    }
    const auto recipe = model_.recipe(); // its errors too
    if (!recipe) return recipe.error();
    source_ = RLX_TRY(open_pictures(a_));
    return open_output(
        model_.width(),
        fingerprint_of(
            a_,
            job_,
            model_.checkpoint().weights(),
            model_.ran_on(),
            fmt::format("images {}", model_.family())
        )
    );
}

// A picture counts by its name and size: what is done is not read again by a run that goes on.
void image_run::count(const embed_item& item) {
    std::error_code absent;
    const auto size = fs::file_size(item.text, absent);
    reading_.items++;
    reading_.hash = hash_bytes(
        fmt::format("{}\n{}\n{}\n", item.id, item.text, absent ? 0 : size), reading_.hash
    );
}

// Pictures of one size, at most a step of them, and those that failed in between.
result<bool> image_run::fill() {
    step_.clear();
    std::optional<extent> size;
    std::int64_t pictures = 0;
    const auto take = [&](waiting&& w) {
        if (!w.item.failed) {
            size = extent{w.picture.height, w.picture.width};
            pictures++;
        }
        step_.push_back(std::move(w));
    };
    if (next_) take(*std::exchange(next_, std::nullopt));
    constexpr std::size_t most_failed = 1024;
    while (pictures < model_.max_images() && step_.size() < most_failed) {
        if (cancel_flag()) return error{RLX_CANCELLED, "interrupted"};
        if (!step_.empty() && source_->waits()) break;
        auto item = RLX_TRY(source_->next());
        if (!item) {
            step_end_ = reading_;
            return false;
        }
        const embed_progress before = reading_;
        count(*item);
        if (item->index % job_.shards != job_.shard) continue;
        waiting w{std::move(*item), {}};
        if (!w.item.failed) {
            auto picture = model_.prepare(fs::path(w.item.text));
            if (picture)
                w.picture = std::move(*picture);
            else if (picture.error().code == RLX_OUT_OF_MEMORY)
                return std::move(picture.error());
            else
                w.item.failed = std::move(picture.error());
        }
        const bool other = size && !w.item.failed &&
                           (w.picture.height != size->height || w.picture.width != size->width);
        if (!other) {
            take(std::move(w));
            continue;
        }
        next_ = std::move(w);
        step_end_ = before;
        return true;
    }
    step_end_ = reading_;
    return true;
}

result<void> image_run::put(const embed_item& item, std::vector<float> vector) {
    if (!item.failed) {
        if (job_.options.normalise != normalising::off) scale_to_unit(vector);
        if (a_.has("write-ranges")) seen_.include(vector);
    }
    embedding row;
    row.values = std::move(vector);
    row.pooling = pooling::cls;
    done_.rows++;
    return out_->write(row_text(job_, item, row));
}

result<void> image_run::embed() {
    std::vector<planes> pictures;
    for (waiting& w : step_)
        if (!w.item.failed) pictures.push_back(std::move(w.picture));
    const image_features made = RLX_TRY(model_.encode(pictures));
    const auto width = static_cast<std::size_t>(model_.width());
    auto row = made.values.begin();
    for (const waiting& w : step_) {
        std::vector<float> vector(width, std::numeric_limits<float>::quiet_NaN());
        if (w.item.failed) {
            RLX_CHECK(note_failure(w.item));
        } else {
            std::copy_n(row, width, vector.begin());
            row += static_cast<std::ptrdiff_t>(width);
        }
        RLX_CHECK(put(w.item, std::move(vector)));
    }
    done_.items = step_end_.items;
    done_.hash = step_end_.hash;
    return out_->commit(done_, false);
}

json image_run::facts() const {
    return {{"ran_on", facts_of(model_.ran_on())}, {"fallbacks", fallbacks_of(model_.fallbacks())}};
}

void image_run::summary() const {
    const run_facts& f = model_.ran_on();
    const double seconds = meter_.seconds();
    const auto made = done_.rows - before_;
    say("load {:.2f} s | {} images in {:.2f} s, {:.1f} images/s | {} {}, {}, {} threads\n",
        model_.load_seconds(),
        made,
        seconds,
        static_cast<double>(made) / std::max(seconds, 1e-9),
        f.device,
        f.tier,
        f.compute,
        f.threads);
    for (const fallback& b : model_.fallbacks())
        say("note: {}: {}\n", b.what, b.reason);
    for (const std::string& w : model_.warnings())
        say("note: {}\n", w);
    print_op_times(f);
}

// Flags that mean nothing for images; nothing is ignored in silence.
result<void> check_flags(const arguments& a, const image_embedder_options& o) {
    for (const std::string_view flag :
         {"text",        "ids-json",    "pooling",  "dimensions", "query",        "document",
          "prompt-name", "prompt-text", "truncate", "max-length", "batch-tokens", "similarity",
          "metric",      "rerank",      "sigmoid",  "tokenizer",  "max-seq",      "profile",
          "kv",          "format",      "packed",   "no-packed"})
        if (a.has(flag))
            return usage(fmt::format(
                "--{}: {} reads images, and has no use for it", flag, o.weights.string()
            ));
    return {};
}

} // namespace

bool reads_images(const arguments& a, plugin_catalog& catalog) {
    if (!a.has("weights")) return false;
    const auto c = weights_of(a);
    if (!c) return false;
    const auto w = weights::open(c->path, with_plugins(c->options, catalog));
    if (!w) return false;
    const auto match = find_family_of(catalog, **w);
    return match && match->entry->task == "encode_image";
}

result<void> refuse_pictures(const arguments& a) {
    for (const std::string& path : a.positional())
        if (const auto picture = picture_at(path))
            return error{
                RLX_UNSUPPORTED,
                fmt::format(
                    "{} is a picture, but the checkpoint reads text; give --weights of an image "
                    "encoder (DINOv2, NomicVision)",
                    picture->string()
                )};
    return {};
}

result<int> embed_images(
    const arguments& a, const embed_job& job, plugin_catalog* catalog, const std::string& family
) {
    image_embedder_options o = RLX_TRY(image_options_of(a, catalog, family));
    RLX_CHECK(check_flags(a, o));
    o.max_images = a.integer("batch", 8);
    if (a.has("plan")) return show_image_plan(a, RLX_TRY(image_embedder::plan(o)));
    if (a.has("explain-partition"))
        return show_partition(a, RLX_TRY(image_embedder::plan(o)).partition);
    const auto mode = a.has("quiet") ? progress_mode::none
                                     : RLX_TRY(parse_progress_mode(a.text("progress", "auto")));
    std::unique_ptr<image_embedder> model;
    {
        progress_line line("loading", "bytes", mode);
        o.progress = [&](std::uint64_t done, std::uint64_t all) { line.update(done, all); };
        model = RLX_TRY(image_embedder::open(o));
    }
    return image_run(a, job, *model).run();
}

} // namespace rlx::cli
