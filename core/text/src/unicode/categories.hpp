// SPDX-License-Identifier: GPL-3.0-only
// General categories and the character classes of tokenizer patterns. The table equals what the
// regex engine of the reference tokenizer sees (see tools/make_unicode_tables.py), so it is newer
// than utf8proc's and PCRE2's.
#pragma once

#include <cstdint>

namespace rlx::text {

// Order of tools/make_unicode_tables.py.
// clang-format off
enum class category : std::uint8_t {
    cn, lu, ll, lt, lm, lo, mn, mc, me, nd, nl, no, pc, pd, ps, pe, pi, pf, po, sm, sc, sk, so, zs, zl, zp, cc, cf,
    cs, co
};
// clang-format on

category category_of(std::uint32_t cp); // cn above U+10FFFF

// Character classes, as bits so that a pattern can ask for several at once.
enum char_class : std::uint8_t {
    cls_letter = 1,   // \p{L}
    cls_mark = 2,     // \p{M}
    cls_number = 4,   // \p{N}
    cls_space = 8,    // \s: White_Space
    cls_newline = 16, // CR, LF
    cls_upper = 32,   // Lu Lt Lm Lo M
    cls_lower = 64,   // Ll Lm Lo M
    cls_punct = 128,  // \p{P}
};

std::uint8_t classes_of(std::uint32_t cp);

inline bool is_white_space(std::uint32_t cp) {
    return (classes_of(cp) & cls_space) != 0;
}

} // namespace rlx::text
