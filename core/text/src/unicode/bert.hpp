// SPDX-License-Identifier: GPL-3.0-only
// Character classes of the BERT normaliser and pre-tokeniser. They are of an older Unicode version
// than the other tables: measured on the reference by tools/make_bert_table.py.
#pragma once

#include <cstdint>

namespace rlx::text {

enum bert_class : std::uint8_t {
    bert_removed = 1,     // control and format characters, U+FFFD
    bert_space = 2,       // becomes a space
    bert_ideograph = 4,   // gets a space on either side
    bert_mark = 8,        // an accent
    bert_punctuation = 16 // a word of its own
};

std::uint8_t bert_classes_of(std::uint32_t cp); // 0 above U+10FFFF

} // namespace rlx::text
