// SPDX-License-Identifier: GPL-3.0-only
// What a run of rlx-embed was asked for, and its parts: bulk embedding, ranking, ids of a
// reference.
#pragma once

#include "../lm.hpp"
#include "embed_input.hpp"
#include "embed_output.hpp"

namespace rlx::cli {

struct embed_job {
    embed_options options;
    vector_format format = vector_format::lines;
    quantisation quantise = quantisation::none;
    value_ranges ranges;
    std::string out = "-";
    std::uint64_t shard = 0, shards = 1;
    std::int64_t max_failures = -1;      // -1: any number; 0 when --text is all of the input
    std::vector<std::string> similar_to; // scores instead of vectors
    rlx::similarity metric = similarity::cosine;
    bool metric_given = false;
};

// RLX_INVALID_ARGUMENT for flags that are wrong, exclude each other or would do nothing.
result<embed_job> job_of(const arguments& a);

// Everything that decides what a run writes, but for the texts or images: options, the weights, the
// files beside them. more: what the kind of model adds.
std::string fingerprint_of(
    const arguments& a,
    const embed_job& job,
    const weights& w,
    const run_facts& facts,
    std::string_view more
);
std::uint64_t hash_of(const embedding_recipe& r);

// --write-ranges.
result<void> write_ranges(const std::string& path, const value_ranges& seen);

// Progress and throughput on stderr: a line redrawn on a terminal, else one every 10 seconds.
class embed_meter {
public:
    // unit: "texts" or "images".
    static result<embed_meter> of(const arguments& a, std::string_view unit);
    // tokens: 0 where there are none to speak of.
    void update(std::uint64_t items, std::uint64_t tokens);
    void clear();
    double seconds() const;

private:
    progress_mode mode_ = progress_mode::none;
    std::string unit_;
    bool terminal_ = false;
    std::int64_t start_ns_ = 0, last_ns_ = 0;
    bool drawn_ = false;
};

// The exit code: exit_bad_input when more than job.max_failures texts failed.
result<int> embed_texts(const arguments& a, const embed_job& job, text_embedder& model);
result<int> embed_ids_json(const arguments& a, const embed_job& job, text_embedder& model);
result<int> rank_texts(const arguments& a, const embed_job& job, text_reranker& model);

// One row as the format has it. values: the vector, or scores.
std::string row_text(const embed_job& job, const embed_item& item, const embedding& made);

} // namespace rlx::cli
