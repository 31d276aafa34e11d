// SPDX-License-Identifier: GPL-3.0-only
#include "tokenizer/normalizer.hpp"

#include "unicode/bert.hpp"
#include "unicode/categories.hpp"
#include "unicode/utf8.hpp"

#include <algorithm>

namespace rlx::text {
namespace {

std::string clean_and_space(std::string_view text, const bert_clean& b) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size();) {
        const code_point c = decode_at(text, i);
        const std::uint8_t classes = bert_classes_of(c.value);
        const std::string_view bytes = text.substr(i, c.size);
        i += c.size;
        if (b.clean_text && (classes & bert_removed)) continue;
        if (b.clean_text && (classes & bert_space))
            out += ' ';
        else if (b.space_ideographs && (classes & bert_ideograph))
            out.append(" ").append(bytes).append(" ");
        else
            out += bytes;
    }
    return out;
}

std::string without_accents(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size();) {
        const code_point c = decode_at(text, i);
        if (!c.valid || !(bert_classes_of(c.value) & bert_mark)) out += text.substr(i, c.size);
        i += c.size;
    }
    return out;
}

struct apply_step {
    std::string_view text;

    result<std::string> operator()(normal_form form) const { return normalize(text, form); }

    result<std::string> operator()(lowercase) const { return to_lower(text); }

    result<std::string> operator()(const prepend& p) const {
        return text.empty() ? std::string() : p.text + std::string(text);
    }

    result<std::string> operator()(const replace_literal& r) const {
        return replace_all(text, r.from, r.to);
    }

    result<std::string> operator()(strip_accents) const { return strip_marks(text); }

    result<std::string> operator()(const bert_clean& b) const {
        std::string out = clean_and_space(text, b);
        if (b.strip_accents) out = without_accents(RLX_TRY(normalize(out, normal_form::nfd)));
        return b.lowercase ? to_lower(out) : out;
    }

    result<std::string> operator()(merge_spaces) const {
        std::string out;
        for (std::size_t at = 0; (at = text.find_first_not_of(' ', at)) != text.npos;) {
            const std::size_t end = std::min(text.find(' ', at), text.size());
            if (!out.empty()) out += ' ';
            out += text.substr(at, end - at);
            at = end;
        }
        return out;
    }

    result<std::string> operator()(const charsmap& map) const { return map.apply(text); }

    result<std::string> operator()(strip_space s) const {
        std::size_t begin = 0, end = 0;
        bool started = !s.left;
        for (std::size_t i = 0; i < text.size();) {
            const code_point c = decode_at(text, i);
            const bool space = c.valid && is_white_space(c.value);
            if (!space && !started) begin = i, started = true;
            i += c.size;
            if (!space || !s.right) end = i;
        }
        return started && end > begin ? std::string(text.substr(begin, end - begin))
                                      : std::string();
    }

    result<std::string> operator()(const replace_regex& r) const {
        if (!is_valid_utf8(text))
            return error{
                RLX_INVALID_ARGUMENT, "the text is not valid UTF-8, which this tokenizer needs"};
        std::string out;
        std::size_t done = 0;
        for (const match_range& m : RLX_TRY(r.pattern.matches(text))) {
            out += text.substr(done, m.begin - done);
            out += r.to;
            done = m.end;
        }
        out += text.substr(done);
        return out;
    }
};

} // namespace

std::string replace_all(std::string_view text, std::string_view from, std::string_view to) {
    if (from.empty()) return std::string(text);
    std::string out;
    std::size_t done = 0;
    for (std::size_t at = text.find(from); at != text.npos; at = text.find(from, done)) {
        out += text.substr(done, at - done);
        out += to;
        done = at + from.size();
    }
    out += text.substr(done);
    return out;
}

result<std::string> normalizer::operator()(std::string_view text) const {
    std::string current(text);
    for (const normalizer_step& step : steps)
        current = RLX_TRY(std::visit(apply_step{current}, step));
    return current;
}

} // namespace rlx::text
