// SPDX-License-Identifier: GPL-3.0-only
// Private: what a text_embedder is made of.
#pragma once

#include "open_model.hpp"

#include "rlx/embedder.hpp"
#include "rlx/runtime/encoder.hpp"

namespace rlx {

struct finish_vector;

// One of encoder and lm is set. Destroyed from the bottom up: the model borrows from `opened`.
struct text_embedder::state {
    opened_model opened;
    std::unique_ptr<encoder_model> encoder;
    std::unique_ptr<lm_model> lm;
    embedding_recipe recipe;
    lm_plan plan;
    std::int64_t max_length = 0;
    bool length_given = false; // by the caller
    std::vector<std::string> warnings;
    double load_seconds = 0;
    lm_options lm_how;
    encoder_options encoder_how;

    result<void> prepare(const builder& b);
    result<void> choose_length(const builder& b);
    result<void> load();
    void read_facts();

    std::int64_t vocab_size() const { return encoder ? encoder->vocab_size() : lm->vocab_size(); }

    std::int64_t hidden_size() const { return encoder ? encoder->hidden_size() : lm->row_size(); }

    const partition_report& partition() const {
        return encoder ? encoder->partition() : lm->partition();
    }

    // Ids as they are may be as many as the model takes; texts stop where it was trained for.
    std::int64_t longest_ids() const { return encoder ? encoder->max_length() : lm->max_seq(); }

    // Floats of a pooled vector behind the checkpoint's modules.
    std::int64_t vector_size() const { return vector_size_; }

    // How many floats each module makes of the ones before; an error where they do not fit.
    result<std::int64_t> modules_size(std::int64_t pooled) const;

    std::int64_t vector_size_ = 0;

    // Whether the ids can be read; `index` is for the message.
    result<void> check(const embed_input& input, std::size_t index) const;

    // Adds to the fallbacks, once each, what a vector is made by though nothing says so.
    void note_guesses(const finish_vector& finish, const embed_options& o);
};

// What one text's rows become.
struct finish_vector {
    rlx::pooling pooling;
    bool normalise;
    std::int64_t dimensions;                 // 0: all
    std::span<const rlx::pooling> more = {}; // of the recipe, behind `pooling`
    bool cut_last = false;                   // not scaled again behind the cut

    static result<finish_vector> of(const text_embedder::state& s, const embed_options& o);
    std::vector<float> operator()(
        const embedding_recipe& recipe,
        std::span<const float> rows,
        std::size_t width,
        std::size_t skipped
    ) const;
};

} // namespace rlx
