// SPDX-License-Identifier: GPL-3.0-only
// tokenizer.ggml.* metadata -> pipeline.
#pragma once

#include "tokenizer/pipeline.hpp"

namespace rlx::text {

result<std::unique_ptr<pipeline>> load_gguf(const weights& w);

// What a `tokenizer.ggml.pre` name stands for.
struct pre_rules {
    std::vector<pre_step> steps;
    bool nfc = false;
    bool ignore_merges = false;
    bool add_bos = false; // when the file does not say
};

// Errors for a name that is not known: nothing is guessed.
result<pre_rules> pre_rules_for(std::string_view name);

} // namespace rlx::text
