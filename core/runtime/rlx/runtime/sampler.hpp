// SPDX-License-Identifier: GPL-3.0-only
// Picks the next token from a row of logits. Not a decoding loop: rlx/runtime/generate.hpp.
#pragma once

#include "rlx/base/api.hpp"
#include "rlx/base/result.hpp"

#include <array>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace rlx {

// The chain, in order: logit_bias, penalties, top_k, top_p, min_p, temperature, draw. Truncation
// comes before temperature, so the candidates do not depend on it; a hot temperature cannot readmit
// the tail. Everything that orders tokens does so by (logit descending, id ascending). What is out
// of its range is refused, never clipped.
struct sample_options {
    double temperature = 0; // 0 or more; 0: the best token, no randomness
    std::int64_t top_k = 0; // keep the k best; 0 or >= vocabulary: off
    double top_p = 1; // 0 to 1: keep the best until their probability reaches p (at least one)
    double min_p = 0; // 0 to 1: keep p >= min_p * best p; 0: off
    double repetition_penalty = 1; // logit / penalty when positive, * penalty when negative; 1: off
    double presence_penalty = 0;   // subtracted once from every token seen in the window
    double frequency_penalty = 0;  // subtracted once per occurrence in the window
    std::int64_t repetition_window = 64; // tokens, prompt and answer; 0: penalties off
    std::uint64_t seed = 0;
    std::vector<std::pair<std::int32_t, double>> logit_bias =
        {}; // id of the vocabulary, added first; -inf bans
};

// Philox4x32-10 (Salmon et al., SC 2011): block number `index` of the stream `seed`.
RLX_API std::array<std::uint32_t, 4>
philox4x32(std::uint64_t seed, std::uint64_t index, std::uint64_t stream = 0);

// One sequence's sampler: options, history window and random state. Copying it forks the random
// state too. [one thread]
class RLX_API sampler {
public:
    // RLX_INVALID_ARGUMENT names an option that is not a number or out of its range.
    static result<sampler> make(const sample_options& options, std::int64_t vocab_size);

    // Appends a token (of the prompt, or one that was chosen) to the penalties' window.
    void accept(std::int32_t id);
    // The next token; the caller accept()s it. Logits must be [vocab_size]. RLX_INTERNAL when one
    // is NaN or +inf, or when all are -inf: a broken model is reported, never papered over.
    // Allocates nothing after the first call.
    result<std::int32_t> sample(std::span<const float> logits);

    const sample_options& options() const { return options_; }

private:
    struct candidate {
        float logit;
        std::int32_t id;
    };

    sampler(const sample_options& options, std::int64_t vocab_size);
    bool truncates() const;
    bool adjusts() const;
    void adjust(std::span<const float> logits);
    void select_best(std::span<const float> logits, std::size_t n);
    std::size_t truncate(std::span<const float> logits, float best);
    double uniform();
    std::size_t draw(double total);
    std::int32_t draw_all(std::span<const float> logits, float best);
    std::int32_t draw_candidates(std::size_t n);

    sample_options options_;
    std::size_t vocab_;
    std::uint64_t drawn_ = 0;
    std::vector<std::int32_t> window_; // ring of the last repetition_window tokens
    std::size_t window_next_ = 0;
    std::vector<std::int32_t> counts_;  // [vocab] occurrences in the window
    std::vector<float> adjusted_;       // [vocab] logits after bias and penalties
    std::vector<candidate> candidates_; // the best, in order
    std::vector<float> weights_;        // of what may be drawn, not normalised
};

} // namespace rlx
