// SPDX-License-Identifier: GPL-3.0-only
// Vectors from a decoder's hidden states: which rows, how they become one, its length. The model
// runs in lm_runner::embed (rlx/rlx.hpp).
#pragma once

#include "rlx/base/api.hpp"
#include "rlx/base/result.hpp"
#include "rlx/formats/weights.hpp"

#include <atomic>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace rlx {

enum class pooling {
    from_checkpoint, // what the checkpoint says, else mean
    last,            // the last token's state
    mean             // the mean over all tokens
};

struct embed_options {
    rlx::pooling pooling = pooling::from_checkpoint;
    bool normalise = true; // scale to length 1; a vector of zeros stays
    bool truncate = false; // cut what is longer than max_seq instead of refusing it
    const std::atomic<std::uint32_t>* cancel = nullptr; // nonzero ends it with RLX_CANCELLED
};

struct embedding {
    std::vector<float> values;            // [hidden_size]
    rlx::pooling pooling = pooling::mean; // what was used
    std::int64_t tokens = 0, dropped = 0; // read, and cut off
};

// The pooling a checkpoint was trained for: <arch>.pooling_type in GGUF, 1_Pooling/config.json
// beside the weights of other formats; mean when neither is there. RLX_UNSUPPORTED for another kind than
// last and mean, RLX_CORRUPT_DATA for a file that is no such config; both name the file.
RLX_API result<pooling> checkpoint_pooling(const weights& w);

// rows [n, width] of hidden states to one vector. n >= 1, kind not from_checkpoint.
RLX_API std::vector<float> pool_rows(std::span<const float> rows, std::size_t width, pooling kind);

RLX_API void scale_to_unit(std::span<float> values);

// Cuts `whole` (a text's ids with special tokens around them) to `most` ids: the special tokens
// stay, `plain` (the same text without them) loses its end. RLX_INVALID_ARGUMENT when the special
// tokens alone do not fit, or plain is no part of whole.
RLX_API result<std::vector<std::int32_t>> truncate_ids(
    std::span<const std::int32_t> whole, std::span<const std::int32_t> plain, std::int64_t most
);

} // namespace rlx
