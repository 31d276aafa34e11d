// SPDX-License-Identifier: GPL-3.0-only
// What bulk runs of texts and of images have in common: the output, what was read and written,
// going on with an interrupted run, failures.
#pragma once

#include "embed_job.hpp"

namespace rlx::cli {

// The one rule of failed items, said on stderr: exit_ok while there are at most job.max_failures of
// them, else exit_bad_input. unit: "texts" or "images".
int exit_of_failures(
    const embed_job& job, std::uint64_t failed, std::uint64_t all, std::string_view unit
);

struct npy_type {
    std::string_view name;
    std::int64_t per_row; // elements
};

class bulk_base {
public:
    virtual ~bulk_base() = default;
    result<int> run();

protected:
    // unit: "texts" or "images".
    bulk_base(const arguments& a, const embed_job& job, std::string_view unit)
        : a_(a), job_(job), unit_(unit) {}

    virtual result<void> begin() = 0;          // opens source_ and out_
    virtual result<bool> fill() = 0;           // reads a step or some; false: the input ended
    virtual result<void> embed() = 0;          // and writes what was read
    virtual void count(const embed_item&) = 0; // into reading_
    virtual json facts() const = 0;            // of the model, for the meta
    virtual void summary() const = 0;

    result<void> open_output(std::int64_t width, std::string fingerprint);
    result<void> note_failure(const embed_item& item);

    const arguments& a_;
    const embed_job& job_;
    std::string unit_;
    npy_type type_{};
    embed_meter meter_;
    std::unique_ptr<text_source> source_;
    std::unique_ptr<vector_file> out_;
    embed_progress done_;    // written
    embed_progress reading_; // items and hash of what was read
    std::uint64_t tokens_ = 0, before_ = 0;
    value_ranges seen_;

private:
    result<void> count_to(std::uint64_t items);
    result<void> skip();
    result<int> compare();
    std::string head(std::uint64_t rows) const;
    std::string meta() const;
    error interrupted() const;
    result<void> finish();
};

} // namespace rlx::cli
