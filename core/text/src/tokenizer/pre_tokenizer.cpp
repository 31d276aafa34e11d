// SPDX-License-Identifier: GPL-3.0-only
#include "tokenizer/pre_tokenizer.hpp"

#include "tokenizer/normalizer.hpp"
#include "unicode/bert.hpp"
#include "unicode/categories.hpp"
#include "unicode/utf8.hpp"

#include <optional>

namespace rlx::text {
namespace {

struct piece_range {
    std::size_t begin, end;
    bool separator;
};

// Joins separators to their neighbours as the behaviour says.
std::vector<piece_range> arrange(const std::vector<piece_range>& in, split_behavior behavior) {
    std::vector<piece_range> out;
    bool previous_separator = false;
    switch (behavior) {
    case split_behavior::removed:
        for (const piece_range& p : in)
            if (!p.separator) out.push_back(p);
        break;
    case split_behavior::isolated: return in;
    case split_behavior::merged_with_previous:
        for (const piece_range& p : in) {
            if (p.separator && !previous_separator && !out.empty())
                out.back().end = p.end;
            else
                out.push_back(p);
            previous_separator = p.separator;
        }
        break;
    case split_behavior::merged_with_next:
        for (const piece_range& p : in) {
            if (!p.separator && previous_separator)
                out.back().end = p.end;
            else
                out.push_back(p);
            previous_separator = p.separator;
        }
        break;
    case split_behavior::contiguous:
        for (const piece_range& p : in) {
            if (!out.empty() && p.separator == previous_separator)
                out.back().end = p.end;
            else
                out.push_back(p);
            previous_separator = p.separator;
        }
        break;
    }
    return out;
}

// Walks the steps; each piece of one step is handed to the next at once.
struct walker {
    const std::vector<pre_step>& steps;
    word_sink& sink;

    result<void> go(std::size_t step, std::string_view text, bool first) {
        if (text.empty()) return {};
        if (step == steps.size()) return sink.word(text);
        return std::visit([&](const auto& s) { return run(s, step, text, first); }, steps[step]);
    }

    result<void> run(const split_known& s, std::size_t step, std::string_view text, bool first) {
        for (std::size_t pos = 0; pos < text.size();) {
            const std::size_t end = piece_end(s.pattern, text, pos);
            RLX_CHECK(go(step + 1, text.substr(pos, end - pos), first && pos == 0));
            pos = end;
        }
        return {};
    }

    result<void> run(const split_regex& s, std::size_t step, std::string_view text, bool first) {
        std::vector<piece_range> found;
        std::size_t begin = 0;
        // Bytes that are no UTF-8 match nothing; between them the expression sees valid text.
        for (std::size_t i = 0; i < text.size();) {
            const code_point c = decode_at(text, i);
            if (!c.valid) {
                RLX_CHECK(search(s, text, begin, i, found));
                found.push_back({i, i + c.size, s.invert});
                begin = i + c.size;
            }
            i += c.size;
        }
        RLX_CHECK(search(s, text, begin, text.size(), found));
        return emit(arrange(found, s.behavior), step, text, first);
    }

    // Appends what the expression cuts text[begin, end) into.
    static result<void> search(
        const split_regex& s,
        std::string_view text,
        std::size_t begin,
        std::size_t end,
        std::vector<piece_range>& found
    ) {
        if (begin == end) return {};
        std::size_t done = begin;
        for (const match_range& m : RLX_TRY(s.pattern.matches(text.substr(begin, end - begin)))) {
            if (m.begin == m.end) continue;
            if (begin + m.begin > done) found.push_back({done, begin + m.begin, s.invert});
            found.push_back({begin + m.begin, begin + m.end, !s.invert});
            done = begin + m.end;
        }
        if (done < end) found.push_back({done, end, s.invert});
        return {};
    }

    result<void> run(const split_literal& s, std::size_t step, std::string_view text, bool first) {
        std::vector<piece_range> found;
        std::size_t done = 0;
        for (std::size_t at = text.find(s.separator); at != text.npos;
             at = text.find(s.separator, done)) {
            if (at > done) found.push_back({done, at, s.invert});
            done = at + s.separator.size();
            found.push_back({at, done, !s.invert});
        }
        if (done < text.size()) found.push_back({done, text.size(), s.invert});
        return emit(arrange(found, s.behavior), step, text, first);
    }

    result<void> run(const split_class& s, std::size_t step, std::string_view text, bool first) {
        std::vector<piece_range> found;
        std::size_t done = 0;
        for (std::size_t pos = 0; pos < text.size();) {
            const code_point c = decode_at(text, pos);
            const std::uint8_t classes = c.valid ? classes_of(c.value) : std::uint8_t{0};
            const bool symbol = s.ascii_symbols && c.value < 0x7F && c.value > ' ' &&
                                !(classes & (cls_letter | cls_number));
            const std::size_t end = pos + c.size;
            if ((classes & s.classes) || symbol) {
                if (pos > done) found.push_back({done, pos, false});
                found.push_back({pos, end, true});
                done = end;
            }
            pos = end;
        }
        if (done < text.size()) found.push_back({done, text.size(), false});
        return emit(arrange(found, s.behavior), step, text, first);
    }

    result<void> run(split_bert, std::size_t step, std::string_view text, bool first) {
        std::size_t begin = 0;
        const auto cut = [&](std::size_t end) -> result<void> {
            return begin == end
                       ? result<void>{}
                       : go(step + 1, text.substr(begin, end - begin), first && begin == 0);
        };
        for (std::size_t pos = 0; pos < text.size();) {
            const code_point c = decode_at(text, pos);
            const bool mark = bert_classes_of(c.value) & bert_punctuation;
            const std::size_t end = pos + c.size;
            if (mark || (c.valid && is_white_space(c.value))) {
                RLX_CHECK(cut(pos));
                begin = pos;
                if (mark) RLX_CHECK(cut(end));
                begin = end;
            }
            pos = end;
        }
        return cut(text.size());
    }

    result<void>
    run(const split_digit_groups& s, std::size_t step, std::string_view text, bool first) {
        std::size_t begin = 0, digits = 0; // digits of the piece that is open
        auto cut = [&](std::size_t end) -> result<void> {
            if (end == begin) return {};
            const bool at_start = first && begin == 0;
            const std::string_view piece = text.substr(begin, end - begin);
            begin = end;
            digits = 0;
            return go(step + 1, piece, at_start);
        };
        bool in_digits = false;
        for (std::size_t pos = 0; pos < text.size();) {
            const code_point c = decode_at(text, pos);
            const bool digit = c.valid && (classes_of(c.value) & cls_number);
            if (digit != in_digits || (digit && digits == s.size)) RLX_CHECK(cut(pos));
            in_digits = digit;
            digits += digit;
            pos += c.size;
        }
        return cut(text.size());
    }

    result<void>
    run(const split_before_run& s, std::size_t step, std::string_view text, bool first) {
        std::size_t begin = 0;
        for (std::size_t at = text.find(s.text); at != text.npos; at = text.find(s.text, at)) {
            if (at > begin)
                RLX_CHECK(go(step + 1, text.substr(begin, at - begin), first && begin == 0));
            begin = at;
            while (text.substr(at).starts_with(s.text))
                at += s.text.size();
        }
        return go(step + 1, text.substr(begin), first && begin == 0);
    }

    result<void> run(add_prefix_space, std::size_t step, std::string_view text, bool first) {
        if (text.front() == ' ') return go(step + 1, text, first);
        return go(step + 1, ' ' + std::string(text), first);
    }

    result<void> run(const metaspace& s, std::size_t step, std::string_view text, bool first) {
        std::string changed = replace_all(text, " ", s.replacement);
        const bool wanted =
            s.prepend == prepend_scheme::always || (s.prepend == prepend_scheme::first && first);
        if (wanted && !changed.starts_with(s.replacement)) changed.insert(0, s.replacement);
        if (!s.split) return go(step + 1, changed, first);
        const split_literal cut{s.replacement, split_behavior::merged_with_next};
        return run(cut, step, changed, first);
    }

    result<void> emit(
        const std::vector<piece_range>& pieces, std::size_t step, std::string_view text, bool first
    ) {
        for (const piece_range& p : pieces)
            RLX_CHECK(go(step + 1, text.substr(p.begin, p.end - p.begin), first && p.begin == 0));
        return {};
    }
};

} // namespace

result<void> pre_tokenizer::operator()(std::string_view text, bool first, word_sink& sink) const {
    return walker{steps, sink}.go(0, text, first);
}

} // namespace rlx::text
