// SPDX-License-Identifier: GPL-3.0-only
#include "tokenizer/split_patterns.hpp"

#include "unicode/categories.hpp"
#include "unicode/utf8.hpp"

namespace rlx::text {
namespace {

struct glyph {
    std::uint32_t cp;
    std::uint8_t classes;
    std::uint8_t size; // 0 at the end of the text
};

struct scanner {
    std::string_view text;

    glyph at(std::size_t pos) const {
        if (pos >= text.size()) return {0, 0, 0};
        const auto first = static_cast<unsigned char>(text[pos]);
        if (first < 0x80) return {first, classes_of(first), 1};
        const code_point c = decode_at(text, pos);
        return {c.value, c.valid ? classes_of(c.value) : std::uint8_t{0}, c.size};
    }

    // End of the run of characters that have any of `classes`.
    std::size_t run(std::size_t pos, std::uint8_t classes) const {
        for (glyph g = at(pos); g.size && (g.classes & classes); g = at(pos))
            pos += g.size;
        return pos;
    }

    // End of the run of characters that have none of `classes`.
    std::size_t run_without(std::size_t pos, std::uint8_t classes) const {
        for (glyph g = at(pos); g.size && !(g.classes & classes); g = at(pos))
            pos += g.size;
        return pos;
    }

    std::size_t digits(std::size_t pos, std::size_t limit) const {
        for (std::size_t n = 0; n < limit; ++n) {
            const glyph g = at(pos);
            if (!g.size || !(g.classes & cls_number)) break;
            pos += g.size;
        }
        return pos;
    }
};

constexpr std::size_t no_limit = ~std::size_t{0};

// 's 't 're 've 'm 'll 'd at `pos`; returns pos when there is none.
std::size_t contraction(const scanner& s, std::size_t pos, bool any_case) {
    if (s.at(pos).cp != '\'') return pos;
    auto fold = [&](std::size_t i) -> std::uint32_t {
        const std::uint32_t c = s.at(i).cp;
        if (any_case && c >= 'A' && c <= 'Z') return c + 32;
        if (any_case && c == 0x17F) return 's'; // LATIN SMALL LETTER LONG S folds to s
        return c;
    };
    const std::uint32_t first = fold(pos + 1);
    if (first == 's' || first == 't' || first == 'm' || first == 'd')
        return pos + 1 + s.at(pos + 1).size;
    const std::uint32_t second = first < 0x80 ? fold(pos + 2) : 0;
    if ((first == 'r' && second == 'e') || (first == 'v' && second == 'e') ||
        (first == 'l' && second == 'l'))
        return pos + 3;
    return pos;
}

// \s+(?!\S)|\s+ for a run of white space that starts at `pos`: the last character is left to the
// next piece.
std::size_t white_space(const scanner& s, std::size_t pos) {
    std::size_t end = pos, last = pos;
    for (glyph g = s.at(end); g.size && (g.classes & cls_space); g = s.at(end)) {
        last = end;
        end += g.size;
    }
    return end == s.text.size() || last == pos ? end : last;
}

// \s*[\r\n]+ before the rule above.
std::size_t white_space_or_lines(const scanner& s, std::size_t pos) {
    std::size_t end = pos, after_newline = pos;
    for (glyph g = s.at(end); g.size && (g.classes & cls_space); g = s.at(end)) {
        end += g.size;
        if (g.classes & cls_newline) after_newline = end;
    }
    return after_newline > pos ? after_newline : white_space(s, pos);
}

std::size_t gpt2_end(const scanner& s, std::size_t pos) {
    if (const std::size_t end = contraction(s, pos, false); end > pos) return end;
    glyph g = s.at(pos);
    std::size_t start = pos;
    if (g.cp == ' ') {
        start = pos + 1;
        g = s.at(start);
        if (!g.size || (g.classes & cls_space)) return white_space(s, pos);
    }
    if (g.classes & cls_letter) return s.run(start, cls_letter);
    if (g.classes & cls_number) return s.run(start, cls_number);
    if (g.classes & cls_space) return white_space(s, pos);
    return s.run_without(start, cls_space | cls_letter | cls_number);
}

// ` ?[symbols]+` with a tail of line breaks; returns pos when no symbol is there.
std::size_t
symbols(const scanner& s, std::size_t pos, std::uint8_t not_symbol, bool slash_in_tail) {
    std::size_t start = pos;
    if (s.at(pos).cp == ' ') ++start;
    std::size_t end = s.run_without(start, not_symbol);
    if (end == start) return pos;
    for (glyph g = s.at(end); (g.classes & cls_newline) || (slash_in_tail && g.cp == '/');
         g = s.at(end))
        end += g.size;
    return end;
}

struct word_rules {
    std::uint8_t word;       // classes of a word's characters
    std::size_t digit_limit; // longest piece of digits
};

std::size_t llama_end(const scanner& s, std::size_t pos, const word_rules& r) {
    const glyph g = s.at(pos);
    if (g.classes & r.word) return s.run(pos, r.word);
    if (g.classes & cls_number) return s.digits(pos, r.digit_limit);
    if (const std::size_t end = contraction(s, pos, true); end > pos) return end;
    // One character that is no line break may lead a word.
    if (!(g.classes & cls_newline) && (s.at(pos + g.size).classes & r.word)) {
        // A mark that is no word character leads only letters, which `word` says already.
        return s.run(pos + g.size, r.word);
    }
    const auto not_symbol = static_cast<std::uint8_t>(r.word | cls_number | cls_space);
    if (const std::size_t end = symbols(s, pos, not_symbol, false); end > pos) return end;
    return white_space_or_lines(s, pos);
}

// [upper]*[lower]+ at `pos`, else [upper]+; 0 when neither is there.
std::size_t cased_word(const scanner& s, std::size_t pos, bool lower_required) {
    std::size_t upper_end = pos, last_lower_end = 0;
    for (glyph g = s.at(upper_end); g.size && (g.classes & cls_upper); g = s.at(upper_end)) {
        upper_end += g.size;
        if (g.classes & cls_lower)
            last_lower_end = upper_end; // a caseless character is in both classes
    }
    const std::size_t end = s.run(upper_end, cls_lower);
    if (end > upper_end) return end;
    if (last_lower_end) return last_lower_end;
    return lower_required || upper_end == pos ? 0 : upper_end;
}

std::size_t
tekken_end(const scanner& s, std::size_t pos, bool contractions, std::size_t digit_limit) {
    const glyph g = s.at(pos);
    const bool may_lead = !(g.classes & (cls_newline | cls_letter | cls_number));
    for (const bool lower_required : {true, false}) {
        std::size_t end = may_lead ? cased_word(s, pos + g.size, lower_required) : 0;
        if (!end) end = cased_word(s, pos, lower_required);
        if (end) return contractions ? contraction(s, end, true) : end;
    }
    if (g.classes & cls_number) return s.digits(pos, digit_limit);
    const std::uint8_t not_symbol = cls_letter | cls_number | cls_space;
    if (const std::size_t end = symbols(s, pos, not_symbol, true); end > pos) return end;
    return white_space_or_lines(s, pos);
}

} // namespace

std::size_t piece_end(split_pattern pattern, std::string_view text, std::size_t pos) {
    const scanner s{text};
    switch (pattern) {
    case split_pattern::gpt2: return gpt2_end(s, pos);
    case split_pattern::llama3: return llama_end(s, pos, {cls_letter, 3});
    case split_pattern::llama3_no_digits: return llama_end(s, pos, {cls_letter, no_limit});
    case split_pattern::qwen2: return llama_end(s, pos, {cls_letter, 1});
    case split_pattern::qwen35: return llama_end(s, pos, {cls_letter | cls_mark, 1});
    case split_pattern::tekken: return tekken_end(s, pos, false, 1);
    case split_pattern::gpt4o: return tekken_end(s, pos, true, 3);
    }
    return text.size();
}

std::optional<split_pattern> known_pattern(std::string_view regex) {
    struct row {
        std::string_view regex;
        split_pattern pattern;
    };

#define RLX_TAIL R"(\s*[\r\n]+|\s+(?!\S)|\s+)"
#define RLX_CONTRACTIONS R"((?i:'s|'t|'re|'ve|'m|'ll|'d))"
#define RLX_UPPER R"([\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}])"
#define RLX_LOWER R"([\p{Ll}\p{Lm}\p{Lo}\p{M}])"
#define RLX_LEAD R"([^\r\n\p{L}\p{N}]?)"
    static constexpr row rows[] = {
        {R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)",
         split_pattern::gpt2},
        {R"((?:'s|'t|'re|'ve|'m|'ll|'d)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)",
         split_pattern::gpt2},
        {RLX_CONTRACTIONS "|" RLX_LEAD R"(\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|)" RLX_TAIL,
         split_pattern::llama3},
        {RLX_CONTRACTIONS "|" RLX_LEAD R"(\p{L}+|\p{N}+| ?[^\s\p{L}\p{N}]+[\r\n]*|)" RLX_TAIL,
         split_pattern::llama3_no_digits},
        {RLX_CONTRACTIONS "|" RLX_LEAD R"(\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|)" RLX_TAIL,
         split_pattern::qwen2},
        {RLX_CONTRACTIONS "|" RLX_LEAD
                          R"([\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|)" RLX_TAIL,
         split_pattern::qwen35},
        {RLX_LEAD RLX_UPPER "*" RLX_LOWER "+|" RLX_LEAD RLX_UPPER "+" RLX_LOWER
                            R"(*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|)" RLX_TAIL,
         split_pattern::tekken},
        {RLX_LEAD RLX_UPPER "*" RLX_LOWER "+" RLX_CONTRACTIONS "?|" RLX_LEAD RLX_UPPER "+" RLX_LOWER
                            "*" RLX_CONTRACTIONS
                            R"(?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|)" RLX_TAIL,
         split_pattern::gpt4o},
    };
#undef RLX_TAIL
#undef RLX_CONTRACTIONS
#undef RLX_UPPER
#undef RLX_LOWER
#undef RLX_LEAD
    for (const row& r : rows)
        if (r.regex == regex) return r.pattern;
    return std::nullopt;
}

} // namespace rlx::text
