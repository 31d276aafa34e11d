// SPDX-License-Identifier: GPL-3.0-only
// BERT checkpoints from before tokenizer.json: a vocabulary of one token per line.
#pragma once

#include "rlx/base/result.hpp"

#include <optional>
#include <string>

namespace rlx::text {

// What tokenizer.json would hold: BERT's normaliser with do_lower_case, strip_accents,
// tokenize_chinese_chars and the special tokens of tokenizer_config.json; without one (or without a
// key) the reference's defaults, which lower-case. RLX_UNSUPPORTED for a vocabulary that lacks the
// tokens BERT needs.
result<std::string>
tokenizer_of_vocab(const std::string& vocab, const std::optional<std::string>& config);

} // namespace rlx::text
