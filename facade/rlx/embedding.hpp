// SPDX-License-Identifier: GPL-3.0-only
// Vectors from hidden states: which rows, how they become one, its length and its first dimensions,
// how two compare, how one is stored in fewer bits. Runs no model: that is rlx/embedder.hpp.
#pragma once

#include "rlx/base/api.hpp"
#include "rlx/base/result.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rlx {

// As sentence-transformers' Pooling module defines them, over a text's own tokens.
enum class pooling {
    from_checkpoint, // what the checkpoint says
    last,            // the last token's state
    mean,            // the mean over all tokens
    cls,             // the first token's state
    max,             // the largest value of each dimension
    weighted_mean,   // the mean with weights 1, 2, 3, ... in the order of the tokens
    mean_sqrt_len,   // the sum over all tokens divided by the root of their number
    none             // no pooling: a row for every token
};

// "mean", "cls", "max", "last", "weighted-mean", "mean-sqrt-len", "none"; "auto" for
// from_checkpoint. pooling_named() is the reverse.
RLX_API std::string_view pooling_name(pooling kind);
RLX_API std::optional<pooling> pooling_named(std::string_view name);

// rows [n, width] of hidden states to one vector; pooling::none gives the rows. n >= 1, kind not
// from_checkpoint. Sums are in double. The first `skipped` rows, fewer than n, are left out; the
// weights of weighted_mean count them nevertheless.
RLX_API std::vector<float>
pool_rows(std::span<const float> rows, std::size_t width, pooling kind, std::size_t skipped = 0);

// Divides by max(length, 1e-12), as torch.nn.functional.normalize does; zeros stay.
RLX_API void scale_to_unit(std::span<float> values);

// (x - mean) / sqrt(variance + eps) without weights, population variance.
RLX_API void layer_norm(std::span<float> values, double eps = 1e-5);

// Cuts `whole` (a text's ids with special tokens around them) to `most` ids: the special tokens
// stay, `plain` (the same text without them) loses its end. RLX_INVALID_ARGUMENT when the special
// tokens alone do not fit, or plain is no part of whole.
RLX_API result<std::vector<std::int32_t>> truncate_ids(
    std::span<const std::int32_t> whole, std::span<const std::int32_t> plain, std::int64_t most
);

// euclidean and manhattan: the distance, negative, so that more is nearer.
enum class similarity { cosine, dot, euclidean, manhattan };

// "cosine", "dot", "euclidean", "manhattan".
RLX_API std::optional<similarity> similarity_named(std::string_view name);

// Of two vectors of the same size; the cosine with a vector of zeros is 0.
RLX_API double similar(std::span<const float> a, std::span<const float> b, similarity how);

// How a vector is stored. int8 and uint8: 256 steps between the ends of each dimension's range.
// binary and ubinary: one bit per dimension, set when it is above 0, the first dimension in the
// highest bit; binary stores the byte minus 128.
enum class quantisation { none, int8, uint8, binary, ubinary };

RLX_API std::string_view quantisation_name(quantisation kind);
RLX_API std::optional<quantisation> quantisation_named(std::string_view name);

// Smallest and largest value of each dimension over a calibration set; what is outside is stored as
// the end of the range.
struct value_ranges {
    std::vector<float> low, high; // [dimensions] each

    RLX_API void include(std::span<const float> values);
};

// Bytes of one vector: dimensions of int8 and uint8, dimensions / 8 of the binary ones, which
// are RLX_INVALID_ARGUMENT unless 8 divides the number of dimensions. int8 and uint8 need ranges of
// the same size.
RLX_API result<std::vector<std::uint8_t>>
quantise(std::span<const float> values, quantisation kind, const value_ranges& ranges = {});

} // namespace rlx
